//! The audit trails of everybody, and their seals.

use blake3::Hash;

use super::reply::Reply;
use crate::domain::{
    audit::{Attribution, Entry, Event},
    event_filter::EventFilter,
    id::UserId,
    seal::{CheckedSeal, Seal},
    time::Timestamp,
};

/// Which events to list.
#[derive(Clone, Debug)]
pub struct EventQuery {
    /// The conditions.
    pub filter: EventFilter,
    /// The order.
    pub order: EventOrder,
    /// Only events with a larger number.
    pub after: Option<i64>,
    /// Only events with a smaller number.
    pub before: Option<i64>,
    /// At most this many.
    pub limit: u32,
}

/// The order of events, by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventOrder {
    /// The newest first.
    NewestFirst,
    /// The oldest first.
    OldestFirst,
}

/// When to close a range of events.
#[derive(Clone, Copy, Debug)]
pub struct SealPlan {
    /// At most this many events go into one seal. A full range is closed.
    pub max_events: u32,
    /// A range that is not full is closed if its first event is from this time or before.
    pub open_since: Timestamp,
    /// The present time.
    pub now: Timestamp,
}

/// How far the seals were checked.
#[derive(Clone, Copy, Debug, Default)]
pub struct SealPosition {
    /// The number of the last checked seal, or 0.
    pub number: i64,
    /// Its digest.
    pub digest: Option<Hash>,
    /// Whether it is as it was made. The start counts as sound.
    pub seal_is_sound: bool,
    /// The last event that is sealed so far.
    pub last_event: Option<i64>,
}

impl SealPosition {
    /// Before the first seal.
    pub const START: Self = Self { number: 0, digest: None, seal_is_sound: true, last_event: None };
}

/// Some checked seals, and the position after them.
#[derive(Clone, Debug)]
pub struct SealChecks {
    /// The seals. None means that there are no more.
    pub checked: Vec<CheckedSeal>,
    /// Where to go on.
    pub position: SealPosition,
}

/// The audit trails of everybody, and their seals. Errors are as for [`Store`](super::Store).
pub trait AuditTrail {
    /// Records a refusal in the audit trail.
    fn record_refusal(&self, refused: Entry, by: Attribution) -> Reply<'_, ()>;
    /// The events of the user's trail before `before`, newest first, at most `limit`.
    fn events_of(&self, user: UserId, before: Option<i64>, limit: u32) -> Reply<'_, Vec<Event>>;
    /// Lists events of everybody.
    fn events(&self, query: EventQuery) -> Reply<'_, Vec<Event>>;
    /// Closes the next range of events if the plan says so, and returns its seal. It is computed outside of the write, so it
    /// delays no other change.
    fn seal_events(&self, plan: SealPlan) -> Reply<'_, Option<Seal>>;
    /// The latest seal.
    fn latest_seal(&self) -> Reply<'_, Option<Seal>>;
    /// Checks at most `limit` seals with their events.
    fn check_seals(&self, position: SealPosition, limit: u32) -> Reply<'_, SealChecks>;
    /// How many events are not sealed yet.
    fn count_unsealed(&self) -> Reply<'_, u64>;
    /// Deletes the events of some seals, if all of them are from before that time, and records it in a seal. Returns how
    /// many events. Nothing else deletes events.
    fn prune_events(&self, before: Timestamp, now: Timestamp) -> Reply<'_, u64>;
}
