//! What a reverse proxy asks of every request: may it pass? One endpoint a dialect, one decision behind them.
//!
//! A yes is exactly 200 with an empty body, and sets every identity header, so that nothing a client forged survives.
//! A proxy's word for method and path is believed from its configured address alone, and no ability is ever taken from
//! a request.

use std::fmt;

use actix_web::{
    HttpRequest, HttpResponse, ResponseError,
    dev::ServiceRequest,
    http::{
        StatusCode,
        header::{HeaderName, HeaderValue},
    },
    web::Data,
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
    let user = principal.map(Principal::user);
    let text = |value: Option<String>| value.unwrap_or_default();
    let email = text(user.map(|user| user.email.to_string()));
    let abilities =
        principal.map(|principal| principal.abilities().iter().map(ToString::to_string).collect::<Vec<_>>().join(" "));
    let id = text(user.map(|user| user.id.to_string()));
    let identity = [
        // What an upstream tells people apart by must be theirs for good; an address is what its owner last typed.
        ("remote-user", id.clone()),
        ("remote-email", email.clone()),
        ("remote-name", text(user.map(|user| user.name.to_string()))),
        ("remote-groups", String::new()),
        ("x-auth-request-user", id),
        ("x-auth-request-email", email),
        ("x-auth-token-id", text(principal.map(|principal| principal.id().to_string()))),
        ("x-auth-token-kind", text(principal.map(|principal| principal.kind().as_str().to_owned()))),
        ("x-auth-abilities", text(abilities)),
        ("x-auth-environment-id", String::new()),
    ];
    let mut response = HttpResponse::Ok();
    for (name, value) in identity {
        let value = HeaderValue::from_bytes(value.as_bytes())
            .map_err(|error| ops::Error::Internal(format!("{name} cannot be sent: {error}")))?;
        response.insert_header((HeaderName::from_static(name), value));
    }
    Ok(response.finish())
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
