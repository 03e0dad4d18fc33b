//! The addresses from which a token was used, for its owner.

use super::{context::Context, error::Error};
use crate::domain::{id::TokenId, use_location::UseLocation};

/// The latest use locations of a token, latest first. The caller has checked that the user may see the token.
pub async fn last_uses(ctx: &Context, id: TokenId) -> Result<Vec<UseLocation>, Error> {
    // Memory first: a location that is written in between is then found in both places, not in none.
    let unwritten = ctx.use_locations.unwritten(id);
    let stored = ctx.store.locations_of(id).await?;
    Ok(UseLocation::merge(unwritten, stored))
}
