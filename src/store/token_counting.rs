//! Counts of all tokens.

use super::reply::Reply;
use crate::domain::{time::Timestamp, token_counts::TokenCounts};

/// A part of a count: tokens in the order of their row numbers.
#[derive(Clone, Copy, Debug)]
pub struct TokenCountQuery {
    /// Begins behind this row number.
    pub after: i64,
    /// The most tokens that are read.
    pub limit: u32,
    /// The time at which states are judged.
    pub now: Timestamp,
    /// Tokens that were not used since this time are idle. `None` if no token becomes idle.
    pub idle_since: Option<Timestamp>,
}

/// Counts of tokens. Errors are as for [`Store`](super::Store).
pub trait TokenCounting {
    /// Counts a part of the tokens, so that no count keeps the database busy for long. Also returns the row number behind
    /// which the next part begins, or `None` at the end.
    fn count_some_tokens(&self, query: TokenCountQuery) -> Reply<'_, (TokenCounts, Option<i64>)>;
}
