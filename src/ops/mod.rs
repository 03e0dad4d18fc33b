//! What the product decides. HTTP and the command line both call these operations; neither decides anything itself.
//!
//! An operation takes domain values, asks the store, and answers a domain value or an [`Error`]. Status codes and
//! printed tables are no business of this layer.

pub mod accounts;
pub mod audit;
pub mod authorization;
pub mod clock;
mod cursor;
pub mod endings;
pub mod environment_tokens;
pub mod environments;
pub mod expiry;
pub mod inventory;
pub mod passwords;
pub mod principal;
pub mod profile;
mod pruning;
mod reuse;
pub mod revocation;
pub mod rotation;
pub mod sessions;
pub mod throttle;
pub mod tokens;
pub mod usage_limits;
pub mod use_locations;
pub mod uses;
pub mod verification;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use authorization::PolicyRejection;
use clock::Clock;
use endings::{Endings, RequestStart};
use expiry::Lifetimes;
use passwords::Passwords;
use pruning::Pruning;
use reuse::ReuseQueue;
use rotation::Rotations;
use throttle::{Throttle, Throttled};
use usage_limits::Meters;
use use_locations::Locations;
use uses::UseRecorder;
use verification::Rejection;

use crate::{
    config::{self, Config},
    domain::{
        ability::Ability,
        audit::{Attribution, RequestSource},
        id::TokenId,
        policy::Policy,
        secret::{CredentialKind, Prefixes},
    },
    store::{Backend, Conflict, Credentials, Store, StoreError},
};

/// Everything that operations work with. One a process.
pub struct Context {
    /// The storage of users, sessions, environments and tokens.
    pub store: Arc<dyn Store>,
    /// The look-ups of credentials by their secret.
    pub credentials: Arc<dyn Credentials>,
    /// The one clock by which everything is judged.
    pub clock: Clock,
    /// The rules of the configuration that operations apply.
    pub rules: Rules,
    passwords: Passwords,
    throttle: Throttle,
    uses: UseRecorder,
    rotations: Rotations,
    endings: Arc<Endings>,
    reuses: ReuseQueue,
    pruning: Pruning,
    meters: Meters,
    origins: Locations,
    /// When it was last looked which parameters stored hashes have, in uptime.
    dummies_refreshed_at: Mutex<Duration>,
}

/// Of how many users it is looked which parameters their hashes have: about 15 ms of a connection for lists.
const HASH_SAMPLE: u32 = 5000;

/// How often that is looked again. Until then, an unknown account may take as long as known ones did before.
const REFRESH_DUMMIES_EVERY: Duration = Duration::from_secs(600);

/// What the configuration says about accounts, sessions and tokens.
#[derive(Clone, Debug)]
pub struct Rules {
    /// How the kinds of credential begin.
    pub prefixes: Prefixes,
    /// Whether anybody may make an account over the API.
    pub registration: bool,
    /// Whether a person may change their own address.
    pub email_change: bool,
    /// How long a session lasts, however much it is used.
    pub session_lifetime: Duration,
    /// How long a session lasts without being used.
    pub session_idle_lifetime: Duration,
    /// The most live tokens of a user, and of an environment.
    pub max_tokens_per_user: u32,
    /// Whether the maker of a token must say what it may do.
    pub require_abilities: bool,
    /// When tokens end by themselves.
    pub token_lifetimes: Lifetimes,
    /// How long events of the audit trail are kept; `None` is for good.
    pub prune_events_after: Option<Duration>,
    /// How tokens are replaced.
    pub rotation: config::Rotation,
    /// The abilities that may be granted besides the server's own; empty is any.
    pub catalogue: Vec<Ability>,
    /// The policies by which proxies' questions are answered.
    pub policies: Vec<Policy>,
}

