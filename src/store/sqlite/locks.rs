//! Who has the database open: locks on the database file itself.
//!
//! A lock on a file belongs to its inode. So it holds for every name of the file: a symbolic link, a hard link, a bind
//! mount, another path in a container. It needs no separate file that somebody could delete. The kernel releases it when
//! the process dies.
//!
//! SQLite locks bytes of the same file with POSIX locks, from 1 GiB on ([`SQLITE_BYTES`]). These belong to the process, and
//! closing any descriptor of the file releases them all. The locks here are of another kind and on other bytes: they belong
//! to the open file (`F_OFD_SETLK`), and closing another descriptor does not release them. The descriptor here must stay
//! open while the process lives, because closing it would release SQLite's locks.
//!
//! Three ranges of bytes are locked:
//!
//! - `OPENING`, by a process while it opens the database: it inspects the files, accepts or refuses the log, and creates
//!   or upgrades the schema. So no two processes do that at the same time.
//! - `SERVING`, by the server.
//! - One byte of `NAMES`, shared, by each process that has the database open. The directory and the name of the file decide
//!   which byte. SQLite finds the log by that name, so two processes that used two names would write two logs for one file.
//!   The second process is refused.
//!
//! Not covered: file systems without such locks (opening the database fails there), NFS between machines (SQLite's own
//! shared memory does not work there either), and a release before schema 7, which locks a file `.lock` beside the
//! database. [`OlderServerLock`] takes that lock, too, until the schema is upgraded. After that, such a release refuses the
//! file.

use std::{
    fs::{self, File, OpenOptions},
    io,
    mem::ManuallyDrop,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use super::{
    byte_locks::{self, Bytes},
    diagnosis::inaccessible,
    identity::{FileId, beside},
    open_error::OpenError,
};

/// How long a process waits while another one opens the database. Only an upgrade of a large database takes longer.
pub(super) const OPENING_TIMEOUT: Duration = Duration::from_secs(10);
/// How often it tries again.
const RETRY_INTERVAL: Duration = Duration::from_millis(2);

/// Whether other processes have the database open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sharing {
    /// No other process.
    Alone,
    /// Others do, by the same name. One of them has accepted the log.
    Shared,
}

/// The database file, open for as long as the process lives: to close it would release SQLite's locks. Dropping this
/// releases the locks that are taken here.
#[derive(Debug)]
pub(super) struct Database {
    path: PathBuf,
    file: ManuallyDrop<File>,
    id: FileId,
}

impl Database {
    /// Opens the file, which must exist.
    pub(super) fn open(path: &Path) -> Result<Self, OpenError> {
        let open = || {
            let file = OpenOptions::new().read(true).write(true).open(path)?;
            Ok((FileId::new(&file.metadata()?), file))
        };
        let (id, file) = open().map_err(|error| inaccessible(path, &error))?;
        Ok(Self { path: path.to_owned(), file: ManuallyDrop::new(file), id })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Syncs the file. A commit does not need this, because it syncs the log.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Fills the buffer from that offset of the file. Fails with [`io::ErrorKind::UnexpectedEof`] if the file ends before.
    pub(super) fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, at)
    }

    /// How many bytes it has.
    pub(super) fn size(&self) -> io::Result<u64> {
        self.file.metadata().map(|metadata| metadata.len())
    }

    /// Whether the path still leads to this file.
    pub(super) fn is_in_place(&self) -> bool {
        FileId::of(&self.path).ok() == Some(self.id)
    }

    /// Takes the lock of the server. Fails with [`OpenError::Served`].
    pub(super) fn serve(&self) -> Result<(), OpenError> {
        match byte_locks::lock(&self.file, SERVING) {
            Ok(true) => Ok(()),
            Ok(false) => Err(OpenError::Served { path: self.path.clone() }),
            Err(error) => Err(self.unlockable(&error)),
        }
    }

    /// Whether another process, or another opening in this one, is the server.
    pub(super) fn is_served_by_another(&self) -> io::Result<bool> {
        byte_locks::is_locked_by_another(&self.file, SERVING)
    }

    /// Whether other processes have the database open. `false` if the locks cannot be read.
    pub(super) fn is_open_elsewhere(&self) -> bool {
        byte_locks::is_locked_by_another(&self.file, NAMES).unwrap_or(false)
    }

    /// Waits until no other process is opening the database. Others cannot begin until the result is dropped. Fails with
    /// [`OpenError::Opening`].
    pub(super) fn begin_opening(&self, timeout: Duration) -> Result<Opening<'_>, OpenError> {
        let start = Instant::now();
        loop {
            match byte_locks::lock(&self.file, OPENING) {
                Ok(true) => return Ok(Opening(self)),
                Ok(false) if start.elapsed() < timeout => thread::sleep(RETRY_INTERVAL),
                Ok(false) => return Err(OpenError::Opening { path: self.path.clone() }),
                Err(error) => return Err(self.unlockable(&error)),
            }
        }
    }

    fn unlockable(&self, error: &io::Error) -> OpenError {
        let detail = format!("it cannot be locked: {error}");
        OpenError::Inaccessible { path: self.path.clone(), detail }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Err(error) = byte_locks::unlock(&self.file, ALL) {
            log::error!("store: the locks on {} cannot be released: {error}", self.path.display());
        }
    }
}

