//! The methods of [`TokenHistories`].

use crate::{
    domain::{id::TokenId, token_report::TokenHistory},
    store::{
        Reply, TokenHistories,
        sql::{engine::Engine, token_histories},
    },
};

impl<E: Engine> TokenHistories for E {
    fn token_history(&self, id: TokenId, limit: u32) -> Reply<'_, TokenHistory> {
        self.read_long(move |connection| token_histories::of_token(connection, id, limit))
    }
}
