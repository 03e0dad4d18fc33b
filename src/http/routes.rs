//! The routes, and the application that serves them.

use actix_http::Request;
use actix_service::IntoServiceFactory;
use actix_web::{
    App, Error,
    body::BoxBody,
    dev::{AppConfig, Response, Service, ServiceFactory},
    http::Method,
    web::{self, ServiceConfig},
};

use super::{
    accounts,
    admin::{self, environments as all_environments, owners, throttle, users},
    audit,
    authz::Dialect,
    console, docs, environment_tokens, environments, error, export, health, index,
    input::page,
    introspection, revocation, rotation,
    route_table::RouteTable,
    service_accounts, sessions,
    state::current::CurrentState,
    token_reports, token_usage, tokens,
    wire::envelope::Envelope,
};

/// Every route with its methods, except those of the authorization endpoints ([`authz`](super::authz)). The guard in
/// the signature of a handler says who may call it.
fn table() -> RouteTable {
    RouteTable::default()
        // Sign-in and sign-out.
        .at("/api/v1/auth/register", |route| route.post(accounts::register))
        .at("/api/v1/auth/login", |route| route.post(accounts::login))
        .at("/api/v1/auth/logout", |route| route.post(accounts::logout))
        .at("/api/v1/auth/password-link", |route| route.post(accounts::set_password_by_link))
        .at("/api/v1/auth/identify", |route| route.post(accounts::identify))
        // The account.
        .at("/api/user", |route| route.get(accounts::show))
        .at("/api/v1/user", |route| route.get(accounts::show).patch(accounts::update).delete(accounts::delete))
        .at("/api/v1/user/export", |route| route.get(export::show))
        .at("/api/v1/user/password", |route| route.put(accounts::change_password))
        // Sessions.
        .at("/api/v1/user/sessions", |route| {
            route.get_with(page::PARAMETERS, sessions::list).delete(sessions::end_others)
        })
        .at("/api/v1/user/sessions/{id}", |route| route.delete(sessions::end))
        // The audit trail.
        .at("/api/v1/user/audit", |route| route.get_with(page::PARAMETERS, audit::list))
        // Personal access tokens.
        .at("/api/v1/user/api-tokens", |route| {
            route.get_with(tokens::PERSONAL_LIST_PARAMETERS, tokens::list).post(tokens::create)
        })
        .at("/api/v1/user/api-tokens/revoke", |route| route.post(revocation::revoke_many))
        .at("/api/v1/user/api-tokens/{id}", |route| {
            route.get(tokens::show).patch(tokens::change).delete(tokens::revoke)
        })
        .at("/api/v1/user/api-tokens/{id}/usage", |route| route.get(token_usage::show))
        .at("/api/v1/user/api-tokens/{id}/report", |route| route.get(token_reports::show))
        // Environments and their members.
        .at("/api/v1/user/current-environment", |route| route.put(environments::set_current))
        .at("/api/v1/environments", |route| {
            route.get_with(page::PARAMETERS, environments::list).post(environments::create)
        })
        .at("/api/v1/environments/{id}", |route| {
            route.get(environments::show).patch(environments::rename).delete(environments::delete)
        })
        .at("/api/v1/environments/{id}/members", |route| route.get(environments::members))
        .at("/api/v1/environments/{id}/members/{user_id}", |route| {
            route.put(environments::set_member).delete(environments::remove_member)
        })
        // Environment tokens.
        .at("/api/v1/environments/{id}/tokens", |route| {
            route.get_with(tokens::LIST_PARAMETERS, environment_tokens::list).post(environment_tokens::create)
        })
        .at("/api/v1/environments/{id}/tokens/{token_id}", |route| {
            route.get(environment_tokens::show).patch(environment_tokens::change).delete(environment_tokens::revoke)
        })
        .at("/api/v1/environments/{id}/tokens/{token_id}/regenerate", |route| {
            route.post(environment_tokens::regenerate)
        })
        .at("/api/v1/environments/{id}/tokens/{token_id}/usage", |route| route.get(token_usage::show_of_environment))
        // Rotation, by the token itself or by its owner, and disabling.
        .at("/api/v1/user/api-tokens/self/rotate", |route| route.post(rotation::rotate_self))
        .at("/api/v1/user/api-tokens/{id}/rotate", |route| route.post(rotation::rotate))
        .at("/api/v1/user/api-tokens/{id}/disable", |route| route.post(revocation::disable))
        .at("/api/v1/user/api-tokens/{id}/enable", |route| route.post(revocation::enable))
        // Administration.
        .at("/api/v1/admin/tokens", |route| route.get_with(admin::tokens::PARAMETERS, admin::tokens::list))
        .at("/api/v1/admin/tokens/revoke", |route| route.post(admin::tokens::revoke_many))
        .at("/api/v1/admin/tokens/{id}", |route| route.get(admin::tokens::show).delete(admin::tokens::revoke))
        .at("/api/v1/admin/tokens/{id}/disable", |route| route.post(admin::tokens::disable))
        .at("/api/v1/admin/tokens/{id}/enable", |route| route.post(admin::tokens::enable))
        .at("/api/v1/admin/tokens/{id}/report", |route| route.get(admin::token_reports::show))
        .at("/api/v1/admin/users", |route| route.get_with(users::LIST_PARAMETERS, users::list).post(users::create))
        .at("/api/v1/admin/audit", |route| route.get_with(admin::audit::PARAMETERS, admin::audit::list))
        .at("/api/v1/admin/users/{id}", |route| {
            route.get(users::show).patch(users::update).delete_with(owners::DELETION_PARAMETERS, owners::delete)
        })
        .at("/api/v1/admin/users/{id}/disable", |route| route.post(owners::disable))
        .at("/api/v1/admin/users/{id}/enable", |route| route.post(users::enable))
        .at("/api/v1/admin/users/{id}/reset-password", |route| route.post(users::reset_password))
        .at("/api/v1/admin/users/{id}/sessions", |route| {
            route.get_with(page::PARAMETERS, users::sessions).delete(users::end_sessions)
        })
        .at("/api/v1/admin/throttle", |route| {
            route.get_with(throttle::PARAMETERS, throttle::show).delete_with(throttle::PARAMETERS, throttle::clear)
        })
        .at("/api/v1/admin/users/{id}/owns", |route| route.get(owners::show))
        .at("/api/v1/admin/users/{id}/hand-over", |route| route.post(owners::hand_over))
        .at("/api/v1/admin/environments", |route| {
            route.get_with(all_environments::LIST_PARAMETERS, all_environments::list)
        })
        .at("/api/v1/admin/environments/{id}", |route| route.get(all_environments::show))
        .at("/api/v1/admin/environments/{id}/transfer", |route| route.post(all_environments::transfer))
        // Service accounts.
        .at("/api/v1/service-accounts", |route| {
            route.get_with(service_accounts::LIST_PARAMETERS, service_accounts::list).post(service_accounts::create)
        })
        .at("/api/v1/service-accounts/{id}", |route| {
            route.get(service_accounts::show).patch(service_accounts::update).delete(service_accounts::delete)
        })
        .at("/api/v1/service-accounts/{id}/disable", |route| route.post(service_accounts::disable))
        .at("/api/v1/service-accounts/{id}/enable", |route| route.post(service_accounts::enable))
        .at("/api/v1/service-accounts/{id}/managers/{user_id}", |route| {
            route.put(service_accounts::add_manager).delete(service_accounts::remove_manager)
        })
        // Checks by other software. OAuth requires a server to ignore unknown parameters.
        .at("/api/v1/introspect", |route| route.ignore_unknown_parameters().post(introspection::introspect))
        .at("/api/v1/revoke", |route| route.ignore_unknown_parameters().post(introspection::revoke))
        .at("/api/v1/tokens/verify", |route| route.post(introspection::verify))
        .at("/api/v1/tokens/verify-batch", |route| route.post(introspection::verify_batch))
        // Leak reports.
        .at("/api/v1/tokens/revoke-leaked", |route| route.post(revocation::revoke_leaked))
        // The start page.
        .at("/", |route| route.ignore_unknown_parameters().get(index::start))
        .at("/api", |route| route.ignore_unknown_parameters().get(index::show))
        // The documentation.
        .at("/api/openapi.json", |route| route.ignore_unknown_parameters().get(docs::description))
        .at("/api/openapi-3.0.json", |route| route.ignore_unknown_parameters().get(docs::older_description))
        .at("/api/docs", |route| route.ignore_unknown_parameters().get(docs::reference))
        .at("/api/docs/{name}", |route| route.ignore_unknown_parameters().get(docs::show))
        .at("/llms.txt", |route| route.ignore_unknown_parameters().get(docs::index_for_models))
        // Health.
        .at("/livez", |route| route.ignore_unknown_parameters().get(health::live))
        .at("/readyz", |route| route.ignore_unknown_parameters().get(health::ready))
        .at("/healthz", |route| route.ignore_unknown_parameters().get(health::ready))
}

