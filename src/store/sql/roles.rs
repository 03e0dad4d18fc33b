//! SQL on the roles of users.

use super::{
    audit,
    connection::{Connection, named},
    current_environments::leave_unseen,
    users,
};
use crate::{
    domain::{
        account::{Role, User},
        audit::{Actor, Attribution},
        events,
        id::UserId,
    },
    store::{Change, Conflict, LastAdmin, StoreError},
};

/// Sets the role. A user who had selected an environment of a service account, and does not see it any more as a member,
/// gets their default one.
pub(crate) fn set(
    connection: &dyn Connection,
    id: UserId,
    role: Role,
    last: LastAdmin,
    by: &Attribution,
    changes: &mut Vec<Change>,
) -> Result<User, StoreError> {
    let user = users::by_id(connection, id)?;
    if user.role == role {
        return Ok(user);
    }
    expect_other_admin(connection, &user, last)?;
    connection
        .execute("UPDATE users SET role = :role WHERE id = :id", named! {":id": id.uuid(), ":role": role.as_str()})?;
    audit::record(connection, by, &events::role_changed(id, role))?;
    leave_unseen(connection, user.current_environment, None, by, changes)?;
    users::by_id(connection, id)
}

/// Looks for an enabled administrator other than `:id` who can sign in.
pub(crate) const OTHER_ADMIN: &str = "SELECT 1 FROM users
     WHERE role = 'admin' AND disabled_at IS NULL AND password_hash IS NOT NULL AND id <> :id LIMIT 1";

/// Fails if `user` is the last enabled administrator and is to stay that. Call it before a change that takes this power
/// away.
pub(crate) fn expect_other_admin(connection: &dyn Connection, user: &User, last: LastAdmin) -> Result<(), StoreError> {
    if last == LastAdmin::MayGo || user.role != Role::Admin || user.disabled_at.is_some() {
        return Ok(());
    }
    let is_other = connection.exists(OTHER_ADMIN, named! {":id": user.id.uuid()})?;
    if is_other { Ok(()) } else { Err(StoreError::Conflict(Conflict::LastAdmin)) }
}

/// By primary keys: whether the user of a session is enabled, and the role.
pub(crate) const ROLE_BY_SESSION: &str = "SELECT u.disabled_at IS NULL, u.role
     FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.id = :id";
/// By unique indexes: whether a token and its owner are enabled, and the owner's role.
pub(crate) const ROLE_BY_TOKEN: &str =
    "SELECT t.revoked_at IS NULL AND t.disabled_at IS NULL AND u.disabled_at IS NULL, u.role
     FROM tokens t JOIN users u ON u.id = t.owner_id WHERE t.id = :id";

/// Fails if a session or a token acts whose user is not an administrator any more. The guard has seen the role when the
/// request began, and the body of a request can take long to arrive.
pub(crate) fn expect_admin(connection: &dyn Connection, by: &Attribution) -> Result<(), StoreError> {
    let (statement, id) = match by.origin.actor {
        Actor::Session { id, .. } => (ROLE_BY_SESSION, id.uuid()),
        Actor::PersonalAccessToken { id, .. } => (ROLE_BY_TOKEN, id.uuid()),
        // No credential that could have lost its power. A guard makes no administrator of these.
        Actor::CommandLine | Actor::System | Actor::EnvironmentToken(_) | Actor::Anonymous => return Ok(()),
    };
    let found = connection
        .optional(statement, named! {":id": id}, |row| Ok((row.get(0)?, row.text(1)? == Role::Admin.as_str())))?;
    match found {
        Some((true, true)) => Ok(()),
        Some((true, false)) => Err(StoreError::Conflict(Conflict::AdminRequired)),
        Some((false, _)) | None => Err(StoreError::Conflict(Conflict::SessionEnded)),
    }
}
