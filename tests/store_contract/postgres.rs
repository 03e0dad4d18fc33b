//! The cases on PostgreSQL, each in a database of its own on the server that `tests/postgres` starts. Without a server they
//! check nothing.

use std::sync::Arc;

use patd::store::{
    Access, Backend, Database,
    postgres::{PostgresSettings, PostgresStore},
};

use crate::support::postgres::PostgresDatabase;

pub(super) fn run(name: &str, wrap: fn(Database) -> Backend) {
    let Some(database) = PostgresDatabase::new() else {
        return eprintln!("nothing is checked without a server: tests/postgres starts one");
    };
    super::run(name, wrap(open(&database)));
}

/// A node.
pub(super) fn open(database: &PostgresDatabase) -> Database {
    let settings = PostgresSettings::new(database.url.clone());
    Database::new(Arc::new(PostgresStore::open(&settings, Access::Server).unwrap()))
}
