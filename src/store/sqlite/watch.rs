//! The watch over the files of an open database: whether they are still the files that the connections have open,
//! whether only SQLite changes them, and whether what was written into them reached the disk.
//!
//! It goes by `stat` and by the `-shm` file alone. To close a descriptor of the database file would drop SQLite's locks
//! (see [`super::file`]).
//!
//! What goes wrong for good stays so until the process ends: then nothing is folded into the file any more, not even
//! when it is closed, so that the next start finds the whole log.

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

/// How long reads may still be answered after the file vanished.
const WATCH_INTERVAL: Duration = Duration::from_millis(50);

/// Knows which files the connections have open, and what must be true of them; and whether their schema is still one that
/// this program knows.
#[derive(Debug)]
pub(super) struct Watch {
    files: [(PathBuf, FileId); 3],
    index: LogIndex,
    /// The database file as it was last seen.
    seen: Mutex<Seen>,
    /// What is wrong, a bit each.
    wrong: AtomicU8,
}

/// A file was deleted or replaced, or cannot be looked at. It may come back.
const LOST: u8 = 1;
/// A newer release changed the schema of the database.
const NEWER: u8 = 2;
/// Another program than SQLite wrote the database or cut its log short.
const OVERWRITTEN: u8 = 4;
/// The disk did not take what was written into the database file: the file may lack pages that only the log still has.
const UNSYNCED: u8 = 8;

#[derive(Clone, Copy, Debug)]
struct Seen {
    stamp: Stamp,
    log: LogState,
}

