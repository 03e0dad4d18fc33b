//! The SQLite store: one file, one thread that writes, one that checkpoints the log, and a pool of connections that read.
//!
//! [`open`] opens a database, [`store`] says where work blocks, and [`verbs`] implements the store's trait. The statements on
//! each kind of row are in a file of their own: [`users`], [`sessions`], [`tokens`] and so on. They hold statements and rows;
//! rules are functions of the domain.

mod accounts;
mod attempts;
mod audit;
mod batch;
mod binding;
mod byte_locks;
mod changes;
mod checkpoint;
mod checkpoints;
mod clock;
mod connect;
mod current_environments;
mod deletion;
mod diagnosis;
mod environment_access;
mod environment_tokens;
mod environments;
mod error;
mod export;
mod file;
mod hand_over;
mod headroom;
mod health;
mod identity;
mod inspection;
mod inventory;
mod job;
mod lineage;
mod locks;
mod log_index;
mod log_length;
mod migrations;
mod open;
mod open_error;
mod owned_environments;
mod owners;
mod password_links;
mod pruning;
mod quotas;
mod revocation;
mod roles;
mod rotation;
mod row;
mod schema;
mod scrub;
mod service_accounts;
mod sessions;
mod settings;
mod shared;
mod sign_in;
mod store;
mod token_histories;
mod token_search;
mod token_usage;
mod tokens;
mod use_locations;
mod users;
mod verbs;
mod watch;
mod writer;

#[cfg(test)]
mod tests;

pub use self::{
    binding::fault::LogFault,
    open_error::OpenError,
    settings::{Access, SqliteSettings},
    store::SqliteStore,
};
