//! Brings a database to the current schema: a fresh one from schema.sql, an older one step by step.
//!
//! A step that was released is never edited: what it made is on somebody's disk.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, config::DbConfig};

use super::inspection::APPLICATION_ID;

/// The whole current schema.
const SCHEMA: &str = include_str!("../../../schema.sql");

/// The step at index `n` leads from version `n + 1` to the next.
const STEPS: &[&str] = &[
    ROOM_FOR_ENVIRONMENTS,
    include_str!("migrations/step_2_to_3.sql"),
    INDEXES_FOR_ENVIRONMENTS,
    include_str!("migrations/step_4_to_5.sql"),
    include_str!("migrations/step_5_to_6.sql"),
    include_str!("migrations/step_6_to_7.sql"),
];

/// The version of the current schema.
pub(super) const VERSION: i64 = version(STEPS);

const ROOM_FOR_ENVIRONMENTS: &str = "
    ALTER TABLE users ADD COLUMN current_environment_id BLOB CHECK (length(current_environment_id) = 16);
    ALTER TABLE tokens ADD COLUMN environment_id BLOB CHECK (length(environment_id) = 16);
    DROP INDEX tokens_live_by_owner;
    CREATE INDEX tokens_live_by_owner ON tokens (owner_id, expires_at, revoked_at, environment_id)
        WHERE revoked_at IS NULL AND environment_id IS NULL;
";

const INDEXES_FOR_ENVIRONMENTS: &str = "
    CREATE INDEX users_by_current_environment ON users (current_environment_id);
    CREATE INDEX tokens_live_by_environment ON tokens (environment_id, expires_at, revoked_at)
        WHERE revoked_at IS NULL AND environment_id IS NOT NULL;
";

/// Why a database was not brought to the current schema.
#[derive(Debug, thiserror::Error)]
pub(super) enum MigrationError {
    #[error("{0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error("schema {0} is newer")]
    Newer(i64),
    #[error("it is a database of another program")]
    Foreign,
    #[error("rows of {0} refer to what is not there")]
    Dangling(String),
}

/// Does whatever is missing. Two processes may do so at once.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), MigrationError> {
    migrate_to(connection, SCHEMA, STEPS)
}

const fn version(steps: &[&str]) -> i64 {
    steps.len() as i64 + 1
}

/// Foreign keys are switched off meanwhile, which no transaction can do: where a step replaces a table, its DROP would
/// delete the rows that refer to it. Each step checks them all instead. So is the mode that defends the schema's text.
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

/// A step that failed while it edited the schema leaves that allowed, and what it edited in memory.
fn guard(connection: &Connection, is_defensive: bool) -> rusqlite::Result<()> {
    connection.execute_batch("PRAGMA writable_schema = RESET")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, is_defensive).map(drop)
}

fn advance_to_the_end(connection: &mut Connection, schema: &str, steps: &[&str]) -> Result<(), MigrationError> {
    while advance(connection, schema, steps)? {}
    Ok(())
}

/// Takes one step in a transaction of its own; `false` when none is left. What is missing is asked again inside the
/// transaction, since another process may have taken the step meanwhile.
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
    tell_others(&transaction)?;
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
        current => usize::try_from(current - 1)
            .ok()
            .and_then(|step| steps.get(step))
            .map(|sql| Some((*sql, current + 1)))
            .ok_or(MigrationError::Foreign),
    }
}

fn expect_no_dangling_rows(connection: &Connection) -> Result<(), MigrationError> {
    let dangling = connection.query_row("PRAGMA foreign_key_check", [], |row| row.get(0)).optional()?;
    dangling.map_or(Ok(()), |table| Err(MigrationError::Dangling(table)))
}

/// SQLite tells other connections of a schema that statements changed, not of one whose text was edited.
fn tell_others(connection: &Connection) -> rusqlite::Result<()> {
    let cookie: i64 = connection.query_row("PRAGMA schema_version", [], |row| row.get(0))?;
    connection.pragma_update(None, "schema_version", cookie + 1)
}

fn user_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

#[cfg(test)]
mod tests;
