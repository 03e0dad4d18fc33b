//! The jobs of a thread that writes: independent changes, which share a transaction and are answered after its commit.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Instant,
};

use tokio::sync::oneshot;

use super::{Change, StoreError, StoreMeasurements};

/// Hears of changes and passes them on to observers.
pub(super) trait Notify: Send + Sync {
    fn notify(&self, change: Change);
}

/// Notifies of a write's changes when it is dropped, so that observers hear of them even after a panic.
pub(super) struct NotifyOnDrop<N: Notify> {
    pub(super) changes: Arc<N>,
    pub(super) changed: Vec<Change>,
}

impl<N: Notify> NotifyOnDrop<N> {
    fn now(&mut self) {
        for change in self.changed.drain(..) {
            self.changes.notify(change);
        }
    }
}

impl<N: Notify> Drop for NotifyOnDrop<N> {
    fn drop(&mut self) {
        self.now();
    }
}

/// A write with a result of any type, on a connection `C`. The thread runs it, and answers it when the outcome of the
/// transaction is known.
pub(super) trait Job<C>: Send {
    /// When it was queued.
    fn queued_at(&self) -> Instant;
    /// Whether nobody waits for its result any more.
    fn is_abandoned(&self) -> bool;
    fn run(&mut self, connection: &C) -> Result<(), StoreError>;
    /// The error, if it failed because of the store and not because of the data.
    fn outage(&self) -> Option<StoreError>;
    /// What it has changed, if it has succeeded.
    fn changed(&self) -> &[Change];
    /// Notifies observers of its changes now, and not again when it is answered.
    fn notify(&mut self);
    /// Notifies observers of its changes, and sends the result to the caller, or the error of the transaction.
    fn answer(self: Box<Self>, commit: &Result<(), StoreError>);
}

/// Counts a write as unanswered until it is dropped.
struct Unanswered(Arc<StoreMeasurements>);

impl Unanswered {
    fn new(measurements: &Arc<StoreMeasurements>) -> Self {
        measurements.unanswered_writes.add(1);
        Self(Arc::clone(measurements))
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        self.0.unanswered_writes.add(-1);
    }
}

pub(super) struct Task<T, F, N: Notify> {
    queued_at: Instant,
    work: F,
    result: Option<Result<T, StoreError>>,
    // Before the reply, so that a dropped task notifies observers before its caller gets the error.
    notification: NotifyOnDrop<N>,
    _unanswered: Unanswered,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F, N: Notify> Task<T, F, N> {
    pub(super) fn new(
        work: F,
        notification: NotifyOnDrop<N>,
        measurements: &Arc<StoreMeasurements>,
        reply: oneshot::Sender<Result<T, StoreError>>,
    ) -> Self {
        let unanswered = Unanswered::new(measurements);
        Self { queued_at: Instant::now(), work, result: None, notification, _unanswered: unanswered, reply }
    }
}

impl<C, T, F, N> Job<C> for Task<T, F, N>
where
    T: Send,
    F: FnMut(&C, &mut Vec<Change>) -> Result<T, StoreError> + Send,
    N: Notify,
{
    fn queued_at(&self) -> Instant {
        self.queued_at
    }

    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn run(&mut self, connection: &C) -> Result<(), StoreError> {
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

    fn changed(&self) -> &[Change] {
        match self.result {
            Some(Ok(_)) => &self.notification.changed,
            _ => &[],
        }
    }

    fn notify(&mut self) {
        self.notification.now();
    }

    fn answer(self: Box<Self>, commit: &Result<(), StoreError>) {
        let Self { result, notification, _unanswered: unanswered, reply, .. } = *self;
        drop((notification, unanswered));
        let result = match (commit, result) {
            (Err(error), _) => Err(error.clone()),
            (Ok(()), Some(result)) => result,
            (Ok(()), None) => return,
        };
        // The caller may be gone, as with any lost answer.
        drop(reply.send(result));
    }
}
