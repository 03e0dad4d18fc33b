//! The audit trail of a user.

use std::time::Duration;

use insta::assert_snapshot;
use patd::{domain::audit::RequestSource, ops::accounts};
use serde_json::{Value, json};

use crate::harness::{Client, TestApp, block_on, email, password};

const AUDIT: &str = "/api/v1/user/audit";
const LOGIN: &str = "/api/v1/auth/login";
const TOKENS: &str = "/api/v1/user/api-tokens";

/// The events, oldest first: action, actor, target, outcome and detail.
fn trail(client: &Client<'_>) -> Vec<String> {
    let answer = client.get(AUDIT);
    assert_eq!(answer.status, 200, "{}", answer.shown());
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let line = |event: &Value| {
        let (actor, target) = (text(&event["actor"]["type"]), text(&event["target"]["type"]));
        let (outcome, detail) = (text(&event["outcome"]), text(&event["detail"]));
        format!("{} by {actor} on {target}: {outcome}, {detail}", text(&event["action"]))
    };
    answer.body["data"].as_array().unwrap().iter().rev().map(line).collect()
}

#[test]
fn an_event_has_actor_action_target_address_and_request_id() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let created = ada.post(TOKENS, json!({ "name": "CI" }));
    let answer = ada.get(&format!("{AUDIT}?limit=1"));
    let event = &answer.body["data"][0];
    assert_eq!(event["request_id"], created.header("x-request-id").unwrap());
    assert_eq!(event["target"]["id"], created.body["data"]["id"]);
    let me = ada.post("/api/v1/auth/identify", json!({}));
    assert_eq!(event["actor"]["id"], me.body["data"]["id"]);
    assert_eq!(event["actor"]["user_id"], ada.get("/api/user").body["id"]);
    let cursor = answer.body["next_cursor"].as_str().unwrap();
    assert_snapshot!(answer.shown().replace(cursor, "[cursor]"), @r#"
    200
    {
      "data": [
        {
          "action": "token.created",
          "actor": {
            "id": "[uuid]",
            "type": "session",
            "user_id": "[uuid]"
          },
          "address": "127.0.0.1",
          "at": "2024-01-15T19:00:00Z",
          "detail": null,
          "id": "[uuid]",
          "outcome": "success",
          "request_id": "[uuid]",
          "target": {
            "id": "[uuid]",
            "type": "personal_access_token"
          }
        }
      ],
      "next_cursor": "[cursor]"
    }
    "#);
}

