//! Checkpoints: they copy the write-ahead log into the file and keep the log short.
//!
//! A thread with its own connection runs passive checkpoints while the writer works. A passive checkpoint waits for nobody.
//! It does not change `PRAGMA data_version` on the writer's connection, so no cached record is lost. (A checkpoint that
//! truncates the log does change it.)
//!
//! SQLite can write from the start of the log again only after the last page is copied. Under steady load the thread never
//! gets there. So when few pages remain, the writer runs the last checkpoint itself, between two commits and after it has
//! answered the first. SQLite syncs the file only when no page remains. So that the writer need not wait for the sync of
//! everything that the thread copied, the thread syncs the file first, and leaves few pages.
//!
//! The log still grows if a reader stays for a long time or the disk is slow. From [`CheckpointThresholds::restart_at`] on,
//! the writer restarts the log before it does anything else. It waits at most [`READER_TIMEOUT`] for readers.
//!
//! At the end, the writer checkpoints the whole log and truncates it ([`Wal::close`]), so that the file alone is the whole
//! database. SQLite itself does that only when the last connection is closed. Which connection is the last depends on
//! chance: other threads close the connections of the pools, and the process may end before they do.
//!
//! # When the disk fails
//!
//! If the kernel cannot write some pages, it reports that once, to the next `fsync`. Then it treats the pages as written:
//! the `fsync` after that succeeds without them.
//!
//! A failed sync *of the database file* loses such pages unless they are copied from the log again. So after the first
//! failed sync ([`Watch::stop_writing`]) there is no further checkpoint, not even at the end. There are no further writes
//! either, since a commit could overwrite the start of the log. The next start finds a log with everything since the last
//! complete checkpoint and copies all of it ([`LogBinder::draw_first_nonce`]): SQLite forgets how much of a log was copied
//! when the last process that had it open ends.
//!
//! A checkpoint that fails in a *write* loses nothing: the kernel refused the page, and SQLite writes it again the next
//! time. So after a full disk, the store recovers without a restart.
//!
//! A failed sync *of the log*, at a commit, loses no acknowledged commit. The earlier commits were synced. This one is
//! answered with 503. The next commit overwrites it, from the end of the last acknowledged one, and its own sync covers all
//! of its pages. The danger comes after a crash: SQLite reads the failed commit from the kernel's memory as if it were on
//! the disk. A commit added behind it would be lost together with it in a power cut. So nothing is acknowledged before the
//! whole log of an earlier process is in the file and synced (again [`LogBinder::draw_first_nonce`]).

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
    checkpoint::{CheckpointResult, PASSIVE, READER_TIMEOUT, RESTART, checkpoint},
    locks::Database,
    log_length,
    watch::Watch,
};
use crate::{priority::lower_priority, store::StoreError};

/// Low, because nobody waits for this thread as long as the log is short.
const NICE: i32 = 15;

/// The first pass copies nearly everything. Each further pass copies what was committed during the sync of the one before.
const PASSES: usize = 3;

/// Lengths of the log in pages of 4 KiB.
#[derive(Clone, Copy, Debug)]
pub(super) struct CheckpointThresholds {
    /// From here on the thread runs checkpoints.
    pub(super) checkpoint_at: u32,
    /// How many pages the thread may leave to the writer.
    pub(super) remainder: u32,
    /// From here on the writer restarts the log before anything else.
    pub(super) restart_at: u32,
}

impl Default for CheckpointThresholds {
    fn default() -> Self {
        Self { checkpoint_at: 2048, remainder: 512, restart_at: 16 * 1024 }
    }
}

/// The writer's handle of the log. Dropping it ends the checkpoint thread, so that the writer's connection can be the last
/// to close.
pub(super) struct Wal {
    thresholds: CheckpointThresholds,
    busy_timeout: Duration,
    files: Files,
    requests: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
    /// The length at which the thread is woken next. It moves up while the log cannot restart.
    next_checkpoint_at: u32,
    /// The length at which the writer next restarts the log. It moves up in the same way.
    next_restart_at: u32,
    has_saved_deleted_log: bool,
}

