//! The account of a user as administrators see it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::{
    account_state::{Account, AccountDetails},
    password_link::IssuedPasswordLink,
};

/// An account.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct AccountView {
    /// The id.
    pub id: String,
    /// The name.
    pub name: String,
    /// The address.
    pub email: String,
    /// `member` or `admin`.
    pub role: String,
    /// `active`, `disabled` or `invited`.
    pub state: String,
    /// The environment that the user works in.
    pub current_environment_id: String,
    /// When the account was created.
    pub created_at: String,
    /// Since when it is disabled.
    pub disabled_at: Option<String>,
}

impl From<Account> for AccountView {
    fn from(Account { user, state }: Account) -> Self {
        Self {
            id: user.id.to_string(),
            name: user.name.to_string(),
            email: user.email.to_string(),
            role: user.role.as_str().to_owned(),
            state: state.as_str().to_owned(),
            current_environment_id: user.current_environment.to_string(),
            created_at: user.created_at.to_string(),
            disabled_at: user.disabled_at.map(|at| at.to_string()),
        }
    }
}

/// An account with what belongs to it.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct AccountDetailsView {
    /// The account.
    #[serde(flatten)]
    pub account: AccountView,
    /// When the open link expires with which the user can set a password.
    pub password_link_expires_at: Option<String>,
    /// The latest known sign-in.
    pub last_sign_in_at: Option<String>,
    /// How many personal access tokens are valid.
    pub tokens: u32,
    /// How many sessions are open.
    pub sessions: u32,
    /// How many environments the user owns.
    pub environments: u32,
}

impl From<AccountDetails> for AccountDetailsView {
    fn from(details: AccountDetails) -> Self {
        Self {
            account: details.account.into(),
            password_link_expires_at: details.password_link_expires_at.map(|at| at.to_string()),
            last_sign_in_at: details.last_sign_in_at.map(|at| at.to_string()),
            tokens: details.tokens,
            sessions: details.sessions,
            environments: details.environments,
        }
    }
}

/// An account with a new link, the only view with the secret of one.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct InvitedView {
    /// The account.
    #[serde(flatten)]
    pub account: AccountView,
    /// The link.
    pub password_link: PasswordLinkView,
}

impl InvitedView {
    /// The account and its new link.
    pub fn new(account: Account, link: &IssuedPasswordLink) -> Self {
        let password_link =
            PasswordLinkView { token: link.plaintext.expose().to_owned(), expires_at: link.expires_at.to_string() };
        Self { account: account.into(), password_link }
    }
}

/// A new link.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PasswordLinkView {
    /// The secret.
    pub token: String,
    /// The expiry.
    pub expires_at: String,
}

/// Without the secret.
impl fmt::Debug for PasswordLinkView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PasswordLinkView(until {})", self.expires_at)
    }
}
