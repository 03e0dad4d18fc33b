//! SQL on the audit trail. It is append-only: triggers abort every update and delete, except the pruning of events that are
//! older than the configuration keeps them, and the erasure of the personal data of a deleted user.

use std::borrow::Cow;

use rusqlite::{Connection, named_params, params};

pub(super) mod erasure;

use super::row;
use crate::{
    domain::{
        audit::{Attribution, Entry, Event, RequestSource},
        id::UserId,
        time::Timestamp,
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

/// How many events are read, oldest first. Events are in the order of their times, except those that were written while the
/// clock was wrong. Pruning still finds old events behind fewer than this many with a later time.
const MAX_READ: u32 = 5000;
/// How many events one transaction deletes at most.
const MAX_DELETED: u32 = 200;

/// The numbers of some events from before that time.
pub(super) fn find_old(connection: &Connection, before: Timestamp) -> Result<Vec<i64>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT seq FROM (SELECT seq, at FROM audit_events ORDER BY seq LIMIT :stretch) WHERE at < :before LIMIT :most",
    )?;
    let parameters = named_params! {":before": before.unix(), ":stretch": MAX_READ, ":most": MAX_DELETED};
    let rows = statement.query_map(parameters, |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Deletes events from before that time. The trigger refuses any other. It permits these only while the table
/// `audit_pruning` holds that time, and this row is deleted before the transaction ends.
pub(super) fn delete(connection: &Connection, events: &[i64], before: Timestamp) -> Result<u64, StoreError> {
    let bound = named_params! {":before": before.unix()};
    connection.prepare_cached("INSERT INTO audit_pruning (only_row, before) VALUES (1, :before)")?.execute(bound)?;
    let mut statement = connection.prepare_cached("DELETE FROM audit_events WHERE seq = :seq")?;
    let mut deleted = 0;
    for seq in events {
        deleted += statement.execute(named_params! {":seq": seq})?;
    }
    connection.prepare_cached("DELETE FROM audit_pruning")?.execute([])?;
    Ok(deleted as u64)
}
