//! The latest use locations of a token: shown at once, on disk after a stop, at most five.

use std::time::Duration;

use insta::assert_snapshot;
use patd::ops::{
    self,
    verification::{self, Caller},
};
use serde_json::{Value, json};

use crate::harness::{Client, TestApp, block_on};

const TOKENS: &str = "/api/v1/user/api-tokens";

fn behind_a_proxy() -> TestApp {
    TestApp::with(&[("server.trusted_proxies", "127.0.0.1/32")])
}

fn made<'a>(app: &'a TestApp, owner: &Client<'_>) -> (Client<'a>, String) {
    let created = owner.create_token(json!({ "name": "t", "abilities": ["user:read"] }));
    (app.bearer(created["token"].as_str().unwrap()), format!("{TOKENS}/{}", created["id"].as_str().unwrap()))
}

fn use_from(client: &Client<'_>, address: &str, agent: &str) -> u16 {
    client.send_with("GET", "/api/user", &[("X-Forwarded-For", address), ("User-Agent", agent)], &[]).status
}

fn addresses(shown: &Value) -> Vec<String> {
    let uses = shown["data"]["last_uses"].as_array().unwrap();
    uses.iter().map(|used| used["address"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_latest_addresses_and_agents_are_shown_at_once() {
    let app = behind_a_proxy();
    let ada = app.sign_in("ada");
    let (token, path) = made(&app, &ada);
    assert_eq!(ada.get(&path).body["data"]["last_uses"], json!([]));
    assert_eq!(use_from(&token, "192.0.2.1", "curl/8.5"), 200);
    app.advance(Duration::from_secs(1));
    assert_eq!(use_from(&token, "2001:db8::1", &"x".repeat(300)), 200);
    app.advance(Duration::from_secs(1));
    assert_eq!(use_from(&token, "192.0.2.1", "curl/8.6"), 200);
    let mut shown = ada.get(&path);
    let long = shown.body["data"]["last_uses"][1]["user_agent"].as_str().unwrap().to_owned();
    assert_eq!(long, "x".repeat(255));
    shown.body["data"]["last_uses"][1]["user_agent"] = "[255 x]".into();
    assert_snapshot!(shown.shown(), @r#"
    200
    {
      "data": {
        "abilities": [
          "user:read"
        ],
        "abilities_unused": [],
        "created_at": "2024-01-15T19:00:00Z",
        "disabled_at": null,
        "expires_at": null,
        "hint": "[hint]",
        "id": "[uuid]",
        "last_used_at": "2024-01-15T19:00:02Z",
        "last_uses": [
          {
            "address": "192.0.2.1",
            "last_used_at": "2024-01-15T19:00:02Z",
            "user_agent": "curl/8.6"
          },
          {
            "address": "2001:db8::1",
            "last_used_at": "2024-01-15T19:00:01Z",
            "user_agent": "[255 x]"
          }
        ],
        "name": "t",
        "rotated_from": null,
        "rotated_to": null
      }
    }
    "#);
    assert_eq!(ada.get(TOKENS).body["data"][0].get("last_uses"), None, "a list does not show them");

    for n in 2..=6 {
        app.advance(Duration::from_secs(1));
        assert_eq!(use_from(&token, &format!("192.0.2.{n}"), "a"), 200);
    }
    assert_eq!(addresses(&ada.get(&path).body), ["192.0.2.6", "192.0.2.5", "192.0.2.4", "192.0.2.3", "192.0.2.2"]);
}

#[test]
fn they_are_on_disk_after_a_run_of_the_housekeeping_and_after_a_stop() {
    let mut app = behind_a_proxy();
    let ada = app.sign_in("ada");
    let (token, path) = made(&app, &ada);
    let id = patd::domain::id::TokenId::parse(path.rsplit('/').next().unwrap()).unwrap();
    let stored = |app: &TestApp| {
        let stored = block_on(app.ops.store.locations_of(id)).unwrap();
        stored.into_iter().map(|origin| origin.address.to_string()).collect::<Vec<_>>()
    };
    // In a second context, which writes only when it is told to.
    let caller = Caller { address: Some([192, 0, 2, 9].into()), ..Caller::default() };
    block_on(verification::authenticate(&app.ops, token.token.as_ref().unwrap(), caller)).unwrap();
    assert!(stored(&app).is_empty());
    for _ in 0..ops::state::uses::TURNS {
        block_on(app.ops.flush_some_uses()).unwrap();
    }
    assert_eq!(stored(&app), ["192.0.2.9"]);

    app.advance(Duration::from_secs(1));
    assert_eq!(use_from(&token, "192.0.2.1", "curl/8.5"), 200);
    app.stop();
    assert_eq!(stored(&app), ["192.0.2.1", "192.0.2.9"]);
}

#[test]
fn repeated_uses_from_one_address_are_recorded_once_a_minute_and_refused_uses_never() {
    let app = behind_a_proxy();
    let ada = app.sign_in("ada");
    let (token, path) = made(&app, &ada);
    let at = || ada.get(&path).body["data"]["last_uses"][0]["last_used_at"].as_str().unwrap().to_owned();
    // On a slow machine the record may be read again, and then it has no last use. So this is exact to the minute only.
    for (advance, noted) in [(0, "19:00:"), (59, "19:00:"), (1, "19:01:00"), (30, "19:01:"), (31, "19:02:01")] {
        app.advance(Duration::from_secs(advance));
        assert_eq!(use_from(&token, "192.0.2.1", "curl/8.5"), 200);
        assert!(at().starts_with(&format!("2024-01-15T{noted}")), "{noted}: {}", at());
    }
    // A record that is read again has no last use and must not change the stored one.
    assert_eq!(ada.patch(&path, json!({ "name": "renamed" })).status, 200);
    assert_eq!(use_from(&token, "192.0.2.1", "curl/8.5"), 200);
    assert_eq!(ada.send("POST", &format!("{path}/disable"), None).status, 200);
    assert_eq!(use_from(&token, "192.0.2.99", "thief"), 401);
    assert_eq!(addresses(&ada.get(&path).body), ["192.0.2.1"]);
}
