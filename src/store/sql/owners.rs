//! SQL on owners, and on who may act for them. Each function runs inside one transaction of its caller.

use super::{
    connection::{Connection, Parameters, named},
    roles, row, users,
};
use crate::{
    domain::{
        audit::{Actor, Attribution},
        id::{EnvironmentId, TokenId, UserId},
        owner::{Owned, OwnedItems, Owner},
        text::Name,
        time::Timestamp,
    },
    store::{Conflict, StoreError},
};

pub(crate) fn by_id(connection: &dyn Connection, id: UserId) -> Result<Owner, StoreError> {
    connection
        .optional(
            "SELECT id, name, email, created_at, disabled_at, current_environment_id, role, kind FROM users
             WHERE id = :id",
            named! {":id": id.uuid()},
            |row| row::owner(row, 0),
        )?
        .ok_or(StoreError::NotFound)
}

/// By primary keys.
pub(crate) const MANAGES: &str = "SELECT 1 FROM users o
     WHERE o.id = :owner_id
       AND (o.id = :user_id
            OR (o.kind = 'service_account'
                AND (EXISTS (SELECT 1 FROM service_account_managers m
                             WHERE m.service_account_id = o.id AND m.user_id = :user_id)
                     OR EXISTS (SELECT 1 FROM users a WHERE a.id = :user_id AND a.role = 'admin'))))";

/// Whether the user may act for this owner.
pub(crate) fn manages(connection: &dyn Connection, user: UserId, owner: UserId) -> Result<bool, StoreError> {
    let manages = connection.exists(
        MANAGES,
        named! {
            ":user_id": user.uuid(),
            ":owner_id": owner.uuid(),
        },
    )?;
    Ok(manages)
}

/// By primary keys. An administrator's session may also end the tokens of other users.
pub(crate) const ACTS_FOR: &str = "SELECT 1 FROM sessions s
     WHERE s.id = :session_id
       AND (s.user_id = :owner_id
            OR EXISTS (SELECT 1 FROM service_account_managers m
                       WHERE m.service_account_id = :owner_id AND m.user_id = s.user_id)
            OR EXISTS (SELECT 1 FROM users a WHERE a.id = s.user_id AND a.role = 'admin'))";

/// Fails if a session acts whose user may not change what `owner` owns, perhaps because the user was removed as a manager
/// during this request.
pub(crate) fn expect_to_act_for(
    connection: &dyn Connection,
    owner: UserId,
    by: &Attribution,
) -> Result<(), StoreError> {
    let session = match by.origin.actor {
        Actor::Session { id, .. } => id,
        // The token of an administrator. A token that changes itself or its family is its owner's.
        Actor::PersonalAccessToken { user, .. } if user != Some(owner) => return roles::expect_admin(connection, by),
        _ => return Ok(()),
    };
    let may = connection.exists(
        ACTS_FOR,
        named! {
            ":session_id": session.uuid(),
            ":owner_id": owner.uuid(),
        },
    )?;
    if may { Ok(()) } else { Err(StoreError::NotFound) }
}

/// By primary keys. The conditions of [`ACTS_FOR`], for an owner who is enabled.
pub(crate) const ADDS_FOR: &str = "SELECT u.id IS NOT NULL AND u.disabled_at IS NULL
       AND (s.user_id = :owner_id
            OR EXISTS (SELECT 1 FROM service_account_managers m
                       WHERE m.service_account_id = :owner_id AND m.user_id = s.user_id)
            OR EXISTS (SELECT 1 FROM users a WHERE a.id = s.user_id AND a.role = 'admin'))
     FROM sessions s LEFT JOIN users u ON u.id = :owner_id
     WHERE s.id = :session_id";

/// Fails like [`super::sessions::expect_open`], [`expect_to_act_for`] and [`users::expect_enabled`], with one question instead of three.
pub(crate) fn expect_to_add_for(
    connection: &dyn Connection,
    owner: UserId,
    by: &Attribution,
) -> Result<(), StoreError> {
    let Actor::Session { id: session, .. } = by.origin.actor else {
        expect_to_act_for(connection, owner, by)?;
        return users::expect_enabled(connection, owner);
    };
    let may = connection.remembered_flag(
        ADDS_FOR,
        named! {
            ":session_id": session.uuid(),
            ":owner_id": owner.uuid(),
        },
    )?;
    match may {
        Some(true) => Ok(()),
        Some(false) => Err(StoreError::NotFound),
        None => Err(StoreError::Conflict(Conflict::SessionEnded)),
    }
}

