//! From a socket that was accepted to its last answer: a place for it, the framework's service around a [`Stream`], and an
//! answer where the framework gives none.

use std::{
    io,
    net::SocketAddr,
    panic::AssertUnwindSafe,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use actix_http::{HttpService, Protocol, error::DispatchError};
use actix_server::GracefulShutdownSignal;
use actix_service::{Service, ServiceFactory, map_config};
use actix_web::{dev::AppConfig, rt::net::TcpStream, web::Data};
use futures_util::{FutureExt, future::LocalBoxFuture};
use log::Level;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    Connections,
    connection::Connection,
    stream::{Left, Remains, Stream},
};
use crate::{
    config,
    http::{AppState, app, envelope::raw_refusal, error::ApiError},
};

/// How much of an answer is written at once, and so how much of it a connection holds.
const WRITE_BUFFER: usize = 16 * 1024;
/// How long a client that was refused may go on sending, so that it comes to read why.
const LINGER: Duration = Duration::from_secs(1);

/// The service of one worker: it takes sockets that were accepted and serves them.
pub fn service(
    settings: &config::Server,
    state: &Data<AppState>,
    connections: &Connections,
    shutdown: &GracefulShutdownSignal,
) -> impl ServiceFactory<TcpStream, Config = (), Response = (), Error = (), InitError = ()> + use<> {
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
        // Its address and name are for links, which nobody makes here.
        .finish(map_config(app(state.clone()), |()| AppConfig::default()));
    Accepting { http, state: state.clone(), connections: connections.clone() }
}

/// What a connection comes with for the framework.
type Accepted = (Stream, Protocol, Option<SocketAddr>);

struct Accepting<F> {
    http: F,
    state: Data<AppState>,
    connections: Connections,
}

impl<F> ServiceFactory<TcpStream> for Accepting<F>
where
    F: ServiceFactory<Accepted, Config = (), Response = (), Error = DispatchError, InitError = ()>,
    F::Service: 'static,
    F::Future: 'static,
{
    type Response = ();
    type Error = ();
    type Config = ();
    type Service = Gate<F::Service>;
    type InitError = ();
    type Future = LocalBoxFuture<'static, Result<Self::Service, ()>>;

    fn new_service(&self, (): ()) -> Self::Future {
        let (http, state, connections) = (self.http.new_service(()), self.state.clone(), self.connections.clone());
        Box::pin(async move {
            let http = Rc::new(http.await?);
            connections.0.ready.add_permits(1);
            Ok(Gate { http, state, connections })
        })
    }
}

/// Lets as many connections in as there are places.
struct Gate<S> {
    http: Rc<S>,
    state: Data<AppState>,
    connections: Connections,
}

impl<S> Service<TcpStream> for Gate<S>
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
        let made = (state.ops.moment(), Instant::now());
        Box::pin(async move {
            let _place = connections.place().await;
            // Without it, the last piece of an answer would wait for the client to acknowledge the one before.
            let _ = socket.set_nodelay(true);
            let connection = Arc::new(Connection::new(socket.peer_addr().ok(), made));
            connections.watch(&connection);
            serve(&*http, &state, socket, connection, connections.0.head_bytes).await;
            Ok(())
        })
    }
}

/// Serves a connection to its end, and answers for the framework where that gives up.
async fn serve<S>(http: &S, state: &AppState, socket: TcpStream, connection: Arc<Connection>, head_bytes: usize)
where
    S: Service<Accepted, Response = (), Error = DispatchError>,
{
    let (peer, remains) = (connection.peer, Remains::default());
    let stream = Stream::new(socket, Arc::clone(&connection), head_bytes, Rc::clone(&remains));
    let mut serving = Box::pin(AssertUnwindSafe(http.call((stream, Protocol::Http1, peer))).catch_unwind());
    let served = serving.as_mut().await;
    // Nobody knows what became of a request that was under way.
    let was_under_way = connection.is_under_way();
    drop(serving);
    let left = remains.take();
    let refused = match (&served, &left) {
        (_, Some(Left { is_refused: true, .. })) => Some(ApiError::HeadTooLarge(state.limits.head)),
        (Err(_), _) if was_under_way => Some(ApiError::Panicked),
        // What our own code does is caught before it reaches the framework, so this one broke on what it read.
        (Err(_), _) => Some(ApiError::Malformed("The request cannot be read.".into())),
        _ => None,
    };
    match (refused, served) {
        (Some(error), _) => {
            let answer = raw_refusal(&error, connection.peer());
            if let Some(Left { socket, is_stalled: false, .. }) = left {
                // A client that is gone needs no answer.
                let _ = tokio::time::timeout(LINGER, say(socket, &answer)).await;
            }
        }
        (None, Ok(Err(error))) => note_failure(state, &connection, &error),
        (None, _) => {}
    }
}

/// Answers on a socket that the framework has left, and reads on for a while: closing a socket with unread bytes would
/// take back the answer.
async fn say(mut socket: TcpStream, answer: &[u8]) -> io::Result<()> {
    socket.write_all(answer).await?;
    socket.shutdown().await?;
    let mut rest = vec![0; 16 * 1024];
    while socket.read(&mut rest).await? > 0 {}
    Ok(())
}

fn note_failure(state: &AppState, connection: &Connection, error: &DispatchError) {
    let level = match error {
        DispatchError::Parse(error) => return note_malformed(state, connection, &error.to_string()),
        // The client is gone, or was too slow.
        DispatchError::Io(_) | DispatchError::SlowRequestTimeout | DispatchError::DisconnectTimeout => Level::Debug,
        _ => Level::Error,
    };
    log::log!(
        target: "patd::connection", level,
        peer = connection.peer(), error:%;
        "a connection ended early"
    );
}

/// The framework has answered 400. Anybody can cause these lines, so there are only so many.
fn note_malformed(state: &AppState, connection: &Connection, reason: &str) {
    if state.malformed.allows() {
        log::info!(
            target: "patd::connection",
            peer = connection.peer(), reason;
            "a request could not be read"
        );
    }
}
