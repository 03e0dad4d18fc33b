//! Builds the route table: the handlers of a path by method, HEAD for each GET, and 405 with `Allow` for other methods.
//!
//! A handler is [`Strict`] unless its path calls [`Endpoint::ignore_unknown_parameters`].

use std::future::ready;

use actix_web::{
    FromRequest, Handler, Resource, Responder,
    http::Method,
    web::{self, ServiceConfig},
};

use super::{console::handler::Page, error::ApiError, input::query_parameters::Strict};

/// The methods that are listed for a route that accepts any.
pub(super) const ALL_METHODS: [Method; 6] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

/// Routes in the order in which they were added.
#[derive(Default)]
pub(super) struct RouteTable(Vec<Endpoint>);

impl RouteTable {
    /// Adds a path with its handlers.
    pub(super) fn at(mut self, path: &'static str, handlers: impl FnOnce(Endpoint) -> Endpoint) -> Self {
        self.0.push(handlers(Endpoint {
            path,
            ignores_unknown: false,
            methods: Vec::new(),
            resource: web::resource(path),
        }));
        self
    }

    /// The method, the path and the query parameters of each route.
    pub(super) fn routes(&self) -> Vec<(Method, &'static str, &'static [&'static str])> {
        let routes = |endpoint: &Endpoint| {
            let path = endpoint.path;
            endpoint.methods.clone().into_iter().map(move |(method, parameters)| (method, path, parameters))
        };
        self.0.iter().flat_map(routes).collect()
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
    ignores_unknown: bool,
    methods: Vec<(Method, &'static [&'static str])>,
    resource: Resource,
}

impl Endpoint {
    /// Ignores query parameters and body fields that the handlers do not read.
    pub(super) fn ignore_unknown_parameters(self) -> Self {
        Self { ignores_unknown: true, ..self }
    }

    pub(super) fn get<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.get_with(&[], handler)
    }

    /// A handler for GET and HEAD that reads these query parameters.
    pub(super) fn get_with<F, Args>(self, parameters: &'static [&'static str], handler: F) -> Self
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
        self.delete_with(&[], handler)
    }

    /// A handler for DELETE that reads these query parameters.
    pub(super) fn delete_with<F, Args>(self, parameters: &'static [&'static str], handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.method(Method::DELETE, parameters, handler)
    }

    /// A page of the console, for GET and HEAD.
    pub(super) fn page<F, Args>(self, handler: F) -> Self
    where
        Page<F>: Handler<Args, Output: Responder + 'static>,
        Args: FromRequest + 'static,
    {
        self.ignore_unknown_parameters().get(Page(handler))
    }

    /// What the form on a page of the console does.
    pub(super) fn submit<F, Args>(self, handler: F) -> Self
    where
        Page<F>: Handler<Args, Output: Responder + 'static>,
        Args: FromRequest + 'static,
    {
        self.ignore_unknown_parameters().post(Page(handler))
    }

    fn method<F, Args>(mut self, method: Method, parameters: &'static [&'static str], handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.methods.push((method.clone(), parameters));
        let route = web::method(method);
        self.resource = self.resource.route(match self.ignores_unknown {
            true => route.to(handler),
            false => route.to(Strict { handler, parameters }),
        });
        self
    }

    fn finish(self) -> Resource {
        let error =
            ApiError::method_not_allowed(&self.methods.iter().map(|(method, _)| method.clone()).collect::<Vec<_>>());
        self.resource.default_service(web::to(move || ready(Err::<(), _>(error.clone()))))
    }
}
