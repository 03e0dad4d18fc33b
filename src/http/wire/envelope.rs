//! What surrounds every request: an id, the limit of its head, a deadline, the headers of the answer, a log line.

use std::{
    future::{Future, poll_fn, ready},
    panic::AssertUnwindSafe,
    pin::pin,
    task::Poll,
    time::Duration,
};

use actix_http::Request;
use actix_web::{
    Error, HttpMessage, ResponseError,
    body::BoxBody,
    dev::{AppConfig, Response, Service, ServiceFactory, ServiceResponse, forward_ready},
    http::{ConnectionType, StatusCode, header},
};
use futures_util::{FutureExt, future::LocalBoxFuture};

use super::{
    access_log::AccessLog,
    body_drain::{KeepUntilSent, SharedBody},
    connections::connection::RequestUnderWay,
    cors::{Cors, CrossOrigin},
    principal_summary::PrincipalSummary,
    trace_context::TraceContext,
};
use crate::{
    config::LoggedChecks,
    domain::path::AmbiguousPath,
    http::{
        authz::{self, Dialect},
        error::ApiError,
        headers,
        state::{
            current::{CurrentState, State, WorkerState},
            request_counts::Route,
        },
    },
    ops::{self, authorization::PolicyRejection, state::measurements::CheckVerdict},
};

/// The routes and the authorization endpoints, with the envelope around them.
pub(crate) struct Envelope<F> {
    routes: F,
    state: CurrentState,
}

impl<F> Envelope<F> {
    pub(crate) fn new(routes: F, state: CurrentState) -> Self {
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
        let (routes, state) = (self.routes.new_service(config), self.state.on_this_worker());
        Box::pin(async move { Ok(EnvelopeService { routes: routes.await?, state }) })
    }
}

/// The [`Envelope`] of one worker.
pub(crate) struct EnvelopeService<S> {
    routes: S,
    state: WorkerState,
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
        let (state, dialect) = (self.state.get(), Dialect::of(request.path()));
        // Proxies ask about checks, never browsers.
        let cors = state.cors.as_deref().filter(|_| dialect.is_none());
        let mut in_flight = InFlightRequest {
            log: AccessLog::start(Some(request.method())),
            body: SharedBody::of_chunked(&mut request),
            under_way: RequestUnderWay::begin(&mut request),
            cross_origin: cors.and_then(|cors| Cors::judge(cors, &request)),
            state,
        };
        let (limit, under_way) = (in_flight.state.request_limits.head, in_flight.under_way.as_ref());
        // The exact size is computed only if more bytes arrived than a head may have.
        if under_way.is_none_or(|under_way| under_way.max_head > limit) && head_size(&request) > limit {
            in_flight.note_trace(&request);
            let refused = in_flight.refuse(&ApiError::HeadTooLarge(limit), dialect);
            return Box::pin(ready(Ok(refused)));
        }
        if under_way.is_some_and(|under_way| under_way.has_fragment) {
            in_flight.note_trace(&request);
            return Box::pin(ready(Ok(in_flight.refuse_fragment(dialect))));
        }
        match dialect {
            Some(dialect) => Box::pin(in_flight.check(dialect, request)),
            // No route and no id needs an encoded character. The router would decode them, so a rule of a proxy in
            // front of this server would see another path than the router.
            None if request.path().contains('%') => {
                in_flight.note_trace(&request);
                let refused = in_flight.refuse(&ApiError::Ops(ops::Error::NotFound), None);
                Box::pin(ready(Ok(refused)))
            }
            None => {
                in_flight.note_trace(&request);
                let mut extensions = request.extensions_mut();
                extensions.insert(in_flight.log.id);
                extensions.insert(in_flight.state.clone());
                drop(extensions);
                Box::pin(in_flight.route(self.routes.call(request)))
            }
        }
    }
}

/// What is kept of a request until it is answered.
struct InFlightRequest {
    log: AccessLog,
    state: State,
    body: Option<SharedBody>,
    under_way: Option<RequestUnderWay>,
    /// Boxed, because hardly any request has it.
    cross_origin: Option<Box<CrossOrigin>>,
}

impl InFlightRequest {
    /// Reads for the log line which trace the request belongs to.
    fn note_trace(&mut self, request: &Request) {
        self.log.trace = TraceContext::of(request.headers()).map(Box::new);
    }

    /// Answers a check by a proxy.
    async fn check(mut self, dialect: &'static Dialect, request: Request) -> Result<Response<BoxBody>, Error> {
        let answered = within(self.state.request_limits.deadline, authz::answer(&self.state, dialect, &request)).await;
        let (response, outcome) = match answered {
            Ok(answer) => answer,
            Err(error) => {
                self.note_trace(&request);
                return Ok(self.refuse(&error, Some(dialect)));
            }
        };
        let verdict = match &outcome {
            Ok(_) => CheckVerdict::Allowed,
            Err(refused) => refused.error.verdict(),
        };
        self.state.ops.measurements.count_check(dialect.via(), verdict);
        let is_logged = match self.state.logged_checks {
            LoggedChecks::All => true,
            LoggedChecks::Refused => response.status() != StatusCode::OK && self.state.refused_checks.allows(),
            LoggedChecks::None => false,
        };
        if is_logged {
            self.note_trace(&request);
            let check = authz::logged_check(&self.state, dialect, &request);
            let (principal, reason) = match outcome {
                Ok(principal) => (principal, None),
                Err(refused) => (refused.principal, Some(refused.error.to_string())),
            };
            self.log.write_check(response.status(), dialect.pattern(), check, principal, reason.as_deref());
        }
        Ok(self.close(response, dialect.route()))
    }

