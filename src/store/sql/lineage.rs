//! SQL on families and lineages. Each function runs inside one transaction of its caller.
//!
//! A rotation answers with the secret of the successor. If the token rotated itself, the holder of its secret got the new
//! secret too. Both tokens are in the same hands and belong to one *lineage*. If the owner rotated it with a session, only
//! the owner got the new secret, and a new lineage begins. So if the secret of a token leaks, that token and the later
//! tokens of its lineage are compromised, and no others.
//!
//! Each token of a lineage replaced the one before it, so a later token has a larger row number. A family has at most two
//! live tokens, and an index finds them. So no cost here grows with the number of rotations.

use super::{
    connection::{Connection, named},
    row,
};
use crate::{
    domain::{
        id::{EnvironmentId, TokenId, UserId},
        time::Timestamp,
        token::RevocationReason,
    },
    store::{Conflict, StoreError},
};

/// A token in any state, with what a search in its family needs.
pub(crate) struct FamilyToken {
    pub(crate) id: TokenId,
    pub(crate) owner: UserId,
    pub(crate) environment: Option<EnvironmentId>,
    number: i64,
    pub(super) family: TokenId,
    lineage: TokenId,
    pub(crate) is_live: bool,
    /// Whether a successor replaced it. A token that was revoked for another reason is not replaced.
    pub(crate) is_replaced: bool,
}

/// The later tokens of a token's family that are not revoked, in order of creation.
pub(crate) struct LaterTokens {
    /// The tokens of the same lineage. The holder of the token has their secrets.
    pub(crate) same_hands: Vec<TokenId>,
    /// The first token of another lineage that has not expired. The owner made it with a session.
    pub(crate) by_owner: Option<TokenId>,
    /// The first of all that has not expired.
    first: Option<TokenId>,
}

pub(crate) fn find(connection: &dyn Connection, id: TokenId) -> Result<Option<FamilyToken>, StoreError> {
    connection.optional(
        "SELECT owner_id, environment_id, number, family_id, coalesce(lineage_id, id),
                    revoked_at IS NULL, coalesce(revoked_reason = :rotated, grace_ends_at IS NOT NULL)
             FROM tokens WHERE id = :id",
        named! {":id": id.uuid(), ":rotated": RevocationReason::Rotated.as_str()},
        |row| {
            Ok(FamilyToken {
                id,
                owner: UserId::new(row::identifier(row, 0)?),
                environment: row::optional_identifier(row, 1)?.map(EnvironmentId::new),
                number: row.get(2)?,
                family: TokenId::new(row::identifier(row, 3)?),
                lineage: TokenId::new(row::identifier(row, 4)?),
                is_live: row.get(5)?,
                is_replaced: row.get(6)?,
            })
        },
    )
}

/// Like [`find`], but only a personal access token of `owner` counts.
pub(crate) fn find_personal(
    connection: &dyn Connection,
    owner: UserId,
    id: TokenId,
) -> Result<FamilyToken, StoreError> {
    let found = find(connection, id)?.filter(|token| token.owner == owner && token.environment.is_none());
    found.ok_or(StoreError::NotFound)
}

/// The live tokens of a family. Its first token is found by its id, its successors by an index.
pub(crate) const LIVE: &str = "SELECT id, number, coalesce(lineage_id, id), expires_at
     FROM tokens WHERE id = :family_id AND revoked_at IS NULL
     UNION ALL
     SELECT id, number, coalesce(lineage_id, id), expires_at
     FROM tokens INDEXED BY tokens_live_successor
     WHERE family_id = :family_id AND rotated_from IS NOT NULL AND revoked_at IS NULL";

pub(crate) fn later(
    connection: &dyn Connection,
    token: &FamilyToken,
    now: Timestamp,
) -> Result<LaterTokens, StoreError> {
    let rows = connection.all(LIVE, named! {":family_id": token.family.uuid()}, |row| {
        let id = TokenId::new(row::identifier(row, 0)?);
        let number: i64 = row.get(1)?;
        let lineage = TokenId::new(row::identifier(row, 2)?);
        let expires_at: Option<i64> = row.get(3)?;
        let is_expired = expires_at.is_some_and(|at| Timestamp::from_unix(at).has_passed(now));
        Ok((number, id, lineage == token.lineage, is_expired))
    })?;
    let mut live = rows;
    live.retain(|(number, ..)| *number > token.number);
    live.sort_unstable_by_key(|(number, ..)| *number);
    Ok(LaterTokens {
        same_hands: live.iter().filter(|(_, _, is_same, _)| *is_same).map(|(_, id, ..)| *id).collect(),
        by_owner: live.iter().find(|(_, _, is_same, is_expired)| !is_same && !is_expired).map(|(_, id, ..)| *id),
        first: live.iter().find(|(.., is_expired)| !is_expired).map(|(_, id, ..)| *id),
    })
}

/// The error for the rotation of a token that has ended: it was rotated before, or it counts as not found.
pub(crate) fn refuse_ended(connection: &dyn Connection, owner: UserId, id: TokenId, now: Timestamp) -> StoreError {
    let successor = || -> Result<Option<TokenId>, StoreError> {
        let token = find_personal(connection, owner, id)?;
        if !token.is_replaced {
            return Ok(None);
        }
        Ok(later(connection, &token, now)?.first)
    };
    match successor() {
        Ok(None) => StoreError::NotFound,
        Ok(successor) => StoreError::Conflict(Conflict::AlreadyRotated(successor)),
        Err(error) => error,
    }
}

/// Puts a successor into the lineage of the token that made it by itself.
pub(crate) fn join_lineage(
    connection: &dyn Connection,
    successor: TokenId,
    made_by: TokenId,
) -> Result<(), StoreError> {
    connection.execute_later(
        "UPDATE tokens SET lineage_id = (SELECT coalesce(m.lineage_id, m.id) FROM tokens m WHERE m.id = :made_by)
             WHERE id = :id",
        named! {
            ":id": successor.uuid(),
            ":made_by": made_by.uuid(),
        },
    )
}

/// The latest direct successor of a token.
pub(crate) const SUCCESSOR: &str =
    "SELECT c.id FROM tokens t CROSS JOIN tokens c ON c.family_id = t.family_id AND c.rotated_from = t.id
     WHERE t.id = :id ORDER BY c.number DESC LIMIT 1";

pub(crate) fn successors(connection: &dyn Connection, ids: &[TokenId]) -> Result<Vec<(TokenId, TokenId)>, StoreError> {
    let mut found = Vec::new();
    for id in ids {
        let successor = connection.optional(SUCCESSOR, named! {":id": id.uuid()}, |row| row::identifier(row, 0))?;
        found.extend(successor.map(|successor| (*id, TokenId::new(successor))));
    }
    Ok(found)
}
