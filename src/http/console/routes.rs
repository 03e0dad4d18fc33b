//! The paths of the console.

use super::{account, activity, files, password, sessions, sign_in, start, tokens, unknown};
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
        .at("/console/sessions", |route| route.page(sessions::show).submit(sessions::act))
        .at("/console/account", |route| route.page(account::show).submit(account::act))
        .at("/console/account/export", |route| route.page(account::export))
        .at("/console/activity", |route| route.page(activity::show))
        .at("/console/{rest:.*}", |route| route.page(unknown))
}
