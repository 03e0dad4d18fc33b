//! What a reverse proxy asks of every request: may it pass? One endpoint a dialect, one decision behind them.
//!
//! A yes is exactly 200 with an empty body, and sets every identity header, so that nothing a client forged survives.
//! A proxy's word for method and path is believed from its configured address alone, and no ability is ever taken from
//! a request.

use std::fmt::{self, Write};

use actix_web::{
    HttpRequest, HttpResponse, ResponseError,
    dev::ServiceRequest,
    http::{
        StatusCode,
        header::{HeaderName, HeaderValue},
    },
    web::{BytesMut, Data},
};

use super::{
    AppState,
    error::ApiError,
    guard::{bearer_or_basic, note},
};
use crate::ops::{
    self,
    verification::{self, Passage, PolicyDenied, Principal},
};

const CHECKS: &str = "/api/authz/";
const AUTH_REQUEST: &str = "/api/authz/auth-request/";
const EXT_AUTHZ: &str = "/api/authz/ext-authz/";

/// nginx's `auth_request`, which takes 200, 401 and 403 and makes 500 of the rest.
pub(super) async fn auth_request(state: Data<AppState>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    let told = || Ok((header(&request, "X-Original-Method")?, header(&request, "X-Original-URI")?));
    let decided = decide(&state, &request, told).await;
    decided.map_err(|error| Refusal { error, three_statuses: true })
}

/// Traefik's `forwardAuth` and Caddy's `forward_auth`, which hand any refusal on to the client.
pub(super) async fn forward_auth(state: Data<AppState>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    let told = || Ok((header(&request, "X-Forwarded-Method")?, header(&request, "X-Forwarded-Uri")?));
    decide(&state, &request, told).await.map_err(|error| Refusal { error, three_statuses: false })
}

/// Envoy's HTTP `ext_authz`, which asks with the client's own method and with its path behind the endpoint's.
pub(super) async fn ext_authz(state: Data<AppState>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    let told = || {
        let behind = request.uri().path_and_query().and_then(|target| target.as_str().strip_prefix(EXT_AUTHZ));
        let slash = behind.and_then(|behind| behind.find('/').map(|at| &behind[at..]));
        Ok((request.method().as_str(), slash.ok_or(ApiError::IncompletePassage)?))
    };
    decide(&state, &request, told).await.map_err(|error| Refusal { error, three_statuses: false })
}

async fn decide<'r>(
    state: &AppState,
    request: &'r HttpRequest,
    told: impl FnOnce() -> Result<(&'r str, &'r str), ApiError>,
) -> Result<HttpResponse, ApiError> {
    let peer = request.peer_addr().ok_or(ApiError::UntrustedProxy)?;
    if !state.trusts(peer.ip()) {
        return Err(ApiError::UntrustedProxy);
    }
    let policy = request.match_info().get("policy").ok_or(PolicyDenied::UnknownPolicy)?;
    let (method, target) = told()?;
    let passage = Passage { policy, method, target };
    let principal = verification::authorize(&state.ops, passage, || bearer_or_basic(request)).await?;
    if let Some(principal) = &principal {
        note(request, principal);
    }
    yes(principal.as_ref())
}

/// A header that must be there once, as text.
fn header<'r>(request: &'r HttpRequest, name: &str) -> Result<&'r str, ApiError> {
    let mut values = request.headers().get_all(name);
    let value = values.next().and_then(|value| value.to_str().ok()).ok_or(ApiError::IncompletePassage)?;
    if values.next().is_some() { Err(ApiError::IncompletePassage) } else { Ok(value) }
}

