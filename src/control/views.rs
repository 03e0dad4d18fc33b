//! The items of the answers: JSON for programs, and what a command prints for people.

use serde::{Deserialize, Serialize};

use crate::{
    domain::{
        account::User,
        time::Timestamp,
        token::{IssuedToken, Token},
        usage_limits::UsageLimits,
    },
    ops::inventory::ListedToken,
    store::Successors,
};

/// A user.
#[derive(Debug, Serialize, Deserialize)]
pub struct UserView {
    /// The identifier.
    pub id: String,
    /// What the person is called.
    pub name: String,
    /// The address.
    pub email: String,
    /// The environment that they work in.
    pub current_environment_id: String,
    /// When they were made.
    pub created_at: String,
    /// Since when they are disabled.
    pub disabled_at: Option<String>,
}

impl From<User> for UserView {
    fn from(user: User) -> Self {
        Self {
            id: user.id.to_string(),
            name: user.name.to_string(),
            email: user.email.to_string(),
            current_environment_id: user.current_environment.to_string(),
            created_at: user.created_at.to_string(),
            disabled_at: user.disabled_at.map(|at| at.to_string()),
        }
    }
}

/// What the API shows of the limits of a token. A limit that it does not have is not shown.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct LimitsView {
    #[serde(skip_serializing_if = "Option::is_none")]
    ip_allowlist: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requests_per_minute: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quota: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quota_remaining: Option<u32>,
}

impl LimitsView {
    fn new(limits: Option<&UsageLimits>, quota_remaining: Option<u32>) -> Self {
        let Some(limits) = limits else { return Self::default() };
        let networks = limits.allowlist.networks();
        Self {
            ip_allowlist: (!networks.is_empty()).then(|| networks.iter().map(ToString::to_string).collect()),
            requests_per_minute: limits.requests_per_minute,
            quota: limits.quota,
            quota_remaining,
        }
    }
}

/// A token that was just made, and whose it is.
#[derive(Debug, Serialize, Deserialize)]
pub struct IssuedView {
    /// Its owner's address.
    pub user_email: String,
    /// The token.
    pub issued: IssuedTokenView,
}

/// What the API answers to the same request, but for the `N|` of the token.
#[derive(Serialize, Deserialize)]
pub struct IssuedTokenView {
    /// The identifier.
    pub id: String,
    name: String,
    abilities: Vec<String>,
    /// The secret.
    pub token: String,
    created_at: String,
    expires_at: Option<String>,
    hint: String,
    #[serde(flatten)]
    limits: LimitsView,
}

impl std::fmt::Debug for IssuedTokenView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "IssuedTokenView({})", self.id)
    }
}

impl From<IssuedToken> for IssuedTokenView {
    fn from(IssuedToken { token, plaintext, quota_left }: IssuedToken) -> Self {
        Self {
            limits: LimitsView::new(token.limits.as_deref(), quota_left),
            id: token.id.to_string(),
            name: token.name.to_string(),
            abilities: token.abilities.iter().map(ToString::to_string).collect(),
            token: plaintext.expose_unnumbered().to_owned(),
            created_at: token.created_at.to_string(),
            expires_at: token.expires_at.map(|at| at.to_string()),
            hint: token.hint.to_string(),
        }
    }
}

/// A row of the API's list, with whose it is.
#[derive(Debug, Serialize, Deserialize)]
pub struct TokenView {
    /// The identifier.
    pub id: String,
    /// Its owner; of an environment's token, the environment's.
    pub user_id: String,
    /// The owner's address.
    pub user_email: String,
    /// The environment that it stands for; null of a personal one.
    pub environment_id: Option<String>,
    /// What it is called.
    pub name: String,
    /// What it may do.
    pub abilities: Vec<String>,
    /// `active`, `expired`, `revoked` or `disabled`.
    pub state: String,
    /// When it was last used.
    pub last_used_at: Option<String>,
    /// When it was made.
    pub created_at: String,
    /// When it ends.
    pub expires_at: Option<String>,
    /// Since when it is disabled.
    pub disabled_at: Option<String>,
    /// Since when it is revoked.
    pub revoked_at: Option<String>,
    /// Why it is revoked.
    pub revoked_reason: Option<String>,
    /// The last four characters of its secret.
    pub hint: String,
    /// The token that it was made to replace.
    pub rotated_from: Option<String>,
    /// Its latest successor.
    pub rotated_to: Option<String>,
    #[serde(flatten)]
    limits: LimitsView,
}

impl TokenView {
    pub(super) fn new(listed: ListedToken, now: Timestamp) -> Self {
        let ListedToken { token, owner, quota_left, successor } = listed;
        let state = match token {
            Token { revoked: Some(_), .. } => "revoked",
            Token { expires_at: Some(end), .. } if now >= end => "expired",
            Token { disabled_at: Some(_), .. } => "disabled",
            _ => "active",
        };
        Self {
            limits: LimitsView::new(token.limits.as_deref(), quota_left),
            id: token.id.to_string(),
            user_id: token.owner.to_string(),
            user_email: owner.to_string(),
            environment_id: token.environment.map(|id| id.to_string()),
            name: token.name.to_string(),
            abilities: token.abilities.iter().map(ToString::to_string).collect(),
            state: state.to_owned(),
            last_used_at: token.last_used_at.map(|at| at.to_string()),
            created_at: token.created_at.to_string(),
            expires_at: token.expires_at.map(|at| at.to_string()),
            disabled_at: token.disabled_at.map(|at| at.to_string()),
            revoked_at: token.revoked.map(|revocation| revocation.at.to_string()),
            revoked_reason: token.revoked.map(|revocation| revocation.reason.as_str().to_owned()),
            hint: token.hint.to_string(),
            rotated_from: token.rotated_from.map(|id| id.to_string()),
            rotated_to: successor.map(|id| id.to_string()),
        }
    }
}

/// A token that something was done to.
#[derive(Debug, Serialize, Deserialize)]
pub struct ChangedTokenView {
    /// The identifier.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// The successors that it made by itself, to which the same was done.
    pub with_successors: Vec<String>,
    /// A good successor that its owner made, to which nothing was done.
    pub unchanged_successor: Option<String>,
}

impl ChangedTokenView {
    pub(super) fn new(token: Token, successors: &Successors) -> Self {
        Self {
            id: token.id.to_string(),
            name: token.name.to_string(),
            with_successors: successors.changed.iter().map(ToString::to_string).collect(),
            unchanged_successor: successors.unchanged.map(|id| id.to_string()),
        }
    }
}

/// How many tokens were revoked.
#[derive(Debug, Serialize, Deserialize)]
pub struct RevokedView {
    /// Of the user with this address; `None` is of the environment that was named.
    pub user_email: Option<String>,
    /// How many.
    pub revoked: u64,
    /// How many tokens of environments of that user are good as before.
    pub left: u64,
}

/// What became of a credential that was judged.
#[derive(Debug, Serialize, Deserialize)]
pub struct JudgedView {
    /// Whose it is, if it is accepted: an address, or `environment ID`.
    pub who: Option<String>,
    /// The same as a user's identifier.
    pub user_id: Option<String>,
    /// The identifier of the token or session.
    pub token_id: Option<String>,
    /// Whether it passes.
    pub verdict: Verdict,
}

/// Whether a credential passes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It does.
    Passes,
    /// It is bound to addresses, and none was given.
    AddressMissing,
    /// It is not accepted, for this reason.
    Denied(String),
    /// It lacks these abilities.
    Lacks(Vec<String>),
    /// It is of another kind.
    WrongKind,
}
