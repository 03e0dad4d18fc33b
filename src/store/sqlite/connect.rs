//! Opens connections and sets their options: the connection that writes, the one for checkpoints, and the pools that read.

use std::{
    error::Error,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use r2d2_sqlite::SqliteConnectionManager;
use rusqlite::{Connection, ErrorCode, OpenFlags, config::DbConfig, ffi, functions::FunctionFlags};

use super::{settings::SqliteSettings, watch::Watch};
use crate::{
    domain::text,
    store::{
        Access,
        sql::{row, token_search},
    },
};

/// More than there are statements, so that none is prepared twice on a connection.
const CACHED_STATEMENTS: usize = 64;

/// The log may grow during a long read. When it restarts, it is truncated to this size.
const LOG_SIZE_LIMIT: i64 = 16 << 20;

pub(super) type Readers = r2d2::Pool<SqliteConnectionManager>;

/// The one connection that writes. Until [`checkpoint_on_close`], it leaves the log as it is when it closes.
pub(super) fn writer(path: &Path, busy_timeout: Duration) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    prepare(&connection, busy_timeout)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    // A start that is refused must not copy the log of a killed process into the file: the watermark would still claim it.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    if start_log(&connection, busy_timeout)? != "wal" {
        return Err(cannot_open("its file system has no shared memory, which a write-ahead log needs"));
    }
    // FULL makes COMMIT wait for the disk, so that what was answered survives a power cut.
    connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;")?;
    // Deleted rows are overwritten with zeros (`super::scrub` says what that leaves).
    connection.query_row("PRAGMA secure_delete = ON", [], |_| Ok(()))?;
    connection.pragma_update(None, "journal_size_limit", LOG_SIZE_LIMIT)?;
    // Otherwise each commit that finds a thousand pages in the log would run a checkpoint before it is answered.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    Ok(connection)
}

/// Lets the connection checkpoint the log when it is the last to close.
pub(super) fn checkpoint_on_close(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false).map(drop)
}

/// The connection for checkpoints. It must not truncate the log: to the writer's connection, that would look like a change
/// by another process.
pub(super) fn checkpoints(path: &Path, watch: &Watch) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    prepare(&connection, Duration::ZERO)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.execute_batch("PRAGMA synchronous = FULL;")?;
    // The first read opens the log. Only then can the watch check all files.
    connection.query_row("PRAGMA user_version", [], |_| Ok(()))?;
    watch.check().map_err(|error| cannot_open(&error.to_string()))?;
    Ok(connection)
}

/// SQLite's busy timeout does not apply to this statement while another process opens the same new file.
fn start_log(connection: &Connection, busy_timeout: Duration) -> rusqlite::Result<String> {
    let start = Instant::now();
    loop {
        match connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)) {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && start.elapsed() < busy_timeout =>
            {
                thread::sleep(Duration::from_millis(5));
            }
            result => return result,
        }
    }
}

/// A pool of `count` read-only connections. A server opens all of them at once, so that it needs no more file descriptors
/// later. A tool opens at most two at first.
pub(super) fn readers(
    path: PathBuf,
    settings: &SqliteSettings,
    access: Access,
    count: u32,
    watch: Arc<Watch>,
) -> Result<Readers, r2d2::Error> {
    let busy_timeout = settings.pool_timeout;
    let manager = SqliteConnectionManager::file(path)
        .with_flags(OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .with_init(move |connection| {
            prepare(connection, busy_timeout)?;
            add_functions(connection)?;
            connection.pragma_update(None, "query_only", true)?;
            // The first read opens the log. Only then can the watch check all files.
            connection.query_row("PRAGMA user_version", [], |_| Ok(()))?;
            watch.check().map_err(|error| cannot_open(&error.to_string()))
        });
    let opened = if access == Access::Server { count.max(1) } else { count.clamp(1, 2) };
    r2d2::Pool::builder()
        .max_size(count.max(1))
        .min_idle(Some(opened))
        .test_on_check_out(false)
        .max_lifetime(None)
        .idle_timeout(None)
        .connection_timeout(settings.pool_timeout)
        // The caller of `get` reports each failure.
        .error_handler(Box::new(r2d2::NopErrorHandler))
        .build(manager)
}

fn prepare(connection: &Connection, busy_timeout: Duration) -> rusqlite::Result<()> {
    connection.busy_timeout(busy_timeout)?;
    connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
    connection.execute_batch("PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;")
}

/// Adds `folded`, which normalises names for a search, `has_metadata`, whether the metadata of a token include some keys and
/// values, and `covers`, whether the abilities of a token cover one. DIRECTONLY keeps them out of the schema, because other
/// programs lack the functions.
fn add_functions(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_DIRECTONLY;
    // NULL stays NULL: a text that is not there contains nothing.
    connection
        .create_scalar_function("folded", 1, flags, |call| Ok(call.get_raw(0).as_str_or_null()?.map(text::folded)))?;
    connection.create_scalar_function("covers", 2, flags, |call| {
        Ok(token_search::covers(call.get_raw(0).as_str()?, call.get_raw(1).as_str()?))
    })?;
    connection.create_scalar_function("has_metadata", 2, flags, |call| {
        let Some(text) = call.get_raw(0).as_str_or_null()? else { return Ok(false) };
        // The second argument is the same for all rows of a statement, so it is parsed once.
        let wanted = call.get_or_create_aux(1, |value| {
            Ok::<_, Box<dyn Error + Send + Sync>>(row::parse_metadata(value.as_str()?)?)
        })?;
        let metadata = row::parse_metadata(text).map_err(|error| rusqlite::Error::UserFunctionError(error.into()))?;
        Ok(metadata.includes(&wanted))
    })
}

fn cannot_open(reason: &str) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_CANTOPEN), Some(reason.to_owned()))
}
