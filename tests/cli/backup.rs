//! `patd backup`: a copy of the database of a running server that is complete whenever it has its name.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use rusqlite::Connection;
use serde_json::json;

use crate::support::place::{DEADLINE, EMAIL, PASSWORD, Place, Server};

fn create_token(server: &Server, session: &str, name: &str) -> String {
    let (status, answer) = server.post("/api/v1/user/api-tokens", session, &json!({"name": name, "abilities": ["*"]}));
    assert_eq!(status, 201, "{answer}");
    answer["data"]["token"].as_str().unwrap().to_owned()
}

fn is_complete(path: &Path) -> bool {
    let connection = Connection::open(path).unwrap();
    connection.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0)).unwrap() == "ok"
}

/// Makes the database some MiB larger.
fn grow(place: &Place) {
    let connection = Connection::open(place.path("patd.db")).unwrap();
    connection
        .execute_batch(
            "WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 30000)
             INSERT INTO audit_events (at, actor_kind, action, target_kind, outcome, detail)
             SELECT unixepoch(), 'system', 'sign_in.refused', 'user', 'refused', 'unknown_user ' || hex(randomblob(60))
             FROM number;",
        )
        .unwrap();
}

#[test]
fn a_backup_beside_a_server_that_writes_has_everything_that_was_answered_before() {
    let place = Place::new().with_user();
    grow(&place);
    let server = place.serve();
    let session = server.sign_in(EMAIL, PASSWORD).1.unwrap();
    let before: Vec<String> = (0..20).map(|number| create_token(&server, &session, &format!("{number}"))).collect();
    let is_over = AtomicBool::new(false);
    let (ended, written) = thread::scope(|scope| {
        let backup = scope.spawn(|| {
            // Slow, so that much is written meanwhile.
            let ended = place.run(&["backup", "copy.db", "--rate", "4"]);
            is_over.store(true, Ordering::Relaxed);
            ended
        });
        let mut written = 0;
        while !is_over.load(Ordering::Relaxed) {
            create_token(&server, &session, "meanwhile");
            written += 1;
        }
        (backup.join().unwrap(), written)
    });
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), ""), "{ended:?}");
    assert!(
        ended.stderr.starts_with("copy.db: ") && ended.stderr.ends_with("it was read and is complete\n"),
        "{ended:?}"
    );
    assert!(written > 1, "no change was made during the backup");
    server.terminate();

    let copy = place.path("copy.db");
    assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!place.path("copy.db.partial").exists());
    assert!(is_complete(&copy));
    let server = place.serve_with(&["--database", "copy.db"]);
    for token in &before {
        assert_eq!(server.get("/api/v1/user", token), 200);
    }
    server.terminate();
}

#[test]
fn a_killed_backup_leaves_no_file_with_the_name_of_a_good_one() {
    let place = Place::new().with_user();
    grow(&place);
    let (copy, partial) = (place.path("copy.db"), place.path("copy.db.partial"));
    let running = place.start(&["backup", "copy.db", "--rate", "1"]);
    let begun = Instant::now();
    while fs::metadata(&partial).map_or(0, |file| file.len()) == 0 {
        assert!(begun.elapsed() < DEADLINE, "no file appeared");
        thread::sleep(Duration::from_millis(5));
    }
    let beside = place.run(&["backup", "copy.db"]);
    assert_eq!(beside.code, Some(5), "{beside:?}");
    assert!(beside.stderr.contains("copy.db.partial is being written by another command"), "{beside:?}");
    running.signal("KILL");
    running.end();
    assert!(!copy.exists() && partial.exists());
    let again = place.run(&["backup", "copy.db"]);
    assert_eq!(again.code, Some(0), "{again:?}");
    assert!(is_complete(&copy) && !partial.exists());
}

