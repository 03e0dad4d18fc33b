//! The methods of [`UserAdministration`].

use crate::{
    domain::{
        account::{PasswordHash, Role, User},
        account_state::{Account, AccountDetails},
        attempts::CountersOf,
        audit::{Attribution, Entry},
        id::UserId,
        password_link::{NewPasswordLink, PasswordLink},
        secret::TokenHash,
        time::Timestamp,
    },
    store::{
        AccountChange, AccountQuery, LastAdmin, Reply, UserAdministration, invalidation,
        sql::{accounts, attempts, audit, engine::Engine, keyed_requests::once, password_links, roles, users},
    },
};

impl<E: Engine> UserAdministration for E {
    fn accounts(&self, query: AccountQuery) -> Reply<'_, Vec<Account>> {
        self.read_long(move |connection| accounts::list(connection, &query))
    }

    fn account_details(&self, id: UserId, now: Timestamp) -> Reply<'_, AccountDetails> {
        self.read_long(move |connection| accounts::details(connection, id, now))
    }

    fn change_account(
        &self,
        id: UserId,
        change: AccountChange,
        last: LastAdmin,
        by: Attribution,
    ) -> Reply<'_, Account> {
        self.change_as_admin_reporting(by, move |connection, by, changes| {
            changes.extend(invalidation::user(id));
            accounts::change(connection, id, &change, last, by, changes)
        })
    }

    fn set_role(&self, id: UserId, role: Role, last: LastAdmin, by: Attribution) -> Reply<'_, User> {
        self.change_as_admin_reporting(by, move |connection, by, changes| {
            changes.extend(invalidation::user(id));
            roles::set(connection, id, role, last, by, changes)
        })
    }

    fn disable_user(&self, id: UserId, last: LastAdmin, by: Attribution) -> Reply<'_, Account> {
        self.change_as_admin(invalidation::user(id), by, move |connection, by| {
            accounts::disable(connection, id, last, by)
        })
    }

    fn enable_user(&self, id: UserId, by: Attribution) -> Reply<'_, Account> {
        self.change_as_admin(invalidation::user(id), by, move |connection, by| accounts::enable(connection, id, by))
    }

    fn end_sessions(&self, id: UserId, by: Attribution) -> Reply<'_, u64> {
        self.change_as_admin(invalidation::user(id), by, move |connection, by| {
            accounts::end_sessions(connection, id, by)
        })
    }

    fn invite_user(&self, user: User, link: NewPasswordLink, by: Attribution) -> Reply<'_, ()> {
        self.change_as_admin(invalidation::NOTHING, by, move |connection, by| {
            once(connection, by, || {
                users::add(connection, &user, None, by)?;
                password_links::add(connection, user.id, &link, by)
            })
        })
    }

    fn reset_password(
        &self,
        id: UserId,
        link: NewPasswordLink,
        last: LastAdmin,
        by: Attribution,
    ) -> Reply<'_, Account> {
        self.change_as_admin(invalidation::user(id), by, move |connection, by| {
            once(connection, by, || accounts::reset_password(connection, id, &link, last, by))
        })
    }

    fn password_link(&self, hash: TokenHash) -> Reply<'_, Option<PasswordLink>> {
        self.read(move |connection| password_links::by_hash(connection, &hash))
    }

    fn set_password_by_link(&self, hash: TokenHash, password: PasswordHash, by: Attribution) -> Reply<'_, ()> {
        self.change_reporting(by, move |connection, by, changes| {
            let user = accounts::set_password_by_link(connection, &hash, &password, by)?;
            changes.extend(invalidation::user(user));
            Ok(())
        })
    }

    fn clear_attempts(&self, counters: Vec<CountersOf>, held: bool, event: Entry, by: Attribution) -> Reply<'_, u64> {
        self.change_as_admin(invalidation::NOTHING, by, move |connection, by| {
            let cleared = attempts::clear(connection, &counters)?;
            if held || cleared > 0 {
                audit::record(connection, by, &event)?;
            }
            Ok(cleared)
        })
    }
}
