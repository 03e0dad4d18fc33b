//! What is noted of one connection, for whoever serves it and for whoever decides which connections are closed.
//!
//! Everything here is a plain load and store: one thread serves a connection and is the only one that notes anything, and
//! every request is noted.

use std::{
    net::SocketAddr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    task::Waker,
    time::{Duration, Instant},
};

use actix_http::{Payload, Request};
use actix_web::{
    HttpMessage, HttpRequest,
    http::header::{self, HeaderMap},
};

use crate::ops::state::endings::RequestStart;

/// One open connection.
pub(super) struct Connection {
    pub(super) peer: Option<SocketAddr>,
    made: (RequestStart, Instant),
    /// How many requests came and how many were answered, in one sum: odd while one is under way.
    turns: AtomicU64,
    /// How often the client stopped reading and how often it went on, in one sum: odd while an answer waits for it.
    stalls: AtomicU64,
    /// How many bytes of the body of the request under way may still come, at the most.
    body_due: AtomicUsize,
    /// How many bytes were handed on in all, and how many before the framework looked at them last.
    read: AtomicUsize,
    looked: AtomicUsize,
    /// What `looked` was when the request before began: the next one's head begins behind that.
    head_from: AtomicUsize,
    /// Whether an answer is being handed on piece by piece.
    is_sending: AtomicBool,
    /// Whether the client sent something that is not read yet, since it is not its turn.
    pub(super) is_held: AtomicBool,
    /// Whether a request target with a raw `#` came, which the framework's parser cuts off. Nothing that comes over the
    /// connection is believed from then on.
    pub(super) has_fragment: AtomicBool,
    closing: AtomicU8,
    /// Wakes the task that serves the connection, which is the same for as long as that is open.
    waker: OnceLock<Waker>,
}

/// Why a connection is to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closing {
    /// It was idle. Where a request has come meanwhile, it stays.
    Idle = 1,
    /// Its client sends a body or reads an answer too slowly.
    Slow = 2,
}

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// For the whole head of a request.
    Idle,
    /// For the body of a request.
    Receiving,
    /// For the server.
    Working,
    /// For the client to read an answer.
    Sending,
}

impl Connection {
    /// A connection that is made at this moment.
    pub(super) fn new(peer: Option<SocketAddr>, made: (RequestStart, Instant)) -> Self {
        Self {
            peer,
            made,
            turns: AtomicU64::new(0),
            stalls: AtomicU64::new(0),
            body_due: AtomicUsize::new(0),
            read: AtomicUsize::new(0),
            looked: AtomicUsize::new(0),
            head_from: AtomicUsize::new(0),
            is_sending: AtomicBool::new(false),
            is_held: AtomicBool::new(false),
            has_fragment: AtomicBool::new(false),
            closing: AtomicU8::new(0),
            waker: OnceLock::new(),
        }
    }

    pub(super) fn phase(&self) -> Phase {
        if self.is_stalled() {
            Phase::Sending
        } else if !self.is_under_way() && !self.is_sending.load(Relaxed) {
            Phase::Idle
        } else if self.body_due() > 0 {
            Phase::Receiving
        } else {
            Phase::Working
        }
    }

    /// A number that changes whenever a request begins or ends, or the client stops reading or goes on.
    pub(super) fn moves(&self) -> u64 {
        self.turns().wrapping_add(self.stalls.load(Relaxed) << 32)
    }

    pub(super) fn turns(&self) -> u64 {
        self.turns.load(Relaxed)
    }

    pub(super) fn has_served(&self) -> bool {
        self.turns() > 0
    }

    pub(super) fn is_under_way(&self) -> bool {
        !self.turns().is_multiple_of(2)
    }

    /// Whether it is not the client's turn to send: an answer is on its way, or the request under way has no more body.
    pub(super) fn is_servers_turn(&self, read_since_turn: usize) -> bool {
        self.is_sending.load(Relaxed) || self.is_under_way() && read_since_turn >= self.body_due()
    }

    pub(super) fn body_due(&self) -> usize {
        self.body_due.load(Relaxed)
    }

    pub(super) fn peer(&self) -> String {
        self.peer.map_or_else(|| "-".to_owned(), |peer| peer.to_string())
    }

    /// Notes that the framework is handed so many bytes more. `is_first` says whether it has looked at all before.
    pub(super) fn hand_on(&self, count: usize, is_first: bool) {
        let read = self.read.load(Relaxed);
        if is_first {
            self.looked.store(read, Relaxed);
        }
        self.read.store(read.wrapping_add(count), Relaxed);
    }

