//! From where, how fast and how often a token that has limits may be used. A token that has none never comes here.
//!
//! The address is judged first and costs nothing, then the rate, then the quota, so that a use which is refused by one
//! takes nothing of the next.
//!
//! A quota is never over-used, whatever happens: uses are taken from the store ahead, a *lease* at a time, in a durable
//! write, and only what was taken is spent. A crash loses what was taken and not spent; a shutdown gives it back.

use std::{
    collections::HashMap,
    net::IpAddr,
    num::NonZeroU32,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use governor::{
    Quota, RateLimiter,
    clock::Clock as _,
    middleware::StateInformationMiddleware,
    state::{InMemoryState, NotKeyed},
};

use super::{
    Context, Error,
    clock::Clock,
    throttle::{Throttled, Ticks},
    verification::Rejection,
};
use crate::{
    domain::{id::TokenId, time::Timestamp, token::Token, usage_limits::UsageLimits},
    store::{Store, StoreError},
};

/// How long a token's meter stays after its last use: by then its rate is at rest, and forgetting it changes nothing.
const KEPT: Duration = Duration::from_secs(120);

/// The most tokens whose unspent uses are given back in one write, so that no other waits long behind it.
const RETURNED_AT_ONCE: usize = 128;

/// The most uses a minute that a token can be limited to: the limiter multiplies it within a u64 of nanoseconds.
pub const MAX_PER_MINUTE: u32 = 1_000_000;

/// What is left of the quotas of some tokens.
#[derive(Clone, Debug, Default)]
pub struct QuotasLeft(HashMap<TokenId, u32>);

impl QuotasLeft {
    /// How often `token` may still be used; `None` where that is for ever.
    pub fn of(&self, token: &Token) -> Option<u32> {
        let quota = token.limits.as_ref()?.quota?;
        Some(self.0.get(&token.id).copied().unwrap_or(quota))
    }
}

/// What is left of the quotas of those among `tokens` that have one.
pub async fn quotas_left(ctx: &Context, tokens: &[Token]) -> Result<QuotasLeft, Error> {
    let has_quota = |token: &&Token| token.limits.as_ref().is_some_and(|limits| limits.quota.is_some());
    let limited: HashMap<TokenId, &Token> = tokens.iter().filter(has_quota).map(|token| (token.id, token)).collect();
    if limited.is_empty() {
        return Ok(QuotasLeft::default());
    }
    let taken = ctx.store.taken_uses(limited.keys().copied().collect()).await?;
    let left = taken.into_iter().filter_map(|(id, taken)| Some((id, quota_left(ctx, limited.get(&id)?, taken)?)));
    Ok(QuotasLeft(left.collect()))
}

/// How often `token` may still be used, of whose quota the store counts `taken` uses; `None` where that is for ever.
pub(super) fn quota_left(ctx: &Context, token: &Token, taken: u32) -> Option<u32> {
    let quota = token.limits.as_ref()?.quota?;
    Some(quota.saturating_sub(taken).saturating_add(ctx.meters.unspent(token.family)).min(quota))
}

/// What a token whose rate is limited may still do at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateState {
    /// How many uses at once it has when it rests.
    pub limit: u32,
    /// How many of them are left.
    pub remaining: u32,
    /// When it has all of them again, if it is not used meanwhile.
    pub resets_at: Timestamp,
}

/// The meters of the tokens that were used lately and whose rate or quota is limited, by family: a token and its successor
/// share one, or every rotation would begin anew. So much memory as there were such tokens in two minutes; nothing that
/// was not accepted takes any.
pub(super) struct Meters {
    clock: Clock,
    meters: Mutex<HashMap<TokenId, Arc<Meter>>>,
}

impl Meters {
    pub(super) fn new(clock: &Clock) -> Self {
        Self { clock: clock.clone(), meters: Mutex::default() }
    }

    /// Takes one use of `token`, asked for from `address`, or says why not.
    pub(super) async fn spend(
        &self,
        store: &dyn Store,
        token: &Token,
        limits: &UsageLimits,
        address: Option<IpAddr>,
    ) -> Result<Option<RateState>, Error> {
        // Where nobody knows the address, it is not one of those that are allowed.
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
        let meter = self.meter(token.family, limits);
        let rate_state = meter.rate.as_ref().map(Rate::spend).transpose().map_err(Rejection::RateLimited)?;
        if let Some(lease) = &meter.lease {
            lease.spend(store, token.id, self.clock.now()).await?;
        }
        Ok(rate_state)
    }

