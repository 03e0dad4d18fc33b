//! The SQLite store: one file, one thread that writes, one that checkpoints the log, and a pool of connections that read.
//!
//! [`open`] opens a database, and [`store`] says on which thread work runs. The statements are those of all databases
//! ([`sql`](super::sql)).

mod backup;
mod backup_report;
mod batch;
mod binding;
mod byte_locks;
mod changes;
mod checkpoint;
mod checkpoints;
mod connect;
mod connection;
mod copy;
mod diagnosis;
mod engine;
mod error;
mod examination;
mod file;
mod health;
mod identity;
mod inspection;
mod job;
mod locks;
mod log_index;
mod log_length;
mod migrations;
mod open;
mod open_error;
mod partial;
mod restoration;
mod schema;
mod scrub;
mod settings;
mod snapshot;
mod store;
mod watch;
mod writer;

#[cfg(test)]
mod tests;

pub(crate) use self::{backup::back_up, copy::SqliteCopyEnd, examination::examine, restoration::Restoration};
pub use self::{
    backup_report::{BackedUp, BackupError, BackupProgress},
    binding::fault::LogFault,
    open_error::OpenError,
    settings::SqliteSettings,
    store::SqliteStore,
};
