//! The counts of what tokens did.

use uuid::Uuid;

use super::reply::Reply;
use crate::domain::{
    time::Timestamp,
    token_usage::{Day, UsageCount},
};

/// The counts of uses. Errors are as for [`Store`](super::Store).
pub trait UsageRecords {
    /// Adds counts of uses. A batch that is the last of its series is not added again. Deleted tokens are ignored.
    fn record_usage(&self, batch: UsageBatch) -> Reply<'_, ()>;
    /// The counts of the token with this row number from `first` on, and the last batch of a series.
    fn usage_of(&self, number: i64, first: Day, series: BatchSeries) -> Reply<'_, StoredUsage>;
    /// Records that uses are counted from this time on. An earlier time that is recorded stays. `None` records that they are
    /// not counted.
    fn set_usage_counting(&self, since: Option<Timestamp>) -> Reply<'_, ()>;
    /// Deletes some of the counts of days before this one. Returns how many. What is known of batches that hold only such
    /// counts is deleted, too.
    fn prune_usage(&self, before: Day) -> Reply<'_, u64>;
}

/// Batches that are written one after the other. Several processes may write counts to one database, each its own series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchSeries {
    /// Identifies the process that counts. Each start of a program draws another one.
    pub process: Uuid,
    /// The part of the tokens.
    pub part: u16,
}

/// Counts of what tokens did since they were last written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageBatch {
    /// Where it belongs.
    pub series: BatchSeries,
    /// The number of the batch. The same batch may be written again after an error: if it is the last of its series that was
    /// written, nothing is added.
    pub number: i64,
    /// The row numbers of the tokens, each with a count.
    pub counts: Vec<(i64, UsageCount)>,
    /// How many abilities of a token are counted by name.
    pub max_abilities: u32,
}

/// What the store has counted of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredUsage {
    /// The counts in the order of the days.
    pub counts: Vec<UsageCount>,
    /// Since when uses have been counted without a gap. `None` if they are not counted, or nothing was written yet.
    pub counted_since: Option<Timestamp>,
    /// The batch that was written last of the series that was asked for.
    pub last_batch: Option<i64>,
}
