//! What the writer's jobs leave in a transaction, and its end.

use super::{
    announce::{ANNOUNCE, Announcement, LATEST, latest},
    connection::{Question, WriteConnection},
    lease::boot_time,
    trail_end::{LAST_EVENT, TrailEnd},
};
use crate::store::{
    StoreError, StoreMeasurements,
    cluster::{BootTime, Position},
    jobs,
};

pub(super) struct Job {
    pub(super) task: Box<dyn jobs::Job<WriteConnection>>,
    pub(super) awaits: Awaits,
}

/// What the answer to a job that has changed nothing of what is valid waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Awaits {
    /// All nodes know what its transaction has seen, because the answer may tell what is valid.
    Nodes,
    /// Only the commit. **The answer must not depend on a right**: it may see a revocation that was not answered yet.
    Commit,
}

impl Job {
    /// Whether all nodes must know the latest change before it is answered, though it has announced none. Creations say nothing
    /// about what is not valid any more, and counts say nothing about what is valid.
    fn awaits_nodes(&self) -> bool {
        self.awaits == Awaits::Nodes && self.task.changed().is_empty()
    }
}

/// A change that was committed, which nodes have to know before jobs are answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Announced {
    pub(super) position: Position,
    /// Whether these jobs have made it, so that this process has forgotten what it affects.
    pub(super) is_own: bool,
    /// Read from the clock after the commit was answered.
    pub(super) committed: BootTime,
}

/// What was announced with the commit, if anything was.
pub(super) type Commit = Result<Option<Announced>, StoreError>;

/// Runs all jobs in the transaction and commits it. `None` if it was rolled back.
pub(super) fn commit_all(
    connection: &WriteConnection,
    batch: &mut [Job],
    trail_end: &mut TrailEnd,
    measured: &StoreMeasurements,
) -> Option<Commit> {
    let count = batch.len();
    for (at, job) in batch.iter_mut().enumerate().filter(|(_, job)| !job.task.is_abandoned()) {
        connection.numbers.expect(count - at);
        let before = connection.written();
        let outcome = job.task.run(connection);
        if connection.failure().is_some() || outcome.is_err() && connection.written() > before {
            trail_end.forget();
            connection.roll_back();
            return None;
        }
    }
    let committed = commit(connection, batch, trail_end, measured);
    // A statement of one of them failed only now.
    if committed.is_err() && connection.failure().is_some() { None } else { Some(committed) }
}

/// Runs the only job of the transaction and commits it.
pub(super) fn commit_one(
    connection: &WriteConnection,
    job: &mut Job,
    trail_end: &mut TrailEnd,
    measured: &StoreMeasurements,
) -> Commit {
    match (job.task.run(connection), connection.failure()) {
        (Ok(()), None) => commit(connection, std::slice::from_mut(job), trail_end, measured),
        // A job that goes on after a statement has failed has not made its change.
        (Ok(()), Some(failure)) => {
            trail_end.forget();
            connection.roll_back();
            Err(failure)
        }
        // Answered with its own error.
        (Err(_), None) => {
            trail_end.forget();
            look_back(connection, std::slice::from_ref(job))
        }
        (Err(_), Some(_)) => {
            trail_end.forget();
            connection.roll_back();
            Ok(None)
        }
    }
}

fn commit(
    connection: &WriteConnection,
    jobs: &mut [Job],
    trail_end: &mut TrailEnd,
    measured: &StoreMeasurements,
) -> Commit {
    if connection.written() == 0 {
        return look_back(connection, jobs);
    }
    let announcement = Announcement::of(jobs.iter().flat_map(|job| job.task.changed().iter().copied()));
    let parameters = announcement.as_ref().map(Announcement::parameters);
    let mut last: Vec<Question<'_>> = vec![(LAST_EVENT, &[])];
    match &parameters {
        Some(parameters) => last.push((ANNOUNCE, parameters)),
        None if jobs.iter().any(Job::awaits_nodes) => last.push((LATEST, &[])),
        None => {}
    }
    let answers = measured.commit(|| connection.commit(&last)).inspect_err(|_| trail_end.forget())?;
    // A read that starts now sees the changes. This process need not go on answering from before while others are waited for.
    jobs.iter_mut().for_each(|job| job.task.notify());
    let committed = boot_time();
    trail_end.commit(answers.first());
    let announced = match (answers.get(1), &announcement) {
        (None, _) => None,
        (Some(answer), Some(announcement)) => Some((announcement.position(answer)?, true)),
        (Some(answer), None) => Some((latest(answer)?, false)),
    };
    Ok(announced.map(|(position, is_own)| Announced { position, is_own, committed }))
}

/// Ends a transaction that makes nothing. What its jobs have found may still be unknown to a node: who is told that a token is
/// already revoked must not see it accepted, although the answer to the one who revoked it is still to come.
fn look_back(connection: &WriteConnection, jobs: &[Job]) -> Commit {
    if jobs.iter().all(|job| job.awaits == Awaits::Commit) {
        connection.roll_back();
        return Ok(None);
    }
    let position = connection.run(LATEST, &[]).and_then(|answer| latest(&answer));
    connection.roll_back();
    Ok(Some(Announced { position: position?, is_own: false, committed: boot_time() }))
}
