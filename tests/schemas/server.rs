//! A database of its own on the server that `tests/postgres` has started, reached with psql.

use std::{
    env,
    io::Write,
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

pub(crate) struct TestDatabase {
    url: String,
}

impl TestDatabase {
    /// `None` if there is no server.
    pub(crate) fn new(schema: &str) -> Option<Self> {
        static CREATED: AtomicU32 = AtomicU32::new(0);
        let Ok(server) = env::var("PATD_TEST_POSTGRES") else {
            eprintln!("nothing is compared without a server: tests/postgres starts one");
            return None;
        };
        let number = CREATED.fetch_add(1, Ordering::Relaxed);
        let name = format!("schemas_{}_{number}", std::process::id());
        run(&server, &format!("CREATE DATABASE {name};"));
        let place = server.rsplit_once('/').expect("the name of a database").0;
        let database = Self { url: format!("{place}/{name}") };
        run(&database.url, schema);
        Some(database)
    }

    /// The rows of an answer.
    pub(crate) fn query<const COLUMNS: usize>(&self, sql: &str) -> Vec<[String; COLUMNS]> {
        let answer = run(&self.url, sql);
        let row = |line: &str| {
            let columns: Vec<String> = line.split('\t').map(str::to_owned).collect();
            columns.try_into().expect("as many columns as the statement has")
        };
        answer.lines().map(row).collect()
    }
}

fn run(url: &str, sql: &str) -> String {
    let psql =
        format!("{}/psql", env::var("PATD_POSTGRES_BIN").expect("tests/postgres names the programs of PostgreSQL"));
    let mut child = Command::new(psql)
        .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--field-separator=\t"])
        .args(["--set=ON_ERROR_STOP=1", "--file=-", url])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("psql starts");
    child.stdin.take().expect("piped").write_all(sql.as_bytes()).expect("psql reads");
    let output = child.wait_with_output().expect("psql ends");
    assert!(output.status.success(), "psql failed; its message is above");
    String::from_utf8(output.stdout).expect("UTF-8")
}
