//! The states of an account.

use super::{
    account::User,
    owner::{HandedOver, Owned},
    time::Timestamp,
};

/// The state of an account. Each account has exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountState {
    /// It is enabled and has a password.
    Active,
    /// It is disabled.
    Disabled,
    /// It is enabled and waits until its user sets a password with a link.
    Invited,
}

/// The text is not a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be active, disabled or invited.")]
pub struct ParseAccountStateError;

impl AccountState {
    /// The state of an account that was disabled at that time, and has a password or none.
    pub const fn of(disabled_at: Option<Timestamp>, has_password: bool) -> Self {
        match (disabled_at, has_password) {
            (Some(_), _) => Self::Disabled,
            (None, true) => Self::Active,
            (None, false) => Self::Invited,
        }
    }

    /// Parses the name.
    pub fn parse(text: &str) -> Result<Self, ParseAccountStateError> {
        match text {
            "active" => Ok(Self::Active),
            "disabled" => Ok(Self::Disabled),
            "invited" => Ok(Self::Invited),
            _ => Err(ParseAccountStateError),
        }
    }

    /// The name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disabled => "disabled",
            Self::Invited => "invited",
        }
    }
}

/// A user with the state of the account, as administrators see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The user.
    pub user: User,
    /// The state.
    pub state: AccountState,
}

/// A user who was disabled, or would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisabledAccount {
    /// The account.
    pub account: Account,
    /// What the user owned before.
    pub owned: Owned,
    /// How much of it got another owner, if that was asked for.
    pub handed_over: Option<HandedOver>,
}

/// An account with what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountDetails {
    /// The account.
    pub account: Account,
    /// When the open link expires with which the user can set a password.
    pub password_link_expires_at: Option<Timestamp>,
    /// The latest sign-in that the audit trail or a session shows.
    pub last_sign_in_at: Option<Timestamp>,
    /// How many personal access tokens are neither revoked nor expired.
    pub tokens: u32,
    /// How many sessions are not expired.
    pub sessions: u32,
    /// How many environments the user owns.
    pub environments: u32,
}
