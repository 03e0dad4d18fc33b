//! Deletes sessions, tokens and events of the audit trail long after their end.
//!
//! Deleted rows cannot be restored if the time was wrong. So nothing is deleted while the clock is unreliable, or for a day
//! after a clock jump: an administrator can correct a wrong time before that.

use std::{
    mem,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use super::{
    clock::Clock,
    rules::Rules,
    state::{usage_counters::UsageCounters, uses::UseRecorder},
};
use crate::{
    domain::{keyed_request::forgotten_by, time::Timestamp},
    store::{PruneBatch, RetentionCutoff, Store, StoreError},
};

/// How much more than the uptime the clock may advance between two calls. More is a clock jump.
const CLOCK_JUMP: Duration = Duration::from_hours(1);

/// How long nothing is deleted after a clock jump, in uptime.
const HOLD: Duration = Duration::from_hours(24);

/// A start this long after the latest time in the database counts as a clock jump. Many servers are off for a night or a
/// weekend.
const LONG_PAUSE: Duration = Duration::from_hours(7 * 24);

/// In seconds.
const DAY: u64 = 24 * 60 * 60;

/// How many batches of the table of tokens are examined in one turn.
const BATCHES: usize = 10;

/// How many batches of events are deleted in one turn: up to 50,000 events.
const EVENT_BATCHES: usize = 100;

const EVENT_PRUNING_INTERVAL: Duration = Duration::from_hours(1);

/// The state of pruning between two turns.
pub(super) struct Pruning {
    /// The row number of the token that was examined last.
    last_token: AtomicI64,
    last_turn: Mutex<Turn>,
    /// The uptime before which no events are pruned.
    next_event_pruning: Mutex<Duration>,
}

struct Turn {
    at: Moment,
    /// The uptime before which nothing is deleted.
    held_until: Duration,
}

#[derive(Clone, Copy)]
struct Moment {
    time: Timestamp,
    uptime: Duration,
}

impl Moment {
    fn now(clock: &Clock) -> Self {
        Self { time: clock.now(), uptime: clock.uptime() }
    }
}

impl Pruning {
    pub(super) fn new(clock: &Clock) -> Self {
        let turn = Turn { at: Moment::now(clock), held_until: Duration::ZERO };
        Self { last_token: AtomicI64::new(0), last_turn: Mutex::new(turn), next_event_pruning: Mutex::default() }
    }

    /// Takes into account how long before this start the latest time in the database was.
    pub(super) fn start_after(&self, pause: Duration, clock: &Clock) {
        if pause > LONG_PAUSE {
            log::info!(
                "by the system clock, the latest time in the database is {} days ago: nothing is deleted for a day",
                pause.as_secs() / DAY
            );
            let mut turn = self.last_turn.lock().unwrap_or_else(PoisonError::into_inner);
            turn.held_until = clock.uptime() + HOLD;
        }
    }

    /// Whether rows may be deleted because of their age.
    fn may_delete(&self, clock: &Clock) -> bool {
        let mut turn = self.last_turn.lock().unwrap_or_else(PoisonError::into_inner);
        let last = mem::replace(&mut turn.at, Moment::now(clock));
        let Moment { time, uptime } = turn.at;
        if clock.check().is_err() {
            return false;
        }
        if time.since(last.time) > uptime.saturating_sub(last.uptime) + CLOCK_JUMP {
            log::warn!(
                system_clock:% = time, latest_time:% = last.time;
                "the clock leapt ahead: nothing is deleted for a day. If the time is wrong, set it right and restart"
            );
            turn.held_until = uptime + HOLD;
        }
        uptime >= turn.held_until
    }

    /// Deletes all sessions, and some of the keys of requests and some of the tokens, events and counts, that ended long enough ago. The next call continues there.
    pub(super) async fn prune(
        &self,
        store: &dyn Store,
        clock: &Clock,
        rules: &Rules,
        uses: &UseRecorder,
        usage: &UsageCounters,
    ) -> Result<(), StoreError> {
        if !self.may_delete(clock) {
            return Ok(());
        }
        let sessions = store.prune_sessions(clock.now()).await.map(|_| ());
        let keys = store.prune_made_requests(forgotten_by(clock.now())).await.map(|_| ());
        let tokens = self.prune_tokens(store, clock, rules, uses).await;
        let usage = usage.prune(store, clock.now()).await;
        self.prune_events(store, clock, rules).await.and(tokens).and(sessions).and(keys).and(usage)
    }

    async fn prune_tokens(
        &self,
        store: &dyn Store,
        clock: &Clock,
        rules: &Rules,
        uses: &UseRecorder,
    ) -> Result<(), StoreError> {
        let lifetimes = &rules.token_lifetimes;
        let Some(prune_after) = lifetimes.prune_after else { return Ok(()) };
        let ended_by = clock.now().minus(prune_after);
        let cutoff = RetentionCutoff { ended_by, unused_since: lifetimes.idle_since(ended_by) };
        for _ in 0..BATCHES {
            let after = self.last_token.load(Ordering::Relaxed);
            let PruneBatch { mut tokens, next } = store.ended_tokens(cutoff, after).await?;
            // The store may have found a token by an earlier use, because its latest one is not written yet.
            tokens.retain(|(number, _)| uses.latest_token(*number, None).is_none());
            if !tokens.is_empty() {
                store.prune_tokens(tokens, cutoff).await?;
            }
            self.last_token.store(next.unwrap_or(0), Ordering::Relaxed);
            if next.is_none() {
                break;
            }
        }
        Ok(())
    }

    /// Each pruning leaves a seal. So after one that found everything, the next is an hour later.
    async fn prune_events(&self, store: &dyn Store, clock: &Clock, rules: &Rules) -> Result<(), StoreError> {
        let Some(prune_after) = rules.prune_events_after else { return Ok(()) };
        let uptime = clock.uptime();
        let next = || self.next_event_pruning.lock().unwrap_or_else(PoisonError::into_inner);
        if uptime < *next() {
            return Ok(());
        }
        let before = clock.now().minus(prune_after);
        for batch in 0..EVENT_BATCHES {
            if store.prune_events(before, clock.recordable()).await? == 0 {
                if batch > 0 {
                    *next() = uptime + EVENT_PRUNING_INTERVAL;
                }
                break;
            }
        }
        Ok(())
    }
}
