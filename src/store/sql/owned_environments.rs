//! SQL on the environments of everybody. Each function runs inside one transaction of its caller.

use uuid::Uuid;

use super::{
    connection::{Connection, Row, named},
    hand_over, owners, row,
};
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

fn read(row: &dyn Row) -> Result<OwnedEnvironment, StoreError> {
    Ok(OwnedEnvironment { environment: row::environment(row)?, owner: row::owner(row, ENVIRONMENT_COLUMNS)? })
}

pub(crate) fn by_id(connection: &dyn Connection, id: EnvironmentId) -> Result<OwnedEnvironment, StoreError> {
    connection.optional(select!("e.id = :id"), named! {":id": id.uuid()}, read)?.ok_or(StoreError::NotFound)
}

/// In the order of the ids, which is that of creation.
pub(crate) const LIST: &str = select!(
    "e.id < :before_id AND (:search IS NULL OR instr(folded(e.name), :search) > 0)
     ORDER BY e.id DESC LIMIT :limit"
);
/// In the order of an index.
pub(crate) const LIST_OF_OWNER: &str = select!(
    "e.owner_id = :owner_id AND (e.created_at, e.id) < (:before, :before_id)
       AND (:search IS NULL OR instr(folded(e.name), :search) > 0)
     ORDER BY e.created_at DESC, e.id DESC LIMIT :limit"
);

pub(crate) fn list(
    connection: &dyn Connection,
    query: &OwnedEnvironmentQuery,
) -> Result<Vec<OwnedEnvironment>, StoreError> {
    // The largest identifier comes before no other.
    let (before, before_id) = query.before.map_or((i64::MAX, Uuid::max()), |(at, id)| (at.unix(), id.uuid()));
    let search = query.search.as_deref();
    match query.owner {
        None => {
            let parameters = named! {":before_id": before_id, ":search": search, ":limit": query.limit};
            connection.all(LIST, parameters, read)
        }
        Some(owner) => {
            let parameters = named! {
                ":owner_id": owner.uuid(),
                ":before": before,
                ":before_id": before_id,
                ":search": search,
                ":limit": query.limit,
            };
            connection.all(LIST_OF_OWNER, parameters, read)
        }
    }
}

pub(crate) fn transfer(
    connection: &dyn Connection,
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
