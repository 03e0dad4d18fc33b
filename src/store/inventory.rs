//! What an administrator lists: users and tokens, whoever owns them, in one go.

use std::ops::ControlFlow;

use crate::domain::{
    account::{Email, User},
    id::{EnvironmentId, TokenId, UserId},
    time::Timestamp,
    token::{Token, TokenState},
};

/// Takes some users at a time, on a thread of the store, which waits meanwhile. `Break` ends the list.
pub type EachUser = Box<dyn FnMut(Vec<User>) -> ControlFlow<()> + Send>;

/// The same for tokens.
pub type EachToken = Box<dyn FnMut(Vec<TokenRow>) -> ControlFlow<()> + Send>;

/// Which users to list, in which order.
#[derive(Clone, Debug, Default)]
pub struct UserInventory {
    /// Only those whose name or address holds this text, which is folded ([`folded`](crate::domain::text::folded)).
    pub search: Option<String>,
    /// The order.
    pub order: UserOrder,
    /// The other way round.
    pub reversed: bool,
}

/// By what users are sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UserOrder {
    /// When they were made, oldest first.
    #[default]
    Created,
    /// Their name.
    Name,
    /// Their address.
    Email,
}

/// Which tokens to list, in which order.
#[derive(Clone, Debug, Default)]
pub struct TokenInventory {
    /// Only these.
    pub whose: Whose,
    /// Only those in this state; `None` is all but the revoked.
    pub state: Option<TokenState>,
    /// What was not used after this counts as expired; `None` is nothing.
    pub idle_since: Option<Timestamp>,
    /// Only those whose name, or whose owner's address, holds this text, which is folded.
    pub search: Option<String>,
    /// Only those that end before this, by their expiry or by not being used, as far as uses are on disk.
    pub ends_before: Option<Timestamp>,
    /// Only those that were not used at this time or later, nor made, as far as uses are on disk.
    pub unused_since: Option<Timestamp>,
    /// The order.
    pub order: TokenOrder,
    /// The other way round.
    pub reversed: bool,
}

/// Whose tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Whose {
    /// Everybody's.
    #[default]
    All,
    /// This user's, and those of the environments that they own.
    User(UserId),
    /// This environment's.
    Environment(EnvironmentId),
}

/// By what tokens are sorted. What does not have the time stands last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenOrder {
    /// When they were made, newest first.
    #[default]
    Created,
    /// Their name.
    Name,
    /// Their owner's address.
    User,
    /// When they were last used, latest first.
    LastUsed,
    /// When they end, soonest first.
    Expires,
}

/// A token as an administrator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRow {
    /// The token.
    pub token: Token,
    /// Its owner's address.
    pub owner: Email,
    /// How many uses of its quota were taken, which it shares with its family.
    pub quota_used: u32,
    /// Its latest successor, whatever its state.
    pub successor: Option<TokenId>,
}
