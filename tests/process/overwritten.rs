//! Files that another program changes while the server runs. SQLite itself does not notice this.

use std::{fs, process::Command};

use rusqlite::Connection as Database;
use serde_json::json;

use crate::{
    drive::{LOGIN, TOKENS},
    harness::{Place, Server},
};

const PASSWORD: &str = "a password of many words";

fn with_user() -> Place {
    let place = Place::new(&[]);
    let arguments = ["user", "create", "--email", "a@example.com", "--name", "A", "--password-stdin"];
    let created = place.run(&arguments, PASSWORD);
    assert!(created.success, "{created:?}");
    place
}

fn sign_in(server: &Server) -> String {
    let body = json!({"email": "a@example.com", "password": PASSWORD});
    server.connect().ask("POST", LOGIN, None, Some(&body)).unwrap().data("token")
}

fn create(server: &Server, session: &str) -> u16 {
    server.connect().ask("POST", TOKENS, Some(session), Some(&json!({ "name": "t" }))).unwrap().status
}

fn get(server: &Server, target: &str, bearer: Option<&str>) -> u16 {
    server.connect().ask("GET", target, bearer, None).unwrap().status
}

fn shell(place: &Place, command: &str) {
    assert!(Command::new("sh").args(["-c", command]).current_dir(place.directory()).status().unwrap().success());
}

#[test]
fn an_overwritten_database_is_neither_written_nor_used_for_answers() {
    let overwritings = [
        "> patd.db",
        "cp backup patd.db",
        "cp other patd.db",
        "dd if=/dev/zero of=patd.db bs=4096 seek=1 count=1 conv=notrunc 2> /dev/null",
        "> patd.db-wal",
    ];
    for overwriting in overwritings {
        let place = with_user();
        fs::copy(place.path("patd.db"), place.path("backup")).unwrap();
        fs::copy(with_user().path("patd.db"), place.path("other")).unwrap();
        let server = place.serve();
        let session = sign_in(&server);
        assert_eq!(create(&server, &session), 201);
        assert_eq!(get(&server, "/readyz", None), 200);

        shell(&place, overwriting);
        for _ in 0..3 {
            assert_eq!(create(&server, &session), 503, "{overwriting}");
            assert_eq!(get(&server, "/readyz", None), 503, "{overwriting}");
            assert_eq!(get(&server, "/api/user", Some(&session)), 503, "{overwriting}");
        }
        let before = fs::read(place.path("patd.db")).unwrap();
        let ended = server.terminate();
        assert!(ended.success, "{}", ended.stderr);
        assert_eq!(ended.stderr.matches("under the running server").count(), 1, "{}", ended.stderr);
        assert!(before == fs::read(place.path("patd.db")).unwrap(), "nothing is folded into it at the end");
        assert!(place.path("patd.db-wal").exists(), "what is in the log may be of use");
    }
}

#[test]
fn a_command_that_cannot_look_up_its_subject_says_that_nothing_was_changed() {
    let place = with_user();
    let server = place.serve();
    let session = sign_in(&server);
    assert_eq!(create(&server, &session), 201);
    shell(&place, "> patd.db-wal");
    assert_eq!(create(&server, &session), 503);
    for change in ["disable", "enable"] {
        let ended = place.run(&["user", change, "a@example.com"], "");
        assert!(!ended.success && ended.stderr.contains("nothing was changed"), "{ended:?}");
    }
    assert!(server.terminate().success);
}

#[test]
fn changes_through_sqlite_do_not_count_as_overwriting() {
    let place = with_user();
    let server = place.serve();
    let session = sign_in(&server);
    let database = Database::open(place.path("patd.db")).unwrap();
    for mode in ["PASSIVE", "FULL", "RESTART", "TRUNCATE"] {
        for _ in 0..3 {
            assert_eq!(create(&server, &session), 201);
            database.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |_| Ok(())).unwrap();
            assert_eq!(get(&server, "/readyz", None), 200, "{mode}");
        }
    }
    database.execute_batch("UPDATE users SET name = 'B'; VACUUM; PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    // The mode and the links of the file may change: they are not its content.
    shell(&place, "chmod 640 patd.db; ln patd.db link");
    for _ in 0..3 {
        assert_eq!(create(&server, &session), 201);
        assert_eq!(get(&server, "/readyz", None), 200);
    }
    drop(database);
    assert!(server.terminate().success);
}
