//! The methods of [`ServiceAccounts`].

use crate::{
    domain::{audit::Attribution, authority::Authority, id::UserId, owner::ServiceAccountDetails},
    store::{
        NewServiceAccount, Reply, ServiceAccountChange, ServiceAccountQuery, ServiceAccounts, invalidation,
        sql::{engine::Engine, keyed_requests::once, roles, service_accounts},
    },
};

impl<E: Engine> ServiceAccounts for E {
    fn add_service_account(&self, new: NewServiceAccount, by: Attribution) -> Reply<'_, ServiceAccountDetails> {
        self.change_as_admin(invalidation::NOTHING, by, move |connection, by| {
            once(connection, by, || service_accounts::add(connection, &new, by))
        })
    }

    fn service_account(&self, authority: Authority, id: UserId) -> Reply<'_, ServiceAccountDetails> {
        self.read_long(move |connection| service_accounts::managed(connection, authority, id))
    }

    fn service_accounts(
        &self,
        authority: Authority,
        query: ServiceAccountQuery,
    ) -> Reply<'_, Vec<ServiceAccountDetails>> {
        self.read_long(move |connection| service_accounts::list(connection, authority, &query))
    }

    fn change_service_account(
        &self,
        authority: Authority,
        id: UserId,
        change: ServiceAccountChange,
        by: Attribution,
    ) -> Reply<'_, ServiceAccountDetails> {
        self.change(invalidation::user(id), by, move |connection, by| {
            if authority.is_administrator() {
                roles::expect_admin(connection, by)?;
            }
            service_accounts::change(connection, authority, id, &change, by)
        })
    }

    fn disable_service_account(&self, id: UserId, by: Attribution) -> Reply<'_, ServiceAccountDetails> {
        self.change_as_admin(invalidation::user(id), by, move |connection, by| {
            service_accounts::disable(connection, id, by)
        })
    }

    fn enable_service_account(&self, id: UserId, by: Attribution) -> Reply<'_, ServiceAccountDetails> {
        self.change_as_admin(invalidation::user(id), by, move |connection, by| {
            service_accounts::enable(connection, id, by)
        })
    }

    fn delete_service_account(&self, id: UserId, by: Attribution) -> Reply<'_, ()> {
        self.change_as_admin_reporting(by, move |connection, by, changes| {
            service_accounts::delete(connection, id, by, changes)
        })
    }

    fn add_manager(&self, id: UserId, user: UserId, by: Attribution) -> Reply<'_, ServiceAccountDetails> {
        self.change_as_admin(invalidation::NOTHING, by, move |connection, by| {
            service_accounts::add_manager(connection, id, user, by)
        })
    }

    fn remove_manager(&self, id: UserId, user: UserId, by: Attribution) -> Reply<'_, ServiceAccountDetails> {
        self.change_as_admin_reporting(by, move |connection, by, changes| {
            service_accounts::remove_manager(connection, id, user, by, changes)
        })
    }
}
