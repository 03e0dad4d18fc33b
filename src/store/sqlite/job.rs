//! What the writer's thread is asked for: a write of any type, or its end.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Instant,
};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{changes::NotifyOnDrop, health::Probe};
use crate::store::{Change, StoreError};

/// What the thread is asked for.
pub(super) enum Order {
    Write(Box<dyn Job>),
    /// To end, and to say so when the connection is closed.
    Close(oneshot::Sender<()>),
}

/// A write of any type, seen from the thread: run, then answered once the fate of its transaction is known.
pub(super) trait Job: Send {
    /// Since when somebody waits for it.
    fn asked_at(&self) -> Instant;
    fn is_abandoned(&self) -> bool;
    fn run(&mut self, connection: &Connection) -> Result<(), StoreError>;
    /// Why the store could not do it, where that is why it failed.
    fn outage(&self) -> Option<StoreError>;
    fn answer(self: Box<Self>, fate: &Result<(), StoreError>);
}

pub(super) struct Task<T, F> {
    asked_at: Instant,
    work: F,
    result: Option<Result<T, StoreError>>,
    // Before the reply, since a task that is dropped lets its caller go with that.
    notice: NotifyOnDrop,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Task<T, F> {
    pub(super) fn new(work: F, notice: NotifyOnDrop, reply: oneshot::Sender<Result<T, StoreError>>) -> Self {
        Self { asked_at: Instant::now(), work, result: None, notice, reply }
    }
}

impl<T, F> Job for Task<T, F>
where
    T: Send,
    F: FnMut(&Connection, &mut Vec<Change>) -> Result<T, StoreError> + Send,
{
    fn asked_at(&self) -> Instant {
        self.asked_at
    }

    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn run(&mut self, connection: &Connection) -> Result<(), StoreError> {
        let result = catch_unwind(AssertUnwindSafe(|| (self.work)(connection, &mut self.notice.of)))
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

    fn answer(self: Box<Self>, fate: &Result<(), StoreError>) {
        let Self { result, notice, reply, .. } = *self;
        drop(notice);
        let result = match (fate, result) {
            (Err(error), _) => Err(error.clone()),
            (Ok(()), Some(result)) => result,
            (Ok(()), None) => return,
        };
        // A caller that left meanwhile learns nothing, as with any lost answer.
        drop(reply.send(result));
    }
}

/// A probe, whose outcome is noted like that of every transaction: nobody waits for this very one.
pub(super) struct Probing {
    asked_at: Instant,
    probe: Probe,
    outcome: Result<(), StoreError>,
}

impl Probing {
    pub(super) fn new(probe: Probe) -> Self {
        Self { asked_at: Instant::now(), probe, outcome: Ok(()) }
    }
}

impl Job for Probing {
    fn asked_at(&self) -> Instant {
        self.asked_at
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

    fn answer(self: Box<Self>, _fate: &Result<(), StoreError>) {}
}
