//! The tokens of environments, in the forms and views of personal ones.

use actix_web::{
    HttpResponse,
    web::{Data, Json, Path, Query},
};

use super::{
    AppState,
    environments::environment_id,
    error::ApiError,
    form::Body,
    guard::SessionUser,
    large::LargeAnswer,
    origin::Source,
    page,
    tokens::{self, DetailView, FullPage, ListQuery, NewTokenForm, PageView, detail_view, token_id},
    view::{DataView, MessageView},
};
use crate::{
    domain::id::EnvironmentId,
    ops::environment_tokens::{self, EnvironmentTokenRequest},
};

pub(super) async fn create(
    state: Data<AppState>,
    asking: SessionUser,
    source: Source,
    environment: Path<String>,
    body: Body,
) -> Result<HttpResponse, ApiError> {
    let environment = environment_id(&environment)?;
    let NewTokenForm { name, abilities, expiry, limits } = NewTokenForm::read(body).await?;
    let (user, request) = (asking.user.id, EnvironmentTokenRequest { name, abilities, expiry, limits });
    let issued = environment_tokens::create(&state.ops, user, environment, request, source.by(&asking)).await?;
    Ok(tokens::created(&list_of(environment), issued))
}

fn list_of(environment: EnvironmentId) -> String {
    format!("/api/v1/environments/{environment}/tokens")
}

pub(super) async fn list(
    state: Data<AppState>,
    asking: SessionUser,
    environment: Path<String>,
    query: Result<Query<ListQuery>, actix_web::Error>,
    answer: LargeAnswer,
) -> Result<HttpResponse, ApiError> {
    let (user, environment) = (asking.user.id, environment_id(&environment)?);
    let request = tokens::list_request(page::read(query)?)?;
    let find =
        async { FullPage::of(&state, environment_tokens::list(&state.ops, user, environment, request).await?).await };
    answer.page(user.uuid(), find, PageView::from).await
}

pub(super) async fn show(
    state: Data<AppState>,
    asking: SessionUser,
    path: Path<(String, String)>,
) -> Result<Json<DataView<DetailView>>, ApiError> {
    let (environment, id) = (environment_id(&path.0)?, token_id(&path.1)?);
    let token = environment_tokens::get(&state.ops, asking.user.id, environment, id).await?;
    Ok(Json(DataView { data: detail_view(&state, token).await? }))
}

/// What is asked for stands in the path, so that no body is read.
pub(super) async fn regenerate(
    state: Data<AppState>,
    asking: SessionUser,
    source: Source,
    path: Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    let (environment, id) = (environment_id(&path.0)?, token_id(&path.1)?);
    let user = asking.user.id;
    let issued = environment_tokens::regenerate(&state.ops, user, environment, id, source.by(&asking)).await?;
    Ok(tokens::created(&list_of(environment), issued))
}

pub(super) async fn revoke(
    state: Data<AppState>,
    asking: SessionUser,
    source: Source,
    path: Path<(String, String)>,
) -> Result<Json<MessageView>, ApiError> {
    let (environment, id) = (environment_id(&path.0)?, token_id(&path.1)?);
    environment_tokens::revoke(&state.ops, asking.user.id, environment, id, source.by(&asking)).await?;
    Ok(Json(MessageView { message: "Token revoked" }))
}