    /// Completes the answer of a route.
    async fn route(
        self,
        handled: impl Future<Output = Result<ServiceResponse, Error>>,
    ) -> Result<Response<BoxBody>, Error> {
        match within(self.state.request_limits.deadline, handled).await {
            Ok(Ok(mut response)) => {
                if let Some(cross_origin) = &self.cross_origin {
                    response = cross_origin.permit(response);
                }
                if is_gone(&response)
                    && let Err(error) = Box::pin(self.wait_until_known()).await
                {
                    return Ok(self.refuse(&error, None));
                }
                let principal = response.request().extensions().get::<PrincipalSummary>().copied();
                let route = response.request().match_pattern();
                self.log.write_answered(&response, route.as_deref(), principal, &self.state);
                let route = self.state.request_counts.route(route.as_deref());
                let (_request, mut response) = response.into_parts();
                // Only the files of the console may be kept.
                let kept = response.headers_mut().remove(header::CACHE_CONTROL).next();
                if let Some(principal) = principal {
                    let headers = response.headers_mut();
                    headers::add_token_expiry(headers, principal.token_expires_at, &self.state.ops.clock);
                    if let Some(rate_state) = principal.rate_state {
                        headers::add_rate_state(headers, rate_state);
                    }
                }
                let mut response = self.close(response.into(), route);
                if let Some(kept) = kept {
                    response.headers_mut().insert(header::CACHE_CONTROL, kept);
                }
                Ok(response)
            }
            Ok(Err(error)) => {
                let response = error.error_response();
                self.log.write(response.status(), None, None, Some(&error.to_string()));
                Ok(self.close(response.into(), Route::NONE))
            }
            Err(error) => Ok(self.refuse(&error, None)),
        }
    }

    /// Who is told that what they want to revoke is gone must not see another node accept it.
    async fn wait_until_known(&self) -> Result<(), ApiError> {
        Ok(within(self.state.request_limits.deadline, self.state.ops.store.wait_until_known()).await??)
    }

    /// The answer to a request whose target has a raw `#`. The connection is closed: only the part of the target before
    /// the `#` is known, so the server cannot know what the client asks for.
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
        self.log.write(response.status(), dialect.map(Dialect::pattern), None, Some(&error.to_string()));
        if let Some(dialect) = dialect {
            self.state.ops.measurements.count_check(dialect.via(), error.verdict());
        }
        self.close(response, dialect.map_or(Route::NONE, Dialect::route))
    }

    /// Adds the headers of every answer, and counts it.
    fn close(self, mut response: Response<BoxBody>, route: Route) -> Response<BoxBody> {
        self.state.request_counts.count(route, self.log.method, response.status(), self.log.elapsed());
        headers::add_common(response.headers_mut(), self.log.id.header_value());
        if let Some(cross_origin) = self.cross_origin {
            cross_origin.add_headers(response.headers_mut());
        }
        match self.body {
            None => response,
            body => response.map_body(|_, answer| BoxBody::new(KeepUntilSent::new(answer, body))),
        }
    }
}

/// Whether a request for a change was answered that its subject does not exist, perhaps not any more.
fn is_gone(response: &ServiceResponse) -> bool {
    let error = response.response().error().and_then(|error| error.as_error::<ApiError>());
    matches!(error, Some(ApiError::Ops(ops::Error::NotFound))) && !response.request().method().is_safe()
}

/// Ends a handler at its deadline, and catches its panic. A handler that is ready at once gets no timer.
async fn within<T>(deadline: Duration, handled: impl Future<Output = T>) -> Result<T, ApiError> {
    let mut handled = pin!(AssertUnwindSafe(handled).catch_unwind());
    let answer = match poll_fn(|cx| Poll::Ready(handled.as_mut().poll(cx))).await {
        Poll::Ready(answer) => answer,
        // Boxed, so that the future of every request does not contain a timer.
        Poll::Pending => Box::pin(tokio::time::timeout(deadline, handled)).await.map_err(|_| ApiError::Deadline)?,
    };
    answer.map_err(|_| ApiError::Panicked)
}

/// The size of the request line and the header fields as they were sent, except for optional spaces.
fn head_size(request: &Request) -> usize {
    let target = request.uri().path().len() + request.uri().query().map_or(0, |query| query.len() + 1);
    let line = request.method().as_str().len() + target + "  HTTP/1.1\r\n".len();
    let fields = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len());
    line + fields.sum::<usize>()
}
