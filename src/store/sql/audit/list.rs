//! SQL that lists events of all users.

use std::{net::IpAddr, ops::ControlFlow};

use crate::store::sql::connection::{Connection, named};
use crate::{
    domain::{
        audit::{Event, Outcome},
        event_filter::{ActionFilter, EventFilter},
    },
    store::{EventOrder, EventQuery, StoreError, sql::row},
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
        concat!(columns!(), "NOT INDEXED WHERE CAST(:actor AS uuid) IS NULL", conditions!(), "ORDER BY seq ", $order)
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
            "INDEXED BY audit_events_by_other_actor WHERE actor_user_id = :actor AND user_id IS DISTINCT FROM actor_user_id",
            conditions!(),
            "ORDER BY seq ",
            $order
        )
    };
}

/// The events of everybody.
pub(crate) const NEWEST_FIRST: &str = all!("DESC");
/// The same in the other order.
pub(crate) const OLDEST_FIRST: &str = all!("ASC");
/// What one user did: in their own trail, and in those of others.
pub(crate) const BY_ACTOR_NEWEST_FIRST: &str = by_actor!("DESC");
/// The same in the other order.
pub(crate) const BY_ACTOR_OLDEST_FIRST: &str = by_actor!("ASC");

/// Reads rows until enough match. Only the address is compared here, because SQLite knows no networks.
pub(crate) fn list(connection: &dyn Connection, query: &EventQuery) -> Result<Vec<Event>, StoreError> {
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
    let parameters = named! {
        ":after": query.after.unwrap_or(i64::MIN),
        ":before": query.before.unwrap_or(i64::MAX),
        ":actor": actor.map(|actor| actor.uuid()),
        ":subject": *subject,
        ":action": exact,
        ":prefix": prefix,
        ":outcome": outcome.map(Outcome::as_str),
        ":from": from.map(|time| time.unix()),
        ":until": until.map(|time| time.unix()),
    };
    let mut events = Vec::new();
    connection.each(sql, parameters, &mut |row| {
        let event = row::event(row)?;
        let is_inside = |from: IpAddr| address.is_none_or(|network| network.contains(&from.to_canonical()));
        if address.is_none() || event.by.origin.address.is_some_and(is_inside) {
            events.push(event);
        }
        Ok(if events.len() < query.limit as usize { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    })?;
    Ok(events)
}
