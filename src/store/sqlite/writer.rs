//! The one thread that writes: it takes all jobs that wait, runs them in one transaction and answers after its COMMIT.
//!
//! A job knows nothing of its neighbours. Most jobs that fail do so before they change anything, so jobs run without
//! savepoints (each would copy every page that its job touches); when one fails after a change, the whole batch is undone
//! and runs again, each job in a savepoint of its own. What jobs do is not decided here. Between COMMIT and answer,
//! observers are told of what changed; and between jobs, of what others changed.
//!
//! Where another process has the write lock, each job waits for it as long as the settings say, counted from when it was
//! asked for, and not from when the jobs before it gave up. Then it is refused, and nothing of it has happened.

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
    batch::{execute, run_all, run_bare, run_in_savepoint, undo, yield_to_readers},
    binding::binder::LogBinder,
    changes::{Changes, NotifyOnDrop, PROBE_INTERVAL, Probe},
    checkpoints::Wal,
    diagnosis,
    health::{self, Health},
    job::{Job, Order, Probing, Task},
    log_length,
    watch::Watch,
};
use crate::{
    priority::lower_priority,
    store::{Change, Reply, StoreError},
};

/// Bounds how long the first job of a batch waits for the last.
const MAX_BATCH: usize = 512;

/// So that where checks leave no core idle, what is written of their uses takes little from them.
const NICE: i32 = 5;

/// SQLite counts in milliseconds, so it gives up that much before a deadline.
const SLACK: Duration = Duration::from_millis(2);

/// How long jobs wait, and how many.
#[derive(Clone, Copy, Debug)]
pub(super) struct Queue {
    /// The most that wait for the thread.
    pub(super) capacity: usize,
    /// How long one waits for the write lock of another process.
    pub(super) busy_timeout: Duration,
}

/// The writer thread's handle. Dropping it lets the thread finish what was queued, and waits for that.
pub(super) struct Writer {
    // A channel without a bound, whose length is asked: a bounded one would keep what is queued when the thread ends, and
    // the callers would wait for ever.
    queue: Option<Sender<Order>>,
    capacity: usize,
    thread: Option<JoinHandle<()>>,
    changes: Arc<Changes>,
}

impl Writer {
    /// Starts the thread; at most `capacity` jobs wait for it.
    pub(super) fn start(
        connection: Connection,
        log: Wal,
        tools: Tools,
        Queue { capacity, busy_timeout }: Queue,
        changes: Arc<Changes>,
    ) -> std::io::Result<Self> {
        let (queue, orders) = crossbeam_channel::unbounded();
        let probe = Probe::new(Arc::clone(&changes), Arc::clone(&tools.watch));
        let thread = thread::Builder::new().name("patd-writer".into()).spawn(move || {
            lower_priority(NICE);
            let mut turn = Turn { connection: &connection, tools, probe, busy_timeout };
            let closed = run(&mut turn, log, &orders);
            if let Err((_, error)) = connection.close() {
                log::error!("store: the writer's connection cannot be closed: {error}");
            }
            // Whoever asks from here on is refused at once.
            drop(orders);
            if let Some(closed) = closed {
                // Nobody may be left who waits for it.
                let _ = closed.send(());
            }
        })?;
        Ok(Self { queue: Some(queue), capacity: capacity.max(1), thread: Some(thread), changes })
    }

