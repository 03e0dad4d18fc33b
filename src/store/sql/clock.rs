//! SQL on the latest known time. Each function runs inside one transaction of its caller.

use crate::store::sql::connection::{Connection, NONE, named};
use crate::{domain::time::Timestamp, store::StoreError};

/// Only the last event counts: it was stored last, whatever the times of the events before it.
pub(crate) fn latest_time(connection: &dyn Connection) -> Result<Option<Timestamp>, StoreError> {
    let latest: Option<i64> = connection.one(
        "SELECT max(known) FROM (
             SELECT latest_time AS known FROM clock
             UNION ALL
             SELECT at FROM (
                 SELECT at FROM audit_events WHERE seq > coalesce((SELECT last_event FROM clock), 0)
                 ORDER BY seq DESC LIMIT 1) AS later) AS times",
        NONE,
        |row| row.get(0),
    )?;
    Ok(latest.map(Timestamp::from_unix))
}

pub(crate) fn record_time(connection: &dyn Connection, now: Timestamp) -> Result<(), StoreError> {
    connection.execute(
        "INSERT INTO clock (only_row, latest_time, last_event)
             VALUES (1, :now, (SELECT coalesce(max(seq), 0) FROM audit_events))
             ON CONFLICT (only_row) DO UPDATE SET latest_time = excluded.latest_time, last_event = excluded.last_event",
        named! {":now": now.unix()},
    )?;
    Ok(())
}
