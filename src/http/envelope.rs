//! What surrounds every request: an id, the limit of its head, a deadline, the headers of every answer, one log line.

use std::{
    future::{Future, poll_fn, ready},
    panic::AssertUnwindSafe,
    pin::pin,
    task::Poll,
    time::{Duration, Instant, SystemTime},
};

use actix_http::Request;
use actix_web::{
    Error, HttpMessage, ResponseError,
    body::{BoxBody, MessageBody},
    dev::{AppConfig, Response, Service, ServiceFactory, ServiceResponse, forward_ready},
    http::{
        ConnectionType, Method, StatusCode,
        header::{self, HeaderMap, HeaderName, HeaderValue},
    },
    web::Data,
};
use futures_util::{FutureExt, future::LocalBoxFuture};
use log::Level;
use uuid::Uuid;

use super::{
    AppState,
    authz::{self, Asked, Dialect},
    connections::UnderWay,
    error::ApiError,
    expiry,
    guard::PrincipalSummary,
    refused::Named,
    unread::{Held, Outlasting},
};
use crate::{
    config::LoggedChecks,
    domain::path::AmbiguousPath,
    ops::{self, authorization::PolicyRejection, usage_limits::RateState},
};

/// The routes and the checks, sealed.
pub(super) struct Envelope<F> {
    routes: F,
    state: Data<AppState>,
}

impl<F> Envelope<F> {
    pub(super) fn new(routes: F, state: Data<AppState>) -> Self {
        Self { routes, state }
    }
}

impl<F> ServiceFactory<Request> for Envelope<F>
where
    F: ServiceFactory<Request, Config = AppConfig, Response = ServiceResponse, Error = Error, InitError = ()>,
    F::Future: 'static,
    <F::Service as Service<Request>>::Future: 'static,
{
    type Response = Response<BoxBody>;
    type Error = Error;
    type Config = AppConfig;
    type Service = EnvelopeService<F::Service>;
    type InitError = ();
    type Future = LocalBoxFuture<'static, Result<Self::Service, ()>>;

    fn new_service(&self, config: AppConfig) -> Self::Future {
        let (routes, state) = (self.routes.new_service(config), self.state.clone());
        Box::pin(async move { Ok(EnvelopeService { routes: routes.await?, state }) })
    }
}

/// An [`Envelope`] on one worker.
pub(super) struct EnvelopeService<S> {
    routes: S,
    state: Data<AppState>,
}

impl<S> Service<Request> for EnvelopeService<S>
where
    S: Service<Request, Response = ServiceResponse, Error = Error>,
    S::Future: 'static,
{
    type Response = Response<BoxBody>;
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Response<BoxBody>, Error>>;

    forward_ready!(routes);

    fn call(&self, mut request: Request) -> Self::Future {
        let in_flight = InFlightRequest {
            line: AccessLog { id: RequestId::new(), method: named_method(request.method()), started: Instant::now() },
            state: self.state.clone(),
            held: Held::of(&mut request),
            under_way: UnderWay::begin(&mut request),
        };
        let dialect = Dialect::of(request.path());
        let (limit, under_way) = (self.state.limits.head, in_flight.under_way.as_ref());
        // Its fields are counted only where more came than a head may have.
        if under_way.is_none_or(|under_way| under_way.head_most > limit) && head_size(&request) > limit {
            let refused = in_flight.refuse(&ApiError::HeadTooLarge(limit), dialect);
            return Box::pin(ready(Ok(refused)));
        }
        if under_way.is_some_and(|under_way| under_way.has_fragment) {
            return Box::pin(ready(Ok(in_flight.refuse_fragment(dialect))));
        }
        match dialect {
            Some(dialect) => Box::pin(in_flight.check(dialect, request)),
            // No route and no identifier has a character that must be encoded, and the router would decode the others: a
            // rule of a proxy in front of this server would see another path.
            None if request.path().contains('%') => {
                let refused = in_flight.refuse(&ApiError::Ops(ops::Error::NotFound), None);
                Box::pin(ready(Ok(refused)))
            }
            None => {
                request.extensions_mut().insert(in_flight.line.id);
                Box::pin(in_flight.route(self.routes.call(request)))
            }
        }
    }
}

/// What is known of a request before anybody handles it, and kept until it is answered.
struct InFlightRequest {
    line: AccessLog,
    state: Data<AppState>,
    held: Option<Held>,
    under_way: Option<UnderWay>,
}

