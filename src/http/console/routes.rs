//! The paths of the console.

use super::{account, activity, admin, environments, files, password, sessions, sign_in, start, tokens, unknown};
use crate::http::route_table::RouteTable;

/// Every page with its methods. Each handler passes the gate ([`super::gate`]) first.
pub(in crate::http) fn table() -> RouteTable {
    RouteTable::default()
        .at("/console", |route| route.page(start))
        .at("/console/assets/{name}", |route| route.page(files::show))
        .at("/console/logo", |route| route.page(files::logo))
        .at("/console/sign-in", |route| route.page(sign_in::show).submit(sign_in::sign_in))
        .at("/console/signed-in", |route| route.page(sign_in::arrive))
        .at("/console/sign-out", |route| route.submit(sign_in::sign_out))
        .at("/console/set-password", |route| route.page(password::show).submit(password::set))
        .at("/console/tokens", |route| route.page(tokens::list::show).submit(tokens::list::act))
        .at("/console/tokens/new", |route| route.page(tokens::new::show).submit(tokens::making::act))
        .at("/console/tokens/{id}", |route| route.page(tokens::one::show).submit(tokens::one::act))
        .at("/console/environments", |route| route.page(environments::list::show).submit(environments::list::act))
        .at("/console/environments/{id}", |route| route.page(environments::one::show).submit(environments::one::act))
        .at("/console/environments/{id}/tokens/new", |route| {
            route.page(tokens::new::show_of_environment).submit(tokens::making::act_of_environment)
        })
        .at("/console/environments/{id}/tokens/{token_id}", |route| {
            route.page(environments::token::show).submit(environments::token::act)
        })
        .at("/console/sessions", |route| route.page(sessions::show).submit(sessions::act))
        .at("/console/account", |route| route.page(account::show).submit(account::act))
        .at("/console/account/export", |route| route.page(account::export))
        .at("/console/activity", |route| route.page(activity::show))
        // Administration.
        .at("/console/admin", |route| route.page(admin::start))
        .at("/console/admin/users", |route| route.page(admin::users::show).submit(admin::users::act))
        .at("/console/admin/users/{id}", |route| route.page(admin::user::show).submit(admin::user::act))
        .at("/console/admin/service-accounts", |route| {
            route.page(admin::service_accounts::show).submit(admin::service_accounts::act)
        })
        .at("/console/admin/service-accounts/{id}", |route| {
            route.page(admin::service_account::show).submit(admin::service_account::act)
        })
        .at("/console/admin/tokens", |route| route.page(admin::tokens::show).submit(admin::tokens::act))
        .at("/console/admin/tokens/{id}", |route| route.page(admin::token::show).submit(admin::token::act))
        .at("/console/admin/audit", |route| route.page(admin::audit::show))
        .at("/console/admin/nodes", |route| route.page(admin::nodes::show))
        .at("/console/admin/leaks", |route| route.page(admin::leaks::show).submit(admin::leaks::act))
        .at("/console/{rest:.*}", |route| route.page(unknown))
}
