//! The one thread that writes: it takes all jobs that wait, runs them in one transaction and answers after its COMMIT.
//!
//! A job knows nothing of its neighbours: it runs in a savepoint of its own. What jobs do is not decided here.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread::{self, JoinHandle},
};

use crossbeam_channel::{Receiver, Sender, TrySendError};
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::file::Watch;
use crate::store::{Reply, StoreError};

/// Bounds how long the first job of a batch waits for the last.
const MAX_BATCH: usize = 512;

/// The writer thread's handle. Dropping it lets the thread finish what was queued, and waits for that.
pub(super) struct Writer {
    queue: Option<Sender<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread; at most `capacity` jobs wait for it.
    pub(super) fn start(connection: Connection, capacity: usize, watch: Arc<Watch>) -> std::io::Result<Self> {
        let (queue, jobs) = crossbeam_channel::bounded(capacity.max(1));
        let thread =
            thread::Builder::new().name("patd-writer".into()).spawn(move || run(&connection, &jobs, &watch))?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Queues `work`. It happens in full or, when it answers `Err` or panics, not at all.
    pub(super) fn submit<T, F>(&self, work: F) -> Reply<'static, T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Task { work: Some(work), result: None, reply });
        let refusal = match self.queue.as_ref().map(|queue| queue.try_send(job)) {
            Some(Ok(())) => {
                return Reply::Pending(Box::pin(async move { answer.await.unwrap_or_else(|_| Err(stopped())) }));
            }
            Some(Err(TrySendError::Full(_))) => StoreError::Unavailable("too many writes are waiting".into()),
            Some(Err(TrySendError::Disconnected(_))) | None => stopped(),
        };
        Reply::ready(Err(refusal))
    }

    /// Whether the thread still runs.
    pub(super) fn is_alive(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::error!("store: the writer thread had died");
        }
    }
}

fn stopped() -> StoreError {
    StoreError::Unavailable("the writer has stopped".into())
}

/// A write of any type, seen from the thread: run, then answered once the fate of its transaction is known.
trait Job: Send {
    fn is_abandoned(&self) -> bool;
    fn run(&mut self, connection: &Connection) -> Result<(), StoreError>;
    fn answer(self: Box<Self>, fate: &Result<(), StoreError>);
}

struct Task<T, F> {
    work: Option<F>,
    result: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Job for Task<T, F>
where
    T: Send,
    F: FnOnce(&Connection) -> Result<T, StoreError> + Send,
{
    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn run(&mut self, connection: &Connection) -> Result<(), StoreError> {
        let Some(work) = self.work.take() else {
            return Err(StoreError::Internal("a write ran twice".into()));
        };
        let result = catch_unwind(AssertUnwindSafe(|| work(connection)))
            .unwrap_or_else(|_| Err(StoreError::Internal("a write panicked".into())));
        let outcome = result.as_ref().map(|_| ()).map_err(Clone::clone);
        self.result = Some(result);
        outcome
    }

    fn answer(self: Box<Self>, fate: &Result<(), StoreError>) {
        let result = match (fate, self.result) {
            (Err(error), _) => Err(error.clone()),
            (Ok(()), Some(result)) => result,
            (Ok(()), None) => return,
        };
        // A caller that left meanwhile learns nothing, as with any lost answer.
        drop(self.reply.send(result));
    }
}

fn run(connection: &Connection, jobs: &Receiver<Box<dyn Job>>, watch: &Watch) {
    while let Ok(first) = jobs.recv() {
        let mut batch = vec![first];
        batch.extend(jobs.try_iter().take(MAX_BATCH - 1));
        let fate = commit_together(connection, &mut batch, watch);
        if let Err(error) = &fate {
            log::error!("store: {} writes were not made: {error}", batch.len());
            undo(connection);
        }
        for job in batch {
            job.answer(&fate);
        }
    }
}

/// `Err` is the fate of all of them: then no job may be answered with its own result.
fn commit_together(connection: &Connection, batch: &mut [Box<dyn Job>], watch: &Watch) -> Result<(), StoreError> {
    watch.check()?;
    execute(connection, "BEGIN IMMEDIATE")?;
    let mut changed = false;
    for job in batch {
        if !job.is_abandoned() {
            changed |= run_alone(connection, job.as_mut())?;
        }
    }
    execute(connection, if changed { "COMMIT" } else { "ROLLBACK" })?;
    // A file that was deleted meanwhile took the commit with it.
    watch.check()
}

/// Whether the job is to be committed; `Err` when the whole transaction is lost.
fn run_alone(connection: &Connection, job: &mut dyn Job) -> Result<bool, StoreError> {
    execute(connection, "SAVEPOINT job")?;
    let outcome = job.run(connection);
    // On a full disk or an I/O error SQLite may undo the whole transaction, and with it the neighbours' work.
    if connection.is_autocommit() {
        let cause = outcome.map_or_else(|error| error.to_string(), |()| "no error".into());
        return Err(StoreError::Unavailable(format!("SQLite undid the transaction: {cause}")));
    }
    if outcome.is_err() {
        execute(connection, "ROLLBACK TO job")?;
    }
    execute(connection, "RELEASE job")?;
    Ok(outcome.is_ok())
}

/// Any failure between BEGIN and COMMIT leaves the change undone or unknown, which is an outage and never a defect.
fn execute(connection: &Connection, sql: &str) -> Result<(), StoreError> {
    connection
        .prepare_cached(sql)
        .and_then(|mut statement| statement.execute([]))
        .map(drop)
        .map_err(|error| StoreError::Unavailable(format!("{sql}: {error}")))
}

fn undo(connection: &Connection) {
    if !connection.is_autocommit()
        && let Err(error) = execute(connection, "ROLLBACK")
    {
        log::error!("store: a failed transaction could not be undone: {error}");
    }
}
