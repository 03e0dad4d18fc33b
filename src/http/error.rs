//! Errors as answers: which code of [`Code`] an error has, its message, and the headers and fields that it adds.

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
use uuid::Uuid;

use super::{
    codes::Code,
    headers::add_rate_state,
    messages::{SERVER_ERROR, operation_message},
};
use crate::{
    domain::{ability::Ability, secret::CredentialKind},
    ops::{
        self, FieldError, Throttled, authorization::PolicyRejection, state::measurements::CheckVerdict,
        usage_limits::RateState, verification::Rejection,
    },
    store::StoreError,
};

/// After how many seconds a client should try again while the clock is unreliable. A time service needs some to correct
/// it.
const CLOCK_RETRY_AFTER: u16 = 10;

/// Why a request failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ApiError {
    /// An operation failed.
    Ops(ops::Error),
    /// The `Authorization` header cannot be read (RFC 6750, section 3.1, `invalid_request`).
    MalformedAuthorization(&'static str),
    /// The body or the query cannot be read.
    Malformed(String),
    /// The form of an OAuth endpoint cannot be read (RFC 6749, section 5.2).
    MalformedForm(String),
    /// A proxy endpoint was called from an address that is not a trusted proxy's.
    UntrustedProxy,
    /// A proxy did not name the method and the path of the forwarded request.
    IncompleteForwardedRequest,
    /// No route has this path.
    UnknownRoute,
    /// The path does not accept the method. These are the ones that it accepts.
    MethodNotAllowed(String),
    /// The head exceeds the limit, in bytes.
    HeadTooLarge(usize),
    /// The body exceeds the limit, in bytes.
    BodyTooLarge(usize),
    /// The `Content-Type` is not the one that is accepted, which is named here.
    WrongMediaType(&'static str),
    /// The body did not arrive in time.
    BodyTimeout,
    /// The answer was not ready in time. A change may or may not have happened.
    Deadline,
    /// An equal request with the same `Idempotency-Key` was made before, and its answer had a secret, or what it made is gone.
    AlreadyCreated {
        /// The id of what it made.
        id: Uuid,
        /// What that is, and what to do if its secret was lost.
        way_out: &'static str,
    },
    /// The memory for large answers is used up.
    TooManyAnswers,
    /// Shutdown has begun.
    Draining,
    /// This node has no lease.
    NoLease,
    /// The handler panicked.
    Panicked,
}

/// Answers 404 for a path without a route.
pub(crate) async fn unknown_route() -> Result<(), ApiError> {
    Err(ApiError::UnknownRoute)
}

impl<E: Into<ops::Error>> From<E> for ApiError {
    fn from(error: E) -> Self {
        Self::Ops(error.into())
    }
}

/// For the log, which may give reasons that the answer must not.
impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // The messages can quote what was sent.
            Self::Ops(ops::Error::Invalid(_)) => f.write_str("invalid"),
            Self::Ops(error) => error.fmt(f),
            other => f.write_str(other.code().name()),
        }
    }
}

/// The body of an error: `message` and `errors` have Laravel's names, `code` is for programs.
#[derive(Serialize)]
struct ErrorView<'e> {
    message: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<BTreeMap<String, Vec<String>>>,
    code: &'static str,
    /// The error code of OAuth, if the endpoint is one of OAuth's.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
    /// The abilities that are needed, all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    required: Option<Vec<&'e str>>,
    /// What an earlier request with the same key has made.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// The token that replaced the named one.
    #[serde(skip_serializing_if = "Option::is_none")]
    successor: Option<String>,
    /// How many tokens were revoked before the error.
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked: Option<u64>,
}

