//! SQL that revokes, disables and enables tokens, one or many. Each function runs inside one transaction of its caller.
//!
//! A thief who has the secret of a token that may rotate itself can replace it at any moment, also just before the owner
//! revokes, disables or reports it, and with a grace of zero. If only the named token were revoked, a thief would keep a
//! valid successor. So each change here includes the later tokens of the same lineage ([`lineage`]) in the same transaction.
//! A rotation that comes after it finds a revoked token. A successor that the owner created with a session is out of the
//! thief's reach: it stays valid, and the answer names it.
//!
//! Only the functions know which tokens they change, so they add them to the list of changes.

use super::{
    audit,
    connection::{Connection, named},
    lineage::{self, FamilyToken},
    owners, row, token_search, tokens,
};
use crate::{
    domain::{
        ability::Ability,
        audit::Attribution,
        events::{self, TokenRef},
        id::{SessionId, TokenId, UserId},
        token::{RevocationReason, Token},
    },
    store::{Change, ChangedToken, Conflict, LeakReport, StoreError, Successors, TokenSelection, invalidation},
};

/// Revokes a personal token of the owner.
pub(crate) fn revoke(
    connection: &dyn Connection,
    owner: UserId,
    id: TokenId,
    reason: RevocationReason,
    by: &Attribution,
    changes: &mut Vec<Change>,
) -> Result<Successors, StoreError> {
    owners::expect_to_act_for(connection, owner, by)?;
    let named = lineage::find_personal(connection, owner, id)?;
    let later = lineage::later(connection, &named, by.at)?;
    let is_ended = end(connection, id, reason, by, changes)?;
    if is_ended {
        audit::record(connection, by, &TokenRef::personal(owner, id).revoked(reason))?;
    }
    let ended = end_same_hands(connection, &named, &later.same_hands, reason, by, changes)?;
    match later.by_owner {
        unchanged if is_ended || !ended.is_empty() => Ok(Successors { changed: ended, unchanged }),
        Some(successor) if named.is_replaced => Err(StoreError::Conflict(Conflict::AlreadyRotated(Some(successor)))),
        _ => Err(StoreError::NotFound),
    }
}

/// Revokes the later tokens of the lineage of `named`.
fn end_same_hands(
    connection: &dyn Connection,
    named: &FamilyToken,
    same_hands: &[TokenId],
    reason: RevocationReason,
    by: &Attribution,
    changes: &mut Vec<Change>,
) -> Result<Vec<TokenId>, StoreError> {
    let mut ended = Vec::new();
    for id in same_hands {
        if end(connection, *id, reason, by, changes)? {
            let revoked = TokenRef::personal(named.owner, *id).revoked_with(named.id, reason);
            audit::record(connection, by, &revoked)?;
            ended.push(*id);
        }
    }
    Ok(ended)
}

/// Revokes one token of any kind. Returns whether it was live.
fn end(
    connection: &dyn Connection,
    id: TokenId,
    reason: RevocationReason,
    by: &Attribution,
    changes: &mut Vec<Change>,
) -> Result<bool, StoreError> {
    changes.extend(invalidation::token(id));
    let ended = connection.execute(
        "UPDATE tokens SET revoked_at = :at, revoked_reason = :reason WHERE id = :id AND revoked_at IS NULL",
        named! {
            ":id": id.uuid(),
            ":at": by.at.unix(),
            ":reason": reason.as_str(),
        },
    )?;
    Ok(ended > 0)
}

/// Revokes several tokens of the owner. The caller reports a change of the user.
pub(crate) fn revoke_some(
    connection: &dyn Connection,
    owner: UserId,
    selection: &TokenSelection,
    reason: RevocationReason,
    by: &Attribution,
) -> Result<u64, StoreError> {
    owners::expect_to_act_for(connection, owner, by)?;
    let mut ended = 0;
    match selection {
        TokenSelection::All => {
            for id in revoke_all(connection, owner, reason, by)? {
                audit::record(connection, by, &TokenRef::personal(owner, id).revoked(reason))?;
                ended += 1;
            }
        }
        TokenSelection::These(ids) => {
            for id in ids {
                ended += u64::from(revoke_one(connection, owner, *id, reason, by)?);
                ended += revoke_successors(connection, owner, *id, reason, by)?;
            }
        }
        TokenSelection::Covering(ids, ability) => {
            for id in ids {
                ended += u64::from(revoke_one(connection, owner, *id, reason, by)?);
                ended += revoke_successors(connection, owner, *id, reason, by)?;
                for relative in covering(connection, owner, *id, ability)? {
                    ended += u64::from(revoke_one(connection, owner, relative, reason, by)?);
                }
            }
        }
    }
    Ok(ended)
}

