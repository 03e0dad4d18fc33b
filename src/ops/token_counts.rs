//! Counts all tokens for metrics, a part at a time: no read takes long, and between two of them the database has time for others.

use std::time::Duration;

use super::{Context, Error};
use crate::{domain::token_counts::TokenCounts, store::TokenCountQuery};

/// How many tokens one read counts. It takes a few milliseconds.
const PART: u32 = 5_000;
/// The time between two reads. So a count takes a fraction of one core.
const PAUSE: Duration = Duration::from_millis(20);

/// How many tokens there are now. With many of them it takes a while, and what changes meanwhile may or may not be counted.
pub async fn count(ctx: &Context) -> Result<TokenCounts, Error> {
    let now = ctx.clock.now();
    let idle_since = ctx.rules.token_lifetimes.idle_since(now);
    let mut counts = TokenCounts::default();
    let mut next = Some(0);
    while let Some(after) = next {
        let query = TokenCountQuery { after, limit: PART, now, idle_since };
        let (part, rest) = ctx.store.count_some_tokens(query).await?;
        counts.add(&part);
        next = rest;
        if next.is_some() {
            tokio::time::sleep(PAUSE).await;
        }
    }
    Ok(counts)
}

impl Context {
    /// How many passwords are being hashed now.
    pub fn password_hashes_in_flight(&self) -> usize {
        self.passwords.in_flight()
    }
}
