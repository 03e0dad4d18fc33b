//! patd, the personal access token daemon: users, sessions and hashed API tokens in one self-contained binary.
//!
//! # Layers
//!
//! A request passes through the layers in one direction: [`http`] parses it and authenticates the caller, [`ops`] decides,
//! [`store`] makes one atomic change or answers one query, and `http` converts the resulting [`domain`] value to JSON. The
//! command line calls the same operations: [`control`] sends a command to the running server, or runs it in this process
//! if there is no server.
//!
//! Imports go down only: `domain` imports nothing, `store` imports `domain`, `ops` imports both and the settings, `http`
//! and `cli` import `ops`, and [`compose`] builds everything. `tests/architecture` checks this.
//!
//! # Guarantees
//!
//! 1. What was answered with 2xx is on disk. The store answers after COMMIT, so no token is valid before its row exists.
//! 2. A check that starts after a revocation was answered is refused. [`ops::verification`] alone decides whether a
//!    credential is valid, and it uses a cached record only if no change has touched it since it was read
//!    ([`store::cache`]).
//! 3. If patd cannot decide, the answer is 503: a [`store::StoreError`] never becomes 200 or 401.
//! 4. Every change has an event in the audit trail ([`domain::audit`]), written in the same transaction.
//!
//! # Where to start reading
//!
//! [`domain`] for the terms, [`store`] for what is stored, [`ops`] for the rules ([`ops::verification`] first), [`http`]
//! for the routes, [`config`] for the settings, [`compose`], [`server`] and [`cli`] for how it starts.

pub mod cli;
pub mod compose;
pub mod config;
pub mod control;
pub mod domain;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod http;
pub mod logging;
pub mod measure;
pub mod ops;
mod priority;
mod sampling;
pub mod server;
pub mod store;
mod threads;
pub mod views;
