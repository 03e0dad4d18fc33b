//! `patd audit`: lists, exports, follows, seals and verifies the trail, with and without a server.

use std::time::Duration;

use rusqlite::Connection;
use serde_json::Value;

use crate::support::place::{EMAIL, PASSWORD, Place, Process, create_user};

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn token(place: &Place, name: &str) {
    let created = place.run(&["token", "create", "--user", EMAIL, "--name", name]);
    assert_eq!(created.code, Some(0), "{created:?}");
}

fn seqs(text: &str) -> Vec<i64> {
    lines(text).iter().map(|event| event["seq"].as_i64().unwrap()).collect()
}

fn tamper(place: &Place, sql: &str) {
    let connection = Connection::open(place.directory.path().join("patd.db")).unwrap();
    let triggers = "DROP TRIGGER audit_events_are_not_changed; DROP TRIGGER audit_events_are_not_deleted;
                    DROP TRIGGER audit_seals_are_not_changed; DROP TRIGGER audit_seals_are_not_deleted;";
    connection.execute_batch(&format!("{triggers}{sql}")).unwrap();
}

#[test]
fn the_trail_is_listed_with_filters_with_and_without_a_server() {
    let place = Place::new().with_user();
    token(&place, "one");
    let check = || {
        let listed = place.run(&["audit", "list", "--json"]);
        let actions: Vec<Value> = lines(&listed.stdout).into_iter().map(|event| event["action"].clone()).collect();
        assert_eq!(actions, ["token.created", "user.created"], "{listed:?}");
        let one = place.run(&["audit", "list", "--subject", EMAIL, "--action", "user.", "--json"]);
        assert_eq!(seqs(&one.stdout).len(), 1, "{one:?}");
        let none = place.run(&["audit", "list", "--actor", EMAIL, "--json"]);
        assert_eq!((none.code, none.stdout.as_str()), (Some(0), ""), "{none:?}");
        let table = place.run(&["audit", "list"]);
        assert!(table.stdout.starts_with("AT "), "{table:?}");
        assert!(table.stdout.lines().all(|line| line.len() > 20), "{table:?}");
        let wrong = place.run(&["audit", "list", "--action", "token"]);
        assert_eq!(wrong.code, Some(4), "{wrong:?}");
        assert!(wrong.stderr.contains("--action must be an action such as token.created"), "{wrong:?}");
        let unknown = place.run(&["audit", "list", "--actor", "nobody@example.com"]);
        assert_eq!(unknown.code, Some(3), "{unknown:?}");
    };
    check();
    let server = place.serve();
    check();
    server.terminate();
}

#[test]
fn a_seal_that_was_kept_is_compared_and_tampering_is_named_by_its_range() {
    let place = Place::new().with_user();
    let empty = place.run(&["audit", "verify"]);
    assert_eq!(empty.code, Some(0), "{empty:?}");
    token(&place, "one");
    let server = place.serve();
    let sealed = place.run(&["audit", "seal", "--json"]);
    let seal = lines(&sealed.stdout)[0].clone();
    assert_eq!((&seal["number"], &seal["first_event"], &seal["last_event"]), (&1.into(), &1.into(), &2.into()));
    let again = place.run(&["audit", "seal", "--json"]);
    assert_eq!(sealed.stdout, again.stdout, "nothing new was sealed");
    let seal = seal["seal"].as_str().unwrap();
    let verify = || place.run(&["audit", "verify", "--expect", seal]);
    let intact = verify();
    assert_eq!(intact.code, Some(0), "{intact:?}");
    assert!(intact.stdout.starts_with("intact: 1 seals over 2 events"), "{intact:?}");
    server.terminate();
    token(&place, "two");
    let open = verify();
    assert_eq!(open.code, Some(0), "{open:?}");
    assert!(open.stdout.contains("not sealed yet: 1 events"), "{open:?}");

    let bad = place.run(&["audit", "verify", "--expect", "1:2"]);
    assert_eq!(bad.code, Some(2), "{bad:?}");
    let other = format!("{}0", &seal[..seal.len() - 1]);
    let other = if other == seal { format!("{}1", &seal[..seal.len() - 1]) } else { other };
    let differs = place.run(&["audit", "verify", "--expect", &other]);
    assert_eq!(differs.code, Some(7), "{differs:?}");
    assert!(differs.stderr.contains("not the one that you expect"), "{differs:?}");
    let missing = place.run(&["audit", "verify", "--expect", &format!("9{seal}")]);
    assert_eq!(missing.code, Some(7), "{missing:?}");
    assert!(missing.stderr.contains("is missing"), "{missing:?}");

    tamper(&place, "UPDATE audit_events SET at = 5 WHERE seq = 2");
    let tampered = verify();
    assert_eq!(tampered.code, Some(7), "{tampered:?}");
    assert!(tampered.stderr.contains("seal 1, events 1 to 2: an event was changed"), "{tampered:?}");
    let json = place.run(&["audit", "verify", "--json"]);
    assert_eq!((json.code, &lines(&json.stdout)[0]["intact"]), (Some(7), &false.into()), "{json:?}");
}

