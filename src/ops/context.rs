//! What operations work with.

use std::{
    sync::{Arc, Mutex, atomic::AtomicBool},
    time::Duration,
};

use uuid::Uuid;

use super::{
    clock::Clock,
    error::Error,
    pruning::Pruning,
    rules::Rules,
    state::{
        endings::{Endings, RequestStart},
        first_uses::PendingFirstUses,
        measurements::{Measurements, ThrottledAction},
        meters::Meters,
        passwords::Passwords,
        reuse_queue::ReuseQueue,
        throttle::Throttle,
        usage_counters::UsageCounters,
        use_locations::UseLocations,
        uses::UseRecorder,
    },
};
use crate::{
    config::Config,
    domain::audit::{Attribution, RequestSource},
    store::{Backend, Credentials, Store},
};

/// The store, the settings, the clock and the state in memory. Contexts of one process differ in their settings alone.
#[derive(Clone)]
pub struct Context {
    /// The store of users, sessions, environments and tokens.
    pub store: Arc<dyn Store>,
    /// Look-ups of credentials by their secret.
    pub credentials: Arc<dyn Credentials>,
    /// The clock for all decisions.
    pub clock: Clock,
    /// The settings that operations apply.
    pub rules: Rules,
    pub(super) passwords: Passwords,
    pub(super) throttle: Throttle,
    pub(super) uses: Arc<UseRecorder>,
    pub(super) use_locations: Arc<UseLocations>,
    pub(super) usage: Arc<UsageCounters>,
    pub(super) first_uses: Arc<PendingFirstUses>,
    pub(super) endings: Arc<Endings>,
    pub(super) reuses: Arc<ReuseQueue>,
    pub(super) meters: Arc<Meters>,
    /// What is counted for metrics.
    pub measurements: Arc<Measurements>,
    pub(super) pruning: Arc<Pruning>,
    /// The uptime at which the parameters of stored hashes were last read.
    pub(super) dummies_refreshed_at: Arc<Mutex<Duration>>,
    /// The uptime at which the time was last recorded in the store.
    pub(super) time_recorded_at: Arc<Mutex<Option<Duration>>>,
    /// Whether the files of the store may hold what deleted users left.
    pub(super) scrub_due: Arc<AtomicBool>,
}

impl Context {
    /// A context with the settings of `config`.
    pub fn new(config: &Config, backend: Backend, clock: Clock) -> Result<Self, Error> {
        let mut key = [0; blake3::KEY_LEN];
        getrandom::fill(&mut key)?;
        let mut process = [0; size_of::<Uuid>()];
        getrandom::fill(&mut process)?;
        let usage = UsageCounters::new(config.usage, Uuid::from_bytes(process), clock.now());
        Ok(Self {
            rules: Rules::new(config, usage.number(&config.policies)),
            passwords: Passwords::new(&config.passwords, &key)?,
            throttle: Throttle::new(&config.throttle, &clock, key),
            uses: Arc::default(),
            use_locations: Arc::default(),
            usage: Arc::new(usage),
            first_uses: Arc::default(),
            endings: Arc::default(),
            reuses: Arc::default(),
            meters: Arc::new(Meters::new(&clock)),
            measurements: Arc::default(),
            pruning: Arc::new(Pruning::new(&clock)),
            dummies_refreshed_at: Arc::default(),
            time_recorded_at: Arc::default(),
            scrub_due: Arc::default(),
            store: backend.store,
            credentials: backend.credentials,
            clock,
        })
    }

    /// The same context with other settings. Requests that use this one are not affected. What
    /// [`Config::reloaded`] does not change stays as it is.
    #[must_use]
    pub fn with_settings(&self, config: &Config) -> Self {
        Self {
            rules: Rules::new(config, self.usage.number(&config.policies)),
            passwords: self.passwords.with_min_length(config.passwords.min_length),
            throttle: self.throttle.with_limits(&config.throttle),
            ..self.clone()
        }
    }

    /// How many characters a new password must have.
    pub const fn min_password_length(&self) -> usize {
        self.passwords.min_length()
    }

    /// The present moment, for [`Caller::since`](super::caller::Caller::since).
    pub fn moment(&self) -> RequestStart {
        self.endings.now()
    }

    /// The attribution of a change that `source` makes now.
    pub(super) fn attribution(&self, source: RequestSource) -> Attribution {
        Attribution { origin: source, at: self.clock.recordable() }
    }

    /// The same for issuing something that carries a time, which needs a reliable clock.
    pub(super) fn attribution_to_issue(&self, source: RequestSource) -> Result<Attribution, Error> {
        self.expect_reliable_clock()?;
        Ok(self.attribution(source))
    }

    /// Counts an action that a limit refuses.
    pub(super) fn throttled(&self, action: ThrottledAction) -> impl FnOnce(&Error) + '_ {
        move |error| {
            if matches!(error, Error::Throttled(_)) {
                self.measurements.count_throttled(action);
            }
        }
    }

    /// [`Error::ClockUnreliable`] while the clock cannot be relied on.
    pub(super) fn expect_reliable_clock(&self) -> Result<(), Error> {
        self.clock.check().map_err(Error::ClockUnreliable)
    }
}