    /// Queues `work`, which may change what `of` says. It happens in full or, when it answers `Err` or panics, not at
    /// all. It may run twice, of which only the second time counts.
    pub(super) fn submit<T, F>(&self, of: Vec<Change>, mut work: F) -> Reply<'static, T>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        self.submit_reporting(of, move |connection, _| work(connection))
    }

    /// The same where only `work` can find out what it changes: it adds that to what is told of. Of work that ran twice,
    /// both times are told of.
    pub(super) fn submit_reporting<T, F>(&self, of: Vec<Change>, work: F) -> Reply<'static, T>
    where
        T: Send + 'static,
        F: FnMut(&Connection, &mut Vec<Change>) -> Result<T, StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let notice = NotifyOnDrop { changes: Arc::clone(&self.changes), of };
        match self.queue(Box::new(Task::new(work, notice, reply))) {
            Ok(()) => Reply::Pending(Box::pin(async move { answer.await.unwrap_or_else(|_| Err(stopped())) })),
            Err(refusal) => Reply::ready(Err(refusal)),
        }
    }

    /// Queues a probe, whose outcome is noted like that of every transaction.
    pub(super) fn submit_probe(&self, probe: health::Probe) -> Result<(), StoreError> {
        self.queue(Box::new(Probing::new(probe)))
    }

    fn queue(&self, job: Box<dyn Job>) -> Result<(), StoreError> {
        match &self.queue {
            Some(queue) if queue.len() >= self.capacity => {
                Err(StoreError::NotMade("too many writes are waiting".into()))
            }
            Some(queue) if queue.send(Order::Write(job)).is_ok() => Ok(()),
            _ => Err(StoreError::NotMade(STOPPED.into())),
        }
    }

    /// Lets the thread finish what was queued, checkpoint the log, close its connection and end. A second call waits for nothing.
    pub(super) fn close(&self) -> impl Future<Output = Result<(), StoreError>> + Send + use<> {
        let (closed, end) = oneshot::channel();
        let is_ordered = self.queue.as_ref().is_some_and(|queue| queue.send(Order::Close(closed)).is_ok());
        async move {
            match end.await {
                Err(_) if is_ordered => Err(stopped()),
                _ => Ok(()),
            }
        }
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

const STOPPED: &str = "the writer has stopped";

pub(super) fn stopped() -> StoreError {
    StoreError::Unavailable(STOPPED.into())
}

/// What the thread works with besides its connection.
pub(super) struct Tools {
    pub(super) binder: LogBinder,
    pub(super) watch: Arc<Watch>,
    pub(super) health: Arc<Health>,
}

/// What the thread makes its transactions with.
struct Turn<'w> {
    connection: &'w Connection,
    tools: Tools,
    probe: Probe,
    busy_timeout: Duration,
}

