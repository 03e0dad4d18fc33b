//! The composition root: builds the parts of patd from the settings.
//!
//! `patd serve`, `patd dev`, commands that work without a server, and the tests all start here, so that they run on the
//! same parts. A server is built in this order: [`open_store`], [`with_cache`], [`start_context`], [`listen`],
//! [`start_server`].

use std::{
    io,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    config::{Cache, Config},
    domain::{
        audit::{Attribution, RequestSource},
        finding::Finding,
        node::{NodeState, NodeStatus},
        replay::TrailEvent,
        time::Timestamp,
    },
    ops::{self, Context, clock::Clock},
    server::{self, Server},
    store::{
        Access, Backend, Copied, CopyError, CopyProgress, Database, Restored, Restoring, StoreError,
        cache::Capacity,
        postgres::{self, PostgresCopyEnd, PostgresSettings, PostgresStore},
        sql::{
            clock,
            copy::{self, CopyEnd},
            restore,
        },
        sqlite::{
            self, BackedUp, BackupError, BackupProgress, Restoration, SqliteCopyEnd, SqliteSettings, SqliteStore,
        },
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
        None => {
            let settings = sqlite_settings(config, &config.database.path);
            Ok(Database::new(Arc::new(SqliteStore::open(&settings, access)?)))
        }
        Some(url) => {
            let settings = postgres_settings(config, url.expose(), config.database.ca_file.clone());
            Ok(Database::new(Arc::new(PostgresStore::open(&settings, access)?)))
        }
    }
}

fn postgres_settings(config: &Config, url: &str, ca_file: Option<PathBuf>) -> PostgresSettings {
    PostgresSettings {
        url: url.to_owned(),
        ca_file,
        max_readers: config.database.readers as usize,
        write_queue: config.database.write_queue,
        node_name: format!("{} {}", host_name(), config.server.bind),
    }
}

/// What this machine calls itself.
fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

fn sqlite_settings(config: &Config, path: &Path) -> SqliteSettings {
    let database = &config.database;
    SqliteSettings {
        path: path.to_owned(),
        readers: database.readers,
        pool_timeout: database.pool_timeout,
        busy_timeout: database.busy_timeout,
        write_queue: database.write_queue,
    }
}

/// The two databases of a copy: a file, and a database of PostgreSQL.
pub(crate) struct CopyPlaces {
    pub(crate) file: PathBuf,
    pub(crate) url: String,
    /// [`config::Database::ca_file`](crate::config::Database::ca_file) if there is none.
    pub(crate) ca_file: Option<PathBuf>,
    /// From the file to PostgreSQL, or back.
    pub(crate) is_to_postgres: bool,
}

/// Why a database was not copied. No message contains a password.
#[derive(Debug)]
pub(crate) enum CopyFailure {
    /// One of the two cannot be opened.
    Open(OpenError),
    /// The copy failed.
    Copy(CopyError),
}

/// Copies a database, or goes on with a copy that was interrupted. It blocks, so it must not run in a runtime.
pub(crate) fn copy_database(
    config: &Config,
    places: &CopyPlaces,
    on_progress: &mut dyn FnMut(CopyProgress),
) -> Result<Copied, CopyFailure> {
    let sqlite = |access| {
        let settings = sqlite_settings(config, &places.file);
        SqliteCopyEnd::open(&settings, access).map_err(|error| CopyFailure::Open(error.into()))
    };
    let postgres = |access| {
        let ca_file = places.ca_file.clone().or_else(|| config.database.ca_file.clone());
        let settings = postgres_settings(config, &places.url, ca_file);
        PostgresCopyEnd::open(&settings, access).map_err(|error| CopyFailure::Open(error.into()))
    };
    // The source is opened and looked at first: if it cannot be copied, no empty target is left behind.
    let copied = match places.is_to_postgres {
        true => {
            let source = sqlite(Access::CopySource)?;
            copy::expect_complete_source(&source).map_err(CopyFailure::Copy)?;
            copy::copy(&source, &postgres(Access::CopyTarget)?, on_progress)
        }
        false => {
            let source = postgres(Access::CopySource)?;
            copy::expect_complete_source(&source).map_err(CopyFailure::Copy)?;
            copy::copy(&source, &sqlite(Access::CopyTarget)?, on_progress)
        }
    };
    copied.map_err(CopyFailure::Copy)
}

/// Examines the database. It blocks, and reads the whole file.
pub(crate) fn examine_database(config: &Config, now: Timestamp) -> Vec<Finding> {
    let database = &config.database;
    if database.url.is_none() {
        return sqlite::examine(&database.path, database.busy_timeout, now);
    }
    let nodes = server::block_on(async {
        let context = command_context(config, open_store(config, Access::Existing).map_err(|error| error.to_string())?);
        let nodes = ops::nodes::list(&context.await.map_err(|error| error.to_string())?).await;
        nodes.map_err(|error| error.to_string())
    });
    examine_nodes(nodes)
}

