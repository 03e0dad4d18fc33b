//! A database in PostgreSQL as one of the two databases of a copy.

use std::{collections::HashMap, thread, time::Duration};

use tokio::runtime::Builder;
use uuid::Uuid;

use super::{
    connection::WriteConnection,
    connector::Connector,
    installation::{OpenError, prepare},
    settings::PostgresSettings,
};
use crate::store::{
    Access, StoreError,
    sql::{
        connection::{Connection, NONE, named},
        copy::CopyEnd,
    },
};

/// A node renews its lease every 250 ms, so one that runs has done it meanwhile, even if it is slow.
const RENEWAL_WAIT: Duration = Duration::from_millis(1500);

/// A connection that writes. Each of its transactions holds the lock of writers.
pub(crate) struct PostgresCopyEnd {
    connection: WriteConnection,
}

impl PostgresCopyEnd {
    /// Connects, and creates the tables in an empty database if `access` allows it.
    pub(crate) fn open(settings: &PostgresSettings, access: Access) -> Result<Self, OpenError> {
        let connector = Connector::new(settings)?;
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| OpenError::Unavailable(error.to_string()))?;
        runtime.block_on(prepare(&connector, access))?;
        Ok(Self { connection: WriteConnection::open(&connector)? })
    }

    fn renewals(&self) -> Result<HashMap<Uuid, (Uuid, String)>, StoreError> {
        self.read(|connection| {
            let active = "SELECT id, renewal, name FROM nodes WHERE state = 'active'";
            let nodes = connection.all(active, NONE, |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))?;
            Ok(nodes.into_iter().collect())
        })
    }
}

impl CopyEnd for PostgresCopyEnd {
    const NUMBERS_WITHOUT_GAPS: bool = false;

    fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + Unpin + 'static,
        F: FnOnce(&dyn Connection) -> Result<T, StoreError> + Send + 'static,
    {
        self.connection.begin()?;
        let read = work(&self.connection);
        self.connection.roll_back();
        read
    }

    fn write<T, F>(&self, mut work: F) -> Result<T, StoreError>
    where
        T: Send + Unpin + 'static,
        F: FnMut(&dyn Connection) -> Result<T, StoreError> + Send + 'static,
    {
        self.connection.begin()?;
        match work(&self.connection) {
            Ok(written) => self.connection.commit(&[]).map(|_| written),
            Err(error) => {
                self.connection.roll_back();
                Err(error)
            }
        }
    }

    fn last_number(connection: &dyn Connection, table: &str, column: &str) -> Result<i64, StoreError> {
        let last =
            "SELECT last_value FROM pg_sequences WHERE schemaname = current_schema() AND sequencename = :sequence";
        let sequence = format!("{table}_{column}_seq");
        let last = connection.one(last, named! {":sequence": &sequence}, |row| row.get::<Option<i64>>(0))?;
        Ok(last.unwrap_or(0))
    }

    fn number_after(connection: &dyn Connection, table: &str, column: &str, last: i64) -> Result<(), StoreError> {
        let set = "SELECT setval(pg_get_serial_sequence(:table, :column)::regclass, :last)";
        connection.one(set, named! {":table": table, ":column": column, ":last": last}, |_| Ok(()))
    }

    fn active_node(&self) -> Result<Option<String>, StoreError> {
        let before = self.renewals()?;
        if before.is_empty() {
            return Ok(None);
        }
        thread::sleep(RENEWAL_WAIT);
        let is_renewed =
            |(id, (renewal, _)): &(Uuid, (Uuid, String))| before.get(id).is_none_or(|(earlier, _)| earlier != renewal);
        Ok(self.renewals()?.into_iter().find(is_renewed).map(|(_, (_, name))| name))
    }
}