/// The database of the log and the watch over its files.
#[derive(Clone)]
pub(super) struct Files {
    pub(super) database: Arc<Database>,
    pub(super) watch: Arc<Watch>,
}

#[derive(Default)]
struct Shared {
    /// Held during a checkpoint.
    running: Mutex<()>,
    /// How many pages the thread has copied, if so few remain that the writer should copy them; else zero.
    copied_by_thread: AtomicU32,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, ()> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wal {
    /// Starts the thread, which uses `connection`. `busy_timeout` is the one of the writer's connection.
    pub(super) fn start(
        connection: Connection,
        files: Files,
        busy_timeout: Duration,
        thresholds: CheckpointThresholds,
    ) -> io::Result<Self> {
        let (requests, received) = crossbeam_channel::bounded(1);
        let shared = Arc::new(Shared::default());
        let thread = thread::Builder::new().name("patd-checkpoint".into()).spawn({
            let worker = CheckpointThread { connection, files: files.clone(), shared: Arc::clone(&shared) };
            move || {
                lower_priority(NICE);
                worker.run(&received, thresholds);
            }
        })?;
        Ok(Self {
            thresholds,
            busy_timeout,
            files,
            requests: Some(requests),
            thread: Some(thread),
            shared,
            next_checkpoint_at: thresholds.checkpoint_at,
            next_restart_at: thresholds.restart_at,
            has_saved_deleted_log: false,
        })
    }

    /// Starts a checkpoint if the length of the log requires one. The writer calls it between two transactions.
    pub(super) fn keep_short(&mut self, connection: &Connection) {
        let length = log_length::get();
        if !self.files.watch.may_checkpoint() {
            // The next start needs the whole log.
        } else if length < self.thresholds.checkpoint_at {
            // The log restarted, so everything known about the earlier one is outdated.
            (self.next_checkpoint_at, self.next_restart_at) =
                (self.thresholds.checkpoint_at, self.thresholds.restart_at);
            self.shared.copied_by_thread.store(0, Ordering::Relaxed);
        } else if length >= self.next_restart_at {
            self.restart_log(connection, length);
        } else if self.checkpoint_remainder(connection, length) {
            // The next commit restarts the log, unless pages were added or a reader prevents it.
        } else if length >= self.next_checkpoint_at
            && let Some(requests) = &self.requests
            && requests.try_send(()).is_ok()
        {
            self.next_checkpoint_at = length + self.thresholds.remainder;
        }
    }

    /// Requests a checkpoint however short the log is: on a full disk, a log that restarts needs no more space.
    pub(super) fn request_checkpoint(&self) {
        if let Some(requests) = &self.requests {
            // A full channel already holds a request.
            let _ = requests.try_send(());
        }
    }

    /// If the log was deleted, saves what is in it, once. The writer calls it while it is idle: no change is accepted then.
    pub(super) fn save_deleted_log(&mut self) {
        let is_deleted = self.files.watch.has_lost_only_the_log();
        if is_deleted && !self.has_saved_deleted_log {
            self.request_checkpoint();
        }
        self.has_saved_deleted_log = is_deleted;
    }

    /// Copies the remaining pages if the thread left few. Returns whether it tried.
    fn checkpoint_remainder(&self, connection: &Connection, length: u32) -> bool {
        if self.shared.copied_by_thread.load(Ordering::Relaxed) == 0 {
            return false;
        }
        // If the thread runs another checkpoint, it sets the number again afterwards.
        let Ok(_running) = self.shared.running.try_lock() else { return false };
        let copied = self.shared.copied_by_thread.swap(0, Ordering::Relaxed);
        // Twice what the thread may leave, because commits have followed since.
        if length.saturating_sub(copied) > 2 * self.thresholds.remainder {
            return false;
        }
        if let Err(error) = checkpoint(connection, PASSIVE, &self.files.watch) {
            log::warn!("store: the log could not be checkpointed into the file: {error}");
        }
        true
    }

    /// Checkpoints the whole log and truncates it, so that no earlier version of a page is left in it. Returns `false` if
    /// other connections prevented that, or another process serves the database: to it, this would look like a change.
    pub(super) fn empty(&mut self, connection: &Connection, binder: &mut LogBinder) -> Result<bool, StoreError> {
        let Files { database, watch } = &self.files;
        if !watch.may_checkpoint() || database.is_served_by_another().unwrap_or(true) {
            return Ok(false);
        }
        let _running = self.shared.lock();
        let emptied = binder.checkpoint_and_truncate(connection)?;
        if emptied {
            self.shared.copied_by_thread.store(0, Ordering::Relaxed);
            log_length::reset();
        }
        Ok(emptied)
    }

    fn restart_log(&mut self, connection: &Connection, length: u32) {
        let _running = self.shared.lock();
        self.shared.copied_by_thread.store(0, Ordering::Relaxed);
        let prepared = connection.busy_timeout(READER_TIMEOUT).map_err(|error| error.to_string());
        let restarted = prepared.and_then(|()| checkpoint(connection, RESTART, &self.files.watch));
        if let Err(error) = connection.busy_timeout(self.busy_timeout) {
            log::error!("store: {error}");
        }
        self.next_restart_at = match restarted {
            Ok(CheckpointResult { busy: false, .. }) => {
                log_length::reset();
                self.thresholds.restart_at
            }
            Ok(_) => {
                log::warn!("store: the log is {} MiB long: another connection still reads its start", length / 256);
                length + self.thresholds.restart_at / 4
            }
            Err(error) => {
                log::warn!("store: the log is {} MiB long and cannot be checkpointed: {error}", length / 256);
                length + self.thresholds.restart_at / 4
            }
        };
    }
}

impl Wal {
    /// Ends the thread, checkpoints the whole log and truncates it. A tool beside a server does not truncate the log: to
    /// the server, that looks like a change by another process.
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
            // The last process that closes the database truncates the log.
            Ok(false) if database.is_open_elsewhere() => {}
            Ok(false) => log::warn!(
                "store: another program reads the database, so the latest changes stay in its log: a copy of {0} \
                 needs {0}-wal as well",
                database.path().display()
            ),
            Err(error) => log::error!(
                "store: the log could not be checkpointed into {0}, so the latest changes stay in {0}-wal: {error}",
                database.path().display()
            ),
        }
    }

    fn end_thread(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::error!("store: the checkpoint thread panicked");
        }
    }
}

