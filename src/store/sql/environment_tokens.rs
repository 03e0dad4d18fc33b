//! SQL on the tokens of environments. Each function runs inside one transaction of its caller, and checks the role of the
//! user in it.

use super::{
    audit,
    connection::{Connection, named},
    environment_access, environments, lineage, owners, roles, row, tokens, users,
};
use crate::{
    domain::{
        audit::Attribution,
        authority::Authority,
        environment::{Role, Successor},
        events::TokenRef,
        id::{EnvironmentId, TokenId, UserId},
        rotation::{self, NewSecret},
        time::Timestamp,
        token::{NewToken, RevocationReason, Token},
    },
    store::{ChangedToken, Conflict, StoreError, TokenChange, TokenQuery},
};

/// Like [`tokens::COUNT_LIVE`].
pub(crate) const COUNT_LIVE: &str = "SELECT count(*) FROM (
         SELECT 1 FROM tokens
         WHERE environment_id = :environment_id AND revoked_at IS NULL AND expires_at IS NULL
         UNION ALL
         SELECT 1 FROM tokens
         WHERE environment_id = :environment_id AND revoked_at IS NULL AND expires_at > :now
         LIMIT :max_live
     ) AS live";

pub(crate) fn add(
    connection: &dyn Connection,
    user: UserId,
    token: &NewToken,
    max_live: u32,
    by: &Attribution,
) -> Result<Token, StoreError> {
    let environment = token.environment.ok_or_else(|| StoreError::Internal("a personal token".into()))?;
    expect_admin(connection, user, environment, token.owner)?;
    let live: u32 = connection.one(
        COUNT_LIVE,
        named! {
            ":environment_id": environment.uuid(),
            ":now": token.created_at.unix(),
            ":max_live": max_live,
        },
        |row| row.get(0),
    )?;
    if live >= max_live {
        return Err(StoreError::Conflict(Conflict::TooManyTokens));
    }
    let token = tokens::insert(connection, token, by)?;
    environments::record(connection, by, user, TokenRef::from(&token).created())?;
    Ok(token)
}

/// Fails unless the user may create tokens there, and the environment's owner is `owner` and enabled.
fn expect_admin(
    connection: &dyn Connection,
    user: UserId,
    environment: EnvironmentId,
    owner: UserId,
) -> Result<(), StoreError> {
    let seen = environments::expect_role(connection, user, environment, Role::Admin)?;
    if seen.environment.owner != owner {
        return Err(StoreError::Internal("the token's owner is not its environment's".into()));
    }
    users::expect_enabled(connection, owner).map_err(|error| match error {
        StoreError::NotFound => StoreError::Conflict(Conflict::OwnerDisabled),
        other => other,
    })
}

pub(crate) fn list(
    connection: &dyn Connection,
    authority: Authority,
    environment: EnvironmentId,
    query: &TokenQuery,
    now: Timestamp,
) -> Result<Vec<Token>, StoreError> {
    environments::expect_authority(connection, authority, environment, Role::Viewer)?;
    tokens::list(connection, tokens::LIST_OF_ENVIRONMENT, environment.uuid(), query, now)
}

/// The token in any state, for a user who sees its environment.
pub(crate) fn seen(
    connection: &dyn Connection,
    user: UserId,
    environment: EnvironmentId,
    id: TokenId,
) -> Result<Token, StoreError> {
    environment_access::seen(connection, user, environment)?;
    let token = tokens::in_any_state(connection, id)?;
    if token.environment == Some(environment) { Ok(token) } else { Err(StoreError::NotFound) }
}

fn by_id(connection: &dyn Connection, environment: EnvironmentId, id: TokenId) -> Result<Token, StoreError> {
    connection
        .optional(
            "SELECT id, number, owner_id, name, abilities, hint, created_at, expires_at, last_used_at, revoked_at,
                    revoked_reason, environment_id, family_id, rotated_from, grace_ends_at, ends_on_first_use,
                    disabled_at, ip_allowlist, requests_per_minute, quota, description, metadata, canary
             FROM tokens WHERE id = :id AND environment_id = :environment_id AND revoked_at IS NULL",
            named! {
                ":id": id.uuid(),
                ":environment_id": environment.uuid(),
            },
            row::token,
        )?
        .ok_or(StoreError::NotFound)
}

pub(crate) fn regenerate(
    connection: &dyn Connection,
    user: UserId,
    environment: EnvironmentId,
    id: TokenId,
    successor: Successor,
    by: &Attribution,
) -> Result<ChangedToken, StoreError> {
    environments::expect_role(connection, user, environment, Role::Admin)?;
    let mut old = by_id(connection, environment, id)?;
    expect_admin(connection, user, environment, old.owner)?;
    if old.is_canary {
        return Err(StoreError::Conflict(Conflict::CanaryToken));
    }
    if old.has_expired(by.at) {
        return Err(StoreError::Conflict(Conflict::TokenExpired));
    }
    let abilities = rotation::narrowed(old.abilities.clone(), successor.abilities)
        .map_err(|_| StoreError::Conflict(Conflict::WidensAbilities))?;
    let is_narrower = abilities != old.abilities;
    old.abilities = abilities;
    end(connection, environment, id, RevocationReason::Rotated, by)?;
    // The number of live tokens stays the same, so nothing is counted.
    let (predecessor, expires_at) = (TokenRef::from(&old), old.expires_at);
    let secret = NewSecret { id: successor.id, hash: successor.hash, hint: successor.hint };
    let new = tokens::insert(connection, &rotation::successor(old, secret, expires_at, by.at), by)?;
    environments::record(connection, by, user, predecessor.replaced(new.id, is_narrower))?;
    tokens::changed(connection, new)
}

