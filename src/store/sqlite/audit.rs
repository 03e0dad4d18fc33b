//! SQL on the audit trail, which is only ever added to: triggers abort anything else, but for the pruning of what is older
//! than the configuration wants to keep.

use std::borrow::Cow;

use rusqlite::{Connection, named_params, params};

use super::row;
use crate::{
    domain::{
        audit::{Attribution, Entry, Event},
        id::UserId,
        time::Timestamp,
    },
    store::StoreError,
};

/// Walks its index backwards from where the page before ended.
pub(super) const LIST: &str = "SELECT seq, at, user_id, actor_kind, actor_id, action, target_kind, target_id, address,
            request_id, outcome, detail
     FROM audit_events
     WHERE user_id = :user_id AND seq < :before
     ORDER BY seq DESC LIMIT :limit";

/// By position, in the order of the columns, since whatever changes anything executes it.
pub(super) const INSERT: &str =
    "INSERT INTO audit_events (at, user_id, actor_kind, actor_id, action, target_kind, target_id, address, request_id,
                               outcome, detail)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";

/// Notes what happens, in the transaction in which it happens.
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
    ])?;
    Ok(())
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

/// The rows that are looked at, the oldest, and of these the rows that are deleted in one transaction. Events lie in the
/// order of their times but for what was written while the clock was wrong; so much of that is passed over.
const STRETCH: u32 = 5000;
const MOST: u32 = 200;

/// Some of the events from before that time.
pub(super) fn find_old(connection: &Connection, before: Timestamp) -> Result<Vec<i64>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT seq FROM (SELECT seq, at FROM audit_events ORDER BY seq LIMIT :stretch) WHERE at < :before LIMIT :most",
    )?;
    let parameters = named_params! {":before": before.unix(), ":stretch": STRETCH, ":most": MOST};
    let rows = statement.query_map(parameters, |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Deletes events from before that time; any other is refused. The trigger lets them go while their bound is stored, which
/// it is no more when the transaction ends.
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
