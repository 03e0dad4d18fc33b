//! `patd doctor`: what it finds, and its exit codes.

use std::{fs, os::unix::fs::PermissionsExt, process::Stdio};

use rusqlite::Connection;
use serde_json::Value;

use crate::{
    database_copy::Target,
    support::place::{Ended, Place, Process},
};

/// Settings under which nothing is worth a warning on a machine of the tests.
fn place() -> Place {
    let place = Place::new().set("PATD__SERVER__MAX_CONNECTIONS", "100");
    // Hashing in the tests is cheap; here it must cost something.
    place.set("PATD__PASSWORDS__MEMORY_KIB", "32768").set("PATD__PASSWORDS__ITERATIONS", "2")
}

/// A free port, which the server and the doctor agree on.
fn on_a_port(place: Place) -> Place {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    place.set("PATD__SERVER__BIND", &format!("127.0.0.1:{port}"))
}

fn start(place: &Place) -> Process {
    let running = place.start(&["serve"]);
    running.stderr_line("listening on http://");
    running
}

fn examined(place: &Place) -> (Option<i32>, Vec<Value>) {
    let ended = place.run(&["doctor", "--json"]);
    assert_eq!(ended.stderr, "", "{ended:?}");
    (ended.code, ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

fn verdict<'f>(findings: &'f [Value], subject: &str) -> &'f str {
    let found = findings.iter().find(|finding| finding["subject"] == subject);
    let found = found.unwrap_or_else(|| panic!("{subject} is missing: {findings:?}"));
    assert_eq!(found["remedy"].is_null(), found["verdict"] == "good", "{found}");
    found["verdict"].as_str().unwrap()
}

#[test]
fn a_sound_server_is_good_in_everything() {
    let place = on_a_port(place().with_user());
    let running = start(&place);
    let (code, findings) = examined(&place);
    let not_good: Vec<&Value> = findings.iter().filter(|finding| finding["verdict"] != "good").collect();
    assert_eq!((code, not_good), (Some(0), Vec::new()), "{findings:?}");
    for subject in [
        "configuration",
        "database file",
        "free space",
        "write-ahead log",
        "contents",
        "schema",
        "clock",
        "server",
        "release",
        "open files",
        "trusted proxies",
        "password hashing",
    ] {
        verdict(&findings, subject);
    }
    let lines = place.run(&["doctor"]);
    assert_eq!(lines.code, Some(0), "{lines:?}");
    assert!(lines.stdout.contains("good     schema: 9, that of this release\n"), "{lines:?}");
    running.signal("TERM");
    assert_eq!(running.end().code, Some(0));
}

#[test]
fn what_somebody_should_look_at_is_a_warning() {
    let place = on_a_port(place().with_user());
    fs::set_permissions(place.path("patd.db"), fs::Permissions::from_mode(0o644)).unwrap();
    let (code, findings) = examined(&place);
    assert_eq!(code, Some(1), "{findings:?}");
    assert_eq!(verdict(&findings, "database file"), "warning");
    assert_eq!(verdict(&findings, "server"), "warning", "none runs");
    let lines: Ended = place.run(&["doctor"]);
    assert!(lines.stdout.contains("\n         → chmod 600 "), "{lines:?}");

    let place = place.set("PATD__SERVER__TRUSTED_PROXIES", "10.0.0.1");
    assert_eq!(verdict(&examined(&place).1, "trusted proxies"), "warning");
    let place = place.set("PATD__PASSWORDS__MEMORY_KIB", "64").set("PATD__PASSWORDS__ITERATIONS", "1");
    assert_eq!(verdict(&examined(&place).1, "password hashing"), "warning");
}

#[test]
fn what_does_not_work_is_bad() {
    let place = on_a_port(place().with_user());
    let path = place.path("patd.db");
    let connection = Connection::open(&path).unwrap();
    connection.execute("INSERT INTO clock VALUES (1, 4102444800, 1000000)", []).unwrap();
    drop(connection);
    let (code, findings) = examined(&place);
    assert_eq!((code, verdict(&findings, "clock")), (Some(2), "bad"), "{findings:?}");

    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 8 * 4096].fill(0xa5);
    fs::write(&path, bytes).unwrap();
    let (code, findings) = examined(&place);
    assert_eq!((code, verdict(&findings, "contents")), (Some(2), "bad"), "{findings:?}");
}

#[test]
fn another_program_on_the_port_is_bad() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let place = place().with_user().set("PATD__SERVER__BIND", &address);
    let answering = std::thread::spawn(move || {
        use std::io::Write;
        listener.accept().unwrap().0.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").unwrap();
    });
    let (code, findings) = examined(&place);
    assert_eq!((code, verdict(&findings, "server")), (Some(2), "bad"), "{findings:?}");
    answering.join().unwrap();
}

#[test]
fn each_wrong_setting_is_bad() {
    let place = place().set("PATD__SERVER__WORKERS", "many").set("PATD__TOKENS__MAX_LIFETIME", "soon");
    let (code, findings) = examined(&place);
    assert_eq!(code, Some(2), "{findings:?}");
    assert!(findings.iter().all(|finding| finding["subject"] == "configuration" && finding["verdict"] == "bad"));
    assert_eq!(findings.len(), 2, "{findings:?}");
}

#[test]
fn nothing_is_created_or_changed() {
    let place = place();
    let (code, findings) = examined(&place);
    assert_eq!((code, verdict(&findings, "database file")), (Some(1), "warning"));
    assert!(!place.path("patd.db").exists());

    let place = place.with_user();
    let before = fs::read(place.path("patd.db")).unwrap();
    examined(&place);
    assert_eq!(fs::read(place.path("patd.db")).unwrap(), before);
}

#[test]
fn a_database_in_postgresql_is_examined_with_its_nodes() {
    let Some(target) = Target::new() else { return };
    let place = on_a_port(place().set("PATD__DATABASE__URL", &target.url).with_user());
    let running = start(&place);
    let (code, findings) = examined(&place);
    assert_eq!(code, Some(0), "{findings:?}");
    assert_eq!((verdict(&findings, "database"), verdict(&findings, "nodes")), ("good", "good"));
    running.signal("TERM");
    running.end();

    let nowhere = place.set("PATD__DATABASE__URL", "postgres://patd:hunter2@127.0.0.1:1/patd");
    let ended = nowhere.command(&["doctor"]).stdout(Stdio::piped()).output().unwrap();
    let text = String::from_utf8(ended.stdout).unwrap();
    assert!(text.contains("bad      database: ") && !text.contains("hunter2"), "{text}");
}