impl InFlightRequest {
    async fn check(self, dialect: &'static Dialect, request: Request) -> Result<Response<BoxBody>, Error> {
        let answered = within(self.state.limits.deadline, authz::answer(&self.state, dialect, &request)).await;
        let (response, passed) = match answered {
            Ok(answer) => answer,
            Err(error) => return Ok(self.refuse(&error, Some(dialect))),
        };
        let is_logged = match self.state.logged_checks {
            LoggedChecks::All => true,
            LoggedChecks::Refused => response.status() != StatusCode::OK && self.state.refused_checks.allows(),
            LoggedChecks::None => false,
        };
        if is_logged {
            let asked = Asked::of(&self.state, dialect, &request);
            let (asker, reason) = match passed {
                Ok(asker) => (asker, None),
                Err(refused) => (refused.asker, Some(refused.error.to_string())),
            };
            self.line.write_check(response.status(), dialect, asked, asker, reason.as_deref());
        }
        Ok(self.close(response))
    }

    async fn route(
        self,
        handled: impl Future<Output = Result<ServiceResponse, Error>>,
    ) -> Result<Response<BoxBody>, Error> {
        match within(self.state.limits.deadline, handled).await {
            Ok(Ok(response)) => {
                let asker = response.request().extensions().get::<PrincipalSummary>().copied();
                self.line.write_answered(&response, asker, &self.state);
                let (_request, mut response) = response.into_parts();
                if let Some(asker) = asker {
                    expiry::announce(response.headers_mut(), asker.token_end, &self.state.ops.clock);
                    if let Some(rate_state) = asker.rate_state {
                        add_rate_state(response.headers_mut(), rate_state);
                    }
                }
                Ok(self.close(response.into()))
            }
            Ok(Err(error)) => {
                let response = error.error_response();
                self.line.write(response.status(), None, None, Some(&error.to_string()));
                Ok(self.close(response.into()))
            }
            Err(error) => Ok(self.refuse(&error, None)),
        }
    }

    /// The answer to a request whose target has a raw `#`. The connection ends with it: of what it asks for, and perhaps
    /// of what follows, only the part before that sign is known.
    fn refuse_fragment(self, dialect: Option<&Dialect>) -> Response<BoxBody> {
        let error = match dialect {
            Some(_) => PolicyRejection::from(AmbiguousPath::Fragment).into(),
            None => {
                ApiError::Malformed("The request target must not have a #: write %23 for that character.".to_owned())
            }
        };
        let mut response = self.refuse(&error, dialect);
        response.head_mut().set_connection_type(ConnectionType::Close);
        response
    }

    /// The answer to a request that no handler answered.
    fn refuse(self, error: &ApiError, dialect: Option<&Dialect>) -> Response<BoxBody> {
        let response = match dialect {
            Some(dialect) => dialect.refuse(error),
            None => error.error_response().into(),
        };
        self.line.write(response.status(), dialect.map(Dialect::pattern), None, Some(&error.to_string()));
        self.close(response)
    }

    /// The headers of every answer.
    fn close(self, mut response: Response<BoxBody>) -> Response<BoxBody> {
        add_headers(response.headers_mut(), self.line.id.value());
        match self.held {
            None => response,
            held => response.map_body(|_, body| BoxBody::new(Outlasting::new(body, held))),
        }
    }
}

/// A handler that hangs or panics is answered for. Most answer at once, and for those no timer is made.
async fn within<T>(deadline: Duration, handled: impl Future<Output = T>) -> Result<T, ApiError> {
    let mut handled = pin!(AssertUnwindSafe(handled).catch_unwind());
    let answer = match poll_fn(|cx| Poll::Ready(handled.as_mut().poll(cx))).await {
        Poll::Ready(answer) => answer,
        // In a box, since few come here and all would make room for it.
        Poll::Pending => Box::pin(tokio::time::timeout(deadline, handled)).await.map_err(|_| ApiError::Deadline)?,
    };
    answer.map_err(|_| ApiError::Panicked)
}

/// As it came over the wire, to within the spaces: request line and header fields.
fn head_size(request: &Request) -> usize {
    let target = request.uri().path().len() + request.uri().query().map_or(0, |query| query.len() + 1);
    let line = request.method().as_str().len() + target + "  HTTP/1.1\r\n".len();
    let fields = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len());
    line + fields.sum::<usize>()
}

