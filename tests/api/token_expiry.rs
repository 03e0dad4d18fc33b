//! When tokens expire.

use std::time::Duration;

use insta::assert_snapshot;
use serde_json::{Value, json};

use patd::ops::verification::{Caller, authenticate};

use crate::harness::{Client, TestApp, block_on};

const TOKENS: &str = "/api/v1/user/api-tokens";

#[test]
fn a_token_is_expired_at_the_second_of_its_expiry_and_stays_so_when_the_clock_goes_back() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let created = ada.create_token(json!({ "name": "t", "expires_at": "2024-01-15T21:00:10.5+02:00" }));
    assert_eq!(created["expires_at"], "2024-01-15T19:00:10Z");
    let token = app.bearer(created["token"].as_str().unwrap());
    app.advance(Duration::from_secs(9));
    assert_eq!(token.get("/api/user").status, 200);
    app.advance(Duration::from_secs(1));
    assert_eq!(token.get("/api/user").status, 401);
    app.set_clock_back(Duration::from_secs(8));
    assert_eq!(token.get("/api/user").status, 401);
}

#[test]
fn an_expiry_must_be_in_the_future_and_given_once() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let in_days = ada.create_token(json!({ "name": "t", "expires_in_days": 90 }));
    assert_eq!(in_days["expires_at"], "2024-04-14T19:00:00Z");

    let refused = |body: Value| {
        let answer = ada.post(TOKENS, body);
        assert_eq!(answer.status, 422, "{}", answer.shown());
        answer.body["errors"].to_string()
    };
    assert_snapshot!(refused(json!({ "name": "t", "expires_at": "2024-01-15T19:00:00Z" })), @r#"{"expires_at":["The expires_at field must be a time in the future."]}"#);
    assert_snapshot!(refused(json!({ "name": "t", "expires_at": "tomorrow" })), @r#"{"expires_at":["The expires_at field must be a date and time like 2030-01-31T12:00:00Z"]}"#);
    assert_snapshot!(refused(json!({ "name": "t", "expires_in_days": 0 })), @r#"{"expires_in_days":["The expires_in_days field must be a whole number from 1 to 36500."]}"#);
    assert_snapshot!(refused(json!({ "name": "t", "expires_in_days": "90" })), @r#"{"expires_in_days":["The expires_in_days field must be a whole number from 1 to 36500."]}"#);
    let both = json!({ "name": "t", "expires_at": "2030-01-01T00:00:00Z", "expires_in_days": 1 });
    assert_snapshot!(refused(both), @r#"{"expires_in_days":["The expires_in_days field must not be given together with expires_at."]}"#);
}

fn day() -> Duration {
    Duration::from_secs(24 * 60 * 60)
}

fn states(owner: &Client<'_>) -> [usize; 3] {
    ["active", "expired", "revoked"]
        .map(|state| owner.get(&format!("{TOKENS}?state={state}")).body["data"].as_array().unwrap().len())
}

#[test]
fn the_configuration_says_how_long_tokens_may_last() {
    let settings =
        [("tokens.default_lifetime", "30d"), ("tokens.max_lifetime", "90d"), ("tokens.allow_endless", "false")];
    let app = TestApp::with(&settings);
    let ada = app.sign_in("ada");
    assert_eq!(ada.create_token(json!({ "name": "t" }))["expires_at"], "2024-02-14T19:00:00Z");
    assert_eq!(ada.create_token(json!({ "name": "t", "expires_in_days": 90 }))["expires_at"], "2024-04-14T19:00:00Z");
    let refused = |body: Value| {
        let answer = ada.post(TOKENS, body);
        assert_eq!(answer.status, 422, "{}", answer.shown());
        answer.body["errors"].to_string()
    };
    assert_snapshot!(refused(json!({ "name": "t", "expires_in_days": 91 })), @r#"{"expires_in_days":["The expires_in_days field must not be more than 90 days from now, the longest that this server allows."]}"#);
    assert_snapshot!(refused(json!({ "name": "t", "expires_at": "2024-04-14T19:00:01Z" })), @r#"{"expires_at":["The expires_at field must not be more than 90 days from now, the longest that this server allows."]}"#);
    assert_snapshot!(refused(json!({ "name": "t", "expires_at": null })), @r#"{"expires_at":["The expires_at field must not be more than 90 days from now, the longest that this server allows."]}"#);

    let app = TestApp::with(&[("tokens.default_lifetime", "30d"), ("tokens.allow_endless", "false")]);
    let answer = app.sign_in("ada").post(TOKENS, json!({ "name": "t", "expires_at": null }));
    assert_snapshot!(answer.body["errors"].to_string(), @r#"{"expires_at":["The expires_at field must say when the token ends: none may last for ever."]}"#);
    let app = TestApp::with(&[("tokens.default_lifetime", "30d")]);
    assert_eq!(app.sign_in("ada").create_token(json!({ "name": "t", "expires_at": null }))["expires_at"], Value::Null);
}

#[test]
fn an_unused_token_ends_when_it_is_idle_and_each_use_postpones_that() {
    let app = TestApp::with(&[("tokens.idle_lifetime", "100s")]);
    let ada = app.sign_in("ada");
    let created = [ada.create_token(json!({ "name": "used" })), ada.create_token(json!({ "name": "never used" }))];
    let [used, unused] = created.each_ref().map(|token| app.bearer(token["token"].as_str().unwrap()));
    let path = format!("{TOKENS}/{}", created[0]["id"].as_str().unwrap());
    app.advance(Duration::from_secs(99));
    assert_eq!(used.get("/api/user").status, 200, "at -1 s");
    assert_eq!(ada.get(&path).body["data"]["expires_at"], "2024-01-15T19:03:19Z");
    app.advance(Duration::from_secs(1));
    assert_eq!(unused.get("/api/user").status, 401, "at 0 s: idle since it was made");
    app.set_clock_back(Duration::from_secs(50));
    assert_eq!(unused.get("/api/user").status, 401, "a clock that steps back");
    app.advance(Duration::from_secs(50 + 98));
    assert_eq!(used.get("/api/user").status, 200, "at -1 s of the later end");
    app.advance(Duration::from_secs(100));
    assert_eq!([&used, &unused].map(|token| token.get("/api/user").status), [401, 401]);
    app.advance(Duration::from_secs(1));
    assert_eq!(used.get("/api/user").status, 401, "at +1 s");
    assert_eq!(states(&ada), [0, 2, 0]);
    let rotated = ada.post(&format!("{path}/rotate"), json!({}));
    assert_eq!(rotated.status, 404, "what is idle is not revived by rotation");
}

#[test]
fn the_earliest_end_counts() {
    let app = TestApp::with(&[("tokens.idle_lifetime", "100s")]);
    let ada = app.sign_in("ada");
    let token = ada.create_token(json!({ "name": "t", "expires_at": "2024-01-15T19:00:50Z" }));
    let path = format!("{TOKENS}/{}", token["id"].as_str().unwrap());
    assert_eq!(ada.get(&path).body["data"]["expires_at"], "2024-01-15T19:00:50Z");
    assert_eq!(ada.post(&format!("{path}/rotate"), json!({ "grace": 10 })).status, 201);
    assert_eq!(ada.get(&path).body["data"]["expires_at"], "2024-01-15T19:00:10Z");
    let token = app.bearer(token["token"].as_str().unwrap());
    app.advance(Duration::from_secs(9));
    assert_eq!(token.get("/api/user").status, 200);
    assert_eq!(states(&ada), [2, 0, 0]);
    app.advance(Duration::from_secs(1));
    assert_eq!(token.get("/api/user").status, 401);
    assert_eq!(states(&ada), [1, 1, 0]);
}

#[test]
fn every_answer_to_a_token_that_expires_soon_says_so() {
    let app = TestApp::with(&[("server.trusted_proxies", "127.0.0.1")]);
    let ada = app.sign_in("ada");
    let make = |body: Value| app.bearer(ada.create_token(body)["token"].as_str().unwrap());
    let token = make(json!({ "name": "t", "expires_in_days": 31 }));
    let endless = make(json!({ "name": "t" }));
    let expiry_header = |client: &Client<'_>, path: &str| {
        let answer = client.send("POST", path, Some(json!({})));
        answer.header("x-token-expires-at").map(str::to_owned)
    };
    let paths = ["/api/v1/auth/identify", TOKENS, "/api/v1/tokens/verify"];
    for path in paths {
        assert_eq!(expiry_header(&token, path), None, "{path}: it is far away");
    }
    app.advance(day());
    for path in paths {
        assert_eq!(
            expiry_header(&token, path).as_deref(),
            Some("2024-02-15T19:00:00Z"),
            "{path}, though it is refused"
        );
        assert_eq!(expiry_header(&endless, path), None, "{path}");
    }
    assert_eq!(expiry_header(&ada, "/api/v1/auth/identify"), None, "a session is no token");
    app.advance(30 * day());
    assert_eq!(expiry_header(&token, "/api/v1/auth/identify"), None, "it is refused");
}

#[test]
fn a_proxy_gets_the_expiry_too() {
    let policy = "[[policies]]\nname = 'app'\nrules = [{ paths = ['/**'] }]\n";
    let app = TestApp::with_file(policy, &[("server.trusted_proxies", "127.0.0.1")]);
    let ada = app.sign_in("ada");
    let check = |body: Value| {
        let token = app.bearer(ada.create_token(body)["token"].as_str().unwrap());
        let headers = [("X-Original-Method", "GET"), ("X-Original-URI", "/calls")];
        let answer = token.send_with("GET", "/api/authz/auth-request/app", &headers, &[]);
        assert_eq!(answer.status, 200);
        answer.header("x-token-expires-at").map(str::to_owned)
    };
    assert_eq!(check(json!({ "name": "t", "expires_in_days": 30 })).as_deref(), Some("2024-02-14T19:00:00Z"));
    assert_eq!(check(json!({ "name": "t", "expires_in_days": 31 })), None);
    assert_eq!(check(json!({ "name": "t" })), None);
}

#[test]
fn tokens_that_ended_long_ago_are_deleted_and_the_first_of_a_family_last() {
    let app = TestApp::with(&[("tokens.prune_after", "10d")]);
    let ada = app.sign_in("ada");
    let path = |token: &Value| format!("{TOKENS}/{}", token["id"].as_str().unwrap());
    ada.create_token(json!({ "name": "expired", "expires_in_days": 1 }));
    let revoked = ada.create_token(json!({ "name": "revoked" }));
    assert_eq!(ada.delete(&path(&revoked)).status, 200);
    let old = ada.create_token(json!({ "name": "t" }));
    let new = ada.post(&format!("{}/rotate", path(&old)), json!({})).body["data"].clone();
    let events = |ada: &Client<'_>| ada.get("/api/v1/user/audit").body["data"].as_array().unwrap().len();

    let tidied = |app: &TestApp, ada: &Client<'_>| {
        block_on(app.ops.run_maintenance()).unwrap();
        states(ada)
    };
    app.advance(10 * day() - Duration::from_secs(1));
    let ada = app.sign_in_again("ada");
    assert_eq!(tidied(&app, &ada), [1, 2, 1]);
    app.advance(Duration::from_secs(1));
    assert_eq!(tidied(&app, &ada), [1, 2, 0], "the revoked one is gone");
    app.advance(day());
    assert_eq!(tidied(&app, &ada), [1, 1, 0], "the first of a family is known while its successor is good");
    assert_eq!(app.bearer(new["token"].as_str().unwrap()).get("/api/user").status, 200);
    assert_eq!(tidied(&app, &ada), [1, 0, 1], "it was ended by the use");
    assert_eq!(ada.delete(&path(&new)).status, 200);
    app.advance(9 * day());
    assert_eq!(tidied(&app, &app.sign_in_again("ada")), [0, 0, 2]);
    app.advance(day());
    let ada = app.sign_in_again("ada");
    assert_eq!(tidied(&app, &ada), [0, 0, 1], "the successor is gone");
    assert_eq!(tidied(&app, &ada), [0, 0, 0], "and then the first");
    assert_eq!(events(&ada), 13, "and no event is lost, nor one made");
}

#[test]
fn unused_tokens_are_deleted_and_those_with_an_unwritten_use_are_not() {
    let app = TestApp::with(&[("tokens.idle_lifetime", "10d"), ("tokens.prune_after", "1s")]);
    let ada = app.sign_in("ada");
    let made = |name: &str| ada.create_token(json!({ "name": name }))["token"].as_str().unwrap().to_owned();
    let (_unused, used) = (made("unused"), made("used"));
    let environment = ada.get("/api/user").body["current_environment_id"].as_str().unwrap().to_owned();
    let environment = format!("/api/v1/environments/{environment}/tokens");
    assert_eq!(ada.post(&environment, json!({ "name": "of an environment" })).status, 201);
    app.advance(9 * day());
    let is_valid = || block_on(authenticate(&app.ops, &used, Caller::default())).is_ok();
    assert!(is_valid());
    let tidied = || {
        block_on(app.ops.run_maintenance()).unwrap();
        let ada = app.sign_in_again("ada");
        let of_environment = ada.get(&format!("{environment}?state=expired")).body["data"].as_array().unwrap().len();
        (states(&ada), of_environment)
    };
    app.advance(day());
    assert_eq!(tidied(), ([0, 2, 0], 1), "as far as the disk knows, none was used");
    app.advance(Duration::from_secs(1));
    assert_eq!(tidied(), ([0, 1, 0], 0));
    assert!(is_valid());
}
