//! What a node, or a command, does about other nodes that do not live any more.
//!
//! A neighbour whose row has not changed for a whole lease, on the observer's own clock, has no lease any more: the last one
//! began before the observer saw the row for the first time. So it is declared gone, only if the row is still the same: then
//! it was not renewed meanwhile, and cannot be renewed afterwards. Revocations do not wait for it from then on.

use std::collections::BTreeMap;

use super::{
    history::Mark,
    lease::{BootTime, LeaseTerms},
    node::{NodeId, NodeRow, ServerId},
};
use crate::domain::node::NodeState;

/// What an observer remembers about the rows of nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Neighbours {
    /// The server that was looked at last.
    server: Option<ServerId>,
    seen: BTreeMap<NodeId, Seen>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Seen {
    state: NodeState,
    renewal: Mark,
    /// When the observer received this for the first time.
    since: BootTime,
}

/// A row that is to become gone, only if it is still in this state and was not renewed since.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Departure {
    pub(crate) node: NodeId,
    pub(crate) state: NodeState,
    pub(crate) renewal: Mark,
}

impl Neighbours {
    /// Notes the rows of all nodes, as this server has them. Returns those that are to become gone there, by an update on the same
    /// connection: another server may have lost later renewals, if it comes from a backup. What was seen before does not count for it. `received` must be read from the clock after the rows
    /// were received: a node may renew between the sending and the snapshot of the query.
    pub(crate) fn observe(
        &mut self,
        server: ServerId,
        rows: &[NodeRow],
        received: BootTime,
        terms: LeaseTerms,
    ) -> Vec<Departure> {
        if self.server.replace(server) != Some(server) {
            self.seen.clear();
        }
        self.seen.retain(|id, _| rows.iter().any(|row| row.id == *id));
        let mut departures = Vec::new();
        for row in rows {
            let now = Seen { state: row.state, renewal: row.renewal, since: received };
            let seen = self.seen.entry(row.id).or_insert(now);
            if (seen.state, seen.renewal) != (row.state, row.renewal) {
                *seen = now;
            }
            if row.state != NodeState::Gone && terms.is_over(seen.since, received) {
                departures.push(Departure { node: row.id, state: row.state, renewal: row.renewal });
            }
        }
        departures
    }
}

#[cfg(test)]
impl Neighbours {
    pub(super) fn map_times(&mut self, map: impl Fn(BootTime) -> BootTime) {
        for seen in self.seen.values_mut() {
            seen.since = map(seen.since);
        }
    }

    /// Forgets what is of no consequence for databases with these rows: it begins anew at the next look.
    pub(super) fn keep_only(&mut self, is_current: impl Fn(NodeId, NodeState, Mark) -> bool) {
        self.seen.retain(|id, seen| is_current(*id, seen.state, seen.renewal));
        if self.seen.is_empty() {
            self.server = None;
        }
    }

    /// The marks that are remembered, in the order of the nodes.
    pub(super) fn renewals(&mut self) -> impl Iterator<Item = &mut Mark> {
        self.seen.values_mut().map(|seen| &mut seen.renewal)
    }
}
