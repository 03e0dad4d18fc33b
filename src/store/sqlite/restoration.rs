//! Puts a backup in the place of a database.
//!
//! The backup is copied beside the database and changed there. Only a copy that is complete gets the name of the database, in
//! one step, so that no server ever opens one in which a revoked token is still valid.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    backup_report::BackupError,
    file,
    identity::beside,
    inspection::{self, Depth},
    locks::{self, Database, Sharing},
    open_error::OpenError,
    partial::{Partial, remove_beside},
    settings::SqliteSettings,
    store::SqliteStore,
};
use crate::store::Access;

/// A copy of a backup that is not in its place yet.
pub(crate) struct Restoration {
    partial: Partial,
    target: PathBuf,
    /// The database that is replaced. No other process can open it meanwhile.
    replaced: Option<Database>,
}

impl Restoration {
    /// Checks the backup in full and copies it beside the database. With `replaces`, that must exist, and be closed.
    pub(crate) fn begin(backup: &Path, settings: &SqliteSettings, replaces: bool) -> Result<Self, BackupError> {
        let target = file::canonical(&settings.path)?;
        let backup = file::canonical(backup)?;
        if !backup.exists() {
            return Err(BackupError::Source(format!("{} does not exist", backup.display())));
        }
        let log = beside(&backup, "-wal");
        if fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
            return Err(BackupError::HasLog { path: log });
        }
        inspection::inspect(&backup, Depth::Full, Duration::ZERO)?;
        let replaced = match (replaces, target.exists()) {
            (true, true) => Some(closed(settings, &target)?),
            (true, false) => return Err(OpenError::Missing { path: target }.into()),
            (false, true) => return Err(BackupError::Exists { path: target }),
            (false, false) => {
                inspection::expect_no_changes_in_log(&target)?;
                None
            }
        };
        // While it is written, no other restoration of this database can begin.
        let partial = Partial::create(&target, ".restoring")?;
        partial.fill(&backup)?;
        Ok(Self { partial, target, replaced })
    }

    /// The copy, which is a database.
    pub(crate) fn path(&self) -> &Path {
        &self.partial.path
    }

    /// Checks the copy in full and gives it the name of the database. A database that is replaced gets the name `kept`. Nothing
    /// may have the copy open any more.
    pub(crate) fn finish(self, kept: Option<&Path>) -> Result<(), BackupError> {
        let Self { partial, target, replaced } = self;
        inspection::inspect(&partial.path, Depth::Full, Duration::ZERO)?;
        partial.remove_beside();
        let (Some(_closed), Some(kept)) = (replaced, kept) else { return partial.finish(&target) };
        // It has two names for a moment, so a crash leaves the one database or the other in place.
        fs::hard_link(&target, kept).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => BackupError::Exists { path: kept.to_owned() },
            _ => BackupError::Target { path: kept.to_owned(), detail: error.to_string() },
        })?;
        remove_beside(&target);
        partial.replace(&target)
    }
}

/// Closes the database in order, so that its file alone is everything, and keeps other processes out.
fn closed(settings: &SqliteSettings, path: &Path) -> Result<Database, BackupError> {
    // Opened once for what a crash may have left in the log.
    match SqliteStore::open(settings, Access::CopySource) {
        Ok(store) => drop(store),
        Err(error) => return Err(error.into()),
    }
    let database = Database::open(path)?;
    database.serve()?;
    let opening = database.begin_opening(locks::OPENING_TIMEOUT)?;
    if opening.join()? == Sharing::Shared {
        return Err(OpenError::OpenElsewhere { path: path.to_owned() }.into());
    }
    std::mem::forget(opening);
    let log = beside(path, "-wal");
    match fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
        true => Err(BackupError::Source(format!("{} was not emptied", log.display()))),
        false => Ok(database),
    }
}
