//! The items of answers that only the command line gets.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::{
    domain::{owner::Owner, time::Timestamp, token::Token},
    ops::inventory::ListedToken,
    store::Successors,
    views::{
        DayView, EventView, IssuedTokenView, TokenReportView, TokenUsageView, TokenView, UnusedRuleView, token_state,
    },
};

/// A new token and its owner.
#[derive(Debug, Serialize, Deserialize)]
pub struct IssuedView {
    /// The owner's address, or the name of a service account.
    pub owner: String,
    /// The token.
    pub issued: IssuedTokenView,
}

/// A token of a list, with its owner and its state.
#[derive(Debug, Serialize, Deserialize)]
pub struct ListedTokenView {
    /// The fields that the API shows.
    #[serde(flatten)]
    pub token: TokenView,
    /// The owner. For an environment token, the owner of the environment.
    pub user_id: String,
    /// The owner's address. `None` for a service account.
    pub user_email: Option<String>,
    /// The name of the service account that owns it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account: Option<String>,
    /// The environment of an environment token.
    pub environment_id: Option<String>,
    /// `active`, `expired`, `revoked` or `disabled`.
    pub state: Cow<'static, str>,
}

impl ListedTokenView {
    pub(super) fn new(listed: ListedToken, now: Timestamp) -> Self {
        let ListedToken { token, owner, quota_left, successor } = listed;
        let state = token_state(token.revoked, token.expires_at, token.disabled_at, now);
        let (user_email, service_account) = match owner {
            Owner::User(user) => (Some(user.email.to_string()), None),
            Owner::ServiceAccount(account) => (None, Some(account.name.to_string())),
        };
        Self {
            user_id: token.owner.to_string(),
            user_email,
            service_account,
            environment_id: token.environment.map(|id| id.to_string()),
            state: state.into(),
            token: TokenView::new(token, quota_left, successor),
        }
    }
}

impl ListedTokenView {
    /// What the owner is called: an address, or the name of a service account.
    pub fn owner(&self) -> &str {
        self.user_email.as_deref().or(self.service_account.as_deref()).unwrap_or_default()
    }
}

/// A token that was revoked, disabled or enabled.
#[derive(Debug, Serialize, Deserialize)]
pub struct ChangedTokenView {
    /// The id.
    pub id: String,
    /// The name.
    pub name: String,
    /// The successors that it made by itself. They were changed in the same way.
    pub with_successors: Vec<String>,
    /// A valid successor that the owner made. It was not changed.
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

/// How many things a change affected.
#[derive(Debug, Serialize, Deserialize)]
pub struct CountView {
    /// The address of the user.
    pub user_email: String,
    /// How many.
    pub count: u64,
}

/// How many tokens were revoked.
#[derive(Debug, Serialize, Deserialize)]
pub struct RevokedView {
    /// The address of the user. `None` if the tokens of an environment were revoked.
    pub user_email: Option<String>,
    /// How many tokens were revoked.
    pub revoked: u64,
    /// How many environment tokens of the user are still valid. `None` if they could not be counted in time.
    pub left: Option<u64>,
}

/// What a revocation by a filter revoked, or would revoke.
#[derive(Debug, Serialize, Deserialize)]
pub struct RevokedMatchingView {
    /// How many tokens the filter found that were neither revoked nor expired.
    pub matching: u64,
    /// How many other tokens end with them: successors that they made by themselves.
    pub successors: u64,
    /// How many tokens were revoked.
    pub revoked: u64,
    /// The ids of all of these tokens, at most a thousand.
    pub ids: Vec<String>,
}

/// The result of checking a credential.
#[derive(Debug, Serialize, Deserialize)]
pub struct JudgedView {
    /// The principal, if the credential is accepted: the user's address, or `environment ID`.
    pub who: Option<String>,
    /// The id of the user.
    pub user_id: Option<String>,
    /// The id of the token or session.
    pub token_id: Option<String>,
    /// Whether the request is allowed.
    pub verdict: Verdict,
}

/// Whether a request with the credential is allowed.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is.
    Passes,
    /// The token has an allowlist, and no address was given.
    AddressMissing,
    /// The credential is not accepted for this reason.
    Denied(String),
    /// The credential lacks these abilities.
    Lacks(Vec<String>),
    /// The rule does not accept this kind of credential.
    WrongKind,
}

/// A part of what a token did: a line for each day, so that no line is long.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UsageItem {
    /// All but the days. The first item.
    Summary(TokenUsageView),
    /// A day. The latest one comes first.
    Day(DayView),
}

/// A part of a report about a token: lists are sent one item a line, so that no line is long.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportItem {
    /// All but the following. The first item.
    Summary(Box<TokenReportView>),
    /// A day of its usage. The latest one comes first.
    Day(DayView),
    /// A rule that it satisfies and has not used.
    UnusedRule(UnusedRuleView),
    /// An event. The latest one comes first.
    Event(EventView),
}
