//! A file as one of the two databases of a copy.

use std::io;

use tokio::runtime::{Builder, Runtime};

use super::{diagnosis, open_error::OpenError, settings::SqliteSettings, store::SqliteStore};
use crate::store::{
    Access, Reply, StoreError,
    sql::{
        connection::{Connection, named},
        copy::CopyEnd,
        engine::Engine,
    },
};

/// A file that no other process can open meanwhile.
pub(crate) struct SqliteCopyEnd {
    store: SqliteStore,
    runtime: Runtime,
}

impl SqliteCopyEnd {
    /// Opens the file: [`Access::CopySource`] or [`Access::CopyTarget`].
    pub(crate) fn open(settings: &SqliteSettings, access: Access) -> Result<Self, OpenError> {
        let failed = |error: io::Error| diagnosis::inaccessible(&settings.path, &error);
        let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
        Ok(Self { store: SqliteStore::open(settings, access)?, runtime })
    }

    fn wait<T: Unpin>(&self, reply: Reply<'_, T>) -> Result<T, StoreError> {
        self.runtime.block_on(reply)
    }
}

impl CopyEnd for SqliteCopyEnd {
    const NUMBERS_WITHOUT_GAPS: bool = true;

    fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + Unpin + 'static,
        F: FnOnce(&dyn Connection) -> Result<T, StoreError> + Send + 'static,
    {
        self.wait(self.store.read_long(work))
    }

    fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + Unpin + 'static,
        F: FnMut(&dyn Connection) -> Result<T, StoreError> + Send + 'static,
    {
        self.wait(self.store.write(Vec::new(), work))
    }

    fn last_number(connection: &dyn Connection, table: &str, _column: &str) -> Result<i64, StoreError> {
        let last = "SELECT seq FROM sqlite_sequence WHERE name = :table";
        Ok(connection.optional(last, named! {":table": table}, |row| row.get(0))?.unwrap_or(0))
    }

    fn number_after(connection: &dyn Connection, table: &str, _column: &str, last: i64) -> Result<(), StoreError> {
        connection.execute("DELETE FROM sqlite_sequence WHERE name = :table", named! {":table": table})?;
        let insert = "INSERT INTO sqlite_sequence (name, seq) VALUES (:table, :last)";
        connection.execute(insert, named! {":table": table, ":last": last}).map(drop)
    }

    fn active_node(&self) -> Result<Option<String>, StoreError> {
        Ok(None)
    }
}
