//! SQL on the environments of everybody. Each function runs inside one transaction of its caller.

use rusqlite::{Connection, OptionalExtension, Row, named_params};

use super::{hand_over, owners, row};
use crate::{
    domain::{
        audit::Attribution,
        environment::{Environment, OwnedEnvironment},
        id::{EnvironmentId, UserId},
    },
    store::{Change, Conflict, OwnedEnvironmentQuery, StoreError, invalidation},
};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT e.id, e.owner_id, e.name, e.is_default, e.created_at,
                    u.id, u.name, u.email, u.created_at, u.disabled_at, u.current_environment_id, u.role, u.kind
             FROM environments e CROSS JOIN users u ON u.id = e.owner_id
             WHERE ",
            $rest
        )
    };
}

/// How many columns of an environment come before those of its owner.
const ENVIRONMENT_COLUMNS: usize = 5;

fn read(row: &Row<'_>) -> rusqlite::Result<OwnedEnvironment> {
    Ok(OwnedEnvironment { environment: row::environment(row)?, owner: row::owner(row, ENVIRONMENT_COLUMNS)? })
}

pub(super) fn by_id(connection: &Connection, id: EnvironmentId) -> Result<OwnedEnvironment, StoreError> {
    connection
        .prepare_cached(select!("e.id = :id"))?
        .query_row(named_params! {":id": id.uuid().into_bytes()}, read)
        .optional()?
        .ok_or(StoreError::NotFound)
}

/// In the order of the ids, which is that of creation.
pub(super) const LIST: &str = select!(
    "e.id < :before_id AND (:search IS NULL OR instr(folded(e.name), :search) > 0)
     ORDER BY e.id DESC LIMIT :limit"
);
/// In the order of an index.
pub(super) const LIST_OF_OWNER: &str = select!(
    "e.owner_id = :owner_id AND (e.created_at, e.id) < (:before, :before_id)
       AND (:search IS NULL OR instr(folded(e.name), :search) > 0)
     ORDER BY e.created_at DESC, e.id DESC LIMIT :limit"
);

pub(super) fn list(
    connection: &Connection,
    query: &OwnedEnvironmentQuery,
) -> Result<Vec<OwnedEnvironment>, StoreError> {
    let (before, before_id) =
        query.before.map_or((i64::MAX, [0xff; 16]), |(at, id)| (at.unix(), id.uuid().into_bytes()));
    let mut statement;
    let rows = match query.owner {
        None => {
            statement = connection.prepare_cached(LIST)?;
            let parameters = named_params! {":before_id": before_id, ":search": query.search, ":limit": query.limit};
            statement.query_map(parameters, read)?
        }
        Some(owner) => {
            statement = connection.prepare_cached(LIST_OF_OWNER)?;
            let parameters = named_params! {
                ":owner_id": owner.uuid().into_bytes(),
                ":before": before,
                ":before_id": before_id,
                ":search": query.search,
                ":limit": query.limit,
            };
            statement.query_map(parameters, read)?
        }
    };
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn transfer(
    connection: &Connection,
    id: EnvironmentId,
    to: UserId,
    by: &Attribution,
    changes: &mut Vec<Change>,
) -> Result<OwnedEnvironment, StoreError> {
    let OwnedEnvironment { environment, owner: from } = by_id(connection, id)?;
    let to = owners::by_id(connection, to)?;
    if to.id() == from.id() {
        return Ok(OwnedEnvironment { environment, owner: from });
    }
    if to.disabled_at().is_some() {
        return Err(StoreError::Conflict(Conflict::OwnerDisabled));
    }
    if owners::count_environments(connection, to.id())? >= Environment::MAX_PER_OWNER {
        return Err(StoreError::Conflict(Conflict::TooManyEnvironments));
    }
    changes.extend(invalidation::user(from.id()));
    changes.extend(invalidation::user(to.id()));
    hand_over::transfer(connection, id, &from, &to, by, changes)?;
    Ok(OwnedEnvironment { environment: Environment { owner: to.id(), ..environment }, owner: to })
}
