//! A middleware for actix-web.

use std::{
    fmt,
    future::{Future, Ready, ready},
    net::IpAddr,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
};

use actix_web::{
    Error, HttpMessage, HttpResponse,
    body::{EitherBody, MessageBody},
    dev::{Service, ServiceRequest, ServiceResponse, Transform},
    http::StatusCode,
};
use http::{HeaderMap, HeaderValue, header};

use crate::{Client, answers::Rule};

type Address = Arc<dyn Fn(&ServiceRequest) -> Option<IpAddr> + Send + Sync>;

/// Lets a request pass if its token is valid and has all abilities. The request then has an extension
/// [`Accepted`](crate::Accepted), which says whose the token is; `web::ReqData<Accepted>` extracts it.
#[derive(Clone)]
pub struct Tokens {
    rule: Rule,
    address: Address,
}

impl Tokens {
    /// A middleware that needs these abilities, all of them.
    pub fn new<A: Into<String>>(client: Client, abilities: impl IntoIterator<Item = A>) -> Self {
        let peer = |request: &ServiceRequest| request.peer_addr().map(|peer| peer.ip());
        Self { rule: Rule::new(client, abilities), address: Arc::new(peer) }
    }

    /// How to find the address of the client behind a proxy. The default is the address of the peer.
    #[must_use]
    pub fn address(mut self, address: impl Fn(&ServiceRequest) -> Option<IpAddr> + Send + Sync + 'static) -> Self {
        self.address = Arc::new(address);
        self
    }

    /// Accepts sessions of patd (`ses_…`), too. They may do everything in the account of a user.
    #[must_use]
    pub fn accept_sessions(mut self) -> Self {
        self.rule.accept_sessions = true;
        self
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("rule", &self.rule).finish_non_exhaustive()
    }
}

impl<S, B> Transform<S, ServiceRequest> for Tokens
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    S::Future: 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Transform = TokensService<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, inner: S) -> Self::Future {
        ready(Ok(TokensService { tokens: self.clone(), inner: Rc::new(inner) }))
    }
}

/// The service of [`Tokens`].
#[derive(Debug)]
pub struct TokensService<S> {
    tokens: Tokens,
    inner: Rc<S>,
}

impl<S, B> Service<ServiceRequest> for TokensService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    S::Future: 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Error>>>>;

    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let inner = Rc::clone(&self.inner);
        let Tokens { rule, address } = self.tokens.clone();
        Box::pin(async move {
            match rule.decide(authorization(&request), address(&request)).await {
                Ok(accepted) => {
                    request.extensions_mut().insert(accepted);
                    Ok(inner.call(request).await?.map_into_left_body())
                }
                Err(answer) => {
                    let status =
                        StatusCode::from_u16(answer.status.as_u16()).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
                    let mut response = HttpResponse::build(status);
                    response.content_type("application/json");
                    if let Some((name, value)) = answer.header {
                        response.insert_header((name.as_str(), value.as_bytes()));
                    }
                    Ok(request.into_response(response.body(answer.body)).map_into_right_body())
                }
            }
        })
    }
}

/// The header as the crate `http` knows it: actix-web uses another version of it.
fn authorization(request: &ServiceRequest) -> HeaderMap {
    let values = request.headers().get_all(actix_web::http::header::AUTHORIZATION);
    let values = values.filter_map(|value| HeaderValue::from_bytes(value.as_bytes()).ok());
    values.map(|value| (header::AUTHORIZATION, value)).collect()
}
