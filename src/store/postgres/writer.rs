//! The one thread of a node that writes. It takes all waiting jobs, runs them in one transaction, and answers after the COMMIT.
//!
//! The transaction holds the lock of writers over all nodes ([`WriteConnection::begin`]). Jobs that come while it waits
//! for the lock join it.
//!
//! Jobs are independent of each other. Most jobs that fail do so before they change anything, so jobs first run without
//! savepoints, each of which would cost two questions to the server. If a job fails after a change, or a statement fails, the
//! whole transaction is rolled back, and each job runs again in a transaction of its own.

use std::{
    collections::VecDeque,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, Sender};
use tokio::sync::oneshot;

pub(super) use super::transaction::{Announced, Awaits, Job};
use super::{
    connection::WriteConnection,
    connector::Connector,
    node::Anchor,
    observers::Observers,
    primary::Renewed,
    settings::TIME_LIMIT,
    trail_end::TrailEnd,
    transaction::{Commit, commit_all, commit_one},
};
use crate::store::{
    Change, Reply, StoreError, StoreMeasurements,
    jobs::{NotifyOnDrop, Task},
    sql::headroom::Headroom,
};

/// Limits how long the first job of a batch waits for the last.
const MAX_BATCH: usize = 512;

/// A job that has waited this long is refused, because its caller does not wait any more.
const MAX_WAIT: Duration = TIME_LIMIT.saturating_mul(2);

/// Answers jobs when all nodes know of the change.
pub(super) type Finish = Box<dyn Fn(Vec<Job>, Announced) + Send>;

enum Message {
    Write(Job),
    /// Asks the thread to end. It sends a value when the connection is closed.
    Close(oneshot::Sender<()>),
}

/// The writer thread's handle. Dropping it waits until the thread has finished all queued jobs.
pub(super) struct Writer {
    // Unbounded, with a check of its length. A bounded channel would keep queued jobs after the thread has ended, and their
    // callers would wait for ever.
    queue: Option<Sender<Message>>,
    capacity: usize,
    thread: Option<JoinHandle<()>>,
    observers: Arc<Observers>,
    measurements: Arc<StoreMeasurements>,
}

impl Writer {
    /// Starts the thread; at most `capacity` jobs wait for it. It connects when the first job comes.
    pub(super) fn start(
        connector: Connector,
        capacity: usize,
        observers: Arc<Observers>,
        headroom: Arc<Headroom>,
        measurements: Arc<StoreMeasurements>,
        anchor: Anchor,
        finish: Finish,
    ) -> std::io::Result<Self> {
        let (queue, messages) = crossbeam_channel::unbounded();
        let measured = Arc::clone(&measurements);
        let thread = thread::Builder::new().name("patd-writer".into()).spawn(move || {
            let trail_end = TrailEnd::unknown(headroom);
            let mut writer = WriterThread {
                connector,
                anchor,
                finish,
                connection: None,
                trail_end,
                messages,
                waiting: VecDeque::new(),
                measurements: measured,
            };
            let closed = writer.run();
            // From here on, new jobs are refused at once.
            drop(writer);
            if let Some(closed) = closed {
                // The caller may be gone.
                let _ = closed.send(());
            }
        })?;
        Ok(Self { queue: Some(queue), capacity: capacity.max(1), thread: Some(thread), observers, measurements })
    }

    /// Queues `work`, which adds to the changes that observers are notified of. The work happens in full or, if it returns
    /// `Err` or panics, not at all. It may run twice; then only the second run counts, but observers are notified of both.
    pub(super) fn submit<T, F>(&self, changed: Vec<Change>, work: F) -> Reply<'static, T>
    where
        T: Send + 'static,
        F: FnMut(&WriteConnection, &mut Vec<Change>) -> Result<T, StoreError> + Send + 'static,
    {
        self.submit_as(Awaits::Nodes, changed, work)
    }

    /// The same for work that neither changes nor tells what is valid, such as a count. It is answered after the commit, also while
    /// other nodes have to hear of a revocation ([`Awaits::Commit`]).
    pub(super) fn submit_count<T, F>(&self, mut work: F) -> Reply<'static, T>
    where
        T: Send + 'static,
        F: FnMut(&WriteConnection) -> Result<T, StoreError> + Send + 'static,
    {
        self.submit_as(Awaits::Commit, Vec::new(), move |connection, _| work(connection))
    }

