//! The connections that read.

use std::{sync::Arc, time::Instant};

use deadpool_postgres::{Hook, HookError, Object, Pool, PoolError, Runtime, Timeouts};
use tokio::{sync::Semaphore, time::timeout_at};

use super::{
    connector::{Connector, SESSION, no_connection},
    node::Node,
    primary::{Primary, STARTED},
    settings::{SettingsError, TIME_LIMIT},
};
use crate::store::StoreError;

/// How many reads of a kind may wait for a lease and a connection. More would only wait for the same time-out.
const MAX_WAITING: usize = 1024;

/// A pool of connections to the primary, for one kind of reads. A standby does not know yet what was just revoked.
#[derive(Clone)]
pub(crate) struct Readers {
    pool: Pool,
    primary: Arc<Primary>,
    places: Arc<Semaphore>,
}

impl Readers {
    /// Connects to nothing yet.
    pub(crate) fn new(
        connector: &Connector,
        primary: &Arc<Primary>,
        max_connections: usize,
    ) -> Result<Self, SettingsError> {
        let (made, reused) = (Arc::clone(primary), Arc::clone(primary));
        let set_up = Hook::async_fn(move |client: &mut deadpool_postgres::ClientWrapper, _| {
            let primary = Arc::clone(&made);
            Box::pin(async move {
                client.batch_execute(SESSION).await.map_err(HookError::Backend)?;
                let started: i64 = client.query_one(STARTED, &[]).await.map_err(HookError::Backend)?.get(0);
                match primary.renewed() {
                    Some(primary) if primary.started != started => {
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
        Ok(Self { pool, primary: Arc::clone(primary), places: Arc::new(Semaphore::new(MAX_WAITING)) })
    }

    /// A connection.
    pub(super) async fn get(&self) -> Result<Object, StoreError> {
        self.pool.get().await.map_err(|error| match error {
            PoolError::Timeout(_) => StoreError::NotMade("no connection to PostgreSQL within 2 s".into()),
            PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => no_connection(&error),
            other => StoreError::NotMade(format!("no connection to PostgreSQL: {other}")),
        })
    }

    /// A connection to the server on which `node` has its lease, for a read that comes afterwards. Without a node, which is in a
    /// command, any connection. It waits until `deadline`, but not at all behind too many others.
    pub(super) async fn get_under_lease(&self, node: Option<&Node>, deadline: Instant) -> Result<Object, StoreError> {
        let _place =
            self.places.try_acquire().map_err(|_| StoreError::NotMade("too many reads are waiting".to_owned()))?;
        let late = |_| Err(StoreError::NotMade("no lease and connection to PostgreSQL within 2 s".to_owned()));
        timeout_at(deadline.into(), self.wait_for_connection(node)).await.unwrap_or_else(late)
    }

    async fn wait_for_connection(&self, node: Option<&Node>) -> Result<Object, StoreError> {
        let Some(node) = node else { return self.get().await };
        loop {
            node.lease().await?;
            let renewed = self.primary.renewed();
            // Looked at after the server: the thread that changes the server gives up the lease of the old one first. So the lease is
            // one of this server, unless the server is another one below.
            if !node.may_answer() {
                continue;
            }
            let connection = self.get().await?;
            if self.primary.renewed() == renewed {
                return Ok(connection);
            }
        }
    }
}
