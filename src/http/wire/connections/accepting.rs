//! Serves an accepted socket to its last answer: waits for a permit, runs the framework's service on a [`Stream`], and
//! answers where the framework does not.

use std::{
    io,
    net::SocketAddr,
    panic::AssertUnwindSafe,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use actix_http::{HttpService, Protocol, Request, Response, error::DispatchError};
use actix_server::GracefulShutdownSignal;
use actix_service::{Service, ServiceFactory, map_config};
use actix_web::{Error, body::BoxBody, dev::AppConfig, http::StatusCode, rt::net::TcpStream};
use futures_util::{FutureExt, future::LocalBoxFuture};
use log::Level;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    connection::Connection,
    open::Connections,
    stream::{Remainder, RemainderSlot, Stream},
};
use crate::{
    config,
    http::{
        error::ApiError,
        routes::app,
        state::{AppState, current::CurrentState, request_counts::Route},
        wire::raw_answer::raw_answer,
    },
};

/// How much of an answer is written at once, and so how much of it a connection keeps in memory.
const WRITE_BUFFER: usize = 16 * 1024;
/// How long a refused client may go on sending before the connection is closed, so that it can read the answer.
const LINGER: Duration = Duration::from_secs(1);

/// The service of one worker, which serves accepted sockets.
pub fn service(
    settings: &config::Server,
    state: &CurrentState,
    connections: &Connections,
    shutdown: &GracefulShutdownSignal,
) -> impl ServiceFactory<TcpStream, Config = (), Response = (), Error = (), InitError = ()> + use<> {
    service_of(app(state.clone()), settings, state, connections, shutdown)
}

/// The same for another application than that of the API.
pub(crate) fn service_of<A>(
    app: A,
    settings: &config::Server,
    state: &CurrentState,
    connections: &Connections,
    shutdown: &GracefulShutdownSignal,
) -> impl ServiceFactory<TcpStream, Config = (), Response = (), Error = (), InitError = ()> + use<A>
where
    A: ServiceFactory<Request, Config = AppConfig, Response = Response<BoxBody>, Error = Error, InitError = ()>
        + 'static,
    A::Future: 'static,
    A::Service: 'static,
    <A::Service as Service<Request>>::Future: 'static,
{
    let shutdown = shutdown.clone();
    let http = HttpService::build()
        .graceful_shutdown_signal(move || {
            let shutdown = shutdown.clone();
            async move { shutdown.notified().await }
        })
        .keep_alive(settings.keep_alive)
        .client_request_timeout(settings.head_timeout)
        .client_disconnect_timeout(LINGER)
        .h1_write_buffer_size(WRITE_BUFFER)
        .on_connect_ext(|stream: &Stream, data| {
            data.insert(Arc::clone(&stream.connection));
        })
        // The address and name of the server are needed for links only, and no answer has one.
        .finish(map_config(app, |()| AppConfig::default()));
    ConnectionServiceFactory { http, state: state.clone(), connections: connections.clone() }
}

/// What the framework takes for one connection.
type Accepted = (Stream, Protocol, Option<SocketAddr>);

struct ConnectionServiceFactory<F> {
    http: F,
    state: CurrentState,
    connections: Connections,
}

impl<F> ServiceFactory<TcpStream> for ConnectionServiceFactory<F>
where
    F: ServiceFactory<Accepted, Config = (), Response = (), Error = DispatchError, InitError = ()>,
    F::Service: 'static,
    F::Future: 'static,
{
    type Response = ();
    type Error = ();
    type Config = ();
    type Service = ConnectionService<F::Service>;
    type InitError = ();
    type Future = LocalBoxFuture<'static, Result<Self::Service, ()>>;

    fn new_service(&self, (): ()) -> Self::Future {
        let (http, state, connections) = (self.http.new_service(()), self.state.clone(), self.connections.clone());
        Box::pin(async move {
            let http = Rc::new(http.await?);
            connections.worker_is_ready();
            Ok(ConnectionService { http, state, connections })
        })
    }
}

/// Serves each connection as soon as there is a permit for it.
struct ConnectionService<S> {
    http: Rc<S>,
    state: CurrentState,
    connections: Connections,
}

