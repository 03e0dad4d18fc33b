//! SQL on users. Each function runs inside one transaction of its caller.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, named_params};

use super::{audit, password_links, row, sessions};
use crate::{
    domain::{
        account::{HashParameters, PasswordHash, User, UserCredentials},
        audit::Attribution,
        events,
        id::UserId,
        time::Timestamp,
    },
    store::{Conflict, PasswordChange, ProfileChange, StoreError},
};

pub(super) fn add(
    connection: &Connection,
    user: &User,
    password: Option<&PasswordHash>,
    by: &Attribution,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO users (id, name, email, email_canonical, password_hash, created_at, disabled_at,
                                current_environment_id, role)
             VALUES (:id, :name, :email, :email_canonical, :password_hash, :created_at, :disabled_at,
                     :current_environment_id, :role)",
        )?
        .execute(named_params! {
            ":id": user.id.uuid().into_bytes(),
            ":name": user.name.as_str(),
            ":email": user.email.as_str(),
            ":email_canonical": user.email.canonical(),
            ":password_hash": password.map(PasswordHash::expose),
            ":created_at": user.created_at.unix(),
            ":disabled_at": user.disabled_at.map(Timestamp::unix),
            ":current_environment_id": user.current_environment.uuid().into_bytes(),
            ":role": user.role.as_str(),
        })?;
    connection
        .prepare_cached(
            "INSERT INTO environments (id, owner_id, name, is_default, created_at)
             VALUES (:id, :owner_id, 'Default', 1, :created_at)",
        )?
        .execute(named_params! {
            ":id": user.current_environment.uuid().into_bytes(),
            ":owner_id": user.id.uuid().into_bytes(),
            ":created_at": user.created_at.unix(),
        })?;
    add_salt(connection, user.id)?;
    audit::record(connection, by, &events::user_created(user.id))
}

/// Adds the salt with which addresses and details in the user's trail are sealed.
pub(super) fn add_salt(connection: &Connection, id: UserId) -> Result<(), StoreError> {
    connection
        .prepare_cached("INSERT INTO audit_salts (user_id, salt) VALUES (:user_id, randomblob(32))")?
        .execute(named_params! {":user_id": id.uuid().into_bytes()})?;
    Ok(())
}

pub(super) fn by_id(connection: &Connection, id: UserId) -> Result<User, StoreError> {
    connection
        .prepare_cached(
            "SELECT id, name, email, created_at, disabled_at, current_environment_id, role FROM users
             WHERE id = :id AND kind = 'user'",
        )?
        .query_row(named_params! {":id": id.uuid().into_bytes()}, |row| row::user(row, 0))
        .optional()?
        .ok_or(StoreError::NotFound)
}

/// Fails if there is no such user, or the user is disabled.
pub(super) fn expect_enabled(connection: &Connection, id: UserId) -> Result<(), StoreError> {
    let enabled = connection
        .prepare_cached("SELECT 1 FROM users WHERE id = :id AND disabled_at IS NULL")?
        .exists(named_params! {":id": id.uuid().into_bytes()})?;
    if enabled { Ok(()) } else { Err(StoreError::NotFound) }
}

pub(super) fn credentials(connection: &Connection, id: UserId) -> Result<UserCredentials, StoreError> {
    connection
        .prepare_cached(
            "SELECT id, name, email, created_at, disabled_at, current_environment_id, role, password_hash
             FROM users WHERE id = :id AND kind = 'user'",
        )?
        .query_row(named_params! {":id": id.uuid().into_bytes()}, row::credentials)
        .optional()?
        .ok_or(StoreError::NotFound)
}

pub(super) fn credentials_by_email(
    connection: &Connection,
    canonical: &str,
) -> Result<Option<UserCredentials>, StoreError> {
    let found = connection
        .prepare_cached(
            "SELECT id, name, email, created_at, disabled_at, current_environment_id, role, password_hash
             FROM users WHERE email_canonical = :email_canonical",
        )?
        .query_row(named_params! {":email_canonical": canonical}, row::credentials)
        .optional()?;
    Ok(found)
}

