//! `patd database copy`. Tests with PostgreSQL need the server that `tests/postgres` starts; without it they check nothing.

use std::{
    env,
    io::Write,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rusqlite::Connection;
use serde_json::json;

use crate::support::place::{DEADLINE, EMAIL, Ended, PASSWORD, Place, create_user};

/// An empty database in PostgreSQL.
pub struct Target {
    pub url: String,
}

impl Target {
    /// `None` if there is no server.
    pub fn new() -> Option<Self> {
        let Ok(server) = env::var("PATD_TEST_POSTGRES") else {
            eprintln!("nothing is checked without a server: tests/postgres starts one");
            return None;
        };
        let name = format!("copy_{}", uuid::Uuid::new_v4().simple());
        psql(&server, &format!("CREATE DATABASE {name}"));
        // The server asks for no password, and takes any.
        let place = server.rsplit_once('/').unwrap().0.replace("patd@", "patd:hunter2@");
        Some(Self { url: format!("{place}/{name}") })
    }

    /// Another database with the same contents. Nothing may be connected to this one.
    pub fn copied(&self) -> Self {
        let (server, name) = self.url.rsplit_once('/').unwrap();
        psql(&format!("{server}/postgres"), &format!("CREATE DATABASE {name}_copied TEMPLATE {name}"));
        Self { url: format!("{server}/{name}_copied") }
    }

    fn run(&self, sql: &str) -> String {
        psql(&self.url, sql)
    }

    /// Holds a transaction that has run the statement.
    fn hold(&self, sql: &str) -> Child {
        let mut child = start_psql(&self.url);
        writeln!(child.stdin.as_mut().unwrap(), "BEGIN; {sql}").unwrap();
        child
    }
}

fn start_psql(url: &str) -> Child {
    Command::new(format!("{}/psql", env::var("PATD_POSTGRES_BIN").unwrap()))
        .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1", url])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn psql(url: &str, sql: &str) -> String {
    let mut child = start_psql(url);
    child.stdin.take().unwrap().write_all(sql.as_bytes()).unwrap();
    let ended = child.wait_with_output().unwrap();
    assert!(ended.status.success(), "{sql}");
    String::from_utf8(ended.stdout).unwrap().trim().to_owned()
}

/// The file `patd.db` with rows in every table.
fn with_rows() -> Place {
    let place = Place::new().with_user();
    let connection = Connection::open(place.path("patd.db")).unwrap();
    connection.execute_batch(
        "DROP TRIGGER audit_events_are_not_deleted; DELETE FROM audit_events; DELETE FROM audit_salts WHERE hex(user_id) < 'FF';
         DELETE FROM clock; PRAGMA foreign_keys = OFF; DELETE FROM environments; DELETE FROM users;
         CREATE TRIGGER audit_events_are_not_deleted BEFORE DELETE ON audit_events
         WHEN NOT EXISTS (SELECT 1 FROM audit_pruning WHERE before > old.at)
         BEGIN SELECT RAISE(ABORT, 'an audit event is never deleted'); END;",
    )
    .unwrap();
    connection.execute_batch(include_str!("../../src/store/sqlite/tests/copy.sql")).unwrap();
    place
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < DEADLINE, "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// One line that says what was done, without the password.
fn succeeded(ended: &Ended, begin: &str) {
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), ""), "{ended:?}");
    let line = ended.stderr.strip_suffix('\n').unwrap();
    assert!(line.starts_with(begin) && line.ends_with("both databases have the same rows"), "{line}");
    assert!(!line.contains('\n') && !line.contains('\r') && !line.contains("hunter2"), "{line}");
}

fn refused(ended: &Ended, code: i32, says: &str) {
    assert_eq!(ended.code, Some(code), "{ended:?}");
    assert!(ended.stderr.contains(says) && !ended.stderr.contains("hunter2"), "{says}: {ended:?}");
}

fn rows(path: &Path, table: &str) -> i64 {
    let count =
        |connection: Connection| connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0));
    Connection::open(path).and_then(count).unwrap_or(0)
}

/// The tables whose rows are not the same in both, except those that are about the file.
fn differing(one: &Path, other: &Path) -> Vec<String> {
    let connection = Connection::open(one).unwrap();
    connection.execute("ATTACH ? AS other", [other.to_str().unwrap()]).unwrap();
    let tables = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT IN ('log_binding', 'write_probes')";
    let mut tables = connection.prepare(tables).unwrap();
    let tables: Vec<String> = tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert!(tables.len() > 18, "{tables:?}");
    let differs = |table: &String| {
        let sql = format!(
            "SELECT (SELECT count(*) FROM main.{table}) <> (SELECT count(*) FROM other.{table})
                 OR EXISTS (SELECT * FROM main.{table} EXCEPT SELECT * FROM other.{table})"
        );
        connection.query_row(&sql, [], |row| row.get(0)).unwrap()
    };
    tables.into_iter().filter(differs).collect()
}

