//! What a command prints about a node.

use serde::{Deserialize, Serialize};

use crate::domain::node::NodeStatus;

/// A server that shares its database with others.
#[derive(Debug, Serialize, Deserialize)]
pub struct NodeView {
    /// The id of its registration.
    pub id: String,
    /// The machine, and the address on which it listens.
    pub name: String,
    /// Its release.
    pub version: String,
    /// When it registered.
    pub registered_at: String,
    /// `active`, `fencing` or `gone`.
    pub state: String,
    /// How many changes that take rights away it has not applied yet.
    pub behind: u64,
}

impl From<&NodeStatus> for NodeView {
    fn from(node: &NodeStatus) -> Self {
        Self {
            id: node.id.to_string(),
            name: node.name.clone(),
            version: node.version.clone(),
            registered_at: node.registered_at.to_string(),
            state: node.state.as_str().to_owned(),
            behind: node.behind,
        }
    }
}
