//! Rate limits of tokens: N uses at once, and one more after each Nth of a minute.
//!
//! A server that has the database for itself counts in its memory. Servers that share it take *permits* from it, a few at
//! a time, and spend them from memory. So all of them together allow what the limit allows, except for the permits that each still
//! holds: it may spend them later, when the limit is available again to the others.

use std::{
    num::NonZeroU32,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use governor::{
    Quota, RateLimiter,
    clock::Clock as _,
    middleware::StateInformationMiddleware,
    state::{InMemoryState, NotKeyed},
};

use super::throttle::Ticks;
use crate::{
    domain::{id::TokenId, time::Timestamp, usage_limits::permits_at_once},
    ops::{
        clock::Clock,
        error::Error,
        rejection::{Rejection, Throttled},
    },
    store::{SharedCounters, Store, StoreError},
};

/// What is left of a rate limit at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateState {
    /// How many uses at once are allowed at rest.
    pub limit: u32,
    /// How many of them are left.
    pub remaining: u32,
    /// When all of them are available again if the token is not used before.
    pub resets_at: Timestamp,
}

/// The rate limit of one family.
pub(super) enum TokenRate {
    Own(OwnRate),
    Shared(SharedRate),
}

impl TokenRate {
    /// `None` if the limit is 0, which no token has.
    pub(super) fn new(store: &dyn Store, per_minute: u32, clock: &Clock) -> Option<Self> {
        let per_minute = NonZeroU32::new(per_minute)?;
        Some(match store.shared_counters() {
            None => Self::Own(OwnRate::new(per_minute, clock)),
            Some(_) => Self::Shared(SharedRate::new(per_minute.get(), clock)),
        })
    }

    /// Counts one use, or rejects it.
    pub(super) async fn spend(&self, store: &dyn Store, family: TokenId) -> Result<RateState, Error> {
        match (self, store.shared_counters()) {
            (Self::Own(rate), _) => Ok(rate.spend().map_err(Rejection::RateLimited)?),
            (Self::Shared(rate), Some(counters)) => rate.spend(counters, family).await,
            (Self::Shared(_), None) => Err(Error::Internal("the counters are no longer shared".to_owned())),
        }
    }
}

/// The rate limit of a server that has the database for itself.
pub(super) struct OwnRate {
    limiter: RateLimiter<NotKeyed, InMemoryState, Ticks, StateInformationMiddleware>,
    clock: Ticks,
    limit: u32,
}

impl OwnRate {
    fn new(per_minute: NonZeroU32, clock: &Clock) -> Self {
        let clock = Ticks::new(clock);
        let limiter = RateLimiter::direct_with_clock(Quota::per_minute(per_minute), clock.clone());
        Self { limiter: limiter.with_middleware(), clock, limit: per_minute.get() }
    }

    fn spend(&self) -> Result<RateState, Throttled> {
        match self.limiter.check() {
            Ok(state) => {
                let (limit, remaining) = (self.limit, state.remaining_burst_capacity());
                Ok(RateState { limit, remaining, resets_at: self.clock.at(full_in(limit, remaining)) })
            }
            Err(not_until) => Err(self.clock.throttled(not_until.wait_time_from(self.clock.now()), self.limit)),
        }
    }
}

/// How long a server waits before it asks again for permits, after it got fewer than it wanted. So a client that is always at its
/// limit costs a write a second.
const PAUSE: Duration = Duration::from_secs(1);

/// The rate limit of a server that shares the database.
pub(super) struct SharedRate {
    limit: u32,
    clock: Ticks,
    /// Permits that are taken and not spent.
    left: AtomicU32,
    /// Locked while more are taken.
    questions: tokio::sync::Mutex<Questions>,
    answer: Mutex<Answer>,
}

/// When to ask the database.
#[derive(Default)]
struct Questions {
    /// The uptime before which it is not asked.
    not_before: Duration,
    /// The last one that failed. Who waited for it does not ask again: in an outage, one would wait for the other.
    failed: Option<(Instant, StoreError)>,
}

