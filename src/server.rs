//! The running server: its workers, its housekeeping, and its orderly shutdown.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use actix_server::{Server as Workers, ServerHandle};
use actix_web::rt::{self, task::JoinHandle};
use rustix::net::sockopt;
use tokio::{sync::mpsc::UnboundedReceiver, time::MissedTickBehavior};

use crate::{
    config::Config,
    control,
    http::{
        self, AppState, Connections, CurrentState,
        metrics::{self, MetricsListener},
    },
    ops::{Context, state::uses},
    store::StoreError,
};

/// In this time, all unwritten uses of tokens and sessions are written, a part of them in each turn.
const FLUSH_PERIOD: Duration = Duration::from_secs(8);
/// How long to wait after a failed flush.
const FLUSH_RETRY_DELAY: Duration = Duration::from_secs(5);
/// How long the flush at shutdown may take.
const FINAL_FLUSH_TIMEOUT: Duration = Duration::from_secs(5);
/// How long commands in progress may take at shutdown.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the store may take to close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(20);
/// How often the attempt counters are saved. A crash loses the attempts since then.
const SAVE_ATTEMPTS_INTERVAL: Duration = Duration::from_secs(2);
/// The size of the send buffer of a connection in the kernel, in bytes. Linux doubles it for its own needs.
const SEND_BUFFER: usize = 128 * 1024;
/// Connections that a worker accepts beyond its limit, so that each can replace an idle one.
const EXCESS_CONNECTIONS: usize = 8;
/// How often maintenance runs, for example pruning.
const MAINTENANCE_INTERVAL: Duration = Duration::from_secs(60);

/// Runs `future` on this thread in the actix system that a [`Server`] needs.
pub fn block_on<F: Future>(future: F) -> F::Output {
    rt::System::new().block_on(future)
}

/// A server that accepts connections. Its housekeeping runs once [`Server::run`] is awaited.
pub struct Server {
    /// The address it listens on. With port 0 in `server.bind`, this has the port that the system chose.
    pub address: SocketAddr,
    workers: ServerHandle,
    serving: JoinHandle<io::Result<()>>,
    state: CurrentState,
    connections: Connections,
    drain_delay: Duration,
    hands_over_socket: bool,
    control: Option<control::server::Server>,
    metrics: Option<MetricsListener>,
}

/// Replaces the settings of a running server.
pub struct Reloader(CurrentState);

impl Reloader {
    /// Requests that begin from now on are judged by `config`, and those that began before are not affected. `config` comes from
    /// [`Config::reloaded`].
    pub fn reload(&self, config: &Config) {
        self.0.reload(config);
    }
}

impl Server {
    /// Serves the operations of `ctx` over HTTP on `listener`, and to commands on the socket beside the database. The store
    /// of `ctx` must be the database of `config`, opened for a server. Works only within [`block_on`].
    pub fn start(config: &Config, listener: TcpListener, ctx: Context) -> io::Result<Self> {
        let settings = &config.server;
        let address = listener.local_addr()?;
        limit_send_buffers(&listener);
        let routes = http::routes().into_iter().chain(http::pages()).map(|(_, pattern)| pattern);
        let state = CurrentState::new(AppState::new(config, ctx, routes)?);
        let connections = Connections::new(settings);
        let (worker_state, worker_connections, server) = (state.clone(), connections.clone(), settings.clone());
        let builder = Workers::build()
            .workers(settings.workers)
            .max_concurrent_connections(settings.max_connections.div_ceil(settings.workers) + EXCESS_CONNECTIONS)
            .shutdown_timeout(settings.drain_timeout.as_secs().max(1))
            .disable_signals();
        let shutdown = builder.graceful_shutdown_signal();
        let workers = builder
            .listen("patd", listener, move || http::service(&server, &worker_state, &worker_connections, &shutdown))?
            .run();
        let metrics = metrics::start(config, &state)?;
        let control = start_control(config, &state);
        Ok(Self {
            address,
            workers: workers.handle(),
            serving: rt::spawn(workers),
            state,
            connections,
            drain_delay: settings.drain_delay,
            hands_over_socket: false,
            control,
            metrics,
        })
    }