    fn submit_as<T, F>(&self, awaits: Awaits, changed: Vec<Change>, work: F) -> Reply<'static, T>
    where
        T: Send + 'static,
        F: FnMut(&WriteConnection, &mut Vec<Change>) -> Result<T, StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let notification = NotifyOnDrop { changes: Arc::clone(&self.observers), changed };
        let task = Box::new(Task::new(work, notification, &self.measurements, reply));
        match self.queue(Job { task, awaits }) {
            Ok(()) => Reply::Pending(Box::pin(async move { answer.await.unwrap_or_else(|_| Err(stopped())) })),
            Err(refusal) => Reply::ready(Err(refusal)),
        }
    }

    fn queue(&self, job: Job) -> Result<(), StoreError> {
        match &self.queue {
            Some(queue) if queue.len() >= self.capacity => {
                Err(StoreError::NotMade("too many writes are waiting".into()))
            }
            Some(queue) if queue.send(Message::Write(job)).is_ok() => Ok(()),
            _ => Err(StoreError::NotMade(STOPPED.into())),
        }
    }

    /// Lets the thread finish all queued jobs, close its connection and end. A second call returns at once.
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

fn stopped() -> StoreError {
    StoreError::Unavailable(STOPPED.into())
}

struct WriterThread {
    connector: Connector,
    anchor: Anchor,
    finish: Finish,
    connection: Option<WriteConnection>,
    trail_end: TrailEnd,
    messages: Receiver<Message>,
    /// Taken from `messages`, and not run yet.
    waiting: VecDeque<Job>,
    measurements: Arc<StoreMeasurements>,
}

impl WriterThread {
    /// Runs batches until a message asks for the end, or all senders are gone. Returns whom to notify when the connection is
    /// closed.
    fn run(&mut self) -> Option<oneshot::Sender<()>> {
        let mut closing = None;
        loop {
            if self.waiting.is_empty() {
                match self.messages.recv() {
                    Ok(Message::Write(job)) if closing.is_none() => self.waiting.push_back(job),
                    Ok(Message::Close(closed)) => return Some(closed),
                    _ => return closing,
                }
            }
            // The thread must survive a panic, or the callers in the queue would wait for ever. The callers of this batch get
            // an error when it is dropped.
            match catch_unwind(AssertUnwindSafe(|| self.run_batch())) {
                Ok(close) => closing = close,
                Err(_) => {
                    log::error!("store: the writer panicked; it is unknown whether the writes of its batch were made");
                    self.connection = None;
                    self.trail_end.forget();
                }
            }
            if closing.is_some() && self.waiting.is_empty() {
                return closing;
            }
        }
    }

    /// Runs the jobs that wait, and answers them. Returns whom to notify if the thread is to end.
    fn run_batch(&mut self) -> Option<oneshot::Sender<()>> {
        let began = Instant::now();
        let mut closing = None;
        let begun = loop {
            let begun = self.begin();
            closing = closing.or_else(|| self.take_waiting());
            match begun.map(|place| self.expect_lease(place)) {
                // The lease has ended meanwhile, as on a busy machine. Nothing has been made, so begin again.
                Ok(Err(_)) if began.elapsed() < TIME_LIMIT => {}
                Ok(held) => break held,
                Err(error) => break Err(error),
            }
        };
        if let Err(error) = begun {
            // Those that came while this waited may be luckier.
            let waiting = mem::take(&mut self.waiting).into_iter();
            let (late, early): (VecDeque<Job>, VecDeque<Job>) = waiting.partition(|job| job.task.queued_at() > began);
            self.waiting = late;
            answer(early, &Err(error));
            return closing;
        }
        let count = self.waiting.len().min(MAX_BATCH);
        let mut batch: Vec<Job> = self.waiting.drain(..count).collect();
        self.measurements.batches.observe_size(batch.len());
        match self.commit_together(&mut batch) {
            Some(commit) => self.answer(batch, commit),
            None => batch.into_iter().for_each(|job| self.run_alone(job)),
        }
        closing
    }

