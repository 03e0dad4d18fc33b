//! The open database: its threads and connections, and which of them runs which work.

use std::{io, sync::Arc, time::Instant};

use tokio::{
    runtime::{Builder, Handle, Runtime},
    task::spawn_blocking,
    time::timeout_at,
};
use tokio_postgres::Row;

use super::{
    connector::Connector,
    installation::{self, OpenError},
    look_ups::LookUps,
    node::{Anchor, Node},
    observers::Observers,
    primary::Primary,
    readers::Readers,
    reading::{ReadConnection, ReadTransaction, Translations, give_back, read_nothing},
    revocation::finisher,
    settings::{PostgresSettings, TIME_LIMIT},
    writer::Writer,
};
use crate::{
    domain::{node::Readiness, secret::TokenHash},
    store::{
        Access, Reply, StoreError, StoreMeasurements,
        sql::{headroom::Headroom, sessions, shared::Shared, tokens},
    },
};

/// Threads of the runtime that drives the connections of readers.
const IO_THREADS: usize = 2;

/// Shows that the tables can be read.
const ANY_USER: &str = "SELECT 1 FROM users LIMIT 1";

/// Users, sessions and tokens in a database of PostgreSQL, which several nodes share.
pub struct PostgresStore {
    _runtime: Background,
    pub(super) runtime: Handle,
    /// On which server the lease is renewed.
    #[cfg(test)]
    pub(super) primary: Arc<Primary>,
    pub(super) readers: Readers,
    /// Separate connections, so that long reads never take those of the point reads.
    pub(super) long_readers: Readers,
    /// One connection, for lists whose pace the consumer of the rows sets.
    pub(super) inventory_reader: Readers,
    pub(super) translations: Arc<Translations>,
    pub(super) tokens: Arc<LookUps>,
    pub(super) sessions: Arc<LookUps>,
    pub(super) writer: Writer,
    /// `None` in a command, which answers no checks from memory.
    pub(super) node: Option<Arc<Node>>,
    pub(super) observers: Arc<Observers>,
    pub(super) headroom: Arc<Headroom>,
    pub(super) shared: Arc<Shared>,
    pub(super) measurements: Arc<StoreMeasurements>,
}

impl PostgresStore {
    /// Opens the database, and creates its tables if necessary. A database that this program cannot use is refused and not
    /// changed. It blocks until the server has answered.
    pub fn open(settings: &PostgresSettings, access: Access) -> Result<Self, OpenError> {
        let connector = Connector::new(settings)?;
        let no_thread = |error: io::Error| OpenError::Unavailable(format!("no thread can be started: {error}"));
        let runtime = Builder::new_multi_thread()
            .worker_threads(IO_THREADS)
            // One for each connection, and as many for names of hosts that are looked up.
            .max_blocking_threads((settings.max_readers * 2 + 2) * 2)
            .thread_name("patd-postgres")
            .enable_all()
            .build()
            .map_err(no_thread)?;
        let (handle, background) = (runtime.handle().clone(), Background(Some(runtime)));
        let preparing = connector.clone();
        // The caller may run in a runtime of its own, where nothing may block.
        let prepared = std::thread::scope(|scope| scope.spawn(|| handle.block_on(prepare(&preparing, access))).join());
        prepared.unwrap_or_else(|_| Err(OpenError::Unavailable("the start panicked".to_owned())))?;
        let primary = Arc::<Primary>::default();
        let readers = |connections| Readers::new(&connector, &primary, connections);
        let (inventory_reader, long_readers) = (readers(1)?, readers(settings.max_readers.div_ceil(2))?);
        let readers = readers(settings.max_readers)?;
        let observers = Arc::new(Observers::default());
        let node = match access {
            Access::Server => {
                let name = settings.node_name.clone();
                let (observers, primary) = (Arc::clone(&observers), Arc::clone(&primary));
                let node = Node::start(connector.clone(), name, observers, primary).map_err(no_thread)?;
                Some(Arc::new(node))
            }
            _ => None,
        };
        let anchor = Anchor::new(node.clone()).map_err(no_thread)?;
        let measurements = Arc::<StoreMeasurements>::default();
        let finish = finisher(handle.clone(), readers.clone(), node.clone(), Arc::clone(&measurements));
        let headroom = Arc::<Headroom>::default();
        let (hearing, remembered) = (Arc::clone(&observers), Arc::clone(&headroom));
        let measured = Arc::clone(&measurements);
        let writer = Writer::start(connector, settings.write_queue, hearing, remembered, measured, anchor, finish);
        let writer = writer.map_err(no_thread)?;
        let look_ups = |by_hash| Arc::new(LookUps::new(by_hash, readers.clone(), node.clone()));
        Ok(Self {
            tokens: look_ups(tokens::BY_HASH),
            sessions: look_ups(sessions::BY_HASH),
            _runtime: background,
            runtime: handle,
            #[cfg(test)]
            primary,
            readers,
            long_readers,
            inventory_reader,
            translations: Arc::default(),
            writer,
            node,
            observers,
            headroom,
            shared: Arc::new(Shared::new()),
            measurements,
        })
    }

