//! SQL on the rotation of personal tokens: successors, their first use, and the end of families. Each function runs inside
//! one transaction of its caller. Tokens of environments are replaced in their own file, and never come here.
//!
//! The row of a token that was rotated has the end of its grace for its expiry, where that is earlier: whoever judges,
//! lists, counts or prunes by the expiry need not know of rotation.

use rusqlite::{Connection, OptionalExtension, named_params};

use super::{audit, headroom::Headroom, lineage, row, tokens, users};
use crate::{
    domain::{
        audit::{Action, Actor, Attribution, Entry, Outcome, Target},
        id::{TokenId, UserId},
        time::Timestamp,
        token::{NewToken, RevocationReason, Token},
    },
    store::{ChangedToken, Conflict, Rotation, StoreError, SuccessorEnd},
};

pub(super) fn rotate(
    connection: &Connection,
    rotation: &Rotation,
    room: &Headroom,
    by: &Attribution,
) -> Result<ChangedToken, StoreError> {
    users::expect_enabled(connection, rotation.owner)?;
    let old = match tokens::by_id(connection, rotation.token) {
        Ok(old) if old.expires_at.is_none_or(|end| by.at < end) => old,
        Ok(_) | Err(StoreError::NotFound) => {
            return Err(lineage::refuse_ended(connection, rotation.owner, rotation.token, by.at));
        }
        Err(error) => return Err(error),
    };
    if old.owner != rotation.owner || old.disabled_at.is_some() {
        return Err(StoreError::NotFound);
    }
    let bound = match old.grace {
        None => old.expires_at,
        Some(_) if !rotation.replace_unused => return Err(already_rotated(connection, &old, by)?),
        Some(_) => withdraw_successor(connection, &old, by)?,
    };
    let expires_at = match (rotation.end, bound) {
        (SuccessorEnd::WithPredecessor, bound) => bound,
        (SuccessorEnd::Never, None) => None,
        (SuccessorEnd::At(end), bound) if bound.is_none_or(|bound| end <= bound) => Some(end),
        (SuccessorEnd::Never | SuccessorEnd::At(_), _) => {
            return Err(StoreError::Conflict(Conflict::OutlivesPredecessor));
        }
    };
    if old.grace.is_none() {
        if let Some(before) = old.rotated_from {
            end_replaced(connection, before, Ends::Always, by)?;
        }
        begin_grace(connection, &old, rotation, by)?;
    }
    let new = tokens::insert(
        connection,
        &NewToken {
            id: rotation.successor,
            owner: old.owner,
            environment: None,
            name: old.name,
            abilities: old.abilities,
            hash: rotation.hash,
            hint: rotation.hint,
            created_at: by.at,
            expires_at,
            family: old.family,
            rotated_from: Some(old.id),
            limits: old.limits,
        },
    )?;
    if by.origin.actor == Actor::PersonalAccessToken(old.id) {
        lineage::join(connection, new.id, old.id)?;
    }
    // Until the old one ends, both count.
    room.forget_of(new.owner);
    let rotated = Entry::done(new.owner, Action::TokenRotated, Target::PersonalAccessToken(old.id));
    audit::record(connection, by, &rotated.with(format!("successor {}", new.id)))?;
    let created = Entry::done(new.owner, Action::TokenCreated, Target::PersonalAccessToken(new.id));
    audit::record(connection, by, &created.with("rotation"))?;
    tokens::changed(connection, new)
}

/// One that was disabled, or revoked by anybody, gives way as little as one that was used: another in its place would undo
/// that.
pub(super) const SUCCESSORS: &str = "SELECT id, revoked_at IS NULL,
            last_used_at IS NOT NULL OR disabled_at IS NOT NULL OR coalesce(revoked_reason, 'rotated') <> 'rotated',
            expires_at
     FROM tokens WHERE family_id = :family_id AND rotated_from = :rotated_from
     ORDER BY number";

/// Says which successor stays.
fn already_rotated(connection: &Connection, old: &Token, by: &Attribution) -> Result<StoreError, StoreError> {
    match lineage::refuse_ended(connection, old.owner, old.id, by.at) {
        // None is good; one that was revoked stays all the same.
        StoreError::NotFound => {
            let latest = lineage::successors(connection, &[old.id])?.first().map(|(_, successor)| *successor);
            Ok(StoreError::Conflict(Conflict::AlreadyRotated(latest)))
        }
        refused => Ok(refused),
    }
}

/// Revokes the successor that nobody has used, and answers when it would have ended: the next one lasts no longer.
fn withdraw_successor(connection: &Connection, old: &Token, by: &Attribution) -> Result<Option<Timestamp>, StoreError> {
    let mut statement = connection.prepare_cached(SUCCESSORS)?;
    let rows = statement.query_map(
        named_params! {
            ":family_id": old.family.uuid().into_bytes(),
            ":rotated_from": old.id.uuid().into_bytes(),
        },
        |row| {
            let end: Option<i64> = row.get(3)?;
            let id = TokenId::new(row::identifier(row, 0)?);
            Ok((id, row.get::<_, bool>(1)?, row.get::<_, bool>(2)?, end.map(Timestamp::from_unix)))
        },
    )?;
    let successors = rows.collect::<Result<Vec<_>, _>>()?;
    if successors.iter().any(|(_, _, is_used, _)| *is_used) {
        return Err(already_rotated(connection, old, by)?);
    }
    for (id, ..) in successors.iter().filter(|(_, is_live, ..)| *is_live) {
        end_replaced(connection, *id, Ends::Always, by)?;
    }
    Ok(successors.last().map_or(old.expires_at, |(.., end)| *end))
}

