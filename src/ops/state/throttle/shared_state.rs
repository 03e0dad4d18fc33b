//! What a server remembers of attempts that are counted in the database.

use std::{
    collections::HashMap,
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::counters::{Exceeded, Rate};
use crate::{domain::attempts::CounterKey, store::Counted};

/// How long a refusal is remembered. An administrator who clears counters on another server waits no longer than this.
const REFUSED_FOR: Duration = Duration::from_secs(1);

/// How many refusals are remembered.
const MAX_REFUSED: usize = 10_000;

/// How much is kept that could not be taken back at once. What is dropped counts until its time has passed.
const MAX_LATER: usize = 10_000;

/// What this server remembers of the counters in the database.
#[derive(Default)]
pub(super) struct SharedState {
    /// Counters at their limit: until when in uptime, until when attempts are refused without a question, and the limit.
    refused: Mutex<HashMap<CounterKey, Refused>>,
    /// What remains to be taken back.
    later: Mutex<Vec<Counted>>,
}

#[derive(Clone, Copy)]
struct Refused {
    /// When the counter allows an attempt, in uptime.
    ends: Duration,
    /// When the database is asked again.
    forgotten: Duration,
    limit: u32,
}

impl SharedState {
    /// Why an attempt is refused without a question.
    pub(super) fn refusal(&self, keys: &[(CounterKey, Rate)], now: Duration) -> Option<Exceeded> {
        let refused = lock(&self.refused);
        let longest = keys
            .iter()
            .filter_map(|(key, _)| refused.get(key))
            .filter(|refused| refused.forgotten > now)
            .max_by_key(|refused| refused.ends)?;
        Some(Exceeded { wait: longest.ends.saturating_sub(now), limit: longest.limit })
    }

    pub(super) fn remember(&self, key: CounterKey, exceeded: Exceeded, now: Duration) {
        let ends = now + exceeded.wait;
        let mut refused = lock(&self.refused);
        if refused.len() < MAX_REFUSED {
            refused.insert(key, Refused { ends, forgotten: ends.min(now + REFUSED_FOR), limit: exceeded.limit });
        }
    }

    pub(super) fn forget_rested(&self, now: Duration) {
        lock(&self.refused).retain(|_, refused| refused.forgotten > now);
    }

    pub(super) fn forget(&self, is_wanted: impl Fn(&CounterKey) -> bool) {
        lock(&self.refused).retain(|key, _| !is_wanted(key));
    }

    pub(super) fn take_later(&self) -> Vec<Counted> {
        mem::take(&mut *lock(&self.later))
    }

    pub(super) fn take_back_later(&self, counted: Vec<Counted>) {
        let mut later = lock(&self.later);
        let room = MAX_LATER.saturating_sub(later.len());
        later.extend(counted.into_iter().take(room));
    }
}

/// A panic of another thread leaves both intact, so a poisoned lock is no error.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
