//! What tokens did.

use actix_web::{HttpResponse, web::Path};

use super::{
    environments::environment_id,
    error::ApiError,
    input::guard::{Guard, SessionUser},
    state::{AppState, current::State},
    tokens::token_id,
    wire::large_answer::LargeAnswer,
};
use crate::{
    domain::{token::Token, token_usage::TokenUsage, use_location::UseLocation},
    ops::{environment_tokens, owners, token_usage::usage_of, tokens, use_locations::last_uses},
    views::{DataView, TokenUsageView},
};

pub(super) async fn show(
    state: State,
    Guard(signed_in): Guard<SessionUser>,
    id: Path<String>,
    answer: LargeAnswer,
) -> Result<HttpResponse, ApiError> {
    let id = token_id(&id)?;
    let owner = owners::of_token(&state.ops, signed_in.user.id, id).await?;
    let token = tokens::show(&state.ops, owner.into(), id).await?;
    respond(&state, token, answer).await
}

pub(super) async fn show_of_environment(
    state: State,
    Guard(signed_in): Guard<SessionUser>,
    path: Path<(String, String)>,
    answer: LargeAnswer,
) -> Result<HttpResponse, ApiError> {
    let (environment, id) = (environment_id(&path.0)?, token_id(&path.1)?);
    let token = environment_tokens::get(&state.ops, signed_in.user.id, environment, id).await?;
    respond(&state, token, answer).await
}

async fn respond(state: &AppState, token: Token, answer: LargeAnswer) -> Result<HttpResponse, ApiError> {
    let usage = usage_of(&state.ops, &token).await?;
    let locations = last_uses(&state.ops, token.id).await?;
    let size = size(&token, &usage);
    let view = |(token, usage, locations): (Token, TokenUsage, Vec<UseLocation>)| DataView {
        data: TokenUsageView::new(&token, &usage, locations),
    };
    answer.sized(size, async { Ok((token, usage, locations)) }, view).await
}

/// An upper estimate of the size of an answer, in KiB.
pub(super) fn size(token: &Token, usage: &TokenUsage) -> u32 {
    const ADDRESSES: usize = 8 * 1024;
    /// The words and numbers of a count, beside its name.
    const COUNT: usize = 100;
    let names = usage.days.values().flat_map(|day| day.policies.keys().chain(day.abilities.keys()));
    // Each name may also be in the totals.
    let counts: usize = names.map(|name| 2 * (name.len() + COUNT)).sum();
    u32::try_from((ADDRESSES + 2 * token.listed_size() + counts).div_ceil(1024)).unwrap_or(u32::MAX)
}