/// Uses an index whose order is independent of when a password was hashed, so that the first users stand for all.
pub(super) const HASHES: &str = "SELECT password_hash FROM users
     WHERE password_hash IS NOT NULL ORDER BY email_canonical LIMIT :sample";

pub(super) fn hash_parameters(connection: &Connection, sample: u32) -> Result<Vec<(HashParameters, u64)>, StoreError> {
    let mut counted = BTreeMap::<HashParameters, u64>::new();
    let mut statement = connection.prepare_cached(HASHES)?;
    let rows = statement.query_map(named_params! {":sample": sample}, |row| row.get(0).map(PasswordHash::new))?;
    for hash in rows {
        *counted.entry(hash?.parameters()).or_default() += 1;
    }
    Ok(counted.into_iter().collect())
}

pub(super) fn list(connection: &Connection, after: Option<UserId>, limit: u32) -> Result<Vec<User>, StoreError> {
    // The empty blob sorts before every identifier.
    let after = after.map_or(Vec::new(), |id| id.uuid().into_bytes().to_vec());
    let mut statement = connection.prepare_cached(
        "SELECT id, name, email, created_at, disabled_at, current_environment_id, role FROM users
         WHERE id > :after AND kind = 'user' ORDER BY id LIMIT :limit",
    )?;
    let rows = statement.query_map(named_params! {":after": after, ":limit": limit}, |row| row::user(row, 0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn change_profile(
    connection: &Connection,
    id: UserId,
    change: &ProfileChange,
    by: &Attribution,
) -> Result<User, StoreError> {
    if let Some(verified) = &change.verified {
        expect_credentials(connection, id, verified)?;
    }
    let before = by_id(connection, id)?;
    let after = connection
        .prepare_cached(
            "UPDATE users SET name = coalesce(:name, name), email = coalesce(:email, email),
                              email_canonical = coalesce(:email_canonical, email_canonical)
             WHERE id = :id AND kind = 'user'
             RETURNING id, name, email, created_at, disabled_at, current_environment_id, role",
        )?
        .query_row(
            named_params! {
                ":id": id.uuid().into_bytes(),
                ":name": change.name.as_ref().map(|name| name.as_str()),
                ":email": change.email.as_ref().map(|email| email.as_str()),
                ":email_canonical": change.email.as_ref().map(|email| email.canonical()),
            },
            |row| row::user(row, 0),
        )?;
    if before.name != after.name {
        audit::record(connection, by, &events::user_renamed(id))?;
    }
    if before.email != after.email {
        // The link may have been sent to the address that was wrong.
        password_links::end(connection, id)?;
        let changed = events::email_changed(id, before.email.as_str(), after.email.as_str());
        audit::record(connection, by, &changed)?;
    }
    Ok(after)
}

pub(super) fn change_password(
    connection: &Connection,
    id: UserId,
    change: &PasswordChange,
    by: &Attribution,
) -> Result<(), StoreError> {
    match &change.verified {
        Some(verified) => expect_credentials(connection, id, verified)?,
        None => drop(by_id(connection, id)?),
    }
    set_password(connection, id, &change.password)?;
    password_links::end(connection, id)?;
    audit::record(connection, by, &events::password_changed(id))?;
    sessions::end_all(connection, id, by.session(), by)?;
    Ok(())
}

/// Fails unless `verified` is still the stored hash and the user is enabled.
pub(super) fn expect_credentials(
    connection: &Connection,
    id: UserId,
    verified: &PasswordHash,
) -> Result<(), StoreError> {
    let stored = credentials(connection, id)?;
    match stored.password.as_ref() == Some(verified) && stored.user.disabled_at.is_none() {
        true => Ok(()),
        false => Err(StoreError::Conflict(Conflict::CredentialsChanged)),
    }
}

pub(super) fn set_password(connection: &Connection, id: UserId, password: &PasswordHash) -> Result<(), StoreError> {
    connection.prepare_cached("UPDATE users SET password_hash = :password_hash WHERE id = :id")?.execute(
        named_params! {
            ":id": id.uuid().into_bytes(),
            ":password_hash": password.expose(),
        },
    )?;
    Ok(())
}