fn begin_grace(connection: &Connection, old: &Token, rotation: &Rotation, by: &Attribution) -> Result<(), StoreError> {
    if rotation.grace.is_zero() {
        return end_replaced(connection, old.id, Ends::Always, by);
    }
    let end = by.at.plus(rotation.grace);
    let end = old.expires_at.map_or(end, |expiry| expiry.min(end));
    connection
        .prepare_cached(
            "UPDATE tokens SET grace_ends_at = :end, expires_at = :end, ends_on_first_use = :on_first_use
             WHERE id = :id",
        )?
        .execute(named_params! {
            ":id": old.id.uuid().into_bytes(),
            ":end": end.unix(),
            ":on_first_use": rotation.end_on_first_use,
        })?;
    Ok(())
}

/// Whether a token that was replaced ends now.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ends {
    Always,
    IfOnFirstUse,
}

fn end_replaced(connection: &Connection, id: TokenId, ends: Ends, by: &Attribution) -> Result<(), StoreError> {
    let ended = connection
        .prepare_cached(
            "UPDATE tokens SET revoked_at = :at, revoked_reason = :reason
             WHERE id = :id AND revoked_at IS NULL AND ends_on_first_use >= :on_first_use
             RETURNING owner_id",
        )?
        .query_row(
            named_params! {
                ":id": id.uuid().into_bytes(),
                ":at": by.at.unix(),
                ":reason": RevocationReason::Rotated.as_str(),
                ":on_first_use": ends == Ends::IfOnFirstUse,
            },
            |row| row::identifier(row, 0).map(UserId::new),
        )
        .optional()?;
    ended.map_or(Ok(()), |owner| note_end(connection, owner, id, RevocationReason::Rotated, by))
}

fn note_end(
    connection: &Connection,
    owner: UserId,
    id: TokenId,
    reason: RevocationReason,
    by: &Attribution,
) -> Result<(), StoreError> {
    let revoked = Entry::done(owner, Action::TokenRevoked, Target::PersonalAccessToken(id));
    audit::record(connection, by, &revoked.with(reason.as_str()))
}

/// The first use of a successor.
pub(super) fn begin(connection: &Connection, successor: TokenId, by: &Attribution) -> Result<(), StoreError> {
    let rotated_from = connection
        .prepare_cached(
            "UPDATE tokens SET last_used_at = max(coalesce(last_used_at, :at), :at)
             WHERE id = :id AND revoked_at IS NULL AND rotated_from IS NOT NULL
             RETURNING rotated_from",
        )?
        .query_row(named_params! {":id": successor.uuid().into_bytes(), ":at": by.at.unix()}, |row| {
            row::identifier(row, 0).map(TokenId::new)
        })
        .optional()?
        .ok_or(StoreError::NotFound)?;
    end_replaced(connection, rotated_from, Ends::IfOnFirstUse, by)
}

/// By the two ways in which a family is found: the first of it, and its successors. Of these, no more than two are not
/// revoked, and the index that is named holds no others.
pub(super) const END_FAMILY: &str = "UPDATE tokens SET revoked_at = :at, revoked_reason = :reason
     WHERE number IN (
         SELECT number FROM tokens WHERE id = :family_id AND revoked_at IS NULL
         UNION ALL
         SELECT number FROM tokens INDEXED BY tokens_live_successor
         WHERE family_id = :family_id AND rotated_from IS NOT NULL AND revoked_at IS NULL
     ) AND owner_id = :owner_id
     RETURNING id";

pub(super) fn revoke_family(
    connection: &Connection,
    owner: UserId,
    family: TokenId,
    reused: TokenId,
    note: bool,
    by: &Attribution,
) -> Result<u64, StoreError> {
    let mut statement = connection.prepare_cached(END_FAMILY)?;
    let rows = statement.query_map(
        named_params! {
            ":family_id": family.uuid().into_bytes(),
            ":owner_id": owner.uuid().into_bytes(),
            ":at": by.at.unix(),
            ":reason": RevocationReason::ReuseDetected.as_str(),
        },
        |row| row::identifier(row, 0).map(TokenId::new),
    )?;
    let ended = rows.collect::<Result<Vec<_>, _>>()?;
    if note || !ended.is_empty() {
        let entry = Entry {
            outcome: Outcome::Refused,
            ..Entry::done(owner, Action::TokenReuseDetected, Target::PersonalAccessToken(reused))
        };
        audit::record(connection, by, &entry.with("rotated"))?;
    }
    for id in &ended {
        note_end(connection, owner, *id, RevocationReason::ReuseDetected, by)?;
    }
    Ok(ended.len() as u64)
}
