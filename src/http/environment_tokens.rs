//! Environment tokens. Their forms and views are those of personal access tokens.

use actix_web::{
    HttpResponse,
    web::{Json, Path},
};

use super::{
    environments::environment_id,
    error::ApiError,
    input::{
        body::Body,
        guard::{Guard, SessionUser},
        query_pairs::QueryPairs,
        request_source::Source,
    },
    state::current::State,
    tokens::{self, DetailView, FullPage, NewTokenForm, detail_view, token_id, token_view},
    wire::large_answer::LargeAnswer,
};
use crate::{
    domain::id::EnvironmentId,
    ops::environment_tokens,
    views::{DataView, MessageView, TokenView},
};

pub(super) async fn create(
    state: State,
    Guard(signed_in): Guard<SessionUser>,
    source: Source,
    environment: Path<String>,
    body: Body,
) -> Result<HttpResponse, ApiError> {
    let environment = environment_id(&environment)?;
    let form = NewTokenForm::read(body, tokens::CREATION_FIELDS).await?;
    let (user, request) = (signed_in.user.id, form.of_environment());
    let issued = environment_tokens::create(&state.ops, user, environment, request, source.by(&signed_in)).await?;
    Ok(tokens::created(&list_path(environment), issued))
}

fn list_path(environment: EnvironmentId) -> String {
    format!("/api/v1/environments/{environment}/tokens")
}

pub(super) async fn list(
    state: State,
    Guard(signed_in): Guard<SessionUser>,
    environment: Path<String>,
    query: QueryPairs,
    answer: LargeAnswer,
) -> Result<HttpResponse, ApiError> {
    let (user, environment) = (signed_in.user.id, environment_id(&environment)?);
    let request = tokens::list_request(query)?;
    let find =
        async { FullPage::of(&state, environment_tokens::list(&state.ops, user, environment, request).await?).await };
    answer.page(user.uuid(), find, FullPage::into_view).await
}

pub(super) async fn show(
    state: State,
    Guard(signed_in): Guard<SessionUser>,
    path: Path<(String, String)>,
) -> Result<Json<DataView<DetailView>>, ApiError> {
    let (environment, id) = (environment_id(&path.0)?, token_id(&path.1)?);
    let token = environment_tokens::get(&state.ops, signed_in.user.id, environment, id).await?;
    Ok(Json(DataView { data: detail_view(&state, token).await? }))
}

pub(super) async fn change(
    state: State,
    Guard(signed_in): Guard<SessionUser>,
    source: Source,
    path: Path<(String, String)>,
    body: Body,
) -> Result<Json<DataView<TokenView>>, ApiError> {
    let (environment, id) = (environment_id(&path.0)?, token_id(&path.1)?);
    let (user, change) = (signed_in.user.id, tokens::read_change(body).await?);
    let details = environment_tokens::change(&state.ops, user, environment, id, change, source.by(&signed_in)).await?;
    Ok(Json(DataView { data: token_view(details) }))
}

/// The body may be missing.
pub(super) async fn regenerate(
    state: State,
    Guard(signed_in): Guard<SessionUser>,
    source: Source,
    path: Path<(String, String)>,
    body: Body,
) -> Result<HttpResponse, ApiError> {
    let (environment, id) = (environment_id(&path.0)?, token_id(&path.1)?);
    let mut form = body.form_or_nothing(&["abilities"]).await?;
    let abilities = Some(tokens::narrower_abilities(&mut form));
    let (user, abilities) = (signed_in.user.id, form.finish(abilities)?);
    let by = source.by(&signed_in);
    let issued = environment_tokens::regenerate(&state.ops, user, environment, id, abilities, by).await?;
    Ok(tokens::created(&list_path(environment), issued))
}

pub(super) async fn revoke(
    state: State,
    Guard(signed_in): Guard<SessionUser>,
    source: Source,
    path: Path<(String, String)>,
) -> Result<Json<MessageView>, ApiError> {
    let (environment, id) = (environment_id(&path.0)?, token_id(&path.1)?);
    environment_tokens::revoke(&state.ops, signed_in.user.id.into(), environment, id, source.by(&signed_in)).await?;
    Ok(Json(MessageView { message: "Token revoked" }))
}