impl ApiError {
    /// The code for programs.
    pub(crate) fn code(&self) -> Code {
        use ops::Error as Ops;
        match self {
            Self::Ops(error) => match error {
                Ops::Rejected(Rejection::RateLimited(_)) | Ops::Throttled(_) => Code::TooManyAttempts,
                Ops::Rejected(Rejection::QuotaExceeded) => Code::QuotaExceeded,
                Ops::Rejected(_) | Ops::SignInRefused => Code::Unauthenticated,
                Ops::SessionRequired | Ops::NotSelfRotating(CredentialKind::EnvironmentToken) => Code::SessionRequired,
                Ops::NotSelfRotating(_) => Code::TokenRequired,
                Ops::MissingAbility(_) => Code::MissingAbility,
                Ops::RoleRequired => Code::RoleRequired,
                Ops::AdminRequired => Code::AdminRequired,
                Ops::Conflict(conflict) => (*conflict).into(),
                Ops::Policy(rejection) => (*rejection).into(),
                Ops::AlreadyRotated(_) | Ops::Replaced(_) => Code::AlreadyRotated,
                Ops::NotFound | Ops::RegistrationClosed => Code::NotFound,
                Ops::Invalid(_) => Code::ValidationFailed,
                Ops::Busy => Code::Busy,
                Ops::ClockUnreliable(_) => Code::ClockUnreliable,
                Ops::Exhausted(_) => Code::ResourcesExhausted,
                Ops::Store(StoreError::NotMade(_) | StoreError::Unavailable(_)) => Code::StoreUnavailable,
                Ops::Store(_) | Ops::Internal(_) => Code::ServerError,
                Ops::AfterRevocations { error, .. } => Self::Ops((**error).clone()).code(),
            },
            Self::MalformedAuthorization(_) | Self::Malformed(_) | Self::MalformedForm(_) => Code::MalformedRequest,
            Self::UntrustedProxy => Code::UntrustedProxy,
            Self::IncompleteForwardedRequest => Code::IncompleteRequest,
            Self::UnknownRoute => Code::NotFound,
            Self::MethodNotAllowed(_) => Code::MethodNotAllowed,
            Self::HeadTooLarge(_) => Code::HeadTooLarge,
            Self::BodyTooLarge(_) => Code::BodyTooLarge,
            Self::WrongMediaType(_) => Code::UnsupportedMediaType,
            Self::BodyTimeout => Code::RequestTimeout,
            Self::Deadline => Code::DeadlineExceeded,
            Self::AlreadyCreated { .. } => Code::AlreadyCreated,
            Self::TooManyAnswers => Code::Busy,
            Self::Draining => Code::Draining,
            Self::NoLease => Code::NoLease,
            Self::Panicked => Code::ServerError,
        }
    }

    /// How a check ended that failed so.
    pub(crate) fn verdict(&self) -> CheckVerdict {
        use ops::Error as Ops;
        match self {
            Self::Ops(Ops::Rejected(rejection)) => (*rejection).into(),
            Self::Ops(Ops::MissingAbility(_)) => CheckVerdict::MissingAbility,
            Self::Ops(Ops::Policy(PolicyRejection::NoRule | PolicyRejection::WrongKind)) => CheckVerdict::PolicyRefused,
            Self::MalformedAuthorization(_) => CheckVerdict::Malformed,
            error if error.code().status().is_server_error() => CheckVerdict::Undecided,
            _ => CheckVerdict::BadQuestion,
        }
    }

    /// The error of the operation, if one failed.
    pub(crate) const fn operation(&self) -> Option<&ops::Error> {
        match self {
            Self::Ops(error) => Some(error),
            _ => None,
        }
    }