/// Live personal tokens, newest first: the newest of each of two ranges of an index.
pub(crate) const TOKENS: &str = "SELECT id, name FROM tokens
     WHERE owner_id = :owner_id AND environment_id IS NULL AND revoked_at IS NULL
       AND (expires_at IS NULL OR expires_at > :now)
     ORDER BY number DESC LIMIT :limit";
const COUNT_TOKENS: &str = "SELECT (SELECT count(*) FROM tokens
             WHERE owner_id = :owner_id AND revoked_at IS NULL AND environment_id IS NULL AND expires_at IS NULL)
          + (SELECT count(*) FROM tokens
             WHERE owner_id = :owner_id AND revoked_at IS NULL AND environment_id IS NULL AND expires_at > :now)";
pub(crate) const ENVIRONMENTS: &str = "SELECT id, name FROM environments
     WHERE owner_id = :owner_id ORDER BY created_at DESC, id DESC LIMIT :limit";
const COUNT_ENVIRONMENTS: &str = "SELECT count(*) FROM environments WHERE owner_id = :owner_id";
pub(crate) const SERVICE_ACCOUNTS: &str = "SELECT u.id, u.name
     FROM service_account_managers m CROSS JOIN users u ON u.id = m.service_account_id
     WHERE m.user_id = :owner_id ORDER BY m.service_account_id DESC LIMIT :limit";
const COUNT_SERVICE_ACCOUNTS: &str = "SELECT count(*) FROM service_account_managers WHERE user_id = :owner_id";

pub(crate) fn owned_by(
    connection: &dyn Connection,
    owner: UserId,
    now: Timestamp,
    limit: u32,
) -> Result<Owned, StoreError> {
    by_id(connection, owner)?;
    let (id, now) = (owner.uuid(), now.unix());
    let with_time = named! {":owner_id": id, ":now": now};
    let without = named! {":owner_id": id};
    let count = |sql, parameters| connection.one(sql, parameters, |row| row.get(0));
    Ok(Owned {
        tokens: OwnedItems {
            count: count(COUNT_TOKENS, with_time)?,
            first: first(connection, TOKENS, named! {":owner_id": id, ":now": now, ":limit": limit}, TokenId::new)?,
        },
        environments: OwnedItems {
            count: count(COUNT_ENVIRONMENTS, without)?,
            first: first(connection, ENVIRONMENTS, named! {":owner_id": id, ":limit": limit}, EnvironmentId::new)?,
        },
        service_accounts: OwnedItems {
            count: count(COUNT_SERVICE_ACCOUNTS, without)?,
            first: first(connection, SERVICE_ACCOUNTS, named! {":owner_id": id, ":limit": limit}, UserId::new)?,
        },
    })
}

/// How many live personal tokens the owner has.
pub(crate) fn count_live_tokens(connection: &dyn Connection, owner: UserId, now: Timestamp) -> Result<u32, StoreError> {
    let parameters = named! {":owner_id": owner.uuid(), ":now": now.unix()};
    connection.one(COUNT_TOKENS, parameters, |row| row.get(0))
}

/// How many environments the owner has.
pub(crate) fn count_environments(connection: &dyn Connection, owner: UserId) -> Result<u32, StoreError> {
    let parameters = named! {":owner_id": owner.uuid()};
    connection.one(COUNT_ENVIRONMENTS, parameters, |row| row.get(0))
}

fn first<Id>(
    connection: &dyn Connection,
    sql: &str,
    parameters: Parameters<'_>,
    id: fn(uuid::Uuid) -> Id,
) -> Result<Vec<(Id, Name)>, StoreError> {
    connection.all(sql, parameters, |row| Ok((id(row::identifier(row, 0)?), row::name(row, 1)?)))
}
