//! The temporary directory of `patd dev`: removed at the end, or by the next start if this process is killed.
//!
//! A running instance holds a lock on the file `lock` in its directory. The kernel releases it when the process dies,
//! however that happens, so a directory whose lock is free is no longer in use.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use tempfile::TempDir;

const PREFIX: &str = "patd-dev-";
const LOCK: &str = "lock";

/// A directory without a lock may belong to an instance that is starting, but not if it is older than this.
const MAX_START_TIME: Duration = Duration::from_secs(60);

/// A private directory. Dropping this removes it with its content.
pub(super) struct Directory {
    directory: TempDir,
    _lock: File,
}

impl Directory {
    /// Creates a directory and locks it.
    pub(super) fn create() -> io::Result<Self> {
        let directory = tempfile::Builder::new().prefix(PREFIX).tempdir()?;
        // Locked before it gets its name, so that other instances never see it unlocked.
        let unnamed = directory.path().join("lock.new");
        let lock = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unnamed)?;
        lock.try_lock()?;
        fs::rename(&unnamed, directory.path().join(LOCK))?;
        Ok(Self { directory, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Removes the directory.
    pub(super) fn remove(self) -> io::Result<()> {
        self.directory.close()
    }

    /// Removes the directories of instances that were killed. Errors are only logged: the next start tries again.
    pub(super) fn remove_abandoned(&self) {
        let Some(parent) = self.path().parent() else { return };
        let Ok(entries) = fs::read_dir(parent) else { return };
        for entry in entries.flatten() {
            if entry.file_name().to_string_lossy().starts_with(PREFIX)
                && let Err(error) = self.remove_if_abandoned(&entry.path())
            {
                log::debug!("{} was not removed: {error}", entry.path().display());
            }
        }
    }

    fn remove_if_abandoned(&self, path: &Path) -> io::Result<()> {
        let metadata = fs::symlink_metadata(path)?;
        // Other users can create such a name in a shared directory for temporary files.
        if !metadata.is_dir() || metadata.uid() != fs::metadata(self.path())?.uid() {
            return Ok(());
        }
        match lock_of(path) {
            Ok(lock) => match lock.try_lock() {
                Ok(()) => fs::remove_dir_all(path),
                Err(fs::TryLockError::WouldBlock) => Ok(()),
                Err(fs::TryLockError::Error(error)) => Err(error),
            },
            // The instance was killed before it had a lock, so it has no database. This removes only empty directories.
            Err(error) if error.kind() == io::ErrorKind::NotFound && is_old(&metadata) => remove_unlocked(path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn lock_of(path: &Path) -> io::Result<File> {
    let lock: PathBuf = path.join(LOCK);
    match fs::symlink_metadata(&lock)?.is_file() {
        true => OpenOptions::new().write(true).open(lock),
        false => Err(io::Error::other("its lock is not a regular file")),
    }
}

fn is_old(metadata: &fs::Metadata) -> bool {
    let age = metadata.modified().ok().and_then(|at| at.elapsed().ok());
    age.is_some_and(|age| age > MAX_START_TIME)
}

fn remove_unlocked(path: &Path) -> io::Result<()> {
    match fs::remove_file(path.join("lock.new")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => fs::remove_dir(path),
    }
}
