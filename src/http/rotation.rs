//! Rotation: a token is replaced by a successor, by its owner or by itself.

use std::time::Duration;

use actix_web::{FromRequest, HttpRequest, HttpResponse, body::BoxBody, dev::Payload, http::header, web::Path};
use futures_util::future::LocalBoxFuture;
use serde::Serialize;

use super::{
    error::ApiError,
    input::{
        authorization_header::bearer,
        body::Body,
        guard::{Guard, SessionUser, record, state_and_caller},
        keyed::Keyed,
        request_source::Source,
    },
    state::{AppState, current::State},
    tokens::{self, token_id},
    wire::{body_drain::KeepUntilSent, connections::connection::connection_start},
};
use crate::{
    domain::keyed_request::KeyOwner,
    ops::{
        self, owners,
        principal::Principal,
        rotation::{self, Rotated, RotationRequest},
        verification::Caller,
    },
    views::{DataView, IssuedTokenView},
};

/// A token that may rotate itself. The operation checks it and records reuse, so the guard cannot.
pub(super) struct SelfRotation(Principal);

impl FromRequest for SelfRotation {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, source) = (request.clone(), Source::from_request(request, payload).into_inner());
        Box::pin(async move {
            let source = source?.anonymous();
            let (state, caller) = state_and_caller(&request);
            let caller = Caller { since: connection_start(&request).or(caller.since), ..caller };
            let credential = bearer(request.headers())?;
            let result = rotation::authenticate_for_rotation(&state.ops, credential, caller, source).await;
            Ok(Self(record(&request, credential, result).await?))
        })
    }
}

/// The issued token and the one that it replaced.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct RotatedView {
    #[serde(flatten)]
    issued: IssuedTokenView,
    rotated_from: Option<String>,
}

pub(super) async fn rotate(
    state: State,
    Guard(signed_in): Guard<SessionUser>,
    id: Path<String>,
    keyed: Keyed,
) -> Result<HttpResponse, ApiError> {
    let id = token_id(&id)?;
    let rotate = async |source: Source, body| {
        let request = read_request(&state, body).await?;
        let owner = owners::of_token(&state.ops, signed_in.user.id, id).await?;
        Ok(created(rotation::rotate(&state.ops, owner, id, request, source.by(&signed_in)).await?))
    };
    keyed.once(&state, KeyOwner::User(signed_in.user.id), WAY_OUT, rotate).await
}

pub(super) async fn rotate_self(
    state: State,
    SelfRotation(principal): SelfRotation,
    keyed: Keyed,
) -> Result<HttpResponse, ApiError> {
    let record = principal.token().ok_or_else(|| ops::Error::NotSelfRotating(principal.kind()))?;
    let owner = KeyOwner::Token(record.token.owner, record.token.id);
    let rotate = async |source: Source, body| {
        let request = read_request(&state, body).await?;
        Ok(created(rotation::rotate_self(&state.ops, &principal, request, source.anonymous()).await?))
    };
    keyed.once(&state, owner, WAY_OUT, rotate).await
}

/// What to do if the answer to a rotation was lost.
const WAY_OUT: &str = "This request was made before, and the token with this id is the successor. Its secret was in the first \
                       answer only. If that was lost, rotate the successor with a session: POST \
                       /api/v1/user/api-tokens/{id}/rotate. While the replaced token is valid, the request can also be sent \
                       with another Idempotency-Key and with \"replace_unused\": true.";

const FIELDS: &[&str] = &["abilities", "grace", "end_on_first_use", "expires_at", "expires_in_days", "replace_unused"];

async fn read_request(state: &AppState, body: Body) -> Result<RotationRequest, ApiError> {
    let mut form = body.form_or_nothing(FIELDS).await?;
    let max_grace = state.ops.rules.rotation.max_grace.as_secs();
    let request = RotationRequest {
        abilities: tokens::narrower_abilities(&mut form),
        grace: form.optional_number("grace", 0..=max_grace).map(Duration::from_secs),
        end_on_first_use: form.optional_bool("end_on_first_use"),
        expiry: tokens::expiry(&mut form),
        replace_unused: form.optional_bool("replace_unused").unwrap_or(false),
    };
    form.finish(Some(request))
}

fn created(Rotated { issued, ending }: Rotated) -> HttpResponse {
    let location = format!("/api/v1/user/api-tokens/{}", issued.token.id);
    let rotated_from = issued.token.rotated_from.map(|id| id.to_string());
    let view = RotatedView { issued: IssuedTokenView::numbered(issued), rotated_from };
    let response = HttpResponse::Created().insert_header((header::LOCATION, location)).json(DataView { data: view });
    // The rotation counts as answered when the body was sent: a request that starts before that cannot know the
    // successor.
    response.map_body(|_, body| BoxBody::new(KeepUntilSent::new(body, ending)))
}
