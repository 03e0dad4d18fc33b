//! The start page: what this server is, and where to continue.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{self, HeaderValue},
    web::Json,
};
use serde::Serialize;

use super::state::current::State;

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Index {
    name: &'static str,
    message: &'static str,
    links: Links,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Links {
    sign_in: &'static str,
    user: &'static str,
    tokens: &'static str,
    environments: &'static str,
    live: &'static str,
    ready: &'static str,
    /// If there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    console: Option<&'static str>,
}

/// People are led to the console, programs get links.
pub(super) async fn start(request: HttpRequest, state: State) -> HttpResponse {
    let accepts = request.headers().get_all(header::ACCEPT).filter_map(|value| value.to_str().ok());
    let mut response =
        match accepts.flat_map(|value| value.split(',')).any(|range| range.trim().starts_with("text/html")) {
            true if state.console.is_enabled => {
                HttpResponse::SeeOther().insert_header((header::LOCATION, "/console")).finish()
            }
            _ => HttpResponse::Ok().json(index(&state)),
        };
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept"));
    response
}

pub(super) async fn show(state: State) -> Json<Index> {
    Json(index(&state))
}

fn index(state: &State) -> Index {
    Index {
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
            console: state.console.is_enabled.then_some("/console"),
        },
    }
}
