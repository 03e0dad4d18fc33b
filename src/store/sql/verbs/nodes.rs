//! The methods of [`Nodes`].

use crate::{
    domain::node::NodeStatus,
    store::{Nodes, Reply, SharedCounters, sql::engine::Engine},
};

impl<E: Engine> Nodes for E {
    fn nodes(&self) -> Reply<'_, Vec<NodeStatus>> {
        Engine::nodes(self)
    }

    fn does_housekeeping(&self) -> Reply<'_, bool> {
        Engine::does_housekeeping(self)
    }

    fn shared_counters(&self) -> Option<&dyn SharedCounters> {
        Engine::shared_counters(self)
    }
}
