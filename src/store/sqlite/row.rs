//! Rows to domain values: one function a table. Each states the columns it reads, from column `at` on.
//!
//! What the domain would refuse should never have been stored: it is answered as a defect, without the value.

use std::error::Error;

use rusqlite::{Row, types::Type};
use uuid::Uuid;

use crate::domain::{
    ability::{Abilities, Ability},
    account::{Email, PasswordHash, User, UserCredentials},
    id::{EnvironmentId, SessionId, TokenId, UserId},
    secret::Hint,
    session::Session,
    text::Name,
    time::Timestamp,
    token::Token,
};

/// How many columns [`token`] and [`session`] read: where a joined user begins.
pub(super) const TOKEN_COLUMNS: usize = 10;
pub(super) const TOKEN_ABILITIES: usize = 4;
pub(super) const SESSION_COLUMNS: usize = 6;

/// id, name, email, created_at, disabled_at, current_environment_id
pub(super) fn user(row: &Row<'_>, at: usize) -> rusqlite::Result<User> {
    let environment: Option<[u8; 16]> = row.get(at + 5)?;
    Ok(User {
        id: UserId::new(identifier(row, at)?),
        name: name(row, at + 1)?,
        email: parsed(row, at + 2, Email::parse)?,
        created_at: time(row, at + 3)?,
        disabled_at: optional_time(row, at + 4)?,
        current_environment: environment.map(|id| EnvironmentId::new(Uuid::from_bytes(id))),
    })
}

/// The columns of [`user`], then password_hash
pub(super) fn credentials(row: &Row<'_>) -> rusqlite::Result<UserCredentials> {
    Ok(UserCredentials { user: user(row, 0)?, password: PasswordHash::new(row.get(6)?) })
}

/// id, user_id, device_name, created_at, last_used_at, expires_at
pub(super) fn session(row: &Row<'_>) -> rusqlite::Result<Session> {
    let device_name: Option<String> = row.get(2)?;
    Ok(Session {
        id: SessionId::new(identifier(row, 0)?),
        user: UserId::new(identifier(row, 1)?),
        device_name: device_name.map(|_| name(row, 2)).transpose()?,
        created_at: time(row, 3)?,
        last_used_at: time(row, 4)?,
        expires_at: time(row, 5)?,
    })
}

/// Whether the columns of [`user`] say the same as `user`. The address decides over its canonical form.
pub(super) fn is_user(row: &Row<'_>, at: usize, user: &User) -> rusqlite::Result<bool> {
    let environment: Option<[u8; 16]> = row.get(at + 5)?;
    Ok(identifier(row, at)? == user.id.uuid()
        && row.get_ref(at + 1)?.as_str()? == user.name.as_str()
        && row.get_ref(at + 2)?.as_str()? == user.email.as_str()
        && time(row, at + 3)? == user.created_at
        && optional_time(row, at + 4)? == user.disabled_at
        && environment == user.current_environment.map(|id| id.uuid().into_bytes()))
}

/// id, number, owner_id, name, abilities, hint, created_at, expires_at, last_used_at, revoked_at
pub(super) fn token(row: &Row<'_>) -> rusqlite::Result<Token> {
    token_with(row, abilities(row, TOKEN_ABILITIES)?)
}

/// The same columns, with the abilities that were made of theirs.
pub(super) fn token_with(row: &Row<'_>, abilities: Abilities) -> rusqlite::Result<Token> {
    Ok(Token {
        id: TokenId::new(identifier(row, 0)?),
        number: row.get(1)?,
        owner: UserId::new(identifier(row, 2)?),
        name: name(row, 3)?,
        abilities,
        hint: parsed(row, 5, Hint::parse)?,
        created_at: time(row, 6)?,
        expires_at: optional_time(row, 7)?,
        last_used_at: optional_time(row, 8)?,
        revoked_at: optional_time(row, 9)?,
    })
}

/// The text in which the column `abilities` keeps them.
pub(super) fn joined(abilities: &Abilities) -> String {
    let words: Vec<&str> = abilities.iter().map(Ability::as_str).collect();
    words.join(" ")
}

pub(super) fn abilities(row: &Row<'_>, at: usize) -> rusqlite::Result<Abilities> {
    let text = row.get_ref(at)?.as_str()?;
    let words: Result<Vec<Ability>, _> = text.split_terminator(' ').map(Ability::parse).collect();
    Abilities::new(words.map_err(|error| unfit(at, error))?).map_err(|error| unfit(at, error))
}

fn name(row: &Row<'_>, at: usize) -> rusqlite::Result<Name> {
    parsed(row, at, Name::parse)
}

fn parsed<T, E: Error + Send + Sync + 'static>(
    row: &Row<'_>,
    at: usize,
    parse: fn(&str) -> Result<T, E>,
) -> rusqlite::Result<T> {
    parse(row.get_ref(at)?.as_str()?).map_err(|error| unfit(at, error))
}

pub(super) fn identifier(row: &Row<'_>, at: usize) -> rusqlite::Result<Uuid> {
    row.get(at).map(Uuid::from_bytes)
}

fn time(row: &Row<'_>, at: usize) -> rusqlite::Result<Timestamp> {
    row.get(at).map(Timestamp::from_unix)
}

fn optional_time(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<Timestamp>> {
    let seconds: Option<i64> = row.get(at)?;
    Ok(seconds.map(Timestamp::from_unix))
}

fn unfit(at: usize, error: impl Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(at, Type::Text, Box::new(error))
}
