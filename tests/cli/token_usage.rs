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
