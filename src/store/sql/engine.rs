//! What a database provides besides connections: the threads and transactions in which the statements of the store run.

use std::sync::Arc;

use super::{connection::Connection, headroom::Headroom, keyed_requests, roles, sessions};
use crate::{
    domain::{
        audit::Attribution,
        node::{NodeStatus, Readiness},
    },
    store::{Change, Reply, SharedCounters, StoreError, StoreKind, StoreMeasurements},
};

/// An open database. Every engine is a [`Store`](crate::store::Store).
pub(crate) trait Engine: Send + Sync + 'static {
    /// A read of a few rows by their keys.
    fn read<T, F>(&self, work: F) -> Reply<'_, T>
    where
        T: Send + 'static,
        F: FnOnce(&dyn Connection) -> Result<T, StoreError> + Send + 'static;

    /// A read that may take long.
    fn read_long<T, F>(&self, work: F) -> Reply<'_, T>
    where
        T: Send + 'static,
        F: FnOnce(&dyn Connection) -> Result<T, StoreError> + Send + 'static;

    /// A read that may take long, whose statements all see one state of the database.
    fn read_snapshot<T, F>(&self, work: F) -> Reply<'_, T>
    where
        T: Send + 'static,
        F: FnOnce(&dyn Connection) -> Result<T, StoreError> + Send + 'static;

    /// A read that waits for the consumer of its rows. It blocks no other read.
    fn read_inventory<T, F>(&self, work: F) -> Reply<'_, T>
    where
        T: Send + 'static,
        F: FnOnce(&dyn Connection) -> Result<T, StoreError> + Send + 'static;

    /// A write. It happens in full or, if `work` returns `Err` or panics, not at all. It may run more than once; then only the
    /// last run counts. The answer comes when the write is on disk and no cache holds what it has changed: `changes` is
    /// everything that `work` may have changed, and `work` adds what only it finds out.
    fn write_reporting<T, F>(&self, changes: Vec<Change>, work: F) -> Reply<'_, T>
    where
        T: Send + 'static,
        F: FnMut(&dyn Connection, &mut Vec<Change>) -> Result<T, StoreError> + Send + 'static;

    /// Waits until every server answers by the changes that reads of this process have seen before the call.
    fn wait_until_known(&self) -> Reply<'_, ()>;

    /// Fails if a read or a write would fail now, other than for lack of a lease.
    fn check_readiness(&self) -> Reply<'_, Readiness>;

    /// Removes from the files what deleted rows have left in them, one part at a time. Returns whether nothing is left to do.
    fn scrub(&self) -> Reply<'_, bool>;

    /// The servers that share the database. None where only one can have it.
    fn nodes(&self) -> Reply<'_, Vec<NodeStatus>>;

    /// Whether this process does the housekeeping of the database.
    fn does_housekeeping(&self) -> Reply<'_, bool>;

    /// What the servers that share the database count together. `None` where only one can have it.
    fn shared_counters(&self) -> Option<&dyn SharedCounters>;

    /// Completes the writes that are queued, and refuses later ones.
    fn close(&self) -> Reply<'_, ()>;

    /// What the engine counts for metrics.
    fn measurements(&self) -> &StoreMeasurements;

    /// What kind of store it is, for metrics.
    fn kind(&self) -> StoreKind;

    /// What is known of how many tokens owners may still create.
    fn headroom(&self) -> &Arc<Headroom>;

    /// [`Self::write_reporting`] for work that needs to add no changes.
    fn write<T, F>(&self, changes: Vec<Change>, mut work: F) -> Reply<'_, T>
    where
        T: Send + 'static,
        F: FnMut(&dyn Connection) -> Result<T, StoreError> + Send + 'static,
    {
        self.write_reporting(changes, move |connection, _| work(connection))
    }

    /// Like [`Self::write`], for a change that `by` makes. It fails if the session of `by` ended while the change waited.
    fn change<T, F>(&self, changes: Vec<Change>, by: Attribution, mut work: F) -> Reply<'_, T>
    where
        T: Send + 'static,
        F: FnMut(&dyn Connection, &Attribution) -> Result<T, StoreError> + Send + 'static,
    {
        self.write(changes, move |connection| {
            sessions::expect_open(connection, &by)?;
            work(connection, &by)
        })
    }

    /// Like [`Self::change`], for what is made once for each key ([`keyed_requests::once`]).
    fn change_once<T, F>(&self, changes: Vec<Change>, by: Attribution, mut work: F) -> Reply<'_, T>
    where
        T: Send + 'static,
        F: FnMut(&dyn Connection, &Attribution) -> Result<T, StoreError> + Send + 'static,
    {
        self.change(changes, by, move |connection, by| keyed_requests::once(connection, by, || work(connection, by)))
    }

    /// Like [`Self::change`], if only `work` can find out what it changes. It adds that to the list that it is given.
    fn change_reporting<T, F>(&self, by: Attribution, mut work: F) -> Reply<'_, T>
    where
        T: Send + 'static,
        F: FnMut(&dyn Connection, &Attribution, &mut Vec<Change>) -> Result<T, StoreError> + Send + 'static,
    {
        self.write_reporting(Vec::new(), move |connection, changes| {
            sessions::expect_open(connection, &by)?;
            work(connection, &by, changes)
        })
    }

    /// Like [`Self::change`], for what only administrators do. It fails if `by` lost the role while the change waited.
    fn change_as_admin<T, F>(&self, changes: Vec<Change>, by: Attribution, mut work: F) -> Reply<'_, T>
    where
        T: Send + 'static,
        F: FnMut(&dyn Connection, &Attribution) -> Result<T, StoreError> + Send + 'static,
    {
        self.change(changes, by, move |connection, by| {
            roles::expect_admin(connection, by)?;
            work(connection, by)
        })
    }

    /// Like [`Self::change_reporting`], for what only administrators do.
    fn change_as_admin_reporting<T, F>(&self, by: Attribution, mut work: F) -> Reply<'_, T>
    where
        T: Send + 'static,
        F: FnMut(&dyn Connection, &Attribution, &mut Vec<Change>) -> Result<T, StoreError> + Send + 'static,
    {
        self.change_reporting(by, move |connection, by, changes| {
            roles::expect_admin(connection, by)?;
            work(connection, by, changes)
        })
    }
}
