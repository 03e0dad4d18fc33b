//! The listener for scrapes: one worker thread of its own, few connections, and nothing but `/metrics`. Its connections have
//! the time limits of all others.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
};

use actix_http::{Request, Response};
use actix_server::{Server as Workers, ServerHandle};
use actix_service::{ServiceFactory, fn_service};
use actix_web::{
    Error,
    body::BoxBody,
    dev::AppConfig,
    http::{
        Method, StatusCode,
        header::{self, HeaderValue},
    },
    rt::{self, task::JoinHandle},
};

use super::{counted_tokens::CountedTokens, registry};
use crate::{
    config::{self, Config},
    http::{
        state::current::CurrentState,
        wire::connections::{accepting, open::Connections},
    },
};

const PATH: &str = "/metrics";
const OPEN_METRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
/// Prometheus keeps one connection for each of its servers. A new one replaces the one that has been idle longest.
const MAX_CONNECTIONS: usize = 16;

/// A running listener.
pub struct MetricsListener {
    /// The address that it listens on.
    pub address: SocketAddr,
    workers: ServerHandle,
    tasks: [JoinHandle<()>; 2],
}

/// Listens at `metrics.bind`, if that is set. Works only within an actix system.
pub fn start(config: &Config, state: &CurrentState) -> io::Result<Option<MetricsListener>> {
    let Some(bind) = config.metrics.bind else { return Ok(None) };
    let listener = TcpListener::bind(bind).map_err(|error| cannot_listen(bind, &error))?;
    let address = listener.local_addr()?;
    let tokens = Arc::<CountedTokens>::default();
    let settings = config::Server { workers: 1, max_connections: MAX_CONNECTIONS, ..config.server.clone() };
    let connections = Connections::new(&settings);
    let counting = rt::spawn({
        let (tokens, state) = (Arc::clone(&tokens), state.clone());
        async move { tokens.keep_counting(&state).await }
    });
    let closing = rt::spawn(connections.clone().keep_closing_stuck());
    let builder = Workers::build().workers(1).shutdown_timeout(1).disable_signals();
    let shutdown = builder.graceful_shutdown_signal();
    let state = state.clone();
    let service = move || {
        let scrapes = scrapes(state.clone(), Arc::clone(&tokens));
        accepting::service_of(scrapes, &settings, &state, &connections, &shutdown)
    };
    let workers = builder.listen("patd-metrics", listener, service)?.run();
    let handle = workers.handle();
    rt::spawn(workers);
    Ok(Some(MetricsListener { address, workers: handle, tasks: [counting, closing] }))
}

impl MetricsListener {
    /// Stops listening.
    pub async fn stop(self) {
        self.tasks.iter().for_each(JoinHandle::abort);
        self.workers.stop(false).await;
    }
}

/// Answers scrapes.
fn scrapes(
    state: CurrentState,
    tokens: Arc<CountedTokens>,
) -> impl ServiceFactory<Request, Config = AppConfig, Response = Response<BoxBody>, Error = Error, InitError = ()> {
    fn_service(move |request: Request| {
        let answer = answer(&request, &state, &tokens);
        async move { Ok::<_, Error>(answer) }
    })
}

fn answer(request: &Request, state: &CurrentState, tokens: &Arc<CountedTokens>) -> Response<BoxBody> {
    if request.path() != PATH {
        return text(StatusCode::NOT_FOUND, "There is nothing at this path. The metrics are at /metrics.\n".to_owned());
    }
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        let mut refused = text(StatusCode::METHOD_NOT_ALLOWED, "This path accepts GET and HEAD.\n".to_owned());
        refused.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refused;
    }
    match registry::show(state.get(), Arc::clone(tokens)) {
        Ok(metrics) => {
            let mut shown = text(StatusCode::OK, metrics);
            shown.headers_mut().insert(header::CONTENT_TYPE, OPEN_METRICS);
            shown
        }
        Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "The metrics cannot be shown.\n".to_owned()),
    }
}

fn text(status: StatusCode, body: String) -> Response<BoxBody> {
    let mut response = Response::new(status).set_body(BoxBody::new(body));
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}

fn cannot_listen(bind: SocketAddr, error: &io::Error) -> io::Error {
    let reason = match error.kind() {
        io::ErrorKind::AddrInUse => "another program already listens there".to_owned(),
        _ => error.to_string(),
    };
    io::Error::new(
        error.kind(),
        format!("cannot listen on {bind} (metrics.bind): {reason}; choose another address, or \"\" for no metrics"),
    )
}
