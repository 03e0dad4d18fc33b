//! What a store counts for metrics.

use std::time::Duration;

use super::reply::StoreError;
use crate::measure::{Gauge, Histogram};

/// What the parts of a store count.
#[derive(Debug)]
pub struct StoreMeasurements {
    /// How long a COMMIT took, until it was on disk.
    pub commits: Histogram,
    /// How many writes shared a transaction.
    pub batches: Histogram,
    /// How many writes are not answered yet.
    pub unanswered_writes: Gauge,
    /// How many bytes of the write-ahead log the last commit left to copy into the database file. Only SQLite.
    pub log_bytes: Gauge,
    /// How long the answers to changes waited until the other nodes knew of them. Only PostgreSQL.
    pub acknowledgements: Histogram,
}

impl Default for StoreMeasurements {
    fn default() -> Self {
        Self {
            commits: Histogram::of_durations(),
            batches: Histogram::of_sizes(),
            unanswered_writes: Gauge::default(),
            log_bytes: Gauge::default(),
            acknowledgements: Histogram::of_durations(),
        }
    }
}

impl StoreMeasurements {
    /// Measures a COMMIT that succeeds.
    pub(super) fn commit<T>(&self, commit: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        let began = std::time::Instant::now();
        let committed = commit()?;
        self.commits.observe(began.elapsed());
        Ok(committed)
    }
}

/// What else distinguishes stores in metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreKind {
    /// One file, which one server has.
    File,
    /// A database that several servers share.
    Shared {
        /// How long ago this server last knew every change of the others. `None` if it never did.
        lag: Option<Duration>,
    },
}

/// A store that counts.
pub trait Measured {
    /// What it has counted.
    fn measurements(&self) -> &StoreMeasurements;
    /// What kind of store it is, and its state.
    fn kind(&self) -> StoreKind;
}
