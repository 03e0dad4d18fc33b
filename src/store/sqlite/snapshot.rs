//! Reads a database that another process may have open, without changing anything in or beside it.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags};

use super::{
    binding::acceptance::{self, LogState},
    diagnosis, file,
    inspection::{self, Depth, Found},
    locks::{self, Database},
    open_error::OpenError,
};

/// The state of the database at one moment.
pub(super) struct Snapshot {
    /// In a transaction that reads.
    pub(super) connection: Connection,
    pub(super) path: PathBuf,
    _database: Database,
}

impl Snapshot {
    /// Opens the database, which another process may have open. Nothing in or beside it is changed.
    pub(super) fn open(path: &Path, busy_timeout: Duration) -> Result<Self, OpenError> {
        let path = file::canonical(path)?;
        if !path.exists() {
            return Err(OpenError::Missing { path });
        }
        let database = Database::open(&path)?;
        // Until the transaction has begun, no other process may upgrade it.
        let opening = database.begin_opening(locks::OPENING_TIMEOUT)?;
        let log = match database.is_open_elsewhere() {
            true => LogState::Bound,
            false => acceptance::accept(&database)?,
        };
        let depth = if log == LogState::Unbound { Depth::Full } else { Depth::Quick };
        if inspection::inspect(&path, depth, busy_timeout)? == Found::Empty {
            return Err(OpenError::Missing { path });
        }
        let unreadable =
            |error| OpenError::Inaccessible { path: path.clone(), detail: diagnosis::explain(&error, &path) };
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&path, flags).map_err(unreadable)?;
        let begin = || {
            connection.busy_timeout(busy_timeout)?;
            connection.execute_batch("BEGIN")?;
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
        };
        begin().map_err(unreadable)?;
        drop(opening);
        Ok(Self { connection, path, _database: database })
    }
}
