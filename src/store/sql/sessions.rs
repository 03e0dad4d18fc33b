//! SQL on sessions. Each function runs inside one transaction of its caller.

use std::sync::Arc;

use uuid::Uuid;

use super::{
    audit,
    connection::{Connection, Row, named},
    row,
};
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
pub(crate) const BY_HASH: &str = "SELECT s.id, s.user_id, s.device_name, s.created_at, s.last_used_at, s.expires_at,
            u.id, u.name, u.email, u.created_at, u.disabled_at, u.current_environment_id, u.role
     FROM sessions s JOIN users u ON u.id = s.user_id
     WHERE s.hash = :hash";

/// Fails if a session acts that has ended, perhaps during this request.
pub(crate) fn expect_open(connection: &dyn Connection, by: &Attribution) -> Result<(), StoreError> {
    let Some(session) = by.session() else { return Ok(()) };
    let open = connection.exists("SELECT 1 FROM sessions WHERE id = :id", named! {":id": session.uuid()})?;
    if open { Ok(()) } else { Err(StoreError::Conflict(Conflict::SessionEnded)) }
}

pub(crate) fn by_hash(connection: &dyn Connection, hash: &TokenHash) -> Result<Option<Arc<SessionRecord>>, StoreError> {
    connection.optional(BY_HASH, named! {":hash": hash.as_bytes()}, record)
}

/// Reads a row of [`BY_HASH`].
pub(crate) fn record(row: &dyn Row) -> Result<Arc<SessionRecord>, StoreError> {
    let session = row::session(row)?;
    let last_use = LastUse::new(Some(session.last_used_at));
    Ok(Arc::new(SessionRecord { session, user: row::user(row, row::SESSION_COLUMNS)?, last_use }))
}

/// Reads its index backwards from the end of the previous page.
pub(crate) const LIST: &str = "SELECT id, user_id, device_name, created_at, last_used_at, expires_at
     FROM sessions
     WHERE user_id = :user_id AND (created_at, id) < (:before, :before_id) AND expires_at > :now
     ORDER BY created_at DESC, id DESC LIMIT :limit";

pub(crate) fn list(
    connection: &dyn Connection,
    user: UserId,
    query: SessionQuery,
    now: Timestamp,
) -> Result<Vec<Session>, StoreError> {
    let before = query.before.map_or((i64::MAX, Uuid::nil()), |(at, id)| (at.unix(), id.uuid()));
    connection.all(
        LIST,
        named! {
            ":user_id": user.uuid(),
            ":before": before.0,
            ":before_id": before.1,
            ":now": now.unix(),
            ":limit": query.limit,
        },
        row::session,
    )
}

pub(crate) fn end(
    connection: &dyn Connection,
    user: UserId,
    id: SessionId,
    by: &Attribution,
) -> Result<(), StoreError> {
    let ended = connection.execute(
        "DELETE FROM sessions WHERE id = :id AND user_id = :user_id",
        named! {
            ":id": id.uuid(),
            ":user_id": user.uuid(),
        },
    )?;
    match ended {
        0 => Err(StoreError::NotFound),
        _ => audit::record(connection, by, &events::session_ended(user, id)),
    }
}

/// Ends the user's sessions except `keep`. Returns how many.
pub(crate) fn end_all(
    connection: &dyn Connection,
    user: UserId,
    keep: Option<SessionId>,
    by: &Attribution,
) -> Result<u64, StoreError> {
    let rows = connection.all(
        "DELETE FROM sessions WHERE user_id = :user_id AND id IS DISTINCT FROM :keep RETURNING id",
        named! {
            ":user_id": user.uuid(),
            ":keep": keep.map(|keep| keep.uuid()),
        },
        row::session_id,
    )?;
    let ended: Vec<SessionId> = rows;
    for id in &ended {
        audit::record(connection, by, &events::session_ended(user, *id))?;
    }
    Ok(ended.len() as u64)
}

/// Writes nothing if the time is not later than the stored one.
pub(crate) fn record_uses(connection: &dyn Connection, uses: &[(SessionId, Timestamp)]) -> Result<(), StoreError> {
    for (id, at) in uses {
        connection.execute_later(
            "UPDATE sessions SET last_used_at = :at WHERE id = :id AND last_used_at < :at",
            named! {":id": id.uuid(), ":at": at.unix()},
        )?;
    }
    Ok(())
}

pub(crate) fn prune(connection: &dyn Connection, now: Timestamp) -> Result<u64, StoreError> {
    let pruned = connection.execute("DELETE FROM sessions WHERE expires_at <= :now", named! {":now": now.unix()})?;
    Ok(pruned)
}
