//! Saves the counters in the store, so that a restart does not reset them.
//!
//! They are written in the background, so a crash loses the failures of the last seconds. Counters in memory use the
//! uptime, which does not depend on the system clock. In the store they are times of that clock. If it was set back in
//! between, a counter is limited to the time from its limit to rest. If it was set ahead, a counter rests too early, once.

use std::sync::{PoisonError, atomic::Ordering};

use super::{Throttle, whole_seconds};
use crate::{
    domain::attempts::{Counter, CounterKey, SavedAttempts},
    store::{Store, StoreError},
};

/// How many counters one write has: about a millisecond of the writer's time.
const WRITTEN_AT_ONCE: usize = 256;

impl Throttle {
    /// Restores the saved counters and the key of their digests, and returns the key. Counters that several servers share stay in
    /// the database.
    pub(in crate::ops) async fn load(&self, store: &dyn Store) -> Result<[u8; 32], StoreError> {
        let mut saved = store.saved_attempts().await?;
        if store.shared_counters().is_some() {
            saved.counters.clear();
        }
        let key = saved.key;
        self.restore(saved);
        Ok(key)
    }

    /// Restores counters and the key of their digests.
    pub(super) fn restore(&self, saved: SavedAttempts) {
        *self.key.write().unwrap_or_else(PoisonError::into_inner) = saved.key;
        let (now, uptime) = (self.clock.0.recordable(), self.clock.uptime());
        for Counter { key, rests_at } in saved.counters {
            let left = rests_at.since(now).min(self.rates.of(key.scope).window());
            if !left.is_zero() {
                self.counters.restore(key, uptime + left);
            }
        }
        self.is_restored.store(true, Ordering::Release);
    }

    /// Saves some of the unsaved counters. Returns whether those were all.
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

    /// Some of the unsaved counters. They count as saved from now on.
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

    /// Saves all unsaved counters.
    pub(in crate::ops) async fn save_all(&self, store: &dyn Store) -> Result<(), StoreError> {
        self.take_back_rest(store).await?;
        let _saving = self.saving.lock().await;
        while !self.save_some(store).await? {}
        Ok(())
    }
}
