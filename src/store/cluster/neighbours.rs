//! What a node, or a command, does about other nodes that do not live any more.
//!
//! A neighbour whose row has not changed for a whole lease, on the observer's own clock, is fenced, and after another lease it is
//! gone. So a revocation waits for a dead node only if it comes within these two leases.

use std::collections::BTreeMap;

use super::{
    history::Mark,
    lease::{BootTime, LeaseTerms},
    node::{NodeId, NodeRow},
};
use crate::domain::node::NodeState;

/// What an observer remembers about the rows of nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Neighbours {
    seen: BTreeMap<NodeId, Seen>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Seen {
    state: NodeState,
    renewal: Mark,
    /// When the observer received this for the first time.
    since: BootTime,
}

/// A change of a node's row. Each applies only if the row is still in the state before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Fencing {
    /// From active to fencing, only if the row was not renewed since.
    Fence(NodeId, Mark),
    /// From fencing to gone.
    DeclareGone(NodeId),
}

impl Neighbours {
    /// Notes the rows of all nodes. `received` must be read from the clock after they were received: a node may renew between
    /// the sending and the snapshot of the query.
    pub(crate) fn observe(&mut self, rows: &[NodeRow], received: BootTime, terms: LeaseTerms) -> Vec<Fencing> {
        self.seen.retain(|id, _| rows.iter().any(|row| row.id == *id));
        let mut steps = Vec::new();
        for row in rows {
            let now = Seen { state: row.state, renewal: row.renewal, since: received };
            let seen = self.seen.entry(row.id).or_insert(now);
            if (seen.state, seen.renewal) != (row.state, row.renewal) {
                *seen = now;
            }
            match row.state {
                NodeState::Active if terms.is_over(seen.since, received) => {
                    steps.push(Fencing::Fence(row.id, row.renewal));
                }
                NodeState::Fencing if terms.is_over(seen.since, received) => steps.push(Fencing::DeclareGone(row.id)),
                _ => {}
            }
        }
        steps
    }
}

#[cfg(test)]
impl Neighbours {
    pub(super) fn map_times(&mut self, map: impl Fn(BootTime) -> BootTime) {
        for seen in self.seen.values_mut() {
            seen.since = map(seen.since);
        }
    }
}
