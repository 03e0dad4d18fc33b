//! The state of one connection. The thread that serves it writes the state, and [`super::open`] reads it to decide
//! which connections are closed.
//!
//! The atomics are loaded and stored without read-modify-write operations: only one thread writes them, and it does so
//! for every request.

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
    accepted_at: (RequestStart, Instant),
    /// The number of requests that began plus the number of those that ended: odd while a request is under way.
    turns: AtomicU64,
    /// How often the client stopped reading plus how often it resumed: odd while an answer waits for the client.
    stalls: AtomicU64,
    /// The most bytes that may still arrive of the body of the request under way.
    body_due: AtomicUsize,
    /// How many bytes were passed to the framework in all.
    read: AtomicUsize,
    /// How many bytes were passed to the framework before it parsed last.
    parsed: AtomicUsize,
    /// What `parsed` was when the previous request began. The head of the next request begins after that.
    head_from: AtomicUsize,
    /// Whether an answer is being sent in chunks.
    is_sending: AtomicBool,
    /// Whether the client sent something that is not read yet, because the server is still busy with its last request.
    pub(super) is_held: AtomicBool,
    /// Whether a request target with a raw `#` arrived. The framework's parser cuts it off, so no later request of the
    /// connection is answered.
    pub(super) has_fragment: AtomicBool,
    close_request: AtomicU8,
    /// Wakes the task that serves the connection. It is one task as long as the connection is open.
    waker: OnceLock<Waker>,
}

/// Why a connection is to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CloseReason {
    /// It was idle. If a request arrives first, the connection stays open.
    Idle = 1,
    /// The client sends a body or reads an answer too slowly.
    Slow = 2,
}

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// For the complete head of a request.
    Idle,
    /// For the body of a request.
    Receiving,
    /// For the server.
    Working,
    /// For the client to read an answer.
    Sending,
}

