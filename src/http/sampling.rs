//! How many lines the refused checks may write: a flood of them must not fill the disk or slow the checks that pass.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

/// The most lines a second.
const LINES_A_SECOND: u64 = 100;

/// Counts lines second by second.
pub(super) struct Sampler {
    started: Instant,
    second: AtomicU64,
    asked: AtomicU64,
}

impl Sampler {
    pub(super) fn new() -> Self {
        Self { started: Instant::now(), second: AtomicU64::new(0), asked: AtomicU64::new(0) }
    }

    /// Whether one more line may be written now. What a second left out is told of in the next one in which there is
    /// something to tell.
    pub(super) fn allows(&self) -> bool {
        let now = self.started.elapsed().as_secs();
        if self.second.swap(now, Ordering::Relaxed) != now {
            let left_out = self.asked.swap(0, Ordering::Relaxed).saturating_sub(LINES_A_SECOND);
            if left_out > 0 {
                log::warn!(target: "patd::request", left_out; "refused checks were not logged: more than {LINES_A_SECOND} a second");
            }
        }
        self.asked.fetch_add(1, Ordering::Relaxed) < LINES_A_SECOND
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_writes_no_more_than_its_lines() {
        let sampler = Sampler::new();
        let written = (0..100_000).filter(|_| sampler.allows()).count() as u64;
        let seconds = sampler.started.elapsed().as_secs() + 1;
        assert!((LINES_A_SECOND..=LINES_A_SECOND * seconds).contains(&written), "{written} in {seconds} s");
    }
}
