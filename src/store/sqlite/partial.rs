//! A database file that is not complete yet, and has another name until it is.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::{backup_report::BackupError, identity::beside};

/// The file. Dropped before it is complete, it is removed.
pub(super) struct Partial {
    pub(super) path: PathBuf,
    // Locked, and open until the end: to close it would release SQLite's locks on it.
    file: File,
    is_complete: bool,
}

impl Partial {
    /// Creates an empty file beside `target`, readable by its owner only. One that an interrupted command left is emptied.
    pub(super) fn create(target: &Path, suffix: &str) -> Result<Self, BackupError> {
        let path = beside(target, suffix);
        let failed = |error: io::Error| BackupError::Target { path: path.clone(), detail: error.to_string() };
        let mut options = OpenOptions::new();
        let file =
            options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => file.set_len(0).map_err(failed)?,
            Err(TryLockError::WouldBlock) => return Err(BackupError::InProgress { path }),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        remove_beside(&path);
        Ok(Self { path, file, is_complete: false })
    }

    /// Copies a file into it.
    pub(super) fn fill(&self, from: &Path) -> Result<(), BackupError> {
        let copy = || {
            io::copy(&mut File::open(from)?, &mut &self.file)?;
            self.file.sync_all()
        };
        copy().map_err(|error: io::Error| BackupError::Target { path: self.path.clone(), detail: error.to_string() })
    }

    /// Removes what SQLite and the store left beside it.
    pub(super) fn remove_beside(&self) {
        remove_beside(&self.path);
    }

    /// Gives it its name, which no other file may have.
    pub(super) fn finish(self, target: &Path) -> Result<(), BackupError> {
        self.rename(target, RenameFlags::NOREPLACE)
    }

    /// Gives it the name of another file, which loses it.
    pub(super) fn replace(self, target: &Path) -> Result<(), BackupError> {
        self.rename(target, RenameFlags::empty())
    }

    fn rename(mut self, target: &Path, flags: RenameFlags) -> Result<(), BackupError> {
        let failed = |error: io::Error| BackupError::Target { path: target.to_owned(), detail: error.to_string() };
        self.file.sync_all().map_err(failed)?;
        match renameat_with(CWD, &self.path, CWD, target, flags) {
            Ok(()) => self.is_complete = true,
            Err(rustix::io::Errno::EXIST) => return Err(BackupError::Exists { path: target.to_owned() }),
            Err(error) => return Err(failed(error.into())),
        }
        // So that a power cut does not lose the name.
        let directory = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(directory).and_then(|directory| directory.sync_all()).map_err(failed)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.is_complete {
            remove(&self.path);
            self.remove_beside();
        }
    }
}

/// Removes the files beside a closed database that belong to it alone.
pub(super) fn remove_beside(path: &Path) {
    for suffix in ["-wal", "-shm", "-watermark", "-journal"] {
        remove(&beside(path, suffix));
    }
}

fn remove(path: &Path) {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            log::warn!("{} cannot be removed: {error}", path.display());
        }
        _ => {}
    }
}