    /// The sentence for people.
    pub(crate) fn message(&self) -> Cow<'static, str> {
        match self {
            Self::Ops(error) => operation_message(error),
            Self::UntrustedProxy => {
                "Only a proxy whose address is in server.trusted_proxies may call this endpoint.".into()
            }
            Self::IncompleteForwardedRequest => {
                "The proxy must send the method and the path of the request, once each: for auth-request in \
                 X-Original-Method and X-Original-URI, for forward-auth in X-Forwarded-Method and X-Forwarded-Uri, for \
                 ext-authz as its own method and as the path behind the name of the policy."
                    .into()
            }
            Self::MalformedAuthorization(message) => (*message).into(),
            Self::Malformed(message) | Self::MalformedForm(message) => message.clone().into(),
            Self::UnknownRoute => "There is nothing at this path.".into(),
            Self::MethodNotAllowed(allowed) => format!("This path accepts {allowed}.").into(),
            Self::HeadTooLarge(limit) => format!("The request's head must not exceed {limit} bytes.").into(),
            Self::BodyTooLarge(limit) => format!("The request's body must not exceed {limit} bytes.").into(),
            Self::WrongMediaType(wanted) => {
                format!("The body must be sent uncompressed, with the header Content-Type: {wanted}.").into()
            }
            Self::BodyTimeout => "The request's body did not arrive in time.".into(),
            Self::Deadline => "This took too long. A change may or may not have happened.".into(),
            Self::AlreadyCreated { way_out, .. } => (*way_out).into(),
            Self::TooManyAnswers => "Too many large answers at once. Try again.".into(),
            Self::Draining => "The server is shutting down.".into(),
            Self::NoLease => {
                "This node has no lease: it cannot write to PostgreSQL, or does not reach it. It answers 503 until it can.".into()
            }
            Self::Panicked => SERVER_ERROR.into(),
        }
    }

    /// The error for a path that accepts `methods` only.
    pub(crate) fn method_not_allowed(methods: &[Method]) -> Self {
        let allowed: Vec<&str> = methods.iter().map(Method::as_str).collect();
        Self::MethodNotAllowed(allowed.join(", "))
    }

    /// The challenge of RFC 6750, section 3, if another credential can help.
    fn challenge(&self) -> Option<&'static str> {
        match self {
            Self::Ops(ops::Error::Rejected(Rejection::Missing) | ops::Error::SignInRefused) => {
                Some(r#"Bearer realm="patd""#)
            }
            // The credential is valid, so another one is not asked for.
            Self::Ops(ops::Error::Rejected(Rejection::RateLimited(_) | Rejection::QuotaExceeded)) => None,
            Self::Ops(ops::Error::Rejected(_)) => Some(r#"Bearer realm="patd", error="invalid_token""#),
            Self::Ops(ops::Error::SessionRequired | ops::Error::NotSelfRotating(_) | ops::Error::AdminRequired) => {
                Some(r#"Bearer realm="patd", error="insufficient_scope""#)
            }
            Self::MalformedAuthorization(_) => Some(r#"Bearer realm="patd", error="invalid_request""#),
            _ => None,
        }
    }

    /// Static values are not copied: refused checks are as frequent as accepted ones.
    fn add_headers(&self, head: &mut ResponseHead) {
        if let Self::Ops(ops::Error::AfterRevocations { error, .. }) = self {
            return Self::Ops((**error).clone()).add_headers(head);
        }
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
            Self::Ops(ops::Error::ClockUnreliable(_)) => {
                headers.append(header::RETRY_AFTER, CLOCK_RETRY_AFTER.into());
            }
            // The rest of this request would be read as the next one.
            Self::BodyTimeout | Self::HeadTooLarge(_) => head.set_connection_type(ConnectionType::Close),
            _ if self.code().status() == StatusCode::SERVICE_UNAVAILABLE => {
                headers.append(header::RETRY_AFTER, 1.into());
            }
            _ => {}
        }
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.code().status()
    }

    fn error_response(&self) -> HttpResponse {
        let code = self.code();
        let errors = match self {
            Self::Ops(ops::Error::Invalid(errors)) => Some(by_field(errors)),
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
        let id = match self {
            Self::AlreadyCreated { id, .. } => Some(id.to_string()),
            _ => None,
        };
        let revoked = match self {
            Self::Ops(ops::Error::AfterRevocations { revoked, .. }) => Some(*revoked),
            _ => None,
        };
        let view =
            ErrorView { message: self.message(), errors, code: code.name(), error, required, id, successor, revoked };
        let body = serde_json::to_vec(&view).expect("texts are JSON");
        let mut response = HttpResponse::with_body(code.status(), BoxBody::new(body));
        self.add_headers(response.head_mut());
        response
    }
}

fn by_field(errors: &[FieldError]) -> BTreeMap<String, Vec<String>> {
    let mut fields: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for FieldError { field, message } in errors {
        fields.entry(field.clone()).or_default().push(message.clone());
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_503_says_when_to_ask_again() {
        for error in [ApiError::Deadline, ApiError::Draining, ApiError::NoLease, ApiError::TooManyAnswers] {
            assert!(error.error_response().headers().contains_key(header::RETRY_AFTER), "{error:?}");
        }
    }
}
