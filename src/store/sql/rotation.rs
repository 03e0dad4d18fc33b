//! SQL on the rotation of personal tokens: successors, their first use, and the revocation of families. Each function runs
//! inside one transaction of its caller. Tokens of environments are replaced in [`super::environment_tokens`].
//!
//! During its grace, the row of a replaced token has the end of the grace as its expiry, if that is earlier. So whatever
//! checks, lists, counts or prunes by the expiry needs to know nothing of rotation.

use super::{
    audit,
    connection::{Connection, named},
    deletion,
    headroom::Headroom,
    lineage, owners, row, tokens, users,
};
use crate::{
    domain::{
        ability::Abilities,
        audit::Attribution,
        events::TokenRef,
        id::{TokenId, UserId},
        rotation::{PredecessorEnd, Replaces, RotationPlan, WidensAbilities, narrowed, successor},
        time::Timestamp,
        token::{RevocationReason, Token},
    },
    store::{ChangedToken, Conflict, Rotation, StoreError},
};

pub(crate) fn rotate(
    connection: &dyn Connection,
    rotation: &Rotation,
    headroom: &Headroom,
    by: &Attribution,
) -> Result<ChangedToken, StoreError> {
    owners::expect_to_act_for(connection, rotation.owner, by)?;
    users::expect_enabled(connection, rotation.owner)?;
    let mut old = match tokens::by_id(connection, rotation.token) {
        Ok(old) if !old.has_expired(by.at) => old,
        Ok(_) | Err(StoreError::NotFound) => {
            return Err(lineage::refuse_ended(connection, rotation.owner, rotation.token, by.at));
        }
        Err(error) => return Err(error),
    };
    if old.owner != rotation.owner || old.disabled_at.is_some() {
        return Err(StoreError::NotFound);
    }
    if old.is_canary {
        return Err(StoreError::Conflict(Conflict::CanaryToken));
    }
    let (replaces, held) = match old.grace {
        None => (Replaces::Predecessor, old.abilities.clone()),
        Some(_) if !rotation.replace_unused => return Err(already_rotated(connection, &old, by)?),
        Some(_) => {
            // The withdrawn successor may have had fewer abilities, and its replacement must not have more.
            let withdrawn = withdraw_successor(connection, &old, by)?;
            (Replaces::UnusedSuccessor { expires_at: withdrawn.expires_at }, withdrawn.abilities)
        }
    };
    let abilities = narrowed(held, rotation.abilities.clone())
        .map_err(|WidensAbilities| StoreError::Conflict(Conflict::WidensAbilities))?;
    let plan = RotationPlan::new(&old, replaces, rotation.end, rotation.grace, by.at)
        .map_err(|_| StoreError::Conflict(Conflict::OutlivesPredecessor))?;
    if plan.predecessor_end != PredecessorEnd::Unchanged
        && let Some(before) = old.rotated_from
    {
        end_replaced(connection, before, Ends::Always, by)?;
    }
    match plan.predecessor_end {
        PredecessorEnd::Now => end_replaced(connection, old.id, Ends::Always, by)?,
        PredecessorEnd::At(end) => begin_grace(connection, old.id, end, rotation.end_on_first_use)?,
        PredecessorEnd::Unchanged => {}
    }
    let predecessor = TokenRef::from(&old);
    let is_narrower = abilities != old.abilities;
    old.abilities = abilities;
    let new = tokens::insert(connection, &successor(old, rotation.secret(), plan.successor_expires_at, by.at), by)?;
    if by.origin.actor.id() == Some(predecessor.id.uuid()) {
        lineage::join_lineage(connection, new.id, predecessor.id)?;
    }
    // Both count as live tokens until the grace ends.
    headroom.forget_of(new.owner);
    audit::record(connection, by, &predecessor.replaced(new.id, is_narrower))?;
    audit::record(connection, by, &TokenRef::from(&new).created_by_rotation())?;
    tokens::changed(connection, new)
}

/// The successors of a token. A successor that was disabled or revoked is not replaced, like one that was used: another in
/// its place would undo that.
pub(crate) const SUCCESSORS: &str = "SELECT id, revoked_at IS NULL,
            last_used_at IS NOT NULL OR disabled_at IS NOT NULL OR coalesce(revoked_reason, 'rotated') <> 'rotated',
            expires_at, abilities
     FROM tokens WHERE family_id = :family_id AND rotated_from = :rotated_from
     ORDER BY number";

/// The refusal of a second rotation. It names the successor.
fn already_rotated(connection: &dyn Connection, old: &Token, by: &Attribution) -> Result<StoreError, StoreError> {
    match lineage::refuse_ended(connection, old.owner, old.id, by.at) {
        // None is valid, but a revoked one is not replaced either.
        StoreError::NotFound => {
            let latest = lineage::successors(connection, &[old.id])?.first().map(|(_, successor)| *successor);
            Ok(StoreError::Conflict(Conflict::AlreadyRotated(latest)))
        }
        refused => Ok(refused),
    }
}

