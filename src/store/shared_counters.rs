//! What the servers that share a database count together.

use std::time::Duration;

use super::reply::Reply;
use crate::domain::{
    attempts::{AttemptRate, CounterKey, CountersOf},
    id::TokenId,
};

/// Counters in the database, on its clock. So it does not matter whether the clocks of the servers agree. Errors are as for
/// [`Store`](super::Store).
pub trait SharedCounters: Send + Sync {
    /// Takes some of the uses that a rate limit of a family of tokens allows now, for this process to spend.
    fn take_permits(&self, family: TokenId, per_minute: u32) -> Reply<'_, Permits>;
    /// Counts an attempt in all of these counters, or in none if one of them is at its limit.
    fn count_attempt(&self, counters: Vec<(CounterKey, AttemptRate)>) -> Reply<'_, AttemptAnswer>;
    /// Takes back what was counted of an attempt, because its outcome does not count.
    fn take_back(&self, counted: Vec<Counted>) -> Reply<'_, ()>;
    /// Those of the counters that are not at rest, and how long until they are.
    fn held_attempts(&self, wanted: Vec<CountersOf>) -> Reply<'_, Vec<(CounterKey, Duration)>>;
    /// Deletes the counters at rest.
    fn delete_rested_counters(&self) -> Reply<'_, ()>;
}

/// What was taken of a rate limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permits {
    /// How many uses: at most [`permits_at_once`](crate::domain::usage_limits::permits_at_once), and none if none are available.
    pub count: u32,
    /// How long until all of the limit is available, if no more is taken.
    pub rests_in: Duration,
}

/// Whether an attempt is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttemptAnswer {
    /// It was counted in each counter.
    Counted(Vec<Counted>),
    /// It was not counted, because this counter is at its limit.
    Exceeded {
        /// The one that blocks longest.
        key: CounterKey,
        /// How many attempts it allows at once.
        limit: u32,
        /// How long until it allows one.
        wait: Duration,
    },
}

/// One attempt in one counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// The counter.
    pub key: CounterKey,
    /// By how much the attempt moved the time at which the counter rests.
    pub interval: Duration,
    /// That time after the attempt, on the clock of the database, in microseconds.
    pub rests_at: i64,
}
