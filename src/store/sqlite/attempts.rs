//! SQL on the counters of attempts. Each function runs inside one transaction of its caller.

use rusqlite::{Connection, named_params, types::Type};

use super::row;
use crate::{
    domain::{
        attempts::{Counter, CounterKey, Digest, SavedAttempts, Scope},
        time::Timestamp,
    },
    store::StoreError,
};

/// The most counters that are read: those that take longest.
const MOST: u32 = 1 << 16;

pub(super) fn remembered(connection: &Connection) -> Result<SavedAttempts, StoreError> {
    let key = connection.prepare_cached("SELECT key FROM attempts_key")?.query_row([], |row| row.get(0))?;
    let mut statement = connection
        .prepare_cached("SELECT scope, subject, origin, rests_at FROM attempts ORDER BY rests_at DESC LIMIT :most")?;
    let counters = statement.query_map(named_params! {":most": MOST}, |row| {
        let scope = Scope::parse(row.get_ref(0)?.as_str()?).map_err(|error| row::unfit(0, error))?;
        let key = CounterKey { scope, subject: digest(row, 1)?, origin: digest(row, 2)? };
        Ok(Counter { key, rests_at: Timestamp::from_unix(row.get(3)?) })
    })?;
    Ok(SavedAttempts { key, counters: counters.collect::<Result<_, _>>()? })
}

pub(super) fn remember(connection: &Connection, counters: &[Counter]) -> Result<(), StoreError> {
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

pub(super) fn forget(connection: &Connection, rested_by: Timestamp) -> Result<u64, StoreError> {
    let forgotten = connection
        .prepare_cached("DELETE FROM attempts WHERE rests_at <= :rested_by")?
        .execute(named_params! {":rested_by": rested_by.unix()})?;
    Ok(forgotten as u64)
}

fn digest(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Digest> {
    let bytes = row.get_ref(column)?.as_blob()?;
    bytes.try_into().map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, Type::Blob, Box::new(error)))
}
