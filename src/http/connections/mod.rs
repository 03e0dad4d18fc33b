//! The open connections: how many there may be, which of them give way to a new one, and which are closed because their
//! client does nothing.
//!
//! The framework times the head of a connection's first request and an idle connection between two requests, and nothing
//! else. A client that sends one byte of its next request, or does not read its answers, would hold its place for ever. So
//! each connection notes what happens on it ([`connection`]), by the stream that the framework reads and writes
//! ([`stream`]), and [`Connections::close_stuck`] looks at these notes.

mod accepting;
mod connection;
mod fragment;
mod stream;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub use self::accepting::service;
pub(super) use self::connection::{BodyRead, Sending, UnderWay, made_for};
use self::connection::{Closing, Connection, Phase};
use crate::config;

/// How often a connection that waits for a place looks again for one that can give way.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// How much longer than the limit a head may be that is read to its end, and how long any may be. The framework panics at
/// a name of 64 KiB.
const HEAD_EXCESS: usize = 16 * 1024;
const HEAD_MOST: usize = 64 * 1024 - 1;
/// How long a client must have kept a connection waiting before that gives way to a new one in the midst of a request.
const SLOW: Duration = Duration::from_secs(1);

/// The open connections of a server.
#[derive(Clone)]
pub struct Connections(Arc<Open>);

struct Open {
    /// One permit for each worker that takes connections, of so many.
    ready: Semaphore,
    workers: u32,
    watched: Mutex<Vec<Watched>>,
    places: Arc<Semaphore>,
    limit: usize,
    /// How long a connection may lie between an answer and the whole head of the next request.
    patience: Duration,
    /// How long a client may take for what fills the buffers between it and the server.
    write_timeout: Duration,
    /// How much of a head is read. Of one that exceeds the limit by little, the answer and the log can say which request
    /// it was.
    head_bytes: usize,
}

impl Connections {
    /// None yet, and as many later as `settings` allow.
    pub fn new(settings: &config::Server) -> Self {
        Self(Arc::new(Open {
            ready: Semaphore::new(0),
            workers: u32::try_from(settings.workers).unwrap_or(u32::MAX),
            watched: Mutex::default(),
            places: Arc::new(Semaphore::new(settings.max_connections)),
            limit: settings.max_connections,
            patience: settings.keep_alive + settings.head_timeout,
            write_timeout: settings.write_timeout,
            head_bytes: (settings.head_limit + HEAD_EXCESS).min(HEAD_MOST),
        }))
    }

    /// Waits until all workers take connections.
    pub async fn all_workers(&self) {
        drop(self.0.ready.acquire_many(self.0.workers).await);
    }

    /// How often [`Connections::close_stuck`] is due.
    pub fn look_every(&self) -> Duration {
        (self.0.patience.min(self.0.write_timeout) / 4).min(Duration::from_secs(1))
    }

    /// Closes the connections that have been idle for too long, and those whose clients do not read.
    pub fn close_stuck(&self) {
        let (now, open) = (Instant::now(), &*self.0);
        self.lock().retain_mut(|watched| {
            let Some((connection, since)) = watched.look(now) else { return false };
            match connection.phase() {
                // Before the first request the framework's own timer runs.
                Phase::Idle if connection.has_served() && now.duration_since(since) > open.patience => {
                    connection.close(Closing::Idle);
                }
                Phase::Sending if now.duration_since(since) > open.write_timeout => {
                    log::debug!(
                        target: "patd::connection",
                        peer = connection.peer();
                        "closing a connection: its client does not read the answer"
                    );
                    connection.close(Closing::Slow);
                }
                _ => {}
            }
            true
        });
    }

    /// Waits for a place. If there is none, the connection that has been idle longest gives way.
    async fn place(&self) -> OwnedSemaphorePermit {
        let places = &self.0.places;
        if let Ok(place) = Arc::clone(places).try_acquire_owned() {
            return place;
        }
        // One future for the whole time, so that whoever waits longest is served first.
        let mut acquiring = Box::pin(Arc::clone(places).acquire_owned());
        loop {
            self.make_room();
            if let Ok(place) = tokio::time::timeout(LOOK_AGAIN, &mut acquiring).await {
                return place.expect("the semaphore is never closed");
            }
        }
    }

    /// Closes the connections that can go with the least harm: those that have been idle longest, or else those whose
    /// clients keep the server waiting in the midst of a request. A few at once, since all are looked at for it.
    fn make_room(&self) {
        let (now, mut watched) = (Instant::now(), self.lock());
        let mut idle = Vec::new();
        let mut slow = Vec::new();
        for watched in watched.iter_mut() {
            let Some((connection, since)) = watched.look(now) else { continue };
            match connection.phase() {
                _ if connection.is_closing() => {}
                Phase::Idle => idle.push((since, connection)),
                Phase::Receiving | Phase::Sending if now.duration_since(since) > SLOW => slow.push((since, connection)),
                _ => {}
            }
        }
        let (mut going, closing) = if idle.is_empty() { (slow, Closing::Slow) } else { (idle, Closing::Idle) };
        let enough = self.0.limit.div_ceil(100);
        if going.len() > enough {
            going.select_nth_unstable_by_key(enough - 1, |(since, _)| *since);
            going.truncate(enough);
        }
        for (_, connection) in going {
            connection.close(closing);
        }
    }

    fn watch(&self, connection: &Arc<Connection>) {
        self.lock().push(Watched::new(connection));
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Watched>> {
        self.0.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection as it was seen last.
struct Watched {
    connection: Weak<Connection>,
    moves: u64,
    since: Instant,
}

impl Watched {
    fn new(connection: &Arc<Connection>) -> Self {
        Self { connection: Arc::downgrade(connection), moves: connection.moves(), since: Instant::now() }
    }

    /// Looks again at `now`: the connection, and since when nothing was seen to happen there. `None` once it is closed.
    fn look(&mut self, now: Instant) -> Option<(Arc<Connection>, Instant)> {
        let connection = self.connection.upgrade()?;
        let moves = connection.moves();
        if moves != self.moves {
            (self.moves, self.since) = (moves, now);
        }
        Some((connection, self.since))
    }
}
