//! The throttle: limits on sign-ins, registrations, leak reports and self-rotations, in bounded memory.
//!
//! A failed sign-in counts three times. By account and network: an attacker in another network does not lock the owner
//! out. By account, with a larger limit. By network. An IPv6 /64 counts as one address, because one person has all of it.
//! The /48 site around it has twice the limit, so that changing networks within a site does not help. Attempts of
//! signed-in users count by session and user, so strangers cannot influence them.
//!
//! [`counters`] holds the counters, and [`persistence`] saves them over a restart. Their keys are digests
//! ([`crate::domain::attempts`]). Servers that share a database count in it instead ([`shared`]).

mod counters;
pub(in crate::ops) mod held;
mod limits;
mod persistence;
mod shared;
mod shared_state;

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, PoisonError, RwLock, atomic::AtomicBool},
    time::Duration,
};

use governor::{clock::Clock as GovernorClock, nanos::Nanos};

use self::{
    counters::{Counters, Exceeded, Rate},
    limits::Rates,
    shared_state::SharedState,
};
use crate::{
    config,
    domain::{
        account::Email,
        attempts::{CounterKey, Digest, Scope},
        id::{SessionId, TokenId, UserId},
        time::Timestamp,
    },
    ops::{clock::Clock, error::Error, rejection::Throttled},
    store::{Counted, SharedCounters, Store},
};

/// The limits and the counters.
#[derive(Clone)]
pub(in crate::ops) struct Throttle {
    rates: Rates,
    counters: Arc<Counters>,
    key: Arc<RwLock<[u8; blake3::KEY_LEN]>>,
    clock: Ticks,
    /// Held while counters are saved or cleared.
    saving: Arc<tokio::sync::Mutex<()>>,
    /// Whether the saved counters and their key were read.
    is_restored: Arc<AtomicBool>,
    /// For counters that several servers share.
    shared: Arc<SharedState>,
}

/// Which outcomes a counter counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum On {
    Failure,
    Success,
    Either,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Nothing was decided, so it does not count.
    Withdrawn,
    Failed,
    Passed,
}

impl On {
    const fn counts(self, outcome: Outcome) -> bool {
        match (self, outcome) {
            (_, Outcome::Withdrawn) => false,
            (Self::Failure, Outcome::Failed) | (Self::Success, Outcome::Passed) | (Self::Either, _) => true,
            (Self::Failure | Self::Success, _) => false,
        }
    }
}

impl Throttle {
    /// `key` is the key of the digests until a saved one is restored.
    pub(in crate::ops) fn new(settings: &config::Throttle, clock: &Clock, key: [u8; blake3::KEY_LEN]) -> Self {
        Self {
            rates: Rates::new(settings),
            counters: Arc::default(),
            key: Arc::new(RwLock::new(key)),
            clock: Ticks::new(clock),
            saving: Arc::default(),
            is_restored: Arc::default(),
            shared: Arc::default(),
        }
    }

    /// The same counters with other limits. Attempts that are open keep theirs.
    pub(in crate::ops) fn with_limits(&self, settings: &config::Throttle) -> Self {
        Self { rates: Rates::new(settings), ..self.clone() }
    }