/// What a withdrawn successor had.
struct Withdrawn {
    expires_at: Option<Timestamp>,
    abilities: Abilities,
}

/// Revokes the unused successor and returns what it had.
fn withdraw_successor(connection: &dyn Connection, old: &Token, by: &Attribution) -> Result<Withdrawn, StoreError> {
    let rows = connection.all(
        SUCCESSORS,
        named! {
            ":family_id": old.family.uuid(),
            ":rotated_from": old.id.uuid(),
        },
        |row| {
            let end: Option<i64> = row.get(3)?;
            let id = TokenId::new(row::identifier(row, 0)?);
            let had = Withdrawn { expires_at: end.map(Timestamp::from_unix), abilities: row::abilities(row, 4)? };
            Ok((id, row.get::<bool>(1)?, row.get::<bool>(2)?, had))
        },
    )?;
    let mut successors = rows;
    if successors.iter().any(|(_, _, is_used, _)| *is_used) {
        return Err(already_rotated(connection, old, by)?);
    }
    for (id, ..) in successors.iter().filter(|(_, is_live, ..)| *is_live) {
        end_replaced(connection, *id, Ends::Always, by)?;
    }
    let none = || Withdrawn { expires_at: old.expires_at, abilities: old.abilities.clone() };
    Ok(successors.pop().map_or_else(none, |(.., had)| had))
}

fn begin_grace(connection: &dyn Connection, id: TokenId, end: Timestamp, on_first_use: bool) -> Result<(), StoreError> {
    connection.execute_later(
        "UPDATE tokens SET grace_ends_at = :end, expires_at = :end, ends_on_first_use = :on_first_use
             WHERE id = :id",
        named! {
            ":id": id.uuid(),
            ":end": end.unix(),
            ":on_first_use": on_first_use,
        },
    )
}

/// Which replaced tokens are revoked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ends {
    Always,
    IfOnFirstUse,
}

fn end_replaced(connection: &dyn Connection, id: TokenId, ends: Ends, by: &Attribution) -> Result<(), StoreError> {
    let ended = connection.optional(
        "UPDATE tokens SET revoked_at = :at, revoked_reason = :reason
             WHERE id = :id AND revoked_at IS NULL AND ends_on_first_use >= :on_first_use
             RETURNING owner_id",
        named! {
            ":id": id.uuid(),
            ":at": by.at.unix(),
            ":reason": RevocationReason::Rotated.as_str(),
            ":on_first_use": ends == Ends::IfOnFirstUse,
        },
        |row| row::identifier(row, 0).map(UserId::new),
    )?;
    let reason = RevocationReason::Rotated;
    ended.map_or(Ok(()), |owner| audit::record(connection, by, &TokenRef::personal(owner, id).revoked(reason)))
}

/// The first use of a successor.
pub(crate) fn begin(connection: &dyn Connection, successor: TokenId, by: &Attribution) -> Result<(), StoreError> {
    let rotated_from = connection
        .optional(
            "UPDATE tokens SET last_used_at = CASE WHEN last_used_at > :at THEN last_used_at ELSE :at END
             WHERE id = :id AND revoked_at IS NULL AND rotated_from IS NOT NULL
             RETURNING rotated_from",
            named! {":id": successor.uuid(), ":at": by.at.unix()},
            |row| row::identifier(row, 0).map(TokenId::new),
        )?
        .ok_or(StoreError::NotFound)?;
    end_replaced(connection, rotated_from, Ends::IfOnFirstUse, by)
}

/// A family is its first token and the successors. At most two of them are live, and the named index holds no others.
pub(crate) const END_FAMILY: &str = "UPDATE tokens SET revoked_at = :at, revoked_reason = :reason
     WHERE number IN (
         SELECT number FROM tokens WHERE id = :family_id AND revoked_at IS NULL
         UNION ALL
         SELECT number FROM tokens INDEXED BY tokens_live_successor
         WHERE family_id = :family_id AND rotated_from IS NOT NULL AND revoked_at IS NULL
     ) AND owner_id = :owner_id
     RETURNING id";

pub(crate) fn revoke_family(
    connection: &dyn Connection,
    owner: UserId,
    family: TokenId,
    reused: TokenId,
    note: bool,
    by: &Attribution,
) -> Result<u64, StoreError> {
    let rows = connection.all(
        END_FAMILY,
        named! {
            ":family_id": family.uuid(),
            ":owner_id": owner.uuid(),
            ":at": by.at.unix(),
            ":reason": RevocationReason::ReuseDetected.as_str(),
        },
        |row| row::identifier(row, 0).map(TokenId::new),
    )?;
    let ended = rows;
    if note || !ended.is_empty() {
        deletion::record_refusal(connection, &TokenRef::personal(owner, reused).reuse_detected(), by)?;
    }
    for id in &ended {
        let revoked = TokenRef::personal(owner, *id).revoked(RevocationReason::ReuseDetected);
        audit::record(connection, by, &revoked)?;
    }
    Ok(ended.len() as u64)
}
