//! A disk that fails while the server runs: how requests are answered, and what is on the disk after a power cut.

use std::{
    fs,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use rusqlite::Connection as Database;
use serde_json::json;
use tempfile::TempDir;

use crate::{
    drive::{LOGIN, TOKENS},
    harness::{Answer, Connection, Place, Server},
};

const PASSWORD: &str = "a password of many words";
/// Many more than are needed for a checkpoint.
const MOST_TOKENS: usize = 5000;

/// A test directory whose disk fails on request.
struct Disk {
    place: Place,
    /// Keeps the compiled library while the test runs.
    _library: TempDir,
}

impl Disk {
    fn new() -> Self {
        let mut place = Place::new(&[("PATD__TOKENS__MAX_PER_USER", "1000000"), ("FAULTS_DISK", "1")]);
        let library = place.inject_faults();
        let arguments = ["user", "create", "--email", "a@example.com", "--name", "A", "--password-stdin"];
        let created = place.run(&arguments, PASSWORD);
        assert!(created.success, "{created:?}");
        Self { place, _library: library }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path(name)
    }

    /// The next sync of the file fails, and the data that it should have written is lost.
    fn fail_sync(&self, name: &str) {
        fs::write(self.path(&format!("{name}.fail-sync")), "").unwrap();
    }

    /// Writes to the file fail with this system error.
    fn fail_writes(&self, name: &str, error: i32) {
        // Renamed into place, so that no write sees an empty file.
        fs::write(self.path("number"), error.to_string()).unwrap();
        fs::rename(self.path("number"), self.path(&format!("{name}.fail-write"))).unwrap();
    }

    fn allow_writes(&self, name: &str) {
        fs::remove_file(self.path(&format!("{name}.fail-write"))).unwrap();
    }

    /// Keeps only what successful syncs have written. No process may run.
    fn cut_power(&self) {
        for name in ["patd.db", "patd.db-wal"] {
            match fs::copy(self.path(&format!("{name}.disk")), self.path(name)) {
                Ok(_) => {}
                // It was deleted, or never synced.
                Err(_) => drop(fs::remove_file(self.path(name))),
            }
            let _ = fs::remove_file(self.path(&format!("{name}.dirty")));
        }
        let _ = fs::remove_file(self.path("patd.db-shm"));
    }

    fn assert_intact(&self) {
        let sound: String = Database::open(self.path("patd.db"))
            .and_then(|database| database.query_row("PRAGMA integrity_check", [], |row| row.get(0)))
            .unwrap();
        assert_eq!(sound, "ok");
    }
}

fn sign_in(server: &Server) -> String {
    let body = json!({"email": "a@example.com", "password": PASSWORD});
    server.connect().ask("POST", LOGIN, None, Some(&body)).unwrap().data("token")
}

fn create(connection: &mut Connection, session: &str) -> Answer {
    connection.ask("POST", TOKENS, Some(session), Some(&json!({ "name": "t" }))).unwrap()
}

fn status(connection: &mut Connection, target: &str, bearer: Option<&str>) -> u16 {
    connection.ask("GET", target, bearer, None).unwrap().status
}

/// Polls `/readyz` until it answers with this status. Fails after 20 seconds.
#[track_caller]
fn expect_ready(connection: &mut Connection, expected: u16) {
    let start = Instant::now();
    while status(connection, "/readyz", None) != expected {
        assert!(start.elapsed() < Duration::from_secs(20), "/readyz never answered {expected}");
        thread::sleep(Duration::from_millis(100));
    }
}

#[track_caller]
fn assert_all_valid(connection: &mut Connection, tokens: &[String]) {
    let valid = tokens.iter().filter(|token| status(connection, "/api/user", Some(token)) == 200).count();
    assert_eq!(valid, tokens.len(), "acknowledged tokens were lost");
}

#[test]
fn a_failed_sync_of_the_database_stops_writes_and_loses_nothing() {
    let disk = Disk::new();
    let server = disk.place.serve();
    let session = sign_in(&server);
    let mut connection = server.connect();
    let mut tokens = Vec::new();
    disk.fail_sync("patd.db");
    let refused = loop {
        let answer = create(&mut connection, &session);
        if answer.status != 201 {
            break answer;
        }
        tokens.push(answer.data("token"));
        assert!(tokens.len() < MOST_TOKENS, "no checkpoint failed");
    };
    assert_eq!((refused.status, refused.body["code"].as_str()), (503, Some("store_unavailable")));
    assert!(!disk.path("patd.db.fail-sync").exists());
    for _ in 0..3 {
        assert_eq!(
            create(&mut connection, &session).status,
            503,
            "writes stay refused, though the next sync would succeed"
        );
        assert_eq!(status(&mut connection, "/readyz", None), 503);
        assert_eq!(status(&mut connection, "/api/user", Some(&tokens[0])), 200, "checks still work");
    }
    let ended = server.terminate();
    assert!(ended.success, "{}", ended.stderr);
    assert_eq!(
        ended.stderr.matches("Nothing more is written until a restart; checks go on").count(),
        1,
        "{}",
        ended.stderr
    );
    assert!(fs::metadata(disk.path("patd.db-wal")).unwrap().len() > 0, "the log is kept");

    disk.cut_power();
    let server = disk.place.serve();
    let mut connection = server.connect();
    assert_all_valid(&mut connection, &tokens);
    expect_ready(&mut connection, 200);
    tokens.push(create(&mut connection, &session).data("token"));
    assert!(server.terminate().success);
    disk.cut_power();
    disk.assert_intact();
    let server = disk.place.serve();
    assert_all_valid(&mut server.connect(), &tokens);
}

#[test]
fn a_failed_sync_of_the_log_loses_no_later_commit() {
    for killed in [false, true] {
        let disk = Disk::new();
        let mut server = disk.place.serve();
        let session = sign_in(&server);
        let mut tokens = vec![create(&mut server.connect(), &session).data("token")];
        disk.fail_sync("patd.db-wal");
        assert_eq!(create(&mut server.connect(), &session).status, 503);
        assert_eq!(status(&mut server.connect(), "/readyz", None), 503);
        if killed {
            // The new server reads the data from the page cache, though it is not on the disk.
            server.handle().kill();
            drop(server);
            server = disk.place.serve();
        }
        tokens.push(create(&mut server.connect(), &session).data("token"));
        expect_ready(&mut server.connect(), 200);
        server.handle().kill();
        drop(server);
        disk.cut_power();
        disk.assert_intact();
        let server = disk.place.serve();
        assert_all_valid(&mut server.connect(), &tokens);
    }
}

#[test]
fn the_server_is_unready_while_the_log_cannot_be_written() {
    const ENOSPC: i32 = 28;
    const EIO: i32 = 5;
    const EDQUOT: i32 = 122;
    let disk = Disk::new();
    let server = disk.place.serve();
    let session = sign_in(&server);
    let mut connection = server.connect();
    let created = create(&mut connection, &session);
    let (id, token) = (created.data("id"), created.data("token"));
    expect_ready(&mut connection, 200);
    for error in [ENOSPC, EIO, EDQUOT] {
        disk.fail_writes("patd.db-wal", error);
        // No client has sent a write since then.
        expect_ready(&mut connection, 503);
        assert_eq!(create(&mut connection, &session).status, 503, "{error}");
        let revoked = connection.ask("DELETE", &format!("{TOKENS}/{id}"), Some(&session), None).unwrap();
        assert_eq!(revoked.status, 503, "a revocation that was not written is not reported as done");
        assert_eq!(status(&mut connection, "/readyz", None), 503);
        assert_eq!(status(&mut connection, "/api/user", Some(&token)), 200, "checks still work");
        disk.allow_writes("patd.db-wal");
        expect_ready(&mut connection, 200);
        assert_eq!(create(&mut connection, &session).status, 201, "writes work again without a restart");
    }
}

#[test]
fn a_write_lock_of_another_process_makes_the_server_unready() {
    let disk = Disk::new();
    let server = disk.place.serve();
    let mut connection = server.connect();
    expect_ready(&mut connection, 200);
    let other = Database::open(disk.path("patd.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    expect_ready(&mut connection, 503);
    other.execute_batch("ROLLBACK").unwrap();
    expect_ready(&mut connection, 200);
}