    /// An attempt of `client` to sign in as `email`.
    pub(in crate::ops) fn sign_in(&self, client: IpAddr, email: &Email) -> Request<'_> {
        let account = self.digest("account", email.canonical().as_bytes());
        let (network, site) = (self.network(client), self.site(client));
        let from = |scope, subject, origin| Some((CounterKey { scope, subject, origin }, On::Failure));
        let all = [
            from(Scope::AccountFromNetwork, account, network),
            site.and_then(|site| from(Scope::AccountFromSite, account, site)),
            from(Scope::Account, account, NONE),
            from(Scope::Network, NONE, network),
            site.and_then(|site| from(Scope::Site, NONE, site)),
            Some((CounterKey { scope: Scope::Successes, subject: account, origin: NONE }, On::Success)),
        ];
        self.request(all.into_iter().flatten())
    }

    /// An attempt of `client` to register. Every outcome counts: it creates an account or reveals that one exists.
    pub(in crate::ops) fn registration(&self, client: IpAddr) -> Request<'_> {
        let from = |scope, origin| (CounterKey { scope, subject: NONE, origin }, On::Either);
        let site = self.site(client).map(|site| from(Scope::Site, site));
        self.request([from(Scope::Network, self.network(client))].into_iter().chain(site))
    }

    /// An attempt of `client` to set a password with a link. A failure counts like a failed sign-in of its network.
    pub(in crate::ops) fn password_link(&self, client: IpAddr) -> Request<'_> {
        let from = |scope, origin| (CounterKey { scope, subject: NONE, origin }, On::Failure);
        let site = self.site(client).map(|site| from(Scope::Site, site));
        self.request([from(Scope::Network, self.network(client))].into_iter().chain(site))
    }

    /// An attempt of a signed-in user to confirm their password.
    pub(in crate::ops) fn confirmation(&self, session: SessionId, user: UserId) -> Request<'_> {
        self.of_session(session, user, On::Failure)
    }

    /// An attempt of a signed-in user to change their address. Every outcome counts, because it reveals whether an
    /// account has the new address.
    pub(in crate::ops) fn address_change(&self, session: SessionId, user: UserId) -> Request<'_> {
        self.of_session(session, user, On::Either)
    }

    fn of_session(&self, session: SessionId, user: UserId, on: On) -> Request<'_> {
        let subject = self.digest("user", user.uuid().as_bytes());
        let origin = self.digest("session", session.uuid().as_bytes());
        self.request([
            (CounterKey { scope: Scope::Session, subject, origin }, on),
            (CounterKey { scope: Scope::User, subject, origin: NONE }, on),
            (CounterKey { scope: Scope::Successes, subject, origin: NONE }, On::Success),
        ])
    }

    /// A leak report of `client`.
    pub(in crate::ops) fn report(&self, client: IpAddr) -> Request<'_> {
        let key = |scope, origin| (CounterKey { scope, subject: NONE, origin }, On::Either);
        let keys = [key(Scope::Reports, self.network(client)), key(Scope::AllReports, NONE)];
        self.request(keys)
    }

    /// A self-rotation in `family`. Each leaves a row in the store for a while.
    pub(in crate::ops) fn rotation(&self, family: TokenId) -> Request<'_> {
        let subject = self.digest("family", family.uuid().as_bytes());
        let key = CounterKey { scope: Scope::Rotations, subject, origin: NONE };
        self.request([(key, On::Either)])
    }

    pub(in crate::ops) fn forget_rested(&self) {
        self.counters.forget_rested(self.clock.uptime());
        self.shared.forget_rested(self.clock.uptime());
    }

    fn request(&self, keys: impl IntoIterator<Item = (CounterKey, On)>) -> Request<'_> {
        let (keys, ons): (Vec<_>, Vec<_>) = keys.into_iter().unzip();
        let keys = keys.into_iter().map(|key: CounterKey| (key, self.rates.of(key.scope))).collect();
        Request { throttle: self, keys, ons }
    }

    fn network(&self, address: IpAddr) -> Digest {
        self.digest("network", network(address).to_string().as_bytes())
    }

    fn site(&self, address: IpAddr) -> Option<Digest> {
        site(address).map(|site| self.digest("site", site.to_string().as_bytes()))
    }

    fn digest(&self, what: &str, value: &[u8]) -> Digest {
        let key = self.key.read().unwrap_or_else(PoisonError::into_inner);
        let mut hasher = blake3::Hasher::new_keyed(&key);
        // The label ends with a zero byte, which no label contains.
        hasher.update(what.as_bytes()).update(&[0]).update(value);
        let mut digest = Digest::default();
        digest.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        digest
    }
}

/// For counters without an account or without a network.
const NONE: Digest = [0; 16];

/// An attempt that nobody has asked the counters about.
#[must_use]
pub(in crate::ops) struct Request<'t> {
    throttle: &'t Throttle,
    keys: Vec<(CounterKey, Rate)>,
    ons: Vec<On>,
}

impl<'t> Request<'t> {
    /// Opens the attempt, or refuses it. If the counters cannot be asked, nothing is decided.
    pub(in crate::ops) async fn open(self, store: &'t dyn Store) -> Result<Attempt<'t>, Error> {
        match store.shared_counters() {
            None => self.open_here().map_err(Error::Throttled),
            Some(counters) => {
                let counted = self.throttle.count(counters, &self.keys).await?;
                let Self { throttle, keys, ons } = self;
                Ok(Attempt { throttle, keys, ons, outcome: Outcome::Withdrawn, shared: Some((counters, counted)) })
            }
        }
    }

    /// Counts something that counts whatever comes of it.
    pub(in crate::ops) async fn count(self, store: &'t dyn Store) -> Result<(), Error> {
        self.open(store).await.map(Attempt::passed)
    }

    /// Opens the attempt in the counters of this process.
    fn open_here(self) -> Result<Attempt<'t>, Throttled> {
        let Self { throttle, mut keys, ons } = self;
        match throttle.counters.open(&mut keys, throttle.clock.uptime()) {
            Ok(()) => Ok(Attempt { throttle, keys, ons, outcome: Outcome::Withdrawn, shared: None }),
            Err(Exceeded { wait, limit }) => Err(throttle.clock.throttled(wait, limit)),
        }
    }
}

