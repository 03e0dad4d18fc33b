//! Brings a database to the current schema: a new one from schema.sql, an older one step by step.
//!
//! A released step is never edited, because databases exist that it has upgraded.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, config::DbConfig};

use super::schema::{APPLICATION_ID, OLDEST, SCHEMA, VERSION};

/// The step at index `n` leads from version `OLDEST + n` to the next.
const STEPS: &[&str] = &[
    include_str!("migrations/step_6_to_7.sql"),
    include_str!("migrations/step_7_to_8.sql"),
    include_str!("migrations/step_8_to_9.sql"),
];

const _: () = assert!(version(STEPS) == VERSION, "there is a step to each version");

/// Why a database was not brought to the current schema.
#[derive(Debug, thiserror::Error)]
pub(super) enum MigrationError {
    #[error("{0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error("schema {0} is newer")]
    Newer(i64),
    #[error("schema {0} is too old")]
    TooOld(i64),
    #[error("it is a database of another program")]
    Foreign,
    #[error("rows of {0} refer to what is not there")]
    Dangling(String),
}

/// Takes all missing steps. Two processes may do so at once.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), MigrationError> {
    migrate_to(connection, SCHEMA, STEPS)
}

const fn version(steps: &[&str]) -> i64 {
    OLDEST + steps.len() as i64
}

/// Foreign keys and the defensive mode are off during the steps. A step that replaces a table drops it, and with foreign
/// keys on this would delete the rows that refer to it; so each step checks all references at its end instead. Neither
/// switch works inside a transaction.
fn migrate_to(connection: &mut Connection, schema: &str, steps: &[&str]) -> Result<(), MigrationError> {
    let was_defensive = connection.db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE)?;
    let migrated = unguard(connection).map_err(Into::into).and_then(|()| advance_to_the_end(connection, schema, steps));
    let guarded = guard(connection, was_defensive);
    migrated.and(guarded.map_err(Into::into))
}

fn unguard(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, false)?;
    connection.pragma_update(None, "foreign_keys", false)
}

/// A step that fails while it edits the schema leaves `writable_schema` on and its edits in memory: reset both.
fn guard(connection: &Connection, is_defensive: bool) -> rusqlite::Result<()> {
    connection.execute_batch("PRAGMA writable_schema = RESET")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, is_defensive).map(drop)
}

fn advance_to_the_end(connection: &mut Connection, schema: &str, steps: &[&str]) -> Result<(), MigrationError> {
    while advance(connection, schema, steps)? {}
    Ok(())
}

/// Takes one step in a transaction of its own. Returns `false` when no step is left. The transaction asks again which step
/// is missing, because another process may have taken it meanwhile.
fn advance(connection: &mut Connection, schema: &str, steps: &[&str]) -> Result<bool, MigrationError> {
    if missing(connection, schema, steps)?.is_none() {
        return Ok(false);
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let Some((sql, to)) = missing(&transaction, schema, steps)? else {
        return Ok(false);
    };
    transaction.execute_batch(sql)?;
    expect_no_dangling_rows(&transaction)?;
    notify_connections(&transaction)?;
    transaction.pragma_update(None, "user_version", to)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.commit()?;
    Ok(true)
}

/// The next statements to execute and the version that they lead to.
fn missing<'s>(
    connection: &Connection,
    schema: &'s str,
    steps: &[&'s str],
) -> Result<Option<(&'s str, i64)>, MigrationError> {
    let known = version(steps);
    let empty = "SELECT NOT EXISTS (SELECT 1 FROM sqlite_schema)";
    if connection.query_row(empty, [], |row| row.get(0))? {
        return Ok(Some((schema, known)));
    }
    match user_version(connection)? {
        current if current == known => Ok(None),
        current if current > known => Err(MigrationError::Newer(current)),
        current if current < 1 => Err(MigrationError::Foreign),
        current => usize::try_from(current - OLDEST)
            .ok()
            .and_then(|step| steps.get(step))
            .map(|sql| Some((*sql, current + 1)))
            .ok_or(MigrationError::TooOld(current)),
    }
}

fn expect_no_dangling_rows(connection: &Connection) -> Result<(), MigrationError> {
    let dangling = connection.query_row("PRAGMA foreign_key_check", [], |row| row.get(0)).optional()?;
    dangling.map_or(Ok(()), |table| Err(MigrationError::Dangling(table)))
}

/// Makes other connections read the schema again. SQLite does that by itself after a statement that changes the schema, but
/// not after an edit of its text.
fn notify_connections(connection: &Connection) -> rusqlite::Result<()> {
    let cookie: i64 = connection.query_row("PRAGMA schema_version", [], |row| row.get(0))?;
    connection.pragma_update(None, "schema_version", cookie + 1)
}

fn user_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

#[cfg(test)]
mod tests;