/// The method and the path pattern of every route of the API, so that tests can check all of them.
pub fn routes() -> Vec<(Method, &'static str)> {
    Dialect::routes().chain(without_parameters(&table())).collect()
}

/// The same with the query parameters of each route.
#[cfg(test)]
pub(super) fn described_routes() -> Vec<(Method, &'static str, &'static [&'static str])> {
    let dialects = Dialect::routes().map(|(method, path)| (method, path, &[][..]));
    dialects.chain(table().routes()).collect()
}

fn without_parameters(table: &RouteTable) -> impl Iterator<Item = (Method, &'static str)> + use<> {
    table.routes().into_iter().map(|(method, path, _)| (method, path))
}

/// The same of every page of the console.
pub fn pages() -> Vec<(Method, &'static str)> {
    without_parameters(&console::routes::table()).collect()
}

/// The application: the routes and the authorization endpoints, in their envelope.
pub(super) fn app(
    state: CurrentState,
) -> impl ServiceFactory<
    Request,
    Config = AppConfig,
    Response = Response<BoxBody>,
    Error = Error,
    InitError = (),
    Service: Service<Request, Future: 'static>,
> {
    let register = |app: &mut ServiceConfig| {
        table().register(app);
        console::routes::table().register(app);
    };
    let routes = App::new().configure(register).default_service(web::to(error::unknown_route));
    Envelope::new(routes.into_factory(), state)
}
