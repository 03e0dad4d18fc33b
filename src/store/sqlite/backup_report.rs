//! What a backup reports, and why it fails.

use std::path::PathBuf;

use super::open_error::OpenError;

/// How far a backup is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackupProgress {
    /// It copies.
    Copying {
        /// How many bytes were copied.
        done: u64,
        /// How many there are.
        all: u64,
    },
    /// It reads the copy.
    Checking,
}

/// A backup that was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackedUp {
    /// How large it is.
    pub bytes: u64,
    /// How many users and service accounts it has.
    pub users: u64,
    /// How many tokens it has.
    pub tokens: u64,
    /// How many events it has.
    pub events: u64,
}

/// Why there is no backup, or why it was not restored. The database is as it was.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A database cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// There is such a file.
    #[error("{path} exists already")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// Another process writes the file.
    #[error("{path} is being written by another command: wait until that has ended")]
    InProgress {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be written.
    #[error("{path} cannot be written: {detail}")]
    Target {
        /// The file.
        path: PathBuf,
        /// Why not.
        detail: String,
    },
    /// The database cannot be read.
    #[error("the database cannot be read: {0}")]
    Source(String),
    /// The copy has other rows than the database.
    #[error("the copy has other rows than the database: it was removed; check the disk")]
    Differs,
    /// A log beside the file.
    #[error(
        "{path} has changes that are not in the backup itself: it was not made with `patd backup`. Open it with the patd that \
         wrote it, or copy the database again"
    )]
    HasLog {
        /// The log.
        path: PathBuf,
    },
}
