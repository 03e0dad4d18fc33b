//! What surrounds every request: an id, the limit of its head, a deadline, the headers of every answer, one log line.

use std::{
    panic::AssertUnwindSafe,
    time::{Duration, Instant},
};

use actix_web::{
    Error, HttpMessage, HttpResponse, ResponseError,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    error::InternalError,
    http::{
        StatusCode,
        header::{HeaderMap, HeaderName, HeaderValue},
    },
    middleware::Next,
    web,
};
use futures_util::FutureExt;
use log::Level;
use uuid::Uuid;

use super::{AppState, error::ApiError, guard::Asker};

/// Lets a request through to its handler and seals what comes back.
pub(super) async fn seal<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let started = Instant::now();
    let id = Uuid::now_v7().to_string();
    let method = KNOWN_METHODS.into_iter().find(|known| *known == request.method().as_str());
    let state = request.app_data::<web::Data<AppState>>().expect("the state is part of every application").clone();

    let outcome = match head_size(&request) > state.limits.head {
        true => Err(ApiError::HeadTooLarge(state.limits.head)),
        false => run(state.limits.deadline, request, next).await,
    };
    let mut line = Line { id: &id, method, started, route: None, asker: None, reason: None };
    match outcome {
        Ok(Ok(mut response)) => {
            line.route = response.request().match_pattern();
            line.asker = response.request().extensions().get::<Asker>().map(|asker| asker.0.clone());
            line.reason = response.response().error().map(ToString::to_string);
            add_headers(response.headers_mut(), &id);
            line.write(response.status());
            Ok(response)
        }
        Ok(Err(error)) => Err(line.refuse(error.error_response(), &error.to_string())),
        Err(error) => Err(line.refuse(error.error_response(), &error.to_string())),
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

fn add_headers(headers: &mut HeaderMap, id: &str) {
    headers.insert(HeaderName::from_static("cache-control"), HeaderValue::from_static("no-store"));
    headers.insert(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(HeaderName::from_static("x-request-id"), id);
    }
}

/// The methods that a log line names. Any word can be sent as a method, a token too.
const KNOWN_METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"];

/// The log line of a request. It names the route's pattern and not the path, which may hold anything.
struct Line<'r> {
    id: &'r str,
    method: Option<&'static str>,
    started: Instant,
    route: Option<String>,
    asker: Option<String>,
    reason: Option<String>,
}

impl Line<'_> {
    fn write(&self, status: StatusCode) {
        let level = if status.is_server_error() { Level::Error } else { Level::Info };
        log::log!(
            target: "patd::request", level,
            method = self.method.unwrap_or("-"),
            route = self.route.as_deref().unwrap_or("-"),
            status = status.as_u16(),
            elapsed_us = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX),
            request_id = self.id,
            principal = self.asker.as_deref().unwrap_or("-"),
            reason = self.reason.as_deref().unwrap_or("-");
            "request"
        );
    }

    /// An answer for a request that is gone, and with it what an ordinary answer is made from.
    fn refuse(mut self, mut response: HttpResponse, reason: &str) -> Error {
        self.reason = Some(reason.to_owned());
        add_headers(response.headers_mut(), self.id);
        self.write(response.status());
        InternalError::from_response(reason.to_owned(), response).into()
    }
}
