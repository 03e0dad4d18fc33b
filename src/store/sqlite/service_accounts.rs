//! SQL on service accounts and their managers. Each function runs inside one transaction of its caller.

use rusqlite::{Connection, OptionalExtension, Row, named_params};

use super::{
    audit::{self, without_address},
    current_environments::leave_unseen,
    environments, owners, row, users,
};
use crate::{
    domain::{
        annotations::Description,
        audit::Attribution,
        authority::Authority,
        events,
        id::{EnvironmentId, TokenId, UserId},
        owner::{Manager, ServiceAccount, ServiceAccountDetails},
        time::Timestamp,
    },
    store::{Change, Conflict, NewServiceAccount, ServiceAccountChange, ServiceAccountQuery, StoreError, invalidation},
};

pub(super) fn add(
    connection: &Connection,
    new: &NewServiceAccount,
    by: &Attribution,
) -> Result<ServiceAccountDetails, StoreError> {
    let NewServiceAccount { account, description, managers } = new;
    connection
        .prepare_cached(
            "INSERT INTO users (id, name, created_at, kind, description)
             VALUES (:id, :name, :created_at, 'service_account', :description)",
        )?
        .execute(named_params! {
            ":id": account.id.uuid().into_bytes(),
            ":name": account.name.as_str(),
            ":created_at": account.created_at.unix(),
            ":description": description.as_ref().map(Description::as_str),
        })?;
    users::add_salt(connection, account.id)?;
    audit::record(connection, by, &events::service_account_created(account.id))?;
    for manager in managers {
        add_manager(connection, account.id, *manager, by)?;
    }
    by_id(connection, account.id)
}

fn by_id(connection: &Connection, id: UserId) -> Result<ServiceAccountDetails, StoreError> {
    let found = connection
        .prepare_cached(
            "SELECT id, name, created_at, disabled_at, description FROM users
             WHERE id = :id AND kind = 'service_account'",
        )?
        .query_row(named_params! {":id": id.uuid().into_bytes()}, without_managers)
        .optional()?
        .ok_or(StoreError::NotFound)?;
    Ok(ServiceAccountDetails { managers: managers(connection, id)?, ..found })
}

/// id, name, created_at, disabled_at, description. The managers are read separately.
fn without_managers(row: &Row<'_>) -> rusqlite::Result<ServiceAccountDetails> {
    Ok(ServiceAccountDetails {
        account: ServiceAccount {
            id: UserId::new(row::identifier(row, 0)?),
            name: row::name(row, 1)?,
            created_at: row::time(row, 2)?,
            disabled_at: row::optional_time(row, 3)?,
        },
        description: description(row, 4)?,
        managers: Vec::new(),
    })
}

