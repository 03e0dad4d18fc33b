//! What surrounds every request: an id, the limit of its head, a deadline, the headers of every answer, one log line.

use std::{
    panic::AssertUnwindSafe,
    time::{Duration, Instant},
};

use actix_web::{
    Error, HttpMessage, HttpResponse,
    body::{BoxBody, EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    error::InternalError,
    http::{
        StatusCode,
        header::{self, HeaderMap, HeaderName, HeaderValue},
    },
    middleware::Next,
    web,
};
use futures_util::FutureExt;
use log::Level;
use uuid::Uuid;

use super::{
    AppState, authz, connections,
    error::ApiError,
    guard::Asker,
    unread::{Held, Outlasting},
};
use crate::config::LoggedChecks;

/// Lets a request through to its handler and seals what comes back.
pub(super) async fn seal<B: MessageBody + 'static>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, Outlasting<B>>>, Error> {
    let line = Line { id: RequestId::new(), method: named_method(&request), started: Instant::now() };
    let state = request.app_data::<web::Data<AppState>>().expect("the state is part of every application").clone();
    request.extensions_mut().insert(line.id);
    let asks_for_nginx = authz::asks_for_nginx(&request);
    let logged = match authz::is_check(&request) {
        true => state.logged_checks,
        false => LoggedChecks::All,
    };

    let _under_way = connections::under_way(&request);
    let held = Held::of(&mut request);
    let outcome = match head_size(&request) > state.limits.head {
        true => Err(ApiError::HeadTooLarge(state.limits.head)),
        false => run(state.limits.deadline, request, next).await,
    };
    match outcome {
        Ok(Ok(mut response)) => {
            add_headers(response.headers_mut(), line.id.value());
            let is_logged = match logged {
                LoggedChecks::All => true,
                LoggedChecks::Refused => response.status() != StatusCode::OK && state.refused_checks.allows(),
                LoggedChecks::None => false,
            };
            if is_logged {
                line.write_answered(&response);
            }
            Ok(match held {
                None => response.map_into_left_body(),
                held => response.map_body(|_, body| EitherBody::right(Outlasting::new(body, held))),
            })
        }
        Ok(Err(error)) => Err(line.refuse(error.error_response(), &error.to_string(), held)),
        Err(error) => {
            let reason = error.to_string();
            Err(line.refuse(authz::in_dialect(asks_for_nginx, error), &reason, held))
        }
    }
}

/// A handler that hangs or panics is answered for.
async fn run<B: MessageBody + 'static>(
    deadline: Duration,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<Result<ServiceResponse<B>, Error>, ApiError> {
    let handled = AssertUnwindSafe(next.call(request)).catch_unwind();
    match tokio::time::timeout(deadline, handled).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) => Err(ApiError::Panicked),
        Err(_) => Err(ApiError::Deadline),
    }
}

/// As it came over the wire, to within the spaces: request line and header fields.
fn head_size(request: &ServiceRequest) -> usize {
    let target = request.uri().path().len() + request.uri().query().map_or(0, |query| query.len() + 1);
    let line = request.method().as_str().len() + target + "  HTTP/1.1\r\n".len();
    let fields = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len());
    line + fields.sum::<usize>()
}

fn add_headers(headers: &mut HeaderMap, id: HeaderValue) {
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REQUEST_ID, id);
}

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The identifier of a request: a UUIDv7 in its hyphenated form.
#[derive(Clone, Copy)]
pub(super) struct RequestId([u8; uuid::fmt::Hyphenated::LENGTH]);

impl RequestId {
    fn new() -> Self {
        let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
        Uuid::now_v7().hyphenated().encode_lower(&mut text);
        Self(text)
    }

    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    fn value(&self) -> HeaderValue {
        HeaderValue::from_bytes(&self.0).expect("digits and hyphens are a header's value")
    }
}

/// The methods that a log line names. Any word can be sent as a method, a token too.
const KNOWN_METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"];

fn named_method(request: &ServiceRequest) -> Option<&'static str> {
    KNOWN_METHODS.into_iter().find(|known| *known == request.method().as_str())
}

/// The log line of a request. It names the route's pattern and not the path, which may hold anything.
struct Line {
    id: RequestId,
    method: Option<&'static str>,
    started: Instant,
}

impl Line {
    fn write_answered<B>(&self, response: &ServiceResponse<B>) {
        let asker = response.request().extensions().get::<Asker>().copied();
        let reason = response.response().error().map(ToString::to_string);
        self.write(response.status(), response.request().match_pattern(), asker, reason);
    }

    fn write(&self, status: StatusCode, route: Option<String>, asker: Option<Asker>, reason: Option<String>) {
        let level = if status.is_server_error() { Level::Error } else { Level::Info };
        log::log!(
            target: "patd::request", level,
            method = self.method.unwrap_or("-"),
            route = route.as_deref().unwrap_or("-"),
            status = status.as_u16(),
            elapsed_us = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX),
            request_id = self.id.as_str(),
            principal = asker.map_or_else(|| "-".to_owned(), |asker| asker.to_string()),
            reason = reason.as_deref().unwrap_or("-");
            "request"
        );
    }

    /// An answer for a request that is gone, and with it what an ordinary answer is made from.
    fn refuse(&self, mut response: HttpResponse, reason: &str, held: Option<Held>) -> Error {
        add_headers(response.headers_mut(), self.id.value());
        self.write(response.status(), None, None, Some(reason.to_owned()));
        let response = response.map_body(|_, body| BoxBody::new(Outlasting::new(body, held)));
        InternalError::from_response(reason.to_owned(), response).into()
    }
}
