//! Tests against a real server, which `tests/postgres cargo test --lib postgres` starts. Without one they check nothing.
//! `tests/run` starts it, too.

mod connections;
mod counts;
mod errors;
mod headroom;
mod insertions;
mod later_statements;
mod life;
mod look_ups;
mod nodes;
mod reads;
mod rules;
mod schema;
mod statements;
mod store;
mod together;
mod upgrade;
mod writer;

use std::{
    env,
    thread::sleep,
    time::{Duration, Instant},
};

use tokio::runtime::{Builder, Runtime};
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;

use super::{PostgresSettings, PostgresStore, connection::WriteConnection, connector::Connector};
use crate::store::Access;

/// A database of its own, with the schema and one user.
struct TestDatabase {
    url: String,
    runtime: Runtime,
}

impl TestDatabase {
    /// `None` if there is no server.
    fn new() -> Option<Self> {
        Self::with_schema(include_str!("../../../../schema.postgres.sql"))
    }

    fn with_schema(schema: &str) -> Option<Self> {
        let Ok(server) = env::var("PATD_TEST_POSTGRES") else {
            eprintln!("nothing is checked without a server: tests/postgres starts one");
            return None;
        };
        let name = format!("test_{}", Uuid::new_v4().simple());
        let url = format!("{}/{name}", server.rsplit_once('/').expect("the name of a database").0);
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let database = Self { url, runtime };
        let create = format!("CREATE DATABASE {name}");
        database.runtime.block_on(async { client_at(&server).await.batch_execute(&create).await }).expect("a database");
        database.execute(schema);
        database.execute(
            "BEGIN; INSERT INTO users (id, name, email, email_canonical, created_at, current_environment_id)
                 VALUES ('00000000-0000-0000-0000-000000000001', 'Ada', 'a@example.com', 'a@example.com', 1,
                         '00000000-0000-0000-0000-000000000002');
             INSERT INTO environments VALUES ('00000000-0000-0000-0000-000000000002',
                 '00000000-0000-0000-0000-000000000001', 'Default', true, 1); COMMIT",
        );
        Some(database)
    }

    /// Runs statements on a connection of their own, which ends with them.
    fn try_execute(&self, sql: &str) -> Result<(), tokio_postgres::Error> {
        self.runtime.block_on(async { client_at(&self.url).await.batch_execute(sql).await })
    }

    fn execute(&self, sql: &str) {
        self.try_execute(sql).expect(sql);
    }

    /// The first column of the first row.
    fn read<T: for<'r> tokio_postgres::types::FromSql<'r>>(&self, sql: &str) -> T {
        self.runtime.block_on(async { client_at(&self.url).await.query_one(sql, &[]).await }).expect(sql).get(0)
    }

    fn settings(&self, options: &str) -> PostgresSettings {
        PostgresSettings::new(format!("{}{options}", self.url))
    }

    fn open(&self, access: Access) -> PostgresStore {
        PostgresStore::open(&self.settings(""), access).expect("a store")
    }

    fn write_connection(&self) -> WriteConnection {
        let connector = Connector::new(&self.settings("")).expect("sound settings");
        WriteConnection::open(&connector).expect("a connection")
    }
}

/// Waits until it holds, for at most a few seconds.
fn soon(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(10), "{what}");
        sleep(Duration::from_millis(20));
    }
}

async fn client_at(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("a server");
    tokio::spawn(connection);
    client
}