#[test]
fn every_change_over_the_api_and_by_the_administrator_is_in_the_trail() {
    let app = TestApp::spawn();
    let user = app.user("ada");
    let ada = app.sign_in_again("ada");
    let other = app.sign_in_again("ada");
    let third = app.sign_in_again("ada");
    let token = ada.create_token(json!({ "name": "CI" }));
    let path = format!("{TOKENS}/{}", token["id"].as_str().unwrap());
    assert_eq!(ada.patch(&path, json!({ "name": "Nightly" })).status, 200);
    assert_eq!(ada.delete(&path).status, 200);
    let leaked = ada.create_token(json!({ "name": "leaked" }));
    let form = format!("token={}", leaked["token"].as_str().unwrap().replace('|', "%7C"));
    let revoked =
        app.anonymous().send_as("POST", "/api/v1/revoke", "application/x-www-form-urlencoded", form.as_bytes());
    assert_eq!(revoked.status, 200);
    assert_eq!(ada.patch("/api/v1/user", json!({ "name": "Ada L" })).status, 200);
    assert_eq!(other.post("/api/v1/auth/logout", json!({})).status, 200);
    assert_eq!(ada.delete("/api/v1/user/sessions").status, 200);
    assert_eq!(third.get("/api/user").status, 401);
    let new = "another password that is long enough";
    let change = json!({ "current_password": password("ada"), "password": new });
    assert_eq!(ada.put("/api/v1/user/password", change).status, 200);
    block_on(accounts::disable(
        &app.ops,
        crate::harness::ADMINISTRATOR,
        user.id,
        patd::store::LastAdmin::MayGo,
        RequestSource::COMMAND_LINE,
    ))
    .unwrap();
    block_on(accounts::enable(&app.ops, crate::harness::ADMINISTRATOR, user.id, RequestSource::COMMAND_LINE)).unwrap();
    let answer = app.anonymous().post(LOGIN, json!({ "email": email("ada"), "password": new }));
    let ada = app.bearer(answer.body["data"]["token"].as_str().unwrap());
    assert_snapshot!(trail(&ada).join("\n"), @r#"
    user.created by command_line on user: success, -
    session.created by anonymous on session: success, -
    session.created by anonymous on session: success, -
    session.created by anonymous on session: success, -
    token.created by session on personal_access_token: success, -
    token.renamed by session on personal_access_token: success, -
    token.revoked by session on personal_access_token: success, revoked_by_owner
    token.created by session on personal_access_token: success, -
    token.revoked by personal_access_token on personal_access_token: success, revoked_by_owner
    user.updated by session on user: success, name
    session.ended by session on session: success, -
    session.ended by session on session: success, -
    user.password_changed by session on user: success, -
    user.disabled by command_line on user: success, -
    session.ended by command_line on session: success, -
    user.enabled by command_line on user: success, -
    session.created by anonymous on session: success, -
    "#);
}

#[test]
fn a_refused_sign_in_is_in_the_trail_of_the_account_without_what_was_typed() {
    let app = TestApp::spawn();
    let oscar = app.user("oscar");
    let ada = app.sign_in("ada");
    let refused = |who: &str| {
        let login = json!({ "email": email(who), "password": "a canary of a password" });
        assert_eq!(app.anonymous().post(LOGIN, login).status, 401);
    };
    refused("ada");
    refused("nobody");
    block_on(accounts::disable(
        &app.ops,
        crate::harness::ADMINISTRATOR,
        oscar.id,
        patd::store::LastAdmin::MayGo,
        RequestSource::COMMAND_LINE,
    ))
    .unwrap();
    let login = json!({ "email": email("oscar"), "password": password("oscar") });
    assert_eq!(app.anonymous().post(LOGIN, login).status, 401);
    let wrong = json!({ "current_password": "a canary of a password", "password": "a long enough new password" });
    assert_eq!(ada.put("/api/v1/user/password", wrong).status, 422);

    assert_snapshot!(trail(&ada).join("\n"), @r#"
    user.created by command_line on user: success, -
    session.created by anonymous on session: success, -
    sign_in.refused by anonymous on user: refused, wrong_password
    user.password_changed by session on user: refused, wrong_password
    "#);
    assert!(!ada.get(AUDIT).text.contains("canary"));
    block_on(accounts::enable(&app.ops, crate::harness::ADMINISTRATOR, oscar.id, RequestSource::COMMAND_LINE)).unwrap();
    assert_snapshot!(trail(&app.sign_in_again("oscar")).join("\n"), @r#"
    user.created by command_line on user: success, -
    user.disabled by command_line on user: success, -
    sign_in.refused by anonymous on user: refused, disabled
    user.enabled by command_line on user: success, -
    session.created by anonymous on session: success, -
    "#);
}

#[test]
fn a_refused_request_leaves_no_event() {
    let app = TestApp::spawn();
    let (ada, bob) = (app.sign_in("ada"), app.sign_in("bob"));
    let token = ada.create_token(json!({ "name": "CI" }));
    let path = format!("{TOKENS}/{}", token["id"].as_str().unwrap());
    let before = (trail(&ada), trail(&bob));
    assert_eq!(ada.post(TOKENS, json!({ "name": "" })).status, 422);
    assert_eq!(ada.post(TOKENS, json!({ "name": "t", "abilities": ["tokens:introspect"] })).status, 422);
    assert_eq!(bob.patch(&path, json!({ "name": "mine" })).status, 404);
    assert_eq!(bob.delete(&path).status, 404);
    assert_eq!(bob.patch("/api/v1/user", json!({ "email": email("ada") })).status, 422);
    assert_eq!(bob.patch("/api/v1/user", json!({ "name": "bob" })).status, 200);
    let software = app.bearer(token["token"].as_str().unwrap());
    assert_eq!(software.post(TOKENS, json!({ "name": "t" })).status, 403);
    assert_eq!(software.get(AUDIT).status, 403);
    assert_eq!((trail(&ada), trail(&bob)), before);
}

#[test]
fn a_throttled_attempt_leaves_no_event() {
    let app = TestApp::with(&[("throttle.per_email_burst", "3"), ("throttle.per_email_per_minute", "1")]);
    app.user("ada");
    for expected in [401, 401, 401, 429, 429] {
        let login = json!({ "email": email("ada"), "password": "wrong" });
        assert_eq!(app.anonymous().post(LOGIN, login).status, expected);
    }
    app.advance(Duration::from_secs(60));
    let refusals = trail(&app.sign_in_again("ada"));
    assert_eq!(refusals.iter().filter(|event| event.starts_with("sign_in.refused")).count(), 3, "{refusals:#?}");
}

#[test]
fn the_trail_is_paged_and_a_cursor_works_for_its_owner_only() {
    let app = TestApp::spawn();
    let (ada, bob) = (app.sign_in("ada"), app.sign_in("bob"));
    for n in 0..5 {
        ada.create_token(json!({ "name": format!("t{n}") }));
        bob.create_token(json!({ "name": "other" }));
    }
    let whole = ada.get(AUDIT).body;
    assert_eq!((whole["data"].as_array().unwrap().len(), &whole["next_cursor"]), (7, &Value::Null));
    let (mut seen, mut path) = (Vec::new(), format!("{AUDIT}?limit=3"));
    let cursor = loop {
        let page = ada.get(&path).body;
        seen.extend(page["data"].as_array().unwrap().clone());
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("{AUDIT}?limit=3&cursor={cursor}"),
            None => break path.split_once("cursor=").unwrap().1.to_owned(),
        }
    };
    assert_eq!(&Value::Array(seen), &whole["data"]);
    let mut ids: Vec<_> = whole["data"].as_array().unwrap().iter().map(|event| event["id"].to_string()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 7);

    let foreign = bob.get(&format!("{AUDIT}?cursor={cursor}"));
    let other_list = ada.get(&format!("{TOKENS}?cursor={cursor}"));
    for refused in [foreign, other_list] {
        assert_eq!(
            (refused.status, &refused.body["errors"]["cursor"][0]),
            (
                422,
                &json!(
                    "The cursor field must be a next_cursor that was answered to you, for the same list with the same filters and order."
                )
            )
        );
    }
    for limit in ["0", "101", "x", ""] {
        assert_eq!(ada.get(&format!("{AUDIT}?limit={limit}")).status, 422, "{limit}");
    }
}

#[test]
fn events_are_kept_without_limit_unless_the_configuration_has_one() {
    let by_default: &[(&'static str, &str)] = &[];
    for (settings, kept) in [(by_default, 3), (&[("audit.prune_after", "10d")], 1)] {
        let app = TestApp::with(settings);
        app.sign_in("ada");
        app.advance(Duration::from_secs(10 * 24 * 60 * 60));
        block_on(app.ops.run_maintenance()).unwrap();
        let ada = app.sign_in_again("ada");
        assert_eq!(trail(&ada).len(), 3, "they are kept until they are older than the limit");
        app.advance(Duration::from_secs(1));
        block_on(app.ops.run_maintenance()).unwrap();
        assert_eq!(trail(&ada).len(), kept);
    }
}
