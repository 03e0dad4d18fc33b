//! What goes over the wire: the route table, and behind it one file a noun.
//!
//! A request's way: [`envelope`] (request id, deadline, log line), [`guard`] (who is asking), a handler of one of the
//! noun files (parse the [`form`], call one operation of [`crate::ops`], answer a view), [`error`] where it fails. What a
//! proxy asks of every request leaves it behind the envelope: [`authz`].

mod accounts;
mod audit;
mod authz;
mod client;
pub mod codes;
mod connections;
mod envelope;
mod environment_tokens;
mod environments;
mod error;
mod expiry;
mod form;
mod guard;
mod health;
mod identity;
mod index;
mod introspection;
mod large;
mod limits;
mod origin;
mod page;
mod policy_credential;
mod probes;
mod refused;
mod revocation;
mod rotation;
mod sessions;
mod strict;
mod table;
mod tokens;
mod unread;
mod view;

use std::{io, net::IpAddr, sync::atomic::AtomicBool, time::Duration};

use actix_http::Request;
use actix_service::IntoServiceFactory;
use actix_web::{
    App, Error,
    body::BoxBody,
    dev::{AppConfig, Response, Service, ServiceFactory},
    http::Method,
    web::{self, Data},
};
use ipnet::IpNet;
use log::Level;

use crate::{
    config::{Config, LoggedChecks},
    ops::Context,
    sampling::Sampler,
};
use authz::Dialect;
pub use connections::{Connections, service};
use envelope::Envelope;
use large::Large;
use probes::Probes;
use table::Table;

/// Every route with its methods, readable top to bottom; what proxies ask stands in front of it ([`authz`]). Who may call
/// a route stands in its handler's signature.
fn table() -> Table {
    Table::default()
        // Signing in and out.
        .at("/api/v1/auth/register", |route| route.post(accounts::register))
        .at("/api/v1/auth/login", |route| route.post(accounts::login))
        .at("/api/v1/auth/logout", |route| route.post(accounts::logout))
        .at("/api/v1/auth/identify", |route| route.post(accounts::identify))
        // The account.
        .at("/api/user", |route| route.get(accounts::show))
        .at("/api/v1/user", |route| route.get(accounts::show).patch(accounts::update))
        .at("/api/v1/user/password", |route| route.put(accounts::change_password))
        // Its sessions.
        .at("/api/v1/user/sessions", |route| {
            route.get_by(page::PARAMETERS, sessions::list).delete(sessions::end_others)
        })
        .at("/api/v1/user/sessions/{id}", |route| route.delete(sessions::end))
        // What was done in it and to it.
        .at("/api/v1/user/audit", |route| route.get_by(page::PARAMETERS, audit::list))
        // Its personal access tokens.
        .at("/api/v1/user/api-tokens", |route| route.get_by(tokens::LIST_PARAMETERS, tokens::list).post(tokens::create))
        .at("/api/v1/user/api-tokens/revoke", |route| route.post(revocation::revoke_many))
        .at("/api/v1/user/api-tokens/{id}", |route| {
            route.get(tokens::show).patch(tokens::rename).delete(tokens::revoke)
        })
        // The environment that it works in, its own ones and those that are shared with it.
        .at("/api/v1/user/current-environment", |route| route.put(environments::choose))
        .at("/api/v1/environments", |route| {
            route.get_by(page::PARAMETERS, environments::list).post(environments::create)
        })
        .at("/api/v1/environments/{id}", |route| {
            route.get(environments::show).patch(environments::rename).delete(environments::delete)
        })
        .at("/api/v1/environments/{id}/members", |route| route.get(environments::members))
        .at("/api/v1/environments/{id}/members/{user_id}", |route| {
            route.put(environments::share).delete(environments::unshare)
        })
        // Their tokens.
        .at("/api/v1/environments/{id}/tokens", |route| {
            route.get_by(tokens::LIST_PARAMETERS, environment_tokens::list).post(environment_tokens::create)
        })
        .at("/api/v1/environments/{id}/tokens/{token_id}", |route| {
            route.get(environment_tokens::show).delete(environment_tokens::revoke)
        })
        .at("/api/v1/environments/{id}/tokens/{token_id}/regenerate", |route| {
            route.post(environment_tokens::regenerate)
        })
        // Their replacement, by themselves or by the person.
        .at("/api/v1/user/api-tokens/self/rotate", |route| route.post(rotation::rotate_self))
        .at("/api/v1/user/api-tokens/{id}/rotate", |route| route.post(rotation::rotate))
        .at("/api/v1/user/api-tokens/{id}/disable", |route| route.post(revocation::disable))
        .at("/api/v1/user/api-tokens/{id}/enable", |route| route.post(revocation::enable))
        // What other software asks about a credential. OAuth has a server ignore what it does not know.
        .at("/api/v1/introspect", |route| route.ignore_unknown_parameters().post(introspection::introspect))
        .at("/api/v1/revoke", |route| route.ignore_unknown_parameters().post(introspection::revoke))
        .at("/api/v1/tokens/verify", |route| route.post(introspection::verify))
        .at("/api/v1/tokens/verify-batch", |route| route.post(introspection::verify_batch))
        // What was found where it should not be.
        .at("/api/v1/tokens/revoke-leaked", |route| route.post(revocation::revoke_leaked))
        // What somebody sees who opens the server's address.
        .at("/", |route| route.ignore_unknown_parameters().get(index::show))
        .at("/api", |route| route.ignore_unknown_parameters().get(index::show))
        // Whether this process lives, and whether it can do its work.
        .at("/livez", |route| route.ignore_unknown_parameters().get(health::live))
        .at("/readyz", |route| route.ignore_unknown_parameters().get(health::ready))
        .at("/healthz", |route| route.ignore_unknown_parameters().get(health::ready))
}

