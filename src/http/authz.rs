//! What a reverse proxy asks of every request: may it pass? One endpoint a dialect, one decision behind them.
//!
//! A yes is exactly 200 with an empty body, and sets every identity header, so that nothing a client forged survives.
//! A proxy's word for method and path is believed from its configured address alone, and no ability is ever taken from
//! a request.
//!
//! These are asked for every request of every application, so they stand in front of the route table and its
//! extractors ([`super::envelope`]): nothing is done for them that they do not need.

use std::borrow::Cow;

use actix_http::Request;
use actix_web::{
    HttpMessage, ResponseError,
    body::BoxBody,
    dev::Response,
    http::{
        Method, StatusCode,
        header::{self, HeaderMap, HeaderName, HeaderValue},
    },
};

use super::{
    AppState, client::caller, error::ApiError, expiry, guard::PrincipalSummary, identity,
    policy_credential::credential, table::EVERY_METHOD,
};
use crate::{
    domain::{policy::Policy, policy_options::Challenges},
    ops::{
        authorization::{self, ForwardedRequest, PolicyRejection, Refusal},
        verification::Caller,
    },
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
    only_401_403: bool,
    /// Where it tells method and path of the request that is to pass.
    extract: fn(&Request) -> Result<(&str, &str), ApiError>,
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
        only_401_403: true,
        extract: |request| Ok((header(request, &X_ORIGINAL_METHOD)?, header(request, &X_ORIGINAL_URI)?)),
    },
    // Traefik's `forwardAuth` and Caddy's `forward_auth`, which hand any refusal on to the client.
    Dialect {
        prefix: "/api/authz/forward-auth/",
        pattern: "/api/authz/forward-auth/{policy}",
        methods: READING,
        path_follows: false,
        only_401_403: false,
        extract: |request| Ok((header(request, &X_FORWARDED_METHOD)?, header(request, &X_FORWARDED_URI)?)),
    },
    // Envoy's HTTP `ext_authz`, which asks with the client's own method and with its path behind the endpoint's.
    Dialect {
        prefix: EXT_AUTHZ,
        pattern: "/api/authz/ext-authz/{policy}/{tail:.*}",
        methods: None,
        path_follows: true,
        only_401_403: false,
        extract: |request| {
            let behind = request.uri().path_and_query().and_then(|target| target.as_str().strip_prefix(EXT_AUTHZ));
            let slash = behind.and_then(|behind| behind.find('/').map(|at| &behind[at..]));
            Ok((request.method().as_str(), slash.ok_or(ApiError::IncompleteForwardedRequest)?))
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
        if self.only_401_403 && !taken {
            *response.status_mut() = StatusCode::FORBIDDEN;
        }
        response.headers_mut().append(X_AUTH_ERROR, HeaderValue::from_static(error.code().name()));
        response.into()
    }

    /// The same by a policy, which asks for a credential in its own way.
    fn refuse_by(&self, policy: &Policy, refusal: &Refusal<ApiError>) -> Response<BoxBody> {
        let mut response = self.refuse(&refusal.error);
        let challenges = policy.options().challenges;
        if response.status() == StatusCode::UNAUTHORIZED && challenges != Challenges::default() {
            set_challenges(response.headers_mut(), challenges);
        }
        if let Some(principal) = &refusal.principal
            && let Err(error) = identity::add_refused(response.headers_mut(), principal, &refusal.error)
        {
            return self.refuse(&error);
        }
        response
    }
}

/// One header for each scheme. Basic comes first, since nginx before 1.23 hands on the first alone, and who needs Bearer
/// sends it unasked.
fn set_challenges(headers: &mut HeaderMap, challenges: Challenges) {
    let bearer = headers.get(header::WWW_AUTHENTICATE).cloned();
    headers.remove(header::WWW_AUTHENTICATE);
    if challenges.basic {
        headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_static(r#"Basic realm="patd", charset="UTF-8""#));
    }
    if let Some(bearer) = bearer.filter(|_| challenges.bearer) {
        headers.append(header::WWW_AUTHENTICATE, bearer);
    }
}

/// Why a request may not pass, and who asked if that is known: for the log.
pub(super) struct Refused {
    pub(super) error: ApiError,
    pub(super) asker: Option<PrincipalSummary>,
}

impl Refused {
    fn stranger(error: ApiError) -> Box<Self> {
        Box::new(Self { error, asker: None })
    }
}

/// Answers what a proxy asks, and says who passes (nobody, by a public rule) or who does not. Few do not, hence the box:
/// the answer is moved often.
pub(super) async fn answer(
    state: &AppState,
    dialect: &Dialect,
    request: &Request,
) -> (Response<BoxBody>, Result<Option<PrincipalSummary>, Box<Refused>>) {
    if let Some(methods) = dialect.methods.filter(|methods| !methods.contains(request.method())) {
        let error = ApiError::method_not_allowed(methods);
        return (error.error_response().into(), Err(Refused::stranger(error)));
    }
    let (forwarded, caller) = match parse(state, dialect, request) {
        Ok(parse) => parse,
        Err(error) => return (dialect.refuse(&error), Err(Refused::stranger(error))),
    };
    let options = forwarded.policy.options();
    let credential = || credential(request.headers(), options, &state.ops.rules.prefixes);
    let decided = authorization::authorize(&state.ops, forwarded, caller, credential).await;
    match decided.and_then(|principal| {
        let allow = identity::allow(principal.as_ref(), options.identity_headers).map_err(Refusal::of_stranger)?;
        Ok((allow, principal))
    }) {
        Ok((mut allow, principal)) => {
            let asker = principal.as_ref().map(PrincipalSummary::of);
            expiry::announce(allow.headers_mut(), asker.and_then(|asker| asker.token_end), &state.ops.clock);
            (allow, Ok(asker))
        }
        Err(refusal) => {
            let response = dialect.refuse_by(forwarded.policy, &refusal);
            let asker = refusal.principal.as_deref().map(PrincipalSummary::of);
            (response, Err(Box::new(Refused { error: refusal.error, asker })))
        }
    }
}

/// What is asked, and for whom.
fn parse<'r>(
    state: &'r AppState,
    dialect: &Dialect,
    request: &'r Request,
) -> Result<(ForwardedRequest<'r>, Caller<'r>), ApiError> {
    let peer = request.peer_addr().ok_or(ApiError::UntrustedProxy)?;
    if !state.trusts(peer.ip()) {
        return Err(ApiError::UntrustedProxy);
    }
    let name = dialect.policy(request.path()).ok_or(PolicyRejection::UnknownPolicy)?;
    let policy = authorization::find_policy(&state.ops.rules.policies, name)?;
    let (method, target) = (dialect.extract)(request)?;
    Ok((ForwardedRequest { policy, method, target }, caller(Some(peer), request.headers(), state)))
}