fn description(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<Description>> {
    let text = row.get_ref(at)?.as_str_or_null()?;
    text.map(|text| Description::parse(text).map_err(|error| row::conversion_error(at, error))).transpose()
}

pub(super) const MANAGERS: &str = "SELECT m.user_id, u.name, m.created_at
     FROM service_account_managers m JOIN users u ON u.id = m.user_id
     WHERE m.service_account_id = :id ORDER BY m.user_id";

fn managers(connection: &Connection, id: UserId) -> Result<Vec<Manager>, StoreError> {
    let mut statement = connection.prepare_cached(MANAGERS)?;
    let rows = statement.query_map(named_params! {":id": id.uuid().into_bytes()}, |row| {
        Ok(Manager {
            user: UserId::new(row::identifier(row, 0)?),
            name: row::name(row, 1)?,
            created_at: row::time(row, 2)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Fails unless the authority is an administrator's, or that of a manager.
fn expect_manager(connection: &Connection, authority: Authority, id: UserId) -> Result<(), StoreError> {
    match authority {
        Authority::User(user) if !owners::manages(connection, user, id)? => Err(StoreError::NotFound),
        _ => Ok(()),
    }
}

pub(super) fn managed(
    connection: &Connection,
    authority: Authority,
    id: UserId,
) -> Result<ServiceAccountDetails, StoreError> {
    expect_manager(connection, authority, id)?;
    by_id(connection, id)
}

/// In the order of the ids, which is that of creation.
macro_rules! list {
    ($from:literal, $order:literal) => {
        concat!(
            "SELECT u.id, u.name, u.created_at, u.disabled_at, u.description FROM ",
            $from,
            " AND (:search IS NULL OR instr(folded(u.name), :search) > 0 OR instr(folded(u.description), :search) > 0)
             ORDER BY ",
            $order,
            " DESC LIMIT :limit"
        )
    };
}

pub(super) const LIST: &str =
    list!("users u INDEXED BY users_service_accounts WHERE u.kind = 'service_account' AND u.id < :before", "u.id");
pub(super) const LIST_OF_MANAGER: &str = list!(
    "service_account_managers m CROSS JOIN users u ON u.id = m.service_account_id
     WHERE m.user_id = :manager AND m.service_account_id < :before",
    "m.service_account_id"
);

pub(super) fn list(
    connection: &Connection,
    authority: Authority,
    query: &ServiceAccountQuery,
) -> Result<Vec<ServiceAccountDetails>, StoreError> {
    // The largest identifier comes before no other.
    let before = query.before.map_or([0xff; 16], |id| id.uuid().into_bytes());
    let (search, limit) = (&query.search, query.limit);
    let mut statement;
    let rows = match authority {
        Authority::Administrator(_) => {
            statement = connection.prepare_cached(LIST)?;
            statement
                .query_map(named_params! {":before": before, ":search": search, ":limit": limit}, without_managers)?
        }
        Authority::User(user) => {
            statement = connection.prepare_cached(LIST_OF_MANAGER)?;
            let manager = user.uuid().into_bytes();
            let parameters = named_params! {":manager": manager, ":before": before, ":search": search, ":limit": limit};
            statement.query_map(parameters, without_managers)?
        }
    };
    let mut accounts = Vec::new();
    for account in rows {
        let account = account?;
        accounts.push(ServiceAccountDetails { managers: managers(connection, account.account.id)?, ..account });
    }
    Ok(accounts)
}

pub(super) fn change(
    connection: &Connection,
    authority: Authority,
    id: UserId,
    change: &ServiceAccountChange,
    by: &Attribution,
) -> Result<ServiceAccountDetails, StoreError> {
    expect_manager(connection, authority, id)?;
    let before = by_id(connection, id)?;
    let account = ServiceAccount {
        name: change.name.clone().unwrap_or_else(|| before.account.name.clone()),
        ..before.account.clone()
    };
    let description = change.description.clone().unwrap_or_else(|| before.description.clone());
    let after = ServiceAccountDetails { account, description, managers: before.managers.clone() };
    let what = match (before.account.name != after.account.name, before.description != after.description) {
        (false, false) => return Ok(after),
        (true, false) => "name",
        (false, true) => "description",
        (true, true) => "name, description",
    };
    connection.prepare_cached("UPDATE users SET name = :name, description = :description WHERE id = :id")?.execute(
        named_params! {
            ":id": id.uuid().into_bytes(),
            ":name": after.account.name.as_str(),
            ":description": after.description.as_ref().map(Description::as_str),
        },
    )?;
    audit::record(connection, by, &events::service_account_updated(id, what))?;
    Ok(after)
}

pub(super) fn disable(
    connection: &Connection,
    id: UserId,
    by: &Attribution,
) -> Result<ServiceAccountDetails, StoreError> {
    let account = by_id(connection, id)?;
    match account.account.disabled_at {
        Some(_) => Ok(account),
        None => {
            audit::record(connection, by, &events::service_account_disabled(id))?;
            set_disabled_at(connection, account, Some(by.at))
        }
    }
}

pub(super) fn enable(
    connection: &Connection,
    id: UserId,
    by: &Attribution,
) -> Result<ServiceAccountDetails, StoreError> {
    let account = by_id(connection, id)?;
    match account.account.disabled_at {
        None => Ok(account),
        Some(_) => {
            audit::record(connection, by, &events::service_account_enabled(id))?;
            set_disabled_at(connection, account, None)
        }
    }
}

fn set_disabled_at(
    connection: &Connection,
    mut details: ServiceAccountDetails,
    disabled_at: Option<Timestamp>,
) -> Result<ServiceAccountDetails, StoreError> {
    connection.prepare_cached("UPDATE users SET disabled_at = :disabled_at WHERE id = :id")?.execute(
        named_params! {
            ":id": details.account.id.uuid().into_bytes(),
            ":disabled_at": disabled_at.map(Timestamp::unix),
        },
    )?;
    details.account.disabled_at = disabled_at;
    Ok(details)
}

/// Adds the changes of other users to `changes`. The rows of tokens are deleted. The trail keeps that each was revoked.
pub(super) fn delete(
    connection: &Connection,
    id: UserId,
    by: &Attribution,
    changes: &mut Vec<Change>,
) -> Result<(), StoreError> {
    let account = by_id(connection, id)?;
    changes.extend(invalidation::user(id));
    for token in ids(connection, LIVE_TOKENS, id, Some(by.at))? {
        audit::record(connection, by, &events::revoked_with_service_account(id, TokenId::new(token)))?;
    }
    for environment in ids(connection, "SELECT id FROM environments WHERE owner_id = :id", id, None)? {
        environments::delete(connection, id, EnvironmentId::new(environment), by, changes)?;
    }
    for manager in &account.managers {
        audit::record(connection, &without_address(by), &events::manager_removed(id, manager.user).1)?;
    }
    connection
        .prepare_cached("DELETE FROM users WHERE id = :id")?
        .execute(named_params! {":id": id.uuid().into_bytes()})?;
    audit::record(connection, by, &events::service_account_deleted(id))
}

const LIVE_TOKENS: &str = "SELECT id FROM tokens
     WHERE owner_id = :id AND environment_id IS NULL AND revoked_at IS NULL
       AND (expires_at IS NULL OR expires_at > :now) ORDER BY number";

fn ids(connection: &Connection, sql: &str, id: UserId, now: Option<Timestamp>) -> Result<Vec<uuid::Uuid>, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    let id = id.uuid().into_bytes();
    let read = |row: &Row<'_>| row::identifier(row, 0);
    let rows = match now {
        Some(now) => statement.query_map(named_params! {":id": id, ":now": now.unix()}, read)?,
        None => statement.query_map(named_params! {":id": id}, read)?,
    };
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn add_manager(
    connection: &Connection,
    id: UserId,
    user: UserId,
    by: &Attribution,
) -> Result<ServiceAccountDetails, StoreError> {
    let account = by_id(connection, id)?;
    users::by_id(connection, user)?;
    if account.managers.iter().any(|manager| manager.user == user) {
        return Ok(account);
    }
    if account.managers.len() >= ServiceAccount::MAX_MANAGERS as usize {
        return Err(StoreError::Conflict(Conflict::TooManyManagers));
    }
    connection
        .prepare_cached(
            "INSERT INTO service_account_managers (service_account_id, user_id, created_at)
             VALUES (:id, :user_id, :created_at)",
        )?
        .execute(named_params! {
            ":id": id.uuid().into_bytes(),
            ":user_id": user.uuid().into_bytes(),
            ":created_at": by.at.unix(),
        })?;
    let (for_account, for_user) = events::manager_added(id, user);
    audit::record(connection, by, &for_account)?;
    audit::record(connection, &without_address(by), &for_user)?;
    by_id(connection, id)
}

/// The user leaves an environment of the service account that they had selected, unless they are a member of it.
pub(super) fn remove_manager(
    connection: &Connection,
    id: UserId,
    user: UserId,
    by: &Attribution,
    changes: &mut Vec<Change>,
) -> Result<ServiceAccountDetails, StoreError> {
    let removed = connection
        .prepare_cached("DELETE FROM service_account_managers WHERE service_account_id = :id AND user_id = :user_id")?
        .execute(named_params! {":id": id.uuid().into_bytes(), ":user_id": user.uuid().into_bytes()})?;
    if removed == 0 {
        return Err(StoreError::NotFound);
    }
    let current = users::by_id(connection, user)?.current_environment;
    leave_unseen(connection, current, None, by, changes)?;
    let (for_account, for_user) = events::manager_removed(id, user);
    audit::record(connection, by, &for_account)?;
    audit::record(connection, &without_address(by), &for_user)?;
    by_id(connection, id)
}