    /// The address at which it answers scrapes, if it does.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().map(|metrics| metrics.address)
    }

    /// The next process will have the same socket. At shutdown, connections that are not accepted by then wait for it, and
    /// those that are accepted are answered.
    pub fn hand_over_socket(&mut self) {
        self.hands_over_socket = true;
    }

    /// Gives the server other settings while it runs.
    pub fn reloader(&self) -> Reloader {
        Reloader(self.state.clone())
    }

    /// Waits until every worker runs. Fails if the system gives too few threads.
    pub async fn workers_ready(&mut self) -> io::Result<()> {
        tokio::select! {
            () = self.connections.all_workers() => Ok(()),
            ended = &mut self.serving => ended.map_err(io::Error::other)?,
        }
    }

    /// Serves until a message arrives on `stop` or its sender is dropped, then drains. A second message ends the drain at
    /// once.
    pub async fn run(self, mut stop: UnboundedReceiver<()>) -> io::Result<()> {
        let Self { workers: handle, mut serving, state, connections, control, metrics, .. } = self;
        let (drain_delay, hands_over_socket) = (self.drain_delay, self.hands_over_socket);
        let housekeeping = rt::spawn(run_housekeeping(state.clone()));
        let closing = rt::spawn(connections.clone().keep_closing_stuck());

        let ended = tokio::select! {
            _ = stop.recv() => None,
            ended = &mut serving => Some(ended),
        };
        let mut command_timeout = COMMAND_TIMEOUT;
        if ended.is_none() {
            log::info!("shutting down; waiting for requests in progress");
            state.get().draining.store(true, Ordering::Relaxed);
            tokio::select! {
                () = drain(&handle, &connections, drain_delay, hands_over_socket) => {}
                Some(()) = stop.recv() => {
                    log::warn!("forced to stop: requests in progress are cut off");
                    command_timeout = Duration::ZERO;
                    // While it drains it does not react to this, so do not wait for it.
                    drop(handle.stop(false));
                }
            }
        }
        if let Some(control) = control {
            control.stop(command_timeout).await;
        }
        housekeeping.abort();
        closing.abort();
        if let Some(metrics) = metrics {
            metrics.stop().await;
        }
        let state = state.get();
        // A store that does not answer must not prevent the end of the process.
        let flush = async {
            let saved = state.ops.save_attempts().await.and(state.ops.record_time().await);
            state.ops.flush_uses().await?;
            state.ops.flush_reuse().await.and(saved)
        };
        let timed_out = |_| Err(StoreError::Unavailable("no answer at shutdown".to_owned()));
        if let Err(error) = rt::time::timeout(FINAL_FLUSH_TIMEOUT, flush).await.unwrap_or_else(timed_out) {
            log::warn!(error:%; "the latest uses of tokens and sessions were not written");
        }
        close_store(&state).await;
        match ended {
            None => Ok(()),
            Some(ended) => ended.map_err(io::Error::other)?,
        }
    }
}

/// Listens for commands. If that fails, commands open the database file themselves. To a database in PostgreSQL they connect.
fn start_control(config: &Config, state: &CurrentState) -> Option<control::server::Server> {
    if config.database.url.is_some() {
        return None;
    }
    let state = state.clone();
    match control::server::Server::start(&config.database.path, move || state.get().ops.clone()) {
        Ok(control) => Some(control),
        Err(error) => {
            log::warn!(error:%; "there is no socket for commands: they will open the database file themselves");
            None
        }
    }
}

/// Closes the store now. Dropping the state would not do it in time, because threads of the framework may hold the state
/// until the process ends.
async fn close_store(state: &AppState) {
    match rt::time::timeout(CLOSE_TIMEOUT, state.ops.store.close()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => log::error!(error:%; "the database was not closed cleanly"),
        Err(_) => log::error!(
            "the database was not closed within {CLOSE_TIMEOUT:?}; its latest changes are safe in its write-ahead log"
        ),
    }
}

/// Limits how much the kernel buffers for clients that do not read. Without a limit that grows to megabytes for each
/// connection, and containers count it as memory of the process. Connections inherit the limit from the listener.
fn limit_send_buffers(listener: &TcpListener) {
    if let Err(error) = sockopt::set_socket_send_buffer_size(listener, SEND_BUFFER) {
        log::debug!("the size of the send buffers cannot be set: {error}");
    }
}

async fn drain(handle: &ServerHandle, connections: &Connections, delay: Duration, hands_over_socket: bool) {
    rt::time::sleep(delay).await;
    if hands_over_socket {
        // The framework drops connections that were accepted and have not reached a worker, and closes those without a
        // request. So it must accept none for a while before it is told to stop.
        handle.pause().await;
        connections.all_have_begun().await;
    }
    handle.stop(true).await;
}

async fn run_housekeeping(current: CurrentState) {
    // Many small turns instead of one large flush, so that checks do not wait behind many writes.
    let mut turns = rt::time::interval(FLUSH_PERIOD / uses::TURNS);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut maintained_at, mut saved_at) = (Instant::now(), Instant::now());
    loop {
        turns.tick().await;
        let state = current.get();
        state.ops.observe_clock();
        let uses = state.ops.flush_some_uses().await;
        let reuse = state.ops.flush_reuse().await;
        report("overwriting what deleted users left in the database", state.ops.scrub_some().await);
        let failed = uses.is_err() || reuse.is_err();
        report("writing the uses of tokens and sessions", uses);
        report("writing the reuse of tokens", reuse);
        if saved_at.elapsed() >= SAVE_ATTEMPTS_INTERVAL {
            saved_at = Instant::now();
            report("saving the attempt counters", state.ops.save_attempts().await);
        }
        if maintained_at.elapsed() >= MAINTENANCE_INTERVAL {
            maintained_at = Instant::now();
            report("maintenance", state.ops.run_maintenance().await);
        }
        if failed {
            rt::time::sleep(FLUSH_RETRY_DELAY).await;
        }
    }
}

fn report(what: &str, outcome: Result<(), StoreError>) {
    if let Err(error) = outcome {
        log::warn!(error:%; "{what} failed and will be retried");
    }
}
