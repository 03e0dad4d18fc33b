//! The open database: its threads and connections, and which thread runs which work.
//!
//! Point reads run on the calling thread, because a cached statement takes less time than a change of thread. Long reads
//! run on separate threads, and writes run on the writer's thread.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rusqlite::Connection;

use super::{
    batch::yield_to_readers,
    changes::{Changes, SettleOnDrop},
    connect::Readers,
    diagnosis,
    health::{Health, HealthReport},
    locks::Database,
    watch::{Watch, Watcher},
    writer::{Writer, stopped},
};
use crate::{
    domain::{secret::TokenHash, session::SessionRecord, token::TokenRecord},
    store::{
        CredentialSource, Credentials, Observer, Reply, StoreError, StoreMeasurements,
        sql::{headroom::Headroom, sessions, shared::Shared, tokens},
    },
    threads::Threads,
};

/// How many steps of SQLite's program a long read makes before it yields (`benches/lists` measures the effect).
const STEPS_PER_YIELD: i32 = 1000;

/// Users, sessions and tokens in one SQLite file.
///
/// Dropping it completes the writes that were queued, then closes the file.
pub struct SqliteStore {
    // The order of the fields is the order in which they are dropped. The file watch stops before the log is removed. The
    // writer's connection closes last, so that it can checkpoint the log. After that, a command-line tool waits until the
    // running servers have noticed its changes.
    pub(super) _watcher: Watcher,
    // The threads stop before the pools close, because work on the threads uses the pools.
    pub(super) waiters: Threads,
    pub(super) long_threads: Threads,
    pub(super) inventory_thread: Threads,
    pub(super) pool: Readers,
    // Separate connections, so that long reads never take those of the point reads.
    pub(super) long_readers: Readers,
    // One connection, for lists whose pace the consumer of the rows sets.
    pub(super) inventory_reader: Readers,
    pub(super) writer: Writer,
    pub(super) watch: Arc<Watch>,
    pub(super) changes: Arc<Changes>,
    pub(super) health: Arc<Health>,
    pub(super) headroom: Arc<Headroom>,
    pub(super) shared: Arc<Shared>,
    pub(super) measurements: Arc<StoreMeasurements>,
    pub(super) pool_timeout: Duration,
    pub(super) _settle_on_drop: Option<SettleOnDrop>,
    // Last, so that its locks are released last.
    pub(super) _database: Arc<Database>,
}

impl SqliteStore {
    /// A read that takes microseconds. It runs on the calling thread if a connection is free, otherwise on another one.
    pub(super) fn read_point<T, F>(&self, work: F) -> Reply<'_, T>
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

    /// A read that may take long. It never runs on the calling thread.
    pub(super) fn read_list<T, F>(&self, work: F) -> Reply<'_, T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        match self.watch.last_seen() {
            Ok(()) => self.read_elsewhere(&self.long_readers, &self.long_threads, |connection| {
                let begun = Instant::now();
                let yields = move || {
                    yield_to_readers(begun);
                    false
                };
                connection.progress_handler(STEPS_PER_YIELD, Some(yields))?;
                let result = work(connection);
                connection.progress_handler(0, None::<fn() -> bool>)?;
                result
            }),
            Err(error) => Reply::ready(Err(error)),
        }
    }

    /// A read that waits for the consumer of its rows. It has a connection of its own, so that it blocks no other read.
    pub(super) fn read_at_pace<T, F>(&self, work: F) -> Reply<'_, T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        match self.watch.last_seen() {
            Ok(()) => self.read_elsewhere(&self.inventory_reader, &self.inventory_thread, work),
            Err(error) => Reply::ready(Err(error)),
        }
    }

    /// Reads on one of `threads`. The time in the queue counts towards the time limit for getting a connection.
    fn read_elsewhere<'s, T, F>(&'s self, readers: &Readers, threads: &'s Threads, work: F) -> Reply<'s, T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let (pool, timeout, watch) = (readers.clone(), self.pool_timeout, Arc::clone(&self.watch));
        Reply::Pending(Box::pin(async move {
            let queued_at = Instant::now();
            let blocking = move || match pool.get_timeout(timeout.saturating_sub(queued_at.elapsed())) {
                Ok(connection) => work(&connection),
                Err(error) => {
                    let message = format!("no read connection became free: {error}");
                    Err(StoreError::Unavailable(diagnosis::with_cause(message, watch.database())))
                }
            };
            let read = threads.run(blocking).await;
            read.unwrap_or_else(|panicked| Err(StoreError::Internal(format!("a read panicked: {panicked}"))))
        }))
    }

    /// Fails if a write would fail now, as the latest transaction or a probe shows.
    fn expect_writable(&self) -> Reply<'_, ()> {
        let (outcome, probe) = match self.health.ask(|| diagnosis::is_nearly_full(self.watch.database())) {
            HealthReport::Latest(outcome) => return Reply::ready(outcome),
            HealthReport::Pending(outcome, probe) => (outcome, probe),
        };
        if let Some(probe) = probe
            && let Err(error) = self.writer.submit_probe(probe)
        {
            self.health.record(Err(error), 0);
        }
        Reply::Pending(Box::pin(async move { outcome.await.unwrap_or_else(|_| Err(stopped())) }))
    }

    /// Fails if a read or a write would fail now.
    pub(super) fn expect_ready(&self) -> Reply<'_, ()> {
        if let Err(error) = self.check() {
            return Reply::ready(Err(error));
        }
        let any_user = |connection: &Connection| {
            let mut statement = connection.prepare_cached("SELECT 1 FROM users LIMIT 1")?;
            statement.exists([])?;
            Ok(())
        };
        self.read_point(any_user).then(|read| match read {
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
        self.read_point(move |connection| tokens::by_hash(connection, &hash, &shared))
    }

    fn session_by_hash(&self, hash: &TokenHash) -> Reply<'_, Option<Arc<SessionRecord>>> {
        let hash = *hash;
        self.read_point(move |connection| sessions::by_hash(connection, &hash))
    }
}

impl CredentialSource for SqliteStore {
    fn observe(&self, observer: Observer) {
        self.changes.observe(observer);
    }

    fn is_coherent(&self) -> bool {
        self.watch.last_seen().is_ok() && self.changes.is_coherent()
    }
}
