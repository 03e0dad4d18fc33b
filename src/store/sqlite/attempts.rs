//! SQL on the attempt counters. Each function runs inside one transaction of its caller.

use rusqlite::{Connection, named_params, types::Type};

use super::row;
use crate::{
    domain::{
        attempts::{Counter, CounterKey, CountersOf, Digest, SavedAttempts, Scope},
        time::Timestamp,
    },
    store::StoreError,
};

/// How many counters are read at most. Those that come to rest last are read first.
const MAX_COUNTERS: u32 = 1 << 16;

pub(super) fn saved(connection: &Connection) -> Result<SavedAttempts, StoreError> {
    let key = connection.prepare_cached("SELECT key FROM attempts_key")?.query_row([], |row| row.get(0))?;
    let mut statement = connection
        .prepare_cached("SELECT scope, subject, origin, rests_at FROM attempts ORDER BY rests_at DESC LIMIT :most")?;
    let counters = statement.query_map(named_params! {":most": MAX_COUNTERS}, |row| {
        let scope = Scope::parse(row.get_ref(0)?.as_str()?).map_err(|error| row::conversion_error(0, error))?;
        let key = CounterKey { scope, subject: digest(row, 1)?, origin: digest(row, 2)? };
        Ok(Counter { key, rests_at: Timestamp::from_unix(row.get(3)?) })
    })?;
    Ok(SavedAttempts { key, counters: counters.collect::<Result<_, _>>()? })
}

pub(super) fn save(connection: &Connection, counters: &[Counter]) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO attempts (scope, subject, origin, rests_at) VALUES (:scope, :subject, :origin, :rests_at)
         ON CONFLICT (scope, subject, origin) DO UPDATE SET rests_at = excluded.rests_at",
    )?;
    for Counter { key, rests_at } in counters {
        statement.execute(named_params! {
            ":scope": key.scope.as_str(),
            ":subject": key.subject,
            ":origin": key.origin,
            ":rests_at": rests_at.unix(),
        })?;
    }
    Ok(())
}

/// Deletes the counters that are at rest at `rested_by`, and returns how many they were.
pub(super) fn delete_rested(connection: &Connection, rested_by: Timestamp) -> Result<u64, StoreError> {
    let deleted = connection
        .prepare_cached("DELETE FROM attempts WHERE rests_at <= :rested_by")?
        .execute(named_params! {":rested_by": rested_by.unix()})?;
    Ok(deleted as u64)
}

/// Finds the counters of a subject by the primary key, scope by scope.
pub(super) const CLEAR_SUBJECT: &str = "DELETE FROM attempts WHERE scope = :scope AND subject = :subject";

/// Reads all counters, of which there are few. An index for this rare change would cost each save.
const CLEAR_ORIGIN: &str = "DELETE FROM attempts WHERE origin = :origin";

pub(super) fn clear(connection: &Connection, wanted: &[CountersOf]) -> Result<u64, StoreError> {
    let mut cleared = 0;
    for wanted in wanted {
        match wanted {
            CountersOf::Subject(subject) => {
                let mut statement = connection.prepare_cached(CLEAR_SUBJECT)?;
                for scope in Scope::ALL {
                    cleared += statement.execute(named_params! {":scope": scope.as_str(), ":subject": subject})?;
                }
            }
            CountersOf::Origin(origin) => {
                cleared += connection.prepare_cached(CLEAR_ORIGIN)?.execute(named_params! {":origin": origin})?;
            }
        }
    }
    Ok(cleared as u64)
}

fn digest(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Digest> {
    let bytes = row.get_ref(column)?.as_blob()?;
    bytes.try_into().map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, Type::Blob, Box::new(error)))
}
