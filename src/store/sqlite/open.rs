//! Opens a database: locks it, inspects it before anything changes, upgrades its schema, and starts the threads.

use std::{fs, io, mem, path::Path, sync::Arc};

use rusqlite::ErrorCode;

use super::{
    binding::{acceptance, binder::LogBinder},
    changes::{Changes, SettleOnDrop},
    checkpoints::{CheckpointThresholds, Files, Wal},
    connect, diagnosis, file,
    health::Health,
    inspection::{self, Depth, Found},
    locks::{self, Database, OlderServerLock, Sharing},
    migrations::{self, MigrationError},
    open_error::OpenError,
    schema,
    settings::SqliteSettings,
    store::SqliteStore,
    watch::{Watch, Watcher},
    writer::{Queue, Writer, WriterContext},
};
use crate::{
    store::{
        Access, Change, StoreMeasurements,
        sql::{copy, headroom::Headroom, shared::Shared},
    },
    threads::Threads,
};

/// Threads on which point reads wait if no connection is free. By default there are more connections than threads that
/// answer requests, so no point read waits.
const POINT_READ_WAITERS: usize = 2;

/// How much lower the priority of lists is than that of the threads that answer requests ([`crate::priority`]).
const LIST_NICE: i32 = 15;

impl SqliteStore {
    /// Opens the database. Creates it or upgrades its schema if necessary. A file that is not a sound database of patd is
    /// refused and not changed.
    pub fn open(settings: &SqliteSettings, access: Access) -> Result<Self, OpenError> {
        Self::open_within(settings, access, CheckpointThresholds::default())
    }

    pub(super) fn open_within(
        settings: &SqliteSettings,
        access: Access,
        thresholds: CheckpointThresholds,
    ) -> Result<Self, OpenError> {
        let path = file::canonical(&settings.path)?;
        if access.creates() || path.exists() {
            diagnosis::expect_writable(&path)?;
        }
        let database = Arc::new(existing_or_new(&path, access)?);
        if access == Access::Server || access.is_exclusive() {
            database.serve()?;
        }
        // Until the upgrade has ended, no other process can open the database.
        let opening = database.begin_opening(locks::OPENING_TIMEOUT)?;
        if !database.is_in_place() {
            let detail = "another file replaced it just now".into();
            return Err(OpenError::Inaccessible { path, detail });
        }
        // Only the first process checks the log. If there are others, one of them has done it.
        let sharing = opening.join()?;
        if access.is_exclusive() && sharing == Sharing::Shared {
            return Err(OpenError::OpenElsewhere { path });
        }
        let log = match sharing {
            Sharing::Alone => acceptance::accept(&database)?,
            Sharing::Shared => acceptance::LogState::Bound,
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
        let is_unfinished = copy::is_unfinished(&connection)
            .map_err(|error| OpenError::Inaccessible { path: path.clone(), detail: error.to_string() })?;
        if is_unfinished && !access.is_exclusive() {
            return Err(OpenError::UnfinishedCopy { path });
        }
        let watch = Arc::new(Watch::new(&path).map_err(failed)?);
        let is_server = access == Access::Server;
        let mut binder =
            LogBinder::new(Arc::clone(&database), Arc::clone(&watch), &connection, is_server).map_err(refused)?;
        if sharing == Sharing::Alone
            && (log != acceptance::LogState::Empty || found != Found::Ours(schema::VERSION))
            // The changes of a crashed process and of the upgrade must be in the file before new ones are added.
            && let Err(error) = binder.checkpoint_and_truncate(&connection)
        {
            // Until this succeeds, reads are answered and writes are not.
            log::error!("store: the log cannot be checkpointed into {}: {error}", path.display());
        }
        match access.is_exclusive() {
            // Others wait for the lock of an opening until the database is dropped, which releases it.
            true => mem::forget(opening),
            false => drop(opening),
        }
        let health = Arc::new(Health::default());
        let watcher = Watcher::start(Arc::clone(&watch), Arc::clone(&health)).map_err(failed)?;
        let readers = |count| {
            connect::readers(path.clone(), settings, access, count, Arc::clone(&watch)).map_err(|error| {
                OpenError::Inaccessible { path: path.clone(), detail: diagnosis::with_cause(error.to_string(), &path) }
            })
        };
        let (pool, long_readers) = (readers(settings.readers)?, readers(settings.readers.div_ceil(2))?);
        let waiters = Threads::start("patd-reader", POINT_READ_WAITERS).map_err(failed)?;
        let long_threads = Threads::start_with_lower_priority("patd-list", long_readers.max_size() as usize, LIST_NICE)
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
        let checkpoint_connection = connect::checkpoints(&path, &watch).map_err(refused)?;
        let files = Files { database: Arc::clone(&database), watch: Arc::clone(&watch) };
        let log = Wal::start(checkpoint_connection, files, settings.busy_timeout, thresholds).map_err(failed)?;
        let queue = Queue { capacity: settings.write_queue, busy_timeout: settings.busy_timeout };
        let measurements = Arc::<StoreMeasurements>::default();
        let (watched, healthy, measured) = (Arc::clone(&watch), Arc::clone(&health), Arc::clone(&measurements));
        let context = WriterContext { binder, watch: watched, health: healthy, measurements: measured };
        connect::checkpoint_on_close(&connection).map_err(refused)?;
        let writer = Writer::start(connection, log, context, queue, Arc::clone(&changes)).map_err(failed)?;
        let settle_on_drop = matches!(access, Access::Create | Access::Existing)
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
            measurements,
            pool_timeout,
            _settle_on_drop: settle_on_drop,
            _database: database,
        })
    }
}

/// Opens the file to lock it. If there is none, creates an empty file if `access` allows that.
fn existing_or_new(path: &Path, access: Access) -> Result<Database, OpenError> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let log = inspection::expect_no_changes_in_log(path);
            // Another process may have created both files since the file was looked for.
            if log.is_err() && path.exists() {
                return existing_or_new(path, access);
            }
            log?;
            if !access.creates() {
                return Err(OpenError::Missing { path: path.to_owned() });
            }
            file::create_private(path)?;
        }
        Err(error) => return Err(diagnosis::inaccessible(path, &error)),
        Ok(metadata) if !metadata.is_file() => {
            return Err(OpenError::Inaccessible { path: path.to_owned(), detail: "it is not a regular file".into() });
        }
        Ok(metadata) if metadata.len() == 0 && access.creates() => file::sync_directory(path)?,
        Ok(_) => {}
    }
    Database::open(path)
}

/// Refuses an upgrade while a server has the file, of this release or of one that locked another file: the server would not
/// notice the new schema.
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