/// Changes name and annotations, as an admin of the environment or its owner.
pub(crate) fn change(
    connection: &dyn Connection,
    user: UserId,
    environment: EnvironmentId,
    id: TokenId,
    change: &TokenChange,
    by: &Attribution,
) -> Result<ChangedToken, StoreError> {
    let access = environments::expect_role(connection, user, environment, Role::Admin)?;
    let changed = tokens::change(connection, access.environment.owner, Some(environment), id, change)?;
    for event in TokenRef::from(&changed.token).changed(change.name.is_some(), &change.annotations()) {
        environments::record(connection, by, user, event)?;
    }
    Ok(changed)
}

pub(crate) fn revoke(
    connection: &dyn Connection,
    authority: Authority,
    environment: EnvironmentId,
    id: TokenId,
    reason: RevocationReason,
    by: &Attribution,
) -> Result<(), StoreError> {
    if authority.is_administrator() {
        roles::expect_admin(connection, by)?;
    }
    let owner = environments::expect_authority(connection, authority, environment, Role::Admin)?;
    end(connection, environment, id, reason, by).map_err(|error| match error {
        StoreError::NotFound => refuse_ended(connection, environment, id, by),
        other => other,
    })?;
    let user = match authority {
        Authority::User(user) => user,
        Authority::Administrator(_) => owner,
    };
    let revoked = TokenRef { id, owner, environment: Some(environment) };
    environments::record(connection, by, user, revoked.revoked(reason))
}

/// Disables a token for an administrator.
pub(crate) fn disable(connection: &dyn Connection, id: TokenId, by: &Attribution) -> Result<ChangedToken, StoreError> {
    let token = for_administrator(connection, id, by)?;
    if token.disabled_at.is_none() {
        connection.execute(
            "UPDATE tokens SET disabled_at = :at WHERE id = :id",
            named! {":id": id.uuid(), ":at": by.at.unix()},
        )?;
        audit::record(connection, by, &TokenRef::from(&token).disabled())?;
    }
    let disabled_at = token.disabled_at.or(Some(by.at));
    tokens::changed(connection, Token { disabled_at, ..token })
}

/// Enables a token for an administrator.
pub(crate) fn enable(connection: &dyn Connection, id: TokenId, by: &Attribution) -> Result<ChangedToken, StoreError> {
    let token = for_administrator(connection, id, by)?;
    if token.disabled_at.is_some() {
        connection.execute("UPDATE tokens SET disabled_at = NULL WHERE id = :id", named! {":id": id.uuid()})?;
        audit::record(connection, by, &TokenRef::from(&token).enabled())?;
    }
    tokens::changed(connection, Token { disabled_at: None, ..token })
}

/// A token of any environment that is not revoked.
fn for_administrator(connection: &dyn Connection, id: TokenId, by: &Attribution) -> Result<Token, StoreError> {
    let token = tokens::any_by_id(connection, id)?;
    owners::expect_to_act_for(connection, token.owner, by)?;
    if token.environment.is_some() { Ok(token) } else { Err(StoreError::NotFound) }
}

/// The refusal to revoke a token that has ended: its successor is valid, or there is no such token. Only a user regenerates a
/// token of an environment, so the successor is in their hands and stays valid.
fn refuse_ended(connection: &dyn Connection, environment: EnvironmentId, id: TokenId, by: &Attribution) -> StoreError {
    let successor = || -> Result<Option<TokenId>, StoreError> {
        match lineage::find(connection, id)? {
            Some(named) if named.environment == Some(environment) && named.is_replaced => {
                Ok(lineage::later(connection, &named, by.at)?.by_owner)
            }
            _ => Ok(None),
        }
    };
    match successor() {
        Ok(None) => StoreError::NotFound,
        Ok(successor) => StoreError::Conflict(Conflict::AlreadyRotated(successor)),
        Err(error) => error,
    }
}

fn end(
    connection: &dyn Connection,
    environment: EnvironmentId,
    id: TokenId,
    reason: RevocationReason,
    by: &Attribution,
) -> Result<(), StoreError> {
    let ended = connection.execute(
        "UPDATE tokens SET revoked_at = :at, revoked_reason = :reason
             WHERE id = :id AND environment_id = :environment_id AND revoked_at IS NULL",
        named! {
            ":id": id.uuid(),
            ":environment_id": environment.uuid(),
            ":at": by.at.unix(),
            ":reason": reason.as_str(),
        },
    )?;
    if ended == 0 { Err(StoreError::NotFound) } else { Ok(()) }
}
