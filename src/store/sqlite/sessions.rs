//! SQL on sessions. Each function runs inside one transaction of its caller.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, named_params};

use super::{audit, row};
use crate::{
    domain::{
        audit::Attribution,
        events,
        id::{SessionId, UserId},
        last_use::LastUse,
        secret::TokenHash,
        session::{Session, SessionRecord},
        time::Timestamp,
    },
    store::{Conflict, SessionQuery, StoreError},
};

/// Runs for every request with a session. It uses two unique indexes.
pub(super) const BY_HASH: &str = "SELECT s.id, s.user_id, s.device_name, s.created_at, s.last_used_at, s.expires_at,
            u.id, u.name, u.email, u.created_at, u.disabled_at, u.current_environment_id, u.role
     FROM sessions s JOIN users u ON u.id = s.user_id
     WHERE s.hash = :hash";

/// Fails if a session acts that has ended, perhaps during this request.
pub(super) fn expect_open(connection: &Connection, by: &Attribution) -> Result<(), StoreError> {
    let Some(session) = by.session() else { return Ok(()) };
    let open = connection
        .prepare_cached("SELECT 1 FROM sessions WHERE id = :id")?
        .exists(named_params! {":id": session.uuid().into_bytes()})?;
    if open { Ok(()) } else { Err(StoreError::Conflict(Conflict::SessionEnded)) }
}

pub(super) fn by_hash(connection: &Connection, hash: &TokenHash) -> Result<Option<Arc<SessionRecord>>, StoreError> {
    let found = connection
        .prepare_cached(BY_HASH)?
        .query_row(named_params! {":hash": hash.as_bytes()}, |row| {
            let session = row::session(row)?;
            let last_use = LastUse::new(Some(session.last_used_at));
            Ok(Arc::new(SessionRecord { session, user: row::user(row, row::SESSION_COLUMNS)?, last_use }))
        })
        .optional()?;
    Ok(found)
}

/// Reads its index backwards from the end of the previous page.
pub(super) const LIST: &str = "SELECT id, user_id, device_name, created_at, last_used_at, expires_at
     FROM sessions
     WHERE user_id = :user_id AND (created_at, id) < (:before, :before_id) AND expires_at > :now
     ORDER BY created_at DESC, id DESC LIMIT :limit";

pub(super) fn list(
    connection: &Connection,
    user: UserId,
    query: SessionQuery,
    now: Timestamp,
) -> Result<Vec<Session>, StoreError> {
    let before = query.before.map_or((i64::MAX, [0; 16]), |(at, id)| (at.unix(), id.uuid().into_bytes()));
    let mut statement = connection.prepare_cached(LIST)?;
    let rows = statement.query_map(
        named_params! {
            ":user_id": user.uuid().into_bytes(),
            ":before": before.0,
            ":before_id": before.1,
            ":now": now.unix(),
            ":limit": query.limit,
        },
        row::session,
    )?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn end(connection: &Connection, user: UserId, id: SessionId, by: &Attribution) -> Result<(), StoreError> {
    let ended = connection.prepare_cached("DELETE FROM sessions WHERE id = :id AND user_id = :user_id")?.execute(
        named_params! {
            ":id": id.uuid().into_bytes(),
            ":user_id": user.uuid().into_bytes(),
        },
    )?;
    match ended {
        0 => Err(StoreError::NotFound),
        _ => audit::record(connection, by, &events::session_ended(user, id)),
    }
}

/// Ends the user's sessions except `keep`. Returns how many.
pub(super) fn end_all(
    connection: &Connection,
    user: UserId,
    keep: Option<SessionId>,
    by: &Attribution,
) -> Result<u64, StoreError> {
    let mut statement =
        connection.prepare_cached("DELETE FROM sessions WHERE user_id = :user_id AND id IS NOT :keep RETURNING id")?;
    let rows = statement.query_map(
        named_params! {
            ":user_id": user.uuid().into_bytes(),
            ":keep": keep.map(|keep| keep.uuid().into_bytes()),
        },
        row::session_id,
    )?;
    let ended: Vec<SessionId> = rows.collect::<Result<_, _>>()?;
    for id in &ended {
        audit::record(connection, by, &events::session_ended(user, *id))?;
    }
    Ok(ended.len() as u64)
}

/// Writes nothing if the time is not later than the stored one.
pub(super) fn record_uses(connection: &Connection, uses: &[(SessionId, Timestamp)]) -> Result<(), StoreError> {
    let mut statement =
        connection.prepare_cached("UPDATE sessions SET last_used_at = :at WHERE id = :id AND last_used_at < :at")?;
    for (id, at) in uses {
        statement.execute(named_params! {":id": id.uuid().into_bytes(), ":at": at.unix()})?;
    }
    Ok(())
}

pub(super) fn prune(connection: &Connection, now: Timestamp) -> Result<u64, StoreError> {
    let pruned = connection
        .prepare_cached("DELETE FROM sessions WHERE expires_at <= :now")?
        .execute(named_params! {":now": now.unix()})?;
    Ok(pruned as u64)
}
