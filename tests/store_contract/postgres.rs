//! The cases on PostgreSQL, each in a database of its own on the server that `tests/postgres` starts. Without a server they
//! check nothing.

use std::{env, sync::Arc};

use patd::store::{
    Access, Backend, Database,
    postgres::{PostgresSettings, PostgresStore},
};
use tokio_postgres::NoTls;
use uuid::Uuid;

pub(super) fn run(name: &str, wrap: fn(Database) -> Backend) {
    let Some(url) = new_database() else { return };
    let store = PostgresStore::open(&PostgresSettings::new(url), Access::Server).unwrap();
    super::run(name, wrap(Database::new(Arc::new(store))));
}

/// The address of an empty database. `None` if there is no server.
fn new_database() -> Option<String> {
    let Ok(server) = env::var("PATD_TEST_POSTGRES") else {
        eprintln!("nothing is checked without a server: tests/postgres starts one");
        return None;
    };
    let name = format!("contract_{}", Uuid::new_v4().simple());
    let create = format!("CREATE DATABASE {name}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(&server, NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute(&create).await.unwrap();
    });
    Some(format!("{}/{name}", server.rsplit_once('/').unwrap().0))
}
