//! Converts rows to domain values, with one function for each type. Its comment lists the columns that it reads, from
//! column `at` on.
//!
//! A stored value that the domain refuses is a defect. The error does not contain the value, which may be confidential.

use std::{borrow::Cow, collections::BTreeMap, error::Error, net::AddrParseError};

use rusqlite::{Row, types::Type};
use uuid::Uuid;

use crate::domain::{
    ability::{Abilities, Ability},
    account::{Email, PasswordHash, Role as UserRole, User, UserCredentials},
    account_state::{Account, AccountState},
    annotations::{Annotations, Description, Metadata},
    audit::{Action, Actor, Attribution, Entry, Event, Outcome, RequestSource, Target},
    environment::{Environment, EnvironmentAccess, Member, MemberRole, Role},
    id::{EnvironmentId, SessionId, TokenId, UserId},
    owner::{Owner, ServiceAccount},
    secret::Hint,
    session::Session,
    text::Name,
    time::Timestamp,
    token::{Grace, Revocation, RevocationReason, Token},
    usage_limits::{Allowlist, UsageLimits},
};

/// How many columns [`token`] and [`session`] read. The columns of a joined user follow them.
pub(super) const TOKEN_COLUMNS: usize = 23;
pub(super) const TOKEN_ABILITIES: usize = 4;
pub(super) const SESSION_COLUMNS: usize = 6;

/// id, name, email, created_at, disabled_at, current_environment_id, role
pub(super) fn user(row: &Row<'_>, at: usize) -> rusqlite::Result<User> {
    Ok(User {
        id: UserId::new(identifier(row, at)?),
        name: name(row, at + 1)?,
        email: parsed(row, at + 2, Email::parse_stored)?,
        created_at: time(row, at + 3)?,
        disabled_at: optional_time(row, at + 4)?,
        current_environment: EnvironmentId::new(identifier(row, at + 5)?),
        role: parsed(row, at + 6, UserRole::parse)?,
    })
}

/// The columns of [`user`], kind
pub(super) fn owner(row: &Row<'_>, at: usize) -> rusqlite::Result<Owner> {
    if !is_service_account(row, at)? {
        return Ok(Owner::User(user(row, at)?));
    }
    Ok(Owner::ServiceAccount(ServiceAccount {
        id: UserId::new(identifier(row, at)?),
        name: name(row, at + 1)?,
        created_at: time(row, at + 3)?,
        disabled_at: optional_time(row, at + 4)?,
    }))
}

fn is_service_account(row: &Row<'_>, at: usize) -> rusqlite::Result<bool> {
    Ok(row.get_ref(at + 7)?.as_str()? == "service_account")
}

/// The columns of [`user`], password_hash
pub(super) fn credentials(row: &Row<'_>) -> rusqlite::Result<UserCredentials> {
    let password: Option<String> = row.get(7)?;
    Ok(UserCredentials { user: user(row, 0)?, password: password.map(PasswordHash::new) })
}

