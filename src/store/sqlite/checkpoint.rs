//! One fold of the log into the file, by `PRAGMA wal_checkpoint`. When to fold is decided in [`super::checkpoints`].

use std::{
    thread,
    time::{Duration, Instant},
};

use rusqlite::{Connection, ffi};

use super::{diagnosis, watch::Watch};

/// How long a fold of the whole log waits for those who read it.
pub(super) const PATIENCE: Duration = Duration::from_millis(250);

/// The only way in which the log of an open store is folded: not into a file that is lost or overwritten, and not once
/// more after a sync that failed.
pub(super) fn checkpoint(
    connection: &Connection,
    mode: &'static str,
    watch: &Watch,
) -> Result<CheckpointResult, String> {
    watch.check_for_writing().map_err(|error| error.to_string())?;
    fold(connection, mode).map_err(|error| {
        let why = diagnosis::explain(&error, watch.database());
        // Of the log or of the file: the code does not say.
        if error.sqlite_error().is_some_and(|cause| cause.extended_code == ffi::SQLITE_IOERR_FSYNC) {
            watch.stop_writing(&why);
        }
        why
    })
}

/// Folds the whole log and truncates it; answers whether it did, which others may hinder for [`PATIENCE`].
pub(super) fn checkpoint_and_truncate(connection: &Connection, watch: &Watch) -> Result<bool, String> {
    let as_text = |error: rusqlite::Error| error.to_string();
    let before: u32 = connection.query_row("PRAGMA busy_timeout", [], |row| row.get(0)).map_err(as_text)?;
    connection.busy_timeout(PATIENCE).map_err(as_text)?;
    let folded = try_in_full(connection, watch);
    connection.busy_timeout(Duration::from_millis(before.into())).map_err(as_text)?;
    folded
}

fn try_in_full(connection: &Connection, watch: &Watch) -> Result<bool, String> {
    let start = Instant::now();
    loop {
        if !checkpoint(connection, TRUNCATE, watch)?.busy {
            return Ok(true);
        }
        if start.elapsed() >= PATIENCE {
            return Ok(false);
        }
        // For another checkpoint, SQLite does not wait.
        thread::sleep(Duration::from_millis(5));
    }
}

/// What a checkpoint did, in pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CheckpointResult {
    /// Whether a reader or another checkpoint was in its way.
    pub(super) busy: bool,
    /// How long the log is.
    pub(super) length: u32,
    /// How much of it is in the file.
    pub(super) folded: u32,
}

/// Waits for nobody, and folds what it can.
pub(super) const PASSIVE: &str = "PRAGMA wal_checkpoint(PASSIVE)";
/// Waits for readers, and makes the next commit begin the log anew.
pub(super) const RESTART: &str = "PRAGMA wal_checkpoint(RESTART)";

/// The same, and truncates the log. Any other connection takes that for a change.
pub(super) const TRUNCATE: &str = "PRAGMA wal_checkpoint(TRUNCATE)";

pub(super) fn fold(connection: &Connection, mode: &'static str) -> rusqlite::Result<CheckpointResult> {
    let mut statement = connection.prepare_cached(mode)?;
    statement.query_row([], |row| {
        // -1 where there is no log.
        let pages = |at| row.get(at).map(|pages: i64| u32::try_from(pages).unwrap_or(0));
        Ok(CheckpointResult { busy: row.get(0)?, length: pages(1)?, folded: pages(2)? })
    })
}
