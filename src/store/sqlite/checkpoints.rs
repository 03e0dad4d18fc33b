//! Checkpoints: how the write-ahead log gets into the file, and stays short.
//!
//! A thread with a connection of its own folds the log while the writer goes on. It folds passively: that waits for
//! nobody, and it leaves `PRAGMA data_version` on the writer's connection alone, so that it voids nothing that is
//! remembered of the database. (A checkpoint that truncates the log would.)
//!
//! Under a steady load such a thread is never quite done, and only a log that is folded to its last page can start anew.
//! So when little is left, the writer folds the rest itself, between two commits and after it has answered the first.
//! SQLite brings the file to the disk only when nothing is left, which would make the writer wait for all that the thread
//! had folded; so the thread does that beforehand, and leaves the writer little of it, too.
//! What grows in spite of that, because somebody reads for a long time or the disk is slow, stops at
//! [`CheckpointThresholds::bound`]: there the writer makes room, and lets a reader hinder it no longer than [`PATIENCE`].
//!
//! At the end, the writer checkpoints the whole log and truncates it ([`Wal::close`]), so that the file alone is the whole
//! database. SQLite does that only when the last connection of all is closed. Which one is the last is a matter of chance:
//! the connections of the pools are closed by other threads, and a process may end before they are.
//!
//! # When the disk fails
//!
//! The kernel reports pages that it could not write once, to the next `fsync`, and then takes them for written: the
//! `fsync` after that succeeds without them.
//!
//! *Of the database file* such pages are lost unless they are folded again from the log. So after the first failed sync
//! ([`Watch::stop_writing`]) nothing is folded any more, also not at the end, and nothing is written, since a commit could
//! begin the log anew. The next start finds a log with everything since the last complete fold, and folds all of it
//! ([`LogBinder::draw_first_nonce`]): SQLite forgets how much of a log was folded when the last process that had it open ends.
//!
//! A fold that fails in a *write* loses nothing, since the kernel refused what SQLite will offer again. That is how a
//! full disk heals.
//!
//! *Of the log* a failed sync, at a commit, loses no commit that was acknowledged. Those before it were synced; this one
//! is answered 503; and the next one is written over it, from the end of the last acknowledged one, so that its own sync
//! finds all of its pages to be written. Only after a crash does SQLite read the failed commit from the kernel's memory
//! as if it were on the disk, and a commit that is added behind it would be lost with it at a power cut. So nothing is
//! acknowledged before all of the log of an earlier process is in the file and synced ([`LogBinder::draw_first_nonce`] again).

