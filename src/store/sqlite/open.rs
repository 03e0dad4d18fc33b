//! How a database is opened: looked at before anything in it changes, locked, stepped up, and given its threads.

use std::{fs, io, path::Path, sync::Arc};

use rusqlite::ErrorCode;

use super::{
    binding::{acceptance, binder::LogBinder},
    changes::{Changes, SettleOnDrop},
    checkpoints::{CheckpointThresholds, Files, Wal},
    connect, diagnosis, file,
    headroom::Headroom,
    health::Health,
    inspection::{self, Depth, Found},
    locks::{self, Company, Database, OlderServerLock},
    migrations::{self, MigrationError},
    open_error::OpenError,
    schema,
    settings::{Access, SqliteSettings},
    shared::Shared,
    store::SqliteStore,
    watch::{Watch, Watcher},
    writer::{Queue, Tools, Writer},
};
use crate::{store::Change, threads::Threads};

/// Threads on which a point read waits that found no connection free. With more connections than threads that answer
/// requests, as it is by default, none ever does.
const POINT_READ_WAITERS: usize = 2;

/// By how much lists let the threads that answer requests go before ([`crate::priority`]).
const LIST_STEPS_BACK: i32 = 15;

impl SqliteStore {
    /// Opens the database, creates it or brings it to this release's schema. What is not a sound database of patd is
    /// refused and left as it is.
    pub fn open(settings: &SqliteSettings, access: Access) -> Result<Self, OpenError> {
        Self::open_within(settings, access, CheckpointThresholds::default())
    }

    pub(super) fn open_within(
        settings: &SqliteSettings,
        access: Access,
        limits: CheckpointThresholds,
    ) -> Result<Self, OpenError> {
        let path = file::canonical(&settings.path)?;
        if access != Access::Existing || path.exists() {
            diagnosis::expect_writable(&path)?;
        }
        let database = Arc::new(existing_or_new(&path, access)?);
        if access == Access::Server {
            database.serve()?;
        }
        // From here on to the end of the upgrade, nobody else opens it.
        let opening = database.begin_opening(locks::PATIENCE)?;
        if !database.is_in_place() {
            let detail = "another file took its place in this moment".into();
            return Err(OpenError::Inaccessible { path, detail });
        }
        // Who is alone judges the log. If others are there, one of them did.
        let company = opening.join()?;
        let log = match company {
            Company::Alone => acceptance::accept(&database)?,
            Company::Others => acceptance::LogState::Bound,
        };
        let depth = if log == acceptance::LogState::Unbound { Depth::Full } else { Depth::Quick };
        let found = inspection::inspect(&path, depth, settings.busy_timeout)?;
        let older_server = match found {
            Found::Ours(version) if version < schema::VERSION => keep_older_servers_out(&database, access, version)?,
            Found::Ours(_) | Found::Empty => None,
        };
        if access == Access::Server {
            file::warn_if_exposed(&path);
            file::warn_if_many_names(&path);
        }
        let refused = |error: rusqlite::Error| OpenError::Inaccessible {
            path: path.clone(),
            detail: diagnosis::explain(&error, &path),
        };
        let failed = |error| diagnosis::inaccessible(&path, &error);
        let mut connection = connect::writer(&path, settings.busy_timeout).map_err(refused)?;
        migrations::migrate(&mut connection).map_err(|error| unmigrated(&path, &error))?;
        if let Some(lock) = older_server {
            lock.remove();
        }
        let watch = Arc::new(Watch::new(&path).map_err(failed)?);
        let is_server = access == Access::Server;
        let mut binder =
            LogBinder::new(Arc::clone(&database), Arc::clone(&watch), &connection, is_server).map_err(refused)?;
        if company == Company::Alone
            && (log != acceptance::LogState::Empty || found != Found::Ours(schema::VERSION))
            // What a crash left, and what an upgrade wrote, is in the file before anything is added.
            && let Err(error) = binder.checkpoint_and_truncate(&connection)
        {
            // Until it can be, reads are answered and writes are not.
            log::error!("store: the log cannot be checkpointed into {}: {error}", path.display());
        }
        drop(opening);
        let health = Arc::new(Health::default());
        let watcher = Watcher::start(Arc::clone(&watch), Arc::clone(&health)).map_err(failed)?;
        let readers = |count| {
            connect::readers(path.clone(), settings, access, count, Arc::clone(&watch)).map_err(|error| {
                OpenError::Inaccessible { path: path.clone(), detail: diagnosis::with_cause(error.to_string(), &path) }
            })
        };
        let (pool, long_readers) = (readers(settings.readers)?, readers(settings.readers.div_ceil(2))?);
        let waiters = Threads::start("patd-reader", POINT_READ_WAITERS).map_err(failed)?;
        let long_threads =
            Threads::start_with_lower_priority("patd-list", long_readers.max_size() as usize, LIST_STEPS_BACK)
                .map_err(failed)?;
        let inventory_reader = readers(1)?;
        let inventory_thread = Threads::start("patd-inventory", 1).map_err(failed)?;
        let changes = Arc::new(Changes::new());
        let headroom = Arc::new(Headroom::default());
        changes.observe(Box::new({
            let headroom = Arc::clone(&headroom);
            move |change| {
                if change == Change::Anything {
                    headroom.forget();
                }
            }
        }));
        let folding = connect::checkpoints(&path, &watch).map_err(refused)?;
        let files = Files { database: Arc::clone(&database), watch: Arc::clone(&watch) };
        let log = Wal::start(folding, files, settings.busy_timeout, limits).map_err(failed)?;
        let queue = Queue { capacity: settings.write_queue, busy_timeout: settings.busy_timeout };
        let tools = Tools { binder, watch: Arc::clone(&watch), health: Arc::clone(&health) };
        let writer = Writer::start(connection, log, tools, queue, Arc::clone(&changes)).map_err(failed)?;
        let patience = (access != Access::Server)
            .then(|| SettleOnDrop { changes: Arc::clone(&changes), database: Arc::clone(&database) });
        let pool_timeout = settings.pool_timeout;
        Ok(Self {
            _watcher: watcher,
            waiters,
            long_threads,
            inventory_thread,
            pool,
            long_readers,
            inventory_reader,
            writer,
            watch,
            changes,
            health,
            headroom,
            shared: Arc::new(Shared::new()),
            pool_timeout,
            _patience: patience,
            _database: database,
        })
    }
}

