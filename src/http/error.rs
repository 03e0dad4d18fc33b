//! The only file that knows status codes: errors as answers (the contract, "Answers").

use std::{borrow::Cow, collections::BTreeMap, fmt};

use actix_http::ResponseHead;
use actix_web::{
    HttpResponse, ResponseError,
    body::BoxBody,
    http::{
        ConnectionType, Method, StatusCode,
        header::{self, HeaderValue},
    },
};
use serde::Serialize;

use super::envelope::add_rate_state;
use crate::{
    domain::{ability::Ability, path::AmbiguousPath, secret::CredentialKind},
    ops::{
        self, FieldError, StateConflict, authorization::PolicyRejection, throttle::Throttled, usage_limits::RateState,
        verification::Rejection,
    },
    store::StoreError,
};

/// Why a request is not answered with what it asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ApiError {
    /// An operation said no.
    Ops(ops::Error),
    /// The `Authorization` header cannot be read (RFC 6750, section 3.1, `invalid_request`).
    MalformedAuthorization(&'static str),
    /// The body or the query cannot be read.
    Malformed(String),
    /// The form of an OAuth endpoint cannot be read (RFC 6749, section 5.2).
    MalformedForm(String),
    /// A proxy's question from an address that is no proxy's.
    UntrustedProxy,
    /// A proxy's question that does not say what is to be decided.
    IncompleteForwardedRequest,
    /// Nothing is at that path.
    UnknownRoute,
    /// The path does not take the method; these it does take.
    MethodNotAllowed(String),
    /// The head exceeds the limit, in bytes.
    HeadTooLarge(usize),
    /// The body exceeds the limit, in bytes.
    BodyTooLarge(usize),
    /// The body is not declared as what is taken, which is named here.
    WrongMediaType(&'static str),
    /// The body did not arrive in time.
    BodyTimeout,
    /// The answer was not ready in time. A change may or may not have happened.
    Deadline,
    /// As many large answers are in memory as may be.
    TooManyAnswers,
    /// Shutdown has begun.
    Draining,
    /// The handler panicked.
    Panicked,
}

/// Answers 404 where no route is.
pub(super) async fn unknown_route() -> Result<(), ApiError> {
    Err(ApiError::UnknownRoute)
}

impl<E: Into<ops::Error>> From<E> for ApiError {
    fn from(error: E) -> Self {
        Self::Ops(error.into())
    }
}

/// For the log: it may name what the answer does not.
impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // The messages of violations can quote what was sent.
            Self::Ops(ops::Error::Invalid(_)) => f.write_str("invalid"),
            Self::Ops(error) => error.fmt(f),
            other => f.write_str(other.answer().code),
        }
    }
}

/// The body of an error, with Laravel's keys and a code for machines.
#[derive(Serialize)]
struct ErrorView<'e> {
    message: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<BTreeMap<String, Vec<String>>>,
    code: &'static str,
    /// OAuth's word, where an OAuth client reads the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
    /// The abilities that are needed, all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    required: Option<Vec<&'e str>>,
    /// The token that took the place of the one that was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    successor: Option<String>,
}

/// What an error looks like outside.
struct Answer {
    status: StatusCode,
    code: &'static str,
    message: Cow<'static, str>,
}

