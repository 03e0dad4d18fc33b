//! Creating tokens: abilities, names, and how many an owner may have.

use std::time::Duration;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::{
    harness::TestApp,
    tokens::{TOKENS, names, path_of},
};

#[test]
fn missing_abilities_mean_full_access_and_an_empty_list_means_none() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    assert_eq!(ada.create_token(json!({ "name": "t" }))["abilities"], json!(["*"]));
    let none = ada.create_token(json!({ "name": "t", "abilities": [] }));
    assert_eq!(none["abilities"], json!([]));
    let none = app.bearer(none["token"].as_str().unwrap());
    assert_snapshot!(none.post("/api/v1/auth/identify", json!({})).shown(), @r#"
    200
    {
      "data": {
        "abilities": [],
        "id": "[uuid]",
        "type": "personal_access_token"
      }
    }
    "#);
    assert_snapshot!(none.get("/api/user").shown(), @r#"
    403
    www-authenticate: Bearer realm="patd", error="insufficient_scope", scope="user:read"
    {
      "code": "missing_ability",
      "message": "Invalid ability provided.",
      "required": [
        "user:read"
      ]
    }
    "#);
}

/// A mistake in the request must not lead to full access.
#[test]
fn a_misspelt_field_does_not_widen_a_token() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let refused = |body: Value| {
        let answer = ada.post(TOKENS, body);
        assert_eq!(answer.status, 422, "{}", answer.shown());
        answer.shown()
    };
    assert_snapshot!(refused(json!({ "name": "t", "abilites": ["calls:read"] })), @r#"
    422
    {
      "code": "validation_failed",
      "errors": {
        "abilites": [
          "The abilites field is unknown. The fields here are: name, description, metadata, abilities, expires_at, expires_in_days, ip_allowlist, requests_per_minute, quota, canary, owner."
        ]
      },
      "message": "The abilites field is unknown. The fields here are: name, description, metadata, abilities, expires_at, expires_in_days, ip_allowlist, requests_per_minute, quota, canary, owner."
    }
    "#);
    assert_snapshot!(refused(json!({ "name": "t", "Abilities": ["calls:read"] })), @r#"
    422
    {
      "code": "validation_failed",
      "errors": {
        "Abilities": [
          "The Abilities field is unknown. The fields here are: name, description, metadata, abilities, expires_at, expires_in_days, ip_allowlist, requests_per_minute, quota, canary, owner."
        ]
      },
      "message": "The Abilities field is unknown. The fields here are: name, description, metadata, abilities, expires_at, expires_in_days, ip_allowlist, requests_per_minute, quota, canary, owner."
    }
    "#);
    assert_snapshot!(refused(json!({ "name": "t", "abilities": "*" })), @r#"
    422
    {
      "code": "validation_failed",
      "errors": {
        "abilities": [
          "The abilities field must be an array."
        ]
      },
      "message": "The abilities field must be an array."
    }
    "#);
    assert_snapshot!(refused(json!({ "name": "t", "abilities": [["calls:read"]] })), @r#"
    422
    {
      "code": "validation_failed",
      "errors": {
        "abilities.0": [
          "The abilities.0 field must be a string."
        ]
      },
      "message": "The abilities.0 field must be a string."
    }
    "#);
    assert_snapshot!(refused(json!({ "name": "t", "abilities": ["calls:read", "calls read", 7, null] })), @r#"
    422
    {
      "code": "validation_failed",
      "errors": {
        "abilities.1": [
          "The abilities.1 field must be * or words of letters, digits, _ . - joined by : (calls:read), of which the last may be *."
        ],
        "abilities.2": [
          "The abilities.2 field must be a string."
        ],
        "abilities.3": [
          "The abilities.3 field must be a string."
        ]
      },
      "message": "The abilities.1 field must be * or words of letters, digits, _ . - joined by : (calls:read), of which the last may be *. (and 2 more errors)"
    }
    "#);
    assert_snapshot!(refused(json!({ "abilities": {}, "x": 1 })), @r#"
    422
    {
      "code": "validation_failed",
      "errors": {
        "abilities": [
          "The abilities field must be an array."
        ],
        "name": [
          "The name field is required."
        ],
        "x": [
          "The x field is unknown. The fields here are: name, description, metadata, abilities, expires_at, expires_in_days, ip_allowlist, requests_per_minute, quota, canary, owner."
        ]
      },
      "message": "The name field is required. (and 2 more errors)"
    }
    "#);

    for twice in [r#"{"name":"t","abilities":[],"abilities":["*"]}"#, r#"{"name":"t","abilities":[{"a":1,"a":2}]}"#] {
        let answer = ada.send_as("POST", TOKENS, "application/json", twice.as_bytes());
        assert_eq!((answer.status, &answer.body["code"]), (400, &json!("malformed_request")), "{}", answer.shown());
    }
    assert_eq!(names(&ada.get(TOKENS).body), Vec::<&str>::new(), "no refused request created a token");
}

#[test]
fn reserved_abilities_are_not_granted_over_the_api() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let refused = ada.post(TOKENS, json!({ "name": "t", "abilities": ["user:read", "tokens:introspect"] }));
    assert_snapshot!(refused.shown(), @r#"
    422
    {
      "code": "validation_failed",
      "errors": {
        "abilities.1": [
          "The abilities.1 field is reserved: only the server's administrator can grant it."
        ]
      },
      "message": "The abilities.1 field is reserved: only the server's administrator can grant it."
    }
    "#);
    for reserved in ["admin", "admin:*", "admin:users"] {
        assert_eq!(ada.post(TOKENS, json!({ "name": "t", "abilities": [reserved] })).status, 422, "{reserved}");
    }
}

#[test]
fn abilities_that_are_not_in_the_catalogue_are_refused() {
    let app = TestApp::with(&[("tokens.abilities", "calls:read,calls:write")]);
    let ada = app.sign_in("ada");
    for known in ["calls:read", "calls:*", "*", "user:read"] {
        ada.create_token(json!({ "name": "t", "abilities": [known] }));
    }
    let refused = ada.post(TOKENS, json!({ "name": "t", "abilities": ["calls:read", "calls:delete"] }));
    assert_snapshot!(refused.shown(), @r#"
    422
    {
      "code": "validation_failed",
      "errors": {
        "abilities.1": [
          "The abilities.1 field is not an ability that this server knows."
        ]
      },
      "message": "The abilities.1 field is not an ability that this server knows."
    }
    "#);
}

#[test]
fn names_are_measured_in_characters_and_returned_as_they_were_sent() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let longest = "🦀".repeat(255);
    for kept in [&*longest, "ימין לשמאל", "tab-free 'quoted' \"text\" <b>&", "ünï\u{301}cödé"] {
        assert_eq!(ada.create_token(json!({ "name": kept }))["name"], kept);
        assert_eq!(names(&ada.get(TOKENS).body)[0], kept);
    }
    let refused = |name: Value| {
        let answer = ada.post(TOKENS, json!({ "name": name }));
        assert_eq!(answer.status, 422, "{}", answer.shown());
        answer.body["errors"]["name"][0].as_str().unwrap().to_owned()
    };
    assert_snapshot!(refused(json!("🦀".repeat(256))), @"The name field must not be greater than 255 characters.");
    assert_snapshot!(refused(json!("nul\0")), @"The name field must not contain control characters.");
    assert_snapshot!(refused(json!("line\nfeed")), @"The name field must not contain control characters.");
    assert_snapshot!(refused(json!(" \u{2003} ")), @"The name field is required.");
    assert_snapshot!(refused(json!(7)), @"The name field must be a string.");
    assert_snapshot!(refused(json!(null)), @"The name field is required.");
}

#[test]
fn a_user_may_have_as_many_live_tokens_as_the_settings_say() {
    let app = TestApp::with(&[("tokens.max_per_user", "2")]);
    let ada = app.sign_in("ada");
    let first = ada.create_token(json!({ "name": "t" }));
    ada.create_token(json!({ "name": "t", "expires_in_days": 1 }));
    assert_snapshot!(ada.post(TOKENS, json!({ "name": "t" })).shown(), @r#"
    422
    {
      "code": "validation_failed",
      "errors": {
        "name": [
          "The owner has 2 live tokens, as many as this server allows. Revoke one first."
        ]
      },
      "message": "The owner has 2 live tokens, as many as this server allows. Revoke one first."
    }
    "#);
    assert_eq!(ada.delete(&path_of(&first)).status, 200);
    ada.create_token(json!({ "name": "t" }));
    app.advance(Duration::from_secs(24 * 60 * 60));
    ada.create_token(json!({ "name": "in place of the expired one" }));
}
