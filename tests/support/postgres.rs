//! Databases on the private PostgreSQL that `tests/postgres` starts.

use std::{env, sync::OnceLock, time::Duration};

use tokio_postgres::{Client, NoTls};
use uuid::Uuid;

/// Only the test moves the time of the counters that nodes share.
const STOP_CLOCK: &str = "CREATE OR REPLACE FUNCTION database_time() RETURNS bigint LANGUAGE sql VOLATILE
    RETURN CAST(1700000000000000 AS bigint)";

/// A new database with patd's tables, which is dropped with this.
pub struct PostgresDatabase {
    name: String,
    pub url: String,
}

impl PostgresDatabase {
    /// `None` if there is no server.
    pub fn new() -> Option<Self> {
        // To copy a database is faster than to create the tables. All copies have the keys of the first.
        static TEMPLATE: OnceLock<Option<String>> = OnceLock::new();
        let template = TEMPLATE.get_or_init(|| {
            let name = format!("template_{}", Uuid::new_v4().simple());
            execute("postgres", &format!("CREATE DATABASE {name}"))?;
            execute(&name, include_str!("../../schema.postgres.sql"))?;
            execute(&name, STOP_CLOCK)?;
            Some(name)
        });
        let name = format!("test_{}", Uuid::new_v4().simple());
        execute("postgres", &format!("CREATE DATABASE {name} TEMPLATE {}", template.as_ref()?))?;
        let url = address(&name)?;
        Some(Self { name, url })
    }
}

impl PostgresDatabase {
    /// Moves the time of those counters forward.
    pub fn advance(&self, by: Duration) {
        let replace = format!(
            "DO $do$ DECLARE body text := pg_get_functiondef('database_time'::regproc); BEGIN
                 EXECUTE regexp_replace(body, 'RETURN ', 'RETURN {} + ');
             END $do$",
            by.as_micros()
        );
        execute(&self.name, &replace);
    }
}

impl Drop for PostgresDatabase {
    fn drop(&mut self) {
        execute("postgres", &format!("DROP DATABASE {} WITH (FORCE)", self.name));
    }
}

/// The address of a database of the server, or `None` if there is no server.
fn address(database: &str) -> Option<String> {
    let server = env::var("PATD_TEST_POSTGRES").ok()?;
    Some(format!("{}/{database}", server.rsplit_once('/').unwrap().0))
}

/// Executes statements in a database of the server, or nothing if there is no server.
fn execute(database: &str, statements: &str) -> Option<()> {
    let url = address(database)?;
    // The caller may be in a runtime, where nothing may block.
    let run = || {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
            let executed = async move |client: Client| client.batch_execute(statements).await.unwrap();
            // The connection ends when the client is dropped. The server must see that before the database is copied.
            tokio::join!(executed(client), async { connection.await.unwrap() });
        });
    };
    std::thread::scope(|scope| scope.spawn(run).join().unwrap());
    Some(())
}
