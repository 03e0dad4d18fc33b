//! Complete lists of users and tokens for an administrator.

use std::ops::ControlFlow;

use super::token_search::{FoundToken, TokenFilter};
use crate::domain::{
    account::Role,
    account_state::{Account, AccountState},
    id::{EnvironmentId, UserId},
    time::Timestamp,
};

/// Receives the users in batches. It runs on a thread of the store, which waits for it. `Break` ends the list.
pub type EachUser = Box<dyn FnMut(Vec<Account>) -> ControlFlow<()> + Send>;

/// Like [`EachUser`], for tokens.
pub type EachToken = Box<dyn FnMut(Vec<FoundToken>) -> ControlFlow<()> + Send>;

/// Which users to list, in which order.
#[derive(Clone, Debug, Default)]
pub struct UserInventory {
    /// Only users whose name or e-mail address contains this text. The caller case-folds it with
    /// [`folded`](crate::domain::text::folded).
    pub search: Option<String>,
    /// Only users with this role.
    pub role: Option<Role>,
    /// Only users whose account is in this state.
    pub state: Option<AccountState>,
    /// The order.
    pub order: UserOrder,
    /// Reverses the order.
    pub reversed: bool,
}

/// How users are sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UserOrder {
    /// By creation, oldest first.
    #[default]
    Created,
    /// By name.
    Name,
    /// By e-mail address.
    Email,
}

/// Which tokens to list, in which order.
#[derive(Clone, Debug, Default)]
pub struct TokenInventory {
    /// Only tokens of this owner.
    pub whose: Whose,
    /// Only tokens that this accepts.
    pub filter: TokenFilter,
    /// Only tokens whose name or whose owner's e-mail address contains this text. The caller case-folds it.
    pub search: Option<String>,
    /// Only tokens that end before this time, by their expiry or because they are idle. Unwritten uses do not count.
    pub ends_before: Option<Timestamp>,
    /// The order.
    pub order: TokenOrder,
    /// Reverses the order.
    pub reversed: bool,
}

/// Whose tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Whose {
    /// The tokens of all users.
    #[default]
    All,
    /// The tokens of this user, and those of the environments that the user owns.
    User(UserId),
    /// The tokens of this environment.
    Environment(EnvironmentId),
}

/// How tokens are sorted. A token without the time in question comes last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenOrder {
    /// By creation, newest first.
    #[default]
    Created,
    /// By name.
    Name,
    /// By the e-mail address of the owner.
    User,
    /// By last use, latest first.
    LastUsed,
    /// By end, soonest first.
    Expires,
}