/// A proxy's question as its log line tells it.
pub(super) struct Asked<'r> {
    pub(super) policy: &'r str,
    pub(super) method: &'r str,
    pub(super) path: Cow<'r, str>,
    pub(super) client: String,
}

impl<'r> Asked<'r> {
    /// `None` where nobody may ask, or it cannot be told what is asked.
    pub(super) fn of(state: &'r AppState, dialect: &Dialect, request: &'r Request) -> Option<Self> {
        let (ForwardedRequest { policy, method, target }, caller) = parse(state, dialect, request).ok()?;
        let client = caller.address.map_or_else(|| "-".to_owned(), |address| address.to_string());
        Some(Self { policy: policy.name(), method, path: logged_path(target), client })
    }
}

/// The most bytes of a path that a log line has.
const LOGGED_PATH: usize = 256;
/// Letters and digits in a row that could be a secret. An id of the usual form has hyphens.
const COULD_BE_SECRET: usize = 33;

/// A path without its query, and without what could be a secret in it.
fn logged_path(target: &str) -> Cow<'_, str> {
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '%');
    let has_secret = path.split(|c| !is_part(c)).any(|run| run.len() >= COULD_BE_SECRET);
    if !has_secret && path.len() <= LOGGED_PATH {
        return Cow::Borrowed(path);
    }
    let mut logged = String::new();
    for piece in path.split_inclusive(|c| !is_part(c)) {
        let run = piece.trim_end_matches(|c| !is_part(c));
        logged += if run.len() >= COULD_BE_SECRET { "[hidden]" } else { run };
        logged += &piece[run.len()..];
    }
    if let Some((end, _)) = logged.char_indices().find(|(at, c)| at + c.len_utf8() > LOGGED_PATH) {
        logged.truncate(end);
        logged += "...";
    }
    Cow::Owned(logged)
}

/// A header that must be there once, as text.
fn header<'r>(request: &'r Request, name: &HeaderName) -> Result<&'r str, ApiError> {
    let mut values = request.headers().get_all(name);
    let value = values.next().and_then(|value| value.to_str().ok()).ok_or(ApiError::IncompleteForwardedRequest)?;
    if values.next().is_some() { Err(ApiError::IncompleteForwardedRequest) } else { Ok(value) }
}

const X_ORIGINAL_METHOD: HeaderName = HeaderName::from_static("x-original-method");
const X_ORIGINAL_URI: HeaderName = HeaderName::from_static("x-original-uri");
const X_FORWARDED_METHOD: HeaderName = HeaderName::from_static("x-forwarded-method");
const X_FORWARDED_URI: HeaderName = HeaderName::from_static("x-forwarded-uri");
const X_AUTH_ERROR: HeaderName = HeaderName::from_static("x-auth-error");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logged_path_has_no_query_and_no_secret() {
        let secret = format!("pat_{}{}", "A".repeat(40), "0".repeat(8));
        let id = "01a21b2f-4b1c-7749-9917-7eb7d4b53ac2";
        for (target, logged) in [
            ("/calls/1?token=x", "/calls/1".to_owned()),
            ("/calls/1#token", "/calls/1".to_owned()),
            (&format!("/calls/{id}/notes"), format!("/calls/{id}/notes")),
            (&format!("/hooks/{secret}/x"), "/hooks/[hidden]/x".to_owned()),
            (&format!("/hooks/12|{secret}"), "/hooks/12|[hidden]".to_owned()),
            (&format!("/hooks/{}", secret.replace('A', "%41")), "/hooks/[hidden]".to_owned()),
            (&format!("/{}", "é/".repeat(200)), format!("/{}...", "é/".repeat(85))),
        ] {
            assert_eq!(logged_path(target), logged, "{target}");
        }
    }
}
