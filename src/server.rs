//! The composition root of a running server: binds, serves, keeps house, and shuts down in order.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use actix_server::{Server as Workers, ServerHandle};
use actix_web::{
    rt::{self, task::JoinHandle},
    web,
};
use rustix::net::sockopt;
use tokio::{sync::mpsc::UnboundedReceiver, time::MissedTickBehavior};

use crate::{
    config::Config,
    control,
    http::{self, AppState, Connections},
    ops::{Context, state::uses},
    store::StoreError,
};

/// In how long the uses of tokens and sessions that are noted in memory are noted on disk, all in turn.
const FLUSH_IN: Duration = Duration::from_secs(8);
/// How long no flush is tried after one failed.
const FLUSH_AGAIN_AFTER: Duration = Duration::from_secs(5);
/// How long the last flush may take.
const LAST_FLUSH: Duration = Duration::from_secs(5);
/// How long commands under way may take to end.
const LAST_COMMANDS: Duration = Duration::from_secs(5);
/// How long the store may take to close.
const LAST_CLOSE: Duration = Duration::from_secs(20);
/// How often the store is told of failed attempts: what a crash forgets of them.
const SAVE_ATTEMPTS_EVERY: Duration = Duration::from_secs(2);
/// What the kernel may keep of answers for one connection, in bytes. Linux doubles it, for what it needs itself.
const SEND_BUFFER: usize = 128 * 1024;
/// Connections beyond the limit that a worker takes, to close an idle one for each.
const WAITING: usize = 8;
/// How often it is tidied up.
const TIDY_EVERY: Duration = Duration::from_secs(60);

/// Runs `future` to its end on this thread, in the actix system that a [`Server`] needs.
pub fn block_on<F: Future>(future: F) -> F::Output {
    rt::System::new().block_on(future)
}

/// A server that listens. It answers as soon as this task waits for something, and keeps house once [`Server::run`] is
/// awaited.
pub struct Server {
    /// Where it listens: the port that the system gave, if `server.bind` left it open.
    pub address: SocketAddr,
    workers: ServerHandle,
    serving: JoinHandle<io::Result<()>>,
    state: web::Data<AppState>,
    connections: Connections,
    drain_delay: Duration,
    control: Option<control::server::Server>,
}

impl Server {
    /// Listens as `config` says, for the operations of `ctx`, whose store is that of `config` and opened for a server: over
    /// HTTP, and for commands on the socket beside the database. Within an actix system only.
    pub fn start(config: &Config, ctx: Context) -> io::Result<Self> {
        let settings = &config.server;
        let listener = TcpListener::bind(settings.bind)?;
        let address = listener.local_addr()?;
        limit_send_buffers(&listener);
        let state = web::Data::new(AppState::new(config, ctx)?);
        let connections = Connections::new(settings);
        let (shared, taken, server) = (state.clone(), connections.clone(), settings.clone());
        let builder = Workers::build()
            .workers(settings.workers)
            .max_concurrent_connections(settings.max_connections.div_ceil(settings.workers) + WAITING)
            .shutdown_timeout(settings.drain_timeout.as_secs().max(1))
            .disable_signals();
        let shutdown = builder.graceful_shutdown_signal();
        let workers =
            builder.listen("patd", listener, move || http::service(&server, &shared, &taken, &shutdown))?.run();
        let control = take_commands(config, &state);
        Ok(Self {
            address,
            workers: workers.handle(),
            serving: rt::spawn(workers),
            state,
            connections,
            drain_delay: settings.drain_delay,
            control,
        })
    }

    /// Waits until every thread that answers requests is there. Fails where the system gives too few.
    pub async fn ready(&mut self) -> io::Result<()> {
        tokio::select! {
            () = self.connections.all_workers() => Ok(()),
            ended = &mut self.serving => ended.map_err(io::Error::other)?,
        }
    }

