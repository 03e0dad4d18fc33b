//! The methods of [`TokenCounting`] and of [`Measured`].

use crate::{
    domain::token_counts::TokenCounts,
    store::{
        Measured, Reply, StoreKind, StoreMeasurements, TokenCountQuery, TokenCounting,
        sql::{engine::Engine, token_counts},
    },
};

impl<E: Engine> TokenCounting for E {
    fn count_some_tokens(&self, query: TokenCountQuery) -> Reply<'_, (TokenCounts, Option<i64>)> {
        self.read_long(move |connection| token_counts::count_some(connection, query))
    }
}

impl<E: Engine> Measured for E {
    fn measurements(&self) -> &StoreMeasurements {
        Engine::measurements(self)
    }

    fn kind(&self) -> StoreKind {
        Engine::kind(self)
    }
}
