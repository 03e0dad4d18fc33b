//! Attempt counters in bounded memory: a burst at once, then a rate per minute (the generic cell rate algorithm).
//!
//! A counter is one point in time: when it is at rest. Each counted attempt moves that point ahead by the interval between
//! two attempts. An attempt is allowed while the point is less than a burst of intervals ahead. Attempts with an unknown
//! outcome are counted separately. So simultaneous attempts cannot exceed the limit together, and attempts that do not
//! count leave no trace.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

pub(super) use crate::domain::attempts::AttemptRate as Rate;
use crate::domain::attempts::{CounterKey, Digest, Scope};

/// How many counters are kept: about 8 MiB.
const MAX_COUNTERS: usize = 1 << 16;

/// How many counters all further keys share when that many exist. Sharing can only throttle a key earlier.
const SHARED: u64 = 1 << 10;

/// The attempt would exceed a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exceeded {
    pub(super) wait: Duration,
    pub(super) limit: u32,
}

/// What a counter holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) scope: Scope,
    pub(super) limit: u32,
    /// How many attempts are allowed now.
    pub(super) left: u32,
    /// How long until the next attempt is allowed. Zero if it is allowed now.
    pub(super) wait: Duration,
    /// How long until nothing is held.
    pub(super) rests_in: Duration,
}

impl Held {
    /// `ahead` is how long until the counter is at rest if all open attempts count.
    pub(super) fn new(scope: Scope, rate: Rate, ahead: Duration, rests_in: Duration) -> Self {
        let room = rate.window().saturating_sub(ahead).as_nanos() / rate.interval.as_nanos().max(1);
        Self {
            scope,
            limit: rate.burst,
            left: u32::try_from(room).unwrap_or(u32::MAX),
            wait: (ahead + rate.interval).saturating_sub(rate.window()),
            rests_in,
        }
    }
}

#[derive(Default)]
struct Counter {
    /// In uptime.
    rests_at: Duration,
    /// Attempts with an unknown outcome.
    open: u32,
    /// Whether it has counted something that is not in the store.
    is_unsaved: bool,
}

/// All counters of a process.
#[derive(Default)]
pub(super) struct Counters {
    counters: Mutex<HashMap<CounterKey, Counter>>,
    hasher: RandomState,
}

impl Counters {
    /// Opens an attempt in all of these counters, or in none if one of them is at its limit. Keys may be replaced by those
    /// of shared counters. Pass each key to [`Counters::close`] once.
    pub(super) fn open(&self, keys: &mut [(CounterKey, Rate)], now: Duration) -> Result<(), Exceeded> {
        let mut counters = self.lock();
        for (key, _) in keys.iter_mut() {
            if counters.len() >= MAX_COUNTERS && !counters.contains_key(key) {
                *key = self.shared(key);
            }
        }
        let exceeded = keys.iter().filter_map(|(key, rate)| {
            let counter = counters.get(key)?;
            let ahead = counter.rests_at.saturating_sub(now) + rate.interval * counter.open.saturating_add(1);
            let wait = ahead.checked_sub(rate.window()).filter(|wait| !wait.is_zero())?;
            Some(Exceeded { wait, limit: rate.burst })
        });
        if let Some(longest) = exceeded.max_by_key(|exceeded| exceeded.wait) {
            return Err(longest);
        }
        for (key, _) in keys {
            counters.entry(*key).or_default().open += 1;
        }
        Ok(())
    }

    /// Closes an attempt. If it counts and the counter is `kept`, the counter has to be saved.
    pub(super) fn close(&self, key: &CounterKey, rate: Rate, counts: bool, kept: bool, now: Duration) {
        let mut counters = self.lock();
        let Some(counter) = counters.get_mut(key) else { return };
        counter.open = counter.open.saturating_sub(1);
        if counts {
            counter.rests_at = counter.rests_at.max(now) + rate.interval;
            counter.is_unsaved |= kept;
        }
        if counter.open == 0 && counter.rests_at <= now {
            counters.remove(key);
        }
    }

