//! Converts rows to domain values, with one function for each type. Its comment lists the columns that it reads, from
//! column `at` on.
//!
//! A stored value that the domain refuses is a defect. The error does not contain the value, which may be confidential.

use std::{borrow::Cow, collections::BTreeMap, error::Error, net::AddrParseError};

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
use crate::store::StoreError;
use crate::store::sql::connection::Row;

/// How many columns [`token`] and [`session`] read. The columns of a joined user follow them.
pub(crate) const TOKEN_COLUMNS: usize = 23;
pub(crate) const TOKEN_ABILITIES: usize = 4;
pub(crate) const SESSION_COLUMNS: usize = 6;

/// id, name, email, created_at, disabled_at, current_environment_id, role
pub(crate) fn user(row: &dyn Row, at: usize) -> Result<User, StoreError> {
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
pub(crate) fn owner(row: &dyn Row, at: usize) -> Result<Owner, StoreError> {
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

fn is_service_account(row: &dyn Row, at: usize) -> Result<bool, StoreError> {
    Ok(row.text(at + 7)? == "service_account")
}

/// The columns of [`user`], password_hash
pub(crate) fn credentials(row: &dyn Row) -> Result<UserCredentials, StoreError> {
    let password: Option<String> = row.get(7)?;
    Ok(UserCredentials { user: user(row, 0)?, password: password.map(PasswordHash::new) })
}

/// The columns of [`user`], whether there is a password
pub(crate) fn account(row: &dyn Row) -> Result<Account, StoreError> {
    let user = user(row, 0)?;
    Ok(Account { state: AccountState::of(user.disabled_at, row.get(7)?), user })
}

/// id, user_id, device_name, created_at, last_used_at, expires_at
pub(crate) fn session(row: &dyn Row) -> Result<Session, StoreError> {
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
pub(crate) fn is_owner(row: &dyn Row, at: usize, owner: &Owner) -> Result<bool, StoreError> {
    let is_same = identifier(row, at)? == owner.id().uuid()
        && row.text(at + 1)? == owner.name().as_str()
        && optional_time(row, at + 4)? == owner.disabled_at();
    Ok(match owner {
        _ if !is_same => false,
        Owner::User(user) => {
            row.optional_text(at + 2)? == Some(user.email.as_str())
                && time(row, at + 3)? == user.created_at
                && optional_identifier(row, at + 5)? == Some(user.current_environment.uuid())
                && row.text(at + 6)? == user.role.as_str()
        }
        Owner::ServiceAccount(account) => is_service_account(row, at)? && time(row, at + 3)? == account.created_at,
    })
}

/// id
pub(crate) fn session_id(row: &dyn Row) -> Result<SessionId, StoreError> {
    identifier(row, 0).map(SessionId::new)
}

/// id, number, owner_id, name, abilities, hint, created_at, expires_at, last_used_at, revoked_at, revoked_reason,
/// environment_id, family_id, rotated_from, grace_ends_at, ends_on_first_use, disabled_at, ip_allowlist,
/// requests_per_minute, quota, description, metadata, canary
pub(crate) fn token(row: &dyn Row) -> Result<Token, StoreError> {
    token_with(row, abilities(row, TOKEN_ABILITIES)?)
}

/// Reads the same columns, except that the caller has read the abilities.
pub(crate) fn token_with(row: &dyn Row, abilities: Abilities) -> Result<Token, StoreError> {
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

fn revocation(row: &dyn Row, at: Timestamp) -> Result<Revocation, StoreError> {
    Ok(Revocation { at, reason: parsed(row, 10, RevocationReason::parse)? })
}

fn grace(row: &dyn Row, ends_at: Timestamp) -> Result<Grace, StoreError> {
    Ok(Grace { ends_at, on_first_use: row.get(15)? })
}

/// ip_allowlist, requests_per_minute, quota
fn limits(row: &dyn Row, at: usize) -> Result<Option<Box<UsageLimits>>, StoreError> {
    let networks = row.optional_text(at)?.unwrap_or_default();
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
pub(crate) fn networks_text(allowlist: &Allowlist) -> Option<String> {
    let networks: Vec<String> = allowlist.networks().iter().map(ToString::to_string).collect();
    (!networks.is_empty()).then(|| networks.join(" "))
}

/// description, metadata
fn annotations(row: &dyn Row, at: usize) -> Result<Option<Box<Annotations>>, StoreError> {
    let description = row.optional_text(at)?.map(Description::parse).transpose();
    let metadata = row.optional_text(at + 1)?.map(parse_metadata).transpose();
    let annotations = Annotations {
        description: description.map_err(|error| conversion_error(at, error))?,
        metadata: metadata.map_err(|error| conversion_error(at + 1, error))?.unwrap_or_default(),
    };
    Ok(annotations.boxed())
}

/// The metadata in a text of the column `metadata`.
pub(crate) fn parse_metadata(text: &str) -> Result<Metadata, serde_json::Error> {
    let pairs: BTreeMap<Cow<'_, str>, Cow<'_, str>> = serde_json::from_str(text)?;
    let mut metadata = Metadata::default();
    for (key, value) in &pairs {
        metadata.insert(key, value).map_err(serde::de::Error::custom)?;
    }
    Ok(metadata)
}

/// The text of the column `metadata`: a JSON object with sorted keys.
pub(crate) fn metadata_text(metadata: &Metadata) -> Option<String> {
    let pairs: BTreeMap<&str, &str> = metadata.iter().collect();
    (!pairs.is_empty()).then(|| serde_json::to_string(&pairs).expect("texts are JSON"))
}

/// seq, at, user_id, actor_kind, actor_id, action, target_kind, target_id, address, request_id, outcome, detail,
/// actor_user_id
pub(crate) fn event(row: &dyn Row) -> Result<Event, StoreError> {
    let actor_user = optional_identifier(row, 12)?.map(UserId::new);
    let actor = Actor::parse(row.text(3)?, optional_identifier(row, 4)?, actor_user);
    let target = Target::parse(row.text(6)?, optional_identifier(row, 7)?);
    let address = row.optional_text(8)?.map(str::parse).transpose();
    let detail: Option<String> = row.get(11)?;
    Ok(Event {
        seq: row.get(0)?,
        by: Attribution {
            origin: RequestSource {
                actor: actor.map_err(|error| conversion_error(3, error))?,
                address: address.map_err(|error: AddrParseError| conversion_error(8, error))?,
                request_id: row.get(9)?,
                keyed: None,
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
pub(crate) fn environment(row: &dyn Row) -> Result<Environment, StoreError> {
    Ok(Environment {
        id: EnvironmentId::new(identifier(row, 0)?),
        owner: UserId::new(identifier(row, 1)?),
        name: name(row, 2)?,
        is_default: row.get(3)?,
        created_at: time(row, 4)?,
    })
}

/// The columns of [`environment`], role, name of the service account. The role is that of a member, and NULL for the owner.
pub(crate) fn environment_access(row: &dyn Row) -> Result<EnvironmentAccess, StoreError> {
    let environment = environment(row)?;
    let is_member = row.optional_text(5)?.is_some();
    let role = if is_member { parsed(row, 5, MemberRole::parse)?.into() } else { Role::Owner };
    let service_account = row.optional_text(6)?.is_some().then(|| name(row, 6)).transpose()?;
    Ok(EnvironmentAccess { environment, role, service_account })
}

/// user_id, the user's name, role, created_at
pub(crate) fn member(row: &dyn Row) -> Result<Member, StoreError> {
    Ok(Member {
        user: UserId::new(identifier(row, 0)?),
        name: name(row, 1)?,
        role: parsed(row, 2, MemberRole::parse)?,
        created_at: time(row, 3)?,
    })
}

/// The text of the column `abilities`.
pub(crate) fn abilities_text(abilities: &Abilities) -> String {
    let words: Vec<&str> = abilities.iter().map(Ability::as_str).collect();
    words.join(" ")
}

pub(crate) fn abilities(row: &dyn Row, at: usize) -> Result<Abilities, StoreError> {
    let text = row.text(at)?;
    let words: Result<Vec<Ability>, _> = text.split_terminator(' ').map(Ability::parse).collect();
    Abilities::new(words.map_err(|error| conversion_error(at, error))?).map_err(|error| conversion_error(at, error))
}

pub(crate) fn name(row: &dyn Row, at: usize) -> Result<Name, StoreError> {
    parsed(row, at, Name::parse_stored)
}

pub(crate) fn parsed<T, E: Error + Send + Sync + 'static>(
    row: &dyn Row,
    at: usize,
    parse: fn(&str) -> Result<T, E>,
) -> Result<T, StoreError> {
    parse(row.text(at)?).map_err(|error| conversion_error(at, error))
}

pub(crate) fn identifier(row: &dyn Row, at: usize) -> Result<Uuid, StoreError> {
    row.get(at)
}

pub(crate) fn optional_identifier(row: &dyn Row, at: usize) -> Result<Option<Uuid>, StoreError> {
    row.get(at)
}

pub(crate) fn time(row: &dyn Row, at: usize) -> Result<Timestamp, StoreError> {
    row.get(at).map(Timestamp::from_unix)
}

pub(crate) fn optional_time(row: &dyn Row, at: usize) -> Result<Option<Timestamp>, StoreError> {
    let seconds: Option<i64> = row.get(at)?;
    Ok(seconds.map(Timestamp::from_unix))
}

pub(crate) fn conversion_error(at: usize, error: impl Error) -> StoreError {
    StoreError::Internal(format!("column {at}: {error}"))
}
