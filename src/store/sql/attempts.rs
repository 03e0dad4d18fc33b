//! SQL on the attempt counters. Each function runs inside one transaction of its caller.

use super::{
    connection::{Connection, NONE, Row, named},
    row,
};
use crate::{
    domain::{
        attempts::{Counter, CounterKey, CountersOf, Digest, SavedAttempts, Scope},
        time::Timestamp,
    },
    store::StoreError,
};

/// How many counters are read at most. Those that come to rest last are read first.
const MAX_COUNTERS: u32 = 1 << 16;

/// In microseconds.
const SECOND: i64 = 1_000_000;

fn micros(at: Timestamp) -> i64 {
    at.unix().saturating_mul(SECOND)
}

pub(crate) fn saved(connection: &dyn Connection) -> Result<SavedAttempts, StoreError> {
    let key = connection.one("SELECT key FROM attempts_key", NONE, |row| row.get(0))?;
    let counters = connection.all(
        "SELECT scope, subject, origin, rests_at_micros FROM attempts ORDER BY rests_at_micros DESC LIMIT :most",
        named! {":most": MAX_COUNTERS},
        |row| {
            let scope = Scope::parse(row.text(0)?).map_err(|error| row::conversion_error(0, error))?;
            let key = CounterKey { scope, subject: digest(row, 1)?, origin: digest(row, 2)? };
            let rests_at: i64 = row.get(3)?;
            // Rounded up, so that no counter rests too early.
            Ok(Counter { key, rests_at: Timestamp::from_unix(-(-rests_at).div_euclid(SECOND)) })
        },
    )?;
    Ok(SavedAttempts { key, counters })
}

pub(crate) fn save(connection: &dyn Connection, counters: &[Counter]) -> Result<(), StoreError> {
    for Counter { key, rests_at } in counters {
        connection.execute(
            "INSERT INTO attempts (scope, subject, origin, rests_at_micros) VALUES (:scope, :subject, :origin, :rests_at)
         ON CONFLICT (scope, subject, origin) DO UPDATE SET rests_at_micros = excluded.rests_at_micros",
            named! {
                ":scope": key.scope.as_str(),
                ":subject": &key.subject,
                ":origin": &key.origin,
                ":rests_at": micros(*rests_at),
            },
        )?;
    }
    Ok(())
}

/// Deletes the counters that are at rest at `rested_by`, and returns how many they were.
pub(crate) fn delete_rested(connection: &dyn Connection, rested_by: Timestamp) -> Result<u64, StoreError> {
    let deleted = connection.execute(
        "DELETE FROM attempts WHERE rests_at_micros <= :rested_by",
        named! {":rested_by": micros(rested_by)},
    )?;
    Ok(deleted)
}

/// Finds the counters of a subject by the primary key, scope by scope.
pub(crate) const CLEAR_SUBJECT: &str = "DELETE FROM attempts WHERE scope = :scope AND subject = :subject";

/// Reads all counters, of which there are few. An index for this rare change would cost each save.
const CLEAR_ORIGIN: &str = "DELETE FROM attempts WHERE origin = :origin";

pub(crate) fn clear(connection: &dyn Connection, wanted: &[CountersOf]) -> Result<u64, StoreError> {
    let mut cleared = 0;
    for wanted in wanted {
        match wanted {
            CountersOf::Subject(subject) => {
                for scope in Scope::ALL {
                    cleared +=
                        connection.execute(CLEAR_SUBJECT, named! {":scope": scope.as_str(), ":subject": subject})?;
                }
            }
            CountersOf::Origin(origin) => {
                cleared += connection.execute(CLEAR_ORIGIN, named! {":origin": origin})?;
            }
        }
    }
    Ok(cleared)
}

fn digest(row: &dyn Row, column: usize) -> Result<Digest, StoreError> {
    row.get(column)
}
