//! Connections that lie idle between two requests.
//!
//! The framework times the head of a connection's first request alone, and forgets its keep-alive time at the first byte
//! of the next one: a client that sends that byte and no more, or never reads its answers, would hold its place for ever.
//! So each connection counts what happens on it, and one on which nothing happens for longer than patience allows is
//! shut.

use std::{
    any::Any,
    net::{Shutdown, TcpStream},
    os::fd::AsFd,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use actix_http::Request;
use actix_web::{HttpRequest, dev::Extensions, rt, web::Data};

use super::AppState;
use crate::ops::endings::Moment;

/// The open connections of a server.
#[derive(Clone, Default)]
pub struct Connections(Arc<Mutex<Vec<Watched>>>);

/// One connection, by a second handle on its socket.
struct Connection {
    socket: TcpStream,
    /// How many requests came and how many were answered, in one sum: while one is under way it is odd. No clock is read
    /// for it, since every request counts here. Whoever serves the connection is the only one who counts.
    turns: AtomicU64,
    made: (Moment, Instant),
}

impl Connection {
    fn turn(&self) {
        self.turns.store(self.turns.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }
}

/// A connection as it was seen last.
struct Watched {
    connection: Weak<Connection>,
    turns: u64,
    since: Instant,
}

impl Watched {
    fn new(connection: &Arc<Connection>) -> Self {
        Self { connection: Arc::downgrade(connection), turns: 0, since: Instant::now() }
    }

    /// Looks again at `now`, and shuts the connection if nothing moved there for longer than `patience`. Answers whether
    /// it is open. Before the first request the framework's own timer runs, and during one whatever takes long is timed
    /// elsewhere.
    fn look(&mut self, now: Instant, patience: Duration) -> bool {
        let Some(connection) = self.connection.upgrade() else { return false };
        let turns = connection.turns.load(Ordering::Relaxed);
        let is_idle = turns != 0 && turns.is_multiple_of(2);
        if turns != self.turns {
            (self.turns, self.since) = (turns, now);
        } else if is_idle && now.duration_since(self.since) > patience {
            // It may be closed already.
            let _ = connection.socket.shutdown(Shutdown::Both);
        }
        true
    }
}

impl Connections {
    /// What a server calls for each connection that it accepts.
    pub fn on_connect(&self, state: Data<AppState>) -> impl Fn(&dyn Any, &mut Extensions) + Send + Clone + 'static {
        let connections = self.clone();
        move |stream, data| {
            let made = (state.ops.moment(), Instant::now());
            let Some(stream) = stream.downcast_ref::<rt::net::TcpStream>() else { return };
            // Without a second handle there is nothing to shut; such a connection is left to the framework.
            let Ok(socket) = stream.as_fd().try_clone_to_owned().map(TcpStream::from) else { return };
            let connection = Arc::new(Connection { socket, turns: AtomicU64::new(0), made });
            connections.lock().push(Watched::new(&connection));
            data.insert(connection);
        }
    }

    /// Shuts the connections that have been idle for longer than `patience`, as far as earlier looks tell.
    pub fn close_idle(&self, patience: Duration) {
        let now = Instant::now();
        self.lock().retain_mut(|watched| watched.look(now, patience));
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Watched>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long a client may take from its connection to its first request for the two to count as one act.
const AT_ONCE: Duration = Duration::from_secs(1);

/// When the connection was made, if that was for this request: it is the first there, and came at once. Its client started
/// it then, however late this server read it. A connection that was kept in stock says nothing about its first request.
pub(super) fn made_for(request: &HttpRequest) -> Option<Moment> {
    let connection = request.conn_data::<Arc<Connection>>()?;
    let (moment, at) = connection.made;
    (connection.turns.load(Ordering::Relaxed) == 1 && at.elapsed() < AT_ONCE).then_some(moment)
}

/// Notes that the request's connection is busy until this is dropped.
pub(super) fn under_way(request: &Request) -> Option<UnderWay> {
    let connection = request.conn_data::<Arc<Connection>>()?;
    connection.turn();
    Some(UnderWay(Arc::clone(connection)))
}

/// A request under way on a connection.
pub(super) struct UnderWay(Arc<Connection>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.turn();
    }
}
