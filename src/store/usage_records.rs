//! The counts of what tokens did.

use super::reply::Reply;
use crate::domain::{
    time::Timestamp,
    token_usage::{Day, UsageCount},
};

/// The counts of uses. Errors are as for [`Store`](super::Store).
pub trait UsageRecords {
    /// Adds counts of uses. A batch that is the last of its part is not added again. Deleted tokens are ignored.
    fn record_usage(&self, batch: UsageBatch) -> Reply<'_, ()>;
    /// The counts of the token with this row number from `first` on, and the last batch of a part.
    fn usage_of(&self, number: i64, first: Day, part: u16) -> Reply<'_, StoredUsage>;
    /// Records that uses are counted from this time on. An earlier time that is recorded stays. `None` records that they are
    /// not counted.
    fn set_usage_counting(&self, since: Option<Timestamp>) -> Reply<'_, ()>;
    /// Deletes some of the counts of days before this one. Returns how many.
    fn prune_usage(&self, before: Day) -> Reply<'_, u64>;
}

/// Counts of what tokens did since they were last written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageBatch {
    /// The part of the tokens. Batches of a part are written one after the other.
    pub part: u16,
    /// The number of the batch. The same batch may be written again after an error: if it is the last of its part that was
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
    /// The batch that was written last of the part that was asked for.
    pub last_batch: Option<i64>,
}
