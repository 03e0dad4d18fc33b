//! The database as a file: its canonical path, its creation, and warnings about it. [`super::locks`] opens and locks it.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use super::{
    diagnosis::{inaccessible, reason},
    open_error::OpenError,
};
use crate::domain::text::shell_word;

/// The absolute path of the file with all symbolic links resolved, so that every spelling leads to the same lock.
pub(super) fn canonical(path: &Path) -> Result<PathBuf, OpenError> {
    let resolve = || match fs::canonicalize(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let name = path.file_name().ok_or(error)?;
            let directory = match path.parent() {
                Some(parent) if !parent.as_os_str().is_empty() => parent,
                _ => Path::new("."),
            };
            Ok(fs::canonicalize(directory)?.join(name))
        }
        result => result,
    };
    resolve().map_err(|error| inaccessible(path, &error))
}

/// Creates an empty file that only its owner may read. SQLite would create one with the mode of the umask. It gives the
/// same mode to `-wal` and `-shm`.
pub(super) fn create_private(path: &Path) -> Result<(), OpenError> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        // Another process was faster. The file is inspected when it is opened.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(inaccessible(path, &error)),
        Ok(file) => file.sync_all().map_err(|error| unsynced(path, &error)).and_then(|()| sync_directory(path)),
    }
}

/// Syncs the directory of a file that is still empty. Without this, a power cut could lose the name, and with it every
/// acknowledged change. The process that created the file may have failed or ended before it did this.
pub(super) fn sync_directory(path: &Path) -> Result<(), OpenError> {
    let Some(directory) = path.parent() else { return Ok(()) };
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(|error| unsynced(path, &error))
}

fn unsynced(path: &Path, error: &io::Error) -> OpenError {
    let detail = format!("the disk did not confirm that the file exists (fsync): {}", reason(error));
    OpenError::Inaccessible { path: path.to_owned(), detail }
}

/// The mode of the file, if other users of this machine may read or write it.
pub(super) fn exposed_mode(path: &Path) -> Option<u32> {
    let mode = fs::metadata(path).ok()?.permissions().mode() & 0o777;
    (mode & (OTHERS | GROUP_WRITES) != 0).then_some(mode)
}

/// Warns if other users of this machine may read or write the database. Not an error, because the owner may intend it.
pub(super) fn warn_if_exposed(path: &Path) {
    if let Some(mode) = exposed_mode(path) {
        let word = shell_word(&path.to_string_lossy());
        log::warn!(
            "store: {} is open to other users of this machine (mode {mode:04o}), with all e-mail addresses and \
             password hashes: chmod 600 {word}*",
            path.display()
        );
    }
}

/// Warns if the file has several names. The locks hold for all of them, but after a crash the log is beside one of them.
pub(super) fn warn_if_many_names(path: &Path) {
    let names = fs::metadata(path).map_or(1, |metadata| metadata.nlink());
    if names > 1 {
        log::warn!(
            names;
            "store: {} has other names (hard links): SQLite keeps the log beside the name that is used, so use the same \
             name after a crash",
            path.display()
        );
    }
}

const OTHERS: u32 = 0o007;
/// Not `GROUP_READS`: a group that makes backups may read.
const GROUP_WRITES: u32 = 0o020;
