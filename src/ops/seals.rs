//! Seals the audit trail, and checks the seals.

use std::time::Duration;

use super::{context::Context, error::Error};
use crate::{
    domain::{
        authority::Administrator,
        seal::{CheckedSeal, Seal, SealKind, SealReference},
    },
    store::{SealPlan, SealPosition, StoreError},
};

/// How many events a seal has at most. Pruning deletes whole ranges in one transaction each, so this limits its length.
const MAX_EVENTS: u32 = 500;
/// How long a range stays open if it does not fill up.
const OPEN_FOR: Duration = Duration::from_secs(300);
/// How many seals one turn of housekeeping adds at most. An upgraded database may have many events without a seal.
const SEALS_PER_TURN: usize = 40;
/// How many seals are checked in one read transaction.
const CHECKED_AT_ONCE: u32 = 8;

/// Closes the ranges that are full or old enough. The next call continues there.
pub(super) async fn seal_due(ctx: &Context) -> Result<(), StoreError> {
    let now = ctx.clock.recordable();
    let plan = SealPlan { max_events: MAX_EVENTS, open_since: now.minus(OPEN_FOR), now };
    for _ in 0..SEALS_PER_TURN {
        if ctx.store.seal_events(plan).await?.is_none() {
            break;
        }
    }
    Ok(())
}

/// Seals all events up to now. Returns the latest seal. `None` means that there are no events.
pub async fn seal_all(ctx: &Context, _: Administrator) -> Result<Option<Seal>, Error> {
    let now = ctx.clock.recordable();
    // Events that others write meanwhile would keep this going, so it ends with the first range that is not full.
    let plan = SealPlan { max_events: MAX_EVENTS, open_since: now, now };
    while ctx.store.seal_events(plan).await?.is_some_and(|seal| seal.events >= MAX_EVENTS.into()) {}
    Ok(ctx.store.latest_seal().await?)
}

/// The result of a verification.
#[derive(Clone, Debug, Default)]
pub struct Verification {
    /// How many seals there are.
    pub seals: u64,
    /// How many events are sealed and present.
    pub events: u64,
    /// How many events were pruned.
    pub pruned: u64,
    /// The latest seal.
    pub latest: Option<Seal>,
    /// The seals with faults.
    pub faulty: Vec<CheckedSeal>,
    /// The seals that record a pruning.
    pub prunings: Vec<Seal>,
    /// What is wrong with the seal that was written down.
    pub expected: Option<ExpectedSeal>,
    /// How many events are not sealed yet.
    pub unsealed: u64,
}

/// The outcome of the comparison with a seal that was written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpectedSeal {
    /// It is in the database, unchanged.
    Found,
    /// The database has no seal with this number.
    Missing,
    /// The seal with this number has another digest.
    Differs,
}

impl Verification {
    /// Whether nothing is wrong.
    pub fn is_intact(&self) -> bool {
        self.faulty.is_empty() && matches!(self.expected, None | Some(ExpectedSeal::Found))
    }
}

/// The most prunings and faults that one verification names. The counts are complete.
const MOST_NAMED: usize = 1000;

/// A verification under way. It reads some seals at a time, so that no long transaction holds up checkpoints.
pub struct Checking {
    expected: Option<SealReference>,
    position: SealPosition,
    found: Verification,
}

impl Checking {
    /// Begins to check all seals against the events, and against the seal `expected` that was written down.
    pub fn new(_: Administrator, expected: Option<SealReference>) -> Self {
        let found = Verification { expected: expected.map(|_| ExpectedSeal::Missing), ..Verification::default() };
        Self { expected, position: SealPosition::START, found }
    }

    /// Checks the next seals. Returns whether there may be more.
    pub async fn next(&mut self, ctx: &Context) -> Result<bool, Error> {
        let checks = ctx.store.check_seals(self.position, CHECKED_AT_ONCE).await?;
        self.position = checks.position;
        let has_more = !checks.checked.is_empty();
        for checked in checks.checked {
            self.found.add(checked, self.expected);
        }
        Ok(has_more)
    }

    /// The result.
    pub async fn finish(self, ctx: &Context) -> Result<Verification, Error> {
        Ok(Verification { unsealed: ctx.store.count_unsealed().await?, ..self.found })
    }
}

impl Verification {
    fn add(&mut self, checked: CheckedSeal, expected: Option<SealReference>) {
        let seal = &checked.seal;
        let events = u64::try_from(seal.events).unwrap_or(0);
        self.seals += 1;
        match (seal.kind, checked.pruned_by) {
            (SealKind::Pruning, _) => {
                if self.prunings.len() < MOST_NAMED {
                    self.prunings.push(seal.clone());
                }
            }
            (_, Some(_)) => self.pruned += events,
            (_, None) => self.events += events,
        }
        if let Some(expected) = expected.filter(|expected| expected.number == seal.number) {
            let same = expected.digest == seal.digest;
            self.expected = Some(if same { ExpectedSeal::Found } else { ExpectedSeal::Differs });
        }
        self.latest = Some(seal.clone());
        if !checked.faults.is_empty() && self.faulty.len() < MOST_NAMED {
            self.faulty.push(checked);
        }
    }
}
