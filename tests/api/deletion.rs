//! The deletion of users, by themselves and by an administrator.

use std::{
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    thread,
};

use patd::domain::account::Role;
use serde_json::{Value, json};

use crate::harness::{Answer, Client, TestApp, email, password};

fn delete_own(client: &Client<'_>, password: &str) -> Answer {
    client.send("DELETE", "/api/v1/user", Some(json!({ "current_password": password })))
}

fn id(client: &Client<'_>) -> String {
    client.get("/api/v1/user").body["id"].as_str().unwrap().to_owned()
}

#[test]
fn a_user_deletes_their_account_with_their_password() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let other = app.sign_in_again("ada");
    let token = app.bearer(ada.create_token(json!({ "name": "t" }))["token"].as_str().unwrap());
    let environment = ada.post("/api/v1/environments", json!({ "name": "e" }));
    let path = format!("/api/v1/environments/{}/tokens", environment.body["data"]["id"].as_str().unwrap());
    let of_environment = ada.post(&path, json!({ "name": "t" }));
    let of_environment = app.bearer(of_environment.body["data"]["token"].as_str().unwrap());
    let (id, identify) = (id(&ada), "/api/v1/auth/identify");
    for client in [&ada, &other, &token, &of_environment] {
        assert_eq!(client.post(identify, json!({})).status, 200);
    }

    assert_eq!(ada.delete("/api/v1/user").status, 415, "a body is needed");
    let nothing = ada.send("DELETE", "/api/v1/user", Some(json!({})));
    assert_eq!(nothing.body["errors"]["current_password"][0], "The current_password field is required.");
    let wrong = delete_own(&ada, "wrong");
    assert_eq!(
        (wrong.status, &wrong.body["errors"]["current_password"][0]),
        (422, &json!("The password is incorrect."))
    );
    let refused = &ada.get("/api/v1/user/audit").body["data"][0];
    assert_eq!((&refused["action"], &refused["outcome"]), (&json!("user.deleted"), &json!("refused")));

    let deleted = delete_own(&ada, &password("ada"));
    assert_eq!(deleted.status, 200, "{}", deleted.shown());
    let ended = json!({ "id": id, "sessions": 2, "tokens": 1, "environments": 2, "environment_tokens": 1 });
    assert_eq!(deleted.body["data"], ended);
    for client in [&ada, &other, &token, &of_environment] {
        assert_eq!(client.post(identify, json!({})).status, 401);
    }
    let sign_in = json!({ "email": email("ada"), "password": password("ada") });
    assert_eq!(app.anonymous().post("/api/v1/auth/login", sign_in).status, 401);
    // A second account with the address, which owns nothing of the first.
    let second = app.sign_in("ada");
    assert_ne!(self::id(&second), id);
    assert_eq!(second.get("/api/v1/user/api-tokens").body["data"], json!([]));
}

#[test]
fn wrong_passwords_are_throttled() {
    let app = TestApp::with(&[("throttle.per_email_burst", "2")]);
    let ada = app.sign_in("ada");
    let statuses: Vec<u16> = (0..3).map(|_| delete_own(&ada, "wrong").status).collect();
    assert_eq!(statuses, [422, 422, 429]);
    assert_eq!(delete_own(&ada, &password("ada")).status, 429);
}

#[test]
fn an_administrator_deletes_a_user_but_not_the_last_administrator() {
    let app = TestApp::spawn();
    let (root, ada) = (app.sign_in_admin("root"), app.sign_in("ada"));
    let token = app.bearer(ada.create_token(json!({ "name": "t" }))["token"].as_str().unwrap());
    let path = format!("/api/v1/admin/users/{}", id(&ada));
    assert_eq!(token.get("/api/user").status, 200);
    let deleted = root.delete(&path);
    assert_eq!((deleted.status, &deleted.body["data"]["tokens"]), (200, &json!(1)), "{}", deleted.shown());
    assert_eq!((ada.get("/api/user").status, token.get("/api/user").status), (401, 401));
    assert_eq!(root.delete(&path).status, 404);
    assert_eq!(root.delete("/api/v1/admin/users/nobody").status, 404);

    let last = root.delete(&format!("/api/v1/admin/users/{}", id(&root)));
    assert_eq!((last.status, &last.body["code"]), (409, &json!("last_admin")), "{}", last.shown());
    let last = delete_own(&root, &password("root"));
    assert_eq!((last.status, &last.body["code"]), (409, &json!("last_admin")), "{}", last.shown());
    let second = app.sign_in_admin("second");
    assert_eq!(second.delete(&format!("/api/v1/admin/users/{}", id(&root))).status, 200);
    assert_eq!(root.get("/api/user").status, 401);
    app.set_role("second", Role::Admin);
}

/// What one client sends until it is refused for good.
fn check(client: &Client<'_>, answered: &AtomicBool, accepted_after: &AtomicU32) {
    loop {
        let was_answered = answered.load(Ordering::SeqCst);
        match client.post("/api/v1/auth/identify", Value::Object(serde_json::Map::new())).status {
            200 if was_answered => drop(accepted_after.fetch_add(1, Ordering::SeqCst)),
            200 => continue,
            401 if was_answered => {}
            401 => continue,
            other => panic!("a check answered {other}"),
        }
        if was_answered {
            return;
        }
    }
}

#[test]
fn no_check_that_starts_after_the_deletion_was_answered_is_accepted() {
    let app = TestApp::spawn();
    let root = app.sign_in_admin("root");
    let accepted_after = AtomicU32::new(0);
    for round in 0..20 {
        let name = format!("user{round}");
        let ada = app.sign_in(&name);
        let token = app.bearer(ada.create_token(json!({ "name": "t" }))["token"].as_str().unwrap());
        let environment = ada.get("/api/user").body["current_environment_id"].as_str().unwrap().to_owned();
        let created = ada.post(&format!("/api/v1/environments/{environment}/tokens"), json!({ "name": "t" }));
        let of_environment = app.bearer(created.body["data"]["token"].as_str().unwrap());
        let path = format!("/api/v1/admin/users/{}", id(&ada));
        let answered = AtomicBool::new(false);
        thread::scope(|scope| {
            for client in [&ada, &token, &of_environment, &token, &of_environment] {
                let (answered, accepted_after) = (&answered, &accepted_after);
                scope.spawn(move || check(client, answered, accepted_after));
            }
            assert_eq!(root.delete(&path).status, 200);
            answered.store(true, Ordering::SeqCst);
        });
    }
    assert_eq!(accepted_after.load(Ordering::SeqCst), 0);
}
