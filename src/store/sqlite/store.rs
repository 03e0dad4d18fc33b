//! The open database: its threads and connections, and where work blocks. Point reads run in place on the calling thread,
//! since a cached statement takes less time than a change of thread. Long reads run on threads of their own, and writes on
//! the writer's thread.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rusqlite::Connection;

use super::{
    changes::{Changes, SettleOnDrop},
    connect::Readers,
    diagnosis,
    headroom::Headroom,
    health::{Health, Told},
    locks::Database,
    sessions,
    shared::Shared,
    tokens,
    watch::{Watch, Watcher},
    writer::{Writer, stopped},
};
use crate::{
    domain::{audit::Attribution, secret::TokenHash, session::SessionRecord, token::TokenRecord},
    store::{Change, CredentialSource, Credentials, Observer, Reply, StoreError},
    threads::Threads,
};

/// Users, sessions and tokens in one SQLite file.
///
/// Dropping it completes the writes that were queued, then closes the file.
pub struct SqliteStore {
    // Dropped in this order: nobody watches the files any more when the log is removed, and the writer's connection is
    // the last to close, so that it can fold the log into the file. Then a tool waits for servers to know what it did.
    pub(super) _watcher: Watcher,
    // The threads before the pools, of which their work has handles.
    pub(super) waiters: Threads,
    pub(super) long_threads: Threads,
    pub(super) inventory_thread: Threads,
    pub(super) pool: Readers,
    // Of their own, so that long reads, however many, leave the point reads theirs.
    pub(super) long_readers: Readers,
    // One, for lists that wait for their reader.
    pub(super) inventory_reader: Readers,
    pub(super) writer: Writer,
    pub(super) watch: Arc<Watch>,
    pub(super) changes: Arc<Changes>,
    pub(super) health: Arc<Health>,
    pub(super) headroom: Arc<Headroom>,
    pub(super) shared: Arc<Shared>,
    pub(super) pool_timeout: Duration,
    pub(super) _patience: Option<SettleOnDrop>,
    // Its locks are released last.
    pub(super) _database: Arc<Database>,
}

impl SqliteStore {
    /// A read that takes microseconds: in place, unless no connection is free at once.
    pub(super) fn read<T, F>(&self, work: F) -> Reply<'_, T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        if let Err(error) = self.watch.last_seen() {
            return Reply::ready(Err(error));
        }
        match self.pool.try_get() {
            Some(connection) => Reply::ready(work(&connection)),
            None => self.read_elsewhere(&self.pool, &self.waiters, work),
        }
    }

    /// A read that may take long: never on the calling thread.
    pub(super) fn read_long<T, F>(&self, work: F) -> Reply<'_, T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        match self.watch.last_seen() {
            Ok(()) => self.read_elsewhere(&self.long_readers, &self.long_threads, work),
            Err(error) => Reply::ready(Err(error)),
        }
    }

    /// A read that waits for whoever takes its rows: it keeps no other read from its connection.
    pub(super) fn read_inventory<T, F>(&self, work: F) -> Reply<'_, T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        match self.watch.last_seen() {
            Ok(()) => self.read_elsewhere(&self.inventory_reader, &self.inventory_thread, work),
            Err(error) => Reply::ready(Err(error)),
        }
    }

    /// Reads on one of `threads`. The time in the queue counts as time that a connection was waited for.
    fn read_elsewhere<'s, T, F>(&'s self, readers: &Readers, threads: &'s Threads, work: F) -> Reply<'s, T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let (pool, timeout, watch) = (readers.clone(), self.pool_timeout, Arc::clone(&self.watch));
        Reply::Pending(Box::pin(async move {
            let asked_at = Instant::now();
            let blocking = move || match pool.get_timeout(timeout.saturating_sub(asked_at.elapsed())) {
                Ok(connection) => work(&connection),
                Err(error) => {
                    let what = format!("no read connection became free: {error}");
                    Err(StoreError::Unavailable(diagnosis::with_cause(what, watch.database())))
                }
            };
            let read = threads.run(blocking).await;
            read.unwrap_or_else(|panicked| Err(StoreError::Internal(format!("a read: {panicked}"))))
        }))
    }

    /// A change: on the writer's thread, answered after its COMMIT, and after observers were told `of` what it may have
    /// changed.
    pub(super) fn write<T, F>(&self, of: Vec<Change>, work: F) -> Reply<'_, T>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        self.writer.submit(of, work)
    }

    /// The same by somebody, who must not have lost the right to it while it waited.
    pub(super) fn change<T, F>(&self, of: Vec<Change>, by: Attribution, mut work: F) -> Reply<'_, T>
    where
        T: Send + 'static,
        F: FnMut(&Connection, &Attribution) -> Result<T, StoreError> + Send + 'static,
    {
        self.write(of, move |connection| {
            sessions::expect_open(connection, &by)?;
            work(connection, &by)
        })
    }

    /// The same where only `work` can find out what it changes, and tells of it.
    pub(super) fn change_reporting<T, F>(&self, by: Attribution, mut work: F) -> Reply<'_, T>
    where
        T: Send + 'static,
        F: FnMut(&Connection, &Attribution, &mut Vec<Change>) -> Result<T, StoreError> + Send + 'static,
    {
        self.writer.submit_reporting(Vec::new(), move |connection, changes| {
            sessions::expect_open(connection, &by)?;
            work(connection, &by, changes)
        })
    }

    /// Whether a write would work now, by the latest transaction or by a probe.
    fn expect_writable(&self) -> Reply<'_, ()> {
        let (told, probe) = match self.health.ask(|| diagnosis::is_nearly_full(self.watch.database())) {
            Told::Outcome(outcome) => return Reply::ready(outcome),
            Told::Next(told, probe) => (told, probe),
        };
        if let Some(probe) = probe
            && let Err(error) = self.writer.submit_probe(probe)
        {
            self.health.note(Err(error), 0);
        }
        Reply::Pending(Box::pin(async move { told.await.unwrap_or_else(|_| Err(stopped())) }))
    }

    /// Whether a read and a write would work now.
    pub(super) fn judge_readiness(&self) -> Reply<'_, ()> {
        if let Err(error) = self.check() {
            return Reply::ready(Err(error));
        }
        let exists = |connection: &Connection| {
            let mut statement = connection.prepare_cached("SELECT 1 FROM users LIMIT 1")?;
            statement.exists([])?;
            Ok(())
        };
        self.read(exists).then(|read| match read {
            Ok(()) => self.expect_writable(),
            failed => Reply::ready(failed),
        })
    }

    fn check(&self) -> Result<(), StoreError> {
        self.watch.check_for_writing()?;
        diagnosis::expect_writable_mount(self.watch.database())?;
        match self.writer.is_alive() {
            true => Ok(()),
            false => Err(StoreError::Unavailable("the writer has stopped".to_owned())),
        }
    }
}

impl Credentials for SqliteStore {
    fn token_by_hash(&self, hash: &TokenHash) -> Reply<'_, Option<Arc<TokenRecord>>> {
        let (hash, shared) = (*hash, Arc::clone(&self.shared));
        self.read(move |connection| tokens::by_hash(connection, &hash, &shared))
    }

    fn session_by_hash(&self, hash: &TokenHash) -> Reply<'_, Option<Arc<SessionRecord>>> {
        let hash = *hash;
        self.read(move |connection| sessions::by_hash(connection, &hash))
    }
}

impl CredentialSource for SqliteStore {
    fn observe(&self, observer: Observer) {
        self.changes.observe(observer);
    }

    fn is_coherent(&self) -> bool {
        self.watch.last_seen().is_ok() && self.changes.vouch()
    }
}
