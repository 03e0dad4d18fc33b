//! The making of the route table: a path, its handlers by method, HEAD beside GET, and 405 with `Allow` for the rest.
//!
//! A handler is [`Strict`] unless its path says otherwise.

use std::future::ready;

use actix_web::{
    FromRequest, Handler, Resource, Responder,
    http::Method,
    web::{self, ServiceConfig},
};

use super::{error::ApiError, strict::Strict};

/// The methods that are asked for by name; a route for any takes others too.
pub(super) const EVERY_METHOD: [Method; 6] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

/// Routes in the order in which they were named.
#[derive(Default)]
pub(super) struct Table(Vec<Endpoint>);

impl Table {
    /// Adds a path with its handlers.
    pub(super) fn at(mut self, path: &'static str, handlers: impl FnOnce(Endpoint) -> Endpoint) -> Self {
        self.0.push(handlers(Endpoint { path, is_lax: false, methods: Vec::new(), resource: web::resource(path) }));
        self
    }

    pub(super) fn routes(&self) -> Vec<(Method, &'static str)> {
        self.0.iter().flat_map(|end| end.methods.iter().map(|method| (method.clone(), end.path))).collect()
    }

    pub(super) fn register(self, app: &mut ServiceConfig) {
        for endpoint in self.0 {
            app.service(endpoint.finish());
        }
    }
}

/// A path under construction.
pub(super) struct Endpoint {
    path: &'static str,
    is_lax: bool,
    methods: Vec<Method>,
    resource: Resource,
}

impl Endpoint {
    /// What nobody reads of a query or a body is passed over, as whoever asks here expects.
    pub(super) fn ignore_unknown_parameters(self) -> Self {
        Self { is_lax: true, ..self }
    }

    pub(super) fn get<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.get_by(&[], handler)
    }

    /// The same with the parameters of the query that the handler reads.
    pub(super) fn get_by<F, Args>(self, parameters: &'static [&'static str], handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.method(Method::GET, parameters, handler.clone()).method(Method::HEAD, parameters, handler)
    }

    pub(super) fn post<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.method(Method::POST, &[], handler)
    }

    pub(super) fn put<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.method(Method::PUT, &[], handler)
    }

    pub(super) fn patch<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.method(Method::PATCH, &[], handler)
    }

    pub(super) fn delete<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.method(Method::DELETE, &[], handler)
    }

    fn method<F, Args>(mut self, method: Method, parameters: &'static [&'static str], handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.methods.push(method.clone());
        let route = web::method(method);
        self.resource = self.resource.route(match self.is_lax {
            true => route.to(handler),
            false => route.to(Strict { handler, parameters }),
        });
        self
    }

    fn finish(self) -> Resource {
        let refusal = ApiError::method_not_allowed(&self.methods);
        self.resource.default_service(web::to(move || ready(Err::<(), _>(refusal.clone()))))
    }
}
