//! When tokens end by themselves.

use std::time::Duration;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::harness::TestApp;

const TOKENS: &str = "/api/v1/user/api-tokens";

#[test]
fn a_token_ends_at_the_second_of_its_expiry_and_a_clock_that_steps_back_revives_nothing() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let created = ada.create_token(json!({ "name": "t", "expires_at": "2024-01-15T21:00:10.5+02:00" }));
    assert_eq!(created["expires_at"], "2024-01-15T19:00:10Z");
    let token = app.bearer(created["token"].as_str().unwrap());
    app.advance(Duration::from_secs(9));
    assert_eq!(token.get("/api/user").status, 200);
    app.advance(Duration::from_secs(1));
    assert_eq!(token.get("/api/user").status, 401);
    app.step_back(Duration::from_secs(8));
    assert_eq!(token.get("/api/user").status, 401);
}

#[test]
fn an_expiry_lies_ahead_and_is_said_once() {
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