/// What changes with every write. Not the time of the last change of the inode, which `chmod` moves as well.
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
    /// Remembers the database and its `-wal` and `-shm`, which exist while a connection has read from it.
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
            wrong: AtomicU8::new(0),
        })
    }

    /// The database file.
    pub(super) fn database(&self) -> &Path {
        &self.files[0].0
    }

    /// Looks afresh, for somebody who reads.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        match self.look() {
            Ok(()) => {
                if self.wrong.fetch_and(!LOST, Ordering::SeqCst) & LOST != 0 {
                    log::info!("store: the files of the database are back");
                }
            }
            Err(found) if self.wrong.fetch_or(found.bit, Ordering::SeqCst) & found.bit == 0 => {
                log::error!("store: {}", found.what);
            }
            Err(_) => {}
        }
        self.last_seen()
    }

    /// Looks afresh, for somebody who writes.
    pub(super) fn check_for_writing(&self) -> Result<(), StoreError> {
        self.check()?;
        match self.wrong.load(Ordering::SeqCst) & UNSYNCED {
            0 => Ok(()),
            _ => Err(StoreError::Unavailable("the disk failed to take the database file: restart".to_owned())),
        }
    }

    /// What the latest look found: an atomic load, cheap enough for every read.
    pub(super) fn last_seen(&self) -> Result<(), StoreError> {
        let what = match self.wrong.load(Ordering::Relaxed) & !UNSYNCED {
            0 => return Ok(()),
            wrong if wrong & OVERWRITTEN != 0 => "another program overwrote the database: restart",
            wrong if wrong & LOST != 0 => "a file of the database is not there as it was",
            _ => "a newer release changed the schema of the database",
        };
        Err(StoreError::Unavailable(what.to_owned()))
    }

    /// From now on nothing is read or written: what this program knows of the schema is no longer true.
    pub(super) fn give_up(&self, found: i64, known: i64) {
        if self.wrong.fetch_or(NEWER, Ordering::SeqCst) & NEWER == 0 {
            log::error!(
                found, known;
                "store: a newer patd changed the schema of the database: start that release instead of this one"
            );
        }
    }

    /// From now on nothing is written. The kernel reports lost pages once, and the next sync succeeds without them; a log
    /// that began anew after that would have lost them, too.
    pub(super) fn stop_writing(&self, error: &dyn std::fmt::Display) {
        if self.wrong.fetch_or(UNSYNCED, Ordering::SeqCst) & UNSYNCED == 0 {
            let [(database, _), (log, _), _] = &self.files;
            log::error!(
                "store: the disk failed to take what was written into {} ({error}). Nothing more is written until a \
                 restart, and checks go on. Look after the disk; then stop every patd on this file and start it again: it \
                 brings what is missing from {}, which must stay beside the file until then",
                database.display(),
                log.display()
            );
        }
    }

    /// Whether the log may be folded into the file.
    pub(super) fn may_checkpoint(&self) -> bool {
        self.wrong.load(Ordering::SeqCst) & (OVERWRITTEN | UNSYNCED) == 0
    }

    /// Keeps the last connection from folding the log as it closes, and from deleting it, where that is not allowed.
    pub(super) fn keep_log(&self, connection: &Connection) {
        if !self.may_checkpoint()
            && let Err(error) = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
        {
            log::error!("store: the log may be lost at the end: {error}");
        }
    }

    fn look(&self) -> Result<(), Found> {
        // One look at a time, so that an older one does not overtake a newer one.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        // Before the files: what it promises of them is true of them by then.
        let index = self.index.read();
        let mut sizes = [0; 3];
        let mut stamp = None;
        for ((path, id), size) in self.files.iter().zip(&mut sizes) {
            let metadata = fs::metadata(path).map_err(|error| Found::unseen(path, &error))?;
            if FileId::new(&metadata) != *id {
                return Err(Found::lost(format!("{} was replaced: put it back, or restart", path.display())));
            }
            *size = metadata.len();
            stamp.get_or_insert(Stamp::new(&metadata));
        }
        match (index, stamp) {
            (Ok(log), Some(stamp)) => self.compare(&mut seen, Seen { stamp, log }, sizes[1]),
            // What is wrong with it shows in every transaction.
            _ => Ok(()),
        }
    }

    /// SQLite says in the `-shm` that it folds before it writes the database file, and that it is done after that.
    fn compare(&self, seen: &mut Seen, now: Seen, log_size: u64) -> Result<(), Found> {
        let still = || self.index.read().is_ok_and(|log| log == now.log);
        if now.stamp != seen.stamp && now.log == seen.log && !now.log.is_checkpointing() {
            return if still() { Err(self.overwritten(now.stamp)) } else { Ok(()) };
        }
        if log_size < now.log.log_size() && still() {
            return Err(self.cut_short());
        }
        *seen = now;
        Ok(())
    }

    fn overwritten(&self, stamp: Stamp) -> Found {
        let what = format!(
            "another program overwrote {} ({} bytes now) under the running server. Nothing is read or written until a \
             restart. Stop the server, put the right file in its place, and start it again",
            self.database().display(),
            stamp.size
        );
        Found { bit: OVERWRITTEN, what }
    }

    fn cut_short(&self) -> Found {
        let what = format!(
            "another program cut {} short under the running server; its latest changes are lost. Nothing is read or \
             written until a restart. Stop the server, restore a backup, and start it again",
            self.files[1].0.display()
        );
        Found { bit: OVERWRITTEN, what }
    }
}

/// What a look found to be wrong.
struct Found {
    bit: u8,
    what: String,
}

impl Found {
    fn lost(what: String) -> Self {
        Self { bit: LOST, what }
    }

    fn unseen(path: &Path, error: &io::Error) -> Self {
        let path = path.display();
        Self::lost(match error.kind() {
            io::ErrorKind::NotFound => format!("{path} was deleted: put it back, or restart"),
            _ => format!("{path} cannot be looked at ({error}): see that patd may enter its directory"),
        })
    }
}

/// The thread that looks after a [`Watch`] and a [`Health`] until this is dropped.
pub(super) struct Watcher {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watcher {
    pub(super) fn start(watch: Arc<Watch>, health: Arc<Health>) -> io::Result<Self> {
        let (stop, stopped) = crossbeam_channel::bounded::<()>(0);
        let thread = thread::Builder::new().name("patd-watch".into()).spawn(move || {
            while stopped.recv_timeout(WATCH_INTERVAL) == Err(RecvTimeoutError::Timeout) {
                // The finding is kept in the watch, for reads to see.
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