fn examine_nodes(nodes: Result<Vec<NodeStatus>, String>) -> Vec<Finding> {
    const DATABASE: &str = "database";
    const NODES: &str = "nodes";
    let nodes = match nodes {
        Ok(nodes) => nodes,
        Err(error) => {
            return vec![Finding::bad(DATABASE, error, "correct database.url, or start PostgreSQL")];
        }
    };
    let mut findings = vec![Finding::good(DATABASE, "PostgreSQL answers, and the schema is that of this release")];
    let own = env!("CARGO_PKG_VERSION");
    for node in nodes.iter().filter(|node| node.state == NodeState::Active) {
        let text = format!("{} is patd {}, {} changes behind", node.name, node.version, node.behind);
        findings.push(match node.version == own {
            true => Finding::good(NODES, text),
            false => Finding::warning(NODES, text, format!("restart it with this release, {own}")),
        });
    }
    findings
}

/// Copies the SQLite file into the new file `target` while it is in use. It blocks.
pub(crate) fn back_up(
    config: &Config,
    target: &Path,
    bytes_per_second: u64,
    on_progress: &mut dyn FnMut(BackupProgress),
) -> Result<BackedUp, BackupError> {
    let database = &config.database;
    sqlite::back_up(&database.path, target, bytes_per_second, database.busy_timeout, on_progress)
}

/// A backup to put in the place of the SQLite file.
pub(crate) struct BackupFile {
    pub(crate) file: PathBuf,
    /// The new name of the present file, if it is to be replaced. Otherwise there must be none.
    pub(crate) kept: Option<PathBuf>,
}

/// What a restored database knew last.
pub(crate) struct KnownLast {
    /// Its last event.
    pub(crate) event: Option<TrailEvent>,
    /// The latest time.
    pub(crate) time: Option<Timestamp>,
    /// Whether its events have numbers without gaps.
    pub(crate) without_gaps: bool,
    /// The time now.
    pub(crate) now: Timestamp,
}

/// Why a database was not restored. It is as it was.
#[derive(Debug)]
pub(crate) enum RestoreFailure<E> {
    /// A file cannot be opened or written.
    File(BackupError),
    /// The database in PostgreSQL cannot be opened.
    Postgres(postgres::OpenError),
    /// The database fails.
    Store(StoreError),
    /// A node has the database open.
    InUse(String),
    /// The clock is before a time in the backup.
    Clock { now: Timestamp, latest: Timestamp },
    /// The decision failed.
    Decision(E),
}

impl<E> From<StoreError> for RestoreFailure<E> {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Puts a backup in the place of the SQLite file, or takes the database as it is, and ends in it what `decide` says. It blocks,
/// and no server may use the database meanwhile.
pub(crate) fn restore<E>(
    config: &Config,
    backup: Option<&BackupFile>,
    decide: impl FnOnce(KnownLast) -> Result<Restoring, E>,
) -> Result<Restored, RestoreFailure<E>> {
    let sqlite = |path: &Path| {
        let opened = SqliteCopyEnd::open(&sqlite_settings(config, path), Access::CopySource);
        opened.map_err(|error| RestoreFailure::File(error.into()))
    };
    match (&config.database.url, backup) {
        (Some(url), _) => {
            let settings = postgres_settings(config, url.expose(), config.database.ca_file.clone());
            let end = PostgresCopyEnd::open(&settings, Access::CopySource).map_err(RestoreFailure::Postgres)?;
            restore_in(&end, decide)
        }
        (None, None) => restore_in(&sqlite(&config.database.path)?, decide),
        (None, Some(BackupFile { file, kept })) => {
            let settings = sqlite_settings(config, &config.database.path);
            let restoration = Restoration::begin(file, &settings, kept.is_some()).map_err(RestoreFailure::File)?;
            let restored = restore_in(&sqlite(restoration.path())?, decide)?;
            restoration.finish(kept.as_deref()).map_err(RestoreFailure::File)?;
            Ok(restored)
        }
    }
}

fn restore_in<C: CopyEnd, E>(
    end: &C,
    decide: impl FnOnce(KnownLast) -> Result<Restoring, E>,
) -> Result<Restored, RestoreFailure<E>> {
    if let Some(node) = end.active_node()? {
        return Err(RestoreFailure::InUse(node));
    }
    let now = Clock::system().now();
    let (event, time) =
        end.read(|connection| Ok((restore::last_event(connection)?, clock::latest_time(connection)?)))?;
    if let Some(latest) = time.filter(|latest| *latest > now) {
        return Err(RestoreFailure::Clock { now, latest });
    }
    let event = event.map(|event| TrailEvent { seq: event.seq, at: event.by.at, entry: event.entry });
    let known = KnownLast { event, time, without_gaps: C::NUMBERS_WITHOUT_GAPS, now };
    let restoring = decide(known).map_err(RestoreFailure::Decision)?;
    let by = Attribution { origin: RequestSource::COMMAND_LINE, at: now };
    Ok(restore::restore(end, &restoring, &by)?)
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