impl Context {
    /// Puts together what `config` says, over `backend` and `clock`.
    pub fn new(config: &Config, backend: Backend, clock: Clock) -> Result<Self, Error> {
        let mut key = [0; blake3::KEY_LEN];
        getrandom::fill(&mut key)?;
        Ok(Self {
            passwords: Passwords::new(&config.passwords, &key)?,
            throttle: Throttle::new(&config.throttle, &clock, key),
            dummies_refreshed_at: Mutex::default(),
            uses: UseRecorder::default(),
            rotations: Rotations::default(),
            endings: Arc::default(),
            reuses: ReuseQueue::default(),
            pruning: Pruning::new(&clock),
            meters: Meters::new(&clock),
            origins: Locations::default(),
            rules: Rules {
                prefixes: config.prefixes(),
                registration: config.accounts.registration,
                email_change: config.accounts.email_change,
                session_lifetime: config.sessions.lifetime,
                session_idle_lifetime: config.sessions.idle_lifetime,
                max_tokens_per_user: config.tokens.max_per_user,
                require_abilities: config.tokens.require_abilities,
                token_lifetimes: Lifetimes::new(&config.tokens),
                prune_events_after: config.audit.prune_after,
                rotation: config.rotation.clone(),
                catalogue: config.tokens.abilities.clone(),
                policies: config.policies.clone(),
            },
            store: backend.store,
            credentials: backend.credentials,
            clock,
        })
    }

    /// What a server does before it answers anybody: makes the threads that it needs, and takes up what is remembered of
    /// attempts. A command does without.
    pub async fn start(&self) -> Result<(), Error> {
        self.passwords.start()?;
        let remembered = self.store.saved_attempts().await?;
        self.passwords.use_key(&remembered.key);
        self.throttle.restore(remembered);
        Ok(self.refresh_dummy_parameters().await?)
    }

    async fn refresh_dummy_parameters(&self) -> Result<(), StoreError> {
        self.passwords.learn(&self.store.hash_parameters(HASH_SAMPLE).await?);
        *self.dummies_refreshed_at.lock().unwrap_or_else(PoisonError::into_inner) = self.clock.uptime();
        Ok(())
    }

    /// The moment now, for [`verification::Caller::since`].
    pub fn moment(&self) -> RequestStart {
        self.endings.now()
    }

    /// By whom and when: now.
    fn by(&self, origin: RequestSource) -> Attribution {
        Attribution { origin, at: self.clock.now() }
    }

    /// The housekeeping that is due every minute or so: forgets throttle keys and meters at rest, writes what a failing
    /// store did not take, deletes some of what ended long ago. A failure is for the log; the next turn tries again and
    /// nothing is lost but what a token may still do of its quota.
    pub async fn run_maintenance(&self) -> Result<(), StoreError> {
        self.throttle.forget_rested();
        let forgotten = self.store.delete_rested_attempts(self.clock.now()).await.map(drop);
        let seen_at = *self.dummies_refreshed_at.lock().unwrap_or_else(PoisonError::into_inner);
        let looked = match self.clock.uptime().saturating_sub(seen_at) >= REFRESH_DUMMIES_EVERY {
            true => self.refresh_dummy_parameters().await,
            false => Ok(()),
        };
        let given_back = self.meters.forget_rested(&*self.store).await;
        let first_uses = rotation::write_first_uses(self).await;
        pruning::prune(self).await.and(first_uses).and(given_back).and(forgotten).and(looked)
    }

    /// Has the store remember what was counted of attempts lately; due every few seconds. What fails is tried again.
    pub async fn save_attempts(&self) -> Result<(), StoreError> {
        self.throttle.save_all(&*self.store).await
    }

    /// Notes which secrets were seen after rotation had ended them, and ends their families where the configuration says
    /// so; due a moment later. What fails stays noted here.
    pub async fn flush_reuse(&self) -> Result<(), StoreError> {
        reuse::flush(self).await
    }

    /// Notes all uses that are not on disk yet there, and gives back what was taken of quotas and not used; due at
    /// shutdown.
    pub async fn flush_uses(&self) -> Result<(), StoreError> {
        let given_back = self.meters.give_back_all(&*self.store).await;
        let noted = self.uses.flush(&*self.store).await;
        let first_uses = rotation::write_first_uses(self).await;
        self.origins.flush(&*self.store).await.and(noted).and(first_uses).and(given_back)
    }

    /// Gives back what was taken of quotas and not used; due where uses are not noted.
    pub async fn give_back_leases(&self) -> Result<(), StoreError> {
        self.meters.give_back_all(&*self.store).await
    }

    /// Notes some of the uses on disk; after [`uses::TURNS`] times, all that were due at the first are.
    pub async fn flush_some_uses(&self) -> Result<(), StoreError> {
        self.uses.flush_some(&*self.store, self.clock.now()).await?;
        self.origins.flush_some(&*self.store).await
    }
}

