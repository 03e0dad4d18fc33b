//! Where work blocks: point reads in place, long reads on other threads, writes on the writer's.

use std::{sync::Arc, time::Instant};

use rusqlite::Connection;

use super::{SqliteStore, connect::Readers, diagnosis, health::Told, sessions, writer::stopped};
use crate::{
    domain::audit::Attribution,
    store::{Change, Reply, StoreError},
    threads::Threads,
};

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
