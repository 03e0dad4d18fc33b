//! What an error of SQLite means to a caller of the store.

use rusqlite::{ErrorCode, ffi};

use super::diagnosis;
use crate::store::{Conflict, StoreError};

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