impl Connection {
    /// A connection that was accepted at this moment.
    pub(super) fn new(peer: Option<SocketAddr>, accepted_at: (RequestStart, Instant)) -> Self {
        Self {
            peer,
            accepted_at,
            turns: AtomicU64::new(0),
            stalls: AtomicU64::new(0),
            body_due: AtomicUsize::new(0),
            read: AtomicUsize::new(0),
            parsed: AtomicUsize::new(0),
            head_from: AtomicUsize::new(0),
            is_sending: AtomicBool::new(false),
            is_held: AtomicBool::new(false),
            has_fragment: AtomicBool::new(false),
            close_request: AtomicU8::new(0),
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

    /// A number that changes when a request begins or ends, and when the client stops or resumes reading.
    pub(super) fn activity(&self) -> u64 {
        self.turns().wrapping_add(self.stalls.load(Relaxed) << 32)
    }

    pub(super) fn turns(&self) -> u64 {
        self.turns.load(Relaxed)
    }

    pub(super) fn has_served(&self) -> bool {
        self.turns() > 0
    }

    /// Since it was accepted.
    pub(super) fn age(&self) -> Duration {
        self.accepted_at.1.elapsed()
    }

    pub(super) fn is_under_way(&self) -> bool {
        !self.turns().is_multiple_of(2)
    }

    /// Whether the client has to wait: an answer is being sent, or the body of the request under way is complete.
    pub(super) fn is_servers_turn(&self, read_since_turn: usize) -> bool {
        self.is_sending.load(Relaxed) || self.is_under_way() && read_since_turn >= self.body_due()
    }

    pub(super) fn body_due(&self) -> usize {
        self.body_due.load(Relaxed)
    }

    pub(super) fn peer(&self) -> String {
        self.peer.map_or_else(|| "-".to_owned(), |peer| peer.to_string())
    }

    /// Notes that `count` more bytes are passed to the framework. `is_first` says that it has parsed all bytes before
    /// them.
    pub(super) fn add_read(&self, count: usize, is_first: bool) {
        let read = self.read.load(Relaxed);
        if is_first {
            self.parsed.store(read, Relaxed);
        }
        self.read.store(read.wrapping_add(count), Relaxed);
    }

    /// Notes that the client stopped or resumed reading.
    pub(super) fn toggle_stall(&self) {
        self.stalls.store(self.stalls.load(Relaxed) + 1, Relaxed);
    }

    pub(super) fn is_stalled(&self) -> bool {
        !self.stalls.load(Relaxed).is_multiple_of(2)
    }

    /// Asks the task that serves the connection to close it.
    pub(super) fn close(&self, reason: CloseReason) {
        self.close_request.store(reason as u8, Relaxed);
        self.wake();
    }

    pub(super) fn is_closing(&self) -> bool {
        self.close_request.load(Relaxed) != 0
    }

    /// Whether the connection is to be closed before more is read. A request to close that no longer applies is
    /// dropped.
    pub(super) fn must_close(&self) -> bool {
        if !self.is_closing() {
            return false;
        }
        let requested = self.close_request.swap(0, Relaxed);
        match self.phase() {
            Phase::Idle => true,
            Phase::Receiving | Phase::Sending => requested == CloseReason::Slow as u8,
            Phase::Working => false,
        }
    }

    /// Whether the connection is to be closed in the middle of an answer.
    pub(super) fn must_close_writing(&self) -> bool {
        self.close_request.load(Relaxed) == CloseReason::Slow as u8 && self.is_stalled()
    }

    fn next_turn(&self) {
        self.turns.store(self.turns() + 1, Relaxed);
    }

    /// Wakes the task if bytes of the client wait to be read.
    pub(super) fn resume(&self) {
        if self.is_held.load(Relaxed) {
            self.is_held.store(false, Relaxed);
            self.wake();
        }
    }

    /// Stores the waker of the task that serves the connection.
    pub(super) fn set_waker(&self, waker: &Waker) {
        if self.waker.get().is_none() {
            // No other thread sets it, so this cannot fail.
            let _ = self.waker.set(waker.clone());
        }
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
    }
}

/// A first request that arrives within this time counts as started with its connection.
const AT_ONCE: Duration = Duration::from_secs(1);

/// When the connection was accepted, if it was made for this request: the request is the first one and arrived at once.
/// The client had started it by then, even if the server read it later. A connection that was opened in advance does
/// not say when its first request started.
pub(crate) fn connection_start(request: &HttpRequest) -> Option<RequestStart> {
    let connection = request.conn_data::<Arc<Connection>>()?;
    let (moment, at) = connection.accepted_at;
    (connection.turns() == 1 && at.elapsed() < AT_ONCE).then_some(moment)
}

/// A request under way on a connection.
pub(crate) struct RequestUnderWay {
    connection: Arc<Connection>,
    /// The most bytes that its head can have.
    pub(crate) max_head: usize,
    /// Whether its target may have a raw `#`.
    pub(crate) has_fragment: bool,
}

impl RequestUnderWay {
    /// The connection of `request` is busy until this is dropped.
    pub(crate) fn begin(request: &mut Request) -> Option<Self> {
        let connection = Arc::clone(request.conn_data::<Arc<Connection>>()?);
        let due = match request.payload() {
            Payload::None => 0,
            _ => declared_length(request.headers()).unwrap_or(usize::MAX),
        };
        connection.body_due.store(due, Relaxed);
        let max_head = connection.read.load(Relaxed).wrapping_sub(connection.head_from.load(Relaxed));
        connection.head_from.store(connection.parsed.load(Relaxed), Relaxed);
        connection.next_turn();
        let has_fragment = connection.has_fragment.load(Relaxed);
        Some(Self { connection, max_head, has_fragment })
    }
}

impl Drop for RequestUnderWay {
    fn drop(&mut self) {
        self.connection.next_turn();
        self.connection.resume();
    }
}

fn declared_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}

/// Tells the connection that the body of a request was read to its end.
pub(crate) struct BodyRead(Arc<Connection>);

impl BodyRead {
    /// `None` for requests that did not come over a connection.
    pub(crate) fn of(request: &HttpRequest) -> Option<Self> {
        request.conn_data::<Arc<Connection>>().cloned().map(Self)
    }

    pub(crate) fn notify(self) {
        self.0.body_due.store(0, Relaxed);
    }
}

/// An answer that is sent in chunks. Until this is dropped, the connection reads no further request.
pub(crate) struct Sending(Option<Arc<Connection>>);

impl Sending {
    pub(crate) fn on(request: &HttpRequest) -> Self {
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
            connection.resume();
        }
    }
}
