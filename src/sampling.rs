//! How many lines anybody can have written: a flood of refused checks or unreadable requests must not fill the disk or slow
//! the checks that pass.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use log::Level;

/// Counts the lines of one kind second by second.
pub(crate) struct Sampler {
    /// The most lines a second.
    most: u64,
    /// What the lines are about, in the plural.
    what: &'static str,
    /// The level of the line that tells how many were left out.
    level: Level,
    started: Instant,
    second: AtomicU64,
    asked: AtomicU64,
}

impl Sampler {
    /// Allows `most` lines a second about `what`, a plural, and one a second at `level` about those that were left out.
    pub(crate) fn new(most: u64, what: &'static str, level: Level) -> Self {
        Self { most, what, level, started: Instant::now(), second: AtomicU64::new(0), asked: AtomicU64::new(0) }
    }

    /// Whether one more line may be written now. What a second left out is told of in the next one in which there is
    /// something to tell.
    pub(crate) fn allows(&self) -> bool {
        let now = self.started.elapsed().as_secs();
        if self.second.swap(now, Ordering::Relaxed) != now {
            let left_out = self.asked.swap(0, Ordering::Relaxed).saturating_sub(self.most);
            if left_out > 0 {
                let Self { most, what, level, .. } = self;
                log::log!(target: "patd::request", *level, left_out; "{what} were not logged: more than {most} a second");
            }
        }
        self.asked.fetch_add(1, Ordering::Relaxed) < self.most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_writes_no_more_than_its_lines() {
        const MOST: u64 = 100;
        let sampler = Sampler::new(MOST, "lines", Level::Info);
        let written = (0..100_000).filter(|_| sampler.allows()).count() as u64;
        let seconds = sampler.started.elapsed().as_secs() + 1;
        assert!((MOST..=MOST * seconds).contains(&written), "{written} in {seconds} s");
    }
}
