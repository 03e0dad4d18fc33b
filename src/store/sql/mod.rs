//! The rules and the statements of the store, each written once for all databases: who may, what ends what, and which event
//! is recorded. A database provides connections ([`connection`]) and decides where work runs ([`engine`]).
//!
//! [`verbs`] implements the store's trait. The statements on each kind of row are in a file of their own: [`users`],
//! [`sessions`], [`tokens`] and so on. Each of their functions runs inside one transaction of its caller. No other change
//! runs at the same time, in any process: so a rule may read, decide and write.
//!
//! # Which SQL
//!
//! SQL that SQLite and PostgreSQL understand alike: `IS NOT DISTINCT FROM` instead of SQLite's `IS`, `CASE` instead of `iif`
//! and of `max` with two arguments, `ON CONFLICT` instead of `INSERT OR`, `TRUE` for truth values, no functions of one database.
//! Three things are for SQLite alone, and another engine drops them from the text: `INDEXED BY name`, `NOT INDEXED`, and
//! `CROSS JOIN` with ON, which keeps the order of a join. Four functions exist in each: `instr`, `folded`, `covers` and
//! `has_metadata`.

pub(crate) mod accounts;
pub(crate) mod attempts;
pub(crate) mod audit;
pub(crate) mod clock;
pub(crate) mod connection;
pub(crate) mod copy;
pub(crate) mod current_environments;
pub(crate) mod deletion;
pub(crate) mod engine;
pub(crate) mod environment_access;
pub(crate) mod environment_tokens;
pub(crate) mod environments;
pub(crate) mod export;
pub(crate) mod hand_over;
pub(crate) mod headroom;
pub(crate) mod inventory;
pub(crate) mod keyed_requests;
pub(crate) mod lineage;
pub(crate) mod owned_environments;
pub(crate) mod owners;
pub(crate) mod password_links;
pub(crate) mod pruning;
pub(crate) mod quotas;
pub(crate) mod restore;
pub(crate) mod revocation;
pub(crate) mod roles;
pub(crate) mod rotation;
pub(crate) mod row;
pub(crate) mod service_accounts;
pub(crate) mod sessions;
pub(crate) mod shared;
mod sign_in;
pub(crate) mod token_counts;
pub(crate) mod token_histories;
pub(crate) mod token_search;
pub(crate) mod token_usage;
pub(crate) mod tokens;
mod use_locations;
pub(crate) mod users;
mod verbs;
