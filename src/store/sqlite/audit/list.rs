//! SQL that lists events of all users.

use std::net::IpAddr;

use rusqlite::{Connection, named_params};

use crate::{
    domain::{
        audit::{Event, Outcome},
        event_filter::{ActionFilter, EventFilter},
    },
    store::{EventOrder, EventQuery, StoreError, sqlite::row},
};

macro_rules! columns {
    () => {
        "SELECT seq, at, user_id, actor_kind, actor_id, action, target_kind, target_id, address, request_id, outcome,
                detail, actor_user_id FROM audit_events "
    };
}

macro_rules! conditions {
    () => {
        " AND seq > :after AND seq < :before
          AND (:subject IS NULL OR user_id = :subject OR target_id = :subject)
          AND (:action IS NULL OR action = :action)
          AND (:prefix IS NULL OR substr(action, 1, length(:prefix)) = :prefix)
          AND (:outcome IS NULL OR outcome = :outcome)
          AND (:from IS NULL OR at >= :from) AND (:until IS NULL OR at < :until) "
    };
}

macro_rules! all {
    ($order:literal) => {
        concat!(columns!(), "NOT INDEXED WHERE :actor IS NULL", conditions!(), "ORDER BY seq ", $order)
    };
}

macro_rules! by_actor {
    ($order:literal) => {
        concat!(
            columns!(),
            "INDEXED BY audit_events_by_user WHERE user_id = :actor AND actor_user_id = :actor",
            conditions!(),
            " UNION ALL ",
            columns!(),
            "INDEXED BY audit_events_by_other_actor WHERE actor_user_id = :actor AND user_id IS NOT actor_user_id",
            conditions!(),
            "ORDER BY seq ",
            $order
        )
    };
}

/// The events of everybody.
pub(in crate::store::sqlite) const NEWEST_FIRST: &str = all!("DESC");
/// The same in the other order.
pub(in crate::store::sqlite) const OLDEST_FIRST: &str = all!("ASC");
/// What one user did: in their own trail, and in those of others.
pub(in crate::store::sqlite) const BY_ACTOR_NEWEST_FIRST: &str = by_actor!("DESC");
/// The same in the other order.
pub(in crate::store::sqlite) const BY_ACTOR_OLDEST_FIRST: &str = by_actor!("ASC");

/// Reads rows until enough match. Only the address is compared here, because SQLite knows no networks.
pub(in crate::store::sqlite) fn list(connection: &Connection, query: &EventQuery) -> Result<Vec<Event>, StoreError> {
    let EventFilter { actor, subject, action, outcome, address, from, until } = &query.filter;
    let sql = match (actor, query.order) {
        (None, EventOrder::NewestFirst) => NEWEST_FIRST,
        (None, EventOrder::OldestFirst) => OLDEST_FIRST,
        (Some(_), EventOrder::NewestFirst) => BY_ACTOR_NEWEST_FIRST,
        (Some(_), EventOrder::OldestFirst) => BY_ACTOR_OLDEST_FIRST,
    };
    let (exact, prefix) = match action {
        None => (None, None),
        Some(ActionFilter::Exact(action)) => (Some(action.as_str()), None),
        Some(ActionFilter::Prefix(prefix)) => (None, Some(prefix.as_str())),
    };
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(named_params! {
        ":after": query.after.unwrap_or(i64::MIN),
        ":before": query.before.unwrap_or(i64::MAX),
        ":actor": actor.map(|actor| actor.uuid().into_bytes()),
        ":subject": subject.map(uuid::Uuid::into_bytes),
        ":action": exact,
        ":prefix": prefix,
        ":outcome": outcome.map(Outcome::as_str),
        ":from": from.map(|time| time.unix()),
        ":until": until.map(|time| time.unix()),
    })?;
    let mut events = Vec::new();
    while events.len() < query.limit as usize
        && let Some(row) = rows.next()?
    {
        let event = row::event(row)?;
        let is_inside = |from: IpAddr| address.is_none_or(|network| network.contains(&from.to_canonical()));
        if address.is_none() || event.by.origin.address.is_some_and(is_inside) {
            events.push(event);
        }
    }
    Ok(events)
}
