//! The methods of [`EnvironmentAdministration`].

use crate::{
    domain::{
        audit::Attribution,
        environment::OwnedEnvironment,
        id::{EnvironmentId, UserId},
    },
    store::{
        EnvironmentAdministration, OwnedEnvironmentQuery, Reply,
        sql::{engine::Engine, owned_environments},
    },
};

impl<E: Engine> EnvironmentAdministration for E {
    fn owned_environment(&self, id: EnvironmentId) -> Reply<'_, OwnedEnvironment> {
        self.read(move |connection| owned_environments::by_id(connection, id))
    }

    fn owned_environments(&self, query: OwnedEnvironmentQuery) -> Reply<'_, Vec<OwnedEnvironment>> {
        self.read_long(move |connection| owned_environments::list(connection, &query))
    }

    fn transfer_environment(&self, id: EnvironmentId, to: UserId, by: Attribution) -> Reply<'_, OwnedEnvironment> {
        self.change_reporting(by, move |connection, by, changes| {
            owned_environments::transfer(connection, id, to, by, changes)
        })
    }
}
