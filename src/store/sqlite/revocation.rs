//! SQL that ends or stops tokens, one or many. Each function runs inside one transaction of its caller.

use rusqlite::{Connection, OptionalExtension, ToSql, named_params};

use super::{audit, row};
use crate::{
    domain::{
        audit::{Action, By, Entry, Target},
        id::{EnvironmentId, SessionId, TokenId, UserId},
        token::{RevocationReason, Token},
    },
    store::{Leaked, StoreError, TokenSelection},
};

pub(super) fn revoke_some(
    connection: &Connection,
    owner: UserId,
    selection: &TokenSelection,
    reason: RevocationReason,
    by: &By,
) -> Result<u64, StoreError> {
    let revoked = match selection {
        TokenSelection::All => revoke_all(connection, owner, reason, by)?,
        TokenSelection::These(ids) => {
            let mut revoked = Vec::new();
            for id in ids {
                revoked.extend(revoke_one(connection, owner, *id, reason, by)?);
            }
            revoked
        }
        TokenSelection::Families(families) => {
            let mut revoked = Vec::new();
            for id in members(connection, families)? {
                revoked.extend(revoke_one(connection, owner, id, reason, by)?);
            }
            revoked
        }
    };
    for id in &revoked {
        let event = Entry::done(owner, Action::TokenRevoked, Target::PersonalAccessToken(*id));
        audit::record(connection, by, &event.with(reason.as_str()))?;
    }
    Ok(revoked.len() as u64)
}

/// Everything of some families that is not revoked.
fn members(connection: &Connection, families: &[TokenId]) -> Result<Vec<TokenId>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT id FROM tokens WHERE id = :family_id AND revoked_at IS NULL
         UNION ALL
         SELECT id FROM tokens INDEXED BY tokens_live_successor
         WHERE family_id = :family_id AND rotated_from IS NOT NULL AND revoked_at IS NULL",
    )?;
    let mut members = Vec::new();
    for family in families {
        let found = statement.query_map(named_params! {":family_id": family.uuid().into_bytes()}, |row| {
            row::identifier(row, 0).map(TokenId::new)
        })?;
        for id in found {
            members.push(id?);
        }
    }
    Ok(members)
}

/// All that are live: two ranges of the index by which they are counted.
fn revoke_all(
    connection: &Connection,
    owner: UserId,
    reason: RevocationReason,
    by: &By,
) -> Result<Vec<TokenId>, StoreError> {
    let mut revoked = Vec::new();
    for live in ["expires_at IS NULL", "expires_at > :at"] {
        let mut statement = connection.prepare_cached(&format!(
            "UPDATE tokens SET revoked_at = :at, revoked_reason = :reason
             WHERE owner_id = :owner_id AND revoked_at IS NULL AND environment_id IS NULL AND {live}
             RETURNING id"
        ))?;
        let rows = statement.query_map(
            named_params! {
                ":owner_id": owner.uuid().into_bytes(),
                ":at": by.at.unix(),
                ":reason": reason.as_str(),
            },
            |row| row::identifier(row, 0).map(TokenId::new),
        )?;
        for id in rows {
            revoked.push(id?);
        }
    }
    Ok(revoked)
}

fn revoke_one(
    connection: &Connection,
    owner: UserId,
    id: TokenId,
    reason: RevocationReason,
    by: &By,
) -> Result<Option<TokenId>, StoreError> {
    let revoked = connection
        .prepare_cached(
            "UPDATE tokens SET revoked_at = :at, revoked_reason = :reason
             WHERE id = :id AND owner_id = :owner_id AND revoked_at IS NULL AND environment_id IS NULL
               AND (expires_at IS NULL OR expires_at > :at)",
        )?
        .execute(named_params! {
            ":id": id.uuid().into_bytes(),
            ":owner_id": owner.uuid().into_bytes(),
            ":at": by.at.unix(),
            ":reason": reason.as_str(),
        })?;
    Ok((revoked > 0).then_some(id))
}

