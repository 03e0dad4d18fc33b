//! The methods of the audit trail in the store that fails on purpose.

use patd::{
    domain::seal::Seal,
    store::{AuditTrail, EventQuery, SealChecks, SealPlan, SealPosition},
};

use super::*;

delegate! {
    AuditTrail:
    READS_FAIL {
        fn events_of(&self, user: UserId, before: Option<i64>, limit: u32) -> Vec<Event>;
        fn events(&self, query: EventQuery) -> Vec<Event>;
        fn latest_seal(&self) -> Option<Seal>;
        fn check_seals(&self, position: SealPosition, limit: u32) -> SealChecks;
        fn count_unsealed(&self) -> u64;
    }
    WRITES_FAIL {
        fn record_refusal(&self, refused: Entry, by: Attribution) -> ();
    }
    HOUSEKEEPING {
        fn seal_events(&self, plan: SealPlan) -> Option<Seal>;
        fn prune_events(&self, before: Timestamp, now: Timestamp) -> u64;
    }
}
