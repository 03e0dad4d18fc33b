//! Connections that lie idle between two requests.
//!
//! The framework times the head of a connection's first request alone, and forgets its keep-alive time at the first byte
//! of the next one: a client that sends that byte and no more, or never reads its answers, would hold its place for ever.
//! So each connection notes when its last answer was ready, and whoever lies longer than patience allows is shut.

use std::{
    any::Any,
    net::{Shutdown, TcpStream},
    os::fd::AsFd,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use actix_http::Request;
use actix_web::{dev::Extensions, rt};

/// A request is under way, so whatever takes long is timed elsewhere.
const BUSY: u64 = u64::MAX;

/// The open connections of a server.
#[derive(Clone)]
pub struct Connections {
    started: Instant,
    open: Arc<Mutex<Vec<Weak<Connection>>>>,
}

impl Default for Connections {
    fn default() -> Self {
        Self { started: Instant::now(), open: Arc::default() }
    }
}

/// One connection, by a second handle on its socket.
struct Connection {
    socket: TcpStream,
    started: Instant,
    /// Milliseconds from the server's start to the moment from which it lies idle, or [`BUSY`]. A connection without a
    /// request yet is busy: there the framework's own timer runs.
    idle_since: AtomicU64,
}

impl Connection {
    fn rest(&self) {
        self.idle_since.store(milliseconds(self.started.elapsed()), Ordering::Relaxed);
    }
}

impl Connections {
    /// What a server calls for each connection that it accepts.
    pub fn on_connect(&self) -> impl Fn(&dyn Any, &mut Extensions) + Send + Clone + 'static {
        let connections = self.clone();
        move |stream, data| {
            let Some(stream) = stream.downcast_ref::<rt::net::TcpStream>() else { return };
            // Without a second handle there is nothing to shut; such a connection is left to the framework.
            let Ok(socket) = stream.as_fd().try_clone_to_owned().map(TcpStream::from) else { return };
            let (started, idle_since) = (connections.started, AtomicU64::new(BUSY));
            let connection = Arc::new(Connection { socket, started, idle_since });
            connections.lock().push(Arc::downgrade(&connection));
            data.insert(connection);
        }
    }

    /// Shuts the connections that have been idle for longer than `patience`.
    pub fn close_idle(&self, patience: Duration) {
        let (now, patience) = (milliseconds(self.started.elapsed()), milliseconds(patience));
        self.lock().retain(|connection| {
            let Some(connection) = connection.upgrade() else { return false };
            let idle_since = connection.idle_since.load(Ordering::Relaxed);
            if idle_since != BUSY && now.saturating_sub(idle_since) > patience {
                // It may be closed already.
                let _ = connection.socket.shutdown(Shutdown::Both);
            }
            true
        });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Weak<Connection>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Notes that the request's connection is busy until this is dropped.
pub(super) fn under_way(request: &Request) -> Option<UnderWay> {
    let connection = request.conn_data::<Arc<Connection>>()?;
    connection.idle_since.store(BUSY, Ordering::Relaxed);
    Some(UnderWay(Arc::clone(connection)))
}

/// A request under way on a connection.
pub(super) struct UnderWay(Arc<Connection>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.rest();
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX - 1)
}
