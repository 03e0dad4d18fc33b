//! The one thread that writes. It takes all waiting jobs, runs them in one transaction, and answers after the COMMIT.
//!
//! Jobs are independent of each other. Most jobs that fail do so before they change anything, so jobs first run without
//! savepoints (a savepoint copies every page that its job changes). If a job fails after a change, the whole batch is
//! rolled back and runs again, each job in its own savepoint. Between COMMIT and answer, observers are notified of the
//! changes of the batch. In every transaction, and while idle, they are notified of changes by other processes.
//!
//! If another process has the write lock, each job waits for it as long as the settings say. The time counts from when the
//! job was queued, not from when the jobs before it failed. Then the job is refused, and it has changed nothing.

use std::{
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use rusqlite::{Connection, ErrorCode};
use tokio::sync::oneshot;

use super::{
    batch::{execute, roll_back, run_all, run_bare, run_in_savepoint, yield_to_readers},
    binding::binder::LogBinder,
    changes::{Changes, PROBE_INTERVAL, Probe},
    checkpoints::Wal,
    diagnosis,
    health::{self, Health},
    job::{Job, Message, ProbeJob},
    log_length,
    watch::Watch,
};
use crate::{
    priority::lower_priority,
    store::{
        Change, Reply, StoreError, StoreMeasurements,
        jobs::{NotifyOnDrop, Task},
    },
};

/// Limits how long the first job of a batch waits for the last.
const MAX_BATCH: usize = 512;

/// Low, so that the writes of uses take little time from checks if no core is idle.
const NICE: i32 = 5;

/// SQLite counts in milliseconds, so it may give up this long before a deadline.
const SLACK: Duration = Duration::from_millis(2);

/// Limits of the queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Queue {
    /// How many jobs may wait for the thread.
    pub(super) capacity: usize,
    /// How long a job waits while another process has the write lock.
    pub(super) busy_timeout: Duration,
}

/// The writer thread's handle. Dropping it waits until the thread has finished all queued jobs.
pub(super) struct Writer {
    // Unbounded, with a check of its length. A bounded channel would keep queued jobs after the thread has ended, and their
    // callers would wait for ever.
    queue: Option<Sender<Message>>,
    capacity: usize,
    thread: Option<JoinHandle<()>>,
    changes: Arc<Changes>,
    measurements: Arc<StoreMeasurements>,
}

impl Writer {
    /// Starts the thread; at most `capacity` jobs wait for it.
    pub(super) fn start(
        connection: Connection,
        log: Wal,
        context: WriterContext,
        Queue { capacity, busy_timeout }: Queue,
        changes: Arc<Changes>,
    ) -> std::io::Result<Self> {
        let (queue, messages) = crossbeam_channel::unbounded();
        let measurements = Arc::clone(&context.measurements);
        let probe = Probe::new(Arc::clone(&changes), Arc::clone(&context.watch));
        let thread = thread::Builder::new().name("patd-writer".into()).spawn(move || {
            lower_priority(NICE);
            let mut worker = WriterThread { connection: &connection, context, probe, busy_timeout };
            let closed = run(&mut worker, log, &messages);
            if let Err((_, error)) = connection.close() {
                log::error!("store: the writer's connection cannot be closed: {error}");
            }
            // From here on, new jobs are refused at once.
            drop(messages);
            if let Some(closed) = closed {
                // The caller may be gone.
                let _ = closed.send(());
            }
        })?;
        Ok(Self { queue: Some(queue), capacity: capacity.max(1), thread: Some(thread), changes, measurements })
    }