impl ApiError {
    fn answer(&self) -> Answer {
        use ops::Error as Ops;
        let of = |status, code, message: &'static str| Answer { status, code, message: message.into() };
        let with = |status, code, message: String| Answer { status, code, message: message.into() };
        match self {
            Self::Ops(Ops::Throttled(_) | Ops::Rejected(Rejection::RateLimited(_))) => {
                of(StatusCode::TOO_MANY_REQUESTS, "too_many_attempts", "Too Many Attempts.")
            }
            Self::Ops(Ops::Rejected(Rejection::QuotaExceeded)) => {
                let message = "This token has been used as often as it may be.";
                of(StatusCode::TOO_MANY_REQUESTS, "quota_exceeded", message)
            }
            // Nothing was presented, so that this tells nothing about it.
            Self::Ops(Ops::Rejected(Rejection::Missing)) => {
                let message = "Unauthenticated. Send Authorization: Bearer <token>.";
                of(StatusCode::UNAUTHORIZED, "unauthenticated", message)
            }
            Self::Ops(Ops::Rejected(_) | Ops::SignInRefused) => {
                of(StatusCode::UNAUTHORIZED, "unauthenticated", "Unauthenticated.")
            }
            Self::Ops(Ops::SessionRequired) => {
                let message = "This needs a session: sign in, and send the session token instead.";
                of(StatusCode::FORBIDDEN, "session_required", message)
            }
            Self::Ops(Ops::NotSelfRotating(CredentialKind::EnvironmentToken)) => {
                let message = "A token of an environment does not replace itself. Whoever has the role does, with a \
                    session: POST /api/v1/environments/{id}/tokens/{token_id}/regenerate.";
                of(StatusCode::FORBIDDEN, "session_required", message)
            }
            Self::Ops(Ops::NotSelfRotating(_)) => {
                let message = "This replaces the token that asks for it, and a session is none. With a session: \
                    POST /api/v1/user/api-tokens/{id}/rotate.";
                of(StatusCode::FORBIDDEN, "token_required", message)
            }
            Self::Ops(Ops::MissingAbility(_)) => {
                of(StatusCode::FORBIDDEN, "missing_ability", "Invalid ability provided.")
            }
            Self::Ops(Ops::RoleRequired) => {
                let message = "Your role in this environment does not allow this.";
                of(StatusCode::FORBIDDEN, "role_required", message)
            }
            Self::Ops(Ops::Conflict(obstacle)) => {
                let message = match obstacle {
                    StateConflict::DefaultEnvironment => "A default environment cannot be deleted.",
                    StateConflict::TokenExpired => "The token has expired. Make a new one instead.",
                    StateConflict::OwnerDisabled => "The account of this environment's owner is disabled.",
                };
                of(StatusCode::CONFLICT, obstacle.code(), message)
            }
            Self::Ops(Ops::Policy(denied)) => {
                let message = match denied {
                    PolicyRejection::UnknownPolicy => "There is no such policy.".into(),
                    PolicyRejection::MalformedPath(AmbiguousPath::NotAbsolute) => {
                        "The path must begin with a slash.".into()
                    }
                    PolicyRejection::MalformedPath(why) => format!("This is no path: it {why}."),
                    PolicyRejection::AmbiguousPath(why) => format!("This path can be read in two ways: it {why}."),
                    PolicyRejection::NoRule => "No rule lets this request through.".into(),
                    PolicyRejection::WrongKind => "This kind of credential is not accepted here.".into(),
                };
                with(StatusCode::FORBIDDEN, denied.code(), message)
            }
            Self::UntrustedProxy => {
                let message = "Only a proxy that server.trusted_proxies names may ask.";
                of(StatusCode::FORBIDDEN, "untrusted_proxy", message)
            }
            Self::IncompleteForwardedRequest => {
                let message = "The proxy must name the request's method and path, once each: auth-request in \
                    X-Original-Method and X-Original-URI, forward-auth in X-Forwarded-Method and X-Forwarded-Uri, \
                    ext-authz in its own method and in what follows the policy in its path.";
                of(StatusCode::FORBIDDEN, "incomplete_request", message)
            }
            Self::Ops(Ops::AlreadyRotated(_)) => {
                let message = "This token was rotated already, and its successor stays.";
                of(StatusCode::CONFLICT, "already_rotated", message)
            }
            Self::Ops(Ops::Replaced(_)) => {
                let message = "Rotation has ended this token already, and its successor is good. Nothing was changed: ask \
                    for the same with the successor's id if that is to end, too.";
                of(StatusCode::CONFLICT, "already_rotated", message)
            }
            Self::Ops(Ops::NotFound) => of(StatusCode::NOT_FOUND, "not_found", "Not found."),
            Self::Ops(Ops::RegistrationClosed) => {
                let message = "Registration is switched off on this server. Ask its administrator for an account.";
                of(StatusCode::NOT_FOUND, "not_found", message)
            }
            Self::Ops(Ops::Invalid(violations)) => {
                with(StatusCode::UNPROCESSABLE_ENTITY, "validation_failed", summary(violations))
            }
            Self::Ops(Ops::Busy) => {
                of(StatusCode::SERVICE_UNAVAILABLE, "busy", "Too many sign-ins at once. Try again.")
            }
            Self::Ops(Ops::Exhausted(_)) => {
                let message = "The server is short of memory or threads. Nothing was decided. Try again.";
                of(StatusCode::SERVICE_UNAVAILABLE, "resources_exhausted", message)
            }
            Self::Ops(Ops::Store(StoreError::NotMade(_))) => {
                let message = "The store is unavailable. Nothing was changed: try again.";
                of(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", message)
            }
            Self::Ops(Ops::Store(StoreError::Unavailable(_))) => {
                let message = "The store is unavailable. A change may or may not have happened.";
                of(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", message)
            }
            Self::Ops(Ops::Store(_) | Ops::Internal(_)) | Self::Panicked => {
                of(StatusCode::INTERNAL_SERVER_ERROR, "server_error", "Server Error")
            }
            Self::MalformedAuthorization(message) => of(StatusCode::BAD_REQUEST, "malformed_request", message),
            Self::Malformed(message) | Self::MalformedForm(message) => {
                with(StatusCode::BAD_REQUEST, "malformed_request", message.clone())
            }
            Self::UnknownRoute => of(StatusCode::NOT_FOUND, "not_found", "There is nothing at this path."),
            Self::MethodNotAllowed(allowed) => {
                let message = format!("This path takes {allowed}.");
                with(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
            }
            Self::HeadTooLarge(limit) => {
                let message = format!("The request's head must not exceed {limit} bytes.");
                with(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "head_too_large", message)
            }
            Self::BodyTooLarge(limit) => {
                let message = format!("The request's body must not exceed {limit} bytes.");
                with(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message)
            }
            Self::WrongMediaType(wanted) => {
                let message = format!("The body must be sent uncompressed, with the header Content-Type: {wanted}.");
                with(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message)
            }
            Self::BodyTimeout => {
                of(StatusCode::REQUEST_TIMEOUT, "request_timeout", "The request's body did not arrive in time.")
            }
            Self::Deadline => {
                let message = "This took too long. A change may or may not have happened.";
                of(StatusCode::SERVICE_UNAVAILABLE, "deadline_exceeded", message)
            }
            Self::TooManyAnswers => {
                of(StatusCode::SERVICE_UNAVAILABLE, "busy", "Too many large answers at once. Try again.")
            }
            Self::Draining => of(StatusCode::SERVICE_UNAVAILABLE, "draining", "The server is shutting down."),
        }
    }

    /// The refusal of a path that takes `methods`.
    pub(super) fn method_not_allowed(methods: &[Method]) -> Self {
        let allowed: Vec<&str> = methods.iter().map(Method::as_str).collect();
        Self::MethodNotAllowed(allowed.join(", "))
    }

    /// The code for machines.
    pub(super) fn code(&self) -> &'static str {
        self.answer().code
    }

    /// The challenge of RFC 6750, section 3, where a better credential would help.
    fn challenge(&self) -> Option<&'static str> {
        match self {
            Self::Ops(ops::Error::Rejected(Rejection::Missing) | ops::Error::SignInRefused) => {
                Some(r#"Bearer realm="patd""#)
            }
            // It is good, and will be again or never.
            Self::Ops(ops::Error::Rejected(Rejection::RateLimited(_) | Rejection::QuotaExceeded)) => None,
            Self::Ops(ops::Error::Rejected(_)) => Some(r#"Bearer realm="patd", error="invalid_token""#),
            Self::Ops(ops::Error::SessionRequired | ops::Error::NotSelfRotating(_)) => {
                Some(r#"Bearer realm="patd", error="insufficient_scope""#)
            }
            Self::MalformedAuthorization(_) => Some(r#"Bearer realm="patd", error="invalid_request""#),
            _ => None,
        }
    }

    /// Checks are refused as often as they are answered, hence values that need no copy.
    fn add_headers(&self, head: &mut ResponseHead) {
        let headers = head.headers_mut();
        headers.append(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(challenge) = self.challenge() {
            headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        match self {
            Self::Ops(ops::Error::MissingAbility(needed)) => {
                let scope: Vec<&str> = needed.iter().map(Ability::as_str).collect();
                let challenge =
                    format!(r#"Bearer realm="patd", error="insufficient_scope", scope="{}""#, scope.join(" "));
                let challenge = HeaderValue::from_str(&challenge).expect("abilities are a header's value");
                headers.append(header::WWW_AUTHENTICATE, challenge);
            }
            Self::MethodNotAllowed(allowed) => {
                let allowed = HeaderValue::from_str(allowed).expect("methods are a header's value");
                headers.append(header::ALLOW, allowed);
            }
            Self::Ops(ops::Error::Throttled(throttled) | ops::Error::Rejected(Rejection::RateLimited(throttled))) => {
                headers.append(header::RETRY_AFTER, throttled.retry_after.as_secs().into());
                let Throttled { limit, resets_at, .. } = *throttled;
                add_rate_state(headers, RateState { limit, remaining: 0, resets_at });
            }
            Self::Ops(
                ops::Error::Busy
                | ops::Error::Exhausted(_)
                | ops::Error::Store(StoreError::NotMade(_) | StoreError::Unavailable(_)),
            )
            | Self::TooManyAnswers => {
                headers.append(header::RETRY_AFTER, 1.into());
            }
            // What is left of such a request cannot be told from the next one.
            Self::BodyTimeout | Self::HeadTooLarge(_) => head.set_connection_type(ConnectionType::Close),
            _ => {}
        }
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.answer().status
    }

    fn error_response(&self) -> HttpResponse {
        let Answer { status, code, message } = self.answer();
        let errors = match self {
            Self::Ops(ops::Error::Invalid(violations)) => Some(by_field(violations)),
            _ => None,
        };
        let error = matches!(self, Self::MalformedForm(_)).then_some("invalid_request");
        let required = match self {
            Self::Ops(ops::Error::MissingAbility(needed)) => Some(needed.iter().map(Ability::as_str).collect()),
            _ => None,
        };
        let successor = match self {
            Self::Ops(ops::Error::AlreadyRotated(successor)) => *successor,
            Self::Ops(ops::Error::Replaced(successor)) => Some(*successor),
            _ => None,
        };
        let successor = successor.map(|id| id.to_string());
        let view = ErrorView { message, errors, code, error, required, successor };
        let body = serde_json::to_vec(&view).expect("texts are JSON");
        let mut response = HttpResponse::with_body(status, BoxBody::new(body));
        self.add_headers(response.head_mut());
        response
    }
}

fn summary(violations: &[FieldError]) -> String {
    let first = violations.first().map_or("The given data was invalid.", |first| &first.message);
    match violations.len() {
        0 | 1 => first.to_owned(),
        2 => format!("{first} (and 1 more error)"),
        many => format!("{first} (and {} more errors)", many - 1),
    }
}

fn by_field(violations: &[FieldError]) -> BTreeMap<String, Vec<String>> {
    let mut fields: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for FieldError { field, message } in violations {
        fields.entry(field.clone()).or_default().push(message.clone());
    }
    fields
}
