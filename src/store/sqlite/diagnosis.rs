//! Explains errors of SQLite and of the system: the likely cause on this machine, and the remedy.
//!
//! SQLite reports "unable to open database file" or "disk I/O error" for a dozen causes, without the system's error. So the
//! likely causes are checked at once, while they still hold.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use rusqlite::{ErrorCode, ffi};
use rustix::{
    fs::{Access, access, statvfs},
    io::Errno,
    process::geteuid,
};

use super::{identity::beside, open_error::OpenError};
use crate::store::StoreError;

/// The database, its log, the `-shm`, the directory, and a reserve.
const FILES_OF_A_CONNECTION: usize = 8;

/// Below this, the disk counts as nearly full.
const NEARLY_FULL: u64 = 8 << 20;

/// The error, and what SQLite was doing when the system refused.
pub(super) fn describe(error: &rusqlite::Error) -> String {
    match error.sqlite_error().and_then(|cause| step(cause.extended_code)) {
        Some(step) => format!("{error}: {step}"),
        None => error.to_string(),
    }
}

/// The same with its cause, if one is found.
pub(super) fn explain(error: &rusqlite::Error, database: &Path) -> String {
    let has_cause = matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::CannotOpen
                | ErrorCode::SystemIoFailure
                | ErrorCode::ReadOnly
                | ErrorCode::PermissionDenied
                | ErrorCode::DiskFull
        )
    );
    let what = describe(error);
    if has_cause { with_cause(what, database) } else { what }
}

/// Adds the cause to a failure to open or to write, if one is found.
pub(super) fn with_cause(what: String, database: &Path) -> String {
    match find_cause(database) {
        Some(cause) => format!("{what}: {cause}"),
        None => what,
    }
}

/// What SQLite was doing when the system refused.
fn step(extended_code: i32) -> Option<&'static str> {
    Some(match extended_code {
        ffi::SQLITE_IOERR_READ | ffi::SQLITE_IOERR_SHORT_READ => "a read failed",
        ffi::SQLITE_IOERR_WRITE => "a write failed",
        ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC => "the disk did not confirm a write (fsync)",
        ffi::SQLITE_IOERR_TRUNCATE => "a file could not be truncated",
        ffi::SQLITE_IOERR_LOCK | ffi::SQLITE_IOERR_RDLOCK | ffi::SQLITE_IOERR_UNLOCK | ffi::SQLITE_IOERR_SHMLOCK => {
            "the file system refused a lock"
        }
        ffi::SQLITE_IOERR_SHMOPEN | ffi::SQLITE_IOERR_SHMMAP => "the -shm file could not be used",
        ffi::SQLITE_IOERR_SHMSIZE => "the -shm file could not be made larger",
        ffi::SQLITE_IOERR_NOMEM => "memory ran out",
        _ => return None,
    })
}

fn find_cause(database: &Path) -> Option<String> {
    // SQLite has already closed the files of the failed attempt, so a lack of descriptors must be tested for.
    if let Err(error) = (0..FILES_OF_A_CONNECTION).map(|_| File::open("/dev/null")).collect::<io::Result<Vec<_>>>() {
        return Some(reason(&error));
    }
    if let Err(OpenError::NotWritable { path, detail }) = expect_writable(database) {
        return Some(format!("{} is not writable: {detail}", path.display()));
    }
    if free_space(database) == Some(0) {
        return Some(reason(&Errno::NOSPC.into()));
    }
    let limit = rlimit::Resource::FSIZE.get_soft().ok()?;
    let grown = ["", "-wal"]
        .map(|suffix| beside(database, suffix))
        .into_iter()
        .find(|path| fs::metadata(path).is_ok_and(|metadata| metadata.len().saturating_add(NEARLY_FULL) > limit))?;
    Some(format!(
        "{} has nearly reached the largest size that this process may give a file (ulimit -f)",
        grown.display()
    ))
}

/// The system's error, with a remedy if the error alone says too little.
pub(super) fn reason(error: &io::Error) -> String {
    let remedy = match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::MFILE) => "this process has no file descriptor left: raise its limit of open files (ulimit -n)",
        Some(Errno::NFILE) => "the system has no file descriptor left",
        Some(Errno::NOSPC | Errno::DQUOT) => "the disk is full: free some space",
        Some(Errno::ROFS) => "its file system is mounted read-only: mount it for writing",
        Some(Errno::PERM) => "it may be immutable (chattr -i removes that flag)",
        Some(Errno::ACCESS) => {
            return format!("{error}: patd runs as user {}; give that user the right to read and write it", user());
        }
        Some(Errno::NOENT) => "create its directory, or correct database.path",
        _ => return error.to_string(),
    };
    format!("{error}: {remedy}")
}

fn user() -> u32 {
    geteuid().as_raw()
}

/// Refuses a database that can be read but not written. SQLite would open it and create a `-shm` that nobody can write. The
/// next start would then fail because of that file.
pub(super) fn expect_writable(database: &Path) -> Result<(), OpenError> {
    let directory = database.parent().unwrap_or(Path::new("/"));
    expect(directory, Access::WRITE_OK | Access::EXEC_OK)?;
    for suffix in ["", "-wal"] {
        expect(&beside(database, suffix), Access::READ_OK | Access::WRITE_OK)?;
    }
    expect(&beside(database, "-shm"), Access::READ_OK | Access::WRITE_OK).map_err(|error| match error {
        OpenError::NotWritable { path, detail } => {
            let detail = format!("{detail}, or delete it while no patd runs (it is created again)");
            OpenError::NotWritable { path, detail }
        }
        other => other,
    })
}

fn expect(path: &Path, rights: Access) -> Result<(), OpenError> {
    match access(path, rights) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(not_writable(path.to_owned(), &errno.into())),
    }
}

/// Detects a file system that became read-only while the files are open. Linux does that after an error.
pub(super) fn expect_writable_mount(database: &Path) -> Result<(), StoreError> {
    match access(database, Access::WRITE_OK) {
        Err(Errno::ROFS) => Err(StoreError::Unavailable(reason(&Errno::ROFS.into()))),
        _ => Ok(()),
    }
}

pub(super) fn inaccessible(path: &Path, error: &io::Error) -> OpenError {
    OpenError::Inaccessible { path: path.to_owned(), detail: reason(error) }
}

pub(super) fn not_writable(path: PathBuf, error: &io::Error) -> OpenError {
    OpenError::NotWritable { path, detail: reason(error) }
}

/// Whether a write may soon fail because the disk is full. It is a hint: it does not see quotas.
pub(super) fn is_nearly_full(database: &Path) -> bool {
    free_space(database).is_some_and(|free| free < NEARLY_FULL)
}

/// The free bytes for this user on the file system of the database.
pub(super) fn free_space(database: &Path) -> Option<u64> {
    let system = statvfs(database.parent()?).ok()?;
    system.f_bavail.checked_mul(system.f_frsize)
}
