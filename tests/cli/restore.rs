//! `patd restore`: what had ended does not come back with a backup.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::{
    database_copy::Target,
    support::place::{EMAIL, Ended, PASSWORD, Place, Server, create_user},
};

const BOB: &str = "bob@example.com";
const EVE: &str = "eve@example.com";
const OTHER_PASSWORD: &str = "an engine of 2000 wheels";

fn succeeded(ended: Ended) -> Ended {
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended
}

fn refused(ended: &Ended, code: i32, says: &str) {
    assert_eq!(ended.code, Some(code), "{ended:?}");
    assert!(ended.stderr.contains(says), "{says}: {ended:?}");
}

/// A token of the user, with its id.
fn create_token(place: &Place, email: &str, name: &str) -> (String, String) {
    let ended = succeeded(place.run(&["token", "create", "--user", email, "--name", name, "--json"]));
    let created = &ended.json_lines()[0];
    (created["token"].as_str().unwrap().to_owned(), created["id"].as_str().unwrap().to_owned())
}

fn status(server: &Server, token: &str) -> u16 {
    server.get("/api/v1/user", token)
}

/// A stopped database with users and tokens, and a backup of it.
struct Backed {
    place: Place,
    kept: (String, String),
    ended: Vec<(&'static str, String, String)>,
    session: String,
}

fn backed_up() -> Backed {
    let place = Place::new().with_user();
    succeeded(place.run_with(&create_user(BOB), PASSWORD));
    succeeded(place.run_with(&create_user(EVE), PASSWORD));
    let kept = create_token(&place, EMAIL, "kept");
    let ended = [("revoked", EMAIL), ("rotated", EMAIL), ("disabled", EMAIL), ("bob", BOB), ("eve", EVE)]
        .map(|(name, owner)| {
            let (token, id) = create_token(&place, owner, name);
            (name, token, id)
        })
        .to_vec();
    let server = place.serve();
    let session = server.sign_in(EMAIL, PASSWORD).1.unwrap();
    assert_eq!(server.get("/api/v1/user", &session), 200);
    server.terminate();
    succeeded(place.run(&["backup", "backup.db"]));
    Backed { place, kept, ended, session }
}

impl Backed {
    fn id(&self, name: &str) -> &str {
        &self.ended.iter().find(|(known, ..)| *known == name).unwrap().2
    }

    /// Ends everything but the token that is kept, and exports the trail.
    fn end_all(&self) {
        let place = &self.place;
        succeeded(place.run(&["token", "revoke", self.id("revoked")]));
        succeeded(place.run(&["token", "rotate", self.id("rotated"), "--keep", "7d"]));
        succeeded(place.run(&["token", "disable", self.id("disabled")]));
        succeeded(place.run(&["user", "disable", BOB]));
        succeeded(place.run(&["user", "delete", EVE, "--yes"]));
        succeeded(place.run_with(&["user", "set-password", EMAIL, "--password-stdin"], OTHER_PASSWORD));
        succeeded(place.run(&["audit", "export", "--output", "audit.jsonl"]));
    }

