//! The messages for a start that is refused because of the files beside the database: the fault and the remedy.

use std::{error, fmt, path::PathBuf};

use super::row::Binding;

/// Why the files beside a database were refused.
#[derive(Debug)]
pub struct LogFault {
    /// The database.
    pub(super) path: PathBuf,
    pub(super) kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    /// The log was written for another file, or for another state of this one.
    Foreign { log: Binding, file: FileState },
    /// That frame of the log is wrong (zero is the header), and committed frames follow it.
    Damaged { frame: u32, copied: Copied },
    /// The log has fewer valid frames than were acknowledged.
    Short { found: u32, acknowledged: u32, copied: Copied },
    /// There is no log, and the file lacks its changes.
    Missing { acknowledged: u32, copied: Copied },
    /// A rollback journal that SQLite did not create for this file.
    Journal,
}

/// What the file says of its log.
#[derive(Debug)]
pub(super) enum FileState {
    NoDatabase,
    /// A database without the row: of an older release, or of another program.
    NoBinding,
    Binding(Binding),
}

/// How much of the log a checkpoint has copied into the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Copied {
    /// Nothing: without its log, the file is in its state before the log.
    Nothing,
    /// A part, or an unknown amount: without its log, the file may be inconsistent.
    Part,
}

impl fmt::Display for LogFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.kind {
            Kind::Foreign { log, file } => write!(
                f,
                "{path}-wal does not belong to {path}: {}. If you put an older copy or another database here and want to \
                 use it, move {path}-wal and {path}-shm away and start again; if not, put back the file that the \
                 log belongs to, because the log may hold changes that exist nowhere else",
                difference(log, file)
            ),
            Kind::Damaged { frame, copied } => {
                let place = match frame {
                    0 => "its header is wrong".to_owned(),
                    frame => format!("frame {frame} is wrong"),
                };
                let remedy = self.remedy(*copied, "-wal, -shm and -watermark");
                write!(f, "{path}-wal is damaged: {place}, and acknowledged changes follow it. {remedy}")
            }
            Kind::Short { found, acknowledged, copied } => {
                let remedy = self.remedy(*copied, "-wal, -shm and -watermark");
                write!(f, "{path}-wal lacks acknowledged changes: {found} of {acknowledged} frames are valid. {remedy}")
            }
            Kind::Missing { acknowledged, copied: Copied::Nothing } => {
                let remedy = self.remedy(Copied::Nothing, "-watermark");
                write!(
                    f,
                    "{path}-wal is missing or empty, and {path} lacks the acknowledged changes of its {acknowledged} \
                     frames. Put the log back. {remedy}"
                )
            }
            Kind::Missing { acknowledged, copied: Copied::Part } => write!(
                f,
                "{path}-wal is missing or empty, and its {acknowledged} frames with acknowledged changes are not all in \
                 {path}. Put the log back, or restore {path} from a backup. If this file is a copy that was made while \
                 the server ran, or another program has checkpointed the log, check it (sqlite3 {path} \
                 'PRAGMA integrity_check'), move {path}-watermark away, and start again"
            ),
            Kind::Journal => write!(
                f,
                "{path}-journal does not belong to {path}, which uses a write-ahead log; SQLite would undo changes with it. \
                 Move {path}-journal away and start again"
            ),
        }
    }
}

impl error::Error for LogFault {}

impl LogFault {
    fn remedy(&self, copied: Copied, files: &str) -> String {
        let path = self.path.display();
        match copied {
            Copied::Nothing => format!(
                "Restore {path} from a backup. Or, to go on without the changes in the log (revoked tokens may be valid \
                 again), move {files} away from beside it and start again"
            ),
            Copied::Part => format!(
                "Restore {path} from a backup: part of the log is in it already, and without the rest it is not whole. If \
                 there is no backup, copy all of its files, and let SQLite read what is left (sqlite3 COPY .recover)"
            ),
        }
    }
}

/// How the log and the file differ.
fn difference(log: &Binding, file: &FileState) -> String {
    match file {
        FileState::NoDatabase => "that is not a complete database and may have been truncated".to_owned(),
        FileState::NoBinding => "that is a database of an older release or of another program".to_owned(),
        FileState::Binding(file) if file.database != log.database => "it is the log of another database".to_owned(),
        FileState::Binding(file) => format!(
            "it was written for generation {} of this database, and the file is of generation {}",
            log.generation - 1,
            file.generation
        ),
    }
}
