//! SQL on service accounts and their managers. Each function runs inside one transaction of its caller.

use uuid::Uuid;

use super::{
    audit::{self, without_address},
    connection::{Connection, Parameters, Row, named},
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

pub(crate) fn add(
    connection: &dyn Connection,
    new: &NewServiceAccount,
    by: &Attribution,
) -> Result<ServiceAccountDetails, StoreError> {
    let NewServiceAccount { account, description, managers } = new;
    connection.execute(
        "INSERT INTO users (id, name, created_at, kind, description)
             VALUES (:id, :name, :created_at, 'service_account', :description)",
        named! {
            ":id": account.id.uuid(),
            ":name": account.name.as_str(),
            ":created_at": account.created_at.unix(),
            ":description": description.as_ref().map(Description::as_str),
        },
    )?;
    users::add_salt(connection, account.id)?;
    audit::record(connection, by, &events::service_account_created(account.id))?;
    for manager in managers {
        add_manager(connection, account.id, *manager, by)?;
    }
    by_id(connection, account.id)
}

fn by_id(connection: &dyn Connection, id: UserId) -> Result<ServiceAccountDetails, StoreError> {
    let found = connection
        .optional(
            "SELECT id, name, created_at, disabled_at, description FROM users
             WHERE id = :id AND kind = 'service_account'",
            named! {":id": id.uuid()},
            without_managers,
        )?
        .ok_or(StoreError::NotFound)?;
    Ok(ServiceAccountDetails { managers: managers(connection, id)?, ..found })
}

/// id, name, created_at, disabled_at, description. The managers are read separately.
fn without_managers(row: &dyn Row) -> Result<ServiceAccountDetails, StoreError> {
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

fn description(row: &dyn Row, at: usize) -> Result<Option<Description>, StoreError> {
    let text = row.optional_text(at)?;
    text.map(|text| Description::parse(text).map_err(|error| row::conversion_error(at, error))).transpose()
}

pub(crate) const MANAGERS: &str = "SELECT m.user_id, u.name, m.created_at
     FROM service_account_managers m JOIN users u ON u.id = m.user_id
     WHERE m.service_account_id = :id ORDER BY m.user_id";

fn managers(connection: &dyn Connection, id: UserId) -> Result<Vec<Manager>, StoreError> {
    connection.all(MANAGERS, named! {":id": id.uuid()}, |row| {
        Ok(Manager {
            user: UserId::new(row::identifier(row, 0)?),
            name: row::name(row, 1)?,
            created_at: row::time(row, 2)?,
        })
    })
}

/// Fails unless the authority is an administrator's, or that of a manager.
fn expect_manager(connection: &dyn Connection, authority: Authority, id: UserId) -> Result<(), StoreError> {
    match authority {
        Authority::User(user) if !owners::manages(connection, user, id)? => Err(StoreError::NotFound),
        _ => Ok(()),
    }
}

pub(crate) fn managed(
    connection: &dyn Connection,
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

pub(crate) const LIST: &str =
    list!("users u INDEXED BY users_service_accounts WHERE u.kind = 'service_account' AND u.id < :before", "u.id");
pub(crate) const LIST_OF_MANAGER: &str = list!(
    "service_account_managers m CROSS JOIN users u ON u.id = m.service_account_id
     WHERE m.user_id = :manager AND m.service_account_id < :before",
    "m.service_account_id"
);

pub(crate) fn list(
    connection: &dyn Connection,
    authority: Authority,
    query: &ServiceAccountQuery,
) -> Result<Vec<ServiceAccountDetails>, StoreError> {
    // The largest identifier comes before no other.
    let before = query.before.map_or(Uuid::max(), |id| id.uuid());
    let (search, limit) = (query.search.as_deref(), query.limit);
    let accounts = match authority {
        Authority::Administrator(_) => {
            let parameters = named! {":before": before, ":search": search, ":limit": limit};
            connection.all(LIST, parameters, without_managers)?
        }
        Authority::User(user) => {
            let parameters = named! {":manager": user.uuid(), ":before": before, ":search": search, ":limit": limit};
            connection.all(LIST_OF_MANAGER, parameters, without_managers)?
        }
    };
    let with_managers = |account: ServiceAccountDetails| {
        Ok(ServiceAccountDetails { managers: managers(connection, account.account.id)?, ..account })
    };
    accounts.into_iter().map(with_managers).collect()
}

pub(crate) fn change(
    connection: &dyn Connection,
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
    connection.execute(
        "UPDATE users SET name = :name, description = :description WHERE id = :id",
        named! {
            ":id": id.uuid(),
            ":name": after.account.name.as_str(),
            ":description": after.description.as_ref().map(Description::as_str),
        },
    )?;
    audit::record(connection, by, &events::service_account_updated(id, what))?;
    Ok(after)
}

pub(crate) fn disable(
    connection: &dyn Connection,
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

pub(crate) fn enable(
    connection: &dyn Connection,
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
    connection: &dyn Connection,
    mut details: ServiceAccountDetails,
    disabled_at: Option<Timestamp>,
) -> Result<ServiceAccountDetails, StoreError> {
    connection.execute(
        "UPDATE users SET disabled_at = :disabled_at WHERE id = :id",
        named! {
            ":id": details.account.id.uuid(),
            ":disabled_at": disabled_at.map(Timestamp::unix),
        },
    )?;
    details.account.disabled_at = disabled_at;
    Ok(details)
}

/// Adds the changes of other users to `changes`. The rows of tokens are deleted. The trail keeps that each was revoked.
pub(crate) fn delete(
    connection: &dyn Connection,
    id: UserId,
    by: &Attribution,
    changes: &mut Vec<Change>,
) -> Result<(), StoreError> {
    let account = by_id(connection, id)?;
    changes.extend(invalidation::user(id));
    for token in ids(connection, LIVE_TOKENS, named! {":id": id.uuid(), ":now": by.at.unix()})? {
        audit::record(connection, by, &events::revoked_with_service_account(id, TokenId::new(token)))?;
    }
    for environment in ids(connection, ENVIRONMENTS, named! {":id": id.uuid()})? {
        environments::delete(connection, id, EnvironmentId::new(environment), by, changes)?;
    }
    for manager in &account.managers {
        audit::record(connection, &without_address(by), &events::manager_removed(id, manager.user).1)?;
    }
    connection.execute("DELETE FROM users WHERE id = :id", named! {":id": id.uuid()})?;
    audit::record(connection, by, &events::service_account_deleted(id))
}

const ENVIRONMENTS: &str = "SELECT id FROM environments WHERE owner_id = :id";

const LIVE_TOKENS: &str = "SELECT id FROM tokens
     WHERE owner_id = :id AND environment_id IS NULL AND revoked_at IS NULL
       AND (expires_at IS NULL OR expires_at > :now) ORDER BY number";

fn ids(connection: &dyn Connection, sql: &str, parameters: Parameters<'_>) -> Result<Vec<Uuid>, StoreError> {
    connection.all(sql, parameters, |row| row::identifier(row, 0))
}

pub(crate) fn add_manager(
    connection: &dyn Connection,
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
    connection.execute(
        "INSERT INTO service_account_managers (service_account_id, user_id, created_at)
             VALUES (:id, :user_id, :created_at)",
        named! {
            ":id": id.uuid(),
            ":user_id": user.uuid(),
            ":created_at": by.at.unix(),
        },
    )?;
    let (for_account, for_user) = events::manager_added(id, user);
    audit::record(connection, by, &for_account)?;
    audit::record(connection, &without_address(by), &for_user)?;
    by_id(connection, id)
}

/// The user leaves an environment of the service account that they had selected, unless they are a member of it.
pub(crate) fn remove_manager(
    connection: &dyn Connection,
    id: UserId,
    user: UserId,
    by: &Attribution,
    changes: &mut Vec<Change>,
) -> Result<ServiceAccountDetails, StoreError> {
    let removed = connection.execute(
        "DELETE FROM service_account_managers WHERE service_account_id = :id AND user_id = :user_id",
        named! {":id": id.uuid(), ":user_id": user.uuid()},
    )?;
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
