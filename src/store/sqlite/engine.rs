//! SQLite as an engine of the store: [`store`](super::store) says where work runs.

use std::sync::Arc;

use super::{scrub, store::SqliteStore};
use crate::{
    domain::node::{NodeStatus, Readiness},
    store::{
        Change, Reply, SharedCounters, StoreError, StoreKind, StoreMeasurements,
        sql::{connection::Connection, engine::Engine, headroom::Headroom},
    },
};

impl Engine for SqliteStore {
    fn read<T, F>(&self, work: F) -> Reply<'_, T>
    where
        T: Send + 'static,
        F: FnOnce(&dyn Connection) -> Result<T, StoreError> + Send + 'static,
    {
        self.read_point(move |connection| work(connection))
    }

    fn read_long<T, F>(&self, work: F) -> Reply<'_, T>
    where
        T: Send + 'static,
        F: FnOnce(&dyn Connection) -> Result<T, StoreError> + Send + 'static,
    {
        self.read_list(move |connection| work(connection))
    }

    fn read_snapshot<T, F>(&self, work: F) -> Reply<'_, T>
    where
        T: Send + 'static,
        F: FnOnce(&dyn Connection) -> Result<T, StoreError> + Send + 'static,
    {
        self.read_list(move |connection| work(&*connection.unchecked_transaction()?))
    }

    fn read_inventory<T, F>(&self, work: F) -> Reply<'_, T>
    where
        T: Send + 'static,
        F: FnOnce(&dyn Connection) -> Result<T, StoreError> + Send + 'static,
    {
        self.read_at_pace(move |connection| work(connection))
    }

    fn write_reporting<T, F>(&self, changes: Vec<Change>, mut work: F) -> Reply<'_, T>
    where
        T: Send + 'static,
        F: FnMut(&dyn Connection, &mut Vec<Change>) -> Result<T, StoreError> + Send + 'static,
    {
        self.writer.submit_reporting(changes, move |connection, changes| work(connection, changes))
    }

    fn wait_until_known(&self) -> Reply<'_, ()> {
        // A change can be read when the only server has forgotten what it affects.
        Reply::ready(Ok(()))
    }

    fn check_readiness(&self) -> Reply<'_, Readiness> {
        self.expect_ready().then(|ready| Reply::ready(ready.map(|()| Readiness::Ready)))
    }

    fn scrub(&self) -> Reply<'_, bool> {
        Reply::Pending(Box::pin(async move {
            let Some(found) = self.read_list(scrub::find).await? else { return Ok(true) };
            let is_last = found.is_last();
            self.writer.submit(Vec::new(), move |connection| scrub::clean(connection, &found)).await?;
            if !is_last {
                return Ok(false);
            }
            if self.writer.empty_log().await? {
                self.writer.submit(Vec::new(), scrub::settle).await?;
            }
            Ok(true)
        }))
    }

    fn nodes(&self) -> Reply<'_, Vec<NodeStatus>> {
        Reply::ready(Ok(Vec::new()))
    }

    fn does_housekeeping(&self) -> Reply<'_, bool> {
        // No other server can have the file.
        Reply::ready(Ok(true))
    }

    fn shared_counters(&self) -> Option<&dyn SharedCounters> {
        None
    }

    fn close(&self) -> Reply<'_, ()> {
        Reply::Pending(Box::pin(self.writer.close()))
    }

    fn measurements(&self) -> &StoreMeasurements {
        &self.measurements
    }

    fn kind(&self) -> StoreKind {
        StoreKind::File
    }

    fn headroom(&self) -> &Arc<Headroom> {
        &self.headroom
    }
}
