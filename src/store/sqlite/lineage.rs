//! SQL on what came of a token by rotation. Each function runs inside one transaction of its caller.
//!
//! A successor is shown to whoever asked for the rotation. If the token asked by itself, the holder of its secret got the
//! secret of the successor: both are in the same hands, and they share a *lineage*. If the owner asked with a session, the
//! owner alone got the new secret, and a new lineage begins. So when the secret of a token is in the wrong hands, the
//! compromised tokens are that token and the later tokens of its lineage, and no others.
//!
//! Each token of a lineage replaced the one before it, so "later" is a larger row number. Of a family no more than two
//! tokens are live, and an index holds them: nothing here grows with the number of rotations.

use rusqlite::{Connection, OptionalExtension, named_params};

use super::row;
use crate::{
    domain::{
        id::{EnvironmentId, TokenId, UserId},
        time::Timestamp,
        token::RevocationReason,
    },
    store::{Conflict, StoreError},
};

/// A token in whatever state, as far as its relatives are concerned.
pub(super) struct Member {
    pub(super) id: TokenId,
    pub(super) owner: UserId,
    pub(super) environment: Option<EnvironmentId>,
    number: i64,
    family: TokenId,
    lineage: TokenId,
    pub(super) is_live: bool,
    /// Whether it ended, if it did, because a successor took its place.
    pub(super) is_replaced: bool,
}

/// The tokens that came after a token in its family and are not revoked, in the order in which they were made.
pub(super) struct Later {
    /// Those of its lineage: its holder has their secrets.
    pub(super) same_hands: Vec<TokenId>,
    /// The first one that the owner made with a session, where it has not expired.
    pub(super) by_owner: Option<TokenId>,
    /// The first of all of them that has not expired.
    first: Option<TokenId>,
}

pub(super) fn find(connection: &Connection, id: TokenId) -> Result<Option<Member>, StoreError> {
    let member = connection
        .prepare_cached(
            "SELECT owner_id, environment_id, number, family_id, coalesce(lineage_id, id),
                    revoked_at IS NULL, coalesce(revoked_reason = :rotated, grace_ends_at IS NOT NULL)
             FROM tokens WHERE id = :id",
        )?
        .query_row(
            named_params! {":id": id.uuid().into_bytes(), ":rotated": RevocationReason::Rotated.as_str()},
            |row| {
                Ok(Member {
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
        .optional()?;
    Ok(member)
}

/// The same for a personal token of the owner.
pub(super) fn find_personal(connection: &Connection, owner: UserId, id: TokenId) -> Result<Member, StoreError> {
    let found = find(connection, id)?.filter(|member| member.owner == owner && member.environment.is_none());
    found.ok_or(StoreError::NotFound)
}

/// By the two ways in which a family is found: the first of it, and its successors.
pub(super) const LIVE: &str = "SELECT id, number, coalesce(lineage_id, id), expires_at
     FROM tokens WHERE id = :family_id AND revoked_at IS NULL
     UNION ALL
     SELECT id, number, coalesce(lineage_id, id), expires_at
     FROM tokens INDEXED BY tokens_live_successor
     WHERE family_id = :family_id AND rotated_from IS NOT NULL AND revoked_at IS NULL";

pub(super) fn later(connection: &Connection, member: &Member, now: Timestamp) -> Result<Later, StoreError> {
    let mut statement = connection.prepare_cached(LIVE)?;
    let rows = statement.query_map(named_params! {":family_id": member.family.uuid().into_bytes()}, |row| {
        let id = TokenId::new(row::identifier(row, 0)?);
        let number: i64 = row.get(1)?;
        let lineage = TokenId::new(row::identifier(row, 2)?);
        let end: Option<i64> = row.get(3)?;
        let is_expired = end.is_some_and(|end| Timestamp::from_unix(end).has_passed(now));
        Ok((number, id, lineage == member.lineage, !is_expired))
    })?;
    let mut live = rows.collect::<Result<Vec<_>, _>>()?;
    live.retain(|(number, ..)| *number > member.number);
    live.sort_unstable_by_key(|(number, ..)| *number);
    Ok(Later {
        same_hands: live.iter().filter(|(_, _, is_same, _)| *is_same).map(|(_, id, ..)| *id).collect(),
        by_owner: live.iter().find(|(_, _, is_same, lasts)| !is_same && *lasts).map(|(_, id, ..)| *id),
        first: live.iter().find(|(.., lasts)| *lasts).map(|(_, id, ..)| *id),
    })
}

/// Why a token that has ended is not rotated: it has a good successor, or there is no such token.
pub(super) fn refuse_ended(connection: &Connection, owner: UserId, id: TokenId, now: Timestamp) -> StoreError {
    let successor = || -> Result<Option<TokenId>, StoreError> {
        let member = find_personal(connection, owner, id)?;
        if !member.is_replaced {
            return Ok(None);
        }
        Ok(later(connection, &member, now)?.first)
    };
    match successor() {
        Ok(None) => StoreError::NotFound,
        Ok(successor) => StoreError::Conflict(Conflict::AlreadyRotated(successor)),
        Err(error) => error,
    }
}

/// Notes that a token made its successor by itself.
pub(super) fn join(connection: &Connection, successor: TokenId, made_by: TokenId) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE tokens SET lineage_id = (SELECT coalesce(m.lineage_id, m.id) FROM tokens m WHERE m.id = :made_by)
             WHERE id = :id",
        )?
        .execute(named_params! {
            ":id": successor.uuid().into_bytes(),
            ":made_by": made_by.uuid().into_bytes(),
        })?;
    Ok(())
}

/// The latest successor of each of the tokens with these ids, which are a JSON array of hexadecimal texts.
pub(super) const SUCCESSORS: &str = "SELECT t.id,
            (SELECT c.id FROM tokens c WHERE c.family_id = t.family_id AND c.rotated_from = t.id
             ORDER BY c.number DESC LIMIT 1)
     FROM json_each(:ids) wanted CROSS JOIN tokens t ON t.id = unhex(wanted.value)";

pub(super) fn successors(connection: &Connection, ids: &[TokenId]) -> Result<Vec<(TokenId, TokenId)>, StoreError> {
    let ids: Vec<String> = ids.iter().map(|id| format!("\"{}\"", id.uuid().simple())).collect();
    let mut statement = connection.prepare_cached(SUCCESSORS)?;
    let rows = statement.query_map(named_params! {":ids": format!("[{}]", ids.join(","))}, |row| {
        let token = TokenId::new(row::identifier(row, 0)?);
        Ok(row::optional_identifier(row, 1)?.map(|successor| (token, TokenId::new(successor))))
    })?;
    Ok(rows.filter_map(Result::transpose).collect::<Result<_, _>>()?)
}
