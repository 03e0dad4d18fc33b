//! Why a database could not be opened, each with a remedy.

use std::path::PathBuf;

use super::binding::fault::LogFault;

/// Why a database was not opened. Nothing in or beside the file was changed, unless the message says so.
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
    /// Another process has the file open, and nobody else may.
    #[error("{path} is in use by another patd command: wait until that has ended, and start again")]
    OpenElsewhere {
        /// The file.
        path: PathBuf,
    },
    /// Rows of another database are being copied into the file.
    #[error(
        "{path} is an unfinished copy of another database: run the same `patd database copy` again, or delete the file, or \
         set database.path to another one"
    )]
    UnfinishedCopy {
        /// The file.
        path: PathBuf,
    },
    /// Another process has been opening the file for too long.
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
    /// The file is not a SQLite database.
    #[error("{path} is not a SQLite database: move it away, or set database.path to another file")]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// The file is a database of another program.
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
    /// The file was written before the first release, by a version whose schema this program cannot upgrade.
    #[error(
        "{path} was written by an early development version of patd (schema {found}, this release upgrades from schema \
         {oldest} on): open it once with a build that has schema {oldest}, or set database.path to a new file"
    )]
    TooOld {
        /// The file.
        path: PathBuf,
        /// Its schema's version.
        found: i64,
        /// The oldest version that can be upgraded.
        oldest: i64,
    },
    /// The file has an older schema, and a server that needs this schema is using it.
    #[error(
        "{path} has the schema of an older patd (schema {found}, this release has {known}) and is in use: stop the server \
         that has it and start this release's instead, or use the commands of the release that serves it"
    )]
    InUse {
        /// The file.
        path: PathBuf,
        /// Its schema's version.
        found: i64,
        /// The version that this program has.
        known: i64,
    },
    /// The file is a damaged database.
    #[error("{path} is damaged ({detail}): restore it from a backup; patd does not repair it")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is damaged.
        detail: String,
    },
    /// The write-ahead log beside the file belongs to another file, or is incomplete.
    #[error("{0}")]
    Log(Box<LogFault>),
    /// The operating system or SQLite refused.
    #[error("{path} cannot be opened: {detail}")]
    Inaccessible {
        /// The file.
        path: PathBuf,
        /// What was refused, and the remedy.
        detail: String,
    },
    /// The file, one beside it, or the directory cannot be written.
    #[error("{path} is not writable: {detail}")]
    NotWritable {
        /// The file or directory.
        path: PathBuf,
        /// Why not, and the remedy.
        detail: String,
    },
    /// The schema could not be created or upgraded.
    #[error(
        "{path} could not be brought to this release's schema ({detail}): the change was rolled back; remove the cause and \
         start again"
    )]
    Migration {
        /// The file.
        path: PathBuf,
        /// What failed.
        detail: String,
    },
}