/// What the database said last.
#[derive(Clone, Copy, Default)]
struct Answer {
    /// In uptime.
    at: Duration,
    rests_in: Duration,
}

impl SharedRate {
    fn new(limit: u32, clock: &Clock) -> Self {
        Self {
            limit,
            clock: Ticks::new(clock),
            left: AtomicU32::new(0),
            questions: tokio::sync::Mutex::default(),
            answer: Mutex::default(),
        }
    }

    async fn spend(&self, counters: &dyn SharedCounters, family: TokenId) -> Result<RateState, Error> {
        if self.take() {
            return Ok(self.state());
        }
        let waiting_since = Instant::now();
        let mut questions = self.questions.lock().await;
        // The previous holder of the lock may have taken more.
        if self.take() {
            return Ok(self.state());
        }
        if let Some((_, error)) = questions.failed.as_ref().filter(|(at, _)| *at > waiting_since) {
            return Err(error.clone().into());
        }
        if let Some(wait) = questions.not_before.checked_sub(self.clock.uptime()).filter(|wait| !wait.is_zero()) {
            return Err(self.refusal(wait).into());
        }
        let permits = match counters.take_permits(family, self.limit).await {
            Ok(permits) => permits,
            Err(error) => {
                questions.failed = Some((Instant::now(), error.clone()));
                return Err(error.into());
            }
        };
        let now = self.clock.uptime();
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = Answer { at: now, rests_in: permits.rests_in };
        if permits.count < permits_at_once(self.limit) {
            questions.not_before = now + PAUSE;
        }
        if let Some(left) = permits.count.checked_sub(1) {
            self.left.fetch_add(left, Ordering::AcqRel);
            return Ok(self.state());
        }
        // Until the next part of a minute is over.
        let wait = (permits.rests_in + MINUTE / self.limit).saturating_sub(MINUTE).max(PAUSE);
        questions.not_before = now + wait;
        Err(self.refusal(wait).into())
    }

    fn take(&self) -> bool {
        self.left.try_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(1)).is_ok()
    }

    /// What this server holds, and what the others had left when the database was last asked.
    fn state(&self) -> RateState {
        let answer = *self.answer.lock().unwrap_or_else(PoisonError::into_inner);
        let elapsed = self.clock.uptime().saturating_sub(answer.at);
        let free = MINUTE.saturating_sub(answer.rests_in.saturating_sub(elapsed));
        let available = free.as_micros() * u128::from(self.limit) / MINUTE.as_micros();
        let held = self.left.load(Ordering::Acquire);
        let remaining = u32::try_from(available).unwrap_or(u32::MAX).saturating_add(held).min(self.limit);
        RateState { limit: self.limit, remaining, resets_at: self.clock.at(full_in(self.limit, remaining)) }
    }

    fn refusal(&self, wait: Duration) -> Rejection {
        Rejection::RateLimited(self.clock.throttled(wait, self.limit))
    }
}

const MINUTE: Duration = Duration::from_secs(60);

