//! Where work blocks: point reads in place, long reads on other threads, writes on the writer's.

use std::time::Instant;

use rusqlite::Connection;

use super::{SqliteStore, connect::Readers, sessions};
use crate::{
    domain::audit::By,
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
        let (pool, timeout) = (readers.clone(), self.pool_timeout);
        Reply::Pending(Box::pin(async move {
            let asked_at = Instant::now();
            let blocking = move || match pool.get_timeout(timeout.saturating_sub(asked_at.elapsed())) {
                Ok(connection) => work(&connection),
                Err(error) => Err(StoreError::Unavailable(format!("no read connection became free: {error}"))),
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
    pub(super) fn change<T, F>(&self, of: Vec<Change>, by: By, mut work: F) -> Reply<'_, T>
    where
        T: Send + 'static,
        F: FnMut(&Connection, &By) -> Result<T, StoreError> + Send + 'static,
    {
        self.write(of, move |connection| {
            sessions::expect_open(connection, &by)?;
            work(connection, &by)
        })
    }

    /// The same where only `work` can find out what it changes, and tells of it.
    pub(super) fn change_telling<T, F>(&self, by: By, mut work: F) -> Reply<'_, T>
    where
        T: Send + 'static,
        F: FnMut(&Connection, &By, &mut Vec<Change>) -> Result<T, StoreError> + Send + 'static,
    {
        self.writer.submit_telling(Vec::new(), move |connection, changes| {
            sessions::expect_open(connection, &by)?;
            work(connection, &by, changes)
        })
    }

    pub(super) fn check(&self) -> Result<(), StoreError> {
        self.watch.check()?;
        self.watch.check_writable()?;
        match self.writer.is_alive() {
            true => Ok(()),
            false => Err(StoreError::Unavailable("the writer has stopped".to_owned())),
        }
    }
}
