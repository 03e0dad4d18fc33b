//! A layer for axum and other services of tower.

use std::{
    fmt,
    future::Future,
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{HeaderValue, Request, Response, header::CONTENT_TYPE, request::Parts};
use tower_layer::Layer;
use tower_service::Service;

use crate::{Client, answers::Rule};

type Address = Arc<dyn Fn(&Parts) -> Option<IpAddr> + Send + Sync>;

/// Lets a request pass if its token is valid and has all abilities. The request then has an extension
/// [`Accepted`](crate::Accepted), which says whose the token is.
#[derive(Clone)]
pub struct TokensLayer {
    rule: Rule,
    address: Option<Address>,
}

impl TokensLayer {
    /// A layer that needs these abilities, all of them.
    pub fn new<A: Into<String>>(client: Client, abilities: impl IntoIterator<Item = A>) -> Self {
        Self { rule: Rule::new(client, abilities), address: None }
    }

    /// How to find the address of the client, for example in `ConnectInfo` of axum. Without it, tokens with an `ip_allowlist`
    /// are refused.
    #[must_use]
    pub fn address(mut self, address: impl Fn(&Parts) -> Option<IpAddr> + Send + Sync + 'static) -> Self {
        self.address = Some(Arc::new(address));
        self
    }

    /// Accepts sessions of patd (`ses_…`), too. They may do everything in the account of a user.
    #[must_use]
    pub fn accept_sessions(mut self) -> Self {
        self.rule.accept_sessions = true;
        self
    }
}

impl fmt::Debug for TokensLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokensLayer").field("rule", &self.rule).finish_non_exhaustive()
    }
}

impl<S> Layer<S> for TokensLayer {
    type Service = Tokens<S>;

    fn layer(&self, inner: S) -> Tokens<S> {
        Tokens { layer: self.clone(), inner }
    }
}

/// The service of a [`TokensLayer`].
#[derive(Clone, Debug)]
pub struct Tokens<S> {
    layer: TokensLayer,
    inner: S,
}

impl<S, B, R> Service<Request<B>> for Tokens<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
    R: From<String>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The service that was polled is the one that is ready.
        let ready = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, ready);
        let layer = self.layer.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let address = layer.address.and_then(|address| address(&parts));
            match layer.rule.decide(parts.headers.clone(), address).await {
                Ok(accepted) => {
                    let mut request = Request::from_parts(parts, body);
                    request.extensions_mut().insert(accepted);
                    inner.call(request).await
                }
                Err(answer) => {
                    let mut response = Response::new(R::from(answer.body));
                    *response.status_mut() = answer.status;
                    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                    response.headers_mut().extend(answer.header);
                    Ok(response)
                }
            }
        })
    }
}