    /// How a server on the file answers to each token of `ended`.
    fn statuses(&self, server: &Server) -> Vec<u16> {
        self.ended.iter().map(|(_, token, _)| status(server, token)).collect()
    }
}

fn events(place: &Place) -> Vec<Value> {
    succeeded(place.run(&["audit", "export"])).json_lines()
}

#[test]
fn what_ended_after_the_backup_stays_ended_with_the_trail() {
    let backed = backed_up();
    backed.end_all();
    let place = &backed.place;
    let known = events(place);
    let restored = succeeded(place.run(&["restore", "backup.db", "--replace", "--replay", "audit.jsonl"]));
    for line in ["token.revoked", "token.disabled 1", "user.disabled 1", "user.deleted 1", "user.password_changed 1"] {
        assert!(restored.stderr.contains(&format!("ended again: {line}")), "{line}: {restored:?}");
    }

    let server = place.serve();
    assert_eq!(status(&server, &backed.kept.0), 200);
    assert_eq!(backed.statuses(&server), [401; 5]);
    assert_eq!(status(&server, &backed.session), 401);
    for (email, password) in [(EMAIL, PASSWORD), (EMAIL, OTHER_PASSWORD), (BOB, PASSWORD), (EVE, PASSWORD)] {
        assert_eq!(server.sign_in(email, password).0, 401, "{email} {password}");
    }
    server.terminate();

    let after = events(place);
    let last = |events: &[Value]| events.last().unwrap()["seq"].as_i64().unwrap();
    let restored = after.iter().find(|event| event["action"] == "database.restored").unwrap();
    assert_eq!((&restored["target"]["type"], &restored["user_id"]), (&json!("database"), &Value::Null));
    let detail = format!(", repeated up to event {}", last(&known));
    assert!(restored["detail"].as_str().unwrap().ends_with(&detail), "{restored}");
    let first_new = after.iter().map(|event| event["seq"].as_i64().unwrap()).filter(|seq| *seq > last(&known)).min();
    assert_eq!(first_new, Some(last(&known) + 1), "no number is given twice");
    assert!(succeeded(place.run(&["audit", "verify"])).code == Some(0));
}

#[test]
fn the_database_that_is_replaced_is_kept() {
    let backed = backed_up();
    backed.end_all();
    let place = &backed.place;
    let known = events(place);
    succeeded(place.run(&["restore", "backup.db", "--replace", "--yes"]));
    let names = fs::read_dir(place.directory.path()).unwrap();
    let names: Vec<String> = names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let kept: Vec<&String> = names.iter().filter(|name| name.starts_with("patd.db.replaced-")).collect();
    let [kept] = kept[..] else { panic!("{names:?}") };
    let left = |name: &&String| name.contains("restoring") || name.ends_with("-wal") || name.ends_with("-shm");
    assert_eq!(names.iter().filter(left).count(), 0, "{names:?}");
    let export = succeeded(place.run(&["--database", kept, "audit", "export"]));
    assert_eq!(export.json_lines(), known);
    let server = place.serve();
    assert_eq!(backed.statuses(&server), [200; 5], "the backup as it was");
    server.terminate();
}

#[test]
fn a_backup_becomes_a_database_that_is_missing() {
    let backed = backed_up();
    let place = &backed.place;
    fs::remove_file(place.path("patd.db")).unwrap();
    let backup = fs::read(place.path("backup.db")).unwrap();
    let no_such = place.run(&["restore", "backup.db", "--replace", "--yes"]);
    refused(&no_such, 5, "does not exist");
    succeeded(place.run(&["restore", "backup.db", "--yes"]));
    assert_eq!(fs::read(place.path("backup.db")).unwrap(), backup, "the backup is not changed");
    let server = place.serve();
    assert_eq!(backed.statuses(&server), [200; 5]);
    server.terminate();
}

#[test]
fn without_the_trail_somebody_must_agree() {
    let backed = backed_up();
    let place = &backed.place;
    fs::rename(place.path("patd.db"), place.path("lost.db")).unwrap();
    let asked = place.run(&["restore", "backup.db"]);
    refused(&asked, 2, "pass --yes");
    assert!(asked.stderr.contains("the last event is number ") && asked.stderr.contains(" ago"), "{asked:?}");
    assert!(!place.path("patd.db").exists() && !place.path("patd.db.restoring").exists());
}

#[test]
fn sessions_and_tokens_can_be_given_an_end() {
    let backed = backed_up();
    let place = &backed.place;
    let sooner = ["token", "create", "--user", EMAIL, "--name", "sooner", "--expires-in", "1h", "--json"];
    let sooner = succeeded(place.run(&sooner)).json_lines()[0]["expires_at"].clone();
    let ended = succeeded(place.run(&["restore", "--end-sessions", "--expire-in", "24h"]));
    assert!(ended.stderr.contains("ended again: session.ended 1"), "{ended:?}");
    assert!(ended.stderr.contains("6 tokens got an earlier expiry"), "{ended:?}");
    let server = place.serve();
    assert_eq!(status(&server, &backed.session), 401);
    assert_eq!(status(&server, &backed.kept.0), 200);
    server.terminate();
    let tokens = succeeded(place.run(&["token", "list", "--user", EMAIL, "--json"])).json_lines();
    let expiry = |name: &str| tokens.iter().find(|token| token["name"] == name).unwrap()["expires_at"].clone();
    assert_eq!(expiry("sooner"), sooner);
    assert!(expiry("kept").is_string());
    let last = events(place).pop().unwrap();
    assert_eq!(last["action"], "database.restored");
    let detail = last["detail"].as_str().unwrap();
    assert!(detail.contains(", 1 sessions ended, 6 tokens expire at "), "{detail}");
}

/// Everything that is there, by name and content.
fn files(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_type().unwrap().is_file())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn a_trail_that_does_not_fit_changes_nothing() {
    let backed = backed_up();
    backed.end_all();
    let place = &backed.place;
    let other = Place::new().with_user();
    succeeded(other.run(&["audit", "export", "--output", place.path("other.jsonl").to_str().unwrap()]));
    let lines = fs::read_to_string(place.path("audit.jsonl")).unwrap();
    let lines: Vec<&str> = lines.lines().collect();
    let without = |index: usize| {
        let mut lines = lines.clone();
        lines.remove(index);
        lines.join("\n")
    };
    place.write("gap.jsonl", &without(lines.len() - 2));
    place.write("late.jsonl", lines[lines.len() - 1]);
    place.write("early.jsonl", lines[0]);
    place.write("words.jsonl", &lines.join("\n").replace("token.rotated", "token.forgotten"));
    place.write("text.jsonl", "seq,at,action\n");
    // The files beside a database that was used come and go.
    succeeded(place.run(&["audit", "export"]));
    let before = files(place.directory.path());
    for (trail, code, says) in [
        ("other.jsonl", 4, "other.jsonl: "),
        ("gap.jsonl", 4, "are missing: export the trail without conditions"),
        ("late.jsonl", 4, "but must begin with event"),
        ("early.jsonl", 4, "it ends with event 1, before event"),
        ("words.jsonl", 4, "the action \"token.forgotten\" is not one that this release knows"),
        ("text.jsonl", 4, "line 1: not an event of `patd audit export --format jsonl`"),
        ("missing.jsonl", 5, "missing.jsonl cannot be read"),
    ] {
        refused(&place.run(&["restore", "backup.db", "--replace", "--replay", trail]), code, says);
        let after = files(place.directory.path());
        let names = |files: &[(String, Vec<u8>)]| files.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&after), names(&before), "{trail}");
    }
    let server = place.serve();
    assert_eq!(backed.statuses(&server), [401, 200, 401, 401, 401], "the database as it was");
    server.terminate();
}

