//! The jobs of one transaction: how they run, and what they leave in it.

use std::{
    thread,
    time::{Duration, Instant},
};

use rusqlite::Connection;

use super::job::Job;
use crate::store::StoreError;

/// For how long a batch or a long read yields to threads that answer checks. It must be much shorter than the time after which cached records are no longer
/// served, because the writer does not look for changes of other processes meanwhile.
const YIELD_BUDGET: Duration = Duration::from_millis(50);

/// Lets the threads that answer checks run first. If they share a core with the writer or with a long read, a check would
/// otherwise wait until the scheduler preempts that thread, and a lower priority does not change that. On a busy core each
/// yield costs the caller its turn, so a batch or a read yields only for [`YIELD_BUDGET`] after it began.
pub(super) fn yield_to_readers(since: Instant) {
    if since.elapsed() < YIELD_BUDGET {
        thread::yield_now();
    }
}

/// What a job has left in the transaction.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum RunOutcome {
    /// All of its changes.
    Change,
    /// Nothing.
    Nothing,
    /// A part of its changes: it failed after a statement that changed something.
    Partial,
}

pub(super) type Run = fn(&Connection, &mut Job) -> Result<RunOutcome, StoreError>;

/// Runs all jobs. Returns whether there is anything to commit, `None` if a job left a partial change, and `Err` if the
/// whole transaction is lost.
pub(super) fn run_all(connection: &Connection, batch: &mut [Box<Job>], run: Run) -> Result<Option<bool>, StoreError> {
    let mut changed = false;
    let begun = Instant::now();
    for job in batch {
        yield_to_readers(begun);
        if !job.is_abandoned() {
            match run(connection, job.as_mut())? {
                RunOutcome::Change => changed = true,
                RunOutcome::Nothing => {}
                RunOutcome::Partial => return Ok(None),
            }
        }
    }
    Ok(Some(changed))
}

pub(super) fn run_bare(connection: &Connection, job: &mut Job) -> Result<RunOutcome, StoreError> {
    let before = connection.total_changes();
    let outcome = job.run(connection);
    expect_transaction(connection, &outcome)?;
    Ok(match outcome {
        Ok(()) => RunOutcome::Change,
        // A failed statement leaves no changes.
        Err(_) if connection.total_changes() == before => RunOutcome::Nothing,
        Err(_) => RunOutcome::Partial,
    })
}

pub(super) fn run_in_savepoint(connection: &Connection, job: &mut Job) -> Result<RunOutcome, StoreError> {
    let execute = |sql| execute(connection, sql).map_err(|error| StoreError::Unavailable(format!("{sql}: {error}")));
    execute("SAVEPOINT job")?;
    let outcome = job.run(connection);
    expect_transaction(connection, &outcome)?;
    if outcome.is_err() {
        execute("ROLLBACK TO job")?;
    }
    execute("RELEASE job")?;
    Ok(if outcome.is_ok() { RunOutcome::Change } else { RunOutcome::Nothing })
}

/// On a full disk or an I/O error, SQLite may roll back the whole transaction, with the changes of the other jobs.
fn expect_transaction(connection: &Connection, outcome: &Result<(), StoreError>) -> Result<(), StoreError> {
    if !connection.is_autocommit() {
        return Ok(());
    }
    let cause = outcome.as_ref().map_or_else(ToString::to_string, |()| "no error".into());
    Err(StoreError::Unavailable(format!("SQLite rolled the transaction back: {cause}")))
}

pub(super) fn execute(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(drop)
}

pub(super) fn roll_back(connection: &Connection) {
    if !connection.is_autocommit()
        && let Err(error) = execute(connection, "ROLLBACK")
    {
        log::error!("store: a failed transaction could not be rolled back: {error}");
    }
}
