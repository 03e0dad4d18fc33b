//! `patd token usage`.

use serde_json::{Value, json};

use crate::support::place::{EMAIL, Place};

#[test]
fn the_usage_of_a_token_is_a_table_or_json() {
    let place = Place::new().with_user();
    let server = place.serve();
    let arguments = ["token", "create", "--user", EMAIL, "--name", "CI", "--json"];
    let abilities = ["--ability", "user:read", "--ability", "calls:*"];
    let created: Value = serde_json::from_str(&place.run(&[&arguments[..], &abilities].concat()).stdout).unwrap();
    let (id, secret) = (created["id"].as_str().unwrap(), created["token"].as_str().unwrap());
    let before = place.run(&["token", "usage", id]).stdout;
    assert!(before.contains("unused     2 of 2 abilities: user:read calls:*"), "{before}");
    assert!(before.ends_with("Nothing was counted.\n"), "{before}");
    for _ in 0..2 {
        assert_eq!(server.get("/api/user", secret), 200);
    }
    let shown = place.run(&["token", "usage", id]).stdout;
    let line = |beginning: &str| {
        let found = shown.lines().find(|line| line.starts_with(beginning));
        found.unwrap_or_else(|| panic!("{shown}")).split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(line("token"), ["token", id, "CI"]);
    assert_eq!(line("unused"), ["unused", "1", "of", "2", "abilities:", "calls:*"]);
    assert_eq!(line("ability")[..4], ["ability", "user:read", "2", "0"]);
    assert_eq!(line("127.0.0.1").len(), 3, "{shown}");
    let json = &place.run(&["token", "usage", id, "--json"]).json_lines()[0];
    assert_eq!(json["abilities_unused"], json!(["calls:*"]));
    assert_eq!(json["days"][0]["abilities"], json!([{ "name": "user:read", "allowed": 2, "refused": 0 }]));
    drop(server);
    let stopped = place.run(&["token", "usage", id]).stdout;
    assert!(stopped.contains("user:read"), "what was counted is on disk: {stopped}");
    let unknown = place.run(&["token", "usage", "nonsense"]);
    assert_eq!((unknown.code, unknown.stderr.contains("patd token list")), (Some(3), true), "{unknown:?}");
}

#[test]
fn a_token_is_rotated_to_fewer_abilities_and_printed_once() {
    let place = Place::new().with_user();
    let server = place.serve();
    let arguments = ["token", "create", "--user", EMAIL, "--name", "CI", "--json"];
    let created: Value = serde_json::from_str(&place.run(&arguments).stdout).unwrap();
    let (id, old) = (created["id"].as_str().unwrap(), created["token"].as_str().unwrap());
    let refused = place.run(&["token", "rotate", id, "--ability", "tokens:introspect"]);
    assert_eq!(refused.code, Some(4), "{refused:?}");
    assert!(refused.stderr.contains("tokens:introspect"), "{refused:?}");
    let rotated = place.run(&["token", "rotate", id, "--ability", "user:read", "--keep", "0s"]);
    let new = rotated.stdout.trim_end();
    assert!(new.starts_with("pat_") && !rotated.stderr.contains("pat_"), "{rotated:?}");
    assert_eq!((server.get("/api/user", old), server.get("/api/user", new)), (401, 200));
    assert_eq!(server.get("/api/v1/environments", new), 403);
    let again = place.run(&["token", "rotate", id]);
    assert_eq!((again.code, again.stdout.is_empty()), (Some(3), true), "{again:?}");
    let long = place.run(&["token", "rotate", id, "--keep", "30d"]);
    assert_ne!(long.code, Some(0), "{long:?}");
}

#[test]
fn a_report_fits_eighty_columns_and_shows_no_secret() {
    let place = Place::new().with_user();
    let server = place.serve();
    let name = "a name that is so long that it must continue on a second line of the report about it";
    let long = format!("long:{}", "x".repeat(60));
    let created = place.run(&[
        "token",
        "create",
        "--user",
        EMAIL,
        "--name",
        name,
        "--json",
        "--ability",
        "user:read",
        "--ability",
        &long,
        "--ability",
        "calls:*",
    ]);
    let created: Value = serde_json::from_str(&created.stdout).unwrap();
    let (id, secret) = (created["id"].as_str().unwrap(), created["token"].as_str().unwrap());
    assert_eq!((server.get("/api/user", secret), server.get("/api/v1/environments", secret)), (200, 403));
    assert_eq!(place.run(&["token", "rotate", id, "--ability", "user:read"]).code, Some(0));
    let report = place.run(&["token", "report", id]).stdout;
    for line in report.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    for part in [
        &format!("token      {id} a name")[..],
        "by the command line",
        "2 of 3 abilities",
        "user:read once on ",
        "environments:read once on ",
        "127.0.0.1 last used",
        "abilities narrowed",
        "WHAT ELSE IT COULD HAVE DONE\nability    long:x",
        "ability    calls:*",
    ] {
        assert!(report.contains(part), "{part:?} is not in:\n{report}");
    }
    assert!(!report.contains("pat_"), "{report}");
    let json = &place.run(&["token", "report", id, "--json"]).json_lines()[0];
    assert_eq!(json["family"].as_array().unwrap().len(), 2);
    assert_eq!((&json["token"]["id"], json["events"][0]["action"].as_str()), (&created["id"], Some("token.rotated")));
    assert_eq!(json["usage"]["days"].as_array().unwrap().len(), 1);
}
