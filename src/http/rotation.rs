//! Rotation: a token is replaced by a successor, by its owner or by itself.

use std::time::Duration;

use actix_web::{
    FromRequest, HttpMessage, HttpRequest, HttpResponse,
    body::BoxBody,
    dev::Payload,
    http::header,
    web::{Data, Path},
};
use futures_util::future::LocalBoxFuture;
use serde::Serialize;

use super::{
    AppState,
    client::caller,
    connections,
    error::ApiError,
    form::Body,
    guard::{PrincipalSummary, SessionUser, bearer},
    origin::Source,
    refused,
    tokens::{self, IssuedTokenView, token_id},
    unread::Outlasting,
    view::DataView,
};
use crate::{
    domain::audit::RequestSource,
    ops::{
        principal::Principal,
        rotation::{self, Rotated, RotationRequest},
        verification::Caller,
    },
};

/// A credential that may replace itself, and whence it asks.
pub(super) struct Rotating {
    asking: Principal,
    origin: RequestSource,
}

impl FromRequest for Rotating {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, source) = (request.clone(), Source::from_request(request, payload).into_inner());
        Box::pin(async move {
            let state = request.app_data::<Data<AppState>>().expect("the state is part of every application");
            let origin = source?.anonymous();
            let caller = caller(request.peer_addr(), request.headers(), state);
            let caller = Caller { since: connections::made_for(&request).or(caller.since), ..caller };
            let credential = bearer(request.headers())?;
            let asking = match rotation::authenticate_for_rotation(&state.ops, credential, caller, origin.clone()).await
            {
                Ok(asking) => asking,
                Err(error) => {
                    refused::note_token(&request, credential, &error).await;
                    return Err(error.into());
                }
            };
            request.extensions_mut().insert(PrincipalSummary::of(&asking));
            Ok(Self { asking, origin })
        })
    }
}

/// The seed's answer, and what was replaced.
#[derive(Serialize)]
struct RotatedView {
    #[serde(flatten)]
    issued: IssuedTokenView,
    rotated_from: Option<String>,
}

pub(super) async fn rotate(
    state: Data<AppState>,
    asking: SessionUser,
    source: Source,
    id: Path<String>,
    body: Body,
) -> Result<HttpResponse, ApiError> {
    let id = token_id(&id)?;
    let request = read_request(&state, body).await?;
    let rotated = rotation::rotate(&state.ops, asking.user.id, id, request, source.by(&asking)).await?;
    Ok(created(rotated))
}

pub(super) async fn rotate_self(
    state: Data<AppState>,
    Rotating { asking, origin }: Rotating,
    body: Body,
) -> Result<HttpResponse, ApiError> {
    let request = read_request(&state, body).await?;
    Ok(created(rotation::rotate_self(&state.ops, &asking, request, origin).await?))
}

const FIELDS: &[&str] = &["grace", "end_on_first_use", "expires_at", "expires_in_days", "replace_unused"];

async fn read_request(state: &AppState, body: Body) -> Result<RotationRequest, ApiError> {
    let mut form = body.form_or_nothing(FIELDS).await?;
    let most = state.ops.rules.rotation.max_grace.as_secs();
    let request = RotationRequest {
        grace: form.optional_number("grace", 0..=most).map(Duration::from_secs),
        end_on_first_use: form.optional_switch("end_on_first_use"),
        expiry: tokens::expiry(&mut form),
        replace_unused: form.optional_switch("replace_unused").unwrap_or(false),
    };
    form.finish(Some(request))
}

fn created(Rotated { issued, ending }: Rotated) -> HttpResponse {
    let location = format!("/api/v1/user/api-tokens/{}", issued.token.id);
    let rotated_from = issued.token.rotated_from.map(|id| id.to_string());
    let view = RotatedView { issued: IssuedTokenView::new(issued), rotated_from };
    let response = HttpResponse::Created().insert_header((header::LOCATION, location)).json(DataView { data: view });
    // Answered is when the body is on its way and no sooner: a request that starts before that cannot know of this one.
    response.map_body(|_, body| BoxBody::new(Outlasting::new(body, ending)))
}
