//! SQL on the environments that users have selected. Each function runs inside one transaction of its caller.

use rusqlite::{Connection, named_params};

use super::{
    audit::{self, without_address},
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
pub(super) const LEAVE: &str = "UPDATE users
     SET current_environment_id = (SELECT e.id FROM environments e WHERE e.owner_id = users.id AND e.is_default = 1)
     WHERE current_environment_id = :id AND (:user_id IS NULL OR id = :user_id)
     RETURNING id";

/// Gives everybody who has selected it, or only `alone`, their default environment. Reports those users as
/// changed.
pub(super) fn leave(
    connection: &Connection,
    id: EnvironmentId,
    alone: Option<UserId>,
    actor: Option<UserId>,
    by: &Attribution,
    changes: &mut Vec<Change>,
) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(LEAVE)?;
    let rows = statement.query_map(
        named_params! {
            ":id": id.uuid().into_bytes(),
            ":user_id": alone.map(|user| user.uuid().into_bytes()),
        },
        |row| row::identifier(row, 0).map(UserId::new),
    )?;
    let users: Vec<UserId> = rows.collect::<Result<_, _>>()?;
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
pub(super) fn leave_unseen(
    connection: &Connection,
    id: EnvironmentId,
    actor: Option<UserId>,
    by: &Attribution,
    changes: &mut Vec<Change>,
) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached("SELECT id FROM users WHERE current_environment_id = :id")?;
    let rows = statement
        .query_map(named_params! {":id": id.uuid().into_bytes()}, |row| row::identifier(row, 0).map(UserId::new))?;
    for user in rows.collect::<Result<Vec<_>, _>>()? {
        match seen(connection, user, id) {
            Ok(_) => {}
            Err(StoreError::NotFound) => leave(connection, id, Some(user), actor, by, changes)?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
