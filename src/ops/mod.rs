//! What the product decides. HTTP and the command line both call these operations and decide nothing themselves.
//!
//! An operation takes domain values, asks the store, and returns a domain value or an [`Error`]. It knows nothing of
//! status codes or printed tables.
//!
//! Every operation takes the [`Context`]. What it keeps in memory is in [`state`]. So that files do not import each other
//! in a circle, the files of this folder import `context` and `error`, not this file.

pub mod accounts;
pub mod administration;
pub mod attempts;
pub mod audit;
pub mod authorization;
pub mod caller;
mod canary;
pub mod clock;
mod context;
pub(crate) mod cursor;
pub mod deletion;
pub mod disabling;
pub mod environment_administration;
pub mod environment_tokens;
pub mod environments;
mod error;
pub mod expiry;
pub mod export;
mod first_use;
pub mod hashing_time;
mod housekeeping;
pub mod inventory;
pub mod keyed_requests;
pub mod leak_desk;
mod new_id;
pub mod nodes;
pub mod owners;
pub mod password_links;
pub mod principal;
pub mod profile;
mod pruning;
mod rejection;
mod replaced;
mod reuse;
pub mod revocation;
pub mod roles;
pub mod rotation;
mod rules;
pub mod seals;
pub mod service_accounts;
pub mod sessions;
pub mod state;
pub mod token_counts;
mod token_filter;
pub mod token_report;
pub mod token_search;
pub mod token_usage;
pub mod tokens;
pub mod usage_limits;
pub mod use_locations;
pub mod verification;

pub use self::{
    context::Context,
    error::{Error, FieldError, StateConflict},
    rejection::{PolicyRejection, Rejection, Throttled},
    rules::{Lifetimes, Rules},
};
