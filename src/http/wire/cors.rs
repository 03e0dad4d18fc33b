//! CORS (Fetch standard): which pages of other origins may read the answers of the API.
//!
//! actix-cors would sit inside of the envelope, so it would miss the answers that the envelope makes itself (deadline, head
//! too large, a lost store), and a reload could not replace its origins. What is needed of it is small, because there are
//! no credentials, no wildcards and no headers of single routes.
//!
//! A page of another origin is not trusted more than any other client: it sends a token as any client does. Cookies and other
//! credentials of the browser are never allowed.

use actix_http::Request;
use actix_web::{
    HttpMessage, HttpResponse,
    dev::ServiceResponse,
    http::{
        Method,
        header::{self, HeaderMap, HeaderValue},
    },
};

use crate::config;

/// The headers of requests that the API reads and that a page may send only if it is allowed to.
const REQUEST_HEADERS: HeaderValue =
    HeaderValue::from_static("Authorization, Content-Type, Idempotency-Key, traceparent");
/// The headers of answers that pages may read besides those that they may always read.
const ANSWER_HEADERS: HeaderValue = HeaderValue::from_static(
    "Allow, Location, Retry-After, WWW-Authenticate, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, \
     X-Request-Id, X-Token-Expires-At",
);
/// How many seconds a browser remembers a preflight. Short, so that a removed origin is asked again soon.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// The allowed origins.
pub(crate) struct Cors {
    allowed_origins: Vec<HeaderValue>,
}

impl Cors {
    /// `None` if no origin is allowed: then no answer has a header of CORS.
    pub(crate) fn new(settings: &config::Cors) -> Option<Self> {
        let origins = settings.allowed_origins.iter();
        let allowed_origins: Vec<_> =
            origins.filter_map(|origin| HeaderValue::try_from(origin.to_string()).ok()).collect();
        (!allowed_origins.is_empty()).then_some(Self { allowed_origins })
    }

    /// What the answer to this request says, or `None` if it is not for the API.
    pub(super) fn judge(&self, request: &Request) -> Option<Box<CrossOrigin>> {
        let path = request.path();
        if path != "/api" && !path.starts_with("/api/") {
            return None;
        }
        let headers = request.headers();
        let mut origins = headers.get_all(header::ORIGIN);
        let origin = match (origins.next(), origins.next()) {
            (Some(origin), None) => self.allowed_origins.iter().find(|allowed| *allowed == origin).cloned(),
            _ => None,
        };
        let is_preflight =
            *request.method() == Method::OPTIONS && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        Some(Box::new(CrossOrigin { origin, is_preflight }))
    }
}

/// What one answer says about other origins.
pub(super) struct CrossOrigin {
    /// The origin of the request, if it is allowed.
    origin: Option<HeaderValue>,
    /// Whether the browser asks for permission to send a request.
    is_preflight: bool,
}

impl CrossOrigin {
    /// The route table answers OPTIONS with 405 and the methods of the path, before it reads anything else of the request.
    /// For a preflight of an allowed origin, that becomes the permission. Other answers are returned as they are.
    pub(super) fn permit(&self, response: ServiceResponse) -> ServiceResponse {
        if !self.is_preflight || self.origin.is_none() {
            return response;
        }
        let Some(methods) = response.headers().get(header::ALLOW).cloned() else { return response };
        let permission = HttpResponse::NoContent()
            .insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, methods))
            .insert_header((header::ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS))
            .insert_header((header::ACCESS_CONTROL_MAX_AGE, MAX_AGE))
            .finish();
        response.into_response(permission)
    }

    /// Adds the headers of every answer of the API. `Vary` is also there for other origins and for none, so that no cache
    /// gives one origin the answer for another.
    pub(super) fn add_headers(self, headers: &mut HeaderMap) {
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
        let Some(origin) = self.origin else { return };
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if !self.is_preflight {
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, ANSWER_HEADERS);
        }
    }
}
