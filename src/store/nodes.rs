//! The servers that share a database.

use super::{reply::Reply, shared_counters::SharedCounters};
use crate::domain::node::NodeStatus;

/// What a server asks about itself and the others. Errors are as for [`Store`](super::Store).
pub trait Nodes {
    /// The servers that share the database, oldest registration first. None where only one server can have it.
    fn nodes(&self) -> Reply<'_, Vec<NodeStatus>>;

    /// Whether this process does the housekeeping of the database: it deletes what is old, and seals the audit trail. Of several
    /// servers, one does. When it ends or is cut off, the next one that asks takes over. For a moment, two may do it.
    fn does_housekeeping(&self) -> Reply<'_, bool>;

    /// What the servers that share the database count together. `None` where only one server can have it: then what it counts in
    /// its memory is all there is.
    fn shared_counters(&self) -> Option<&dyn SharedCounters>;
}