    /// How many of the uses of a family that were taken from the store are not spent.
    pub(super) fn unspent(&self, family: TokenId) -> u32 {
        let meters = self.lock();
        meters.get(&family).and_then(|meter| meter.lease.as_ref()).map_or(0, |lease| lease.left.load(Ordering::Acquire))
    }

    /// Forgets the meters that rest, and gives back what they hold of quotas.
    pub(super) async fn forget_rested(&self, store: &dyn Store) -> Result<(), StoreError> {
        let now = self.clock.uptime();
        self.give_back(store, |meter| now.saturating_sub(meter.used_at()) >= KEPT).await
    }

    /// Gives back all that was taken and not spent. What cannot be given back is lost to its token.
    pub(super) async fn give_back_all(&self, store: &dyn Store) -> Result<(), StoreError> {
        self.give_back(store, |_| true).await
    }

    async fn give_back(&self, store: &dyn Store, ends: impl Fn(&Meter) -> bool) -> Result<(), StoreError> {
        let mut unused = Vec::new();
        // One that somebody is using at this moment stays: what it holds would be spent and given back at once.
        self.lock().retain(|id, meter| {
            let Some(meter) = Arc::get_mut(meter).filter(|meter| ends(meter)) else { return true };
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

    fn meter(&self, family: TokenId, limits: &UsageLimits) -> Arc<Meter> {
        let now = self.clock.uptime();
        let mut meters = self.lock();
        let meter = meters.entry(family).or_insert_with(|| Arc::new(Meter::new(limits, &self.clock)));
        meter.used_at.store(u32::try_from(now.as_secs()).unwrap_or(u32::MAX), Ordering::Relaxed);
        Arc::clone(meter)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TokenId, Arc<Meter>>> {
        self.meters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is counted of one family, by all who use it at once: records of it there may be several, meters there is one.
struct Meter {
    rate: Option<Rate>,
    lease: Option<Lease>,
    /// In seconds of uptime.
    used_at: AtomicU32,
}

impl Meter {
    fn new(limits: &UsageLimits, clock: &Clock) -> Self {
        let per_minute = limits.requests_per_minute.and_then(NonZeroU32::new);
        Self {
            rate: per_minute.map(|per_minute| Rate::new(per_minute, clock)),
            lease: limits.quota.map(|_| Lease::default()),
            used_at: AtomicU32::new(0),
        }
    }

    fn used_at(&self) -> Duration {
        Duration::from_secs(self.used_at.load(Ordering::Relaxed).into())
    }
}

/// So many uses at once, and then one whenever its share of the minute has passed.
struct Rate {
    limiter: RateLimiter<NotKeyed, InMemoryState, Ticks, StateInformationMiddleware>,
    clock: Ticks,
    limit: u32,
}

impl Rate {
    fn new(per_minute: NonZeroU32, clock: &Clock) -> Self {
        let clock = Ticks::new(clock);
        let limiter = RateLimiter::direct_with_clock(Quota::per_minute(per_minute), clock.clone());
        Self { limiter: limiter.with_middleware(), clock, limit: per_minute.get() }
    }

    fn spend(&self) -> Result<RateState, Throttled> {
        match self.limiter.check() {
            Ok(state) => {
                let (limit, remaining) = (self.limit, state.remaining_burst_capacity());
                // Each use is free again after its share of the minute.
                let full_in = (u64::from(limit - remaining) * 60).div_ceil(limit.into());
                Ok(RateState { limit, remaining, resets_at: self.clock.at(Duration::from_secs(full_in)) })
            }
            Err(not_until) => Err(self.clock.throttled(not_until.wait_time_from(self.clock.now()), self.limit)),
        }
    }
}

/// The uses of a quota that were taken from the store.
#[derive(Default)]
struct Lease {
    left: AtomicU32,
    /// Held while more are taken; when the store last said that there are no more. It is asked again a second later,
    /// since another lease may have been given back.
    used_up_at: tokio::sync::Mutex<Option<Timestamp>>,
}

impl Lease {
    async fn spend(&self, store: &dyn Store, id: TokenId, now: Timestamp) -> Result<(), Error> {
        if self.take() {
            return Ok(());
        }
        // Who waits here finds what the one before took.
        let mut used_up_at = self.used_up_at.lock().await;
        if self.take() {
            return Ok(());
        }
        if *used_up_at != Some(now) {
            match store.reserve_uses(id).await {
                Ok(0) => *used_up_at = Some(now),
                Ok(taken) => {
                    self.left.fetch_add(taken - 1, Ordering::AcqRel);
                    return Ok(());
                }
                // It was revoked meanwhile.
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
