//! The items of the answers that only the command line gets.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::{
    domain::{time::Timestamp, token::Token},
    ops::inventory::ListedToken,
    store::Successors,
    views::{IssuedTokenView, TokenView},
};

/// A new token and its owner.
#[derive(Debug, Serialize, Deserialize)]
pub struct IssuedView {
    /// Its owner's address.
    pub user_email: String,
    /// The token.
    pub issued: IssuedTokenView,
}

/// A token of a list, with its owner and its state.
#[derive(Debug, Serialize, Deserialize)]
pub struct ListedTokenView {
    /// What the API shows of it.
    #[serde(flatten)]
    pub token: TokenView,
    /// Its owner. For an environment token, the owner of the environment.
    pub user_id: String,
    /// The owner's address.
    pub user_email: String,
    /// The environment of an environment token.
    pub environment_id: Option<String>,
    /// `active`, `expired`, `revoked` or `disabled`.
    pub state: Cow<'static, str>,
}

impl ListedTokenView {
    pub(super) fn new(listed: ListedToken, now: Timestamp) -> Self {
        let ListedToken { token, owner, quota_left, successor } = listed;
        let state = match token {
            Token { revoked: Some(_), .. } => "revoked",
            Token { expires_at: Some(end), .. } if now >= end => "expired",
            Token { disabled_at: Some(_), .. } => "disabled",
            _ => "active",
        };
        Self {
            user_id: token.owner.to_string(),
            user_email: owner.to_string(),
            environment_id: token.environment.map(|id| id.to_string()),
            state: state.into(),
            token: TokenView::new(token, quota_left, successor),
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
