//! What the throttle holds against an account or an address, and how an administrator clears it.

use std::{net::IpAddr, sync::atomic::Ordering};

use super::{Throttle, counters::Held};
use crate::{
    domain::{
        account::Email,
        attempts::{CounterKey, CountersOf, Scope},
        audit::{Attribution, Entry},
        id::UserId,
        time::Timestamp,
    },
    store::{Store, StoreError},
};

/// What a counter holds against an account or an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldAttempts {
    /// What is counted.
    pub scope: Scope,
    /// How many attempts are allowed at once.
    pub limit: u32,
    /// How many are allowed now.
    pub left: u32,
    /// Until when no attempt is allowed. `None` if one is allowed now.
    pub blocked_until: Option<Timestamp>,
    /// When nothing is held any more.
    pub rests_at: Timestamp,
}

impl Throttle {
    /// The counters of an account and its user.
    pub(in crate::ops) fn of_account(&self, email: &Email, user: Option<UserId>) -> Vec<CountersOf> {
        let account = CountersOf::Subject(self.digest("account", email.canonical().as_bytes()));
        let user = user.map(|id| CountersOf::Subject(self.digest("user", id.uuid().as_bytes())));
        [account].into_iter().chain(user).collect()
    }

    /// The counters of the network and the site of an address.
    pub(in crate::ops) fn of_address(&self, address: IpAddr) -> Vec<CountersOf> {
        let site = self.site(address).map(CountersOf::Origin);
        [CountersOf::Origin(self.network(address))].into_iter().chain(site).collect()
    }

    /// What is held in the counters. Those that block longest come first.
    pub(in crate::ops) async fn held(
        &self,
        store: &dyn Store,
        wanted: &[CountersOf],
    ) -> Result<Vec<HeldAttempts>, StoreError> {
        let held = match store.shared_counters() {
            None => self.held_here(wanted),
            Some(counters) => self.held_together(counters, wanted).await?,
        };
        Ok(self.shown(held))
    }

    pub(super) fn held_here(&self, wanted: &[CountersOf]) -> Vec<Held> {
        self.counters.held(is_in(wanted), |scope| self.rates.of(scope), self.clock.uptime())
    }

    pub(super) fn shown(&self, mut held: Vec<Held>) -> Vec<HeldAttempts> {
        held.sort_by_key(|held| (held.left, std::cmp::Reverse((held.wait, held.rests_in))));
        let show = |Held { scope, limit, left, wait, rests_in }| HeldAttempts {
            scope,
            limit,
            left,
            blocked_until: (left == 0).then(|| self.clock.throttled(wait, limit).resets_at),
            rests_at: self.clock.throttled(rests_in, limit).resets_at,
        };
        held.into_iter().map(show).collect()
    }

    /// Clears the counters, first in the store: if that fails, nothing is cleared. `event` is recorded if anything was.
    pub(in crate::ops) async fn clear(
        &self,
        store: &dyn Store,
        wanted: Vec<CountersOf>,
        event: Entry,
        by: Attribution,
    ) -> Result<usize, StoreError> {
        // Otherwise a save that is under way could write the counters again.
        let _saving = self.saving.lock().await;
        let held = self.held(store, &wanted).await?.len();
        store.clear_attempts(wanted.clone(), held > 0, event, by).await?;
        self.counters.clear(is_in(&wanted));
        self.forget_refusals(is_in(&wanted));
        Ok(held)
    }

    /// Restores the saved counters if this process has not done so. A command that opens the file itself needs it.
    pub(in crate::ops) async fn restore_once(&self, store: &dyn Store) -> Result<(), StoreError> {
        if !self.is_restored.load(Ordering::Acquire) {
            self.load(store).await?;
        }
        Ok(())
    }
}

fn is_in(wanted: &[CountersOf]) -> impl Fn(&CounterKey) -> bool {
    |key| wanted.iter().any(|wanted| wanted.includes(key))
}
