//! The console: pages for people, at `/console`.
//!
//! The server makes each page from a template in `pages/`, in the words of `texts/`. Pages are links and forms and need no
//! script; `assets/console.js` makes them more convenient. A page calls the same operations as the API.
//!
//! A form is sent to the path of the page that shows it, and its field `do` says what to do. So a person whose session has
//! ended meanwhile gets that page again after they sign in.
//!
//! The session is that of the API, in a cookie ([`cookie`]) that counts below `/console` alone. Other sites cannot send
//! forms ([`gate`]).

mod account;
mod activity;
mod admin;
mod assets;
mod chart;
mod cookie;
mod environments;
mod errors;
mod fields;
mod files;
mod gate;
pub(super) mod handler;
mod layout;
mod look;
mod notices;
mod once;
mod page;
mod password;
mod person;
pub(super) mod routes;
mod sessions;
pub(super) mod settings;
mod sign_in;
mod texts;
mod times;
mod tokens;

use actix_web::HttpResponse;

use self::page::PageError;
use super::error::ApiError;

/// The start page of a person is the list of their tokens.
async fn start() -> Result<HttpResponse, PageError> {
    Ok(page::see("/console/tokens"))
}

/// Any other path below `/console`.
async fn unknown() -> Result<HttpResponse, PageError> {
    Err(ApiError::UnknownRoute.into())
}