/// Why an operation did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The credential is not accepted. Outside, all the reasons look the same.
    #[error("denied: {0}")]
    Rejected(#[from] Rejection),
    /// The e-mail address and the password do not sign anybody in.
    #[error("sign-in refused")]
    SignInRefused,
    /// The right person, but only a session may do this.
    #[error("a session is required")]
    SessionRequired,
    /// Only a personal access token replaces itself; this is something else.
    #[error("a {} does not replace itself", .0.as_str())]
    NotSelfRotating(CredentialKind),
    /// The right person, but the token lacks an ability. These are needed, all of them.
    #[error("the token lacks an ability: {} needed", join(.0))]
    MissingAbility(Vec<Ability>),
    /// The policy lets nobody through, whatever their abilities.
    #[error("policy: {0}")]
    Policy(#[from] PolicyRejection),
    /// The right person, but their role in the environment does not include this.
    #[error("the role in the environment does not allow it")]
    RoleRequired,
    /// The token is not rotated, since it has a successor that stays: this one, where it is known.
    #[error("rotated already")]
    AlreadyRotated(Option<TokenId>),
    /// Nothing is revoked or disabled: rotation has ended the token, and this successor of it, which the owner made, is
    /// good.
    #[error("replaced by {0}")]
    Replaced(TokenId),
    /// There is no such thing, or it is somebody else's.
    #[error("not found")]
    NotFound,
    /// It cannot be done as things are.
    #[error("conflict: {0}")]
    Conflict(#[from] StateConflict),
    /// The server does not take registrations.
    #[error("registration is switched off")]
    RegistrationClosed,
    /// What was asked breaks rules; each is named.
    #[error("{}", list(.0))]
    Invalid(Vec<FieldError>),
    /// Too many attempts.
    #[error("too many attempts")]
    Throttled(Throttled),
    /// Too many passwords wait to be worked on; nothing was decided.
    #[error("too many passwords are being checked at once")]
    Busy,
    /// The system gives no more of this; nothing was decided.
    #[error("the system gives no more {0}")]
    Exhausted(&'static str),
    /// The store did not answer; nothing was decided.
    #[error(transparent)]
    Store(StoreError),
    /// The operating system gave no randomness, or a stored hash cannot be read.
    #[error("defect: {0}")]
    Internal(String),
}

/// Why something cannot be done as things are, though whoever asks may do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.code())]
pub enum StateConflict {
    /// A default environment stays as long as its owner's account.
    DefaultEnvironment,
    /// The token is past its expiry, and so would be what takes its place.
    TokenExpired,
    /// The account of the environment's owner is disabled, so that no token of it would be accepted.
    OwnerDisabled,
}

impl StateConflict {
    /// The word for it on the wire and in logs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::DefaultEnvironment => "default_environment",
            Self::TokenExpired => "token_expired",
            Self::OwnerDisabled => "owner_disabled",
        }
    }
}

/// A rule that a field breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// The field, as the API names it: `name`, `abilities.0`.
    pub field: String,
    /// A whole sentence: "The name field is required."
    pub message: String,
}

impl FieldError {
    /// A violation whose message is `The FIELD field PREDICATE`.
    pub fn new(field: impl Into<String>, predicate: impl std::fmt::Display) -> Self {
        let field = field.into();
        Self { message: format!("The {field} field {predicate}"), field }
    }
}

impl From<FieldError> for Error {
    fn from(violation: FieldError) -> Self {
        Self::Invalid(vec![violation])
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound => Self::NotFound,
            // What began with a good session is refused like what comes after its end.
            StoreError::Conflict(Conflict::SessionEnded) => Rejection::Unknown.into(),
            StoreError::Conflict(Conflict::RoleRequired) => Self::RoleRequired,
            StoreError::Conflict(Conflict::DefaultEnvironment) => StateConflict::DefaultEnvironment.into(),
            StoreError::Conflict(Conflict::TokenExpired) => StateConflict::TokenExpired.into(),
            StoreError::Conflict(Conflict::OwnerDisabled) => StateConflict::OwnerDisabled.into(),
            StoreError::Conflict(Conflict::AlreadyRotated(successor)) => Self::AlreadyRotated(successor),
            other => Self::Store(other),
        }
    }
}

impl From<getrandom::Error> for Error {
    fn from(error: getrandom::Error) -> Self {
        Self::Internal(format!("no randomness: {error}"))
    }
}

fn join(abilities: &[Ability]) -> String {
    abilities.iter().map(Ability::as_str).collect::<Vec<_>>().join(" ")
}

fn list(violations: &[FieldError]) -> String {
    let messages: Vec<&str> = violations.iter().map(|violation| &*violation.message).collect();
    messages.join(" ")
}