    fn take_waiting(&mut self) -> Option<oneshot::Sender<()>> {
        loop {
            match self.messages.try_recv() {
                Ok(Message::Write(job)) => self.waiting.push_back(job),
                Ok(Message::Close(closed)) => return Some(closed),
                Err(_) => return None,
            }
        }
    }

    /// The same after the jobs were taken from the queue: none of them may be answered by a server that was replaced before it
    /// came.
    fn expect_lease(&mut self, place: Option<Renewed>) -> Result<(), StoreError> {
        let held = self.anchor.expect(place);
        if let (Err(_), Some(connection)) = (&held, &self.connection) {
            connection.roll_back();
        }
        held
    }

    /// Begins a transaction, on a new connection if there is none. If it fails, nothing has changed. It is on the server on which
    /// the node has its lease, which is returned.
    fn begin(&mut self) -> Result<Option<Renewed>, StoreError> {
        let place = self.anchor.place()?;
        self.connection = self.connection.take().filter(|connection| connection.is_at(place));
        self.begin_anywhere()?;
        match &self.connection {
            Some(connection) if !connection.is_at(place) => {
                connection.roll_back();
                Err(StoreError::NotMade("this node has its lease on another server".to_owned()))
            }
            _ => Ok(place),
        }
    }

    fn begin_anywhere(&mut self) -> Result<(), StoreError> {
        if let Some(connection) = self.connection.take() {
            let begun = connection.begin();
            // Only a use shows that the server closed a connection that was idle, as when it was restarted.
            if begun.is_ok() || !connection.was_closed() {
                self.connection = Some(connection).filter(|connection| !connection.is_lost());
                return begun.map(|last| self.trail_end.begin(last));
            }
        }
        self.trail_end.forget();
        let connection = WriteConnection::open(&self.connector)?;
        self.trail_end.begin(connection.begin()?);
        self.connection = Some(connection);
        Ok(())
    }

    /// The outcome for all jobs; none of them may be answered with its own result if it is an error. `None` if nothing was made,
    /// and each job must run again, alone.
    fn commit_together(&mut self, batch: &mut [Job]) -> Option<Commit> {
        let connection = self.connection.take()?;
        let outcome = commit_all(&connection, batch, &mut self.trail_end, &self.measurements);
        // Its loss is an outage for all of them. To try each one would only take longer.
        let lost = connection.is_lost().then(|| connection.failure()).flatten();
        self.connection = Some(connection).filter(|connection| !connection.is_lost());
        outcome.or(lost.map(Err))
    }

    fn run_alone(&mut self, mut job: Job) {
        if job.task.is_abandoned() {
            return;
        }
        if job.task.queued_at().elapsed() > MAX_WAIT {
            return job.task.answer(&Err(StoreError::NotMade("PostgreSQL is too slow".into())));
        }
        let begun = self.begin().and_then(|place| self.expect_lease(place));
        let commit = begun.and_then(|()| match self.connection.take() {
            Some(connection) => {
                let commit = commit_one(&connection, &mut job, &mut self.trail_end, &self.measurements);
                self.connection = Some(connection).filter(|connection| !connection.is_lost());
                commit
            }
            None => Err(stopped()),
        });
        self.answer(vec![job], commit);
    }

    fn answer(&self, jobs: Vec<Job>, commit: Commit) {
        match commit {
            Ok(Some(announced)) => {
                let (counts, jobs): (Vec<_>, Vec<_>) = jobs.into_iter().partition(|job| job.awaits == Awaits::Commit);
                answer(counts, &Ok(()));
                (self.finish)(jobs, announced);
            }
            Ok(None) => answer(jobs, &Ok(())),
            Err(error) => answer(jobs, &Err(error)),
        }
    }
}

pub(super) fn answer(
    jobs: impl IntoIterator<Item = Job, IntoIter: ExactSizeIterator>,
    commit: &Result<(), StoreError>,
) {
    let jobs = jobs.into_iter();
    if let Err(error) = commit {
        log::error!("store: {} writes were not made: {error}", jobs.len());
    }
    for job in jobs {
        job.task.answer(commit);
    }
}
