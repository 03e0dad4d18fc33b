//! SQL on users. Each function runs inside one transaction of its caller.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::{
    audit,
    connection::{Connection, named},
    password_links, row, sessions,
};
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

pub(crate) fn add(
    connection: &dyn Connection,
    user: &User,
    password: Option<&PasswordHash>,
    by: &Attribution,
) -> Result<(), StoreError> {
    connection.execute(
        "INSERT INTO users (id, name, email, email_canonical, password_hash, created_at, disabled_at,
                                current_environment_id, role)
             VALUES (:id, :name, :email, :email_canonical, :password_hash, :created_at, :disabled_at,
                     :current_environment_id, :role)",
        named! {
            ":id": user.id.uuid(),
            ":name": user.name.as_str(),
            ":email": user.email.as_str(),
            ":email_canonical": user.email.canonical(),
            ":password_hash": password.map(PasswordHash::expose),
            ":created_at": user.created_at.unix(),
            ":disabled_at": user.disabled_at.map(Timestamp::unix),
            ":current_environment_id": user.current_environment.uuid(),
            ":role": user.role.as_str(),
        },
    )?;
    connection.execute(
        "INSERT INTO environments (id, owner_id, name, is_default, created_at)
             VALUES (:id, :owner_id, 'Default', TRUE, :created_at)",
        named! {
            ":id": user.current_environment.uuid(),
            ":owner_id": user.id.uuid(),
            ":created_at": user.created_at.unix(),
        },
    )?;
    add_salt(connection, user.id)?;
    audit::record(connection, by, &events::user_created(user.id))
}

/// Adds the salt with which addresses and details in the user's trail are sealed.
pub(crate) fn add_salt(connection: &dyn Connection, id: UserId) -> Result<(), StoreError> {
    let mut salt = [0; 32];
    getrandom::fill(&mut salt).map_err(|error| StoreError::NotMade(format!("no random numbers: {error}")))?;
    connection.execute(
        "INSERT INTO audit_salts (user_id, salt) VALUES (:user_id, :salt)",
        named! {":user_id": id.uuid(), ":salt": salt},
    )?;
    Ok(())
}

pub(crate) fn by_id(connection: &dyn Connection, id: UserId) -> Result<User, StoreError> {
    connection
        .optional(
            "SELECT id, name, email, created_at, disabled_at, current_environment_id, role FROM users
             WHERE id = :id AND kind = 'user'",
            named! {":id": id.uuid()},
            |row| row::user(row, 0),
        )?
        .ok_or(StoreError::NotFound)
}

/// Fails if there is no such user, or the user is disabled.
pub(crate) fn expect_enabled(connection: &dyn Connection, id: UserId) -> Result<(), StoreError> {
    let enabled =
        connection.exists("SELECT 1 FROM users WHERE id = :id AND disabled_at IS NULL", named! {":id": id.uuid()})?;
    if enabled { Ok(()) } else { Err(StoreError::NotFound) }
}

pub(crate) fn credentials(connection: &dyn Connection, id: UserId) -> Result<UserCredentials, StoreError> {
    connection
        .optional(
            "SELECT id, name, email, created_at, disabled_at, current_environment_id, role, password_hash
             FROM users WHERE id = :id AND kind = 'user'",
            named! {":id": id.uuid()},
            row::credentials,
        )?
        .ok_or(StoreError::NotFound)
}

pub(crate) fn credentials_by_email(
    connection: &dyn Connection,
    canonical: &str,
) -> Result<Option<UserCredentials>, StoreError> {
    connection.optional(
        "SELECT id, name, email, created_at, disabled_at, current_environment_id, role, password_hash
             FROM users WHERE email_canonical = :email_canonical",
        named! {":email_canonical": canonical},
        row::credentials,
    )
}

/// Uses an index whose order is independent of when a password was hashed, so that the first users stand for all.
pub(crate) const HASHES: &str = "SELECT password_hash FROM users
     WHERE password_hash IS NOT NULL ORDER BY email_canonical LIMIT :sample";

pub(crate) fn hash_parameters(
    connection: &dyn Connection,
    sample: u32,
) -> Result<Vec<(HashParameters, u64)>, StoreError> {
    let mut counted = BTreeMap::<HashParameters, u64>::new();
    let hashes = connection.all(HASHES, named! {":sample": sample}, |row| row.get(0).map(PasswordHash::new))?;
    for hash in hashes {
        *counted.entry(hash.parameters()).or_default() += 1;
    }
    Ok(counted.into_iter().collect())
}

pub(crate) fn list(connection: &dyn Connection, after: Option<UserId>, limit: u32) -> Result<Vec<User>, StoreError> {
    let after = after.map_or(Uuid::nil(), |id| id.uuid());
    connection.all(
        "SELECT id, name, email, created_at, disabled_at, current_environment_id, role FROM users
         WHERE id > :after AND kind = 'user' ORDER BY id LIMIT :limit",
        named! {":after": after, ":limit": limit},
        |row| row::user(row, 0),
    )
}

pub(crate) fn change_profile(
    connection: &dyn Connection,
    id: UserId,
    change: &ProfileChange,
    by: &Attribution,
) -> Result<User, StoreError> {
    if let Some(verified) = &change.verified {
        expect_credentials(connection, id, verified)?;
    }
    let before = by_id(connection, id)?;
    let after = connection.one(
        "UPDATE users SET name = coalesce(:name, name), email = coalesce(:email, email),
                              email_canonical = coalesce(:email_canonical, email_canonical)
             WHERE id = :id AND kind = 'user'
             RETURNING id, name, email, created_at, disabled_at, current_environment_id, role",
        named! {
            ":id": id.uuid(),
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

pub(crate) fn change_password(
    connection: &dyn Connection,
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
pub(crate) fn expect_credentials(
    connection: &dyn Connection,
    id: UserId,
    verified: &PasswordHash,
) -> Result<(), StoreError> {
    let stored = credentials(connection, id)?;
    match stored.password.as_ref() == Some(verified) && stored.user.disabled_at.is_none() {
        true => Ok(()),
        false => Err(StoreError::Conflict(Conflict::CredentialsChanged)),
    }
}

pub(crate) fn set_password(connection: &dyn Connection, id: UserId, password: &PasswordHash) -> Result<(), StoreError> {
    connection.execute(
        "UPDATE users SET password_hash = :password_hash WHERE id = :id",
        named! {
            ":id": id.uuid(),
            ":password_hash": password.expose(),
        },
    )?;
    Ok(())
}
