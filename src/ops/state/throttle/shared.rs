//! Attempts on several servers with one database: they are counted there, on its clock.
//!
//! An attempt is counted when it is opened, and what does not count is taken back when its outcome is known. So it does not matter
//! on which servers the attempts are made, nor how many at once. A refusal is remembered for a moment, so that a flood of attempts
//! that are refused anyway does not reach the database.

use super::{
    Throttle,
    counters::{Exceeded, Held, Rate},
};
use crate::{
    domain::attempts::{CounterKey, CountersOf},
    ops::error::Error,
    store::{AttemptAnswer, Counted, SharedCounters, Store, StoreError},
};

impl Throttle {
    /// Counts an attempt in the database, or refuses it.
    pub(super) async fn count(
        &self,
        counters: &dyn SharedCounters,
        keys: &[(CounterKey, Rate)],
    ) -> Result<Vec<Counted>, Error> {
        let throttled = |Exceeded { wait, limit }| Error::Throttled(self.clock.throttled(wait, limit));
        if let Some(exceeded) = self.shared.refusal(keys, self.clock.uptime()) {
            return Err(throttled(exceeded));
        }
        match counters.count_attempt(keys.to_vec()).await? {
            AttemptAnswer::Counted(counted) => Ok(counted),
            AttemptAnswer::Exceeded { key, limit, wait } => {
                let exceeded = Exceeded { wait, limit };
                self.shared.remember(key, exceeded, self.clock.uptime());
                Err(throttled(exceeded))
            }
        }
    }

    /// Takes back what does not count. What was decided stays decided if that fails, so it is tried again later.
    pub(super) async fn take_back(&self, counters: &dyn SharedCounters, counted: Vec<Counted>) {
        if !counted.is_empty()
            && let Err(error) = counters.take_back(counted.clone()).await
        {
            log::warn!(error:%; "an attempt that does not count is counted until this is written");
            self.shared.take_back_later(counted);
        }
    }

    /// Takes back what remains.
    pub(super) async fn take_back_rest(&self, store: &dyn Store) -> Result<(), StoreError> {
        let Some(counters) = store.shared_counters() else { return Ok(()) };
        let later = self.shared.take_later();
        if later.is_empty() {
            return Ok(());
        }
        let outcome = counters.take_back(later.clone()).await;
        if outcome.is_err() {
            self.shared.take_back_later(later);
        }
        outcome
    }

    /// What the counters in the database hold.
    pub(super) async fn held_together(
        &self,
        counters: &dyn SharedCounters,
        wanted: &[CountersOf],
    ) -> Result<Vec<Held>, StoreError> {
        let held = counters.held_attempts(wanted.to_vec()).await?.into_iter();
        Ok(held.map(|(key, rests_in)| Held::new(key.scope, self.rates.of(key.scope), rests_in, rests_in)).collect())
    }

    /// Forgets which counters were at their limit.
    pub(super) fn forget_refusals(&self, is_wanted: impl Fn(&CounterKey) -> bool) {
        self.shared.forget(is_wanted);
    }
}