impl<S> Service<TcpStream> for ConnectionService<S>
where
    S: Service<Accepted, Response = (), Error = DispatchError> + 'static,
{
    type Response = ();
    type Error = ();
    type Future = LocalBoxFuture<'static, Result<(), ()>>;

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<Result<(), ()>> {
        self.http.poll_ready(cx).map_err(drop)
    }

    fn call(&self, socket: TcpStream) -> Self::Future {
        let (http, state, connections) = (Rc::clone(&self.http), self.state.clone(), self.connections.clone());
        let accepted_at = (state.get().ops.moment(), Instant::now());
        Box::pin(async move {
            let _permit = connections.permit().await;
            // Without this, the last segment of an answer waits until the client has acknowledged the one before.
            let _ = socket.set_nodelay(true);
            let connection = Arc::new(Connection::new(socket.peer_addr().ok(), accepted_at));
            connections.watch(&connection);
            serve(&*http, &state, socket, connection, connections.head_bytes()).await;
            Ok(())
        })
    }
}

/// Serves a connection to its end. Answers if the framework gave up on it.
async fn serve<S>(http: &S, state: &CurrentState, socket: TcpStream, connection: Arc<Connection>, head_bytes: usize)
where
    S: Service<Accepted, Response = (), Error = DispatchError>,
{
    let (peer, slot) = (connection.peer, RemainderSlot::default());
    let stream = Stream::new(socket, Arc::clone(&connection), head_bytes, Rc::clone(&slot));
    let mut serving = Box::pin(AssertUnwindSafe(http.call((stream, Protocol::Http1, peer))).catch_unwind());
    let served = serving.as_mut().await;
    // The outcome of a request that was under way is unknown.
    let was_under_way = connection.is_under_way();
    drop(serving);
    let remainder = slot.take();
    let state = &state.get();
    let refused = match (&served, &remainder) {
        (_, Some(Remainder { is_refused: true, .. })) => Some(ApiError::HeadTooLarge(state.request_limits.head)),
        (Err(_), _) if was_under_way => Some(ApiError::Panicked),
        // Panics of handlers are caught before they reach the framework. So the framework panicked on what it read.
        (Err(_), _) => Some(ApiError::Malformed("The request cannot be read.".into())),
        _ => None,
    };
    match (refused, served) {
        (Some(error), _) => {
            let answer = raw_answer(state, &error, connection.peer());
            if let Some(Remainder { socket, is_stalled: false, .. }) = remainder {
                // The client may be gone.
                let _ = tokio::time::timeout(LINGER, send(socket, &answer)).await;
            }
        }
        (None, Ok(Err(error))) => log_failure(state, &connection, &error),
        (None, _) => {}
    }
}

/// Writes `answer` to a socket that the framework has left, then reads until the client closes it. If a socket is
/// closed with unread bytes, the client may lose the answer.
async fn send(mut socket: TcpStream, answer: &[u8]) -> io::Result<()> {
    socket.write_all(answer).await?;
    socket.shutdown().await?;
    let mut ignored = vec![0; 16 * 1024];
    while socket.read(&mut ignored).await? > 0 {}
    Ok(())
}

fn log_failure(state: &AppState, connection: &Connection, error: &DispatchError) {
    let level = match error {
        DispatchError::Parse(error) => {
            state.request_counts.count(Route::NONE, None, StatusCode::BAD_REQUEST, Duration::ZERO);
            return log_malformed(state, connection, &error.to_string());
        }
        // The client is gone or was too slow.
        DispatchError::Io(_) | DispatchError::SlowRequestTimeout | DispatchError::DisconnectTimeout => Level::Debug,
        _ => Level::Error,
    };
    log::log!(
        target: "patd::connection", level,
        peer = connection.peer(), error:%;
        "a connection ended early"
    );
}

/// The framework has answered 400. Any client can cause these lines, so their number is limited.
fn log_malformed(state: &AppState, connection: &Connection, reason: &str) {
    if state.malformed.allows() {
        log::info!(
            target: "patd::connection",
            peer = connection.peer(), reason;
            "a request could not be read"
        );
    }
}
