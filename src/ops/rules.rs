//! The settings that operations apply.

use std::time::Duration;

use crate::{
    config::{self, Config},
    domain::{ability::Ability, policy::Policy, secret::Prefixes, time::Timestamp, token::Token},
};

/// The settings of accounts, sessions, tokens and policies.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The prefix of each kind of credential.
    pub prefixes: Prefixes,
    /// Whether anyone may register an account over the API.
    pub registration: bool,
    /// Whether users may change their own e-mail address.
    pub email_change: bool,
    /// How long a link lasts with which a user sets a password.
    pub invitation_lifetime: Duration,
    /// How long a session lasts, even if it is used.
    pub session_lifetime: Duration,
    /// How long a session lasts without use.
    pub session_idle_lifetime: Duration,
    /// How many live tokens a user or an environment may have.
    pub max_tokens_per_user: u32,
    /// Whether a request for a token must name its abilities.
    pub require_abilities: bool,
    /// How long tokens last.
    pub token_lifetimes: Lifetimes,
    /// How long audit events are kept. `None` keeps all.
    pub prune_events_after: Option<Duration>,
    /// How tokens are rotated.
    pub rotation: config::Rotation,
    /// The abilities that can be granted in addition to the server abilities. If it is empty, any can.
    pub catalogue: Vec<Ability>,
    /// The policies for forwarded requests.
    pub policies: Vec<Policy>,
}

impl Rules {
    /// `policies` are those of `config`, each with the number by which its uses are counted.
    pub(super) fn new(config: &Config, policies: Vec<Policy>) -> Self {
        Self {
            prefixes: config.prefixes(),
            registration: config.accounts.registration,
            email_change: config.accounts.email_change,
            invitation_lifetime: config.accounts.invitation_lifetime,
            session_lifetime: config.sessions.lifetime,
            session_idle_lifetime: config.sessions.idle_lifetime,
            max_tokens_per_user: config.tokens.max_per_user,
            require_abilities: config.tokens.require_abilities,
            token_lifetimes: Lifetimes::new(&config.tokens),
            prune_events_after: config.audit.prune_after,
            rotation: config.rotation.clone(),
            catalogue: config.tokens.abilities.clone(),
            policies,
        }
    }
}

/// How long tokens last.
#[derive(Clone, Copy, Debug)]
pub struct Lifetimes {
    /// If the request names no expiry. `None` means that the token does not expire.
    pub default: Option<Duration>,
    /// The longest that can be requested. `None` means no limit.
    pub max: Option<Duration>,
    /// Whether tokens without an expiry can be requested.
    pub allow_endless: bool,
    /// Without use. `None` means no limit.
    pub idle: Option<Duration>,
    /// How long ended tokens are kept. `None` keeps all.
    pub prune_after: Option<Duration>,
}

impl Lifetimes {
    const fn new(config: &config::Tokens) -> Self {
        Self {
            default: config.default_lifetime,
            max: config.max_lifetime,
            allow_endless: config.allow_endless,
            idle: config.idle_lifetime,
            prune_after: config.prune_after,
        }
    }

    /// When `token` ends: at its expiry or when it becomes idle, whichever is first.
    pub(super) fn end_of(&self, token: &Token) -> Option<Timestamp> {
        let idle_at = self.idle.map(|idle| token.last_used_at.unwrap_or(token.created_at).plus(idle));
        token.expires_at.into_iter().chain(idle_at).min()
    }

    /// A token is idle at `now` if it was last used at this time or before.
    pub(super) fn idle_since(&self, now: Timestamp) -> Option<Timestamp> {
        self.idle.map(|idle| now.minus(idle))
    }
}
