//! Watches the files of an open database: whether they are still the files that the connections have open, whether only
//! SQLite changes them, and whether all writes reached the disk.
//!
//! It uses only `stat` and the `-shm` file. It must not open the database file, because closing a descriptor of it releases
//! SQLite's locks (see [`super::locks`]).
//!
//! Some faults last until the process ends. After them there is no checkpoint, not even on close, so that the next start
//! finds the whole log.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, SystemTime},
};

use crossbeam_channel::{RecvTimeoutError, Sender};
use rusqlite::{Connection, config::DbConfig};

use super::{
    health::Health,
    identity::{FileId, beside},
    log_index::{LogIndex, LogState},
};
use crate::store::StoreError;

/// How often the files are checked. Reads may still be answered for so long after the file was lost.
const WATCH_INTERVAL: Duration = Duration::from_millis(50);

/// Knows the files that the connections have open, and their current faults. A schema that is too new for this program is
/// such a fault, too.
#[derive(Debug)]
pub(super) struct Watch {
    files: [(PathBuf, FileId); 3],
    index: LogIndex,
    /// The state of the files at the latest check.
    seen: Mutex<Seen>,
    /// The current faults, one bit each.
    faults: AtomicU8,
}

/// A file was deleted or replaced, or cannot be accessed. It may come back.
const LOST: u8 = 1;
/// A newer release changed the schema of the database.
const NEWER: u8 = 2;
/// A program overwrote the database without SQLite, or truncated its log.
const OVERWRITTEN: u8 = 4;
/// A sync of the database file failed: it may lack pages that only the log has.
const UNSYNCED: u8 = 8;

#[derive(Clone, Copy, Debug)]
struct Seen {
    stamp: Stamp,
    log: LogState,
}

/// What changes with every write. The inode's change time would not do, because `chmod` changes it, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    size: u64,
    modified: Option<SystemTime>,
}

impl Stamp {
    fn new(metadata: &fs::Metadata) -> Self {
        Self { size: metadata.len(), modified: metadata.modified().ok() }
    }
}

impl Watch {
    /// Records which files the database, its `-wal` and its `-shm` are. A connection must have read from the database, so
    /// that they exist.
    pub(super) fn new(database: &Path) -> io::Result<Self> {
        let remember = |path: PathBuf| FileId::of(&path).map(|id| (path, id));
        let index = LogIndex::open(&beside(database, "-shm"))?;
        let log = index.read()?;
        Ok(Self {
            files: [
                remember(database.to_owned())?,
                remember(beside(database, "-wal"))?,
                remember(beside(database, "-shm"))?,
            ],
            index,
            seen: Mutex::new(Seen { stamp: Stamp::new(&fs::metadata(database)?), log }),
            faults: AtomicU8::new(0),
        })
    }

    /// The database file.
    pub(super) fn database(&self) -> &Path {
        &self.files[0].0
    }