/// The headers of every answer. No handler sets any of these, and to append costs half of what it does to replace.
fn add_headers(headers: &mut HeaderMap, id: HeaderValue) {
    headers.append(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.append(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.append(REQUEST_ID, id);
}

/// The whole answer to a request that the framework could not hand on, as it goes over the wire, for a connection that is
/// closed behind it. Like any other it has an id and a line in the log.
pub(super) fn raw_refusal(error: &ApiError, peer: String) -> Vec<u8> {
    let line = AccessLog { id: RequestId::new(), method: None, started: Instant::now() };
    let mut response = error.error_response();
    add_headers(response.headers_mut(), line.id.value());
    let status = response.status();
    let named = Named { asker: None, client: peer, account: None };
    line.write_refused(status, None, named, Some(&error.to_string()));
    let mut answer = format!("HTTP/1.1 {status}\r\nconnection: close\r\n").into_bytes();
    for (name, value) in response.headers() {
        answer.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    let body = response.into_body().try_into_bytes().unwrap_or_default();
    answer.extend(format!("content-length: {}\r\n\r\n", body.len()).into_bytes());
    answer.extend(body);
    answer
}

/// What is left of the rate of the token that was used, where that is limited, and when it is whole again.
pub(super) fn add_rate_state(headers: &mut HeaderMap, rate_state: RateState) {
    headers.insert(X_RATELIMIT_LIMIT, rate_state.limit.into());
    headers.insert(X_RATELIMIT_REMAINING, rate_state.remaining.into());
    headers.insert(X_RATELIMIT_RESET, rate_state.resets_at.unix().into());
}

const X_RATELIMIT_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const X_RATELIMIT_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const X_RATELIMIT_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The identifier of a request: a UUIDv7 in its hyphenated form.
#[derive(Clone, Copy)]
pub(super) struct RequestId([u8; uuid::fmt::Hyphenated::LENGTH]);

impl RequestId {
    fn new() -> Self {
        // Without the counter by which ids of one millisecond would be in order, and its lock: nobody sorts by these.
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let milliseconds =
            since_epoch.as_secs().saturating_mul(1000).saturating_add(since_epoch.subsec_millis().into());
        let [random @ .., _, _, _, _, _, _] = Uuid::new_v4().into_bytes();
        let id = uuid::Builder::from_unix_timestamp_millis(milliseconds, &random).into_uuid();
        let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
        id.hyphenated().encode_lower(&mut text);
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

fn named_method(method: &Method) -> Option<&'static str> {
    KNOWN_METHODS.into_iter().find(|known| *known == method.as_str())
}

/// The log line of a request. It names the route's pattern and not the path, which may hold anything.
struct AccessLog {
    id: RequestId,
    method: Option<&'static str>,
    started: Instant,
}

impl AccessLog {
    fn write_answered<B>(&self, response: &ServiceResponse<B>, asker: Option<PrincipalSummary>, state: &AppState) {
        let (request, status) = (response.request(), response.status());
        let (route, reason) = (request.match_pattern(), response.response().error().map(ToString::to_string));
        let (route, reason) = (route.as_deref(), reason.as_deref());
        if status == StatusCode::TOO_MANY_REQUESTS {
            self.write_refused(status, route, Named::of(request, asker), reason);
        } else if state.probes.are_logged(request.method(), route, status) {
            self.write(status, route, asker, reason);
        }
    }

    /// The line of a request that was one too many or could not be handed on, which also says from where and for whom:
    /// somebody will want to know who tries.
    fn write_refused(&self, status: StatusCode, route: Option<&str>, named: Named, reason: Option<&str>) {
        log::log!(
            target: "patd::request", level_of(status),
            method = self.method.unwrap_or("-"),
            route = route.unwrap_or("-"),
            status = status.as_u16(),
            elapsed_us = self.elapsed_us(),
            request_id = self.id.as_str(),
            principal = named.asker.map_or_else(|| "-".to_owned(), |asker| asker.to_string()),
            reason = reason.unwrap_or("-"),
            client = named.client,
            account = named.account.as_deref().unwrap_or("-");
            "request"
        );
    }

    /// The line of a proxy's question, which also says what was asked for: the proxy's own log may not.
    fn write_check(
        &self,
        status: StatusCode,
        dialect: &Dialect,
        asked: Option<Asked<'_>>,
        asker: Option<PrincipalSummary>,
        reason: Option<&str>,
    ) {
        let Some(Asked { policy, method, path, client }) = asked else {
            return self.write(status, Some(dialect.pattern()), asker, reason);
        };
        log::log!(
            target: "patd::request", level_of(status),
            method = self.method.unwrap_or("-"),
            route = dialect.pattern(),
            status = status.as_u16(),
            elapsed_us = self.elapsed_us(),
            request_id = self.id.as_str(),
            principal = asker.map_or_else(|| "-".to_owned(), |asker| asker.to_string()),
            reason = reason.unwrap_or("-"),
            policy = policy,
            asked = method,
            path = &*path,
            client = client.as_str();
            "request"
        );
    }

    fn elapsed_us(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn write(&self, status: StatusCode, route: Option<&str>, asker: Option<PrincipalSummary>, reason: Option<&str>) {
        log::log!(
            target: "patd::request", level_of(status),
            method = self.method.unwrap_or("-"),
            route = route.unwrap_or("-"),
            status = status.as_u16(),
            elapsed_us = self.elapsed_us(),
            request_id = self.id.as_str(),
            principal = asker.map_or_else(|| "-".to_owned(), |asker| asker.to_string()),
            reason = reason.unwrap_or("-");
            "request"
        );
    }
}

fn level_of(status: StatusCode) -> Level {
    if status.is_server_error() { Level::Error } else { Level::Info }
}
