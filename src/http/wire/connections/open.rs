//! The open connections: how many there may be, which are closed for a new one, and which are closed because their
//! client does nothing.
//!
//! The framework limits the time for the head of a connection's first request and the idle time between two requests,
//! and nothing else. A client that sends one byte of its next request, or does not read its answers, would keep its
//! connection for ever. So the stream that the framework reads and writes ([`super::stream`]) records what happens on
//! each connection ([`super::connection`]), and [`Connections::close_stuck`] looks at these records.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::connection::{CloseReason, Connection, Phase};
use crate::config;

/// How often a new connection without a permit looks for another one that can be closed.
const RETRY_EVERY: Duration = Duration::from_millis(50);
/// How far a head may exceed the limit and still be read to its end.
const HEAD_EXCESS: usize = 16 * 1024;
/// The longest head that is read. The framework panics at a header name of 64 KiB.
const MAX_HEAD: usize = 64 * 1024 - 1;
/// A connection in the middle of a request can be closed for a new one if its client has been silent for this long.
const SLOW: Duration = Duration::from_secs(1);

/// Clients send the first request right after they have connected.
const FIRST_REQUEST: Duration = Duration::from_millis(250);
/// How often to look for new connections at shutdown, and how many looks in a row must find none.
const LOOK_EVERY: Duration = Duration::from_millis(20);
const QUIET_LOOKS: u32 = 5;

/// The open connections of a server.
#[derive(Clone)]
pub struct Connections(Arc<Open>);

struct Open {
    /// One permit for each worker that accepts connections.
    ready: Semaphore,
    workers: u32,
    watched: Mutex<Vec<Watched>>,
    permits: Arc<Semaphore>,
    limit: usize,
    /// The longest time between an answer and the complete head of the next request.
    idle_timeout: Duration,
    /// How long a client may read nothing while an answer waits for it.
    write_timeout: Duration,
    /// How much of a head is read. It is more than the limit, so that the answer and the log can name a request whose
    /// head is a little too large.
    head_bytes: usize,
}

impl Connections {
    /// No connections yet, and later as many as `settings` allow.
    pub fn new(settings: &config::Server) -> Self {
        Self(Arc::new(Open {
            ready: Semaphore::new(0),
            workers: u32::try_from(settings.workers).unwrap_or(u32::MAX),
            watched: Mutex::default(),
            permits: Arc::new(Semaphore::new(settings.max_connections)),
            limit: settings.max_connections,
            idle_timeout: settings.keep_alive + settings.head_timeout,
            write_timeout: settings.write_timeout,
            head_bytes: (settings.head_limit + HEAD_EXCESS).min(MAX_HEAD),
        }))
    }

    /// Waits until all workers accept connections.
    pub async fn all_workers(&self) {
        drop(self.0.ready.acquire_many(self.0.workers).await);
    }

    /// Waits until no connection is new and without a request. Call it when no more are accepted.
    pub async fn all_have_begun(&self) {
        let mut quiet = 0;
        // Several looks, because a connection may be on its way to the thread that serves it.
        while quiet < QUIET_LOOKS {
            tokio::time::sleep(LOOK_EVERY).await;
            quiet = if self.lock().iter().any(Watched::is_new) { 0 } else { quiet + 1 };
        }
    }

    /// Closes connections that are stuck, until it is dropped.
    pub async fn keep_closing_stuck(self) {
        let interval = (self.0.idle_timeout.min(self.0.write_timeout) / 4).min(Duration::from_secs(1));
        loop {
            tokio::time::sleep(interval).await;
            self.close_stuck();
        }
    }

    /// Closes the connections that have been idle for too long, and those whose clients do not read.
    fn close_stuck(&self) {
        let (now, open) = (Instant::now(), &*self.0);
        self.lock().retain_mut(|watched| {
            let Some((connection, since)) = watched.update(now) else { return false };
            match connection.phase() {
                // Before the first request the framework's own timer runs.
                Phase::Idle if connection.has_served() && now.duration_since(since) > open.idle_timeout => {
                    connection.close(CloseReason::Idle);
                }
                Phase::Sending if now.duration_since(since) > open.write_timeout => {
                    log::debug!(
                        target: "patd::connection",
                        peer = connection.peer();
                        "closing a connection: its client does not read the answer"
                    );
                    connection.close(CloseReason::Slow);
                }
                _ => {}
            }
            true
        });
    }

    /// Waits for the permit of a new connection. If there is none, the connections that were idle longest are closed.
    pub(super) async fn permit(&self) -> OwnedSemaphorePermit {
        let permits = &self.0.permits;
        if let Ok(permit) = Arc::clone(permits).try_acquire_owned() {
            return permit;
        }
        // One future for the whole time, so that connections get permits in the order in which they came.
        let mut acquiring = Box::pin(Arc::clone(permits).acquire_owned());
        loop {
            self.close_some();
            if let Ok(permit) = tokio::time::timeout(RETRY_EVERY, &mut acquiring).await {
                return permit.expect("the semaphore is never closed");
            }
        }
    }

    /// Closes the connections that were idle longest. If none is idle, closes those whose clients are slow in the
    /// middle of a request. Closes several at once, because all connections are looked at each time.
    fn close_some(&self) {
        let (now, mut watched) = (Instant::now(), self.lock());
        let mut idle = Vec::new();
        let mut slow = Vec::new();
        for watched in watched.iter_mut() {
            let Some((connection, since)) = watched.update(now) else { continue };
            match connection.phase() {
                _ if connection.is_closing() => {}
                Phase::Idle => idle.push((since, connection)),
                Phase::Receiving | Phase::Sending if now.duration_since(since) > SLOW => slow.push((since, connection)),
                _ => {}
            }
        }
        let (mut chosen, reason) = if idle.is_empty() { (slow, CloseReason::Slow) } else { (idle, CloseReason::Idle) };
        let enough = self.0.limit.div_ceil(100);
        if chosen.len() > enough {
            chosen.select_nth_unstable_by_key(enough - 1, |(since, _)| *since);
            chosen.truncate(enough);
        }
        for (_, connection) in chosen {
            connection.close(reason);
        }
    }

    /// One more worker accepts connections.
    pub(super) fn worker_is_ready(&self) {
        self.0.ready.add_permits(1);
    }

    /// How much of the head of a request is read, in bytes.
    pub(super) fn head_bytes(&self) -> usize {
        self.0.head_bytes
    }

    pub(super) fn watch(&self, connection: &Arc<Connection>) {
        self.lock().push(Watched::new(connection));
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Watched>> {
        self.0.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection, and since when nothing has happened on it.
struct Watched {
    connection: Weak<Connection>,
    activity: u64,
    since: Instant,
}

impl Watched {
    fn new(connection: &Arc<Connection>) -> Self {
        Self { connection: Arc::downgrade(connection), activity: connection.activity(), since: Instant::now() }
    }

    /// Whether its first request may still be on its way.
    fn is_new(&self) -> bool {
        let connection = self.connection.upgrade();
        connection.is_some_and(|connection| !connection.has_served() && connection.age() < FIRST_REQUEST)
    }

    /// The connection, and since when nothing has happened on it as of `now`. `None` when it is closed.
    fn update(&mut self, now: Instant) -> Option<(Arc<Connection>, Instant)> {
        let connection = self.connection.upgrade()?;
        let activity = connection.activity();
        if activity != self.activity {
            (self.activity, self.since) = (activity, now);
        }
        Some((connection, self.since))
    }
}
