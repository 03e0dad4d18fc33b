//! Enforces the usage limits of tokens: allowed addresses, rate limit and quota. Tokens without limits never come here.
//!
//! The address is checked first, then the rate, then the quota. A use that one limit rejects does not count towards the
//! limits after it.
//!
//! A quota is never exceeded. Uses are reserved in the store ahead of time, one *lease* at a time, and only reserved uses
//! are spent. A crash loses the unspent part of a lease; a shutdown returns it.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use super::rates::{RateState, TokenRate};
use crate::{
    domain::{id::TokenId, time::Timestamp, token::Token, usage_limits::UsageLimits},
    ops::{clock::Clock, error::Error, rejection::Rejection},
    store::{Store, StoreError},
};

/// How long a meter is kept after its last use. After that time its rate limit is at rest, so a new meter is the same.
const KEPT: Duration = Duration::from_secs(120);

/// How many leases are returned in one write, so that other writes do not wait long.
const RETURNED_AT_ONCE: usize = 128;

/// The meters of the recently used families with a rate limit or quota. A token and its successor share one meter;
/// otherwise a rotation would reset the limits. Only accepted tokens get a meter, and it is dropped after [`KEPT`].
pub(in crate::ops) struct Meters {
    clock: Clock,
    meters: Mutex<HashMap<TokenId, Arc<Meter>>>,
}

impl Meters {
    pub(in crate::ops) fn new(clock: &Clock) -> Self {
        Self { clock: clock.clone(), meters: Mutex::default() }
    }

    /// Counts one use of `token` from `address`, or rejects it.
    pub(in crate::ops) async fn spend(
        &self,
        store: &dyn Store,
        token: &Token,
        limits: &UsageLimits,
        address: Option<IpAddr>,
    ) -> Result<Option<RateState>, Error> {
        // An unknown address is on no allowlist.
        let permitted = match address {
            Some(address) => limits.allowlist.permits(address),
            None => limits.allowlist.networks().is_empty(),
        };
        if !permitted {
            return Err(Rejection::AddressNotAllowed.into());
        }
        if limits.requests_per_minute.is_none() && limits.quota.is_none() {
            return Ok(None);
        }
        let meter = self.meter(store, token.family, limits);
        let rate_state = match &meter.rate {
            Some(rate) => Some(rate.spend(store, token.family).await?),
            None => None,
        };
        if let Some(lease) = &meter.lease {
            lease.spend(store, token.id, self.clock.now()).await?;
        }
        Ok(rate_state)
    }

    /// How many uses of a family are reserved in the store and not spent.
    pub(in crate::ops) fn unspent(&self, family: TokenId) -> u32 {
        let meters = self.lock();
        meters.get(&family).and_then(|meter| meter.lease.as_ref()).map_or(0, |lease| lease.left.load(Ordering::Acquire))
    }

    /// Drops the meters at rest and returns their leases.
    pub(in crate::ops) async fn forget_rested(&self, store: &dyn Store) -> Result<(), StoreError> {
        let now = self.clock.uptime();
        self.drop_meters(store, |meter| now.saturating_sub(meter.used_at()) >= KEPT).await
    }

    /// Drops all meters and returns their leases. If a write fails, those uses are lost to the token.
    pub(in crate::ops) async fn return_all(&self, store: &dyn Store) -> Result<(), StoreError> {
        self.drop_meters(store, |_| true).await
    }

    async fn drop_meters(&self, store: &dyn Store, is_due: impl Fn(&Meter) -> bool) -> Result<(), StoreError> {
        let mut unused = Vec::new();
        // A meter in use stays. Otherwise the same uses could be spent and returned.
        self.lock().retain(|id, meter| {
            let Some(meter) = Arc::get_mut(meter).filter(|meter| is_due(meter)) else { return true };
            unused.extend(meter.lease.as_mut().map(|lease| (*id, *lease.left.get_mut())));
            false
        });
        unused.retain(|(_, left)| *left > 0);
        let mut outcome = Ok(());
        for some in unused.chunks(RETURNED_AT_ONCE) {
            outcome = outcome.and(store.return_uses(some.to_vec()).await);
        }
        outcome
    }

    fn meter(&self, store: &dyn Store, family: TokenId, limits: &UsageLimits) -> Arc<Meter> {
        let now = self.clock.uptime();
        let mut meters = self.lock();
        let meter = meters.entry(family).or_insert_with(|| Arc::new(Meter::new(store, limits, &self.clock)));
        meter.used_at.store(u32::try_from(now.as_secs()).unwrap_or(u32::MAX), Ordering::Relaxed);
        Arc::clone(meter)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TokenId, Arc<Meter>>> {
        self.meters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts the uses of one family. All records of the family's tokens share it.
struct Meter {
    rate: Option<TokenRate>,
    lease: Option<Lease>,
    /// In seconds of uptime.
    used_at: AtomicU32,
}

impl Meter {
    fn new(store: &dyn Store, limits: &UsageLimits, clock: &Clock) -> Self {
        Self {
            rate: limits.requests_per_minute.and_then(|per_minute| TokenRate::new(store, per_minute, clock)),
            lease: limits.quota.map(|_| Lease::default()),
            used_at: AtomicU32::new(0),
        }
    }

    fn used_at(&self) -> Duration {
        Duration::from_secs(self.used_at.load(Ordering::Relaxed).into())
    }
}

/// Uses of a quota that are reserved in the store.
#[derive(Default)]
struct Lease {
    left: AtomicU32,
    /// Locked while more uses are reserved. Holds the time at which the store last had none left. The store is asked
    /// again one second later, because another lease may have been returned.
    used_up_at: tokio::sync::Mutex<Option<Timestamp>>,
}

impl Lease {
    async fn spend(&self, store: &dyn Store, id: TokenId, now: Timestamp) -> Result<(), Error> {
        if self.take() {
            return Ok(());
        }
        let mut used_up_at = self.used_up_at.lock().await;
        // The previous holder of the lock may have reserved more.
        if self.take() {
            return Ok(());
        }
        if *used_up_at != Some(now) {
            match store.reserve_uses(id).await {
                Ok(0) => *used_up_at = Some(now),
                Ok(reserved) => {
                    self.left.fetch_add(reserved - 1, Ordering::AcqRel);
                    return Ok(());
                }
                // The token was revoked after its record was read.
                Err(StoreError::NotFound) => return Err(Rejection::Revoked.into()),
                Err(error) => return Err(error.into()),
            }
        }
        Err(Rejection::QuotaExceeded.into())
    }

    fn take(&self) -> bool {
        self.left.try_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(1)).is_ok()
    }
}