/// An attempt with an unknown outcome. If it is dropped before its work began, it does not count. If it is dropped later, it
/// counts as failed: a client that disconnects before the answer must not guess for free.
#[must_use]
pub(in crate::ops) struct Attempt<'t> {
    throttle: &'t Throttle,
    keys: Vec<(CounterKey, Rate)>,
    ons: Vec<On>,
    outcome: Outcome,
    /// What was counted in the database, if several servers count there. It is there before the outcome is known.
    shared: Option<(&'t dyn SharedCounters, Vec<Counted>)>,
}

impl Attempt<'_> {
    /// The work begins.
    pub(in crate::ops) fn begin(&mut self) {
        self.outcome = Outcome::Failed;
    }

    /// Ends the attempt. An outage or a full queue decides nothing, so the attempt does not count.
    pub(in crate::ops) async fn end<T>(mut self, result: &Result<T, Error>) {
        self.outcome = match result {
            Ok(_) => Outcome::Passed,
            Err(
                Error::Busy | Error::ClockUnreliable(_) | Error::Exhausted(_) | Error::Store(_) | Error::Internal(_),
            ) => Outcome::Withdrawn,
            // Also if the password was correct: what followed was refused.
            Err(_) if self.outcome == Outcome::Passed => Outcome::Passed,
            Err(_) => Outcome::Failed,
        };
        if let Some((counters, counted)) = self.shared.take() {
            // If this call is dropped, the attempt counts.
            let uncounted = self.uncounted(counted);
            self.throttle.take_back(counters, uncounted).await;
            self.keys.clear();
        }
    }

    /// What does not count with this outcome.
    fn uncounted(&self, counted: Vec<Counted>) -> Vec<Counted> {
        let ons = counted.into_iter().zip(&self.ons);
        ons.filter(|(_, on)| !on.counts(self.outcome)).map(|(counted, _)| counted).collect()
    }

    /// The password was correct, so the attempt is no failure, whatever else is wrong with the request.
    pub(in crate::ops) fn confirm(&mut self) {
        self.outcome = Outcome::Passed;
    }

    fn passed(mut self) {
        self.outcome = Outcome::Passed;
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if let Some((_, counted)) = self.shared.take() {
            return self.throttle.shared.take_back_later(self.uncounted(counted));
        }
        let now = self.throttle.clock.uptime();
        for ((key, rate), on) in self.keys.iter().zip(&self.ons) {
            self.throttle.counters.close(key, *rate, on.counts(self.outcome), is_kept(key.scope), now);
        }
    }
}

/// Whether the counter is saved over a restart: those that limit guessing are.
const fn is_kept(scope: Scope) -> bool {
    match scope {
        Scope::AccountFromNetwork
        | Scope::AccountFromSite
        | Scope::Account
        | Scope::Network
        | Scope::Site
        | Scope::Session
        | Scope::User => true,
        Scope::Successes | Scope::Reports | Scope::AllReports | Scope::Rotations => false,
    }
}

/// The IPv4 address, or the IPv6 /64, which usually belongs to one person.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        v4 => v4,
    }
}

/// The IPv6 /48, which may belong to one customer of a provider. `None` for an IPv4 address.
fn site(address: IpAddr) -> Option<Ipv6Addr> {
    match address.to_canonical() {
        IpAddr::V6(v6) => Some(Ipv6Addr::from_bits(v6.to_bits() >> 80 << 80)),
        IpAddr::V4(_) => None,
    }
}

/// The clock of the product as a clock of governor, so that tests that move one move the other.
#[derive(Clone)]
pub(in crate::ops) struct Ticks(Clock);

impl Ticks {
    pub(in crate::ops) fn new(clock: &Clock) -> Self {
        Self(clock.clone())
    }

    /// The refusal of an attempt that may be repeated after `wait`, rounded up to whole seconds and at least one.
    pub(in crate::ops) fn throttled(&self, wait: Duration, limit: u32) -> Throttled {
        let retry_after = whole_seconds(wait).max(Duration::from_secs(1));
        Throttled { retry_after, resets_at: self.at(retry_after), limit }
    }

    /// The time after `wait`.
    pub(in crate::ops) fn at(&self, wait: Duration) -> Timestamp {
        self.0.now().plus(wait)
    }

    pub(in crate::ops) fn uptime(&self) -> Duration {
        self.0.uptime()
    }
}

impl GovernorClock for Ticks {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::from(u64::try_from(self.0.uptime().as_nanos()).unwrap_or(u64::MAX))
    }
}

/// The duration in whole seconds, rounded up.
fn whole_seconds(duration: Duration) -> Duration {
    Duration::from_secs(duration.as_secs() + u64::from(duration.subsec_nanos() > 0))
}

#[cfg(test)]
mod tests;
