//! Checks a file before the store opens it: whether it is a database of patd, is undamaged, and has a known schema version.
//!
//! The check never changes the file or the files beside it: it recovers no log and rolls no journal back.

use std::{fs, os::unix::ffi::OsStrExt, path::Path, time::Duration};

use rusqlite::{Connection, ErrorCode, OpenFlags, config::DbConfig};

use super::{
    binding::row::Binding,
    diagnosis::{self, inaccessible},
    identity::beside,
    open_error::OpenError,
    schema::{APPLICATION_ID, OLDEST, VERSION},
};

/// A larger file is not read in full, so that a restart takes milliseconds.
const QUICK_CHECK_LIMIT: u64 = 16 << 20;

/// What is at the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// An empty file, or a database without a table.
    Empty,
    /// An undamaged database of patd with this schema version, which may be an old one.
    Ours(i64),
}

/// How much of a database is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// All of a small database; the first pages of the tables and indexes of a large one.
    Quick,
    /// Everything. Each index is compared with its table.
    Full,
}

/// Inspects the file with its log. `busy_timeout` applies while another process opens or closes the database.
pub(super) fn inspect(path: &Path, depth: Depth, busy_timeout: Duration) -> Result<Found, OpenError> {
    let size = fs::metadata(path).map_err(|error| inaccessible(path, &error))?.len();
    if size == 0 {
        return expect_no_changes_in_log(path).map(|()| Found::Empty);
    }
    let check = match depth {
        Depth::Full => Some("PRAGMA integrity_check(1)"),
        Depth::Quick if size <= QUICK_CHECK_LIMIT => Some("PRAGMA quick_check(1)"),
        Depth::Quick => None,
    };
    let evaluate = |opened: rusqlite::Result<Connection>| {
        opened
            .and_then(|connection| examine(&connection, check))
            .map_err(|error| unreadable(path, &error))
            .and_then(|finding| verdict(path, finding))
    };
    if !beside(path, "-wal").exists() {
        match evaluate(open_without_log(path)) {
            // Another process began to write while the file was read without a lock, so the result is not reliable.
            Err(_) if beside(path, "-wal").exists() => {}
            verdict => return verdict,
        }
    }
    match open_alone(path) {
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
            evaluate(open_shared(path, busy_timeout))
        }
        opened => evaluate(opened),
    }
}

/// Refuses a log beside a file that is missing or empty: SQLite would delete it, with the changes in it.
pub(super) fn expect_no_changes_in_log(path: &Path) -> Result<(), OpenError> {
    match fs::metadata(beside(path, "-wal")) {
        Ok(log) if log.len() > 0 => Err(corrupt(path, "it is missing or empty, but its -wal file holds changes")),
        _ => Ok(()),
    }
}

/// The binding in the file, read without its log; `None` if it cannot be read.
pub(super) fn binding_without_log(path: &Path) -> Option<Binding> {
    open_without_log(path).and_then(|connection| Binding::read(&connection)).ok()
}

/// Opens the file alone: `immutable` reads it without locks, log or journal.
pub(super) fn open_without_log(path: &Path) -> rusqlite::Result<Connection> {
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'/' | b'.' | b'_' | b'-' => uri.push(char::from(*byte)),
            _ if byte.is_ascii_alphanumeric() => uri.push(char::from(*byte)),
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri.push_str("?immutable=1");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(uri, flags)?;
    prepare(&connection)?;
    Ok(connection)
}

/// Opens a database with a log that no process uses. SQLite would create a `-shm`, but a connection with an exclusive lock
/// keeps it in memory instead. The lock needs a writable connection, although this one never writes.
fn open_alone(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::ZERO)?;
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    prepare(&connection)?;
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    Ok(connection)
}

/// Opens a database whose log another process uses, so that the `-shm` exists already.
fn open_shared(path: &Path, busy_timeout: Duration) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(busy_timeout)?;
    prepare(&connection)?;
    Ok(connection)
}

fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.execute_batch("PRAGMA query_only = ON; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;")
}

/// How many rows each table has.
pub(super) fn count_rows(connection: &Connection) -> rusqlite::Result<Vec<(String, u64)>> {
    let mut names = connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")?;
    let names = names.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()?;
    let count = |name: String| {
        let sql = format!("SELECT count(*) FROM \"{}\"", name.replace('"', "\"\""));
        let rows: i64 = connection.query_row(&sql, [], |row| row.get(0))?;
        Ok((name, rows.unsigned_abs()))
    };
    names.into_iter().map(count).collect()
}

struct Finding {
    application_id: i64,
    version: i64,
    objects: i64,
    damage: Option<String>,
}

/// SQLite compares the page count in page 1 with the size of the file when it reads that page.
fn examine(connection: &Connection, check: Option<&str>) -> rusqlite::Result<Finding> {
    let number = |sql| connection.query_row(sql, [], |row| row.get(0));
    let mut finding = Finding {
        application_id: number("PRAGMA application_id")?,
        version: number("PRAGMA user_version")?,
        objects: number("SELECT count(*) FROM sqlite_schema")?,
        damage: None,
    };
    if finding.application_id == APPLICATION_ID && finding.version <= VERSION {
        read_roots(connection)?;
        if let Some(check) = check {
            let answer: String = connection.query_row(check, [], |row| row.get(0))?;
            finding.damage = (answer != "ok").then_some(answer);
        }
    }
    Ok(finding)
}

/// Reads the first pages of every table and index.
fn read_roots(connection: &Connection) -> rusqlite::Result<()> {
    let mut objects = connection.prepare(
        "SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_schema WHERE type IN ('table', 'index')",
    )?;
    let mut rows = objects.query([])?;
    while let Some(row) = rows.next()? {
        let (kind, name, table): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let definition: String = row.get(3)?;
        let quote = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        let mut sql = format!("SELECT 1 FROM {}", quote(&table));
        if kind == "index" {
            sql += &format!(" INDEXED BY {}", quote(&name));
            // SQLite uses a partial index only for a query with the condition of the index.
            if let Some((_, condition)) = definition.split_once("WHERE ") {
                sql += &format!(" WHERE {condition}");
            }
        }
        connection.prepare(&sql)?.query([])?.next()?;
    }
    Ok(())
}

fn verdict(path: &Path, finding: Finding) -> Result<Found, OpenError> {
    let path = path.to_owned();
    if finding.objects == 0 {
        return Ok(Found::Empty);
    }
    if finding.application_id != APPLICATION_ID || finding.version < 1 {
        return Err(OpenError::Foreign { path });
    }
    if finding.version > VERSION {
        return Err(OpenError::Newer { path, found: finding.version, known: VERSION });
    }
    if finding.version < OLDEST {
        return Err(OpenError::TooOld { path, found: finding.version, oldest: OLDEST });
    }
    match finding.damage {
        Some(detail) => Err(OpenError::Corrupt { path, detail }),
        None => Ok(Found::Ours(finding.version)),
    }
}

fn corrupt(path: &Path, detail: &str) -> OpenError {
    OpenError::Corrupt { path: path.to_owned(), detail: detail.into() }
}

fn unreadable(path: &Path, error: &rusqlite::Error) -> OpenError {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => OpenError::NotADatabase { path: path.to_owned() },
        // `Unknown` here means a schema that does not parse, or that names something that does not exist.
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::Unknown) => corrupt(path, &error.to_string()),
        _ => OpenError::Inaccessible { path: path.to_owned(), detail: diagnosis::explain(error, path) },
    }
}