    /// Serves until `stop` says so: the first message (or its sender's end) drains, a second one forces.
    pub async fn run(self, mut stop: UnboundedReceiver<()>) -> io::Result<()> {
        let Self { workers: handle, mut serving, state, connections, drain_delay, control, .. } = self;
        let housekeeping = rt::spawn(run_housekeeping(Arc::clone(&state)));
        let closing = rt::spawn(close_stuck(connections));

        let ended = tokio::select! {
            _ = stop.recv() => None,
            ended = &mut serving => Some(ended),
        };
        let mut commands_may_end = LAST_COMMANDS;
        if ended.is_none() {
            log::info!("shutting down: requests under way may end");
            state.draining.store(true, Ordering::Relaxed);
            tokio::select! {
                () = drain(&handle, drain_delay) => {}
                Some(()) = stop.recv() => {
                    log::warn!("forced: requests under way are cut off");
                    commands_may_end = Duration::ZERO;
                    // While it drains it takes no other order, so there is nothing to wait for.
                    drop(handle.stop(false));
                }
            }
        }
        if let Some(control) = control {
            control.stop(commands_may_end).await;
        }
        housekeeping.abort();
        closing.abort();
        // A store that does not answer must not keep the process from ending.
        let last = async {
            let saved = state.ops.save_attempts().await.and(state.ops.record_time().await);
            state.ops.flush_uses().await?;
            state.ops.flush_reuse().await.and(saved)
        };
        let noted = rt::time::timeout(LAST_FLUSH, last).await;
        let late = |_| Err(StoreError::Unavailable("no answer at shutdown".to_owned()));
        report("noting uses", noted.unwrap_or_else(late));
        close_store(&state).await;
        match ended {
            None => Ok(()),
            Some(ended) => ended.map_err(io::Error::other)?,
        }
    }
}

/// Without the socket, commands open the file themselves.
fn take_commands(config: &Config, state: &web::Data<AppState>) -> Option<control::server::Server> {
    let state = state.clone().into_inner();
    match control::server::Server::start(&config.database.path, state, |state| &state.ops) {
        Ok(control) => Some(control),
        Err(error) => {
            log::warn!(error:%; "there is no socket for commands beside the database: they will open the file themselves");
            None
        }
    }
}

/// Threads of the framework may hold the state longer than this function runs, and the process ends without them. So the
/// store is closed here, and not when the last of them lets it go.
async fn close_store(state: &AppState) {
    match rt::time::timeout(LAST_CLOSE, state.ops.store.close()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => log::error!(error:%; "the database was not closed in order"),
        Err(_) => log::error!("the database was not closed within {LAST_CLOSE:?}: its latest changes are in its log"),
    }
}

/// Limits what the kernel keeps for clients that do not read, which counts as memory of the process where that is limited.
/// Connections take the limit over from the socket that they come in by; by itself it grows to megabytes.
fn limit_send_buffers(listener: &TcpListener) {
    if let Err(error) = sockopt::set_socket_send_buffer_size(listener, SEND_BUFFER) {
        log::debug!("the send buffers keep the size that the system gives them: {error}");
    }
}

async fn drain(handle: &ServerHandle, delay: Duration) {
    rt::time::sleep(delay).await;
    handle.stop(true).await;
}

async fn run_housekeeping(state: Arc<AppState>) {
    // A little at a time rather than all at once: so no check waits behind a flood of writes.
    let mut turns = rt::time::interval(FLUSH_IN / uses::TURNS);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut tidied, mut saved) = (Instant::now(), Instant::now());
    loop {
        turns.tick().await;
        state.ops.observe_clock();
        let flushed = state.ops.flush_some_uses().await;
        let noted = state.ops.flush_reuse().await;
        let failed = flushed.is_err() || noted.is_err();
        report("noting uses", flushed);
        report("noting reuse of tokens", noted);
        if saved.elapsed() >= SAVE_ATTEMPTS_EVERY {
            saved = Instant::now();
            report("noting failed attempts", state.ops.save_attempts().await);
        }
        if tidied.elapsed() >= TIDY_EVERY {
            tidied = Instant::now();
            report("tidying", state.ops.run_maintenance().await);
        }
        if failed {
            rt::time::sleep(FLUSH_AGAIN_AFTER).await;
        }
    }
}

async fn close_stuck(connections: Connections) {
    loop {
        rt::time::sleep(connections.check_interval()).await;
        connections.close_stuck();
    }
}

fn report(what: &str, outcome: Result<(), StoreError>) {
    if let Err(error) = outcome {
        log::warn!(error:%; "{what} failed and will be tried again");
    }
}
