//! Connections of their own, and the settings that every connection begins with.

use std::{
    collections::HashMap,
    future::poll_fn,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

use deadpool_postgres::{Connect, Manager, ManagerConfig, RecyclingMethod};
use futures_util::future::BoxFuture;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::Notify,
    task::JoinHandle,
    time::timeout,
};
use tokio_postgres::{
    AsyncMessage, Client, Config, Connection, Error, NoTls, Statement, config::SslMode, error::Severity,
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{
    error::{Stage, describe, store_error},
    settings::{PostgresSettings, SettingsError, TIME_LIMIT, beginning_with_each_host, encryption, parse},
};
use crate::store::StoreError;

/// A statement that waits for a lock ends before one that computes, so that its error says so. `synchronous_commit` must be on
/// also where the server's default is weaker; `remote_apply` is stronger.
pub(super) const SESSION: &str = "SET statement_timeout = '1900ms'; SET lock_timeout = '1500ms';
    SET idle_in_transaction_session_timeout = '1s'; SET default_transaction_isolation = 'read committed';
    SELECT set_config('synchronous_commit', 'on', false)
    WHERE current_setting('synchronous_commit') NOT IN ('on', 'remote_apply')";

/// Connects to the primary.
#[derive(Clone)]
pub(crate) struct Connector {
    /// The address, beginning with each of its hosts.
    orders: Arc<[Config]>,
    /// Which of them is used now, by all connections.
    order: Arc<AtomicUsize>,
    tls: Option<MakeRustlsConnect>,
}

/// A connection that belongs to one owner.
pub(super) struct Link {
    pub(super) client: Client,
    statements: Mutex<HashMap<&'static str, Statement>>,
    warned: Arc<AtomicBool>,
    /// Notified for each notification of a channel that the connection listens to.
    pub(super) notified: Arc<Notify>,
    notifications: Arc<AtomicU64>,
}

impl Connector {
    /// Connects to nothing yet.
    pub(crate) fn new(settings: &PostgresSettings) -> Result<Self, SettingsError> {
        let config = parse(&settings.url)?;
        let tls = match config.get_ssl_mode() {
            SslMode::Disable => None,
            _ => Some(MakeRustlsConnect::new(encryption(settings)?)),
        };
        let orders = beginning_with_each_host(&config).into();
        Ok(Self { orders, order: Arc::default(), tls })
    }

    /// Later connections are made to the host after the one that comes first now, if that accepts writes. A host that comes first
    /// and is not the primary any more would otherwise be used for ever.
    pub(super) fn begin_with_next_host(&self) {
        self.order.fetch_add(1, Ordering::Relaxed);
    }

    /// How many hosts the address names.
    pub(super) fn hosts(&self) -> usize {
        self.orders.len()
    }

    fn config(&self) -> &Config {
        &self.orders[self.order.load(Ordering::Relaxed) % self.orders.len()]
    }

    /// Connects, within [`TIME_LIMIT`]. The connection lives in the runtime that runs this.
    pub(super) async fn connect(&self) -> Result<Link, StoreError> {
        let connecting = async {
            let link = match &self.tls {
                None => self.config().connect(NoTls).await.map(drive)?,
                Some(tls) => self.config().connect(tls.clone()).await.map(drive)?,
            };
            link.client.batch_execute(SESSION).await?;
            Ok(link)
        };
        match timeout(TIME_LIMIT, connecting).await {
            Ok(connected) => connected.map_err(|error| no_connection(&error)),
            Err(_) => Err(StoreError::NotMade("no connection to PostgreSQL within 2 s".into())),
        }
    }

    /// Connects for a pool.
    pub(super) fn manager(&self) -> Manager {
        let config = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        Manager::from_connect(self.config().clone(), self.clone(), config)
    }
}

/// For a pool, which keeps the client. The hosts are tried in the present order, not in the one from when the pool was made.
impl Connect for Connector {
    fn connect(&self, _: &Config) -> BoxFuture<'_, Result<(Client, JoinHandle<()>), Error>> {
        Box::pin(async move {
            Ok(match &self.tls {
                None => self.config().connect(NoTls).await.map(drive_for_pool)?,
                Some(tls) => self.config().connect(tls.clone()).await.map(drive_for_pool)?,
            })
        })
    }
}

impl Link {
    /// The statement, which the server prepares once for the connection.
    pub(super) async fn prepare(&self, text: &'static str) -> Result<Statement, Error> {
        let known = self.statements.lock().unwrap_or_else(PoisonError::into_inner).get(text).cloned();
        match known {
            Some(statement) => Ok(statement),
            None => {
                let statement = self.client.prepare(text).await?;
                self.statements.lock().unwrap_or_else(PoisonError::into_inner).insert(text, statement.clone());
                Ok(statement)
            }
        }
    }

    /// Whether the server has warned since the last call.
    pub(super) fn take_warning(&self) -> bool {
        self.warned.swap(false, Ordering::SeqCst)
    }

    /// It can be upgraded as long as the connection lasts.
    pub(super) fn is_open(&self) -> Weak<AtomicBool> {
        Arc::downgrade(&self.warned)
    }

    /// How many notifications have arrived.
    pub(super) fn notifications(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.notifications)
    }
}

/// There is no connection, so nothing has been changed.
pub(super) fn no_connection(error: &tokio_postgres::Error) -> StoreError {
    match store_error(error, Stage::Work) {
        StoreError::Internal(_) => StoreError::NotMade(format!("no connection to PostgreSQL: {}", describe(error))),
        StoreError::NotMade(why) => StoreError::NotMade(format!("no connection to PostgreSQL: {why}")),
        other => other,
    }
}

/// Sends and receives until the client is dropped.
fn drive_for_pool<S, T>((client, connection): (Client, Connection<S, T>)) -> (Client, JoinHandle<()>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let driven = tokio::spawn(async move {
        // The next use of the client reports it, too.
        if let Err(error) = connection.await {
            log::debug!("store: a connection to PostgreSQL ended: {}", describe(&error));
        }
    });
    (client, driven)
}

/// Sends and receives until the client is dropped. What the server says is noted before the answer that follows it.
fn drive<S, T>((client, mut connection): (Client, Connection<S, T>)) -> Link
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let warned = Arc::new(AtomicBool::new(false));
    let notified = Arc::new(Notify::new());
    let notifications = Arc::new(AtomicU64::new(0));
    let link = Link {
        client,
        statements: Mutex::default(),
        warned: Arc::clone(&warned),
        notified: Arc::clone(&notified),
        notifications: Arc::clone(&notifications),
    };
    tokio::spawn(async move {
        while let Some(message) = poll_fn(|cx| connection.poll_message(cx)).await {
            match message {
                Ok(AsyncMessage::Notice(notice)) if notice.parsed_severity() == Some(Severity::Warning) => {
                    log::warn!("store: PostgreSQL warns: {} ({})", notice.message(), notice.code().code());
                    warned.store(true, Ordering::SeqCst);
                }
                Ok(AsyncMessage::Notification(_)) => {
                    notifications.fetch_add(1, Ordering::SeqCst);
                    notified.notify_one();
                }
                Ok(_) => {}
                // The next use of the client reports it, too.
                Err(error) => return log::debug!("store: a connection to PostgreSQL ended: {}", describe(&error)),
            }
        }
    });
    link
}
