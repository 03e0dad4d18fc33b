//! Where tokens come from and what happened to them.

use super::reply::Reply;
use crate::domain::{id::TokenId, token_report::TokenHistory};

/// The histories of tokens. Errors are as for [`Store`](super::Store).
pub trait TokenHistories {
    /// The history of a token in any state: at most `limit` tokens of its family and `limit` events, the latest ones.
    /// [`StoreError::NotFound`](super::StoreError::NotFound).
    fn token_history(&self, id: TokenId, limit: u32) -> Reply<'_, TokenHistory>;
}
