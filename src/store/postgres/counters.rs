//! What the nodes count together, on the clock of the database. Each function runs inside one transaction of the writer, so those of
//! all nodes run one after the other.

use std::time::Duration;

use super::connection::WriteConnection;
use crate::{
    domain::{id::TokenId, usage_limits::permits_at_once},
    store::{Permits, StoreError},
};

/// A minute, in microseconds.
const MINUTE: i64 = 60_000_000;

const RATE: &str = "SELECT clock.now, p.rests_at FROM (SELECT database_time() AS now) AS clock
     LEFT JOIN rate_permits p ON p.family_id = :family";

const TAKE: &str = "INSERT INTO rate_permits (family_id, rests_at) VALUES (:family, :rests_at)
     ON CONFLICT (family_id) DO UPDATE SET rests_at = excluded.rests_at";

/// Takes as many permits of a rate limit as are taken at once, or those that are left.
pub(super) fn take_permits(
    connection: &WriteConnection,
    family: TokenId,
    per_minute: u32,
) -> Result<Permits, StoreError> {
    let family = family.uuid();
    let answer = connection.run(RATE, &[(":family", &family)])?;
    let row = answer.rows.first().ok_or_else(|| StoreError::Internal("the database has no time".to_owned()))?;
    let (now, rests_at): (i64, Option<i64>) = (row.get(0), row.get(1));
    let ahead = rests_at.map_or(0, |rests_at| rests_at.saturating_sub(now));
    let (count, ahead) = take(ahead, per_minute, permits_at_once(per_minute));
    if count > 0 {
        connection.run(TAKE, &[(":family", &family), (":rests_at", &(now + ahead))])?;
    }
    Ok(Permits { count, rests_in: Duration::from_micros(ahead.unsigned_abs()) })
}

/// How many of the wanted permits a limit allows that is at rest after `ahead` microseconds, and that time when they are taken.
/// `per_minute` permits are available at rest, and one more after each equal part of a minute.
fn take(ahead: i64, per_minute: u32, wanted: u32) -> (u32, i64) {
    // More is left over from a clock that was ahead, as that of a primary before this one.
    let ahead = ahead.clamp(0, MINUTE);
    let per_minute = i64::from(per_minute.max(1));
    let available = (MINUTE - ahead) * per_minute / MINUTE;
    let count = available.min(i64::from(wanted));
    (u32::try_from(count).unwrap_or(0), ahead + count * MINUTE / per_minute)
}

/// Deletes the counters at rest.
pub(super) fn delete_rested(connection: &WriteConnection) -> Result<(), StoreError> {
    connection.run("DELETE FROM rate_permits WHERE rests_at <= database_time()", &[])?;
    connection.run("DELETE FROM attempts WHERE rests_at_micros <= database_time()", &[]).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_allows_so_many_at_once_and_then_one_after_each_part_of_a_minute() {
        for per_minute in [1, 2, 3, 7, 19, 20, 59, 60, 61, 999, 1_000_000] {
            let (mut ahead, mut taken) = (0, 0);
            while taken < per_minute {
                let (count, after) = take(ahead, per_minute, permits_at_once(per_minute));
                assert!(count > 0, "{per_minute}: {taken}");
                (ahead, taken) = (after, taken + count);
            }
            assert_eq!(taken, per_minute);
            assert_eq!(take(ahead, per_minute, 1).0, 0, "{per_minute}");
            let part = MINUTE / i64::from(per_minute) + 1;
            assert_eq!(take(ahead - part, per_minute, u32::MAX).0, 1, "{per_minute}");
            assert_eq!(take(ahead - part - MINUTE, per_minute, u32::MAX).0, per_minute, "never more than at rest");
        }
    }

    #[test]
    fn a_clock_that_went_back_delays_no_longer_than_a_minute() {
        let hour_ahead = 60 * MINUTE;
        assert_eq!(take(hour_ahead, 60, 9), (0, MINUTE));
    }
}
