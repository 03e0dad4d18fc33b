//! Creates the schema in a new database, upgrades an older one, and refuses a database that this program cannot use.

use super::{
    connector::Connector,
    error::{Stage, store_error},
    settings::SettingsError,
};
use crate::store::{Access, StoreError};

/// The version of schema.postgres.sql.
const VERSION: i32 = 9;
/// The oldest version that can be upgraded.
const OLDEST: i32 = 8;
/// The step at index `n` leads from version `OLDEST + n` to the next. A released step is never edited, because databases exist
/// that it has upgraded. Servers of the earlier release go on during a step and after it, so it takes nothing away that they
/// use.
const STEPS: &[&str] = &[include_str!("migrations/step_8_to_9.sql")];

const _: () = assert!(OLDEST + STEPS.len() as i32 == VERSION, "there is a step to each version");

/// The oldest release of PostgreSQL that works.
const OLDEST_SERVER: i32 = 150_000;
/// The number of the advisory lock under which the schema is created or upgraded: the letters `patdschm`.
const SCHEMA_LOCK: i64 = 8_097_881_579_754_840_173;

const SCHEMA: &str = include_str!("../../../schema.postgres.sql");

/// Why a database in PostgreSQL was not opened. Nothing was changed. No message contains the password.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A setting cannot be used.
    #[error("{0}")]
    Settings(String),
    /// There is no connection, or the server fails.
    #[error("the database cannot be opened: {0}")]
    Unavailable(String),
    /// A command was pointed at a database without patd's tables.
    #[error("the database has no tables of patd: start the server once to create them, or correct database.url")]
    Missing,
    /// Rows of another database are being copied into it.
    #[error(
        "the database is an unfinished copy of another one: run the same `patd database copy` again, or correct database.url"
    )]
    UnfinishedCopy,
    /// The schema was written by a later release.
    #[error(
        "the database was written by a newer patd (schema {found}, this release knows up to {VERSION}): run that release, \
         or restore a backup made before the upgrade"
    )]
    Newer {
        /// Its schema's version.
        found: i32,
    },
    /// The schema was written by a release that this one does not upgrade.
    #[error("the database has the schema {found}, and this release upgrades from schema {OLDEST} on")]
    TooOld {
        /// Its schema's version.
        found: i32,
    },
    /// The server is too old.
    #[error("the server is PostgreSQL {0}: patd needs 15 or newer")]
    OldServer(String),
    /// Texts are not stored in UTF-8.
    #[error("the database has the encoding {0}: create it with ENCODING 'UTF8'")]
    Encoding(String),
}

impl From<SettingsError> for OpenError {
    fn from(error: SettingsError) -> Self {
        Self::Settings(error.to_string())
    }
}

impl From<StoreError> for OpenError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotMade(why) | StoreError::Unavailable(why) => Self::Unavailable(why),
            other => Self::Unavailable(other.to_string()),
        }
    }
}

impl From<tokio_postgres::Error> for OpenError {
    fn from(error: tokio_postgres::Error) -> Self {
        store_error(&error, Stage::Work).into()
    }
}

/// Checks the database, creates the schema if `access` allows it, and upgrades an older one. Nodes that start together do it
/// one after another.
pub(super) async fn prepare(connector: &Connector, access: Access) -> Result<(), OpenError> {
    let mut link = connector.connect().await?;
    let client = &mut link.client;
    let row = client
        .query_one(
            "SELECT current_setting('server_version_num')::integer, current_setting('server_version'),
                    current_setting('server_encoding')",
            &[],
        )
        .await?;
    let (version, encoding): (i32, String) = (row.get(0), row.get(2));
    if version < OLDEST_SERVER {
        return Err(OpenError::OldServer(row.get(1)));
    }
    if encoding != "UTF8" {
        return Err(OpenError::Encoding(encoding));
    }
    let transaction = client.transaction().await?;
    transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&SCHEMA_LOCK]).await?;
    let exists: bool = transaction.query_one("SELECT to_regclass('schema_version') IS NOT NULL", &[]).await?.get(0);
    if !exists {
        if !access.creates() {
            return Err(OpenError::Missing);
        }
        transaction.batch_execute(SCHEMA).await?;
        transaction.commit().await?;
        return Ok(());
    }
    let unfinished = "SELECT EXISTS (SELECT FROM database_copy)";
    let found = transaction.query_one("SELECT version FROM schema_version", &[]).await?.get(0);
    let steps = missing_steps(found)?;
    if transaction.query_one(unfinished, &[]).await?.get(0) && !access.is_exclusive() {
        return Err(OpenError::UnfinishedCopy);
    }
    if steps.is_empty() {
        return Ok(());
    }
    for step in steps {
        transaction.batch_execute(step).await?;
    }
    transaction.execute("UPDATE schema_version SET version = $1", &[&VERSION]).await?;
    transaction.commit().await?;
    log::info!("store: the schema of the database was upgraded from version {found} to {VERSION}");
    Ok(())
}

/// The steps from the version `found` to this one.
fn missing_steps(found: i32) -> Result<&'static [&'static str], OpenError> {
    if found > VERSION {
        return Err(OpenError::Newer { found });
    }
    usize::try_from(found - OLDEST).ok().and_then(|taken| STEPS.get(taken..)).ok_or(OpenError::TooOld { found })
}