impl Drop for Wal {
    fn drop(&mut self) {
        self.end_thread();
    }
}

/// What the checkpoint thread works with.
struct CheckpointThread {
    connection: Connection,
    files: Files,
    shared: Arc<Shared>,
}

impl CheckpointThread {
    fn run(self, requests: &Receiver<()>, thresholds: CheckpointThresholds) {
        while requests.recv().is_ok() {
            let _running = self.shared.lock();
            if !self.files.watch.may_checkpoint() {
                continue;
            }
            let copied = self.run_passes();
            if let Ok(CheckpointResult { length, copied, .. }) = &copied
                && length == copied
                && self.files.watch.has_lost_only_the_log()
            {
                log::warn!("store: the content of the deleted log is in the file now: a restart loses nothing");
            }
            match copied {
                Ok(CheckpointResult { length, copied, .. })
                    if length.saturating_sub(copied) <= thresholds.remainder =>
                {
                    self.shared.copied_by_thread.store(copied, Ordering::Relaxed);
                    // Another run would only delay the writer's own checkpoint.
                    while requests.try_recv().is_ok() {}
                }
                // A reader still needs the beginning of the log.
                Ok(_) => {}
                Err(error) => log::warn!("store: the log could not be checkpointed into the file: {error}"),
            }
        }
        self.files.watch.keep_log(&self.connection);
    }

    /// Each pass copies what was committed during the one before, so it has less to copy and to sync.
    fn run_passes(&self) -> Result<CheckpointResult, String> {
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