#[test]
fn what_cannot_be_copied_is_refused_with_the_way_out() {
    let place = Place::new().with_user();
    let copy = |from: &str, to: &str| place.run(&["database", "copy", "--from", from, "--to", to]);
    let url = "postgres://patd:hunter2@127.0.0.1:1/patd";
    refused(&copy("patd.db", "other.db"), 2, "copy a file with `patd backup`");
    refused(&copy(url, url), 2, "pg_dump");
    refused(&copy("patd.db", "mysql://patd:hunter2@a/b"), 2, "begins with postgres://");
    refused(&copy("missing.db", url), 5, "does not exist");
    refused(&copy("patd.db", url), 5, "no connection to PostgreSQL");
    refused(&copy("patd.db", "postgres://patd:hunter2@a:x/b"), 5, "the address: ");
    refused(&copy(url, "new.db"), 5, "no connection to PostgreSQL");
    assert!(!place.path("new.db").exists(), "the source is opened first");
    refused(
        &place.run(&["database", "copy", "--from", "patd.db", "--to", url, "--database", "x"]),
        2,
        "--from or --to",
    );
    refused(&place.run(&["database", "copy", "--from", "patd.db"]), 2, "--to");
    refused(&place.run(&["database", "copy", "--from", "patd.db", "--to-url-file", "url"]), 5, "cannot be read");
    let server = place.serve();
    refused(&copy("patd.db", url), 5, "is already served by another patd: stop that one");
    server.terminate();
}

#[test]
fn tokens_sessions_and_seals_move_to_postgresql_and_back() {
    let Some(target) = Target::new() else { return };
    let place = Place::new().with_user();
    let server = place.serve();
    let session = server.sign_in(EMAIL, PASSWORD).1.unwrap();
    let create = |name: &str| {
        let (status, body) = server.post("/api/v1/user/api-tokens", &session, &json!({ "name": name }));
        assert_eq!(status, 201, "{body}");
        (body["data"]["id"].as_str().unwrap().to_owned(), body["data"]["token"].as_str().unwrap().to_owned())
    };
    let ((_, live), (revoked, revoked_secret), (disabled, disabled_secret), (rotated, _)) =
        (create("live"), create("revoked"), create("disabled"), create("rotated"));
    let rotate = format!("/api/v1/user/api-tokens/{rotated}/rotate");
    let (_, body) = server.post(&rotate, &session, &json!({ "grace": 600 }));
    let successor = body["data"]["token"].as_str().unwrap().to_owned();
    assert_eq!(place.run(&["token", "revoke", &revoked]).code, Some(0));
    assert_eq!(place.run(&["token", "disable", &disabled]).code, Some(0));
    assert_eq!(server.get("/api/user", &live), 200);
    assert_eq!(place.run(&["audit", "seal"]).code, Some(0));
    server.terminate();
    let check = |place: &Place, arguments: &[&str], name: &str| {
        let server = place.serve_with(arguments);
        for (secret, status) in
            [(&live, 200), (&successor, 200), (&session, 200), (&revoked_secret, 401), (&disabled_secret, 401)]
        {
            assert_eq!(server.get("/api/user", secret), status, "{name}");
        }
        assert_eq!(server.sign_in(EMAIL, PASSWORD).0, 201);
        // The number in front of the secret: one more than that of the successor or of the token before.
        let number = |secret: &str| secret.split_once('|').unwrap().0.parse::<u32>().unwrap();
        let (status, body) = server.post("/api/v1/user/api-tokens", &session, &json!({ "name": name }));
        assert_eq!(status, 201, "{body}");
        let created = number(body["data"]["token"].as_str().unwrap());
        assert!(created > number(&successor), "{created}: {successor}");
        let verified = place.run(&[&["audit", "verify"], arguments].concat());
        assert!(verified.stdout.starts_with("intact: 1 seals"), "{verified:?}");
        assert_eq!(server.terminate().code, Some(0));
        created
    };

    place.write("url", &format!("{}\n", target.url));
    let there = place.run(&["database", "copy", "--from", "patd.db", "--to-url-file", "url"]);
    succeeded(&there, "copied ");
    let secrets = "SELECT count(*) FROM tokens; SELECT count(*) FROM audit_seals";
    assert_eq!(target.run(secrets), "5\n1");
    let in_postgres = Place::new().set("PATD__DATABASE__URL", &target.url);
    let first = check(&in_postgres, &[], "there");

    let back = Place::new().set("PATD_COPY_FROM", &target.url);
    succeeded(&back.run(&["database", "copy", "--to", "patd.db"]), "copied ");
    assert_eq!(check(&back, &[], "back"), first + 1);
}

