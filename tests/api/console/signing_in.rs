//! Sign-in, sign-out, sessions, the password and the account.

use std::time::Duration;

use serde_json::json;

use super::{Browser, hidden};
use crate::harness::{TestApp, email, password};

#[test]
fn a_session_that_ended_elsewhere_leads_to_sign_in_and_back() {
    let app = TestApp::spawn();
    let ada = Browser::of(&app, "ada");
    assert_eq!(ada.get("/console/activity").status, 200);
    assert_eq!(app.sign_in_again("ada").delete("/api/v1/user/sessions").status, 200);
    let answer = ada.get("/console/activity");
    assert_eq!(answer.header("location"), "/console/sign-in?next=%2Fconsole%2Factivity");
    assert_eq!(ada.cookie(), "", "the browser forgets it");
    let page = ada.page("/console/sign-in?next=%2Fconsole%2Factivity");
    let next = hidden(&page, "next");
    let fields = [("next", next), ("email", &*email("ada")), ("password", &*password("ada"))];
    let answer = ada.post("/console/sign-in", &fields);
    assert_eq!(answer.header("location"), "/console/signed-in?next=%2Fconsole%2Factivity");
    assert_eq!(ada.get("/console/signed-in?next=%2Fconsole%2Factivity").header("location"), "/console/activity");
}

#[test]
fn signing_out_ends_the_session_and_clears_what_the_browser_kept() {
    let app = TestApp::spawn();
    let ada = Browser::of(&app, "ada");
    let cookie = ada.cookie();
    let answer = ada.post("/console/sign-out", &[]);
    assert_eq!(answer.header("location"), "/console/sign-in?done=signed-out");
    assert_eq!(answer.header("clear-site-data"), "\"cache\"");
    assert_eq!(ada.cookie(), "");
    assert_eq!(app.fetch("GET", "/console/tokens", &[("Cookie", &cookie)], "").status, 303);
    let secret = cookie.split_once('=').unwrap().1;
    assert_eq!(app.bearer(secret).get("/api/v1/user").status, 401);
}

#[test]
fn sessions_of_the_console_are_those_of_the_api() {
    let app = TestApp::spawn();
    let ada = Browser::of(&app, "ada");
    let api = app.sign_in_again("ada");
    let listed = api.get("/api/v1/user/sessions");
    let ids: Vec<&str> =
        listed.body["data"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 2);
    let page = ada.page("/console/sessions");
    assert!(ids.iter().all(|id| page.contains(id)), "{page}");
    let other = ids.iter().find(|id| {
        let current = listed.body["data"].as_array().unwrap().iter().find(|one| one["id"] == **id).unwrap();
        current["current"] == true
    });
    let answer = ada.post("/console/sessions", &[("do", "end"), ("session", other.unwrap())]);
    assert_eq!(answer.header("location"), "/console/sessions?done=ended");
    assert_eq!(api.get("/api/v1/user").status, 401);
    assert_eq!(ada.get("/console/sessions").status, 200);
}

#[test]
fn a_throttled_sign_in_says_how_long_to_wait() {
    let app = TestApp::with(&[("throttle.per_email_burst", "2"), ("throttle.per_email_per_minute", "1")]);
    app.user("ada");
    let browser = Browser::new(&app);
    let attempt = || browser.post("/console/sign-in", &[("email", &email("ada")), ("password", "a wrong password")]);
    for _ in 0..2 {
        let answer = attempt();
        assert_eq!(answer.status, 401);
        assert!(answer.text.contains("do not belong together"), "{}", answer.text);
        assert!(answer.text.contains(r#"value="ada@example.com""#), "what was typed stays: {}", answer.text);
        assert!(!answer.text.contains("a wrong password"));
    }
    let answer = attempt();
    assert_eq!(answer.status, 429);
    assert!(answer.text.contains("too many attempts. Wait for 60 seconds"), "{}", answer.text);
    app.advance(Duration::from_secs(60));
    assert_eq!(attempt().status, 401);
}

#[test]
fn a_server_without_users_says_how_to_make_one() {
    let app = TestApp::spawn();
    let browser = Browser::new(&app);
    assert!(browser.page("/console/sign-in").contains("patd user create"));
    app.user("ada");
    assert!(!browser.page("/console/sign-in").contains("patd user create"));
}

#[test]
fn an_invited_person_sets_a_password_with_the_link() {
    let app = TestApp::spawn();
    let admin = app.sign_in_admin("root");
    let invited = admin.post("/api/v1/admin/users", json!({ "name": "Ada", "email": "ada@example.com" }));
    assert_eq!(invited.status, 201, "{}", invited.text);
    let secret = find(&invited.body, "token").unwrap().to_owned();
    let browser = Browser::new(&app);
    let page = browser.page(&format!("/console/set-password?token={secret}"));
    assert!(page.contains(&secret));
    let short = browser.post("/console/set-password", &[("token", &secret), ("password", "short")]);
    assert_eq!(short.status, 422);
    assert!(short.text.contains(r#"aria-describedby="password-error""#), "{}", short.text);
    let set = browser.post("/console/set-password", &[("token", &secret), ("password", &password("ada"))]);
    assert_eq!(set.header("location"), "/console/sign-in?done=password-set", "{}", set.text);
    Browser::again(&app, "ada");
    let again = browser.post("/console/set-password", &[("token", &secret), ("password", &password("eve"))]);
    assert_eq!(again.status, 422, "a link works once");
}

/// The text with this key, anywhere in the value.
fn find<'v>(value: &'v serde_json::Value, key: &str) -> Option<&'v str> {
    match value {
        serde_json::Value::Object(map) => {
            map.get(key).and_then(|found| found.as_str()).or_else(|| map.values().find_map(|value| find(value, key)))
        }
        _ => None,
    }
}

#[test]
fn the_account_is_changed_exported_and_deleted() {
    let app = TestApp::spawn();
    let ada = Browser::of(&app, "ada");
    let api = app.sign_in_again("ada");
    let renamed = ada.post("/console/account", &[("do", "rename"), ("name", "Ada <b>L</b>")]);
    assert_eq!(renamed.header("location"), "/console/account?done=renamed");
    let page = ada.page("/console/account?done=renamed");
    assert!(page.contains("Your name is changed.") && !page.contains("<b>L</b>"), "{page}");
    let wrong =
        ada.post("/console/account", &[("do", "email"), ("email", "new@example.com"), ("current_password", "no")]);
    assert!(wrong.status == 422 && wrong.text.contains(r#"value="new@example.com""#), "{}", wrong.text);
    let export = ada.get("/console/account/export");
    assert!(export.header("content-disposition").starts_with("attachment"), "{}", export.text);
    assert!(export.text.contains("ada@example.com"));
    let fields = [("do", "password"), ("current_password", &*password("ada")), ("password", &*password("new"))];
    assert_eq!(ada.post("/console/account", &fields).header("location"), "/console/account?done=password");
    assert_eq!(api.get("/api/v1/user").status, 401, "other sessions end");
    let wrong = ada.post("/console/account", &[("do", "delete"), ("current_password", "no")]);
    assert_eq!(wrong.status, 422);
    let deleted = ada.post("/console/account", &[("do", "delete"), ("current_password", &password("new"))]);
    assert_eq!(deleted.header("location"), "/console/sign-in?done=deleted", "{}", deleted.text);
    assert_eq!(ada.cookie(), "");
}
