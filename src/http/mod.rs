//! The HTTP API.
//!
//! The way of a request: a connection ([`wire::connections`]), the envelope with request id, deadline and log line
//! ([`wire::envelope`]), the route table ([`routes`](mod@routes)), the guard ([`input::guard`]), and a handler in the
//! file of its noun. The handler reads the body ([`input::body`], [`input::form`]), calls one operation of
//! [`crate::ops`] and answers a view. Errors become answers in [`error`]. Checks by proxies leave this way behind the
//! envelope ([`authz`]).
//!
//! The files import each other's items from their own files and not from this one, so that there are no import cycles.

mod accounts;
mod admin;
mod annotations;
mod audit;
mod authz;
pub mod codes;
mod console;
#[cfg(test)]
mod description;
mod docs;
mod environment_tokens;
mod environments;
pub(crate) mod error;
mod export;
mod headers;
mod health;
mod index;
pub(crate) mod input;
mod introspection;
mod messages;
pub mod metrics;
mod revocation;
mod rotation;
mod route_table;
mod routes;
mod service_accounts;
mod sessions;
mod state;
mod token_reports;
mod token_usage;
mod tokens;
mod usage_limits;
mod wire;

pub use self::{
    routes::{pages, routes},
    state::{AppState, current::CurrentState},
    wire::connections::{accepting::service, open::Connections},
};