#[test]
fn a_database_in_use_is_not_replaced() {
    let backed = backed_up();
    let place = &backed.place;
    let server = place.serve();
    for arguments in [&["restore", "backup.db", "--replace", "--yes"][..], &["restore", "--end-sessions"]] {
        refused(&place.run(arguments), 5, "patd.db is ");
    }
    assert_eq!(status(&server, &backed.session), 200);
    server.terminate();
    refused(&place.run(&["restore", "backup.db", "--yes"]), 4, "patd.db exists already");
}

#[test]
fn only_a_sound_backup_is_restored() {
    let backed = backed_up();
    let place = &backed.place;
    fs::rename(place.path("patd.db"), place.path("lost.db")).unwrap();
    let mut damaged = fs::read(place.path("backup.db")).unwrap();
    let middle = damaged.len() / 2 / 4096 * 4096;
    damaged[middle..middle + 4096].fill(0xa5);
    fs::write(place.path("damaged.db"), damaged).unwrap();
    place.write(
        "text.db",
        "not a database, but long enough to be taken for a header of one, if nobody looked at it at all.",
    );
    fs::copy(place.path("backup.db"), place.path("log.db")).unwrap();
    place.write("log.db-wal", "changes");
    for (backup, says) in [
        ("damaged.db", "is damaged"),
        ("text.db", "is not a SQLite database"),
        ("log.db", "it was not made with `patd backup`"),
        ("missing.db", "missing.db does not exist"),
    ] {
        refused(&place.run(&["restore", backup, "--yes"]), 5, says);
        assert!(!place.path("patd.db").exists() && !place.path("patd.db.restoring").exists(), "{backup}");
    }
    refused(&place.run(&["restore"]), 2, "name the backup, or what to end");
}

/// In PostgreSQL, a database that was copied as a template stands for one that its own tools have restored.
#[test]
fn what_ended_stays_ended_in_a_database_of_postgresql() {
    let Some(original) = Target::new() else { return };
    let place = Place::new().set("PATD__DATABASE__URL", &original.url).with_user();
    let (revoked, id) = create_token(&place, EMAIL, "revoked");
    let (kept, _) = create_token(&place, EMAIL, "kept");
    let backup = original.copied();
    succeeded(place.run(&["token", "revoke", &id]));
    succeeded(place.run(&["audit", "export", "--output", "audit.jsonl"]));

    let place = place.set("PATD__DATABASE__URL", &backup.url);
    let server = place.serve();
    assert_eq!((status(&server, &revoked), status(&server, &kept)), (200, 200));
    refused(&place.run(&["restore", "--replay", "audit.jsonl"]), 5, "stop all nodes first");
    server.terminate();
    let restored = succeeded(place.run(&["restore", "--replay", "audit.jsonl"]));
    assert!(restored.stderr.contains("ended again: token.revoked 1"), "{restored:?}");
    let server = place.serve();
    assert_eq!((status(&server, &revoked), status(&server, &kept)), (401, 200));
    server.terminate();
    let known = fs::read_to_string(place.path("audit.jsonl")).unwrap().lines().count();
    let after = events(&place);
    let numbers: Vec<i64> = after.iter().map(|event| event["seq"].as_i64().unwrap()).collect();
    assert_eq!(numbers[numbers.len() - 2..], [known as i64 + 1, known as i64 + 2], "{numbers:?}");
    assert_eq!(after.last().unwrap()["action"], "database.restored");
}
