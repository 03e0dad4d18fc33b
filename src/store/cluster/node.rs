//! The row of a node, as others read it.

use super::history::Mark;
use crate::domain::node::NodeState;

/// Identifies one registration of a node. A node that registers again gets a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct NodeId(pub(crate) u128);

/// Identifies the process of a server of the database, by its start. A restored backup and a promoted standby have others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ServerId(pub(crate) i64);

/// What others read about a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct NodeRow {
    pub(crate) id: NodeId,
    pub(crate) state: NodeState,
    /// The sequence number up to which it has applied all changes.
    pub(crate) acknowledged: i64,
    /// Random, another one after each renewal: so others see that it lives, without looking at its clock. A counter could
    /// come back to the same number when a backup is restored.
    pub(crate) renewal: Mark,
}
