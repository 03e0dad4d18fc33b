//! SQL on password links. Each function runs inside one transaction of its caller.

use super::{
    audit,
    connection::{Connection, named},
    row,
};
use crate::{
    domain::{
        audit::Attribution,
        events,
        id::UserId,
        password_link::{NewPasswordLink, PasswordLink},
        secret::TokenHash,
    },
    store::StoreError,
};

/// Adds the link of a new user.
pub(crate) fn add(
    connection: &dyn Connection,
    user: UserId,
    link: &NewPasswordLink,
    by: &Attribution,
) -> Result<(), StoreError> {
    replace(connection, user, link, by)?;
    audit::record(connection, by, &events::password_link_created(user, false))
}

/// Adds a link, in the place of the user's earlier one.
pub(crate) fn replace(
    connection: &dyn Connection,
    user: UserId,
    link: &NewPasswordLink,
    by: &Attribution,
) -> Result<(), StoreError> {
    connection.execute(
        "INSERT INTO password_links (user_id, hash, created_at, expires_at)
             VALUES (:user_id, :hash, :created_at, :expires_at)
             ON CONFLICT (user_id) DO UPDATE
             SET hash = excluded.hash, created_at = excluded.created_at, expires_at = excluded.expires_at",
        named! {
            ":user_id": user.uuid(),
            ":hash": link.hash.as_bytes(),
            ":created_at": by.at.unix(),
            ":expires_at": link.expires_at.unix(),
        },
    )?;
    Ok(())
}

/// Uses two unique indexes.
pub(crate) const BY_HASH: &str = "SELECT u.id, u.name, u.email, u.created_at, u.disabled_at, u.current_environment_id,
            u.role, l.expires_at
     FROM password_links l JOIN users u ON u.id = l.user_id
     WHERE l.hash = :hash";

pub(crate) fn by_hash(connection: &dyn Connection, hash: &TokenHash) -> Result<Option<PasswordLink>, StoreError> {
    connection.optional(BY_HASH, named! {":hash": hash.as_bytes()}, |row| {
        Ok(PasswordLink { user: row::user(row, 0)?, expires_at: row::time(row, 7)? })
    })
}

/// Removes the user's link, if there is one.
pub(crate) fn end(connection: &dyn Connection, user: UserId) -> Result<(), StoreError> {
    connection.execute("DELETE FROM password_links WHERE user_id = :user_id", named! {":user_id": user.uuid()})?;
    Ok(())
}
