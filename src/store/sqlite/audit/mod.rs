//! SQL on the audit trail. It is append-only: triggers abort every update and delete, except the pruning of events that are
//! older than the configuration keeps them, and the erasure of the personal data of a deleted user.

use std::borrow::Cow;

use rusqlite::{Connection, named_params, params};

pub(super) mod erasure;
pub(super) mod list;
pub(super) mod pruning;
pub(super) mod seals;

use super::row;
use crate::{
    domain::{
        audit::{Attribution, Entry, Event, RequestSource},
        id::UserId,
    },
    store::StoreError,
};

/// Reads the index backwards from the end of the previous page.
pub(super) const LIST: &str = "SELECT seq, at, user_id, actor_kind, actor_id, action, target_kind, target_id, address,
            request_id, outcome, detail, actor_user_id
     FROM audit_events
     WHERE user_id = :user_id AND seq < :before
     ORDER BY seq DESC LIMIT :limit";

/// Parameters by position, in the order of the columns: every change executes this, and a lookup by name costs time.
pub(super) const INSERT: &str =
    "INSERT INTO audit_events (at, user_id, actor_kind, actor_id, action, target_kind, target_id, address, request_id,
                               outcome, detail, actor_user_id)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";

/// Records an event in the transaction of its change.
pub(super) fn record(connection: &Connection, by: &Attribution, entry: &Entry) -> Result<(), StoreError> {
    connection.prepare_cached(INSERT)?.execute(params![
        by.at.unix(),
        entry.user.map(|user| user.uuid().into_bytes()),
        by.origin.actor.kind(),
        by.origin.actor.id().map(uuid::Uuid::into_bytes),
        entry.action.as_str(),
        entry.target.kind(),
        entry.target.id().map(uuid::Uuid::into_bytes),
        by.origin.address.map(|address| address.to_string()),
        by.origin.request_id,
        entry.outcome.as_str(),
        entry.detail.as_ref().map(Cow::as_ref),
        by.origin.actor.user().map(|user| user.uuid().into_bytes()),
    ])?;
    Ok(())
}

/// The same attribution without the address, which the other user must not learn.
pub(super) fn without_address(by: &Attribution) -> Attribution {
    Attribution { origin: RequestSource { address: None, ..by.origin.clone() }, at: by.at }
}

pub(super) fn list(
    connection: &Connection,
    user: UserId,
    before: Option<i64>,
    limit: u32,
) -> Result<Vec<Event>, StoreError> {
    let mut statement = connection.prepare_cached(LIST)?;
    let rows = statement.query_map(
        named_params! {
            ":user_id": user.uuid().into_bytes(),
            ":before": before.unwrap_or(i64::MAX),
            ":limit": limit,
        },
        row::event,
    )?;
    Ok(rows.collect::<Result<_, _>>()?)
}