/// The columns of [`user`], whether there is a password
pub(super) fn account(row: &Row<'_>) -> rusqlite::Result<Account> {
    let user = user(row, 0)?;
    Ok(Account { state: AccountState::of(user.disabled_at, row.get(7)?), user })
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

/// Whether the columns of [`owner`] are equal to `owner`. The canonical e-mail address follows from the address.
pub(super) fn is_owner(row: &Row<'_>, at: usize, owner: &Owner) -> rusqlite::Result<bool> {
    let is_same = identifier(row, at)? == owner.id().uuid()
        && row.get_ref(at + 1)?.as_str()? == owner.name().as_str()
        && optional_time(row, at + 4)? == owner.disabled_at();
    Ok(match owner {
        _ if !is_same => false,
        Owner::User(user) => {
            row.get_ref(at + 2)?.as_str_or_null()? == Some(user.email.as_str())
                && time(row, at + 3)? == user.created_at
                && optional_identifier(row, at + 5)? == Some(user.current_environment.uuid())
                && row.get_ref(at + 6)?.as_str()? == user.role.as_str()
        }
        Owner::ServiceAccount(account) => is_service_account(row, at)? && time(row, at + 3)? == account.created_at,
    })
}

/// id
pub(super) fn session_id(row: &Row<'_>) -> rusqlite::Result<SessionId> {
    identifier(row, 0).map(SessionId::new)
}

/// id, number, owner_id, name, abilities, hint, created_at, expires_at, last_used_at, revoked_at, revoked_reason,
/// environment_id, family_id, rotated_from, grace_ends_at, ends_on_first_use, disabled_at, ip_allowlist,
/// requests_per_minute, quota, description, metadata, canary
pub(super) fn token(row: &Row<'_>) -> rusqlite::Result<Token> {
    token_with(row, abilities(row, TOKEN_ABILITIES)?)
}

/// Reads the same columns, except that the caller has read the abilities.
pub(super) fn token_with(row: &Row<'_>, abilities: Abilities) -> rusqlite::Result<Token> {
    Ok(Token {
        id: TokenId::new(identifier(row, 0)?),
        number: row.get(1)?,
        owner: UserId::new(identifier(row, 2)?),
        environment: optional_identifier(row, 11)?.map(EnvironmentId::new),
        name: name(row, 3)?,
        abilities,
        hint: parsed(row, 5, Hint::parse)?,
        created_at: time(row, 6)?,
        expires_at: optional_time(row, 7)?,
        last_used_at: optional_time(row, 8)?,
        family: TokenId::new(identifier(row, 12)?),
        rotated_from: optional_identifier(row, 13)?.map(TokenId::new),
        grace: optional_time(row, 14)?.map(|ends_at| grace(row, ends_at)).transpose()?,
        disabled_at: optional_time(row, 16)?,
        revoked: optional_time(row, 9)?.map(|at| revocation(row, at)).transpose()?,
        limits: limits(row, 17)?,
        annotations: annotations(row, 20)?,
        is_canary: row.get(22)?,
    })
}

fn revocation(row: &Row<'_>, at: Timestamp) -> rusqlite::Result<Revocation> {
    Ok(Revocation { at, reason: parsed(row, 10, RevocationReason::parse)? })
}

fn grace(row: &Row<'_>, ends_at: Timestamp) -> rusqlite::Result<Grace> {
    Ok(Grace { ends_at, on_first_use: row.get(15)? })
}

/// ip_allowlist, requests_per_minute, quota
fn limits(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<Box<UsageLimits>>> {
    let networks = row.get_ref(at)?.as_str_or_null()?.unwrap_or_default();
    let networks: Result<Vec<_>, _> = networks.split_terminator(' ').map(Allowlist::parse_network).collect();
    let networks = networks.map_err(|error| conversion_error(at, error))?;
    let limits = UsageLimits {
        allowlist: Allowlist::new(networks).map_err(|error| conversion_error(at, error))?,
        requests_per_minute: row.get(at + 1)?,
        quota: row.get(at + 2)?,
    };
    Ok(limits.boxed())
}

/// The text of the column `ip_allowlist`.
pub(super) fn networks_text(allowlist: &Allowlist) -> Option<String> {
    let networks: Vec<String> = allowlist.networks().iter().map(ToString::to_string).collect();
    (!networks.is_empty()).then(|| networks.join(" "))
}

/// description, metadata
fn annotations(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<Box<Annotations>>> {
    let description = row.get_ref(at)?.as_str_or_null()?.map(Description::parse).transpose();
    let metadata = row.get_ref(at + 1)?.as_str_or_null()?.map(parse_metadata).transpose();
    let annotations = Annotations {
        description: description.map_err(|error| conversion_error(at, error))?,
        metadata: metadata.map_err(|error| conversion_error(at + 1, error))?.unwrap_or_default(),
    };
    Ok(annotations.boxed())
}

/// The metadata in a text of the column `metadata`.
pub(super) fn parse_metadata(text: &str) -> Result<Metadata, serde_json::Error> {
    let pairs: BTreeMap<Cow<'_, str>, Cow<'_, str>> = serde_json::from_str(text)?;
    let mut metadata = Metadata::default();
    for (key, value) in &pairs {
        metadata.insert(key, value).map_err(serde::de::Error::custom)?;
    }
    Ok(metadata)
}

/// The text of the column `metadata`: a JSON object with sorted keys.
pub(super) fn metadata_text(metadata: &Metadata) -> Option<String> {
    let pairs: BTreeMap<&str, &str> = metadata.iter().collect();
    (!pairs.is_empty()).then(|| serde_json::to_string(&pairs).expect("texts are JSON"))
}

/// seq, at, user_id, actor_kind, actor_id, action, target_kind, target_id, address, request_id, outcome, detail,
/// actor_user_id
pub(super) fn event(row: &Row<'_>) -> rusqlite::Result<Event> {
    let actor_user = optional_identifier(row, 12)?.map(UserId::new);
    let actor = Actor::parse(row.get_ref(3)?.as_str()?, optional_identifier(row, 4)?, actor_user);
    let target = Target::parse(row.get_ref(6)?.as_str()?, optional_identifier(row, 7)?);
    let address = row.get_ref(8)?.as_str_or_null()?.map(str::parse).transpose();
    let detail: Option<String> = row.get(11)?;
    Ok(Event {
        seq: row.get(0)?,
        by: Attribution {
            origin: RequestSource {
                actor: actor.map_err(|error| conversion_error(3, error))?,
                address: address.map_err(|error: AddrParseError| conversion_error(8, error))?,
                request_id: row.get(9)?,
            },
            at: time(row, 1)?,
        },
        entry: Entry {
            user: optional_identifier(row, 2)?.map(UserId::new),
            action: parsed(row, 5, Action::parse)?,
            target: target.map_err(|error| conversion_error(6, error))?,
            outcome: parsed(row, 10, Outcome::parse)?,
            detail: detail.map(Cow::Owned),
        },
    })
}

/// id, owner_id, name, is_default, created_at
pub(super) fn environment(row: &Row<'_>) -> rusqlite::Result<Environment> {
    Ok(Environment {
        id: EnvironmentId::new(identifier(row, 0)?),
        owner: UserId::new(identifier(row, 1)?),
        name: name(row, 2)?,
        is_default: row.get(3)?,
        created_at: time(row, 4)?,
    })
}

/// The columns of [`environment`], role, name of the service account. The role is that of a member, and NULL for the owner.
pub(super) fn environment_access(row: &Row<'_>) -> rusqlite::Result<EnvironmentAccess> {
    let environment = environment(row)?;
    let is_member = row.get_ref(5)?.as_str_or_null()?.is_some();
    let role = if is_member { parsed(row, 5, MemberRole::parse)?.into() } else { Role::Owner };
    let service_account = row.get_ref(6)?.as_str_or_null()?.is_some().then(|| name(row, 6)).transpose()?;
    Ok(EnvironmentAccess { environment, role, service_account })
}

/// user_id, the user's name, role, created_at
pub(super) fn member(row: &Row<'_>) -> rusqlite::Result<Member> {
    Ok(Member {
        user: UserId::new(identifier(row, 0)?),
        name: name(row, 1)?,
        role: parsed(row, 2, MemberRole::parse)?,
        created_at: time(row, 3)?,
    })
}

/// The text of the column `abilities`.
pub(super) fn abilities_text(abilities: &Abilities) -> String {
    let words: Vec<&str> = abilities.iter().map(Ability::as_str).collect();
    words.join(" ")
}

pub(super) fn abilities(row: &Row<'_>, at: usize) -> rusqlite::Result<Abilities> {
    let text = row.get_ref(at)?.as_str()?;
    let words: Result<Vec<Ability>, _> = text.split_terminator(' ').map(Ability::parse).collect();
    Abilities::new(words.map_err(|error| conversion_error(at, error))?).map_err(|error| conversion_error(at, error))
}

pub(super) fn name(row: &Row<'_>, at: usize) -> rusqlite::Result<Name> {
    parsed(row, at, Name::parse_stored)
}

pub(super) fn parsed<T, E: Error + Send + Sync + 'static>(
    row: &Row<'_>,
    at: usize,
    parse: fn(&str) -> Result<T, E>,
) -> rusqlite::Result<T> {
    parse(row.get_ref(at)?.as_str()?).map_err(|error| conversion_error(at, error))
}

pub(super) fn identifier(row: &Row<'_>, at: usize) -> rusqlite::Result<Uuid> {
    row.get(at).map(Uuid::from_bytes)
}

pub(super) fn optional_identifier(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<Uuid>> {
    let bytes: Option<[u8; 16]> = row.get(at)?;
    Ok(bytes.map(Uuid::from_bytes))
}

pub(super) fn time(row: &Row<'_>, at: usize) -> rusqlite::Result<Timestamp> {
    row.get(at).map(Timestamp::from_unix)
}

pub(super) fn optional_time(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<Timestamp>> {
    let seconds: Option<i64> = row.get(at)?;
    Ok(seconds.map(Timestamp::from_unix))
}

pub(super) fn conversion_error(at: usize, error: impl Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(at, Type::Text, Box::new(error))
}
