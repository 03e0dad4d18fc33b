//! SQL on the audit trail. It is append-only: triggers abort every update and delete, except the pruning of events that are
//! older than the configuration keeps them, and the erasure of the personal data of a deleted user.

use std::borrow::Cow;

pub(crate) mod erasure;
pub(crate) mod list;
pub(crate) mod pruning;
pub(crate) mod seals;

use super::row;
use crate::store::sql::connection::{Connection, named, numbered};
use crate::{
    domain::{
        audit::{Attribution, Entry, Event, RequestSource},
        id::UserId,
    },
    store::StoreError,
};

/// Reads the index backwards from the end of the previous page.
pub(crate) const LIST: &str = "SELECT seq, at, user_id, actor_kind, actor_id, action, target_kind, target_id, address,
            request_id, outcome, detail, actor_user_id
     FROM audit_events
     WHERE user_id = :user_id AND seq < :before
     ORDER BY seq DESC LIMIT :limit";

/// Parameters by position, in the order of the columns: every change executes this, and a lookup by name costs time.
pub(crate) const INSERT: &str =
    "INSERT INTO audit_events (at, user_id, actor_kind, actor_id, action, target_kind, target_id, address, request_id,
                               outcome, detail, actor_user_id)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";

/// Records an event in the transaction of its change.
pub(crate) fn record(connection: &dyn Connection, by: &Attribution, entry: &Entry) -> Result<(), StoreError> {
    connection.execute_later(
        INSERT,
        numbered![
            by.at.unix(),
            entry.user.map(|user| user.uuid()),
            by.origin.actor.kind(),
            by.origin.actor.id(),
            entry.action.as_str(),
            entry.target.kind(),
            entry.target.id(),
            by.origin.address.map(|address| address.to_string()),
            by.origin.request_id.as_deref(),
            entry.outcome.as_str(),
            entry.detail.as_ref().map(Cow::as_ref),
            by.origin.actor.user().map(|user| user.uuid()),
        ],
    )
}

/// The same attribution without the address, which the other user must not learn.
pub(crate) fn without_address(by: &Attribution) -> Attribution {
    Attribution { origin: RequestSource { address: None, ..by.origin.clone() }, at: by.at }
}

pub(crate) fn list(
    connection: &dyn Connection,
    user: UserId,
    before: Option<i64>,
    limit: u32,
) -> Result<Vec<Event>, StoreError> {
    connection.all(
        LIST,
        named! {
            ":user_id": user.uuid(),
            ":before": before.unwrap_or(i64::MAX),
            ":limit": limit,
        },
        row::event,
    )
}