use std::{
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use crossbeam_channel::{Receiver, Sender};
use rusqlite::Connection;

use super::{
    binding::binder::LogBinder,
    checkpoint::{CheckpointResult, PASSIVE, PATIENCE, RESTART, checkpoint},
    locks::Database,
    log_length,
    watch::Watch,
};
use crate::priority::lower_priority;

/// Nobody waits for it as long as the log is short.
const NICE: i32 = 15;

/// After the first, which folds nearly all, one that folds what came while that was brought to the disk, and one more.
const PASSES: usize = 3;

/// Lengths of the log in pages of 4 KiB.
#[derive(Clone, Copy, Debug)]
pub(super) struct CheckpointThresholds {
    /// From here on the thread folds.
    pub(super) fold: u32,
    /// What the writer may be left to fold.
    pub(super) rest: u32,
    /// From here on the writer makes room before anything else.
    pub(super) bound: u32,
}

impl Default for CheckpointThresholds {
    fn default() -> Self {
        Self { fold: 2048, rest: 512, bound: 16 * 1024 }
    }
}

/// The log as the writer sees it. Dropping it ends the thread, so that the writer's connection can be the last to close.
pub(super) struct Wal {
    limits: CheckpointThresholds,
    busy_timeout: Duration,
    files: Files,
    wanted: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
    /// The length at which the thread is woken next; it moves up while the log cannot start anew.
    fold_at: u32,
    /// The same for the writer's own effort.
    bound_at: u32,
}

/// What the log belongs to, and what is known of it.
#[derive(Clone)]
pub(super) struct Files {
    pub(super) database: Arc<Database>,
    pub(super) watch: Arc<Watch>,
}

#[derive(Default)]
struct Shared {
    /// Held by whoever folds.
    folding: Mutex<()>,
    /// How much of the log the thread has folded, where so little is left that the writer is to fold it; else zero.
    nearly_all: AtomicU32,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, ()> {
        self.folding.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wal {
    /// Starts the thread, which folds with `connection`. `busy_timeout` is the writer's own.
    pub(super) fn start(
        connection: Connection,
        files: Files,
        busy_timeout: Duration,
        limits: CheckpointThresholds,
    ) -> io::Result<Self> {
        let (wanted, wishes) = crossbeam_channel::bounded(1);
        let shared = Arc::new(Shared::default());
        let thread = thread::Builder::new().name("patd-checkpoint".into()).spawn({
            let folder = Folder { connection, files: files.clone(), shared: Arc::clone(&shared) };
            move || {
                lower_priority(NICE);
                folder.run(&wishes, limits);
            }
        })?;
        Ok(Self {
            limits,
            busy_timeout,
            files,
            wanted: Some(wanted),
            thread: Some(thread),
            shared,
            fold_at: limits.fold,
            bound_at: limits.bound,
        })
    }

    /// Does what the length of the log asks for. Called by the writer between two transactions.
    pub(super) fn keep_short(&mut self, connection: &Connection) {
        let length = log_length::get();
        if !self.files.watch.may_checkpoint() {
            // The log stays as it is.
        } else if length < self.limits.fold {
            // It began anew, and what was said of it before is void.
            (self.fold_at, self.bound_at) = (self.limits.fold, self.limits.bound);
            self.shared.nearly_all.store(0, Ordering::Relaxed);
        } else if length >= self.bound_at {
            self.make_room(connection, length);
        } else if self.fold_rest(connection, length) {
            // Unless more came or a reader is in its way, the next commit begins the log anew.
        } else if length >= self.fold_at
            && let Some(wanted) = &self.wanted
            && wanted.try_send(()).is_ok()
        {
            self.fold_at = length + self.limits.rest;
        }
    }

    /// Has the log folded however short it is: on a full disk, a log that begins anew needs no room.
    pub(super) fn fold_soon(&self) {
        if let Some(wanted) = &self.wanted {
            // If a wish is waiting already, it is this one.
            let _ = wanted.try_send(());
        }
    }

    /// Folds the rest where the thread left little of it; answers whether it did.
    fn fold_rest(&self, connection: &Connection, length: u32) -> bool {
        if self.shared.nearly_all.load(Ordering::Relaxed) == 0 {
            return false;
        }
        // If the thread is at it again, it will say so again.
        let Ok(_turn) = self.shared.folding.try_lock() else { return false };
        let folded = self.shared.nearly_all.swap(0, Ordering::Relaxed);
        // Twice as much as the thread left, for what came since.
        if length.saturating_sub(folded) > 2 * self.limits.rest {
            return false;
        }
        if let Err(error) = checkpoint(connection, PASSIVE, &self.files.watch) {
            log::warn!("store: the log could not be folded into the file: {error}");
        }
        true
    }

    fn make_room(&mut self, connection: &Connection, length: u32) {
        let _turn = self.shared.lock();
        self.shared.nearly_all.store(0, Ordering::Relaxed);
        let waits = connection.busy_timeout(PATIENCE).map_err(|error| error.to_string());
        let restarted = waits.and_then(|()| checkpoint(connection, RESTART, &self.files.watch));
        if let Err(error) = connection.busy_timeout(self.busy_timeout) {
            log::error!("store: {error}");
        }
        self.bound_at = match restarted {
            Ok(CheckpointResult { busy: false, .. }) => {
                log_length::reset();
                self.limits.bound
            }
            Ok(_) => {
                log::warn!("store: the log is {} MiB long, and somebody still reads its beginning", length / 256);
                length + self.limits.bound / 4
            }
            Err(error) => {
                log::warn!("store: the log is {} MiB long and cannot be folded: {error}", length / 256);
                length + self.limits.bound / 4
            }
        };
    }
}

impl Wal {
    /// Ends the thread, checkpoints the whole log and truncates it. Beside a server, a tool leaves that to the
    /// server, which would take a truncated log for a change by others.
    pub(super) fn close(mut self, connection: &Connection, binder: &mut LogBinder) {
        self.end_thread();
        let Files { database, watch } = &self.files;
        if !watch.may_checkpoint() {
            watch.keep_log(connection);
            return;
        }
        match database.is_served_by_another() {
            Ok(true) => return,
            Ok(false) => {}
            Err(error) => log::debug!("store: the locks cannot be read: {error}"),
        }
        let in_full = binder.checkpoint_and_truncate(connection);
        // The sync may have failed just now.
        watch.keep_log(connection);
        match in_full {
            Ok(true) => {}
            // Then the last of them does.
            Ok(false) if database.has_company() => {}
            Ok(false) => log::warn!(
                "store: another program reads the database, so the latest changes stay in its log: whoever copies {0} \
                 copies {0}-wal as well",
                database.path().display()
            ),
            Err(error) => log::error!(
                "store: the log could not be checkpointed into {0}, so the latest changes stay in {0}-wal: {error}",
                database.path().display()
            ),
        }
    }

    fn end_thread(&mut self) {
        self.wanted = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::error!("store: the checkpoint thread had died");
        }
    }
}

impl Drop for Wal {
    fn drop(&mut self) {
        self.end_thread();
    }
}

/// The thread that folds.
struct Folder {
    connection: Connection,
    files: Files,
    shared: Arc<Shared>,
}

impl Folder {
    fn run(self, wishes: &Receiver<()>, limits: CheckpointThresholds) {
        while wishes.recv().is_ok() {
            let _turn = self.shared.lock();
            if !self.files.watch.may_checkpoint() {
                continue;
            }
            match self.fold_nearly_all() {
                Ok(CheckpointResult { length, folded, .. }) if length.saturating_sub(folded) <= limits.rest => {
                    self.shared.nearly_all.store(folded, Ordering::Relaxed);
                    // What was wished for meanwhile would only keep the writer from its turn.
                    while wishes.try_recv().is_ok() {}
                }
                // Somebody reads its beginning.
                Ok(_) => {}
                Err(error) => log::warn!("store: the log could not be folded into the file: {error}"),
            }
        }
        self.files.watch.keep_log(&self.connection);
    }

    /// Each pass folds what came during the one before, and so has less to fold and to bring to the disk.
    fn fold_nearly_all(&self) -> Result<CheckpointResult, String> {
        let Files { database, watch } = &self.files;
        for _ in 1..PASSES {
            checkpoint(&self.connection, PASSIVE, watch)?;
            database.sync().map_err(|error| {
                watch.stop_writing(&error);
                error.to_string()
            })?;
        }
        checkpoint(&self.connection, PASSIVE, watch)
    }
}
