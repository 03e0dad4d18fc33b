//! How the lookups of the cache ended, for metrics.

use crate::measure::{Counter, PerThread};

/// How a lookup ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookupResult {
    /// Answered from memory with a record.
    Hit,
    /// Answered from memory: there is no such secret.
    KnownMiss,
    /// The record was not in memory, or had changed: the store was asked.
    Miss,
    /// The cache was not coherent: the store was asked, whatever is in memory.
    Bypassed,
}

impl LookupResult {
    /// All results.
    pub const ALL: [Self; 4] = [Self::Hit, Self::KnownMiss, Self::Miss, Self::Bypassed];

    /// The name in a metric.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::KnownMiss => "known_miss",
            Self::Miss => "miss",
            Self::Bypassed => "bypassed",
        }
    }
}

/// Counts the lookups of one kind of record.
#[derive(Debug, Default)]
pub(super) struct Lookups(PerThread<[Counter; LookupResult::ALL.len()]>);

impl Lookups {
    pub(super) fn count(&self, result: LookupResult) {
        self.0.own()[result as usize].increment();
    }

    fn totals(&self) -> [u64; LookupResult::ALL.len()] {
        LookupResult::ALL.map(|result| self.0.all().map(|counts| counts[result as usize].get()).sum())
    }
}

/// The state of a cache, and its lookups by result, in the order of [`LookupResult::ALL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheReport {
    /// Whether lookups are answered from memory.
    pub is_coherent: bool,
    /// Those of tokens.
    pub tokens: [u64; LookupResult::ALL.len()],
    /// Those of sessions.
    pub sessions: [u64; LookupResult::ALL.len()],
}

impl CacheReport {
    pub(super) fn new(is_coherent: bool, tokens: &Lookups, sessions: &Lookups) -> Self {
        Self { is_coherent, tokens: tokens.totals(), sessions: sessions.totals() }
    }
}
