//! SQL on the environments that users have selected. Each function runs inside one transaction of its caller.

use super::{
    audit::{self, without_address},
    connection::{Connection, named},
    environment_access::seen,
    row,
};
use crate::{
    domain::{
        audit::Attribution,
        events,
        id::{EnvironmentId, UserId},
    },
    store::{Change, StoreError, invalidation},
};

/// Finds the users by the index on their current environment.
pub(crate) const LEAVE: &str = "UPDATE users
     SET current_environment_id = (SELECT e.id FROM environments e WHERE e.owner_id = users.id AND e.is_default)
     WHERE current_environment_id = :id AND (:user_id IS NULL OR id = :user_id)
     RETURNING id";

/// Gives everybody who has selected it, or only `alone`, their default environment. Reports those users as
/// changed.
pub(crate) fn leave(
    connection: &dyn Connection,
    id: EnvironmentId,
    alone: Option<UserId>,
    actor: Option<UserId>,
    by: &Attribution,
    changes: &mut Vec<Change>,
) -> Result<(), StoreError> {
    let users: Vec<UserId> = connection.all(
        LEAVE,
        named! {
            ":id": id.uuid(),
            ":user_id": alone.map(|user| user.uuid()),
        },
        |row| row::identifier(row, 0).map(UserId::new),
    )?;
    let by_without_address = without_address(by);
    for user in &users {
        let by = if Some(*user) == actor { by } else { &by_without_address };
        audit::record(connection, by, &events::current_environment_changed(*user))?;
    }
    changes.extend(users.into_iter().flat_map(invalidation::user));
    Ok(())
}

/// Gives each user who has selected it and does not see it any more their default environment. `actor` is the user who acts,
/// if that is known.
pub(crate) fn leave_unseen(
    connection: &dyn Connection,
    id: EnvironmentId,
    actor: Option<UserId>,
    by: &Attribution,
    changes: &mut Vec<Change>,
) -> Result<(), StoreError> {
    let users = connection.all(
        "SELECT id FROM users WHERE current_environment_id = :id",
        named! {":id": id.uuid()},
        |row| row::identifier(row, 0).map(UserId::new),
    )?;
    for user in users {
        match seen(connection, user, id) {
            Ok(_) => {}
            Err(StoreError::NotFound) => leave(connection, id, Some(user), actor, by, changes)?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
