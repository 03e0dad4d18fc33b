//! Backs a database up while it is in use.
//!
//! One connection reads everything in one transaction. So the copy is the state of one moment, and no change makes it begin
//! again. The log cannot restart meanwhile: it grows by what is written until the copy has ended.

use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use rusqlite::{
    Connection, OpenFlags,
    backup::{Backup, StepResult},
};

use super::{
    backup_report::{BackedUp, BackupError, BackupProgress},
    diagnosis,
    inspection::{self, Depth},
    partial::Partial,
    snapshot::Snapshot,
};

/// How many pages of 4 KiB are copied at once.
const STEP: i32 = 256;
const PAGE: u64 = 4096;

/// Copies the database at `path` into the new file `target`, with at most so many bytes a second. It blocks.
///
/// The file gets its name when it is complete and was checked. Until then it has the ending `.partial`.
pub(crate) fn back_up(
    path: &Path,
    target: &Path,
    bytes_per_second: u64,
    busy_timeout: Duration,
    on_progress: &mut dyn FnMut(BackupProgress),
) -> Result<BackedUp, BackupError> {
    let snapshot = Snapshot::open(path, busy_timeout)?;
    let partial = Partial::create(target, ".partial")?;
    let bytes = copy(&snapshot, &partial.path, bytes_per_second, on_progress)?;
    on_progress(BackupProgress::Checking);
    let tables = check(&partial.path, &snapshot)?;
    partial.finish(target)?;
    let rows = |wanted: &str| tables.iter().find(|(table, _)| table == wanted).map_or(0, |(_, rows)| *rows);
    Ok(BackedUp { bytes, users: rows("users"), tokens: rows("tokens"), events: rows("audit_events") })
}

/// Copies all pages. Returns how many bytes they have.
fn copy(
    snapshot: &Snapshot,
    target: &Path,
    bytes_per_second: u64,
    on_progress: &mut dyn FnMut(BackupProgress),
) -> Result<u64, BackupError> {
    let not_written = |error: rusqlite::Error| BackupError::Target {
        path: target.to_owned(),
        detail: diagnosis::explain(&error, target),
    };
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut copy = Connection::open_with_flags(target, flags).map_err(not_written)?;
    // A file that is not complete has no value, so it needs no journal. It is synced before it gets its name.
    copy.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE;")
        .map_err(not_written)?;
    let backup = Backup::new(&snapshot.connection, &mut copy).map_err(not_written)?;
    let start = Instant::now();
    let bytes = loop {
        let step = backup.step(STEP).map_err(not_written)?;
        let progress = backup.progress();
        let pages = |pages: i32| u64::try_from(pages).unwrap_or(0) * PAGE;
        let all = pages(progress.pagecount);
        let bytes = all - pages(progress.remaining).min(all);
        on_progress(BackupProgress::Copying { done: bytes, all });
        if step == StepResult::Done {
            break bytes;
        }
        // At this speed, so many bytes take so long.
        let due = Duration::from_secs_f64(bytes as f64 / bytes_per_second.max(1) as f64);
        thread::sleep(due.saturating_sub(start.elapsed()));
    };
    drop(backup);
    copy.close().map_err(|(_, error)| not_written(error))?;
    Ok(bytes)
}

/// Reads the copy in full, and compares how many rows each table has. Returns that.
fn check(copy: &Path, snapshot: &Snapshot) -> Result<Vec<(String, u64)>, BackupError> {
    inspection::inspect(copy, Depth::Full, Duration::ZERO)?;
    let copied = inspection::open_without_log(copy)
        .and_then(|copy| inspection::count_rows(&copy))
        .map_err(|error| BackupError::Target { path: copy.to_owned(), detail: diagnosis::explain(&error, copy) })?;
    let original = inspection::count_rows(&snapshot.connection)
        .map_err(|error| BackupError::Source(diagnosis::explain(&error, &snapshot.path)))?;
    if original == copied { Ok(copied) } else { Err(BackupError::Differs) }
}