/// Revokes the successors that a token of the owner created by itself.
fn revoke_successors(
    connection: &dyn Connection,
    owner: UserId,
    id: TokenId,
    reason: RevocationReason,
    by: &Attribution,
) -> Result<u64, StoreError> {
    let named = match lineage::find_personal(connection, owner, id) {
        Err(StoreError::NotFound) => return Ok(0),
        found => found?,
    };
    let later = lineage::later(connection, &named, by.at)?;
    Ok(end_same_hands(connection, &named, &later.same_hands, reason, by, &mut Vec::new())?.len() as u64)
}

/// The live tokens of the family of a token of the owner that cover an ability. (Rotation can take abilities away, so not
/// all of a family do.)
fn covering(
    connection: &dyn Connection,
    owner: UserId,
    id: TokenId,
    ability: &Ability,
) -> Result<Vec<TokenId>, StoreError> {
    let family = match lineage::find_personal(connection, owner, id) {
        Err(StoreError::NotFound) => return Ok(Vec::new()),
        found => found?.family,
    };
    let members = connection.all(
        "SELECT id, abilities FROM tokens WHERE id = :family_id AND revoked_at IS NULL
         UNION ALL
         SELECT id, abilities FROM tokens INDEXED BY tokens_live_successor
         WHERE family_id = :family_id AND rotated_from IS NOT NULL AND revoked_at IS NULL",
        named! {":family_id": family.uuid()},
        |row| {
            let covers = token_search::covers(row.text(1)?, ability.as_str());
            Ok(covers.then_some(TokenId::new(row::identifier(row, 0)?)))
        },
    )?;
    Ok(members.into_iter().flatten().collect())
}

/// Revokes all live tokens: two ranges of the index that also counts them.
fn revoke_all(
    connection: &dyn Connection,
    owner: UserId,
    reason: RevocationReason,
    by: &Attribution,
) -> Result<Vec<TokenId>, StoreError> {
    let mut revoked = Vec::new();
    for live in ["expires_at IS NULL", "expires_at > :at"] {
        revoked.extend(connection.all(
            &format!(
                "UPDATE tokens SET revoked_at = :at, revoked_reason = :reason
             WHERE owner_id = :owner_id AND revoked_at IS NULL AND environment_id IS NULL AND {live}
             RETURNING id"
            ),
            named! {
                ":owner_id": owner.uuid(),
                ":at": by.at.unix(),
                ":reason": reason.as_str(),
            },
            |row| row::identifier(row, 0).map(TokenId::new),
        )?);
    }
    Ok(revoked)
}

fn revoke_one(
    connection: &dyn Connection,
    owner: UserId,
    id: TokenId,
    reason: RevocationReason,
    by: &Attribution,
) -> Result<bool, StoreError> {
    let ended = connection.execute(
        "UPDATE tokens SET revoked_at = :at, revoked_reason = :reason
             WHERE id = :id AND owner_id = :owner_id AND revoked_at IS NULL AND environment_id IS NULL
               AND (expires_at IS NULL OR expires_at > :at)",
        named! {
            ":id": id.uuid(),
            ":owner_id": owner.uuid(),
            ":at": by.at.unix(),
            ":reason": reason.as_str(),
        },
    )?;
    if ended > 0 {
        audit::record(connection, by, &TokenRef::personal(owner, id).revoked(reason))?;
    }
    Ok(ended > 0)
}

pub(crate) fn revoke_leaked(
    connection: &dyn Connection,
    leaked: &LeakReport,
    by: &Attribution,
    changes: &mut Vec<Change>,
) -> Result<(), StoreError> {
    let mut found = false;
    for id in &leaked.tokens {
        found |= revoke_leaked_token(connection, *id, by, changes)?;
    }
    for id in &leaked.sessions {
        changes.extend(invalidation::session(*id));
        found |= end_leaked_session(connection, *id, by)?;
    }
    match leaked.presented {
        Some(presented) if !found => audit::record(connection, by, &events::leak_of_nothing(presented)),
        _ => Ok(()),
    }
}