pub(super) fn revoke_leaked(connection: &Connection, leaked: &Leaked, by: &By) -> Result<(), StoreError> {
    let mut found = false;
    for id in &leaked.tokens {
        found |= revoke_leaked_token(connection, *id, by)?;
    }
    for id in &leaked.sessions {
        found |= end_leaked_session(connection, *id, by)?;
    }
    match leaked.presented {
        Some(presented) if !found => {
            let unknown = Entry::refused(None, Action::TokenLeaked, "unknown");
            audit::record(connection, by, &unknown.with(format!("unknown, {presented} presented")))
        }
        _ => Ok(()),
    }
}

/// That it leaked is what its owner is told; that it is revoked is what they find among all that was.
fn revoke_leaked_token(connection: &Connection, id: TokenId, by: &By) -> Result<bool, StoreError> {
    let reason = RevocationReason::Leaked.as_str();
    let revoked = connection
        .prepare_cached(
            "UPDATE tokens SET revoked_at = :at, revoked_reason = :reason WHERE id = :id AND revoked_at IS NULL
             RETURNING owner_id, environment_id",
        )?
        .query_row(named_params! {":id": id.uuid().into_bytes(), ":at": by.at.unix(), ":reason": reason}, |row| {
            Ok((UserId::new(row::identifier(row, 0)?), row::optional_identifier(row, 1)?))
        })
        .optional()?;
    let Some((owner, environment)) = revoked else { return Ok(false) };
    let target = Target::token(id, environment.map(EnvironmentId::new));
    audit::record(connection, by, &Entry::done(owner, Action::TokenLeaked, target))?;
    audit::record(connection, by, &Entry::done(owner, Action::TokenRevoked, target).with(reason))?;
    Ok(true)
}

fn end_leaked_session(connection: &Connection, id: SessionId, by: &By) -> Result<bool, StoreError> {
    let user = connection
        .prepare_cached("DELETE FROM sessions WHERE id = :id RETURNING user_id")?
        .query_row(named_params! {":id": id.uuid().into_bytes()}, |row| row::identifier(row, 0))
        .optional()?;
    let Some(user) = user.map(UserId::new) else { return Ok(false) };
    let target = Target::Session(id);
    audit::record(connection, by, &Entry::done(user, Action::TokenLeaked, target))?;
    let ended = Entry::done(user, Action::SessionEnded, target).with(RevocationReason::Leaked.as_str());
    audit::record(connection, by, &ended)?;
    Ok(true)
}

pub(super) fn disable(connection: &Connection, owner: UserId, id: TokenId, by: &By) -> Result<Token, StoreError> {
    let disable = "UPDATE tokens SET disabled_at = :at
         WHERE id = :id AND owner_id = :owner_id AND revoked_at IS NULL AND environment_id IS NULL
           AND disabled_at IS NULL";
    let at = by.at.unix();
    switch(connection, owner, id, disable, &[(":at", &at)], Action::TokenDisabled, by)
}

pub(super) fn enable(connection: &Connection, owner: UserId, id: TokenId, by: &By) -> Result<Token, StoreError> {
    let enable = "UPDATE tokens SET disabled_at = NULL
         WHERE id = :id AND owner_id = :owner_id AND revoked_at IS NULL AND environment_id IS NULL
           AND disabled_at IS NOT NULL";
    switch(connection, owner, id, enable, &[], Action::TokenEnabled, by)
}

/// A change that happens once, and leaves its event then.
fn switch(
    connection: &Connection,
    owner: UserId,
    id: TokenId,
    update: &str,
    more: &[(&str, &dyn ToSql)],
    action: Action,
    by: &By,
) -> Result<Token, StoreError> {
    let (id_bytes, owner_bytes) = (id.uuid().into_bytes(), owner.uuid().into_bytes());
    let mut parameters: Vec<(&str, &dyn ToSql)> = vec![(":id", &id_bytes), (":owner_id", &owner_bytes)];
    parameters.extend_from_slice(more);
    let changed = connection.prepare_cached(update)?.execute(&*parameters)?;
    let token = super::tokens::by_id(connection, id)?;
    if token.owner != owner {
        return Err(StoreError::NotFound);
    }
    if changed > 0 {
        audit::record(connection, by, &Entry::done(owner, action, Target::token(id, token.environment)))?;
    }
    Ok(token)
}