/// The method and path pattern of every route, so that a test can see that each has its row in the access table.
pub fn routes() -> Vec<(Method, &'static str)> {
    Dialect::routes().chain(table().routes()).collect()
}

/// Everything that handlers share.
pub struct AppState {
    /// The operations and what they work with.
    pub ops: Context,
    /// Set once shutdown has begun.
    pub draining: AtomicBool,
    limits: Limits,
    trusted_proxies: Vec<IpNet>,
    logged_checks: LoggedChecks,
    refused_checks: Sampler,
    malformed: Sampler,
    large: Large,
    probes: Probes,
}

struct Limits {
    head: usize,
    body: usize,
    body_timeout: Duration,
    deadline: Duration,
}

impl AppState {
    /// Takes the limits of `config` and the operations. Starts the threads that write large answers.
    pub fn new(config: &Config, ops: Context) -> io::Result<Self> {
        let settings = &config.server;
        Ok(Self {
            large: Large::new(config.database.pool_timeout)?,
            probes: Probes::default(),
            ops,
            draining: AtomicBool::new(false),
            limits: Limits {
                head: settings.head_limit,
                body: settings.body_limit,
                body_timeout: settings.body_timeout,
                deadline: settings.request_deadline,
            },
            trusted_proxies: settings.trusted_proxies.clone(),
            logged_checks: config.log.checks,
            refused_checks: Sampler::new(100, "refused checks", Level::Warn),
            malformed: Sampler::new(10, "requests that could not be read", Level::Info),
        })
    }
}

impl AppState {
    /// Whether `address` is one of the configured proxies.
    fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.trusted_proxies.iter().any(|network| network.contains(&address))
    }
}

/// The application: the routes, and what surrounds them and the questions of proxies.
pub fn app(
    state: Data<AppState>,
) -> impl ServiceFactory<
    Request,
    Config = AppConfig,
    Response = Response<BoxBody>,
    Error = Error,
    InitError = (),
    Service: Service<Request, Future: 'static>,
> {
    let routes = App::new()
        .app_data(state.clone())
        .configure(|app| table().register(app))
        .default_service(web::to(error::unknown_route));
    Envelope::new(routes.into_factory(), state)
}