#[test]
fn a_copy_to_postgresql_that_was_killed_goes_on_and_a_changed_row_is_found() {
    let Some(target) = Target::new() else { return };
    let place = with_rows();
    let arguments = ["database", "copy", "--from", "patd.db", "--to", &target.url];
    target.run(include_str!("../../schema.postgres.sql"));
    let lock = target.hold("LOCK TABLE audit_events IN EXCLUSIVE MODE;");
    let kill = || {
        let copy = place.start(&arguments);
        wait_until("tokens are copied", || target.run("SELECT count(*) FROM token_addresses") == "250");
        copy.signal("KILL");
        assert_eq!(copy.end().code, None);
    };
    kill();
    let of_target = ["database", "copy", "--from", &target.url, "--to", "new.db"];
    refused(&place.run(&of_target), 4, "the source is itself an unfinished copy");
    assert!(!place.path("new.db").exists(), "nothing is left behind");
    let server = place.run(&["token", "list"]);
    assert_eq!(server.code, Some(0), "the source is as it was: {server:?}");
    let refusing = Place::new().set("PATD__DATABASE__URL", &target.url).run(&["serve", "--bind", "127.0.0.1:0"]);
    refused(&refusing, 5, "run the same `patd database copy` again");
    let other = with_rows();
    refused(&other.run(&arguments), 4, "an unfinished copy of another database");
    end(lock);
    target.run("UPDATE users SET name = 'Eve' WHERE email = 'u9@example.com'");
    let differs = place.run(&arguments);
    refused(&differs, 4, "the table users differs: the source has 452 rows, the target has 452, with other contents");
    target.run("UPDATE users SET name = 'Ädä 9' WHERE email = 'u9@example.com'");
    succeeded(&place.run(&arguments), "went on with an interrupted copy, and copied ");
    refused(&place.run(&arguments), 4, "the target is not empty, it has rows in users");

    let numbers = "SELECT last_value, is_called FROM tokens_number_seq; SELECT last_value FROM audit_events_seq_seq;
                   SELECT count(*) FROM users WHERE id = '00000000-0000-0000-0000-000000000000'";
    assert_eq!(target.run(numbers), "600|t\n1950\n0");
}

fn end(mut lock: Child) {
    drop(lock.stdin.take());
    lock.wait().unwrap();
}

#[test]
fn a_copy_from_postgresql_that_was_killed_goes_on() {
    let Some(target) = Target::new() else { return };
    let place = with_rows();
    succeeded(&place.run(&["database", "copy", "--from", "patd.db", "--to", &target.url]), "copied ");
    let arguments = ["database", "copy", "--from", &target.url, "--to", "back.db"];
    let lock = target.hold("LOCK TABLE audit_seals IN ACCESS EXCLUSIVE MODE;");
    let copy = place.start(&arguments);
    let back = place.path("back.db");
    wait_until("tokens are copied", || rows(&back, "token_addresses") == 250);
    copy.signal("KILL");
    assert_eq!(copy.end().code, None);
    refused(&place.run(&["--database", "back.db", "token", "list"]), 5, "run the same `patd database copy` again");
    end(lock);
    succeeded(&place.run(&arguments), "went on with an interrupted copy, and copied ");
    assert_eq!(differing(&place.path("patd.db"), &back), Vec::<String>::new());
    refused(&place.run(&arguments), 4, "the target is not empty");
}

#[test]
fn a_node_that_runs_is_named_and_nothing_is_copied() {
    let Some(target) = Target::new() else { return };
    let place = Place::new().with_user();
    let node = Place::new().set("PATD__DATABASE__URL", &target.url);
    let server = node.serve();
    let arguments = ["database", "copy", "--from", "patd.db", "--to", &target.url];
    refused(&place.run(&arguments), 5, "the target is in use by the node ");
    refused(&place.run(&["database", "copy", "--from", &target.url, "--to", "new.db"]), 5, "the source is in use by");
    assert!(!place.path("new.db").exists(), "nothing is left behind");
    // A node that was killed does not renew its lease.
    server.running.signal("KILL");
    server.running.end();
    succeeded(&place.run(&arguments), "copied ");
    assert_eq!(node.run_with(&create_user("bob@example.com"), PASSWORD).code, Some(0));
}
