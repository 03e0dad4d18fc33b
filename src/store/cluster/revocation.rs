//! When a revocation that is committed may be answered.

use std::time::Duration;

use super::{
    history::Position,
    lease::{BootTime, LeaseTerms},
    node::{NodeId, NodeRow},
};
use crate::domain::node::NodeState;

/// A committed change that has not been answered yet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PendingRevocation {
    terms: LeaseTerms,
    change: Position,
    /// On the revoker's clock, read after the commit was answered.
    committed: BootTime,
}

/// What a look at the nodes has shown.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Verdict {
    /// No node can accept what was revoked. Answer.
    Answer,
    /// These nodes may still accept it, at the latest until then. Look again when one has acknowledged, or at that time.
    Wait {
        /// The nodes that have not acknowledged.
        nodes: Vec<NodeId>,
        /// When no lease can last any more that began before the commit.
        until: BootTime,
    },
    /// The change is not part of the history that was read: the database is another one. It is unknown whether the change
    /// was made.
    Lost,
}

impl PendingRevocation {
    /// `committed` must be read from the clock after the commit was answered.
    pub(crate) const fn new(change: Position, committed: BootTime, terms: LeaseTerms) -> Self {
        Self { terms, change, committed }
    }

    /// The change that others have to know.
    #[cfg(test)]
    pub(super) const fn change(&self) -> Position {
        self.change
    }

    /// Whether a node may still accept what was revoked, unless its last lease is over.
    pub(crate) fn waits_for(&self, rows: &[NodeRow]) -> bool {
        rows.iter().any(|row| !self.is_done(row))
    }

    /// Whether it was committed longer ago than a lease and this.
    pub(crate) fn is_older_than(&self, more: Duration, now: BootTime) -> bool {
        self.terms.is_over(self.committed.plus(more), now)
    }

    /// Judges the rows of all nodes, which were read after the commit, in one snapshot with whether the change is part of the
    /// history. `received` is the time after that.
    pub(crate) fn judge(&self, rows: &[NodeRow], is_in_history: bool, received: BootTime) -> Verdict {
        if !is_in_history {
            return Verdict::Lost;
        }
        if self.may_answer_unseen(received) {
            return Verdict::Answer;
        }
        let nodes: Vec<NodeId> = rows.iter().filter(|row| !self.is_done(row)).map(|row| row.id).collect();
        match nodes.is_empty() {
            true => Verdict::Answer,
            false => Verdict::Wait { nodes, until: self.terms.over_at(self.committed) },
        }
    }

    /// Whether it may be answered although the nodes cannot be read: no lease lasts any more that began before the commit.
    pub(crate) fn may_answer_unseen(&self, now: BootTime) -> bool {
        self.terms.is_over(self.committed, now)
    }

    /// A node that is being fenced may have acknowledged before.
    const fn is_done(&self, row: &NodeRow) -> bool {
        matches!(row.state, NodeState::Gone) || row.acknowledged >= self.change.sequence
    }
}

#[cfg(test)]
impl PendingRevocation {
    pub(super) fn map_times(&mut self, map: impl Fn(BootTime) -> BootTime) {
        self.committed = map(self.committed);
    }
}