/// After how long all of a limit is available of which this much is left.
fn full_in(limit: u32, remaining: u32) -> Duration {
    Duration::from_secs((u64::from(limit - remaining) * 60).div_ceil(limit.into()))
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicUsize},
    };

    use futures_util::{FutureExt, future::join_all};

    use super::*;
    use crate::{
        domain::attempts::{AttemptRate, CounterKey, CountersOf},
        store::{AttemptAnswer, Counted, Permits, Reply},
    };

    /// A database in which this many permits are left, and none comes back.
    #[derive(Default)]
    struct Fake {
        left: AtomicU32,
        questions: AtomicUsize,
        is_down: AtomicBool,
    }

    impl SharedCounters for Fake {
        fn take_permits(&self, _family: TokenId, per_minute: u32) -> Reply<'_, Permits> {
            self.questions.fetch_add(1, Ordering::SeqCst);
            if self.is_down.load(Ordering::SeqCst) {
                return Reply::Pending(Box::pin(async {
                    tokio::task::yield_now().await;
                    Err(StoreError::Unavailable("on purpose".into()))
                }));
            }
            let count = permits_at_once(per_minute).min(self.left.load(Ordering::SeqCst));
            let left = self.left.fetch_sub(count, Ordering::SeqCst) - count;
            let taken = per_minute.saturating_sub(left);
            Reply::ready(Ok(Permits { count, rests_in: MINUTE / per_minute * taken }))
        }

        fn count_attempt(&self, _counters: Vec<(CounterKey, AttemptRate)>) -> Reply<'_, AttemptAnswer> {
            unreachable!()
        }

        fn take_back(&self, _counted: Vec<Counted>) -> Reply<'_, ()> {
            unreachable!()
        }

        fn held_attempts(&self, _wanted: Vec<CountersOf>) -> Reply<'_, Vec<(CounterKey, Duration)>> {
            unreachable!()
        }

        fn delete_rested_counters(&self) -> Reply<'_, ()> {
            unreachable!()
        }
    }

    struct Rig {
        fake: Fake,
        rate: SharedRate,
        uptime: Arc<AtomicI64>,
    }

    impl Rig {
        /// 60 a minute, so three at once.
        fn new(left: u32) -> Self {
            let uptime = Arc::new(AtomicI64::new(1_700_000_000));
            let read = Arc::clone(&uptime);
            let clock = Clock::new(move || Timestamp::from_unix(read.load(Ordering::SeqCst)));
            let fake = Fake { left: AtomicU32::new(left), ..Fake::default() };
            Self { fake, rate: SharedRate::new(60, &clock), uptime }
        }

        async fn spend(&self) -> Result<u32, Error> {
            let family = TokenId::new(uuid::Uuid::nil());
            self.rate.spend(&self.fake, family).await.map(|state| state.remaining)
        }

        fn spend_now(&self) -> Result<u32, Error> {
            self.spend().now_or_never().expect("an answer at once")
        }

        fn questions(&self) -> usize {
            self.fake.questions.load(Ordering::SeqCst)
        }

        fn wait(&self, seconds: i64) {
            self.uptime.fetch_add(seconds, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_block_is_spent_from_memory_and_what_remains_is_shown() {
        let rig = Rig::new(60);
        for used in 1..=60 {
            assert_eq!(rig.spend_now().ok(), Some(60 - used));
        }
        assert_eq!(rig.questions(), 20);
        let Err(Error::Rejected(Rejection::RateLimited(throttled))) = rig.spend_now() else { panic!("accepted") };
        assert_eq!((throttled.limit, throttled.retry_after), (60, Duration::from_secs(1)));
    }

    #[test]
    fn the_database_is_not_asked_again_before_the_client_may_try_again() {
        let rig = Rig::new(2);
        assert!(rig.spend_now().is_ok() && rig.spend_now().is_ok());
        for _ in 0..9 {
            assert!(rig.spend_now().is_err());
        }
        assert_eq!(rig.questions(), 1, "it got less than a block");
        rig.wait(1);
        assert!(rig.spend_now().is_err() && rig.spend_now().is_err());
        assert_eq!(rig.questions(), 2);
        rig.fake.left.store(1, Ordering::SeqCst);
        rig.wait(1);
        assert!(rig.spend_now().is_ok() && rig.spend_now().is_err());
    }

    #[tokio::test]
    async fn an_outage_decides_nothing_and_those_who_wait_together_fail_together() {
        let rig = Rig::new(60);
        rig.fake.is_down.store(true, Ordering::SeqCst);
        let outcomes = join_all((0..50).map(|_| rig.spend())).await;
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Err(Error::Store(_)))), "{outcomes:?}");
        assert_eq!(rig.questions(), 1);
        rig.fake.is_down.store(false, Ordering::SeqCst);
        assert_eq!(rig.spend().await.ok(), Some(59));
    }
}
