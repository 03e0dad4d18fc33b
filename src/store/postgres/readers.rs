//! The connections that read.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use deadpool_postgres::{Hook, HookError, Object, Pool, PoolError, Runtime, Timeouts};

use super::{
    connector::{Connector, SESSION, no_connection},
    settings::{SettingsError, TIME_LIMIT},
};
use crate::store::StoreError;

/// When the process of the server started, in microseconds. It tells two servers apart.
pub(super) const STARTED: &str = "SELECT (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint";

/// The server on which this node renews its lease. After a failover, the old primary may still answer reads, or come back with
/// its old data, and a lease of the new one says nothing about those.
#[derive(Default)]
pub(crate) struct Primary(Mutex<Option<(i64, Instant)>>);

impl Primary {
    /// The lease is renewed on this server from now on, as [`STARTED`] names it. Call it before the first renewal there.
    pub(super) fn renews_on(&self, started: i64) {
        let mut primary = self.lock();
        if primary.is_none_or(|(known, _)| known != started) {
            *primary = Some((started, Instant::now()));
        }
    }

    /// What names the server. `None` in a process without a lease, and before its first renewal.
    pub(super) fn started(&self) -> Option<i64> {
        self.lock().map(|(started, _)| started)
    }

    /// Whether a connection that was made then may be to another server.
    fn may_differ(&self, made: Instant) -> bool {
        self.lock().is_some_and(|(_, since)| made <= since)
    }

    fn lock(&self) -> MutexGuard<'_, Option<(i64, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A pool of connections to the primary. A standby does not know yet what was just revoked.
#[derive(Clone)]
pub(crate) struct Readers {
    pool: Pool,
    primary: Arc<Primary>,
}

impl Readers {
    /// Connects to nothing yet.
    pub(crate) fn new(connector: &Connector, max_connections: usize) -> Result<Self, SettingsError> {
        let primary = Arc::<Primary>::default();
        let (made, reused) = (Arc::clone(&primary), Arc::clone(&primary));
        let set_up = Hook::async_fn(move |client: &mut deadpool_postgres::ClientWrapper, _| {
            let primary = Arc::clone(&made);
            Box::pin(async move {
                client.batch_execute(SESSION).await.map_err(HookError::Backend)?;
                let started: i64 = client.query_one(STARTED, &[]).await.map_err(HookError::Backend)?.get(0);
                match primary.started() {
                    Some(primary) if primary != started => {
                        Err(HookError::message("this node has its lease on another server"))
                    }
                    _ => Ok(()),
                }
            })
        });
        let check = Hook::sync_fn(move |_, metrics| match reused.may_differ(metrics.created) {
            true => Err(HookError::message("it may be to another server")),
            false => Ok(()),
        });
        let limit = Some(TIME_LIMIT);
        let pool = Pool::builder(connector.manager())
            .max_size(max_connections)
            .timeouts(Timeouts { wait: limit, create: limit, recycle: limit })
            .runtime(Runtime::Tokio1)
            .post_create(set_up)
            .pre_recycle(check)
            .build()
            .map_err(|error| SettingsError::Url(error.to_string()))?;
        Ok(Self { pool, primary })
    }

    /// The server that may be read from. The thread of the lease sets it.
    pub(super) const fn primary(&self) -> &Arc<Primary> {
        &self.primary
    }

    /// A connection.
    pub(super) async fn get(&self) -> Result<Object, StoreError> {
        self.pool.get().await.map_err(|error| match error {
            PoolError::Timeout(_) => StoreError::NotMade("no connection to PostgreSQL within 2 s".into()),
            PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => no_connection(&error),
            other => StoreError::NotMade(format!("no connection to PostgreSQL: {other}")),
        })
    }
}