/// Opens the file for its locks. Where there is none, a process that may create one makes it, empty.
fn existing_or_new(path: &Path, access: Access) -> Result<Database, OpenError> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            inspection::expect_no_changes_in_log(path)?;
            if access == Access::Existing {
                return Err(OpenError::Missing { path: path.to_owned() });
            }
            file::create_private(path)?;
        }
        Err(error) => return Err(diagnosis::inaccessible(path, &error)),
        Ok(metadata) if !metadata.is_file() => {
            return Err(OpenError::Inaccessible { path: path.to_owned(), detail: "it is not a regular file".into() });
        }
        Ok(_) => {}
    }
    Database::open(path)
}

/// A server is not told that the schema changes under it. So nobody upgrades a file that a server has, of this release or
/// of one that locked another file.
fn keep_older_servers_out(
    database: &Database,
    access: Access,
    found: i64,
) -> Result<Option<OlderServerLock>, OpenError> {
    let path = database.path();
    let in_use = || OpenError::InUse { path: path.to_owned(), found, known: schema::VERSION };
    if access != Access::Server
        && database.is_served_by_another().map_err(|error| diagnosis::inaccessible(path, &error))?
    {
        return Err(in_use());
    }
    OlderServerLock::take(path).map_err(|error| match error {
        OpenError::Served { .. } => in_use(),
        other => other,
    })
}

fn unmigrated(path: &Path, error: &MigrationError) -> OpenError {
    let path = path.to_owned();
    match error {
        MigrationError::Newer(found) => OpenError::Newer { path, found: *found, known: schema::VERSION },
        MigrationError::TooOld(found) => OpenError::TooOld { path, found: *found, oldest: schema::OLDEST },
        MigrationError::Foreign => OpenError::Foreign { path },
        MigrationError::Sqlite(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt) => {
            OpenError::Corrupt { path, detail: error.to_string() }
        }
        MigrationError::Sqlite(_) | MigrationError::Dangling(_) => {
            OpenError::Migration { path, detail: error.to_string() }
        }
    }
}
