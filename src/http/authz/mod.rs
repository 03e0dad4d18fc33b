//! The authorization endpoints, which reverse proxies call for every request to an application. There is one endpoint
//! for each dialect, and they decide in the same way.
//!
//! Access is granted by status 200 with an empty body and all identity headers, so that the proxy replaces the ones
//! that a client forged. The method and the path of the forwarded request are accepted from trusted proxies only. The
//! abilities come from the policy and never from a request.
//!
//! Because these requests are the most frequent ones, the envelope ([`super::wire::envelope`]) calls them directly,
//! without the route table and its extractors.

mod credential;
mod identity_headers;

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

use self::credential::credential;
use super::{
    error::ApiError,
    headers,
    input::client::caller,
    route_table::ALL_METHODS,
    state::{AppState, request_counts::Route},
    wire::{access_log::LoggedCheck, principal_summary::PrincipalSummary},
};
use crate::{
    domain::{
        policy::{Access, Policy},
        policy_options::Challenges,
    },
    ops::{
        authorization::{self, ForwardedRequest, PolicyRejection, RuleRequirement},
        principal::Principal,
        state::measurements::Via,
        verification::{Caller, authenticate},
    },
    store::Reply,
};

/// The way in which one kind of proxy asks.
pub(super) struct Dialect {
    /// The beginning of the path. The name of the policy follows.
    prefix: &'static str,
    /// The whole path, as the route table writes paths.
    pattern: &'static str,
    /// What metrics call it.
    via: Via,
    /// The methods that the proxy uses. `None` means any.
    methods: Option<&'static [Method]>,
    /// Whether the path of the forwarded request follows the name of the policy.
    path_follows: bool,
    /// Whether the proxy makes an error of every status except 200, 401 and 403.
    only_401_403: bool,
    /// Extracts the method and the target of the forwarded request.
    extract: fn(&Request) -> Result<(&str, &str), ApiError>,
}

const GET_HEAD: Option<&[Method]> = Some(&[Method::GET, Method::HEAD]);

const EXT_AUTHZ: &str = "/api/authz/ext-authz/";

static DIALECTS: [Dialect; 3] = [
    // nginx's `auth_request`. It accepts 200, 401 and 403, and answers 500 for all others.
    Dialect {
        prefix: "/api/authz/auth-request/",
        pattern: "/api/authz/auth-request/{policy}",
        via: Via::AuthRequest,
        methods: GET_HEAD,
        path_follows: false,
        only_401_403: true,
        extract: |request| Ok((header(request, &X_ORIGINAL_METHOD)?, header(request, &X_ORIGINAL_URI)?)),
    },
    // Traefik's `forwardAuth` and Caddy's `forward_auth`. They pass every refusal on to the client.
    Dialect {
        prefix: "/api/authz/forward-auth/",
        pattern: "/api/authz/forward-auth/{policy}",
        via: Via::ForwardAuth,
        methods: GET_HEAD,
        path_follows: false,
        only_401_403: false,
        extract: |request| Ok((header(request, &X_FORWARDED_METHOD)?, header(request, &X_FORWARDED_URI)?)),
    },
    // Envoy's HTTP `ext_authz`. It uses the client's method and appends the client's path to that of the endpoint.
    Dialect {
        prefix: EXT_AUTHZ,
        pattern: "/api/authz/ext-authz/{policy}/{tail:.*}",
        via: Via::ExtAuthz,
        methods: None,
        path_follows: true,
        only_401_403: false,
        extract: |request| {
            let after = request.uri().path_and_query().and_then(|target| target.as_str().strip_prefix(EXT_AUTHZ));
            let target = after.and_then(|after| after.find('/').map(|slash| &after[slash..]));
            Ok((request.method().as_str(), target.ok_or(ApiError::IncompleteForwardedRequest)?))
        },
    },
];

impl Dialect {
    /// The dialect of a request to `path`, if that is an authorization endpoint.
    pub(super) fn of(path: &str) -> Option<&'static Self> {
        DIALECTS.iter().find(|dialect| dialect.policy(path).is_some())
    }

    /// Every path with its methods, for the list of routes.
    pub(super) fn routes() -> impl Iterator<Item = (Method, &'static str)> {
        DIALECTS.iter().flat_map(|dialect| {
            let methods = dialect.methods.unwrap_or(&ALL_METHODS);
            methods.iter().map(|method| (method.clone(), dialect.pattern))
        })
    }

    /// The path, as the route table writes paths.
    pub(super) fn pattern(&self) -> &'static str {
        self.pattern
    }

    /// What metrics call it.
    pub(super) fn via(&self) -> Via {
        self.via
    }

    /// Its place among all routes: these are listed first, in the order of the values of [`Via`].
    pub(super) fn route(&self) -> Route {
        Route::at(self.via as usize)
    }

    /// The name of the policy, if `path` is one of this dialect.
    fn policy<'p>(&self, path: &'p str) -> Option<&'p str> {
        let after = path.strip_prefix(self.prefix)?;
        let end = after.bytes().position(|byte| byte == b'/').unwrap_or(after.len());
        (end > 0 && (end < after.len()) == self.path_follows).then(|| &after[..end])
    }

    /// The answer to a refused check, with the code of the error in `X-Auth-Error`.
    pub(super) fn refuse(&self, error: &ApiError) -> Response<BoxBody> {
        let mut response = error.error_response();
        let status = response.status();
        let is_accepted =
            [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&status) || status.is_server_error();
        if self.only_401_403 && !is_accepted {
            *response.status_mut() = StatusCode::FORBIDDEN;
        }
        response.headers_mut().append(X_AUTH_ERROR, HeaderValue::from_static(error.code().name()));
        response.into()
    }

    /// The answer to a check that `policy` refused, with the challenges of the policy and the identity of the
    /// principal.
    fn refuse_by(&self, policy: &Policy, refusal: &Refusal) -> Response<BoxBody> {
        let mut response = self.refuse(&refusal.error);
        let challenges = policy.options().challenges;
        if response.status() == StatusCode::UNAUTHORIZED && challenges != Challenges::default() {
            set_challenges(response.headers_mut(), challenges);
        }
        if let Some(principal) = &refusal.principal
            && let Err(error) = identity_headers::add_refused(response.headers_mut(), principal, &refusal.error)
        {
            return self.refuse(&error);
        }
        response
    }
}