    /// Queues `work`. Observers are notified of `changed`. The work happens in full or, if it returns `Err` or panics, not
    /// at all. It may run twice; then only the second run counts.
    pub(super) fn submit<T, F>(&self, changed: Vec<Change>, mut work: F) -> Reply<'static, T>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        self.submit_reporting(changed, move |connection, _| work(connection))
    }

    /// The same for work that finds out only by itself what it changes: it adds that to `changed`. If it runs twice,
    /// observers are notified of both runs.
    pub(super) fn submit_reporting<T, F>(&self, changed: Vec<Change>, work: F) -> Reply<'static, T>
    where
        T: Send + 'static,
        F: FnMut(&Connection, &mut Vec<Change>) -> Result<T, StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let notification = NotifyOnDrop { changes: Arc::clone(&self.changes), changed };
        match self.queue(Box::new(Task::new(work, notification, &self.measurements, reply))) {
            Ok(()) => Reply::Pending(Box::pin(async move { answer.await.unwrap_or_else(|_| Err(stopped())) })),
            Err(refusal) => Reply::ready(Err(refusal)),
        }
    }

    /// Queues a probe. Its outcome is recorded like that of every transaction.
    pub(super) fn submit_probe(&self, probe: health::Probe) -> Result<(), StoreError> {
        self.queue(Box::new(ProbeJob::new(probe)))
    }

    fn queue(&self, job: Box<Job>) -> Result<(), StoreError> {
        match &self.queue {
            Some(queue) if queue.len() >= self.capacity => {
                Err(StoreError::NotMade("too many writes are waiting".into()))
            }
            Some(queue) if queue.send(Message::Write(job)).is_ok() => Ok(()),
            _ => Err(StoreError::NotMade(STOPPED.into())),
        }
    }

    /// Checkpoints the whole log and truncates it, after the writes that are queued. Returns `false` if other connections
    /// prevented that.
    pub(super) fn empty_log(&self) -> Reply<'static, bool> {
        let (reply, answer) = oneshot::channel();
        match &self.queue {
            Some(queue) if queue.send(Message::EmptyLog(reply)).is_ok() => {
                Reply::Pending(Box::pin(async move { answer.await.unwrap_or_else(|_| Err(stopped())) }))
            }
            _ => Reply::ready(Err(StoreError::NotMade(STOPPED.into()))),
        }
    }

    /// Lets the thread finish all queued jobs, checkpoint the log, close its connection and end. A second call returns at
    /// once.
    pub(super) fn close(&self) -> impl Future<Output = Result<(), StoreError>> + Send + use<> {
        let (closed, end) = oneshot::channel();
        let is_sent = self.queue.as_ref().is_some_and(|queue| queue.send(Message::Close(closed)).is_ok());
        async move {
            match end.await {
                Err(_) if is_sent => Err(stopped()),
                _ => Ok(()),
            }
        }
    }

    /// Whether the thread is running.
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
            log::error!("store: the writer thread panicked");
        }
    }
}

const STOPPED: &str = "the writer has stopped";

pub(super) fn stopped() -> StoreError {
    StoreError::Unavailable(STOPPED.into())
}

/// What the thread uses besides its connection.
pub(super) struct WriterContext {
    pub(super) binder: LogBinder,
    pub(super) watch: Arc<Watch>,
    pub(super) health: Arc<Health>,
    pub(super) measurements: Arc<StoreMeasurements>,
}

/// The state of the writer thread.
struct WriterThread<'w> {
    connection: &'w Connection,
    context: WriterContext,
    probe: Probe,
    busy_timeout: Duration,
}