/// Works until the end is ordered, or nobody is left who could order anything. Answers to whom the end is to be told.
fn run(turn: &mut Turn<'_>, mut log: Wal, orders: &Receiver<Order>) -> Option<oneshot::Sender<()>> {
    log_length::watch(turn.connection);
    turn.probe.poll(turn.connection);
    turn.tools.binder.start(turn.connection);
    let mut closing = None;
    // Those that still wait for the write lock of another process.
    let mut batch = Vec::new();
    while closing.is_none() || !batch.is_empty() {
        if batch.is_empty() {
            match orders.recv_timeout(PROBE_INTERVAL) {
                Ok(Order::Write(job)) => batch.push(job),
                Ok(Order::Close(closed)) => closing = Some(closed),
                Err(RecvTimeoutError::Timeout) => {
                    turn.probe.poll(turn.connection);
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        while closing.is_none() && batch.len() < MAX_BATCH {
            match orders.try_recv() {
                Ok(Order::Write(job)) => batch.push(job),
                Ok(Order::Close(closed)) => closing = Some(closed),
                Err(_) => break,
            }
        }
        if batch.is_empty() {
            continue;
        }
        // Whatever goes wrong, the thread lives on: who waits in the queue would otherwise wait for ever. The callers of
        // this batch are let go as it is dropped.
        let jobs = mem::take(&mut batch);
        let served = catch_unwind(AssertUnwindSafe(|| turn.serve(jobs)));
        let (committed, waiting) = served.unwrap_or_else(|_| {
            log::error!("store: the writer panicked; the writes of its batch are unknown");
            undo(turn.connection);
            (false, Vec::new())
        });
        batch = waiting;
        match committed {
            true => log.keep_short(turn.connection),
            false => log.fold_soon(),
        }
    }
    log.close(turn.connection, &mut turn.tools.binder);
    closing
}

type Jobs = Vec<Box<dyn Job>>;

impl Turn<'_> {
    /// Answers whether the transaction was completed, and which jobs may still wait for the write lock.
    fn serve(&mut self, mut batch: Jobs) -> (bool, Jobs) {
        // They are in the order in which they were asked for.
        let deadline = batch.first().map_or_else(Instant::now, |job| job.asked_at()) + self.busy_timeout;
        let before = self.connection.total_changes();
        let fate = self.commit_together(&mut batch, deadline);
        let outage = batch.iter().find_map(|job| job.outage());
        let outcome = fate.clone().and(outage.map_or(Ok(()), Err));
        self.tools.health.note(outcome, self.connection.total_changes() - before);
        let mut waiting = Vec::new();
        if let Err(error) = &fate {
            undo(self.connection);
            // What fails at once fails for all; what failed for want of the lock has taken until the first one's deadline.
            if matches!(error, StoreError::NotMade(_)) && Instant::now() + SLACK >= deadline {
                (waiting, batch) = batch.into_iter().partition(|job| job.asked_at().elapsed() < self.busy_timeout);
            }
            log::error!("store: {} writes were not made: {error}", batch.len());
        }
        // To answer all of them may take a while, too.
        self.probe.poll(self.connection);
        let committed = Instant::now();
        for job in batch {
            yield_to_readers(committed);
            job.answer(&fate);
        }
        (fate.is_ok(), waiting)
    }

    /// `Err` is the fate of all of them: then no job may be answered with its own result.
    fn commit_together(&mut self, batch: &mut [Box<dyn Job>], deadline: Instant) -> Result<(), StoreError> {
        let connection = self.connection;
        self.tools.watch.check_for_writing().map_err(not_made)?;
        wait_until(connection, deadline)?;
        self.tools.binder.draw_first_nonce(connection).map_err(not_made)?;
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
            self.execute("COMMIT")?;
            self.tools.binder.record_commit();
        } else {
            self.execute("ROLLBACK")?;
        }
        // A file that was deleted or overwritten meanwhile took the commit with it.
        self.tools.watch.check()
    }

    /// Begins a transaction, for whose write lock it waits until `deadline`. Where that fails, nothing has happened.
    fn begin(&mut self, deadline: Instant) -> Result<(), StoreError> {
        wait_until(self.connection, deadline)?;
        execute(self.connection, "BEGIN IMMEDIATE").map_err(|error| match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy) => {
                StoreError::NotMade(format!("another process has the write lock: {error}"))
            }
            _ => StoreError::NotMade(self.explain("BEGIN IMMEDIATE", &error)),
        })?;
        // A writer that is never idle looks in its transactions, where nobody can change anything before the commit.
        self.probe.poll(self.connection);
        self.tools.watch.last_seen()?;
        self.tools.binder.prepare_transaction(self.connection)
    }

    /// Any failure between BEGIN and COMMIT leaves the change undone or unknown, which is an outage and never a defect.
    fn execute(&self, sql: &str) -> Result<(), StoreError> {
        execute(self.connection, sql).map_err(|error| StoreError::Unavailable(self.explain(sql, &error)))
    }

    fn explain(&self, sql: &str, error: &rusqlite::Error) -> String {
        format!("{sql}: {}", diagnosis::explain(error, self.tools.watch.database()))
    }
}

/// How long the connection waits from now on for the lock of another process.
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
    fn a_writer_whose_thread_died_refuses_at_once() {
        let (queue, orders) = crossbeam_channel::unbounded();
        let writer = Writer { queue: Some(queue), capacity: 1, thread: None, changes: Arc::new(Changes::new()) };
        drop(orders);
        assert!(!writer.is_alive());
        let refused = writer.submit(Vec::new(), |_| Ok(())).now_or_never();
        assert_eq!(refused, Some(Err(StoreError::NotMade(STOPPED.into()))));
    }
}
