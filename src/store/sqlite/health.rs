//! Whether a write would work now. The latest transaction says so; if it is too old, a probe does.
//!
//! A probe is a transaction of the writer like any other, so everything that prevents a write prevents the probe, too. It
//! always writes the same rows of a table that has no other purpose, so neither the file nor the log grows. How much it
//! writes depends on what is known:
//!
//! - After a failure: [`AMPLE`]. Only a probe of this size ends the failed state. A smaller write may fit into the last
//!   free space of a full disk, or into space that the log had already, and the next one fails again.
//! - On a disk that is nearly full, and at the start: [`LARGE`], as much as any everyday change needs.
//! - If the latest commit is older than [`COMMIT_INTERVAL`]: one page, 4 KiB. A server without any use whose health is
//!   checked all the time writes 35 MB a day in this way.
//! - Otherwise nothing. It begins a transaction and rolls it back. That finds a write lock that another process holds, and
//!   files that cannot be written.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use rusqlite::{Connection, named_params};
use tokio::sync::oneshot;

use crate::store::StoreError;

/// How long an outcome counts as current. So there is at most one probe in this time.
const FRESH: Duration = Duration::from_secs(1);

/// How old the latest commit may be before a probe must commit something.
const COMMIT_INTERVAL: Duration = Duration::from_secs(10);

/// How long a probe may take.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

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
    /// When the probe was requested that the writer has not run yet.
    probing_since: Option<Instant>,
    waiting: Vec<oneshot::Sender<Outcome>>,
}

impl Known {
    fn has_failed(&self) -> bool {
        matches!(self.latest, Some((_, Err(_))))
    }
}

type Outcome = Result<(), StoreError>;

/// The answer to [`Health::ask`].
pub(super) enum HealthReport {
    /// The latest outcome, which is still current.
    Latest(Outcome),
    /// The next outcome. If there is a probe, the caller must submit it first.
    Pending(oneshot::Receiver<Outcome>, Option<Probe>),
}

impl Health {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records the outcome of a transaction that changed so many rows.
    pub(super) fn record(&self, outcome: Outcome, changed: u64) {
        let (mut known, now) = (self.lock(), Instant::now());
        if outcome.is_ok() && known.has_failed() && changed < u64::from(AMPLE) {
            return;
        }
        if changed > 0 && outcome.is_ok() {
            known.committed = Some(now);
        }
        known.probing_since = None;
        for waiter in known.waiting.drain(..) {
            // The waiter may be gone.
            let _ = waiter.send(outcome.clone());
        }
        known.latest = Some((now, outcome));
    }

    /// Whether a write would work. If that is not known, the caller must submit the probe that it gets.
    pub(super) fn ask(&self, is_nearly_full: impl FnOnce() -> bool) -> HealthReport {
        let mut known = self.lock();
        if let Some((at, outcome)) = &known.latest
            && at.elapsed() <= FRESH
        {
            return HealthReport::Latest(outcome.clone());
        }
        let (sender, outcome) = oneshot::channel();
        known.waiting.push(sender);
        if known.probing_since.is_some() {
            return HealthReport::Pending(outcome, None);
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
        HealthReport::Pending(outcome, Some(Probe { rows }))
    }

    /// Records a failure if a probe takes too long. The watch thread calls it often.
    pub(super) fn expire(&self) {
        let since = self.lock().probing_since;
        if since.is_some_and(|since| since.elapsed() > PROBE_TIMEOUT) {
            let what = format!(
                "a write has waited for more than {} seconds: another process holds the write lock, or the disk is slow",
                PROBE_TIMEOUT.as_secs()
            );
            self.record(Err(StoreError::Unavailable(what)), 0);
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
