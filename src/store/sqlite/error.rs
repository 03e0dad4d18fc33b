//! What an error of SQLite means to a caller, and why a file could not be opened. Nothing here decides what to do.

use std::path::PathBuf;

use rusqlite::{ErrorCode, ffi};

pub use super::binding::fault::LogFault;
use super::diagnosis;
use crate::store::{Conflict, StoreError};

/// Why a database was not opened. Nothing in or beside the file was changed, unless the sentence says so.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A tool was pointed at a file that is not there.
    #[error("{path} does not exist: start the server once to create it, or correct database.path")]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// Another server has the file.
    #[error("{path} is already served by another patd: stop that one, or set database.path to another file")]
    Served {
        /// The file.
        path: PathBuf,
    },
    /// Another process is opening the file, and does not come to an end.
    #[error("{path} is being opened or upgraded by another patd: wait until that has ended, and start again")]
    Opening {
        /// The file.
        path: PathBuf,
    },
    /// Another process has the file open by another name.
    #[error(
        "{path} is in use under another name (a hard link, or a bind mount of the file alone): SQLite finds the \
         write-ahead log by the name, so use one name for all, or mount the directory"
    )]
    OtherName {
        /// The file.
        path: PathBuf,
    },
    /// The file is something else.
    #[error("{path} is not a SQLite database: move it away, or set database.path to another file")]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// The file is a database of somebody else.
    #[error("{path} is a SQLite database of another program: set database.path to another file")]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The file was written by a later release.
    #[error(
        "{path} was written by a newer patd (schema {found}, this release knows up to {known}): run that release, or \
         restore a backup made before the upgrade"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema's version.
        found: i64,
        /// The version that this program has.
        known: i64,
    },
    /// The file has an older schema, and somebody is at work on it who knows no other.
    #[error(
        "{path} is of an older patd (schema {found}, this release has {known}) and in use: stop the server that has it and \
         start this release's instead, or ask with the release that serves it"
    )]
    InUse {
        /// The file.
        path: PathBuf,
        /// Its schema's version.
        found: i64,
        /// The version that this program has.
        known: i64,
    },
    /// The file is a database, and broken.
    #[error("{path} is damaged ({detail}): restore it from a backup; patd does not repair it")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// The write-ahead log beside the file is not the file's, or not whole.
    #[error("{0}")]
    Log(Box<LogFault>),
    /// The operating system or SQLite refused.
    #[error("{path} cannot be opened: {detail}")]
    Inaccessible {
        /// The file.
        path: PathBuf,
        /// What was refused, and the way out.
        detail: String,
    },
    /// The file, one beside it, or the directory cannot be written.
    #[error("{path} is not writable: {detail}")]
    NotWritable {
        /// Which of them.
        path: PathBuf,
        /// Why not, and the way out.
        detail: String,
    },
    /// The schema could not be created or stepped up.
    #[error(
        "{path} could not be brought to this release's schema ({detail}): the step was undone; mend the cause and start \
         again"
    )]
    Migration {
        /// The file.
        path: PathBuf,
        /// What failed.
        detail: String,
    },
}

impl From<rusqlite::Error> for StoreError {
    /// A missing row comes through `optional()`, never through here: an outage is never absence.
    fn from(error: rusqlite::Error) -> Self {
        let Some(cause) = error.sqlite_error() else {
            return Self::Internal(error.to_string());
        };
        match cause.code {
            ErrorCode::ConstraintViolation if is_taken_email(&error, cause.extended_code) => {
                Self::Conflict(Conflict::EmailTaken)
            }
            ErrorCode::PermissionDenied
            | ErrorCode::OperationAborted
            | ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::OutOfMemory
            | ErrorCode::ReadOnly
            | ErrorCode::OperationInterrupted
            | ErrorCode::SystemIoFailure
            | ErrorCode::DatabaseCorrupt
            | ErrorCode::DiskFull
            | ErrorCode::CannotOpen
            | ErrorCode::FileLockingProtocolFailed
            | ErrorCode::SchemaChanged
            | ErrorCode::NoLargeFileSupport
            | ErrorCode::NotADatabase => Self::Unavailable(diagnosis::describe(&error)),
            _ => Self::Internal(error.to_string()),
        }
    }
}

/// SQLite names the column in the message alone.
fn is_taken_email(error: &rusqlite::Error, extended_code: i32) -> bool {
    extended_code == ffi::SQLITE_CONSTRAINT_UNIQUE
        && error.to_string() == "UNIQUE constraint failed: users.email_canonical"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(code: i32) -> StoreError {
        rusqlite::Error::SqliteFailure(ffi::Error::new(code), None).into()
    }

    #[test]
    fn an_outage_is_neither_absence_nor_a_defect() {
        for code in [
            ffi::SQLITE_BUSY,
            ffi::SQLITE_LOCKED,
            ffi::SQLITE_FULL,
            ffi::SQLITE_IOERR,
            ffi::SQLITE_IOERR_FSYNC,
            ffi::SQLITE_CANTOPEN,
            ffi::SQLITE_CORRUPT,
            ffi::SQLITE_NOTADB,
            ffi::SQLITE_READONLY,
            ffi::SQLITE_READONLY_DBMOVED,
            ffi::SQLITE_NOMEM,
            ffi::SQLITE_PROTOCOL,
        ] {
            assert!(matches!(failure(code), StoreError::Unavailable(_)), "{code}");
        }
        for code in [ffi::SQLITE_CONSTRAINT, ffi::SQLITE_MISUSE, ffi::SQLITE_ERROR] {
            assert!(matches!(failure(code), StoreError::Internal(_)), "{code}");
        }
        assert!(matches!(StoreError::from(rusqlite::Error::QueryReturnedNoRows), StoreError::Internal(_)));
    }
}
