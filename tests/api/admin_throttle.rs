//! Administrators see and clear what the throttle holds.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{TestApp, email, password};

const THROTTLE: &str = "/api/v1/admin/throttle";

fn app() -> TestApp {
    TestApp::with(&[
        ("throttle.per_email_burst", "3"),
        ("throttle.per_email_per_minute", "2"),
        ("throttle.per_address_burst", "8"),
        ("throttle.per_address_per_minute", "1"),
    ])
}

fn sign_in(app: &TestApp, name: &str, password: &str) -> u16 {
    app.anonymous().post("/api/v1/auth/login", json!({ "email": email(name), "password": password })).status
}

#[test]
fn what_is_held_against_an_account_is_shown_and_cleared() {
    let app = app();
    let root = app.sign_in_admin("root");
    app.user("ada");
    let path = format!("{THROTTLE}?email=ADA@example.com");
    assert_eq!(root.get(&path).body["data"], json!({ "total": 0, "counters": [] }));
    assert_eq!([0; 2].map(|_| sign_in(&app, "ada", "wrong")), [401, 401]);
    let shown = root.get(&path).body["data"].clone();
    let counter = |shown: &Value, scope: &str| {
        let counters = shown["counters"].as_array().unwrap();
        counters.iter().find(|counter| counter["scope"] == scope).unwrap().clone()
    };
    assert_eq!(
        counter(&shown, "account_from_network"),
        json!({ "scope": "account_from_network", "limit": 3, "attempts_left": 1, "blocked_until": null, "rests_at": "2024-01-15T19:01:00Z" })
    );
    assert_eq!([0; 2].map(|_| sign_in(&app, "ada", "wrong")), [401, 429]);
    let shown = root.get(&path);
    let first = &shown.body["data"]["counters"][0];
    assert_eq!((&first["scope"], &first["attempts_left"]), (&json!("account_from_network"), &json!(0)));
    assert_eq!(first["blocked_until"], "2024-01-15T19:00:30Z");
    assert!(!shown.text.contains("ada"), "the digests name nobody");

    let cleared = root.delete(&path);
    assert_eq!((cleared.status, &cleared.body["data"]["cleared"]), (200, &json!(2)), "{}", cleared.shown());
    assert_eq!(root.get(&path).body["data"]["total"], 0);
    assert_eq!(sign_in(&app, "ada", &password("ada")), 201);
    let ada = app.sign_in_again("ada");
    let events = ada.get("/api/v1/user/audit").body["data"].as_array().unwrap().clone();
    let event = events.iter().find(|event| event["action"] == "throttle.cleared").unwrap();
    assert_eq!((&event["detail"], &event["outcome"]), (&json!("account"), &json!("success")));
    // The network's own counter stays.
    assert_eq!(root.get(&format!("{THROTTLE}?address=127.0.0.1")).body["data"]["counters"][0]["scope"], "network");

    // Nothing is held against the account any more, so clearing it again records nothing.
    let count = || ada.get("/api/v1/user/audit").text.matches("throttle.cleared").count();
    assert_eq!(root.delete(&format!("{THROTTLE}?email=nobody@example.com")).body["data"]["cleared"], 0);
    assert_eq!(count(), 1);
}

#[test]
fn what_is_held_against_an_address_is_shown_and_cleared() {
    let app = app();
    let root = app.sign_in_admin("root");
    app.user("ada");
    for n in 0..8 {
        assert_eq!(sign_in(&app, &format!("x{n}"), "wrong"), 401);
    }
    assert_eq!(sign_in(&app, "ada", &password("ada")), 429);
    let path = format!("{THROTTLE}?address=127.0.0.1");
    let blocked = root.get(&path).body["data"].clone();
    assert_eq!(blocked["total"], 9, "the network, and each account from it");
    assert_eq!(
        (&blocked["counters"][0]["scope"], &blocked["counters"][0]["attempts_left"]),
        (&json!("network"), &json!(0))
    );
    assert_eq!(root.get(&format!("{THROTTLE}?address=192.0.2.7")).body["data"]["total"], 0, "another address");
    assert_eq!(root.delete(&path).body["data"]["cleared"], 9);
    assert_eq!(sign_in(&app, "ada", &password("ada")), 201);
    app.advance(Duration::from_secs(1));
    for (query, field, says) in [
        ("", "email", "is required, or else the field address."),
        ("?email=a@b.c&address=127.0.0.1", "email", "must not be sent together with address."),
        ("?email=ada", "email", "must be a valid email address."),
        ("?address=localhost", "address", "must be an IP address."),
        ("?adress=127.0.0.1", "adress", "The parameters here are: email, address."),
    ] {
        for refused in [root.get(&format!("{THROTTLE}{query}")), root.delete(&format!("{THROTTLE}{query}"))] {
            assert_eq!(refused.status, 422, "{query}");
            assert!(refused.body["errors"][field][0].as_str().unwrap().contains(says), "{}", refused.shown());
        }
    }
}
