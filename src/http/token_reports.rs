//! Reports about tokens.

use actix_web::{HttpResponse, web::Path};

use super::{
    error::ApiError,
    input::guard::{Guard, SessionUser},
    state::{AppState, current::State},
    token_usage,
    tokens::token_id,
    wire::large_answer::LargeAnswer,
};
use crate::{
    domain::{authority::Authority, token::Token},
    ops::{owners, token_report, tokens},
    views::{DataView, TokenReportView},
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
    respond(&state, owner.into(), token, answer).await
}

/// Answers with the report about `token`, as `reader` may see it.
pub(super) async fn respond(
    state: &AppState,
    reader: Authority,
    token: Token,
    answer: LargeAnswer,
) -> Result<HttpResponse, ApiError> {
    /// Family, events and rules, in KiB.
    const LISTS: u32 = 128;
    let report = token_report::report(&state.ops, reader, token).await?;
    let (size, now) = (token_usage::size(&report.token, &report.usage), state.ops.clock.now());
    let view = move |report| DataView { data: TokenReportView::new(report, now) };
    answer.sized(size.saturating_add(LISTS), async { Ok(report) }, view).await
}
