//! The composition root: builds the parts of patd from the settings.
//!
//! `patd serve`, `patd dev`, commands that work without a server, and the tests all start here, so that they run on the
//! same parts. A server is built in this order: [`open_store`], [`with_cache`], [`start_context`], [`listen`],
//! [`start_server`].

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
};

use crate::{
    config::{Cache, Config, DatabaseUrl},
    ops::{self, Context, clock::Clock},
    server::Server,
    store::{
        Access, Backend, Database,
        cache::Capacity,
        postgres::{self, PostgresSettings, PostgresStore},
        sqlite::{self, SqliteSettings, SqliteStore},
    },
};

/// Why the database was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A file.
    #[error(transparent)]
    Sqlite(#[from] sqlite::OpenError),
    /// A database of PostgreSQL.
    #[error(transparent)]
    Postgres(#[from] postgres::OpenError),
}

/// Opens the database: a file, or a database of PostgreSQL.
pub fn open_store(config: &Config, access: Access) -> Result<Database, OpenError> {
    match &config.database.url {
        None => Ok(Database::new(Arc::new(open_sqlite(config, access)?))),
        Some(url) => Ok(Database::new(Arc::new(open_postgres(config, url, access)?))),
    }
}

fn open_postgres(config: &Config, url: &DatabaseUrl, access: Access) -> Result<PostgresStore, postgres::OpenError> {
    let settings = PostgresSettings {
        url: url.expose().to_owned(),
        ca_file: config.database.ca_file.clone(),
        max_readers: config.database.readers as usize,
        write_queue: config.database.write_queue,
        node_name: format!("{} {}", host_name(), config.server.bind),
    };
    PostgresStore::open(&settings, access)
}

/// What this machine calls itself.
fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

fn open_sqlite(config: &Config, access: Access) -> Result<SqliteStore, sqlite::OpenError> {
    let database = &config.database;
    let settings = SqliteSettings {
        path: database.path.clone(),
        readers: database.readers,
        pool_timeout: database.pool_timeout,
        busy_timeout: database.busy_timeout,
        write_queue: database.write_queue,
    };
    SqliteStore::open(&settings, access)
}

/// Puts the cache in front of the store, unless `cache.tokens` is 0.
pub fn with_cache(config: &Config, database: Database) -> Backend {
    let Cache { tokens, sessions, unknown } = config.cache;
    match tokens {
        0 => database.uncached(),
        _ => database.cached(Capacity { tokens, sessions, unknown }),
    }
}

/// What the server does if the system clock contradicts the times in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SystemClock {
    /// It issues nothing until the system clock is corrected.
    Checked,
    /// It follows the system clock and replaces the latest time in the database.
    Trusted,
}

/// The operations of a server: starts the threads for passwords, restores the attempt counters and checks the clock.
pub async fn start_context(
    config: &Config,
    backend: Backend,
    clock: Clock,
    system_clock: SystemClock,
) -> Result<Context, ops::Error> {
    let context = Context::new(config, backend, clock)?;
    if system_clock == SystemClock::Trusted {
        context.trust_system_clock().await?;
    }
    context.start().await?;
    Ok(context)
}

/// The operations of a command that works without a server. It makes too few look-ups to need a cache.
pub async fn command_context(config: &Config, database: Database) -> Result<Context, ops::Error> {
    let context = Context::new(config, database.uncached(), Clock::system())?;
    context.start_clock().await?;
    Ok(context)
}

/// Binds the address. Connections wait until [`start_server`] has started the workers.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address)
}

/// Starts the server and waits until all its workers run. The background work starts with [`Server::run`]. Works only
/// within [`crate::server::block_on`].
pub async fn start_server(config: &Config, listener: TcpListener, context: Context) -> io::Result<Server> {
    let mut server = Server::start(config, listener, context)?;
    server.workers_ready().await?;
    Ok(server)
}
