//! The messages to the writer's thread: a job to run, or the request to end.

use std::time::Instant;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::health::Probe;
use crate::store::{Change, StoreError, jobs};

/// A write on the writer's connection.
pub(super) type Job = dyn jobs::Job<Connection>;

/// A message to the writer's thread.
pub(super) enum Message {
    Write(Box<Job>),
    /// Asks for a checkpoint of the whole log that truncates it. The answer is whether that was possible.
    EmptyLog(oneshot::Sender<Result<bool, StoreError>>),
    /// Asks the thread to end. It sends a value when the connection is closed.
    Close(oneshot::Sender<()>),
}

/// A probe. Nobody waits for its result: its outcome is recorded like that of every transaction.
pub(super) struct ProbeJob {
    queued_at: Instant,
    probe: Probe,
    outcome: Result<(), StoreError>,
}

impl ProbeJob {
    pub(super) fn new(probe: Probe) -> Self {
        Self { queued_at: Instant::now(), probe, outcome: Ok(()) }
    }
}

impl jobs::Job<Connection> for ProbeJob {
    fn queued_at(&self) -> Instant {
        self.queued_at
    }

    fn is_abandoned(&self) -> bool {
        false
    }

    fn run(&mut self, connection: &Connection) -> Result<(), StoreError> {
        self.outcome = self.probe.run(connection);
        self.outcome.clone()
    }

    fn outage(&self) -> Option<StoreError> {
        self.outcome.clone().err()
    }

    fn changed(&self) -> &[Change] {
        &[]
    }

    fn notify(&mut self) {}

    fn answer(self: Box<Self>, _commit: &Result<(), StoreError>) {}
}
