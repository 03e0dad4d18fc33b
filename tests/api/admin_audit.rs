//! The audit trails of everybody, for administrators.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Client, TestApp, email};

const AUDIT: &str = "/api/v1/admin/audit";
const TOKENS: &str = "/api/v1/user/api-tokens";

fn actions(client: &Client<'_>, query: &str) -> Vec<String> {
    let answer = client.get(&format!("{AUDIT}?{query}"));
    assert_eq!(answer.status, 200, "{query}: {}", answer.shown());
    let events = answer.body["data"].as_array().unwrap();
    events.iter().map(|event| event["action"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn an_administrator_finds_the_events_of_everybody_by_combined_filters() {
    let app = TestApp::spawn();
    let root = app.sign_in_admin("root");
    let ada = app.sign_in("ada");
    let token = ada.create_token(json!({ "name": "CI" }));
    let id = token["id"].as_str().unwrap();
    app.advance(Duration::from_secs(100));
    assert_eq!(ada.delete(&format!("{TOKENS}/{id}")).status, 200);
    let login = json!({ "email": email("ada"), "password": "wrong" });
    assert_eq!(app.anonymous().post("/api/v1/auth/login", login).status, 401);
    let ada_id = ada.get("/api/user").body["id"].as_str().unwrap().to_owned();

    assert_eq!(actions(&root, &format!("actor={ada_id}")), ["token.revoked", "token.created"]);
    assert_eq!(actions(&root, &format!("subject={id}")), ["token.revoked", "token.created"]);
    assert_eq!(actions(&root, &format!("subject={ada_id}&outcome=refused")), ["sign_in.refused"]);
    assert_eq!(actions(&root, &format!("subject={ada_id}&action=token.")), ["token.revoked", "token.created"]);
    assert_eq!(actions(&root, "action=token.created&address=127.0.0.0/8"), ["token.created"]);
    assert_eq!(actions(&root, "action=token.created&address=192.0.2.1"), [""; 0]);
    assert_eq!(actions(&root, "action=token.&from=2024-01-15T19:01:00Z"), ["token.revoked"]);
    assert_eq!(actions(&root, "action=token.&until=2024-01-15T19:01:00Z"), ["token.created"]);

    let event = &root.get(&format!("{AUDIT}?actor={ada_id}&limit=1")).body["data"][0];
    assert_eq!((&event["user_id"], &event["actor"]["user_id"]), (&json!(ada_id), &json!(ada_id)));
    assert!(event["seq"].as_i64().unwrap() > 0);
}

#[test]
fn the_list_is_paged_newest_first() {
    let app = TestApp::spawn();
    let root = app.sign_in_admin("root");
    let ada = app.sign_in("ada");
    for n in 0..5 {
        ada.create_token(json!({ "name": format!("t{n}") }));
    }
    let all = root.get(AUDIT).body;
    assert_eq!(all["next_cursor"], Value::Null);
    let (mut seen, mut path) = (Vec::new(), format!("{AUDIT}?limit=3"));
    let cursor = loop {
        let page = root.get(&path).body;
        seen.extend(page["data"].as_array().unwrap().clone());
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("{AUDIT}?limit=3&cursor={cursor}"),
            None => break path.split_once("cursor=").unwrap().1.to_owned(),
        }
    };
    assert_eq!(&Value::Array(seen), &all["data"]);
    assert!(all["data"].as_array().unwrap().is_sorted_by(|newer, older| newer["seq"].as_i64() > older["seq"].as_i64()));
    let own = root.get(&format!("/api/v1/user/audit?cursor={cursor}"));
    assert_eq!(own.status, 422, "a cursor of another list");
}

#[test]
fn a_bad_filter_is_refused_by_name() {
    let app = TestApp::spawn();
    let root = app.sign_in_admin("root");
    for (name, value) in [
        ("actor", "ada"),
        ("subject", "ada"),
        ("action", "token"),
        ("action", "token.made"),
        ("outcome", "denied"),
        ("address", "192.0.2.300"),
        ("from", "yesterday"),
        ("until", "2024-13-01"),
        ("cursor", "x"),
        ("limit", "0"),
    ] {
        let refused = root.get(&format!("{AUDIT}?{name}={value}"));
        assert_eq!(refused.status, 422, "{name}={value}: {}", refused.shown());
        assert!(refused.body["errors"][name].is_array(), "{name}={value}: {}", refused.shown());
    }
    let both = root.get(&format!("{AUDIT}?actor=x&outcome=y")).body;
    assert_eq!(both["errors"].as_object().unwrap().len(), 2, "{both}");
    assert_eq!(root.get(&format!("{AUDIT}?actors=x")).status, 422);
}