    /// Checks the files now, before a read.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        match self.inspect_files() {
            Ok(()) => {
                if self.faults.fetch_and(!LOST, Ordering::SeqCst) & LOST != 0 {
                    log::info!("store: the files of the database are back");
                }
            }
            Err(found) if self.faults.fetch_or(found.bit, Ordering::SeqCst) & found.bit == 0 => {
                log::error!("store: {}", found.what);
            }
            Err(_) => {}
        }
        self.last_seen()
    }

    /// Checks the files now, before a write.
    pub(super) fn check_for_writing(&self) -> Result<(), StoreError> {
        self.check()?;
        self.expect_synced()
    }

    /// Checks the files now, before a checkpoint. If only the name of the log was deleted, the connections still have its
    /// content, and a checkpoint saves what was acknowledged.
    pub(super) fn check_for_checkpoint(&self) -> Result<(), StoreError> {
        match self.check() {
            Err(_) if self.has_lost_only_the_log() => self.expect_synced(),
            checked => checked.and_then(|()| self.expect_synced()),
        }
    }

    /// Whether nothing is wrong but that the log was deleted. A log of another process is not there either.
    pub(super) fn has_lost_only_the_log(&self) -> bool {
        let faults = self.faults.load(Ordering::SeqCst);
        if faults & LOST == 0 || faults & !(LOST | UNSYNCED) != 0 {
            return false;
        }
        let [database, (log, _), index] = &self.files;
        let is_in_place = |(path, id): &(PathBuf, FileId)| FileId::of(path).is_ok_and(|found| found == *id);
        let is_deleted = fs::symlink_metadata(log).is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
        is_in_place(database) && is_in_place(index) && is_deleted
    }

    fn expect_synced(&self) -> Result<(), StoreError> {
        match self.faults.load(Ordering::SeqCst) & UNSYNCED {
            0 => Ok(()),
            _ => Err(StoreError::Unavailable("a sync of the database file failed: restart".to_owned())),
        }
    }

    /// What the latest check found. It is one atomic load, so every read can afford it.
    pub(super) fn last_seen(&self) -> Result<(), StoreError> {
        let what = match self.faults.load(Ordering::Relaxed) & !UNSYNCED {
            0 => return Ok(()),
            faults if faults & OVERWRITTEN != 0 => "another program overwrote the database: restart",
            faults if faults & LOST != 0 => "a file of the database is missing, replaced or inaccessible",
            _ => "a newer release changed the schema of the database",
        };
        Err(StoreError::Unavailable(what.to_owned()))
    }

    /// Refuses all reads and writes from now on, because this program does not know the new schema.
    pub(super) fn stop_for_newer_schema(&self, found: i64, known: i64) {
        if self.faults.fetch_or(NEWER, Ordering::SeqCst) & NEWER == 0 {
            log::error!(
                found, known;
                "store: a newer patd changed the schema of the database: start that release instead of this one"
            );
        }
    }

    /// Refuses all writes from now on. The kernel reports lost pages only once, and the next sync succeeds without them. If
    /// the log restarted after that, the pages would be lost from the log, too.
    pub(super) fn stop_writing(&self, error: &dyn std::fmt::Display) {
        if self.faults.fetch_or(UNSYNCED, Ordering::SeqCst) & UNSYNCED == 0 {
            let [(database, _), (log, _), _] = &self.files;
            log::error!(
                "store: a sync of {} failed ({error}). Nothing more is written until a restart; checks go on. Repair the \
                 disk. Then stop every patd on this file and start it again: it copies the missing pages from {}, which \
                 must stay beside the file until then",
                database.display(),
                log.display()
            );
        }
    }

    /// Whether the log may be checkpointed into the file.
    pub(super) fn may_checkpoint(&self) -> bool {
        self.faults.load(Ordering::SeqCst) & (OVERWRITTEN | UNSYNCED) == 0
    }

    /// If a checkpoint is not allowed, makes the last connection leave the log as it is when it closes.
    pub(super) fn keep_log(&self, connection: &Connection) {
        if !self.may_checkpoint()
            && let Err(error) = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
        {
            log::error!("store: the log may be lost on close: {error}");
        }
    }

    fn inspect_files(&self) -> Result<(), FileFault> {
        // One check at a time, so that an older result does not replace a newer one.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        // Read the `-shm` before the files, because SQLite announces its changes there first.
        let index = self.index.read();
        let mut sizes = [0; 3];
        let mut stamp = None;
        for ((path, id), size) in self.files.iter().zip(&mut sizes) {
            let metadata = fs::metadata(path).map_err(|error| FileFault::inaccessible(path, &error))?;
            if FileId::new(&metadata) != *id {
                return Err(FileFault::lost(format!("{} was replaced: put it back, or restart", path.display())));
            }
            *size = metadata.len();
            stamp.get_or_insert(Stamp::new(&metadata));
        }
        match (index, stamp) {
            (Ok(log), Some(stamp)) => self.compare(&mut seen, Seen { stamp, log }, sizes[1]),
            // Every transaction reports an unreadable `-shm`.
            _ => Ok(()),
        }
    }

    /// SQLite notes in the `-shm` that a checkpoint runs before it writes the database file, and that it has ended after
    /// that.
    fn compare(&self, seen: &mut Seen, now: Seen, log_size: u64) -> Result<(), FileFault> {
        let still = || self.index.read().is_ok_and(|log| log == now.log);
        if now.stamp != seen.stamp && now.log == seen.log && !now.log.is_checkpointing() {
            return if still() { Err(self.overwritten(now.stamp)) } else { Ok(()) };
        }
        if log_size < now.log.log_size() && still() {
            return Err(self.truncated());
        }
        *seen = now;
        Ok(())
    }

    fn overwritten(&self, stamp: Stamp) -> FileFault {
        let what = format!(
            "another program overwrote {} ({} bytes now) under the running server. Nothing is read or written until a \
             restart. Stop the server, put the right file in its place, and start it again",
            self.database().display(),
            stamp.size
        );
        FileFault { bit: OVERWRITTEN, what }
    }

    fn truncated(&self) -> FileFault {
        let what = format!(
            "another program truncated {} under the running server; its latest changes are lost. Nothing is read or \
             written until a restart. Stop the server, restore a backup, and start it again",
            self.files[1].0.display()
        );
        FileFault { bit: OVERWRITTEN, what }
    }
}

/// A fault that a check found.
struct FileFault {
    bit: u8,
    what: String,
}

impl FileFault {
    fn lost(what: String) -> Self {
        Self { bit: LOST, what }
    }

    fn inaccessible(path: &Path, error: &io::Error) -> Self {
        let path = path.display();
        Self::lost(match error.kind() {
            io::ErrorKind::NotFound => format!("{path} was deleted: put it back, or restart"),
            _ => format!("{path} cannot be accessed ({error}): let patd enter its directory"),
        })
    }
}

/// The thread that runs the checks of a [`Watch`] and a [`Health`] until this is dropped.
pub(super) struct Watcher {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watcher {
    pub(super) fn start(watch: Arc<Watch>, health: Arc<Health>) -> io::Result<Self> {
        let (stop, stopped) = crossbeam_channel::bounded::<()>(0);
        let thread = thread::Builder::new().name("patd-watch".into()).spawn(move || {
            while stopped.recv_timeout(WATCH_INTERVAL) == Err(RecvTimeoutError::Timeout) {
                // The watch keeps the result, and reads see it.
                drop(watch.check());
                health.expire();
            }
        })?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}
