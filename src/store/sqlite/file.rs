//! The database as a file: its canonical path, its creation, and warnings about it. [`super::locks`] opens and locks it.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use super::{diagnosis::inaccessible, open_error::OpenError};
use crate::domain::text::shell_word;

/// The one absolute path of the file, symbolic links resolved, so that every spelling of it meets the same lock.
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

/// Makes an empty file that only its owner may read, before SQLite would make one with the umask's mode. SQLite gives
/// the same mode to `-wal` and `-shm`.
pub(super) fn create_private(path: &Path) -> Result<(), OpenError> {
    let create = || {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.sync_all()?;
        // Without this a power cut could forget the name, and with it every change that was acknowledged.
        match path.parent() {
            Some(directory) => File::open(directory)?.sync_all(),
            None => Ok(()),
        }
    };
    match create() {
        // Another process was faster; what it makes of the file is seen when it is opened.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        result => result.map_err(|error| inaccessible(path, &error)),
    }
}

/// Says so where others on this machine may read or write the database. Its mode is its owner's to choose: it may be meant.
pub(super) fn warn_if_exposed(path: &Path) {
    let Ok(metadata) = fs::metadata(path) else { return };
    let mode = metadata.permissions().mode() & 0o777;
    if mode & (OTHERS | GROUP_WRITES) != 0 {
        let word = shell_word(&path.to_string_lossy());
        log::warn!(
            "store: {} is open to other users of this machine (mode {mode:04o}), with the addresses and the password \
             hashes of all: chmod 600 {word}*",
            path.display()
        );
    }
}

/// Says so where the file has several names. The locks hold for all of them, but a crash leaves the log beside one.
pub(super) fn warn_if_many_names(path: &Path) {
    let names = fs::metadata(path).map_or(1, |metadata| metadata.nlink());
    if names > 1 {
        log::warn!(
            names;
            "store: {} has other names (hard links): SQLite keeps the log beside the name that is used, so after a crash use \
             the same one again",
            path.display()
        );
    }
}

const OTHERS: u32 = 0o007;
/// A group that reads may be one that makes backups.
const GROUP_WRITES: u32 = 0o020;
