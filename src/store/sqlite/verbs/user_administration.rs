//! The methods of [`UserAdministration`].

use crate::{
    domain::{
        account::{Role, User},
        audit::Attribution,
        id::UserId,
    },
    store::{
        LastAdmin, Reply, UserAdministration, invalidation,
        sqlite::{roles, store::SqliteStore},
    },
};

impl UserAdministration for SqliteStore {
    fn set_role(&self, id: UserId, role: Role, last: LastAdmin, by: Attribution) -> Reply<'_, User> {
        self.change(invalidation::user(id), by, move |connection, by| roles::set(connection, id, role, last, by))
    }
}
