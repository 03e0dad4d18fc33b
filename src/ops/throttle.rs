//! The brakes on guessing passwords, on reports of leaked secrets, and on tokens that replace themselves: by e-mail address,
//! by client address, and by family, in bounded memory.
//!
//! Keys are hashed into a fixed number of buckets with a key of this process, so a flood of made-up addresses fills the
//! buckets and not the memory. Two keys in one bucket share its allowance, which only ever slows somebody down.

use std::{
    hash::{BuildHasher, Hash, RandomState},
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    time::Duration,
};

use governor::{
    NotUntil, Quota, RateLimiter, clock::Clock as GovernorClock, middleware::NoOpMiddleware, nanos::Nanos,
    state::keyed::DashMapStateStore,
};

use super::clock::Clock;
use crate::{
    config,
    domain::{account::Email, id::TokenId, time::Timestamp},
};

/// Buckets of one limiter; at about 64 bytes each, 16 MiB at the most.
const BUCKETS: u64 = 1 << 18;

/// Somebody tried too often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Throttled {
    /// After how long the next attempt may succeed; whole seconds, at least one.
    pub retry_after: Duration,
    /// The same as a time of day.
    pub resets_at: Timestamp,
    /// How many attempts are allowed at once.
    pub limit: u32,
}

/// The limiters of sign-in, registration and password change, of reports of leaked secrets, and of self-rotation.
pub(super) struct Throttle {
    by_address: Limiter,
    by_email: Limiter,
    reports: Limiter,
    all_reports: Limiter,
    rotations: Limiter,
}

impl Throttle {
    pub(super) fn new(settings: &config::Throttle, clock: &Clock) -> Self {
        Self {
            by_address: Limiter::new(settings.per_address_burst, settings.per_address_per_minute, clock),
            by_email: Limiter::new(settings.per_email_burst, settings.per_email_per_minute, clock),
            reports: Limiter::new(settings.reports_per_address_burst, settings.reports_per_address_per_minute, clock),
            all_reports: Limiter::new(settings.reports_burst, settings.reports_per_minute, clock),
            rotations: Limiter::new(
                settings.rotations_per_family_burst,
                settings.rotations_per_family_per_minute,
                clock,
            ),
        }
    }

    /// Counts an attempt for `email` from `client`. The address is asked first, so that one client alone cannot use up
    /// the allowance of many accounts.
    pub(super) fn attempt(&self, client: IpAddr, email: &Email) -> Result<(), Throttled> {
        self.by_address.attempt(network(client))?;
        self.by_email.attempt(email.canonical())
    }

    /// Counts a report of leaked secrets from `client`. The address is asked first, so that one client alone cannot keep
    /// out all others.
    pub(super) fn report(&self, client: IpAddr) -> Result<(), Throttled> {
        self.reports.attempt(network(client))?;
        self.all_reports.attempt(())
    }

    /// Counts an attempt of a token of `family` to replace itself: each leaves a row for a while.
    pub(super) fn rotation(&self, family: TokenId) -> Result<(), Throttled> {
        self.rotations.attempt(family)
    }

    pub(super) fn forget_rested(&self) {
        self.by_address.limiter.retain_recent();
        self.by_email.limiter.retain_recent();
        self.reports.limiter.retain_recent();
        self.all_reports.limiter.retain_recent();
        self.rotations.limiter.retain_recent();
    }
}

/// One person has a whole IPv6 network of 64 bits, so that is what counts as their address.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        v4 => v4,
    }
}

struct Limiter {
    limiter: RateLimiter<u64, DashMapStateStore<u64>, Ticks, NoOpMiddleware<Nanos>>,
    clock: Ticks,
    limit: u32,
    hasher: RandomState,
}

impl Limiter {
    fn new(burst: NonZeroU32, per_minute: NonZeroU32, clock: &Clock) -> Self {
        let clock = Ticks::new(clock);
        let quota = Quota::per_minute(per_minute).allow_burst(burst);
        Self {
            limiter: RateLimiter::dashmap_with_clock(quota, clock.clone()),
            clock,
            limit: burst.get(),
            hasher: RandomState::new(),
        }
    }

    fn attempt(&self, key: impl Hash) -> Result<(), Throttled> {
        let bucket = self.hasher.hash_one(key) % BUCKETS;
        let wait = |not_until: NotUntil<Nanos>| not_until.wait_time_from(self.clock.now());
        self.limiter.check_key(&bucket).map_err(|not_until| self.clock.throttled(wait(not_until), self.limit))
    }
}

/// The product's clock in governor's terms, so that tests which move the one move the other.
#[derive(Clone)]
pub(super) struct Ticks(Clock);

impl Ticks {
    pub(super) fn new(clock: &Clock) -> Self {
        Self(clock.clone())
    }

    /// Who asks again after `wait` may be taken. It is told in whole seconds: never less than what is to be waited, and
    /// one at least.
    pub(super) fn throttled(&self, wait: Duration, limit: u32) -> Throttled {
        let whole = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        let retry_after = Duration::from_secs(whole.max(1));
        Throttled { retry_after, resets_at: self.at(retry_after), limit }
    }

    /// The time of day after `wait`.
    pub(super) fn at(&self, wait: Duration) -> Timestamp {
        self.0.now().plus(wait)
    }
}

impl GovernorClock for Ticks {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::from(u64::try_from(self.0.uptime().as_nanos()).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_network_is_one_client_and_a_mapped_address_is_its_ipv4() {
        let network = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), network("2001:db8:1:2::1"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_eq!(network("::ffff:192.0.2.1"), "192.0.2.1");
    }

    #[test]
    fn a_flood_of_keys_stays_within_the_buckets() {
        let one = NonZeroU32::MIN;
        let limiter = Limiter::new(one, one, &Clock::system());
        for key in 0..BUCKETS * 2 {
            let _ = limiter.attempt(key);
        }
        assert!(limiter.limiter.len() as u64 <= BUCKETS);
    }
}
