//! The watch over the files of an open database: whether they are still the ones that the connections have open.
//!
//! It goes by `stat` alone. To close a descriptor of the database file would drop SQLite's locks (see [`super::file`]).

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use crossbeam_channel::{RecvTimeoutError, Sender};

use super::file::{FileId, beside};
use crate::store::StoreError;

/// How long reads may still be answered after the file vanished.
const WATCH_INTERVAL: Duration = Duration::from_millis(50);

/// Knows which files the connections have open, and so whether they are still the ones of these names; and whether their
/// schema is still one that this program knows.
#[derive(Debug)]
pub(super) struct Watch {
    files: [(PathBuf, FileId); 3],
    /// What is wrong, a bit each.
    wrong: AtomicU8,
}

/// The database was deleted or replaced.
const LOST: u8 = 1;
/// A newer release stepped it up.
const NEWER: u8 = 2;

impl Watch {
    /// Remembers the database and its `-wal` and `-shm`, which exist while a connection has read from it.
    pub(super) fn new(database: &Path) -> io::Result<Self> {
        let remember = |path: PathBuf| FileId::of(&path).map(|id| (path, id));
        Ok(Self {
            files: [
                remember(database.to_owned())?,
                remember(beside(database, "-wal"))?,
                remember(beside(database, "-shm"))?,
            ],
            wrong: AtomicU8::new(0),
        })
    }

    /// Looks afresh.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        let changed = self.files.iter().find(|(path, id)| FileId::of(path).ok() != Some(*id));
        let before = match changed {
            Some(_) => self.wrong.fetch_or(LOST, Ordering::Relaxed),
            None => self.wrong.fetch_and(!LOST, Ordering::Relaxed),
        };
        let was_lost = before & LOST != 0;
        match changed {
            Some((path, _)) => {
                if !was_lost {
                    log::error!("store: {} was deleted or replaced: put it back, or restart", path.display());
                }
                Err(lost())
            }
            None => {
                if was_lost {
                    log::info!("store: the database file is back");
                }
                self.last_seen()
            }
        }
    }

    /// What the latest look found: an atomic load, cheap enough for every read.
    pub(super) fn last_seen(&self) -> Result<(), StoreError> {
        match self.wrong.load(Ordering::Relaxed) {
            0 => Ok(()),
            wrong if wrong & LOST != 0 => Err(lost()),
            _ => Err(StoreError::Unavailable("the database was stepped up by a newer release".to_owned())),
        }
    }

    /// From now on nothing is read or written: what this program knows of the schema is no longer true.
    pub(super) fn give_up(&self, found: i64, known: i64) {
        if self.wrong.fetch_or(NEWER, Ordering::Relaxed) & NEWER == 0 {
            log::error!(
                found, known;
                "store: a newer patd stepped up the schema of the database: start that release instead of this one"
            );
        }
    }

    /// Whether the mode still lets somebody write the file.
    pub(super) fn check_writable(&self) -> Result<(), StoreError> {
        let (path, _) = &self.files[0];
        match fs::metadata(path) {
            Ok(metadata) if !metadata.permissions().readonly() => Ok(()),
            Ok(_) => Err(StoreError::Unavailable("the database file is read-only".to_owned())),
            Err(error) => Err(StoreError::Unavailable(error.to_string())),
        }
    }
}

fn lost() -> StoreError {
    StoreError::Unavailable("the database file was deleted or replaced".to_owned())
}

/// The thread that looks after a [`Watch`] until this is dropped.
pub(super) struct Watcher {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watcher {
    pub(super) fn start(watch: Arc<Watch>) -> io::Result<Self> {
        let (stop, stopped) = crossbeam_channel::bounded::<()>(0);
        let thread = thread::Builder::new().name("patd-watch".into()).spawn(move || {
            while stopped.recv_timeout(WATCH_INTERVAL) == Err(RecvTimeoutError::Timeout) {
                // The finding is kept in the watch, for reads to see.
                drop(watch.check());
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