#[test]
fn what_is_only_in_the_log_of_a_killed_server_is_in_the_backup() {
    let place = Place::new().with_user();
    let server = place.serve();
    let session = server.sign_in(EMAIL, PASSWORD).1.unwrap();
    let token = create_token(&server, &session, "last");
    server.running.signal("KILL");
    server.running.end();
    let log = fs::read(place.path("patd.db-wal")).unwrap();
    assert!(!log.is_empty());
    let ended = place.run(&["backup", "copy.db"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(fs::read(place.path("patd.db-wal")).unwrap(), log, "a backup changes nothing");
    let server = place.serve_with(&["--database", "copy.db"]);
    assert_eq!(server.get("/api/v1/user", &token), 200);
    server.terminate();
}

#[test]
fn a_file_that_exists_is_never_overwritten() {
    let place = Place::new().with_user();
    place.write("copy.db", "something else");
    let ended = place.run(&["backup", "copy.db"]);
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert!(ended.stderr.contains("copy.db exists already"), "{ended:?}");
    assert_eq!(fs::read_to_string(place.path("copy.db")).unwrap(), "something else");
    assert!(!place.path("copy.db.partial").exists());
}

#[test]
fn a_damaged_database_gives_no_backup() {
    let place = Place::new().with_user();
    grow(&place);
    let path = place.path("patd.db");
    let mut bytes = fs::read(&path).unwrap();
    // Some pages far behind the first ones, which are all that a start reads of a large file.
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 16 * 4096].fill(0xa5);
    fs::write(&path, bytes).unwrap();
    let ended = place.run(&["backup", "copy.db"]);
    assert_eq!(ended.code, Some(5), "{ended:?}");
    assert!(ended.stderr.contains("is damaged"), "{ended:?}");
    assert!(!place.path("copy.db").exists() && !place.path("copy.db.partial").exists());
}

#[test]
fn a_missing_database_is_not_created_by_a_backup() {
    let place = Place::new();
    let ended = place.run(&["backup", "copy.db"]);
    assert_eq!(ended.code, Some(5), "{ended:?}");
    assert!(ended.stderr.contains("patd.db does not exist"), "{ended:?}");
    assert!(!place.path("patd.db").exists() && !place.path("copy.db").exists());
}

#[test]
fn a_directory_gets_a_backup_when_one_is_due_and_keeps_the_latest() {
    let place = Place::new().with_user();
    let backups = place.path("backups");
    fs::create_dir(&backups).unwrap();
    for old in ["patd-20200101T000000Z.db", "patd-20200102T000000Z.db", "patd-20200103T000000Z.db", "other.db"] {
        fs::write(backups.join(old), "old").unwrap();
    }
    fs::write(backups.join("patd-20200104T000000Z.db.partial"), "interrupted").unwrap();
    let names = || {
        let mut names: Vec<String> =
            fs::read_dir(&backups).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    let run = |arguments: &[&str]| place.run(&[&["backup", "backups"], arguments].concat());
    let due = run(&["--every", "1h", "--keep", "2"]);
    assert_eq!(due.code, Some(0), "{due:?}");
    assert!(due.stderr.contains("patd-20200102T000000Z.db was deleted (--keep 2)"), "{due:?}");
    let after = names();
    assert_eq!((after.len(), after[0].as_str(), after[1].as_str()), (3, "other.db", "patd-20200103T000000Z.db"));
    assert!(is_complete(&backups.join(&after[2])), "{after:?}");

    let again = run(&["--every", "1h", "--keep", "2"]);
    assert_eq!(again.code, Some(0), "{again:?}");
    assert!(again.stderr.contains("is recent enough: nothing to do"), "{again:?}");
    assert_eq!(names(), after);
}

#[test]
fn a_wrong_use_says_what_to_do() {
    let place = Place::new().with_user();
    let file = place.run(&["backup", "copy.db", "--keep", "2"]);
    assert_eq!(file.code, Some(2), "{file:?}");
    assert!(file.stderr.contains("--every and --keep need a directory that exists"), "{file:?}");
    let postgres = Place::new().set("PATD__DATABASE__URL", "postgres://patd:hunter2@127.0.0.1:1/patd");
    for arguments in [&["backup", "copy.db"][..], &["restore", "copy.db"]] {
        let ended = postgres.run(arguments);
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.stderr.contains("with its own tools") && !ended.stderr.contains("hunter2"), "{ended:?}");
    }
    let nowhere = place.run(&["backup", "no/such/directory/copy.db"]);
    assert_eq!(nowhere.code, Some(5), "{nowhere:?}");
    assert!(nowhere.stderr.contains("copy.db.partial cannot be written"), "{nowhere:?}");
}
