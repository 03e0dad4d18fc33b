//! SQL on the latest known time. Each function runs inside one transaction of its caller.

use rusqlite::{Connection, named_params};

use crate::{domain::time::Timestamp, store::StoreError};

/// Only the last event counts: it was stored last, whatever the times of the events before it.
pub(super) fn latest_time(connection: &Connection) -> Result<Option<Timestamp>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT max(time) FROM (
             SELECT latest_time AS time FROM clock
             UNION ALL
             SELECT at FROM (
                 SELECT at FROM audit_events WHERE seq > coalesce((SELECT last_event FROM clock), 0)
                 ORDER BY seq DESC LIMIT 1))",
    )?;
    let latest: Option<i64> = statement.query_row([], |row| row.get(0))?;
    Ok(latest.map(Timestamp::from_unix))
}

pub(super) fn record_time(connection: &Connection, now: Timestamp) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO clock (only_row, latest_time, last_event)
             VALUES (1, :now, (SELECT coalesce(max(seq), 0) FROM audit_events))
             ON CONFLICT (only_row) DO UPDATE SET latest_time = excluded.latest_time, last_event = excluded.last_event",
        )?
        .execute(named_params! {":now": now.unix()})?;
    Ok(())
}
