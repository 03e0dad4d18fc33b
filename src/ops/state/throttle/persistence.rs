//! What the store remembers of the counters, so that a restart forgives nothing.
//!
//! It is written behind the requests, so that a crash forgets what failed in its last seconds. Counters run by uptime,
//! which a wrong time of day does not change; only in the store they are times of day. A clock that was set back meanwhile
//! cannot hold anybody longer than a counter takes from its limit to its rest, and one that was set ahead lets go too
//! early, once.

use std::sync::PoisonError;

use super::{Throttle, whole_seconds};
use crate::{
    domain::attempts::{Counter, CounterKey, SavedAttempts},
    store::{Store, StoreError},
};

/// The most counters of one write: about a millisecond of the writer's time.
const WRITTEN_AT_ONCE: usize = 256;

impl Throttle {
    /// Takes up what the store remembers, and its key.
    pub(in crate::ops) fn restore(&self, remembered: SavedAttempts) {
        *self.key.write().unwrap_or_else(PoisonError::into_inner) = remembered.key;
        let (now, uptime) = (self.clock.0.recordable(), self.clock.uptime());
        for Counter { key, rests_at } in remembered.counters {
            let left = rests_at.since(now).min(self.rates.of(key.scope).window());
            if !left.is_zero() {
                self.counters.restore(key, uptime + left);
            }
        }
    }

    /// Has the store remember some of what it does not know yet; answers whether that was all.
    async fn save_some(&self, store: &dyn Store) -> Result<bool, StoreError> {
        let (counters, keys): (Vec<_>, Vec<_>) = self.unsaved().into_iter().unzip();
        let is_all = counters.len() < WRITTEN_AT_ONCE;
        if !counters.is_empty()
            && let Err(error) = store.save_attempts(counters).await
        {
            self.counters.mark_unsaved(&keys);
            return Err(error);
        }
        Ok(is_all)
    }

    /// Some of what the store does not know yet, which counts as saved from now on.
    pub(super) fn unsaved(&self) -> Vec<(Counter, CounterKey)> {
        let (now, uptime) = (self.clock.0.recordable(), self.clock.uptime());
        let unsaved = self.counters.take_unsaved(WRITTEN_AT_ONCE).into_iter();
        unsaved
            .map(|(key, rests_at)| {
                let left = whole_seconds(rests_at.saturating_sub(uptime));
                (Counter { key, rests_at: now.plus(left) }, key)
            })
            .collect()
    }

    /// Has the store remember all of it.
    pub(in crate::ops) async fn save_all(&self, store: &dyn Store) -> Result<(), StoreError> {
        while !self.save_some(store).await? {}
        Ok(())
    }
}
