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
        keyed::Keyed,
        query_pairs::QueryPairs,
        request_source::Source,
    },
    state::current::State,
    tokens::{self, DetailView, FullPage, NewTokenForm, detail_view, token_id, token_view},
    wire::large_answer::LargeAnswer,
};
use crate::{
    domain::{id::EnvironmentId, keyed_request::KeyOwner},
    ops::environment_tokens,
    views::{DataView, MessageView, TokenView},
};

pub(super) async fn create(
    state: State,
    Guard(signed_in): Guard<SessionUser>,
    environment: Path<String>,
    keyed: Keyed,
) -> Result<HttpResponse, ApiError> {
    let (environment, user) = (environment_id(&environment)?, signed_in.user.id);
    let create = async |source: Source, body| {
        let request = NewTokenForm::read(body, tokens::CREATION_FIELDS).await?.of_environment();
        let by = source.by(&signed_in);
        let issued = environment_tokens::create(&state.ops, user, environment, request, by).await?;
        Ok(tokens::created(&list_path(environment), issued))
    };
    keyed.once(&state, KeyOwner::User(user), WAY_OUT, create).await
}

/// What to do if the answer with a secret was lost.
const WAY_OUT: &str = "This request was made before, and created the token with this id. Its secret was in the first answer \
                       only. If that was lost, regenerate the token: POST \
                       /api/v1/environments/{id}/tokens/{token_id}/regenerate.";

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
    path: Path<(String, String)>,
    keyed: Keyed,
) -> Result<HttpResponse, ApiError> {
    let (environment, id) = (environment_id(&path.0)?, token_id(&path.1)?);
    let user = signed_in.user.id;
    let regenerate = async |source: Source, body: Body| {
        let mut form = body.form_or_nothing(&["abilities"]).await?;
        let abilities = Some(tokens::narrower_abilities(&mut form));
        let (abilities, by) = (form.finish(abilities)?, source.by(&signed_in));
        let issued = environment_tokens::regenerate(&state.ops, user, environment, id, abilities, by).await?;
        Ok(tokens::created(&list_path(environment), issued))
    };
    keyed.once(&state, KeyOwner::User(user), WAY_OUT, regenerate).await
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
