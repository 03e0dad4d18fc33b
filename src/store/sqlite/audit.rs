//! SQL on the audit trail, which is only ever added to: triggers abort anything else.

use std::borrow::Cow;

use rusqlite::{Connection, named_params};

use super::row;
use crate::{
    domain::{
        audit::{By, Entry, Event},
        id::UserId,
    },
    store::StoreError,
};

/// Walks its index backwards from where the page before ended.
pub(super) const LIST: &str = "SELECT seq, at, user_id, actor_kind, actor_id, action, target_kind, target_id, address,
            request_id, outcome, detail
     FROM audit_events
     WHERE user_id = :user_id AND seq < :before
     ORDER BY seq DESC LIMIT :limit";

/// Notes what happens, in the transaction in which it happens.
pub(super) fn record(connection: &Connection, by: &By, entry: &Entry) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO audit_events (at, user_id, actor_kind, actor_id, action, target_kind, target_id, address,
                                       request_id, outcome, detail)
             VALUES (:at, :user_id, :actor_kind, :actor_id, :action, :target_kind, :target_id, :address,
                     :request_id, :outcome, :detail)",
        )?
        .execute(named_params! {
            ":at": by.at.unix(),
            ":user_id": entry.user.map(|user| user.uuid().into_bytes()),
            ":actor_kind": by.origin.actor.kind(),
            ":actor_id": by.origin.actor.id().map(uuid::Uuid::into_bytes),
            ":action": entry.action.as_str(),
            ":target_kind": entry.target.kind(),
            ":target_id": entry.target.id().map(uuid::Uuid::into_bytes),
            ":address": by.origin.address.map(|address| address.to_string()),
            ":request_id": by.origin.request_id,
            ":outcome": entry.outcome.as_str(),
            ":detail": entry.detail.as_ref().map(Cow::as_ref),
        })?;
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