    /// Removes the counters at rest.
    pub(super) fn forget_rested(&self, now: Duration) {
        self.lock().retain(|_, counter| counter.open > 0 || counter.rests_at > now);
    }

    /// Up to `limit` counters that are not saved. They count as saved from now on.
    pub(super) fn take_unsaved(&self, limit: usize) -> Vec<(CounterKey, Duration)> {
        let mut counters = self.lock();
        let unsaved = counters.iter_mut().filter(|(_, counter)| counter.is_unsaved).take(limit);
        unsaved
            .map(|(key, counter)| {
                counter.is_unsaved = false;
                (*key, counter.rests_at)
            })
            .collect()
    }

    /// Marks counters as not saved, after a failed write.
    pub(super) fn mark_unsaved(&self, keys: &[CounterKey]) {
        let mut counters = self.lock();
        for key in keys {
            if let Some(counter) = counters.get_mut(key) {
                counter.is_unsaved = true;
            }
        }
    }

    /// What is held in the counters that are not at rest, among those that `is_wanted` selects.
    pub(super) fn held(
        &self,
        is_wanted: impl Fn(&CounterKey) -> bool,
        rate_of: impl Fn(Scope) -> Rate,
        now: Duration,
    ) -> Vec<Held> {
        let counters = self.lock();
        let wanted = counters.iter().filter(|(key, counter)| is_wanted(key) && counter.rests_at > now);
        wanted
            .map(|(key, counter)| {
                let rate = rate_of(key.scope);
                let ahead = counter.rests_at - now + rate.interval * counter.open;
                Held::new(key.scope, rate, ahead, counter.rests_at - now)
            })
            .collect()
    }

    /// Brings the counters that `is_wanted` selects to rest. An attempt that is open still counts if it fails.
    pub(super) fn clear(&self, is_wanted: impl Fn(&CounterKey) -> bool) {
        self.lock().retain(|key, counter| {
            if is_wanted(key) {
                counter.rests_at = Duration::ZERO;
                counter.is_unsaved = false;
            }
            counter.open > 0 || !counter.rests_at.is_zero()
        });
    }

    /// Adds a saved counter.
    pub(super) fn restore(&self, key: CounterKey, rests_at: Duration) {
        let mut counters = self.lock();
        if counters.len() < MAX_COUNTERS {
            counters.entry(key).or_default().rests_at = rests_at;
        }
    }

