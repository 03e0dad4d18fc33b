//! Numbers that the process counts for its metrics. Counting takes no lock: each number is an atomic, and what many threads
//! count at the same time has a copy for each of them ([`PerThread`]).
//!
//! Every part counts its own. What the numbers are called outside is decided in one place, `src/http/metrics/`.

mod histogram;
mod per_thread;

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

pub use self::histogram::{Distribution, Histogram};
pub(crate) use self::per_thread::PerThread;

/// How often something happened.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// It happened once more.
    pub fn increment(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    /// How often so far.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A number that goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

impl Gauge {
    /// Sets the number.
    pub fn set(&self, value: u64) {
        self.0.store(i64::try_from(value).unwrap_or(i64::MAX), Relaxed);
    }

    /// Adds to the number, or takes away from it.
    pub fn add(&self, difference: i64) {
        self.0.fetch_add(difference, Relaxed);
    }

    /// The number now. Between two threads that add and take away it can be negative for a moment, which is answered as zero.
    pub fn get(&self) -> u64 {
        u64::try_from(self.0.load(Relaxed)).unwrap_or(0)
    }
}
