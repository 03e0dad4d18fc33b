//! Every command refuses a write-ahead log that belongs to another file or is incomplete, and does not change it. The
//! message names the log and a repair, and the repair works.

use std::{collections::BTreeMap, fs, path::PathBuf};

use rusqlite::Connection as Database;
use serde_json::json;

use crate::{
    drive::{LOGIN, TOKENS},
    harness::Place,
    support::{connection::Connection, process::Ended},
};

const PASSWORD: &str = "a password of many words";
const TOKENS_EACH: usize = 60;

struct Token {
    id: String,
    plaintext: String,
}

fn with_user() -> Place {
    let place = Place::new(&[("PATD__TOKENS__MAX_PER_USER", "1000000")]);
    let arguments = ["user", "create", "--email", "ada@example.com", "--name", "Ada", "--password-stdin"];
    let created = place.run(&arguments, PASSWORD);
    assert!(created.success, "{created:?}");
    place
}

fn sign_in(connection: &mut Connection) -> String {
    let body = json!({"email": "ada@example.com", "password": PASSWORD});
    connection.ask("POST", LOGIN, None, Some(&body)).unwrap().data("token")
}

fn create(connection: &mut Connection, session: &str, count: usize) -> Vec<Token> {
    (0..count)
        .map(|_| {
            let answer = connection.ask("POST", TOKENS, Some(session), Some(&json!({"name": "x"}))).unwrap();
            assert_eq!(answer.status, 201, "{answer:?}");
            Token { id: answer.data("id"), plaintext: answer.data("token") }
        })
        .collect()
}

fn revoke(connection: &mut Connection, session: &str, token: &Token) {
    let answer = connection.ask("DELETE", &format!("{TOKENS}/{}", token.id), Some(session), None).unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
}

fn status(connection: &mut Connection, token: &Token) -> u16 {
    connection.ask("GET", "/api/user", Some(&token.plaintext), None).unwrap().status
}

/// Adds tokens until the file has at least this many MiB.
fn fill(place: &Place, mebibytes: u64) {
    let database = Database::open(place.path("patd.db")).unwrap();
    let rows = mebibytes * 3000;
    database
        .execute_batch(&format!(
            "PRAGMA synchronous = OFF;
             WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {rows})
             INSERT INTO tokens (id, owner_id, hash, hint, name, abilities, created_at, family_id)
             SELECT randomblob(16), (SELECT id FROM users), randomblob(32), 'abcd', hex(randomblob(100)),
                    'calls:read', 1, randomblob(16) FROM n;"
        ))
        .unwrap();
    drop(database);
    assert!(fs::metadata(place.path("patd.db")).unwrap().len() >= mebibytes << 20);
}

/// The files of a database, without the shared memory.
fn files(place: &Place) -> BTreeMap<PathBuf, Vec<u8>> {
    let names = ["patd.db", "patd.db-wal", "patd.db-watermark"];
    names
        .map(|name| place.path(name))
        .into_iter()
        .map(|path| (path.clone(), fs::read(path).unwrap_or_default()))
        .collect()
}

/// Checks that every command fails with this message and changes nothing.
#[track_caller]
fn assert_refused(place: &Place, message: &str) {
    let before = files(place);
    for arguments in [&["serve"][..], &["user", "list"], &["token", "revoke", "x"]] {
        let Ended { success, stderr, .. } = place.run(arguments, "");
        assert!(!success && stderr.contains("patd.db-wal") && stderr.contains(message), "{arguments:?}: {stderr}");
    }
    assert!(files(place) == before, "a file was changed");
}

fn remove_log(place: &Place) {
    for name in ["patd.db-wal", "patd.db-shm"] {
        fs::remove_file(place.path(name)).unwrap();
    }
}

