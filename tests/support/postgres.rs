//! Databases on the private PostgreSQL that `tests/postgres` starts.

use std::{
    env,
    sync::{Mutex, OnceLock},
    time::Duration,
};

use tokio::runtime::{Builder, Runtime};
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;

/// Only the test moves the time of the counters that nodes share. In microseconds.
const START: u64 = 1_700_000_000_000_000;

/// A new database with patd's tables, which is dropped with this.
pub struct PostgresDatabase {
    name: String,
    pub url: String,
    clock: Mutex<Clock>,
}

/// The time of those counters, and the connection that sets it: some tests do so a thousand times.
struct Clock {
    now: u64,
    session: Option<Box<Session>>,
}

struct Session {
    runtime: Runtime,
    client: Client,
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
            execute(&name, &stop_clock(START))?;
            Some(name)
        });
        let name = format!("test_{}", Uuid::new_v4().simple());
        execute("postgres", &format!("CREATE DATABASE {name} TEMPLATE {}", template.as_ref()?))?;
        let url = address(&name)?;
        Some(Self { name, url, clock: Mutex::new(Clock { now: START, session: None }) })
    }

    /// Moves the time of those counters forward.
    pub fn advance(&self, by: Duration) {
        let mut clock = self.clock.lock().unwrap();
        let clock = &mut *clock;
        clock.now += u64::try_from(by.as_micros()).unwrap();
        let statement = stop_clock(clock.now);
        outside_of_runtimes(|| {
            clock.session.get_or_insert_with(|| Box::new(Session::open(&self.url))).execute(&statement)
        });
    }
}

impl Drop for PostgresDatabase {
    fn drop(&mut self) {
        if let Ok(clock) = self.clock.get_mut() {
            let session = clock.session.take();
            outside_of_runtimes(|| drop(session));
        }
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
    outside_of_runtimes(|| {
        Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
            let executed = async move |client: Client| client.batch_execute(statements).await.unwrap();
            // The connection ends when the client is dropped. The server must see that before the database is copied.
            tokio::join!(executed(client), async { connection.await.unwrap() });
        });
    });
    Some(())
}

fn stop_clock(now: u64) -> String {
    format!(
        "CREATE OR REPLACE FUNCTION database_time() RETURNS bigint LANGUAGE sql VOLATILE RETURN CAST({now} AS bigint)"
    )
}

/// The caller may be in a runtime, where nothing may block.
fn outside_of_runtimes(work: impl FnOnce() + Send) {
    std::thread::scope(|scope| scope.spawn(work).join().unwrap());
}

impl Session {
    fn open(url: &str) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let client = runtime.block_on(async {
            let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
            tokio::spawn(connection);
            client
        });
        Self { runtime, client }
    }

    fn execute(&self, statements: &str) {
        self.runtime.block_on(self.client.batch_execute(statements)).unwrap();
    }
}