#[test]
fn an_export_is_complete_and_safe_for_spreadsheets() {
    let place = Place::new().with_user();
    for n in 0..5 {
        token(&place, &format!("t{n}"));
    }
    tamper(&place, "UPDATE audit_events SET detail = '=1+1' WHERE seq = 2");
    let exported = place.run(&["audit", "export"]);
    assert_eq!(seqs(&exported.stdout), [1, 2, 3, 4, 5, 6], "{exported:?}");
    assert_eq!(exported.stderr, "", "no bar in a pipe");
    let csv = place.run(&["audit", "export", "--format", "csv", "--action", "token."]);
    assert_eq!(csv.stdout.lines().count(), 6, "{csv:?}");
    assert!(csv.stdout.starts_with("seq,at,action,") && csv.stdout.contains(",'=1+1,"), "{csv:?}");
    let file = place.run(&["audit", "export", "--output", "events.jsonl"]);
    assert_eq!((file.code, file.stdout.as_str()), (Some(0), ""), "{file:?}");
    assert!(file.stderr.contains("6 events are in events.jsonl"), "{file:?}");
    let written = std::fs::read_to_string(place.directory.path().join("events.jsonl")).unwrap();
    assert_eq!(written, exported.stdout);
    let refused = place.run(&["audit", "export", "--output", "no/such/directory"]);
    assert_eq!(refused.code, Some(5), "{refused:?}");
    let none = place.run(&["audit", "export", "--until", "2020-01-01"]);
    assert_eq!((none.code, none.stdout.as_str()), (Some(0), ""), "{none:?}");
}

#[test]
fn each_event_is_followed_once_across_restarts_of_the_server() {
    let place = Place::new().with_user();
    let server = place.serve();
    token(&place, "one");
    let follow = place.start(&["audit", "follow", "--json"]);
    let mut seen = vec![follow.stdout_line("user.created"), follow.stdout_line("token.created")];
    server.terminate();
    // Without a server, by the command itself.
    token(&place, "two");
    seen.push(follow.stdout_line("token.created"));
    let server = place.serve();
    token(&place, "three");
    seen.push(follow.stdout_line("token.created"));
    assert_eq!(seqs(&seen.join("\n")), [1, 2, 3, 4]);
    follow.signal("TERM");
    let ended = follow.end();
    assert_eq!((ended.code, ended.stdout.trim()), (Some(0), ""), "{ended:?}");

    let after = place.start(&["audit", "follow", "--json", "--after", "3"]);
    assert_eq!(seqs(&after.stdout_line("token.created")), [4]);
    after.signal("INT");
    assert_eq!(after.end().code, Some(0));
    let beyond = place.run(&["audit", "follow", "--after", "99"]);
    assert_eq!(beyond.code, Some(4), "{beyond:?}");
    assert!(beyond.stderr.contains("another or an older one"), "{beyond:?}");
    server.terminate();
}

#[test]
fn following_goes_on_after_the_newest_event_that_it_read_whether_or_not_it_was_printed() {
    let place = Place::new().with_user();
    for n in 0..5 {
        token(&place, &format!("t{n}"));
    }
    let stop = |follow: Process| {
        follow.signal("TERM");
        let ended = follow.end();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        ended
    };
    let rare = ["audit", "follow", "--action", "user.", "--json"];
    let follow = place.start(&rare);
    assert_eq!(seqs(&follow.stdout_line("user.created")), [1]);
    let ended = stop(follow);
    assert!(ended.stderr.contains("patd: go on with --after 6\n"), "{ended:?}");

    let added = place.run_with(&create_user("eve@example.com"), PASSWORD);
    assert_eq!(added.code, Some(0), "{added:?}");
    let follow = place.start(&[&rare[..], &["--after", "6"]].concat());
    assert_eq!(seqs(&follow.stdout_line("user.created")), [7]);
    let ended = stop(follow);
    assert!(ended.stdout.is_empty() && ended.stderr.contains("--after 7\n"), "{ended:?}");
}

#[cfg(unix)]
#[test]
fn following_ends_when_its_reader_is_gone() {
    let place = Place::new().with_user();
    let script = format!("{} audit follow | head -n 1", env!("CARGO_BIN_EXE_patd"));
    let begun = std::time::Instant::now();
    let ended = std::process::Command::new("timeout")
        .args(["30", "sh", "-c", &script])
        .current_dir(place.directory.path())
        .output()
        .unwrap();
    assert!(ended.status.success(), "{ended:?}");
    assert!(String::from_utf8_lossy(&ended.stdout).contains("user.created"), "{ended:?}");
    assert!(begun.elapsed() < Duration::from_secs(25), "{ended:?}");
}
