//! The start page: what this server is, and where to continue.

use actix_web::web::Json;
use serde::Serialize;

#[derive(Serialize)]
pub(super) struct Index {
    name: &'static str,
    message: &'static str,
    links: Links,
}

#[derive(Serialize)]
struct Links {
    sign_in: &'static str,
    user: &'static str,
    tokens: &'static str,
    environments: &'static str,
    live: &'static str,
    ready: &'static str,
}

pub(super) async fn show() -> Json<Index> {
    Json(Index {
        name: "patd",
        message: "This server issues and checks API tokens. POST email and password to sign_in for a session token, and \
                  send it as Authorization: Bearer <token>.",
        links: Links {
            sign_in: "/api/v1/auth/login",
            user: "/api/user",
            tokens: "/api/v1/user/api-tokens",
            environments: "/api/v1/environments",
            live: "/livez",
            ready: "/readyz",
        },
    })
}
