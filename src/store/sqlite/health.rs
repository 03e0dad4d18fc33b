//! Whether a write would work now: by what the latest transactions came to, and where that is old, by a probe.
//!
//! A probe is a transaction of the writer's like any other, so whatever is in the way of a write is in its way, too. It
//! writes rows of a table that exists for nothing else, always the same ones, so that neither the file nor the log grows
//! by it. How much it writes depends on what is known:
//!
//! - After a failure: [`AMPLE`]. Only a probe of this size ends a failure. A smaller write may fit into what is left of a
//!   full disk, or into room that the log had before, where the next one fails again.
//! - With a disk that is nearly full, and at first: [`LARGE`], as much as any everyday change needs.
//! - Where the latest commit is older than [`COMMIT_INTERVAL`]: one page, 4 KiB. A server that nobody uses and whose
//!   health is asked for all the time writes 35 MB a day by that.
//! - Else nothing. It begins a transaction and gives it up, which shows a write lock that somebody holds and files that
//!   cannot be written.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use rusqlite::{Connection, named_params};
use tokio::sync::oneshot;

use crate::store::StoreError;

/// For how long an outcome is taken for the present. It is also how often a probe is made at most.
const FRESH: Duration = Duration::from_secs(1);

/// How long a probe may find that a transaction can begin before one must have been committed.
const COMMIT_INTERVAL: Duration = Duration::from_secs(10);

/// How long a probe may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Rows, a page each. A new user or token writes about ten.
const AMPLE: u32 = 64;
const LARGE: u32 = 12;
const SMALL: u32 = 1;

/// Fills a page of 4 KiB so far that no second row fits.
const FILLER: i64 = 3000;

/// What is known of the writer's transactions.
#[derive(Default)]
pub(super) struct Health(Mutex<Known>);

#[derive(Default)]
struct Known {
    latest: Option<(Instant, Outcome)>,
    committed: Option<Instant>,
    /// Since when a probe waits for the writer.
    probing_since: Option<Instant>,
    waiting: Vec<oneshot::Sender<Outcome>>,
}

impl Known {
    fn has_failed(&self) -> bool {
        matches!(self.latest, Some((_, Err(_))))
    }
}

type Outcome = Result<(), StoreError>;

/// What somebody who asks is told.
pub(super) enum Told {
    /// The latest outcome.
    Outcome(Outcome),
    /// The next outcome, for which this probe must be made first if there is one.
    Next(oneshot::Receiver<Outcome>, Option<Probe>),
}

impl Health {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what a transaction came to that changed so many rows.
    pub(super) fn note(&self, outcome: Outcome, changed: u64) {
        let (mut known, now) = (self.lock(), Instant::now());
        if outcome.is_ok() && known.has_failed() && changed < u64::from(AMPLE) {
            return;
        }
        if changed > 0 && outcome.is_ok() {
            known.committed = Some(now);
        }
        known.probing_since = None;
        for asks in known.waiting.drain(..) {
            // Who asked may have left.
            let _ = asks.send(outcome.clone());
        }
        known.latest = Some((now, outcome));
    }

    /// Tells whether a write would work. Where that is not known, the caller makes the probe that it is given.
    pub(super) fn ask(&self, is_nearly_full: impl FnOnce() -> bool) -> Told {
        let mut known = self.lock();
        if let Some((at, outcome)) = &known.latest
            && at.elapsed() <= FRESH
        {
            return Told::Outcome(outcome.clone());
        }
        let (asks, told) = oneshot::channel();
        known.waiting.push(asks);
        if known.probing_since.is_some() {
            return Told::Next(told, None);
        }
        known.probing_since = Some(Instant::now());
        let rows = if known.has_failed() {
            AMPLE
        } else if known.latest.is_none() || is_nearly_full() {
            LARGE
        } else if known.committed.is_none_or(|at| at.elapsed() >= COMMIT_INTERVAL) {
            SMALL
        } else {
            0
        };
        Told::Next(told, Some(Probe { rows }))
    }

    /// Gives up a probe that takes too long. To be called often.
    pub(super) fn expire(&self) {
        let since = self.lock().probing_since;
        if since.is_some_and(|since| since.elapsed() > PATIENCE) {
            let what = format!(
                "a write waits for more than {} seconds: another process holds the write lock, or the disk is slow",
                PATIENCE.as_secs()
            );
            self.note(Err(StoreError::Unavailable(what)), 0);
        }
    }
}

/// A transaction that shows whether a write works.
#[derive(Clone, Copy, Debug)]
pub(super) struct Probe {
    rows: u32,
}

impl Probe {
    pub(super) fn run(self, connection: &Connection) -> Result<(), StoreError> {
        let mut statement = connection.prepare_cached(
            "INSERT INTO write_probes (number, turn, filler) VALUES (:number, 0, zeroblob(:filler))
             ON CONFLICT (number) DO UPDATE SET turn = turn + 1",
        )?;
        for number in 1..=self.rows {
            statement.execute(named_params! { ":number": number, ":filler": FILLER })?;
        }
        Ok(())
    }
}
