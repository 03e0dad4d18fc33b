//! What is deleted long after its end: sessions, tokens, and events of the audit trail.

use std::{
    mem,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use super::{clock::Clock, rules::Rules, state::uses::UseRecorder};
use crate::{
    domain::time::Timestamp,
    store::{PruneBatch, RetentionCutoff, Store, StoreError},
};

/// How far the time of day may run ahead of how long it took, from one turn to the next, and still be believed.
const CLOCK_JUMP: Duration = Duration::from_hours(1);

/// For how long of the uptime nothing is deleted after a leap, so that whoever minds the server can set the time right.
const HOLD: Duration = Duration::from_hours(24);

/// How far it may lag behind: where it was set back, the clock stands still.
const LAG: Duration = Duration::from_secs(30);

/// How many stretches of the table of tokens are looked at in one turn.
const BATCHES: usize = 10;

/// In how many writes events are deleted in one turn: up to 20,000.
const WRITES_OF_EVENTS: usize = 100;

/// What pruning must not forget between two turns.
pub(super) struct Pruning {
    /// How far the pruning of tokens has come.
    last_token: AtomicI64,
    last_turn: Mutex<Turn>,
}

struct Turn {
    at: Moment,
    /// The uptime until which the time of day is doubted.
    doubted_until: Duration,
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
        let turn = Turn { at: Moment::now(clock), doubted_until: Duration::ZERO };
        Self { last_token: AtomicI64::new(0), last_turn: Mutex::new(turn) }
    }

    /// Whether the time of day went on like any clock for a while. Where it leapt, and is perhaps still to be set right,
    /// everything would seem to have ended long ago; and what is deleted stays so, whatever the time really is.
    fn clock_is_trusted(&self, clock: &Clock) -> bool {
        let mut turn = self.last_turn.lock().unwrap_or_else(PoisonError::into_inner);
        let last = mem::replace(&mut turn.at, Moment::now(clock));
        let Moment { time, uptime } = turn.at;
        let (told, passed) = (time.since(last.time), uptime.saturating_sub(last.uptime));
        if told > passed + CLOCK_JUMP {
            log::warn!(
                time:%, before:% = last.time;
                "the clock leapt ahead: nothing is deleted for a day. If the time is wrong, set it right and restart"
            );
            turn.doubted_until = uptime + HOLD;
        }
        if told + LAG < passed {
            log::warn!(time:%; "the clock stands still, since it was set back: nothing is deleted in this turn");
            return false;
        }
        uptime >= turn.doubted_until
    }

    /// Deletes what ended long enough ago: all sessions, and some of the tokens and the events. The next call goes on from
    /// there.
    pub(super) async fn prune(
        &self,
        store: &dyn Store,
        clock: &Clock,
        rules: &Rules,
        uses: &UseRecorder,
    ) -> Result<(), StoreError> {
        if !self.clock_is_trusted(clock) {
            return Ok(());
        }
        let sessions = store.prune_sessions(clock.now()).await.map(|_| ());
        let tokens = self.prune_tokens(store, clock, rules, uses).await;
        prune_events(store, clock, rules).await.and(tokens).and(sessions)
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
}

async fn prune_events(store: &dyn Store, clock: &Clock, rules: &Rules) -> Result<(), StoreError> {
    let Some(prune_after) = rules.prune_events_after else { return Ok(()) };
    let before = clock.now().minus(prune_after);
    for _ in 0..WRITES_OF_EVENTS {
        if store.prune_events(before).await? == 0 {
            break;
        }
    }
    Ok(())
}