/// Records two events: that the secret leaked, and that the token was revoked. For a token that was revoked before, records
/// the leak only if a successor is revoked.
fn revoke_leaked_token(
    connection: &dyn Connection,
    id: TokenId,
    by: &Attribution,
    changes: &mut Vec<Change>,
) -> Result<bool, StoreError> {
    let reason = RevocationReason::LeakReport;
    let Some(named) = lineage::find(connection, id)? else { return Ok(false) };
    let later = lineage::later(connection, &named, by.at)?;
    let is_ended = end(connection, id, reason, by, changes)?;
    if !is_ended && later.same_hands.is_empty() {
        return Ok(false);
    }
    let token = TokenRef { id, owner: named.owner, environment: named.environment };
    audit::record(connection, by, &token.leaked())?;
    if is_ended {
        audit::record(connection, by, &token.revoked(reason))?;
    }
    end_same_hands(connection, &named, &later.same_hands, reason, by, changes)?;
    Ok(true)
}

fn end_leaked_session(connection: &dyn Connection, id: SessionId, by: &Attribution) -> Result<bool, StoreError> {
    let user = connection.optional(
        "DELETE FROM sessions WHERE id = :id RETURNING user_id",
        named! {":id": id.uuid()},
        |row| row::identifier(row, 0),
    )?;
    let Some(user) = user.map(UserId::new) else { return Ok(false) };
    audit::record(connection, by, &events::session_leaked(user, id))?;
    audit::record(connection, by, &events::session_ended_by_leak(user, id))?;
    Ok(true)
}

pub(crate) fn disable(
    connection: &dyn Connection,
    owner: UserId,
    id: TokenId,
    by: &Attribution,
    changes: &mut Vec<Change>,
) -> Result<(ChangedToken, Successors), StoreError> {
    owners::expect_to_act_for(connection, owner, by)?;
    let named = lineage::find_personal(connection, owner, id)?;
    let later = lineage::later(connection, &named, by.at)?;
    changes.extend(invalidation::token(id));
    if disable_one(connection, id, by)? {
        audit::record(connection, by, &TokenRef::personal(owner, id).disabled())?;
    }
    let mut changed = Vec::new();
    for successor in &later.same_hands {
        changes.extend(invalidation::token(*successor));
        if disable_one(connection, *successor, by)? {
            audit::record(connection, by, &TokenRef::personal(owner, *successor).disabled_with(id))?;
            changed.push(*successor);
        }
    }
    match later.by_owner {
        unchanged if named.is_live || !later.same_hands.is_empty() => {
            let token = tokens::changed(connection, tokens::in_any_state(connection, id)?)?;
            Ok((token, Successors { changed, unchanged }))
        }
        Some(successor) if named.is_replaced => Err(StoreError::Conflict(Conflict::AlreadyRotated(Some(successor)))),
        _ => Err(StoreError::NotFound),
    }
}

/// Disables one token. Returns whether it was enabled.
fn disable_one(connection: &dyn Connection, id: TokenId, by: &Attribution) -> Result<bool, StoreError> {
    let disabled = connection.execute(
        "UPDATE tokens SET disabled_at = :at WHERE id = :id AND revoked_at IS NULL AND disabled_at IS NULL",
        named! {":id": id.uuid(), ":at": by.at.unix()},
    )?;
    Ok(disabled > 0)
}

/// Enables a token. An enabled token is not changed, and no event is recorded.
pub(crate) fn enable(
    connection: &dyn Connection,
    owner: UserId,
    id: TokenId,
    by: &Attribution,
) -> Result<ChangedToken, StoreError> {
    owners::expect_to_act_for(connection, owner, by)?;
    let token = tokens::by_id(connection, id)?;
    if token.owner != owner {
        return Err(StoreError::NotFound);
    }
    if token.disabled_at.is_some() {
        connection.execute("UPDATE tokens SET disabled_at = NULL WHERE id = :id", named! {":id": id.uuid()})?;
        audit::record(connection, by, &TokenRef::from(&token).enabled())?;
    }
    tokens::changed(connection, Token { disabled_at: None, ..token })
}