/// Runs batches until a message asks for the end, or all senders are gone. Returns whom to notify when the connection is
/// closed.
fn run(worker: &mut WriterThread<'_>, mut log: Wal, messages: &Receiver<Message>) -> Option<oneshot::Sender<()>> {
    log_length::watch(worker.connection);
    worker.probe.poll(worker.connection);
    worker.context.binder.start(worker.connection);
    let (mut closing, mut emptying) = (None, None);
    // Jobs that still wait for the write lock that another process has.
    let mut batch = Vec::new();
    while closing.is_none() || !batch.is_empty() {
        if batch.is_empty() {
            if let Some(reply) = emptying.take() {
                empty(worker, &mut log, reply);
            }
            match messages.recv_timeout(PROBE_INTERVAL) {
                Ok(Message::Write(job)) => batch.push(job),
                Ok(Message::EmptyLog(reply)) => {
                    empty(worker, &mut log, reply);
                    continue;
                }
                Ok(Message::Close(closed)) => closing = Some(closed),
                Err(RecvTimeoutError::Timeout) => {
                    worker.probe.poll(worker.connection);
                    log.save_deleted_log();
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        while closing.is_none() && emptying.is_none() && batch.len() < MAX_BATCH {
            match messages.try_recv() {
                Ok(Message::Write(job)) => batch.push(job),
                Ok(Message::EmptyLog(reply)) => emptying = Some(reply),
                Ok(Message::Close(closed)) => closing = Some(closed),
                Err(_) => break,
            }
        }
        if batch.is_empty() {
            continue;
        }
        // The thread must survive a panic, or the callers in the queue would wait for ever. The callers of this batch get
        // an error when it is dropped.
        let jobs = mem::take(&mut batch);
        let outcome = catch_unwind(AssertUnwindSafe(|| worker.run_batch(jobs)));
        let (committed, waiting) = outcome.unwrap_or_else(|_| {
            log::error!("store: the writer panicked; it is unknown whether the writes of its batch were made");
            roll_back(worker.connection);
            (false, Vec::new())
        });
        batch = waiting;
        match committed {
            true => log.keep_short(worker.connection),
            false => log.request_checkpoint(),
        }
        worker.context.measurements.log_bytes.set(log_length::bytes());
    }
    log.close(worker.connection, &mut worker.context.binder);
    closing
}

fn empty(worker: &mut WriterThread<'_>, log: &mut Wal, reply: oneshot::Sender<Result<bool, StoreError>>) {
    let emptied = log.empty(worker.connection, &mut worker.context.binder);
    worker.probe.poll(worker.connection);
    // The caller may be gone.
    drop(reply.send(emptied));
}

type Jobs = Vec<Box<Job>>;

impl WriterThread<'_> {
    /// Returns whether the transaction succeeded, and the jobs that may still wait for the write lock.
    fn run_batch(&mut self, mut batch: Jobs) -> (bool, Jobs) {
        // The jobs are in the order in which they were queued, so the first one has the earliest deadline.
        let deadline = batch.first().map_or_else(Instant::now, |job| job.queued_at()) + self.busy_timeout;
        let before = self.connection.total_changes();
        let commit = self.commit_together(&mut batch, deadline);
        self.context.measurements.batches.observe_size(batch.len());
        let outage = batch.iter().find_map(|job| job.outage());
        let outcome = commit.clone().and(outage.map_or(Ok(()), Err));
        self.context.health.record(outcome, self.connection.total_changes() - before);
        let mut waiting = Vec::new();
        if let Err(error) = &commit {
            roll_back(self.connection);
            // Only a wait for the write lock lasts until the deadline of the first job, and later jobs may wait longer.
            // Every other failure comes earlier and applies to all jobs.
            if matches!(error, StoreError::NotMade(_)) && Instant::now() + SLACK >= deadline {
                (waiting, batch) = batch.into_iter().partition(|job| job.queued_at().elapsed() < self.busy_timeout);
            }
            log::error!("store: {} writes were not made: {error}", batch.len());
        }
        // Before the answers, because these may take a while.
        self.probe.poll(self.connection);
        let committed = Instant::now();
        for job in batch {
            yield_to_readers(committed);
            job.answer(&commit);
        }
        (commit.is_ok(), waiting)
    }

    /// `Err` applies to all jobs: then no job may be answered with its own result.
    fn commit_together(&mut self, batch: &mut [Box<Job>], deadline: Instant) -> Result<(), StoreError> {
        let connection = self.connection;
        self.context.watch.check_for_writing().map_err(not_made)?;
        wait_until(connection, deadline)?;
        self.context.binder.draw_first_nonce(connection).map_err(not_made)?;
        self.begin(deadline)?;
        let changed = match run_all(connection, batch, run_bare)? {
            Some(changed) => changed,
            None => {
                self.execute("ROLLBACK")?;
                self.begin(deadline)?;
                run_all(connection, batch, run_in_savepoint)?.unwrap_or_default()
            }
        };
        if changed {
            self.context.measurements.commit(|| self.execute("COMMIT"))?;
            self.context.binder.record_commit();
        } else {
            self.execute("ROLLBACK")?;
        }
        // A file that was deleted or overwritten meanwhile took the commit with it.
        self.context.watch.check()
    }

    /// Begins a transaction, and waits for the write lock until `deadline`. If it fails, nothing has changed.
    fn begin(&mut self, deadline: Instant) -> Result<(), StoreError> {
        wait_until(self.connection, deadline)?;
        execute(self.connection, "BEGIN IMMEDIATE").map_err(|error| match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy) => {
                StoreError::NotMade(format!("another process has the write lock: {error}"))
            }
            _ => StoreError::NotMade(self.explain("BEGIN IMMEDIATE", &error)),
        })?;
        // A writer that is never idle probes only here. No other process can change anything before the commit.
        self.probe.poll(self.connection);
        self.context.watch.last_seen()?;
        self.context.binder.prepare_transaction(self.connection)
    }

    /// A failure between BEGIN and COMMIT is an outage, never a defect: the change was not made, or its outcome is unknown.
    fn execute(&self, sql: &str) -> Result<(), StoreError> {
        execute(self.connection, sql).map_err(|error| StoreError::Unavailable(self.explain(sql, &error)))
    }

    fn explain(&self, sql: &str, error: &rusqlite::Error) -> String {
        format!("{sql}: {}", diagnosis::explain(error, self.context.watch.database()))
    }
}

/// Makes the connection wait until `deadline` while another process has the lock.
fn wait_until(connection: &Connection, deadline: Instant) -> Result<(), StoreError> {
    Ok(connection.busy_timeout(deadline.saturating_duration_since(Instant::now()))?)
}

fn not_made(error: StoreError) -> StoreError {
    match error {
        StoreError::Unavailable(why) => StoreError::NotMade(why),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn a_writer_whose_thread_has_ended_refuses_at_once() {
        let (queue, messages) = crossbeam_channel::unbounded();
        let writer = Writer {
            queue: Some(queue),
            capacity: 1,
            thread: None,
            changes: Arc::new(Changes::new()),
            measurements: Arc::default(),
        };
        drop(messages);
        assert!(!writer.is_alive());
        let refused = writer.submit(Vec::new(), |_| Ok(())).now_or_never();
        assert_eq!(refused, Some(Err(StoreError::NotMade(STOPPED.into()))));
    }
}
