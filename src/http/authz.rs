//! What a reverse proxy asks of every request: may it pass? One endpoint a dialect, one decision behind them.
//!
//! A yes is exactly 200 with an empty body, and sets every identity header, so that nothing a client forged survives.
//! A proxy's word for method and path is believed from its configured address alone, and no ability is ever taken from
//! a request.
//!
//! These are asked for every request of every application, so they stand in front of the route table and its
//! extractors ([`super::envelope`]): nothing is done for them that they do not need.

use actix_http::Request;
use actix_web::{
    HttpMessage, ResponseError,
    body::BoxBody,
    dev::Response,
    http::{
        Method, StatusCode,
        header::{HeaderName, HeaderValue},
    },
    web::BytesMut,
};

use uuid::Uuid;

use super::{
    AppState,
    client::caller,
    envelope::add_allowance,
    error::ApiError,
    expiry,
    guard::{Asker, bearer_or_basic},
    table::EVERY_METHOD,
};
use crate::{
    ops::{
        self,
        principal::Principal,
        verification::{self, Caller, Passage, PolicyDenied},
    },
    store::Reply,
};

/// A way in which proxies ask.
pub(super) struct Dialect {
    /// What the path begins with; the policy's name follows.
    prefix: &'static str,
    /// The whole path, as the route table writes paths.
    pattern: &'static str,
    /// The methods that it is asked with; `None` is any.
    methods: Option<&'static [Method]>,
    /// Whether the path of the request that is to pass follows the policy's name.
    path_follows: bool,
    /// Whether it makes an error of its own of everything but 200, 401 and 403.
    three_statuses: bool,
    /// Where it tells method and path of the request that is to pass.
    told: fn(&Request) -> Result<(&str, &str), ApiError>,
}

const READING: Option<&[Method]> = Some(&[Method::GET, Method::HEAD]);

const EXT_AUTHZ: &str = "/api/authz/ext-authz/";

static DIALECTS: [Dialect; 3] = [
    // nginx's `auth_request`, which takes 200, 401 and 403 and makes 500 of the rest.
    Dialect {
        prefix: "/api/authz/auth-request/",
        pattern: "/api/authz/auth-request/{policy}",
        methods: READING,
        path_follows: false,
        three_statuses: true,
        told: |request| Ok((header(request, &X_ORIGINAL_METHOD)?, header(request, &X_ORIGINAL_URI)?)),
    },
    // Traefik's `forwardAuth` and Caddy's `forward_auth`, which hand any refusal on to the client.
    Dialect {
        prefix: "/api/authz/forward-auth/",
        pattern: "/api/authz/forward-auth/{policy}",
        methods: READING,
        path_follows: false,
        three_statuses: false,
        told: |request| Ok((header(request, &X_FORWARDED_METHOD)?, header(request, &X_FORWARDED_URI)?)),
    },
    // Envoy's HTTP `ext_authz`, which asks with the client's own method and with its path behind the endpoint's.
    Dialect {
        prefix: EXT_AUTHZ,
        pattern: "/api/authz/ext-authz/{policy}/{tail:.*}",
        methods: None,
        path_follows: true,
        three_statuses: false,
        told: |request| {
            let behind = request.uri().path_and_query().and_then(|target| target.as_str().strip_prefix(EXT_AUTHZ));
            let slash = behind.and_then(|behind| behind.find('/').map(|at| &behind[at..]));
            Ok((request.method().as_str(), slash.ok_or(ApiError::IncompletePassage)?))
        },
    },
];

impl Dialect {
    /// The one in which a request to `path` asks, if it asks.
    pub(super) fn of(path: &str) -> Option<&'static Self> {
        DIALECTS.iter().find(|dialect| dialect.policy(path).is_some())
    }

    /// Every path with its methods, for the list of routes.
    pub(super) fn routes() -> impl Iterator<Item = (Method, &'static str)> {
        DIALECTS.iter().flat_map(|dialect| {
            let methods = dialect.methods.unwrap_or(&EVERY_METHOD);
            methods.iter().map(|method| (method.clone(), dialect.pattern))
        })
    }

    /// The path as the route table would write it.
    pub(super) fn pattern(&self) -> &'static str {
        self.pattern
    }

    /// The name of the policy in `path`, if that is a path of this dialect.
    fn policy<'p>(&self, path: &'p str) -> Option<&'p str> {
        let rest = path.strip_prefix(self.prefix)?;
        let end = rest.bytes().position(|byte| byte == b'/').unwrap_or(rest.len());
        (end > 0 && (end < rest.len()) == self.path_follows).then(|| &rest[..end])
    }

    /// A no, in this dialect, with its code in `X-Auth-Error`.
    pub(super) fn refuse(&self, error: &ApiError) -> Response<BoxBody> {
        let mut response = error.error_response();
        let status = response.status();
        let taken = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&status) || status.is_server_error();
        if self.three_statuses && !taken {
            *response.status_mut() = StatusCode::FORBIDDEN;
        }
        response.headers_mut().append(X_AUTH_ERROR, HeaderValue::from_static(error.code()));
        response.into()
    }
}

/// Answers what a proxy asks, and says who passes (nobody, by a public rule) or why nobody does.
pub(super) async fn answer(
    state: &AppState,
    dialect: &Dialect,
    request: &Request,
) -> (Response<BoxBody>, Result<Option<Asker>, ApiError>) {
    if let Some(methods) = dialect.methods.filter(|methods| !methods.contains(request.method())) {
        let error = ApiError::method_not_allowed(methods);
        return (error.error_response().into(), Err(error));
    }
    match decide(state, dialect, request).await.and_then(|principal| Ok((yes(principal.as_ref())?, principal))) {
        Ok((mut yes, principal)) => {
            let asker = principal.as_ref().map(Asker::of);
            expiry::announce(yes.headers_mut(), asker.and_then(|asker| asker.token_end), &state.ops.clock);
            (yes, Ok(asker))
        }
        Err(error) => (dialect.refuse(&error), Err(error)),
    }
}

