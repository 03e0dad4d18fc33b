//! The messages to the writer's thread: a job to run, or the request to end.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Instant,
};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{changes::NotifyOnDrop, health::Probe};
use crate::store::{Change, StoreError};

/// A message to the writer's thread.
pub(super) enum Message {
    Write(Box<dyn Job>),
    /// Asks for a checkpoint of the whole log that truncates it. The answer is whether that was possible.
    EmptyLog(oneshot::Sender<Result<bool, StoreError>>),
    /// Asks the thread to end. It sends a value when the connection is closed.
    Close(oneshot::Sender<()>),
}

/// A write with a result of any type. The thread runs it, and answers it when the outcome of the transaction is known.
pub(super) trait Job: Send {
    /// When it was queued.
    fn queued_at(&self) -> Instant;
    /// Whether nobody waits for its result any more.
    fn is_abandoned(&self) -> bool;
    fn run(&mut self, connection: &Connection) -> Result<(), StoreError>;
    /// The error, if it failed because of the store and not because of the data.
    fn outage(&self) -> Option<StoreError>;
    /// Sends the result to the caller, or the error of the transaction.
    fn answer(self: Box<Self>, commit: &Result<(), StoreError>);
}

pub(super) struct Task<T, F> {
    queued_at: Instant,
    work: F,
    result: Option<Result<T, StoreError>>,
    // Before the reply, so that a dropped task notifies observers before its caller gets the error.
    notification: NotifyOnDrop,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Task<T, F> {
    pub(super) fn new(work: F, notification: NotifyOnDrop, reply: oneshot::Sender<Result<T, StoreError>>) -> Self {
        Self { queued_at: Instant::now(), work, result: None, notification, reply }
    }
}

impl<T, F> Job for Task<T, F>
where
    T: Send,
    F: FnMut(&Connection, &mut Vec<Change>) -> Result<T, StoreError> + Send,
{
    fn queued_at(&self) -> Instant {
        self.queued_at
    }

    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn run(&mut self, connection: &Connection) -> Result<(), StoreError> {
        let result = catch_unwind(AssertUnwindSafe(|| (self.work)(connection, &mut self.notification.changed)))
            .unwrap_or_else(|_| Err(StoreError::Internal("a write panicked".into())));
        let outcome = result.as_ref().map(|_| ()).map_err(Clone::clone);
        self.result = Some(result);
        outcome
    }

    fn outage(&self) -> Option<StoreError> {
        match &self.result {
            Some(Err(error @ (StoreError::NotMade(_) | StoreError::Unavailable(_)))) => Some(error.clone()),
            _ => None,
        }
    }

    fn answer(self: Box<Self>, commit: &Result<(), StoreError>) {
        let Self { result, notification, reply, .. } = *self;
        drop(notification);
        let result = match (commit, result) {
            (Err(error), _) => Err(error.clone()),
            (Ok(()), Some(result)) => result,
            (Ok(()), None) => return,
        };
        // The caller may be gone, as with any lost answer.
        drop(reply.send(result));
    }
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

impl Job for ProbeJob {
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

    fn answer(self: Box<Self>, _commit: &Result<(), StoreError>) {}
}
