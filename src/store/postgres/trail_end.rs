//! Whether another process has written since this one did. If not, what this process remembers of headroom still holds.
//!
//! The sign is the number of the last event of the audit trail, which is read when a transaction has the lock of writers and
//! again before its commit. Nobody else may use headroom unnoticed, because
//!
//! - each change that takes room from an owner (a creation, a rotation, a hand-over) records an event in its transaction;
//! - a number is larger than all before it: writers hold the lock until their commit, and a sequence does not go back on a server
//!   that runs. So after an event of somebody else, the last number is another one for ever, also if pruning has deleted events
//!   meanwhile. Pruning alone may change it, too; then it is forgotten for nothing;
//! - after a crash, a failover or a restored backup, numbers may be given again. None of these leaves a connection open, and all is
//!   forgotten with the connection. A pooler that would hide that is not supported (decision 19).
//!
//! What was remembered in a transaction that was rolled back may count what was never made, such as a revocation, and after a
//! commit without an answer it is unknown what was made. So all is forgotten then. What a job takes in vain when it runs twice makes
//! the bound smaller than necessary, which costs a count.

use std::sync::Arc;

use super::pipeline::Answer;
use crate::store::sql::headroom::Headroom;

/// The number of the last event.
pub(super) const LAST_EVENT: &str = "SELECT coalesce(max(seq), 0) FROM audit_events";

/// The end of the trail as this process left it, and what is remembered while it stays there.
pub(super) struct TrailEnd {
    headroom: Arc<Headroom>,
    last_event: Option<i64>,
}

impl TrailEnd {
    pub(super) fn unknown(headroom: Arc<Headroom>) -> Self {
        Self { headroom, last_event: None }
    }

    /// A transaction has the lock and has read the number of the last event.
    pub(super) fn begin(&mut self, last_event: i64) {
        if self.last_event != Some(last_event) {
            self.forget();
        }
        self.last_event = Some(last_event);
    }

    /// The transaction was committed. Before, [`LAST_EVENT`] had this answer.
    pub(super) fn commit(&mut self, answer: Option<&Answer>) {
        self.last_event = answer.and_then(|answer| answer.rows.first()).map(|row| row.get(0));
    }

    /// The connection is lost, a transaction has failed after a change, or its outcome is unknown.
    pub(super) fn forget(&mut self) {
        self.last_event = None;
        self.headroom.forget();
    }
}
