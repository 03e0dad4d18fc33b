//! Which tokens, sessions and environments a read or a change is for.

use crate::domain::{
    ability::Ability,
    annotations::Metadata,
    id::{EnvironmentId, SessionId, TokenId},
    time::Timestamp,
    token::TokenState,
};

/// Which of an owner's tokens to list, newest first.
#[derive(Clone, Debug, Default)]
pub struct TokenQuery {
    /// Only those whose name contains this text, without regard to letter case and Unicode normal form
    /// ([`text::folded`](crate::domain::text::folded)).
    pub search: Option<String>,
    /// Only those that have all these keys with these values.
    pub metadata: Metadata,
    /// Only those in this state. `None` is all except revoked ones.
    pub state: Option<TokenState>,
    /// Tokens that were not used after this count as expired. `None` if unused tokens do not end.
    pub idle_since: Option<Timestamp>,
    /// Only those with a smaller row number: the end of the previous page.
    pub before: Option<i64>,
    /// How many at most.
    pub limit: u32,
}

/// Which of a user's sessions to list, newest first.
#[derive(Clone, Copy, Debug, Default)]
pub struct SessionQuery {
    /// Only those after the one with this creation time and id: the end of the previous page.
    pub before: Option<(Timestamp, SessionId)>,
    /// How many at most.
    pub limit: u32,
}

/// Which of the environments that a user sees to list, newest first.
#[derive(Clone, Copy, Debug, Default)]
pub struct EnvironmentQuery {
    /// Only those with a smaller id: the end of the previous page.
    pub before: Option<EnvironmentId>,
    /// How many at most.
    pub limit: u32,
}

/// Which of an owner's tokens a change is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenSelection {
    /// All of them.
    All,
    /// These, as far as the owner has them.
    These(Vec<TokenId>),
    /// These, as far as the owner has them, and the tokens of their families that cover this ability, also successors that
    /// were added meanwhile.
    Covering(Vec<TokenId>, Ability),
}
