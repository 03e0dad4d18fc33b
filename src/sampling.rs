//! Limits how many log lines clients can cause, so that many refused checks or malformed requests neither fill the disk nor
//! slow down other requests.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use log::Level;

/// Counts the lines of one kind in each second.
pub(crate) struct Sampler {
    /// The most lines per second.
    limit: u64,
    /// What the lines are about, in the plural.
    what: &'static str,
    /// The level of the line about omitted lines.
    level: Level,
    started: Instant,
    second: AtomicU64,
    requested: AtomicU64,
}

impl Sampler {
    /// Allows `limit` lines per second about `what` (a plural), and one more line at `level` about omitted lines.
    pub(crate) fn new(limit: u64, what: &'static str, level: Level) -> Self {
        Self { limit, what, level, started: Instant::now(), second: AtomicU64::new(0), requested: AtomicU64::new(0) }
    }

    /// Whether one more line may be written now. The first call in a later second logs how many lines were omitted.
    pub(crate) fn allows(&self) -> bool {
        let now = self.started.elapsed().as_secs();
        if self.second.swap(now, Ordering::Relaxed) != now {
            let left_out = self.requested.swap(0, Ordering::Relaxed).saturating_sub(self.limit);
            if left_out > 0 {
                let Self { limit, what, level, .. } = self;
                log::log!(target: "patd::request", *level, left_out; "{what} were not logged: more than {limit} a second");
            }
        }
        self.requested.fetch_add(1, Ordering::Relaxed) < self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_writes_at_most_the_allowed_lines() {
        const LIMIT: u64 = 100;
        let sampler = Sampler::new(LIMIT, "lines", Level::Info);
        let written = (0..100_000).filter(|_| sampler.allows()).count() as u64;
        let seconds = sampler.started.elapsed().as_secs() + 1;
        assert!((LIMIT..=LIMIT * seconds).contains(&written), "{written} in {seconds} s");
    }
}