fn decide<'r>(state: &'r AppState, dialect: &Dialect, request: &'r Request) -> Reply<'r, Option<Principal>, ApiError> {
    match question(state, dialect, request) {
        Ok((passage, caller)) => {
            verification::authorize(&state.ops, passage, caller, || bearer_or_basic(request.headers()))
        }
        Err(error) => Reply::ready(Err(error)),
    }
}

/// What is asked, and for whom.
fn question<'r>(
    state: &AppState,
    dialect: &Dialect,
    request: &'r Request,
) -> Result<(Passage<'r>, Caller<'r>), ApiError> {
    let peer = request.peer_addr().ok_or(ApiError::UntrustedProxy)?;
    if !state.trusts(peer.ip()) {
        return Err(ApiError::UntrustedProxy);
    }
    let policy = dialect.policy(request.path()).ok_or(PolicyDenied::UnknownPolicy)?;
    let (method, target) = (dialect.told)(request)?;
    Ok((Passage { policy, method, target }, caller(Some(peer), request.headers(), state)))
}

/// A header that must be there once, as text.
fn header<'r>(request: &'r Request, name: &HeaderName) -> Result<&'r str, ApiError> {
    let mut values = request.headers().get_all(name);
    let value = values.next().and_then(|value| value.to_str().ok()).ok_or(ApiError::IncompletePassage)?;
    if values.next().is_some() { Err(ApiError::IncompletePassage) } else { Ok(value) }
}

const X_ORIGINAL_METHOD: HeaderName = HeaderName::from_static("x-original-method");
const X_ORIGINAL_URI: HeaderName = HeaderName::from_static("x-original-uri");
const X_FORWARDED_METHOD: HeaderName = HeaderName::from_static("x-forwarded-method");
const X_FORWARDED_URI: HeaderName = HeaderName::from_static("x-forwarded-uri");
const X_AUTH_ERROR: HeaderName = HeaderName::from_static("x-auth-error");

/// 200, and who it is under the names that upstreams read already (Authelia's and oauth2-proxy's) and under our own. All
/// are set, so that nothing that a client sent under these names survives.
fn yes(principal: Option<&Principal>) -> Result<Response<BoxBody>, ApiError> {
    let who = match principal {
        Some(principal) => Identity::of(principal)?,
        None => Identity::NOBODY,
    };
    let mut response = Response::new(StatusCode::OK);
    let headers = response.headers_mut();
    headers.append(REMOTE_USER, who.user.clone());
    headers.append(REMOTE_EMAIL, who.email.clone());
    headers.append(REMOTE_NAME, who.name);
    headers.append(REMOTE_GROUPS, NOTHING);
    headers.append(X_AUTH_REQUEST_USER, who.user);
    headers.append(X_AUTH_REQUEST_EMAIL, who.email);
    headers.append(X_AUTH_TOKEN_ID, who.token);
    headers.append(X_AUTH_TOKEN_KIND, who.kind);
    headers.append(X_AUTH_ABILITIES, who.abilities);
    headers.append(X_AUTH_ENVIRONMENT_ID, who.environment);
    if let Some(allowance) = principal.and_then(Principal::allowance) {
        add_allowance(headers, allowance);
    }
    Ok(response)
}

/// A principal as headers say it.
struct Identity {
    user: HeaderValue,
    email: HeaderValue,
    name: HeaderValue,
    token: HeaderValue,
    kind: HeaderValue,
    abilities: HeaderValue,
    environment: HeaderValue,
}

impl Identity {
    const NOBODY: Self = Self {
        user: NOTHING,
        email: NOTHING,
        name: NOTHING,
        token: NOTHING,
        kind: NOTHING,
        abilities: NOTHING,
        environment: NOTHING,
    };

    fn of(principal: &Principal) -> Result<Self, ApiError> {
        // One buffer for all the values: this is done for every request of every application.
        let mut values = Values(BytesMut::with_capacity(512));
        let mut who = Self { kind: HeaderValue::from_static(principal.kind().as_str()), ..Self::NOBODY };
        // What an upstream tells people apart by must be theirs for good; an address is what its owner last typed.
        if let Some(person) = principal.person() {
            who.user = values.take_id(person.id.uuid())?;
            who.email = values.take(person.email.as_str())?;
            who.name = values.take(person.name.as_str())?;
        }
        if let Some(environment) = principal.environment() {
            who.environment = values.take_id(environment.uuid())?;
        }
        who.token = values.take_id(principal.id())?;
        for (at, ability) in principal.abilities().iter().enumerate() {
            values.0.extend_from_slice(if at > 0 { b" " } else { b"" });
            values.0.extend_from_slice(ability.as_str().as_bytes());
        }
        who.abilities = values.take("")?;
        Ok(who)
    }
}

const NOTHING: HeaderValue = HeaderValue::from_static("");
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

/// Header values cut from one buffer.
struct Values(BytesMut);

impl Values {
    fn take_id(&mut self, id: Uuid) -> Result<HeaderValue, ApiError> {
        self.take(id.hyphenated().encode_lower(&mut Uuid::encode_buffer()))
    }

    /// What was added since the last one, and `text`.
    fn take(&mut self, text: &str) -> Result<HeaderValue, ApiError> {
        self.0.extend_from_slice(text.as_bytes());
        let value = HeaderValue::from_maybe_shared(self.0.split().freeze());
        Ok(value.map_err(|error| ops::Error::Internal(format!("a header cannot be sent: {error}")))?)
    }
}
