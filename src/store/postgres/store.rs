//! The open database: its threads and connections, and which of them runs which work.

use std::{io, sync::Arc};

use tokio::runtime::{Builder, Handle, Runtime};

use super::{
    connector::Connector,
    installation::{self, OpenError},
    node::Node,
    observers::Observers,
    readers::Readers,
    reading::{ReadConnection, ReadTransaction, Translations},
    revocation::finisher,
    settings::PostgresSettings,
    writer::Writer,
};
use crate::store::{
    Access, Reply, StoreError,
    sql::{headroom::Headroom, shared::Shared},
};

/// Threads of the runtime that drives the connections of readers.
const IO_THREADS: usize = 2;

/// Users, sessions and tokens in a database of PostgreSQL, which several nodes share.
pub struct PostgresStore {
    _runtime: Background,
    pub(super) runtime: Handle,
    pub(super) readers: Readers,
    pub(super) translations: Arc<Translations>,
    pub(super) writer: Writer,
    /// `None` in a command, which answers no checks from memory.
    pub(super) node: Option<Arc<Node>>,
    pub(super) observers: Arc<Observers>,
    pub(super) headroom: Arc<Headroom>,
    pub(super) shared: Arc<Shared>,
}

impl PostgresStore {
    /// Opens the database, and creates its tables if necessary. A database that this program cannot use is refused and not
    /// changed. It blocks until the server has answered.
    pub fn open(settings: &PostgresSettings, access: Access) -> Result<Self, OpenError> {
        let connector = Connector::new(settings)?;
        let no_thread = |error: io::Error| OpenError::Unavailable(format!("no thread can be started: {error}"));
        let runtime = Builder::new_multi_thread()
            .worker_threads(IO_THREADS)
            .max_blocking_threads(settings.max_readers * 2)
            .thread_name("patd-postgres")
            .enable_all()
            .build()
            .map_err(no_thread)?;
        let (handle, background) = (runtime.handle().clone(), Background(Some(runtime)));
        let preparing = connector.clone();
        // The caller may run in a runtime of its own, where nothing may block.
        let prepared = std::thread::scope(|scope| {
            scope.spawn(|| handle.block_on(installation::prepare(&preparing, access))).join()
        });
        prepared.unwrap_or_else(|_| Err(OpenError::Unavailable("the start panicked".to_owned())))?;
        let readers = Readers::new(&connector, settings.max_readers)?;
        let observers = Arc::new(Observers::default());
        let node = match access {
            Access::Server => {
                let name = settings.node_name.clone();
                let (observers, primary) = (Arc::clone(&observers), Arc::clone(readers.primary()));
                let node = Node::start(connector.clone(), name, observers, primary).map_err(no_thread)?;
                Some(Arc::new(node))
            }
            _ => None,
        };
        let finish = finisher(handle.clone(), readers.clone(), node.clone());
        let headroom = Arc::<Headroom>::default();
        let (hearing, remembered) = (Arc::clone(&observers), Arc::clone(&headroom));
        let writer = Writer::start(connector, settings.write_queue, hearing, remembered, finish).map_err(no_thread)?;
        Ok(Self {
            _runtime: background,
            runtime: handle,
            readers,
            translations: Arc::default(),
            writer,
            node,
            observers,
            headroom,
            shared: Arc::new(Shared::new()),
        })
    }

    /// Reads on a thread that may wait, in a transaction if `begin` has the statement that begins one.
    pub(super) fn read_on_thread<T, F>(&self, begin: Option<&'static str>, work: F) -> Reply<'_, T>
    where
        T: Send + 'static,
        F: FnOnce(&ReadConnection) -> Result<T, StoreError> + Send + 'static,
    {
        let (handle, readers, translations) =
            (self.runtime.clone(), self.readers.clone(), Arc::clone(&self.translations));
        let node = self.node.clone();
        Reply::Pending(Box::pin(async move {
            let within = handle.clone();
            let read = handle.spawn_blocking(move || {
                let client = within.block_on(async {
                    // Without a lease, the server may not be the primary any more.
                    if let Some(node) = &node {
                        node.lease().await?;
                    }
                    readers.get().await
                })?;
                let connection = ReadConnection { client, runtime: within, translations };
                match begin {
                    None => work(&connection),
                    Some(begin) => ReadTransaction::run(connection, begin, work),
                }
            });
            read.await.unwrap_or_else(|panicked| Err(StoreError::Internal(format!("a read panicked: {panicked}"))))
        }))
    }
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