    /// Reads on a thread that may wait, in a transaction if `begin` has the statement that begins one. The thread is taken when
    /// there is a lease and a connection, so that no read that waits for those holds one.
    pub(super) fn read_on_thread<T, F>(&self, readers: &Readers, begin: Option<&'static str>, work: F) -> Reply<'_, T>
    where
        T: Send + 'static,
        F: FnOnce(&ReadConnection) -> Result<T, StoreError> + Send + 'static,
    {
        let (readers, node, translations) = (readers.clone(), self.node.clone(), Arc::clone(&self.translations));
        let runtime = self.runtime.clone();
        self.read_in_runtime(async move {
            let client = readers.get_under_lease(node.as_deref(), Instant::now() + TIME_LIMIT).await?;
            let read = spawn_blocking(move || {
                let connection = ReadConnection { client, runtime, translations };
                match begin {
                    None => {
                        let read = work(&connection);
                        give_back(connection.client, &read);
                        read
                    }
                    Some(begin) => ReadTransaction::run(connection, begin, work),
                }
            });
            read.await.unwrap_or_else(|panicked| Err(StoreError::Internal(format!("a read panicked: {panicked}"))))
        })
    }

    /// Looks up the row for the secret with this hash. The record is read from it on the thread of the caller, of which there are
    /// more than of those that wait for the server.
    pub(super) fn look_up<T: Send + 'static>(
        &self,
        kind: &Arc<LookUps>,
        hash: &TokenHash,
        record: impl FnOnce(&Row) -> Result<T, StoreError> + Send + 'static,
    ) -> Reply<'_, Option<T>> {
        let (look_ups, runtime, hash) = (Arc::clone(kind), self.runtime.clone(), *hash);
        Reply::Pending(Box::pin(async move {
            let row = look_ups.find(&runtime, hash).await?;
            row.map(|row| record(&row)).transpose()
        }))
    }

    /// Whether requests can be answered: whether there is a lease, which a write has renewed, and whether a read works.
    pub(super) fn readiness(&self) -> Reply<'_, Readiness> {
        let (readers, node, translations) = (self.readers.clone(), self.node.clone(), Arc::clone(&self.translations));
        self.read_in_runtime(async move {
            let deadline = Instant::now() + TIME_LIMIT;
            if let Some(node) = &node
                && !timeout_at(deadline.into(), node.lease()).await.is_ok_and(|lease| lease.is_ok())
            {
                return Ok(Readiness::NoLease);
            }
            let client = readers.get_under_lease(node.as_deref(), deadline).await?;
            let statement = translations.of(ANY_USER);
            let late = |_| Err(StoreError::Unavailable("PostgreSQL did not answer within 2 s".to_owned()));
            let read = timeout_at(deadline.into(), read_nothing(&client, &statement.text)).await.unwrap_or_else(late);
            give_back(client, &read);
            read.map(|()| Readiness::Ready)
        })
    }

    /// Runs where the connections of readers are, also if the caller stops waiting.
    fn read_in_runtime<T: Send + 'static>(
        &self,
        read: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Reply<'_, T> {
        let runtime = self.runtime.clone();
        Reply::Pending(Box::pin(async move {
            let read = runtime.spawn(read).await;
            read.unwrap_or_else(|panicked| Err(StoreError::Internal(format!("a read panicked: {panicked}"))))
        }))
    }
}

/// Begins with each host of the address once: one that accepts connections and says nothing takes all the time.
async fn prepare(connector: &Connector, access: Access) -> Result<(), OpenError> {
    let mut prepared = installation::prepare(connector, access).await;
    for _ in 1..connector.hosts() {
        if !matches!(prepared, Err(OpenError::Unavailable(_))) {
            break;
        }
        connector.begin_with_next_host();
        prepared = installation::prepare(connector, access).await;
    }
    prepared
}

/// A runtime that ends without a wait when it is dropped: that may be in another runtime, where nothing may block.
struct Background(Option<Runtime>);

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