/// An opening under way.
pub(super) struct Opening<'d>(&'d Database);

impl Opening<'_> {
    /// Registers this process as one that has the database open, and returns whether others do. Fails with
    /// [`OpenError::OtherName`].
    pub(super) fn join(&self) -> Result<Sharing, OpenError> {
        let database = self.0;
        let own = NAMES.start + name(&database.path).map_err(|error| inaccessible(&database.path, &error))?;
        let join = || {
            let before = Bytes { start: NAMES.start, end: own };
            let behind = Bytes { start: own + 1, end: NAMES.end };
            let is_locked = |bytes| byte_locks::is_locked_by_another(&database.file, bytes);
            let by_other_name = is_locked(before)? || is_locked(behind)?;
            let sharing = if is_locked(NAMES)? { Sharing::Shared } else { Sharing::Alone };
            byte_locks::lock_shared(&database.file, Bytes { start: own, end: own + 1 })?;
            Ok((by_other_name, sharing))
        };
        match join().map_err(|error| database.unlockable(&error))? {
            (true, _) => Err(OpenError::OtherName { path: database.path.clone() }),
            (false, sharing) => Ok(sharing),
        }
    }
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        if let Err(error) = byte_locks::unlock(&self.0.file, OPENING) {
            log::error!("store: the lock on {} cannot be released: {error}", self.0.path.display());
        }
    }
}

/// A hash of the directory and the file name, below [`COUNT_OF_NAMES`].
fn name(path: &Path) -> io::Result<i64> {
    let directory = FileId::of(path.parent().unwrap_or(Path::new("/")))?;
    let mut hasher = blake3::Hasher::new();
    hasher.update(&directory.device.to_le_bytes());
    hasher.update(&directory.inode.to_le_bytes());
    hasher.update(path.file_name().unwrap_or_default().as_encoded_bytes());
    let mut number = [0; 8];
    hasher.finalize_xof().fill(&mut number);
    Ok(i64::from_le_bytes(number).rem_euclid(COUNT_OF_NAMES))
}

/// The bytes that SQLite locks.
const SQLITE_BYTES: Bytes = Bytes { start: 0x4000_0000, end: 0x4000_0200 };
/// Well behind SQLite's bytes and below 2 GiB, which every system can lock.
const OPENING: Bytes = Bytes { start: SQLITE_BYTES.end + 0x1000, end: SQLITE_BYTES.end + 0x1001 };
const SERVING: Bytes = Bytes { start: OPENING.end, end: OPENING.end + 1 };
const COUNT_OF_NAMES: i64 = 1 << 29;
const NAMES: Bytes = Bytes { start: SERVING.end, end: SERVING.end + COUNT_OF_NAMES };
const ALL: Bytes = Bytes { start: OPENING.start, end: NAMES.end };

/// The lock that releases before schema 7 take for a server: on the file `.lock` beside the database.
pub(super) struct OlderServerLock {
    path: PathBuf,
    _file: File,
}

impl OlderServerLock {
    /// Takes the lock if there is such a file. Fails with [`OpenError::Served`].
    pub(super) fn take(database: &Path) -> Result<Option<Self>, OpenError> {
        let path = beside(database, ".lock");
        let file = match OpenOptions::new().append(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(inaccessible(&path, &error)),
        };
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { path, _file: file })),
            Err(fs::TryLockError::WouldBlock) => Err(OpenError::Served { path: database.to_owned() }),
            Err(fs::TryLockError::Error(error)) => Err(inaccessible(&path, &error)),
        }
    }

    /// Removes the file. After the upgrade of the schema no release needs it.
    pub(super) fn remove(self) {
        if let Err(error) = fs::remove_file(&self.path) {
            log::debug!("store: {} cannot be removed: {error}", self.path.display());
        }
    }
}
