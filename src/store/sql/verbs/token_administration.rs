//! The methods of [`TokenAdministration`].

use crate::{
    domain::{audit::Attribution, id::TokenId, time::Timestamp},
    store::{
        ChangedToken, FoundToken, Reply, TokenAdministration, TokenSearchQuery, invalidation,
        sql::{engine::Engine, environment_tokens, token_search},
    },
};

impl<E: Engine> TokenAdministration for E {
    fn find_tokens(&self, search: TokenSearchQuery, now: Timestamp) -> Reply<'_, Vec<FoundToken>> {
        self.read_long(move |connection| token_search::find(connection, &search, now))
    }

    fn disable_environment_token(&self, id: TokenId, by: Attribution) -> Reply<'_, ChangedToken> {
        self.change(invalidation::token(id), by, move |connection, by| environment_tokens::disable(connection, id, by))
    }

    fn enable_environment_token(&self, id: TokenId, by: Attribution) -> Reply<'_, ChangedToken> {
        self.change(invalidation::token(id), by, move |connection, by| environment_tokens::enable(connection, id, by))
    }

    fn wait_until_known(&self) -> Reply<'_, ()> {
        Engine::wait_until_known(self)
    }
}
