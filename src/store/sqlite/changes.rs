//! Who is told of changes, and until when that knowledge is complete.
//!
//! Own writes are told of by the job that made them, on the writer's thread ([`NotifyOnDrop`]). Others' are found by the
//! [`Probe`], which asks the writer's connection: `PRAGMA data_version` moves there when somebody else committed, and
//! never for a commit of its own. A probe may be late (a long COMMIT, another process that holds the write lock, a
//! machine without a free core), so it does not only tell: it says for which moment it speaks, and [`Changes::vouch`]
//! holds only for [`STALENESS`] after that. Late knowledge costs look-ups; it never makes them wrong.
//!
//! A tool that opened the file beside a server gives it that time before it ends ([`SettleOnDrop`]): when it has come back,
//! what it revoked is refused. (A command asks the server instead, where that takes commands, and waits for nothing.)

use std::{
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rusqlite::Connection;

use super::{locks::Database, schema, watch::Watch};
use crate::store::{Change, Observer};

/// How often an idle writer looks: often enough that a look may be late and still in time for [`STALENESS`].
pub(super) const PROBE_INTERVAL: Duration = Duration::from_millis(30);

/// The oldest knowledge of others' changes that still counts.
const STALENESS: Duration = Duration::from_millis(100);

/// The observers, and the latest moment of which they know everything.
pub(super) struct Changes {
    observers: RwLock<Vec<Observer>>,
    opened: Instant,
    /// In nanoseconds since `opened`; zero before the first probe.
    complete_until: AtomicU64,
    /// When a change of one's own was last told of, likewise.
    told: AtomicU64,
}

impl Changes {
    pub(super) fn new() -> Self {
        Self {
            observers: RwLock::default(),
            opened: Instant::now(),
            complete_until: AtomicU64::new(0),
            told: AtomicU64::new(0),
        }
    }

    pub(super) fn observe(&self, observer: Observer) {
        self.observers.write().unwrap_or_else(PoisonError::into_inner).push(observer);
    }

    fn since_opened(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn notify(&self, change: Change) {
        for observer in &*self.observers.read().unwrap_or_else(PoisonError::into_inner) {
            observer(change);
        }
    }

    /// Whether the observers know of every change that is older than [`STALENESS`].
    pub(super) fn vouch(&self) -> bool {
        let until = self.complete_until.load(Ordering::SeqCst);
        until != 0 && Duration::from_nanos(self.since_opened().saturating_sub(until)) <= STALENESS
    }
}

/// Tells of a write's changes when it is dropped, so that no end of a write, not even a panic, goes untold.
pub(super) struct NotifyOnDrop {
    pub(super) changes: Arc<Changes>,
    pub(super) of: Vec<Change>,
}

impl Drop for NotifyOnDrop {
    fn drop(&mut self) {
        for change in &self.of {
            self.changes.notify(*change);
            self.changes.told.fetch_max(self.changes.since_opened(), Ordering::SeqCst);
        }
    }
}

/// Waits, when it is dropped, until the last change is too old for a server on the file not to know it, if there is one.
pub(super) struct SettleOnDrop {
    pub(super) changes: Arc<Changes>,
    pub(super) database: Arc<Database>,
}

impl Drop for SettleOnDrop {
    fn drop(&mut self) {
        let told = self.changes.told.load(Ordering::SeqCst);
        // Where that is not known, there may be one. One that starts now has read nothing yet.
        if told != 0 && self.database.is_served_by_another().unwrap_or(true) {
            let passed = Duration::from_nanos(self.changes.since_opened().saturating_sub(told));
            thread::sleep(STALENESS.saturating_sub(passed));
        }
    }
}

/// Finds others' changes; lives with the writer's connection.
pub(super) struct Probe {
    changes: Arc<Changes>,
    watch: Arc<Watch>,
    /// What the connection answered last. Not known at first, which counts as a change.
    version: Option<i64>,
}

impl Probe {
    pub(super) fn new(changes: Arc<Changes>, watch: Arc<Watch>) -> Self {
        Self { changes, watch, version: None }
    }

    /// Looks, in or outside of a transaction. Where it cannot, nobody vouches for anything soon.
    pub(super) fn poll(&mut self, connection: &Connection) {
        // The moment comes first: what is committed after it may be missed.
        let until = self.changes.since_opened();
        if self.watch.check().is_err() {
            return;
        }
        match self.changed(connection) {
            Ok(true) => self.changes.notify(Change::Anything),
            Ok(false) => {}
            Err(error) => return log::debug!("store: others' changes cannot be seen: {error}"),
        }
        // Only now, so that whoever finds the later moment finds what was told, too.
        self.changes.complete_until.fetch_max(until, Ordering::SeqCst);
    }

    /// Whether somebody else committed since the last look; and if so, perhaps another schema.
    fn changed(&mut self, connection: &Connection) -> rusqlite::Result<bool> {
        let number = |sql| -> rusqlite::Result<i64> { connection.prepare_cached(sql)?.query_row([], |row| row.get(0)) };
        let version = number("PRAGMA data_version")?;
        if self.version == Some(version) {
            return Ok(false);
        }
        let version_of_schema = number("PRAGMA user_version")?;
        if version_of_schema > schema::VERSION {
            self.watch.give_up(version_of_schema, schema::VERSION);
        }
        self.version = Some(version);
        Ok(true)
    }
}