/// 200, and who it is under the names that upstreams read already (Authelia's and oauth2-proxy's) and under our own.
fn yes(principal: Option<&Principal>) -> Result<HttpResponse, ApiError> {
    let mut response = HttpResponse::new(StatusCode::OK);
    let headers = response.headers_mut();
    for name in IDENTITY {
        headers.insert(name, HeaderValue::from_static(""));
    }
    let Some(principal) = principal else { return Ok(response) };
    let user = principal.user();
    // One buffer for all the values: this is done for every request of every application.
    let mut values = Values(BytesMut::with_capacity(512));
    // What an upstream tells people apart by must be theirs for good; an address is what its owner last typed.
    let id = values.write(user.id)?;
    headers.insert(REMOTE_USER, id.clone());
    headers.insert(X_AUTH_REQUEST_USER, id);
    let email = values.write(&user.email)?;
    headers.insert(REMOTE_EMAIL, email.clone());
    headers.insert(X_AUTH_REQUEST_EMAIL, email);
    headers.insert(REMOTE_NAME, values.write(&user.name)?);
    headers.insert(X_AUTH_TOKEN_ID, values.write(principal.id())?);
    headers.insert(X_AUTH_TOKEN_KIND, HeaderValue::from_static(principal.kind().as_str()));
    headers.insert(X_AUTH_ABILITIES, values.write(principal.abilities())?);
    Ok(response)
}

const REMOTE_USER: HeaderName = HeaderName::from_static("remote-user");
const REMOTE_EMAIL: HeaderName = HeaderName::from_static("remote-email");
const REMOTE_NAME: HeaderName = HeaderName::from_static("remote-name");
const REMOTE_GROUPS: HeaderName = HeaderName::from_static("remote-groups");
const X_AUTH_REQUEST_USER: HeaderName = HeaderName::from_static("x-auth-request-user");
const X_AUTH_REQUEST_EMAIL: HeaderName = HeaderName::from_static("x-auth-request-email");
const X_AUTH_TOKEN_ID: HeaderName = HeaderName::from_static("x-auth-token-id");
const X_AUTH_TOKEN_KIND: HeaderName = HeaderName::from_static("x-auth-token-kind");
const X_AUTH_ABILITIES: HeaderName = HeaderName::from_static("x-auth-abilities");
const X_AUTH_ENVIRONMENT_ID: HeaderName = HeaderName::from_static("x-auth-environment-id");

/// All that a yes sets, so that nothing that a client sent under these names survives.
const IDENTITY: [HeaderName; 10] = [
    REMOTE_USER,
    REMOTE_EMAIL,
    REMOTE_NAME,
    REMOTE_GROUPS,
    X_AUTH_REQUEST_USER,
    X_AUTH_REQUEST_EMAIL,
    X_AUTH_TOKEN_ID,
    X_AUTH_TOKEN_KIND,
    X_AUTH_ABILITIES,
    X_AUTH_ENVIRONMENT_ID,
];

/// Header values cut from one buffer.
struct Values(BytesMut);

impl Values {
    fn write(&mut self, value: impl fmt::Display) -> Result<HeaderValue, ApiError> {
        let unsendable = |error: &dyn fmt::Display| ops::Error::Internal(format!("a header cannot be sent: {error}"));
        write!(self.0, "{value}").map_err(|error| unsendable(&error))?;
        Ok(HeaderValue::from_maybe_shared(self.0.split().freeze()).map_err(|error| unsendable(&error))?)
    }
}

/// Whether a request is a proxy's question.
pub(super) fn is_check(request: &ServiceRequest) -> bool {
    request.path().starts_with(CHECKS)
}

/// Whether it is nginx's.
pub(super) fn asks_for_nginx(request: &ServiceRequest) -> bool {
    request.path().starts_with(AUTH_REQUEST)
}

/// How an error that no handler saw is answered: in nginx's terms where nginx asks.
pub(super) fn in_dialect(asks_for_nginx: bool, error: ApiError) -> HttpResponse {
    match asks_for_nginx {
        true => Refusal { error, three_statuses: true }.error_response(),
        false => error.error_response(),
    }
}

/// A no in a proxy's dialect, with its code in `X-Auth-Error`.
#[derive(Debug)]
pub(super) struct Refusal {
    error: ApiError,
    three_statuses: bool,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        let status = self.error.status_code();
        let taken = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&status) || status.is_server_error();
        if self.three_statuses && !taken { StatusCode::FORBIDDEN } else { status }
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = self.error.error_response();
        *response.status_mut() = self.status_code();
        response
            .headers_mut()
            .insert(HeaderName::from_static("x-auth-error"), HeaderValue::from_static(self.error.code()));
        response
    }
}