    fn shared(&self, key: &CounterKey) -> CounterKey {
        let mut subject = Digest::default();
        subject[..8].copy_from_slice(&(self.hasher.hash_one(key) % SHARED).to_be_bytes());
        CounterKey { scope: key.scope, subject, origin: Digest::default() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<CounterKey, Counter>> {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    const START: Duration = Duration::from_secs(1000);

    fn rate(burst: u32, per_minute: u32) -> Rate {
        Rate::new(NonZeroU32::new(burst).unwrap(), NonZeroU32::new(per_minute).unwrap())
    }

    fn key(n: u64) -> CounterKey {
        let mut subject = Digest::default();
        subject[8..].copy_from_slice(&n.to_be_bytes());
        CounterKey { scope: Scope::Account, subject, origin: Digest::default() }
    }

    fn attempt(counters: &Counters, n: u64, rate: Rate, counts: bool, now: Duration) -> Result<(), Exceeded> {
        let mut keys = [(key(n), rate)];
        counters.open(&mut keys, now)?;
        counters.close(&keys[0].0, rate, counts, true, now);
        Ok(())
    }

    #[test]
    fn a_burst_is_allowed_and_then_one_attempt_per_interval() {
        let (counters, rate) = (Counters::default(), rate(3, 2));
        for _ in 0..3 {
            attempt(&counters, 1, rate, true, START).unwrap();
        }
        let wait = |seconds| Err(Exceeded { wait: Duration::from_secs(seconds), limit: 3 });
        assert_eq!(attempt(&counters, 1, rate, true, START), wait(30));
        assert_eq!(attempt(&counters, 1, rate, true, START + Duration::from_secs(29)), wait(1));
        assert_eq!(attempt(&counters, 2, rate, true, START), Ok(()), "other keys are not throttled");
        let later = START + Duration::from_secs(30);
        assert_eq!(attempt(&counters, 1, rate, true, later), Ok(()));
        assert_eq!(attempt(&counters, 1, rate, true, later), wait(30));
        let rested = later + rate.window();
        for _ in 0..3 {
            attempt(&counters, 1, rate, true, rested).unwrap();
        }
        assert_eq!(attempt(&counters, 1, rate, true, rested), wait(30));
    }

    #[test]
    fn an_attempt_that_does_not_count_leaves_no_trace_and_changes_no_others() {
        let (counters, rate) = (Counters::default(), rate(3, 2));
        for _ in 0..100 {
            attempt(&counters, 1, rate, false, START).unwrap();
        }
        assert!(counters.lock().is_empty());
        // An attempt that stays open while others count and their counter decreases.
        let mut open = [(key(1), rate)];
        counters.open(&mut open, START).unwrap();
        attempt(&counters, 1, rate, true, START).unwrap();
        attempt(&counters, 1, rate, true, START + Duration::from_secs(45)).unwrap();
        let before = counters.lock()[&key(1)].rests_at;
        counters.close(&open[0].0, rate, false, true, START + Duration::from_secs(50));
        assert_eq!(counters.lock()[&key(1)].rests_at, before);
    }

    #[test]
    fn simultaneous_attempts_do_not_exceed_the_limit_together() {
        let (counters, rate) = (Counters::default(), rate(3, 2));
        let mut open = vec![[(key(1), rate)]; 4];
        let opened: Vec<bool> = open.iter_mut().map(|keys| counters.open(keys, START).is_ok()).collect();
        assert_eq!(opened, [true, true, true, false]);
        for keys in &open[..2] {
            counters.close(&keys[0].0, rate, true, true, START);
        }
        counters.close(&open[2][0].0, rate, false, true, START);
        assert!(attempt(&counters, 1, rate, true, START).is_ok());
        assert!(attempt(&counters, 1, rate, true, START).is_err());
    }

    #[test]
    fn an_attempt_that_one_counter_refuses_opens_none() {
        let (counters, narrow, wide) = (Counters::default(), rate(1, 1), rate(9, 9));
        attempt(&counters, 1, narrow, true, START).unwrap();
        let mut keys = [(key(2), wide), (key(1), narrow)];
        assert_eq!(counters.open(&mut keys, START), Err(Exceeded { wait: Duration::from_secs(60), limit: 1 }));
        assert!(!counters.lock().contains_key(&key(2)));
    }

    #[test]
    fn a_flood_of_keys_stays_within_bounds_and_is_throttled() {
        let (counters, rate) = (Counters::default(), rate(1, 1));
        let allowed =
            (0..MAX_COUNTERS as u64 * 2).filter(|n| attempt(&counters, *n, rate, true, START).is_ok()).count();
        assert!(counters.lock().len() <= MAX_COUNTERS + SHARED as usize, "{}", counters.lock().len());
        assert!(allowed <= MAX_COUNTERS + SHARED as usize, "{allowed}");
        assert!(attempt(&counters, 3, rate, true, START).is_err(), "existing counters stay");
        counters.forget_rested(START + rate.window());
        assert!(counters.lock().is_empty());
    }

    #[test]
    fn a_counter_is_saved_once_until_it_counts_again() {
        let (counters, rate) = (Counters::default(), rate(9, 1));
        attempt(&counters, 1, rate, true, START).unwrap();
        attempt(&counters, 2, rate, true, START).unwrap();
        assert_eq!(counters.take_unsaved(1).len(), 1);
        let mut saved = counters.take_unsaved(9);
        assert_eq!(saved.len(), 1);
        assert!(counters.take_unsaved(9).is_empty());
        counters.mark_unsaved(&saved.drain(..).map(|(key, _)| key).collect::<Vec<_>>());
        assert_eq!(counters.take_unsaved(9).len(), 1);
        attempt(&counters, 1, rate, true, START).unwrap();
        assert_eq!(counters.take_unsaved(9), [(key(1), START + Duration::from_secs(120))]);
    }
}
