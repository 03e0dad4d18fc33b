//! Notifies observers of changes, and knows until when they have heard of all of them.
//!
//! The job of a write notifies of its own changes, on the writer's thread ([`Notify`]). The [`Probe`] finds changes
//! of other processes. It asks the writer's connection: `PRAGMA data_version` changes there when another connection
//! commits, and never for the connection's own commits. A probe may be late, because of a long COMMIT, another process that
//! holds the write lock, or a machine without a free core. So it also records the moment up to which it knows of all
//! changes. [`Changes::is_coherent`] holds only for [`STALENESS`] after that moment. A late probe costs look-ups, but never
//! makes an answer wrong.
//!
//! A tool that opened the file beside a server waits that long before it ends ([`SettleOnDrop`]): when it has returned,
//! the server refuses what the tool revoked. (A command asks the server instead if the server takes commands, and does not
//! wait.)

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
use crate::store::{Change, Observer, jobs::Notify};

/// How often an idle writer runs the probe: often enough that a late probe is still in time for [`STALENESS`].
pub(super) const PROBE_INTERVAL: Duration = Duration::from_millis(30);

/// How old the knowledge of other processes' changes may be.
const STALENESS: Duration = Duration::from_millis(100);

/// The observers, and the moment up to which they know of all changes.
pub(super) struct Changes {
    observers: RwLock<Vec<Observer>>,
    opened: Instant,
    /// In nanoseconds since `opened`; zero before the first probe.
    complete_until: AtomicU64,
    /// When observers were last notified of a change of this process, in the same unit.
    last_own_change: AtomicU64,
}

impl Changes {
    pub(super) fn new() -> Self {
        Self {
            observers: RwLock::default(),
            opened: Instant::now(),
            complete_until: AtomicU64::new(0),
            last_own_change: AtomicU64::new(0),
        }
    }

    pub(super) fn observe(&self, observer: Observer) {
        self.observers.write().unwrap_or_else(PoisonError::into_inner).push(observer);
    }

    fn since_opened(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn notify_observers(&self, change: Change) {
        for observer in &*self.observers.read().unwrap_or_else(PoisonError::into_inner) {
            observer(change);
        }
    }

    /// Whether the observers know of every change that is older than [`STALENESS`].
    pub(super) fn is_coherent(&self) -> bool {
        let until = self.complete_until.load(Ordering::SeqCst);
        until != 0 && Duration::from_nanos(self.since_opened().saturating_sub(until)) <= STALENESS
    }
}

impl Notify for Changes {
    fn notify(&self, change: Change) {
        self.notify_observers(change);
        self.last_own_change.fetch_max(self.since_opened(), Ordering::SeqCst);
    }
}

/// If a server has the file open, waits on drop until the server is sure to know of the last change.
pub(super) struct SettleOnDrop {
    pub(super) changes: Arc<Changes>,
    pub(super) database: Arc<Database>,
}

impl Drop for SettleOnDrop {
    fn drop(&mut self) {
        let last = self.changes.last_own_change.load(Ordering::SeqCst);
        // If the locks cannot be read, there may be a server. A server that starts later has no cached records yet.
        if last != 0 && self.database.is_served_by_another().unwrap_or(true) {
            let passed = Duration::from_nanos(self.changes.since_opened().saturating_sub(last));
            thread::sleep(STALENESS.saturating_sub(passed));
        }
    }
}

/// Finds changes of other processes, on the writer's connection.
pub(super) struct Probe {
    changes: Arc<Changes>,
    watch: Arc<Watch>,
    /// The latest `data_version`. It is unknown at first, which counts as a change.
    version: Option<i64>,
}

impl Probe {
    pub(super) fn new(changes: Arc<Changes>, watch: Arc<Watch>) -> Self {
        Self { changes, watch, version: None }
    }

    /// Searches for changes, inside or outside a transaction. While this fails, [`Changes::is_coherent`] soon says no.
    pub(super) fn poll(&mut self, connection: &Connection) {
        // Read the time first: a change that is committed after it may be missed.
        let until = self.changes.since_opened();
        if self.watch.check().is_err() {
            return;
        }
        match self.changed(connection) {
            Ok(true) => self.changes.notify_observers(Change::Anything),
            Ok(false) => {}
            Err(error) => return log::debug!("store: changes of other processes cannot be seen: {error}"),
        }
        // Last, so that a thread that reads the new moment also sees the effects of the notification.
        self.changes.complete_until.fetch_max(until, Ordering::SeqCst);
    }

    /// Whether another process has committed since the last probe. If so, it also checks the version of the schema.
    fn changed(&mut self, connection: &Connection) -> rusqlite::Result<bool> {
        let number = |sql| -> rusqlite::Result<i64> { connection.prepare_cached(sql)?.query_row([], |row| row.get(0)) };
        let version = number("PRAGMA data_version")?;
        if self.version == Some(version) {
            return Ok(false);
        }
        let version_of_schema = number("PRAGMA user_version")?;
        if version_of_schema > schema::VERSION {
            self.watch.stop_for_newer_schema(version_of_schema, schema::VERSION);
        }
        self.version = Some(version);
        Ok(true)
    }
}
