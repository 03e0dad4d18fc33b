//! patd, the personal access token daemon: users, sessions and hashed API tokens in one self-contained binary.
//!
//! # Layers
//!
//! A request goes one way: [`http`] parses it and finds out who asks, [`ops`] decides, [`store`] makes one atomic
//! change or answers one question, and a [`domain`] value comes back to be shown. The command line is a second door to
//! the same [`ops`]: [`control`] takes its requests to the server, or carries them out where there is none. Nobody imports upwards: `domain` knows nobody, `store` knows `domain`, `ops` knows both and the
//! configuration, `http` and `cli` know `ops`, and [`server`] puts it all together. `tests/architecture.rs` holds the
//! code to that.
//!
//! # What always holds
//!
//! 1. What was answered with 2xx is on disk. No token is valid before its row is: the store answers after COMMIT.
//! 2. A check that starts after a revocation was answered is refused: [`ops::verification`] is the only judge, and it
//!    judges at each use a record that no answered change has touched since it was read ([`store::cache`]).
//! 3. Who cannot decide says so: a [`store::StoreError`] becomes 503, never a yes and never a 401.
//! 4. What changed has its event in the audit trail ([`domain::audit`]), written in the same transaction.
//!
//! # In reading order
//!
//! [`domain`] for the words, [`store`] for what is kept, [`ops`] for the rules ([`ops::verification`] first), [`http`]
//! for the route table, [`config`] for the settings, [`server`] and [`cli`] for how it is started.

pub mod cli;
pub mod config;
pub mod control;
pub mod domain;
pub mod http;
pub mod logging;
pub mod ops;
mod priority;
mod sampling;
pub mod server;
pub mod store;
mod threads;
