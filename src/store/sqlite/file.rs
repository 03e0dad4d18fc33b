//! The database as a file: its one name, its creation, its identity, and the server's lock on it.
//!
//! Nothing here closes a descriptor of the database file itself once SQLite has it: that would drop every POSIX lock that
//! this process holds on it, SQLite's included.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io,
    mem::ManuallyDrop,
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use super::error::OpenError;
use crate::{domain::text::shell_word, store::StoreError};

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

/// The path of a file beside the database: `-wal`, `-shm`, `.lock`.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
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

const OTHERS: u32 = 0o007;
/// A group that reads may be one that makes backups.
const GROUP_WRITES: u32 = 0o020;

pub(super) fn inaccessible(path: &Path, error: &io::Error) -> OpenError {
    OpenError::Inaccessible { path: path.to_owned(), detail: error.to_string() }
}

/// Holds `<path>.lock`, so that one server at most has the database. The kernel releases it when the process dies.
///
/// The file stays when the lock is dropped: removing it would let two servers lock two files of that name.
#[derive(Debug)]
pub(super) struct ServerLock {
    path: PathBuf,
    id: FileId,
    _file: File,
}

impl ServerLock {
    pub(super) fn acquire(database: &Path) -> Result<Self, OpenError> {
        let path = beside(database, ".lock");
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&path)
            .map_err(|error| inaccessible(&path, &error))?;
        Self::lock(database, path, file)
    }

    /// The same for somebody who is no server and leaves no file: without one, there is no server either.
    pub(super) fn acquire_if_any(database: &Path) -> Result<Option<Self>, OpenError> {
        let path = beside(database, ".lock");
        match OpenOptions::new().append(true).open(&path) {
            Ok(file) => Self::lock(database, path, file).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(inaccessible(&path, &error)),
        }
    }

    fn lock(database: &Path, path: PathBuf, file: File) -> Result<Self, OpenError> {
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                return Err(OpenError::Served { path: database.to_owned() });
            }
            Err(fs::TryLockError::Error(error)) => return Err(inaccessible(&path, &error)),
        }
        let metadata = file.metadata().map_err(|error| inaccessible(&path, &error))?;
        Ok(Self { id: FileId::new(&metadata), path, _file: file })
    }

    /// Whether the lock still protects the database. Opening the lock file also shows a file system that has become
    /// read-only; its lock is of the open file, not of the process, so that closing it again releases nothing.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        let opened = OpenOptions::new().append(true).open(&self.path).and_then(|file| file.metadata());
        match opened {
            Ok(metadata) if FileId::new(&metadata) == self.id => Ok(()),
            Ok(_) => Err(StoreError::Unavailable("the lock file was replaced".to_owned())),
            Err(error) => Err(StoreError::Unavailable(format!("the lock file cannot be written: {error}"))),
        }
    }
}

/// The database file, for as long as the process lives: to close it would drop SQLite's locks.
pub(super) struct Database(ManuallyDrop<File>);

impl Database {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        File::open(path).map(|file| Self(ManuallyDrop::new(file)))
    }

    /// Brings to the disk what SQLite wrote into the file. A commit does not need it, since the log is there.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    pub(super) fn new(metadata: &fs::Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }

    pub(super) fn of(path: &Path) -> io::Result<Self> {
        fs::metadata(path).map(|metadata| Self::new(&metadata))
    }
}
