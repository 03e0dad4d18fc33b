//! The connections that read.

use deadpool_postgres::{Hook, HookError, Object, Pool, PoolError, Runtime, Timeouts};

use super::{
    connector::{Connector, SESSION, no_connection},
    settings::{SettingsError, TIME_LIMIT},
};
use crate::store::StoreError;

/// A pool of connections to the primary. A standby does not know yet what was just revoked.
#[derive(Clone)]
pub(crate) struct Readers {
    pool: Pool,
}

impl Readers {
    /// Connects to nothing yet.
    pub(crate) fn new(connector: &Connector, max_connections: usize) -> Result<Self, SettingsError> {
        let set_up = Hook::async_fn(|client: &mut deadpool_postgres::ClientWrapper, _| {
            Box::pin(async move { client.batch_execute(SESSION).await.map_err(HookError::Backend) })
        });
        let limit = Some(TIME_LIMIT);
        let pool = Pool::builder(connector.manager())
            .max_size(max_connections)
            .timeouts(Timeouts { wait: limit, create: limit, recycle: limit })
            .runtime(Runtime::Tokio1)
            .post_create(set_up)
            .build()
            .map_err(|error| SettingsError::Url(error.to_string()))?;
        Ok(Self { pool })
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