/// Restores a backup after a crash, but leaves the log.
fn restore_over_a_log(mebibytes: u64) {
    let place = with_user();
    if mebibytes > 0 {
        fill(&place, mebibytes);
    }
    let server = place.serve();
    let mut connection = server.connect();
    let session = sign_in(&mut connection);
    let kept = create(&mut connection, &session, TOKENS_EACH);
    assert!(server.terminate().success);
    fs::copy(place.path("patd.db"), place.path("backup.db")).unwrap();

    let server = place.serve();
    let mut connection = server.connect();
    let session = sign_in(&mut connection);
    let mut later = create(&mut connection, &session, TOKENS_EACH);
    // A complete checkpoint: the next write restarts the log.
    let checkpoint = Database::open(place.path("patd.db"))
        .and_then(|database| database.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get::<_, i64>(0)));
    assert_eq!(checkpoint, Ok(0));
    later.extend(create(&mut connection, &session, TOKENS_EACH));
    server.handle().kill();
    drop(server);

    fs::copy(place.path("backup.db"), place.path("patd.db")).unwrap();
    assert_refused(&place, "does not belong to");
    remove_log(&place);
    let server = place.serve();
    let mut connection = server.connect();
    for token in &kept {
        assert_eq!(status(&mut connection, token), 200);
    }
    for token in &later {
        assert_eq!(status(&mut connection, token), 401);
    }
    let session = sign_in(&mut connection);
    create(&mut connection, &session, 3);
    assert!(server.terminate().success);
    let sound: String = Database::open(place.path("patd.db"))
        .and_then(|database| database.query_row("PRAGMA integrity_check", [], |row| row.get(0)))
        .unwrap();
    assert_eq!(sound, "ok");
}

#[test]
fn a_small_copy_is_not_mixed_with_a_later_log() {
    restore_over_a_log(0);
}

#[test]
fn a_large_copy_is_not_mixed_with_a_later_log() {
    restore_over_a_log(23);
}

/// Kills a server after it created some tokens and revoked the last of them.
fn create_and_kill(place: &Place) -> (Vec<Token>, Token) {
    let server = place.serve();
    let mut connection = server.connect();
    let session = sign_in(&mut connection);
    let mut live = create(&mut connection, &session, 10);
    let revoked = live.pop().unwrap();
    revoke(&mut connection, &session, &revoked);
    server.handle().kill();
    (live, revoked)
}

#[test]
fn the_log_of_another_database_is_not_replayed() {
    let (place, other) = (with_user(), with_user());
    let (live, revoked) = create_and_kill(&place);
    create_and_kill(&other);
    let own = fs::read(place.path("patd.db-wal")).unwrap();
    fs::copy(other.path("patd.db-wal"), place.path("patd.db-wal")).unwrap();
    assert_refused(&place, "another database");

    fs::write(place.path("patd.db-wal"), own).unwrap();
    let server = place.serve();
    let mut connection = server.connect();
    assert!(live.iter().all(|token| status(&mut connection, token) == 200));
    assert_eq!(status(&mut connection, &revoked), 401);
}

#[test]
fn a_truncated_file_is_not_taken_for_a_new_one() {
    let place = with_user();
    create_and_kill(&place);
    for length in [0, 1, 100, 4096] {
        let file = fs::OpenOptions::new().write(true).open(place.path("patd.db")).unwrap();
        file.set_len(length).unwrap();
        let ended = place.run(&["serve"], "");
        assert!(!ended.success && ended.stderr.contains("-wal"), "{length}: {ended:?}");
        assert_eq!(fs::metadata(place.path("patd.db")).unwrap().len(), length);
    }
}

#[test]
fn a_flipped_bit_does_not_restore_a_revoked_token() {
    let place = with_user();
    let (live, revoked) = create_and_kill(&place);
    let log = fs::read(place.path("patd.db-wal")).unwrap();
    // The revocation is the last transaction, so it is at the end of the log.
    for back in [10, 2000, 4110, 4119, 6000] {
        let mut damaged = log.clone();
        let at = log.len() - back;
        damaged[at] ^= 4;
        fs::write(place.path("patd.db-wal"), damaged).unwrap();
        assert_refused(&place, "acknowledged changes");
    }
    fs::write(place.path("patd.db-wal"), &log[..log.len() / 2]).unwrap();
    assert_refused(&place, "acknowledged changes");
    fs::remove_file(place.path("patd.db-wal")).unwrap();
    assert_refused(&place, "is missing");

    fs::write(place.path("patd.db-wal"), log).unwrap();
    let server = place.serve();
    let mut connection = server.connect();
    assert_eq!(status(&mut connection, &revoked), 401);
    assert!(live.iter().all(|token| status(&mut connection, token) == 200));
}
