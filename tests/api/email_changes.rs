//! Changing the address of an account: with the password, if it is allowed. Attempts must not reveal who has an
//! account.

use insta::assert_snapshot;
use patd::{
    domain::{account::Email, audit::RequestSource},
    ops::{accounts, profile},
};
use serde_json::{Value, json};

use crate::harness::{Client, TestApp, block_on, email, password};

const USER: &str = "/api/v1/user";
const ALLOWED: (&str, &str) = ("accounts.email_change", "true");

fn change(client: &Client<'_>, to: &str, current_password: &str) -> u16 {
    client.patch(USER, json!({ "email": to, "current_password": current_password })).status
}

/// The events of changed addresses, newest first: outcome and detail.
fn trail(client: &Client<'_>) -> Vec<String> {
    let events = client.get("/api/v1/user/audit").body["data"].as_array().unwrap().clone();
    let of_addresses = events.iter().filter(|event| event["action"] == "user.email_changed");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    of_addresses.map(|event| format!("{}: {}", text(&event["outcome"]), text(&event["detail"]))).collect()
}

#[test]
fn an_address_can_be_changed_only_if_the_configuration_allows_it() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let answer = ada.patch(USER, json!({ "email": "ada@new.example", "current_password": password("ada") }));
    assert_snapshot!(answer.shown(), @r#"
    422
    {
      "code": "validation_failed",
      "errors": {
        "email": [
          "The email field cannot be changed on this server. Ask its administrator."
        ]
      },
      "message": "The email field cannot be changed on this server. Ask its administrator."
    }
    "#);
    // A client may send the unchanged address with the rest of the profile.
    let same = ada.patch(USER, json!({ "name": "Ada L.", "email": email("ada") }));
    assert_eq!((same.status, &same.body["name"]), (200, &json!("Ada L.")));

    let user = block_on(accounts::find(&app.ops, crate::harness::ADMINISTRATOR, &email("ada"))).unwrap();
    let new = Email::parse("ada@new.example").unwrap();
    block_on(profile::set_email(&app.ops, crate::harness::ADMINISTRATOR, &user, new, RequestSource::COMMAND_LINE))
        .unwrap();
    assert_eq!(ada.get("/api/user").body["email"], "ada@new.example", "the administrator can");
    assert_eq!(trail(&ada), ["success: ada@example.com -> ada@new.example"]);
}

#[test]
fn a_change_of_address_needs_the_password_and_leaves_both_addresses_in_the_trail() {
    let app = TestApp::with(&[ALLOWED]);
    let ada = app.sign_in("ada");
    let missing = ada.patch(USER, json!({ "name": "never", "email": "ada@new.example" }));
    assert_snapshot!(missing.shown(), @r#"
    422
    {
      "code": "validation_failed",
      "errors": {
        "current_password": [
          "The current_password field is required to change the email."
        ]
      },
      "message": "The current_password field is required to change the email."
    }
    "#);
    let wrong =
        ada.patch(USER, json!({ "name": "never", "email": "ada@new.example", "current_password": "not the one" }));
    assert_snapshot!(wrong.shown(), @r#"
    422
    {
      "code": "validation_failed",
      "errors": {
        "current_password": [
          "The password is incorrect."
        ]
      },
      "message": "The password is incorrect."
    }
    "#);
    let unchanged = ada.get("/api/user").body;
    assert_eq!((&unchanged["email"], &unchanged["name"]), (&json!("ada@example.com"), &json!("ada")));

    app.user("bob");
    assert_eq!(change(&ada, "BOB@example.com", &password("ada")), 422);
    assert_eq!(change(&ada, "ada@new.example", &password("ada")), 200);
    let trail = trail(&ada);
    assert_eq!(
        trail,
        ["success: ada@example.com -> ada@new.example", "refused: email_taken", "refused: wrong_password"]
    );
    let login = |who: &str| {
        app.anonymous().post("/api/v1/auth/login", json!({ "email": who, "password": password("ada") })).status
    };
    assert_eq!((login("ada@example.com"), login("ada@new.example")), (401, 201));
}

#[test]
fn attempts_that_reveal_whether_an_address_is_taken_are_throttled() {
    let limits = [
        ALLOWED,
        ("throttle.per_email_burst", "3"),
        ("throttle.per_email_per_minute", "1"),
        ("throttle.per_account_burst", "7"),
        ("throttle.per_account_per_minute", "1"),
    ];
    let app = TestApp::with(&limits);
    let ada = app.sign_in("ada");
    app.user("bob");
    // The change itself reveals that an address is free.
    let asked = ["bob@example.com", "ada@free.example", "bob@example.com", "bob@example.com", "ada@free2.example"];
    assert_eq!(asked.map(|to| change(&ada, to, &password("ada"))), [422, 200, 422, 429, 429]);
    let mut statuses = Vec::new();
    for _ in 0..3 {
        let login = json!({ "email": "ada@free.example", "password": password("ada") });
        let answer = app.anonymous().post("/api/v1/auth/login", login);
        let session = app.bearer(answer.body["data"]["token"].as_str().unwrap());
        statuses.extend([0; 3].map(|_| change(&session, "bob@example.com", &password("ada"))));
    }
    assert_eq!(statuses, [422, 422, 422, 422, 429, 429, 429, 429, 429], "all sessions of a user share a limit");
}

#[test]
fn a_token_cannot_change_the_address() {
    let app = TestApp::with(&[ALLOWED]);
    let ada = app.sign_in("ada");
    let token = ada.create_token(json!({ "name": "t" }));
    let token = app.bearer(token["token"].as_str().unwrap());
    assert_eq!(change(&token, "ada@new.example", &password("ada")), 403);
    assert_eq!(ada.get("/api/user").body["email"], "ada@example.com");
}