/// Sets one header for each challenge. Basic is first, since nginx before 1.23 passes on the first one only, and
/// clients that use Bearer do not wait for a challenge.
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

/// Why a check was refused, and the principal if it is known, for the log line.
pub(super) struct Refused {
    pub(super) error: ApiError,
    pub(super) principal: Option<PrincipalSummary>,
}

impl Refused {
    fn unidentified(error: ApiError) -> Box<Self> {
        Box::new(Self { error, principal: None })
    }
}

/// Answers a check. The second value is for the log line: the principal (`None` for a public rule), or the reason of
/// the refusal. That one is boxed to keep the result small, because it is moved for every check and most are accepted.
pub(super) async fn answer(
    state: &AppState,
    dialect: &Dialect,
    request: &Request,
) -> (Response<BoxBody>, Result<Option<PrincipalSummary>, Box<Refused>>) {
    if let Some(methods) = dialect.methods.filter(|methods| !methods.contains(request.method())) {
        let error = ApiError::method_not_allowed(methods);
        return (error.error_response().into(), Err(Refused::unidentified(error)));
    }
    let (forwarded, caller) = match parse(state, dialect, request) {
        Ok(parsed) => parsed,
        Err(error) => return (dialect.refuse(&error), Err(Refused::unidentified(error))),
    };
    let decided = decide(state, forwarded, caller, request.headers()).await;
    match decided.and_then(|principal| {
        let allowed = identity_headers::allow(principal.as_ref(), forwarded.policy.options().identity_headers)?;
        Ok((allowed, principal))
    }) {
        Ok((mut allowed, principal)) => {
            let principal = principal.as_ref().map(PrincipalSummary::new);
            let expires_at = principal.and_then(|principal| principal.token_expires_at);
            headers::add_token_expiry(allowed.headers_mut(), expires_at, &state.ops.clock);
            (allowed, Ok(principal))
        }
        Err(refusal) => {
            let response = dialect.refuse_by(forwarded.policy, &refusal);
            let principal = refusal.principal.as_deref().map(PrincipalSummary::new);
            (response, Err(Box::new(Refused { error: refusal.error, principal })))
        }
    }
}

/// Why the forwarded request is refused, and the principal if it is known.
struct Refusal {
    error: ApiError,
    principal: Option<Box<Principal>>,
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        Self { error, principal: None }
    }
}

impl From<authorization::Refusal> for Refusal {
    fn from(authorization::Refusal { error, principal }: authorization::Refusal) -> Self {
        Self { error: error.into(), principal }
    }
}

/// Finds the rule for the forwarded request and checks the credential against it. `None` means that the rule is public.
fn decide<'c>(
    state: &'c AppState,
    forwarded: ForwardedRequest<'c>,
    caller: Caller<'c>,
    headers: &'c HeaderMap,
) -> Reply<'c, Option<Principal>, Refusal> {
    let (ctx, options) = (&state.ops, forwarded.policy.options());
    let credential = || credential(headers, options, &ctx.rules.prefixes);
    let (index, access) = match authorization::find_rule(forwarded) {
        Ok((index, rule)) => (index, &rule.access),
        // No credential would help. The principal is looked up for the log line and the counts only, so errors do not
        // matter.
        Err(rejection) => match credential() {
            Ok(credential) => {
                return authenticate(ctx, &credential, caller).then(move |accepted| {
                    let principal = accepted.ok().map(Box::new);
                    if let Some(principal) = &principal {
                        authorization::count_policy_refusal(ctx, principal, forwarded.policy, &[]);
                    }
                    Reply::ready(Err(Refusal { error: rejection.into(), principal }))
                });
            }
            Err(_) => return Reply::ready(Err(ApiError::from(rejection).into())),
        },
    };
    match access {
        Access::Public => Reply::ready(Ok(None)),
        Access::Credential { kinds, abilities } => match credential() {
            Ok(credential) => {
                let rule = RuleRequirement { kinds, abilities, counted: Some((forwarded.policy, index)) };
                authorization::authorize(ctx, credential, caller, rule)
                    .then(|decided| Reply::ready(decided.map(Some).map_err(Refusal::from)))
            }
            Err(error) => Reply::ready(Err(error.into())),
        },
    }
}

/// The forwarded request and the caller, from a check.
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

/// A check for its log line. `None` if the forwarded request cannot be parsed or the proxy is not trusted.
pub(super) fn logged_check<'r>(
    state: &'r AppState,
    dialect: &Dialect,
    request: &'r Request,
) -> Option<LoggedCheck<'r>> {
    let (ForwardedRequest { policy, method, target }, caller) = parse(state, dialect, request).ok()?;
    let client = caller.address.map_or_else(|| "-".to_owned(), |address| address.to_string());
    Some(LoggedCheck { policy: policy.name(), method, target, client })
}

/// The value of a header that must be sent once.
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
