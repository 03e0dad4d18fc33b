//! What tokens do: the counts of their uses, for their owners and administrators.

use std::sync::Arc;

use super::{context::Context, error::Error};
use crate::domain::{
    ability::{Ability, ServerAbility},
    token::{Token, TokenRecord},
    token_usage::TokenUsage,
};

/// Counts a request to this server that needed `ability`, by whether its guard let it pass. Only a missing ability counts as a
/// refusal.
pub fn count_guarded<T>(ctx: &Context, record: &Arc<TokenRecord>, ability: ServerAbility, passed: &Result<T, Error>) {
    let now = ctx.clock.now();
    match passed {
        Ok(_) => ctx.usage.allow_by_server_ability(record, ability, now),
        Err(Error::MissingAbility(_)) => ctx.usage.refuse(record, None, &[ability.ability()], now),
        Err(_) => {}
    }
}

/// What a token did in the days that are kept. The caller has checked that the user may see the token.
pub async fn usage_of(ctx: &Context, token: &Token) -> Result<TokenUsage, Error> {
    Ok(ctx.usage.of_token(&*ctx.store, token.number, token.created_at, ctx.clock.recordable()).await?)
}

/// The abilities of a token that covered nothing that it used. `None` if that is not known.
pub async fn unused_abilities(ctx: &Context, token: &Token) -> Result<Option<Vec<Ability>>, Error> {
    Ok(usage_of(ctx, token).await?.unused(&token.abilities))
}
