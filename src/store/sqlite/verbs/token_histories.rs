//! The methods of [`TokenHistories`].

use crate::{
    domain::{id::TokenId, token_report::TokenHistory},
    store::{
        Reply, TokenHistories,
        sqlite::{store::SqliteStore, token_histories},
    },
};

impl TokenHistories for SqliteStore {
    fn token_history(&self, id: TokenId, limit: u32) -> Reply<'_, TokenHistory> {
        self.read_long(move |connection| token_histories::of_token(connection, id, limit))
    }
}
