//! Runs one checkpoint with `PRAGMA wal_checkpoint`. [`super::checkpoints`] decides when.

use std::{
    thread,
    time::{Duration, Instant},
};

use rusqlite::{Connection, ffi};

use super::{diagnosis, watch::Watch};

/// How long a checkpoint of the whole log waits for readers of the log.
pub(super) const READER_TIMEOUT: Duration = Duration::from_millis(250);

/// Runs a checkpoint of an open store. Fails if the file is lost or overwritten, or if an earlier sync failed: a checkpoint
/// would then destroy data.
pub(super) fn checkpoint(
    connection: &Connection,
    mode: &'static str,
    watch: &Watch,
) -> Result<CheckpointResult, String> {
    watch.check_for_checkpoint().map_err(|error| error.to_string())?;
    execute(connection, mode).map_err(|error| {
        let why = diagnosis::explain(&error, watch.database());
        // The code does not say whether the sync of the log or of the file failed, so both stop all writing.
        if error.sqlite_error().is_some_and(|cause| cause.extended_code == ffi::SQLITE_IOERR_FSYNC) {
            watch.stop_writing(&why);
        }
        why
    })
}

/// Checkpoints the whole log and truncates it. Returns `false` if other connections prevented it for [`READER_TIMEOUT`].
pub(super) fn checkpoint_and_truncate(connection: &Connection, watch: &Watch) -> Result<bool, String> {
    let as_text = |error: rusqlite::Error| error.to_string();
    let before: u32 = connection.query_row("PRAGMA busy_timeout", [], |row| row.get(0)).map_err(as_text)?;
    connection.busy_timeout(READER_TIMEOUT).map_err(as_text)?;
    let truncated = try_to_truncate(connection, watch);
    connection.busy_timeout(Duration::from_millis(before.into())).map_err(as_text)?;
    truncated
}

fn try_to_truncate(connection: &Connection, watch: &Watch) -> Result<bool, String> {
    let start = Instant::now();
    loop {
        if !checkpoint(connection, TRUNCATE, watch)?.busy {
            return Ok(true);
        }
        if start.elapsed() >= READER_TIMEOUT {
            return Ok(false);
        }
        // SQLite's busy timeout does not apply while another checkpoint runs.
        thread::sleep(Duration::from_millis(5));
    }
}

/// What a checkpoint did, in pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CheckpointResult {
    /// Whether a reader or another checkpoint prevented a complete checkpoint.
    pub(super) busy: bool,
    /// The length of the log.
    pub(super) length: u32,
    /// How many of its pages are in the file.
    pub(super) copied: u32,
}

/// Copies what it can without waiting.
pub(super) const PASSIVE: &str = "PRAGMA wal_checkpoint(PASSIVE)";
/// Waits for readers. The next commit then writes from the start of the log.
pub(super) const RESTART: &str = "PRAGMA wal_checkpoint(RESTART)";

/// Like [`RESTART`], and truncates the log. To every other connection this looks like a change.
pub(super) const TRUNCATE: &str = "PRAGMA wal_checkpoint(TRUNCATE)";

/// Executes the statement without the checks of [`checkpoint`].
pub(super) fn execute(connection: &Connection, mode: &'static str) -> rusqlite::Result<CheckpointResult> {
    let mut statement = connection.prepare_cached(mode)?;
    statement.query_row([], |row| {
        // SQLite returns -1 if there is no log.
        let pages = |at| row.get(at).map(|pages: i64| u32::try_from(pages).unwrap_or(0));
        Ok(CheckpointResult { busy: row.get(0)?, length: pages(1)?, copied: pages(2)? })
    })
}