    /// Notes that the client stopped reading, or went on.
    pub(super) fn stall(&self) {
        self.stalls.store(self.stalls.load(Relaxed) + 1, Relaxed);
    }

    pub(super) fn is_stalled(&self) -> bool {
        !self.stalls.load(Relaxed).is_multiple_of(2)
    }

    /// Asks whoever serves the connection to close it.
    pub(super) fn close(&self, closing: Closing) {
        self.closing.store(closing as u8, Relaxed);
        self.wake();
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Relaxed) != 0
    }

    /// Whether it is to be closed before anything more is read. What was asked for and no longer holds is forgotten.
    pub(super) fn must_close(&self) -> bool {
        if !self.is_closing() {
            return false;
        }
        let asked = self.closing.swap(0, Relaxed);
        match self.phase() {
            Phase::Idle => true,
            Phase::Receiving | Phase::Sending => asked == Closing::Slow as u8,
            Phase::Working => false,
        }
    }

    /// Whether it is to be closed with an answer half written.
    pub(super) fn must_close_writing(&self) -> bool {
        self.closing.load(Relaxed) == Closing::Slow as u8 && self.is_stalled()
    }

    fn turn(&self) {
        self.turns.store(self.turns() + 1, Relaxed);
    }

    /// Lets the client's next bytes in, if some are waiting.
    pub(super) fn go_on(&self) {
        if self.is_held.load(Relaxed) {
            self.is_held.store(false, Relaxed);
            self.wake();
        }
    }

    /// Notes by whom the connection is served.
    pub(super) fn is_served_by(&self, waker: &Waker) {
        if self.waker.get().is_none() {
            // It was not noted before, and nobody else notes it.
            let _ = self.waker.set(waker.clone());
        }
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
    }
}

/// How long a client may take from its connection to its first request for the two to count as one act.
const AT_ONCE: Duration = Duration::from_secs(1);

/// When the connection was made, if that was for this request: it is the first there, and came at once. Its client started
/// it then, however late this server read it. A connection that was kept in stock says nothing about its first request.
pub(in crate::http) fn made_for(request: &HttpRequest) -> Option<RequestStart> {
    let connection = request.conn_data::<Arc<Connection>>()?;
    let (moment, at) = connection.made;
    (connection.turns() == 1 && at.elapsed() < AT_ONCE).then_some(moment)
}

/// A request under way on a connection.
pub(in crate::http) struct UnderWay {
    connection: Arc<Connection>,
    /// The most bytes that its head can have had.
    pub(in crate::http) head_most: usize,
    /// Whether its target may have had a raw `#`.
    pub(in crate::http) has_fragment: bool,
}

impl UnderWay {
    /// Notes that the request's connection is busy until this is dropped.
    pub(in crate::http) fn begin(request: &mut Request) -> Option<Self> {
        let connection = Arc::clone(request.conn_data::<Arc<Connection>>()?);
        let due = match request.payload() {
            Payload::None => 0,
            _ => declared_length(request.headers()).unwrap_or(usize::MAX),
        };
        connection.body_due.store(due, Relaxed);
        let head_most = connection.read.load(Relaxed).wrapping_sub(connection.head_from.load(Relaxed));
        connection.head_from.store(connection.looked.load(Relaxed), Relaxed);
        connection.turn();
        let has_fragment = connection.has_fragment.load(Relaxed);
        Some(Self { connection, head_most, has_fragment })
    }

    /// Notes that the body of a request was read to its end.
    pub(in crate::http) fn has_body(request: &HttpRequest) -> Option<BodyRead> {
        request.conn_data::<Arc<Connection>>().cloned().map(BodyRead)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.connection.turn();
        self.connection.go_on();
    }
}

fn declared_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}

/// What notes that the body of a request was read to its end.
pub(in crate::http) struct BodyRead(Arc<Connection>);

impl BodyRead {
    pub(in crate::http) fn note(self) {
        self.0.body_due.store(0, Relaxed);
    }
}

/// An answer that is handed on piece by piece. Until this is dropped, the connection takes no further request.
pub(in crate::http) struct Sending(Option<Arc<Connection>>);

impl Sending {
    pub(in crate::http) fn on(request: &HttpRequest) -> Self {
        let connection = request.conn_data::<Arc<Connection>>().cloned();
        if let Some(connection) = &connection {
            connection.is_sending.store(true, Relaxed);
        }
        Self(connection)
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        if let Some(connection) = &self.0 {
            connection.is_sending.store(false, Relaxed);
            connection.go_on();
        }
    }
}
