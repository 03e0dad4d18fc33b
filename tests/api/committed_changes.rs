//! A committed change is answered as done, also if the store cannot be read right after it.

use std::{
    ops::ControlFlow,
    sync::{
        atomic::{AtomicU8, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use patd::{
    control::{Request, WhoseTokens, client::carry_out},
    store::TokenInventory,
};
use serde_json::json;
use tokio::time::timeout;

use crate::{
    harness::{Answer, Client, TestApp, block_on, email},
    outage::{READS_FAIL_AFTER_WRITE, WELL, failing_app},
    support::database::is_on_postgres,
};

const TOKENS: &str = "/api/v1/user/api-tokens";

/// A token with a quota, since what is left of a quota was read after the change.
fn limited(ada: &Client<'_>) -> String {
    let created = ada.create_token(json!({ "name": "t", "quota": 1000 }));
    format!("{TOKENS}/{}", created["id"].as_str().unwrap())
}

/// Sends the request to a store that cannot be read after its next write.
fn change(mode: &AtomicU8, send: impl FnOnce() -> Answer) -> Answer {
    mode.store(READS_FAIL_AFTER_WRITE, Ordering::SeqCst);
    let answer = send();
    assert_ne!(mode.swap(WELL, Ordering::SeqCst), READS_FAIL_AFTER_WRITE, "it was a write");
    answer
}

#[test]
fn a_committed_change_of_a_token_does_not_fail_on_a_later_read() {
    let (app, mode) = failing_app();
    let ada = app.sign_in("ada");
    let path = limited(&ada);

    let renamed = change(&mode, || ada.patch(&path, json!({ "name": "new" })));
    assert_eq!((renamed.status, &renamed.body["data"]["name"]), (200, &json!("new")), "{}", renamed.shown());
    for verb in ["disable", "enable"] {
        let changed = change(&mode, || ada.post(&format!("{path}/{verb}"), json!({})));
        assert_eq!((changed.status, &changed.body["data"]["quota_remaining"]), (200, &json!(1000)), "{verb}");
    }
    let rotated = change(&mode, || ada.post(&format!("{path}/rotate"), json!({})));
    assert_eq!((rotated.status, &rotated.body["data"]["quota_remaining"]), (201, &json!(1000)));
    let successor = &rotated.body["data"]["id"];
    let renamed = change(&mode, || ada.patch(&path, json!({ "name": "replaced" })));
    assert_eq!((renamed.status, &renamed.body["data"]["rotated_to"]), (200, successor));
    let revoked = change(&mode, || ada.delete(&path));
    assert_eq!((revoked.status, &revoked.body["successor"]), (200, successor));
    limited(&ada);
    let all = change(&mode, || ada.post(&format!("{TOKENS}/revoke"), json!({ "all": true })));
    assert_eq!((all.status, &all.body["data"]["revoked"]), (200, &json!(2)), "{}", all.shown());
}

#[test]
fn a_token_that_rotates_itself_gets_its_successor_and_what_is_left_of_the_quota() {
    let (app, mode) = failing_app();
    let ada = app.sign_in("ada");
    let abilities = json!(["user:read", "tokens:rotate-self"]);
    let created = ada.create_token(json!({ "name": "t", "quota": 1000, "abilities": abilities }));
    let token = app.bearer(created["token"].as_str().unwrap());
    for _ in 0..3 {
        assert_eq!(token.get("/api/user").status, 200);
    }
    let rotated = change(&mode, || token.post(&format!("{TOKENS}/self/rotate"), json!({})));
    assert_eq!((rotated.status, &rotated.body["data"]["quota_remaining"]), (201, &json!(996)), "{}", rotated.shown());
}

#[test]
fn a_committed_change_of_an_environment_does_not_fail_on_a_later_read() {
    let (app, mode) = failing_app();
    let ada = app.sign_in("ada");
    let eve = app.user("eve").id;
    let made = ada.post("/api/v1/environments", json!({ "name": "e" }));
    let environment = format!("/api/v1/environments/{}", made.body["data"]["id"].as_str().unwrap());
    let tokens = format!("{environment}/tokens");
    let token = ada.post(&tokens, json!({ "name": "t", "quota": 10 }));
    let token = format!("{tokens}/{}", token.body["data"]["id"].as_str().unwrap());

    let regenerated = change(&mode, || ada.post(&format!("{token}/regenerate"), json!({})));
    assert_eq!((regenerated.status, &regenerated.body["data"]["quota_remaining"]), (201, &json!(10)));
    let token = format!("{tokens}/{}", regenerated.body["data"]["id"].as_str().unwrap());
    let current = json!({ "environment_id": made.body["data"]["id"] });
    for answer in [
        change(&mode, || ada.delete(&token)),
        change(&mode, || ada.patch(&environment, json!({ "name": "other" }))),
        change(&mode, || ada.put(&format!("{environment}/members/{eve}"), json!({ "role": "viewer" }))),
        change(&mode, || ada.delete(&format!("{environment}/members/{eve}"))),
        change(&mode, || ada.put("/api/v1/user/current-environment", current)),
        change(&mode, || ada.delete(&environment)),
    ] {
        assert_eq!(answer.status, 200, "{}", answer.shown());
    }
}

#[test]
fn a_committed_change_of_an_account_does_not_fail_on_a_later_read() {
    let (app, mode) = failing_app();
    let ada = app.sign_in("ada");
    let other = app.sign_in_again("ada");
    let renamed = change(&mode, || ada.patch("/api/v1/user", json!({ "name": "Ada B" })));
    assert_eq!((renamed.status, &renamed.body["name"]), (200, &json!("Ada B")), "{}", renamed.shown());
    assert_eq!(change(&mode, || other.post("/api/v1/auth/logout", json!({}))).status, 200);
    assert_eq!(change(&mode, || ada.delete("/api/v1/user/sessions")).status, 200);
}

#[test]
fn a_command_that_revoked_all_tokens_of_a_user_says_so() {
    let (app, mode) = failing_app();
    let ada = app.sign_in("ada");
    limited(&ada);
    mode.store(READS_FAIL_AFTER_WRITE, Ordering::SeqCst);
    let whose = WhoseTokens::User(email("ada"));
    let answer = block_on(carry_out(&app.ops, Request::RevokeTokens(whose))).unwrap();
    let answer: serde_json::Value = answer.single().unwrap();
    assert_eq!((&answer["revoked"], &answer["left"]), (&json!(1), &json!(null)), "{answer}");
}

#[test]
fn a_command_revokes_all_tokens_of_a_user_while_a_list_is_not_read() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    limited(&ada);
    let ((started, starts), (end, ends)) = (mpsc::channel(), mpsc::channel::<()>());
    let each = Box::new(move |_| {
        let _ = (started.send(()), ends.recv());
        ControlFlow::Break(())
    });
    thread::scope(|scope| {
        let list =
            scope.spawn(|| block_on(app.ops.store.each_token(TokenInventory::default(), app.ops.clock.now(), each)));
        starts.recv().unwrap();
        let request = Request::RevokeTokens(WhoseTokens::User(email("ada")));
        let answer = block_on(async { timeout(Duration::from_secs(30), carry_out(&app.ops, request)).await });
        drop(end);
        list.join().unwrap().unwrap();
        let answer: serde_json::Value = answer.unwrap().unwrap().single().unwrap();
        // Lists of PostgreSQL need not wait for each other.
        let is_counted = is_on_postgres() && answer["left"] == 0;
        assert!(answer["revoked"] == 1 && (is_counted || answer["left"].is_null()), "{answer}");
    });
}
