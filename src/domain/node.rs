//! A server that shares its database with others.

use uuid::Uuid;

use super::time::Timestamp;

/// What other nodes know about a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeStatus {
    /// The id of its registration. A node that was cut off registers again.
    pub id: Uuid,
    /// The machine, and the address on which it listens.
    pub name: String,
    /// Its release.
    pub version: String,
    /// When it registered, on the clock of the database.
    pub registered_at: Timestamp,
    /// Whether others wait for it.
    pub state: NodeState,
    /// How many changes that take rights away it has not applied yet.
    pub behind: u64,
}

/// Whether a server can answer requests now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Its store can be read and written.
    Ready,
    /// It shares its database with others and has no lease, so it answers no check.
    NoLease,
}

/// Whether a revocation waits for a node. It only ever moves on in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NodeState {
    /// It answers checks from memory, so revocations wait for it.
    Active,
    /// It cannot renew its lease any more. It may answer checks for the rest of that.
    Fencing,
    /// It answers no checks.
    Gone,
}

impl NodeState {
    /// The word that the API, the command line and the database use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Fencing => "fencing",
            Self::Gone => "gone",
        }
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Active, Self::Fencing, Self::Gone].into_iter().find(|state| state.as_str() == text)
    }
}
