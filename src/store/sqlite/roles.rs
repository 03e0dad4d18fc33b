//! SQL on the roles of users.

use rusqlite::{Connection, named_params};

use super::{audit, users};
use crate::{
    domain::{
        account::{Role, User},
        audit::Attribution,
        events,
        id::UserId,
    },
    store::{Conflict, LastAdmin, StoreError},
};

pub(super) fn set(
    connection: &Connection,
    id: UserId,
    role: Role,
    last: LastAdmin,
    by: &Attribution,
) -> Result<User, StoreError> {
    let user = users::by_id(connection, id)?;
    if user.role == role {
        return Ok(user);
    }
    expect_other_admin(connection, &user, last)?;
    connection
        .prepare_cached("UPDATE users SET role = :role WHERE id = :id")?
        .execute(named_params! {":id": id.uuid().into_bytes(), ":role": role.as_str()})?;
    audit::record(connection, by, &events::role_changed(id, role))?;
    Ok(User { role, ..user })
}

/// Looks for an enabled administrator other than `:id` who can sign in.
pub(super) const OTHER_ADMIN: &str = "SELECT 1 FROM users
     WHERE role = 'admin' AND disabled_at IS NULL AND password_hash IS NOT NULL AND id <> :id LIMIT 1";

/// Fails if `user` is the last enabled administrator and is to stay that. Call it before a change that takes this power
/// away.
pub(super) fn expect_other_admin(connection: &Connection, user: &User, last: LastAdmin) -> Result<(), StoreError> {
    if last == LastAdmin::MayGo || user.role != Role::Admin || user.disabled_at.is_some() {
        return Ok(());
    }
    let is_other =
        connection.prepare_cached(OTHER_ADMIN)?.exists(named_params! {":id": user.id.uuid().into_bytes()})?;
    if is_other { Ok(()) } else { Err(StoreError::Conflict(Conflict::LastAdmin)) }
}
