//! The store in PostgreSQL, which several nodes share: connections and threads, what errors mean, the text of statements, and
//! the lease of a node.
//!
//! Changes run one after another, over all nodes, as in SQLite: each node has one connection that writes, and a transaction on
//! it begins with taking an advisory lock ([`connection`]). So the rules of changes need no locks of rows, nothing is serialized or
//! deadlocked, and audit events and changes are numbered in the order of the commits.
//!
//! The isolation level must be READ COMMITTED. There, each statement sees what was committed before it began, so the first one
//! after the lock sees everything that the transactions before it have changed. At a larger level, the whole transaction would
//! see the state from before its wait for the lock.
//!
//! A process that stops in a transaction keeps the lock. PostgreSQL ends its connection after
//! `idle_in_transaction_session_timeout`, and others wait for the lock no longer than `lock_timeout`.

mod announce;
mod answered;
mod attempts;
mod connection;
mod connector;
mod copy;
mod counters;
mod dialect;
mod engine;
mod error;
mod housekeeping;
mod installation;
mod lease;
mod listening;
mod look_ups;
mod membership;
mod node;
mod numbers;
mod observers;
mod pipeline;
mod primary;
mod readers;
mod reading;
mod revocation;
mod settings;
mod statements;
mod status;
mod store;
#[cfg(test)]
mod tests;
mod trail_end;
mod transaction;
mod unsent;
mod value;
mod writer;

pub(crate) use self::copy::PostgresCopyEnd;
pub use self::{installation::OpenError, settings::PostgresSettings, store::PostgresStore};
