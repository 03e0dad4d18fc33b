//! What is left of the quotas of tokens. [`state::meters`](super::state::meters) enforces usage limits.

use std::collections::HashMap;

pub use super::state::rates::RateState;
use super::{context::Context, error::Error};
use crate::domain::{id::TokenId, token::Token};

/// What is left of the quotas of some tokens.
#[derive(Clone, Debug, Default)]
pub struct QuotasLeft(HashMap<TokenId, u32>);

impl QuotasLeft {
    /// How many uses `token` has left. `None` if it has no quota.
    pub fn of(&self, token: &Token) -> Option<u32> {
        let quota = token.limits.as_ref()?.quota?;
        Some(self.0.get(&token.id).copied().unwrap_or(quota))
    }
}

/// What is left of the quotas of those `tokens` that have one. If none has, the store is not asked.
pub async fn quotas_left(ctx: &Context, tokens: &[Token]) -> Result<QuotasLeft, Error> {
    let has_quota = |token: &&Token| token.limits.as_ref().is_some_and(|limits| limits.quota.is_some());
    let limited: HashMap<TokenId, &Token> = tokens.iter().filter(has_quota).map(|token| (token.id, token)).collect();
    if limited.is_empty() {
        return Ok(QuotasLeft::default());
    }
    let taken = ctx.store.taken_uses(limited.keys().copied().collect()).await?;
    let left = taken.into_iter().filter_map(|(id, taken)| Some((id, quota_left(ctx, limited.get(&id)?, taken)?)));
    Ok(QuotasLeft(left.collect()))
}

/// How many uses `token` has left if the store has counted `taken` uses of its quota. `None` if it has no quota.
pub(super) fn quota_left(ctx: &Context, token: &Token, taken: u32) -> Option<u32> {
    let quota = token.limits.as_ref()?.quota?;
    Some(quota.saturating_sub(taken).saturating_add(ctx.meters.unspent(token.family)).min(quota))
}
