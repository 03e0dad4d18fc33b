//! What servers share, in the store that fails on purpose.

use patd::{
    domain::{
        attempts::{AttemptRate, CounterKey},
        node::NodeStatus,
    },
    store::{AttemptAnswer, Counted, Nodes, Permits, SharedCounters},
};

use super::*;

/// Servers count together, before they make a change. It fails like a write, but what a test delays, or follows with reads that
/// fail, is the change.
pub(super) const COUNTING: u8 = 5;

delegate! {
    Nodes {
        fn shared_counters(&self) -> Option<&dyn SharedCounters> {
            self.backend.store.shared_counters().map(|_| self as &dyn SharedCounters)
        }
    }:
    NEVER {
        fn nodes(&self) -> Vec<NodeStatus>;
    }
    HOUSEKEEPING {
        fn does_housekeeping(&self) -> bool;
    }
}

impl Faulty {
    fn counters(&self) -> &dyn SharedCounters {
        self.backend.store.shared_counters().unwrap()
    }
}

impl SharedCounters for Faulty {
    fn take_permits(&self, family: TokenId, per_minute: u32) -> Reply<'_, Permits> {
        self.unless(COUNTING, || self.counters().take_permits(family, per_minute))
    }

    fn count_attempt(&self, counters: Vec<(CounterKey, AttemptRate)>) -> Reply<'_, AttemptAnswer> {
        self.unless(COUNTING, || self.counters().count_attempt(counters))
    }

    fn take_back(&self, counted: Vec<Counted>) -> Reply<'_, ()> {
        self.unless(COUNTING, || self.counters().take_back(counted))
    }

    fn held_attempts(&self, wanted: Vec<CountersOf>) -> Reply<'_, Vec<(CounterKey, Duration)>> {
        self.unless(READS_FAIL, || self.counters().held_attempts(wanted))
    }

    fn delete_rested_counters(&self) -> Reply<'_, ()> {
        self.unless(HOUSEKEEPING, || self.counters().delete_rested_counters())
    }
}
