//! Personal access tokens: every answer, and what must not pass.

use std::time::Duration;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::harness::TestApp;

const TOKENS: &str = "/api/v1/user/api-tokens";

fn path_of(token: &Value) -> String {
    format!("{TOKENS}/{}", token["id"].as_str().unwrap())
}

fn names(list: &Value) -> Vec<&str> {
    list["data"].as_array().unwrap().iter().map(|token| token["name"].as_str().unwrap()).collect()
}

#[test]
fn a_token_is_created_listed_read_renamed_and_revoked() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");

    let created = ada.post(TOKENS, json!({ "name": " CI Pipeline ", "abilities": ["calls:read", "user:read"] }));
    assert_snapshot!(created.shown(), @r#"
    201
    location: /api/v1/user/api-tokens/[uuid]
    {
      "data": {
        "abilities": [
          "calls:read",
          "user:read"
        ],
        "created_at": "2024-01-15T19:00:00Z",
        "expires_at": null,
        "hint": "[hint]",
        "id": "[uuid]",
        "name": "CI Pipeline",
        "token": "1|pat_[secret]"
      }
    }
    "#);
    let path = path_of(&created.body["data"]);

    assert_snapshot!(ada.get(TOKENS).shown(), @r#"
    200
    {
      "data": [
        {
          "abilities": [
            "calls:read",
            "user:read"
          ],
          "created_at": "2024-01-15T19:00:00Z",
          "disabled_at": null,
          "expires_at": null,
          "hint": "[hint]",
          "id": "[uuid]",
          "last_used_at": null,
          "name": "CI Pipeline",
          "rotated_from": null,
          "rotated_to": null
        }
      ],
      "next_cursor": null
    }
    "#);
    assert_snapshot!(ada.get(&path).shown(), @r#"
    200
    {
      "data": {
        "abilities": [
          "calls:read",
          "user:read"
        ],
        "created_at": "2024-01-15T19:00:00Z",
        "disabled_at": null,
        "expires_at": null,
        "hint": "[hint]",
        "id": "[uuid]",
        "last_used_at": null,
        "last_uses": [],
        "name": "CI Pipeline",
        "rotated_from": null,
        "rotated_to": null
      }
    }
    "#);
    assert_snapshot!(ada.patch(&path, json!({ "name": "Nightly" })).shown(), @r#"
    200
    {
      "data": {
        "abilities": [
          "calls:read",
          "user:read"
        ],
        "created_at": "2024-01-15T19:00:00Z",
        "disabled_at": null,
        "expires_at": null,
        "hint": "[hint]",
        "id": "[uuid]",
        "last_used_at": null,
        "name": "Nightly",
        "rotated_from": null,
        "rotated_to": null
      }
    }
    "#);
    assert_snapshot!(ada.delete(&path).shown(), @r#"
    200
    {
      "message": "Token revoked"
    }
    "#);
    assert_snapshot!(ada.delete(&path).shown(), @r#"
    404
    {
      "code": "not_found",
      "message": "Not found."
    }
    "#);
    assert_eq!(ada.get(&path).body["data"]["revoked_reason"], "revoked_by_owner");
    assert_eq!(ada.patch(&path, json!({ "name": "x" })).status, 404);
    assert_snapshot!(ada.get(TOKENS).shown(), @r#"
    200
    {
      "data": [],
      "next_cursor": null
    }
    "#);
}

#[test]
fn a_foreign_an_unknown_and_a_revoked_token_are_the_same_404() {
    let app = TestApp::spawn();
    let (ada, bob) = (app.sign_in("ada"), app.sign_in("bob"));
    let revoked = path_of(&ada.create_token(json!({ "name": "revoked" })));
    assert_eq!(ada.delete(&revoked).status, 200);
    let foreign = path_of(&bob.create_token(json!({ "name": "bob's" })));
    let unknown = format!("{TOKENS}/{}", uuid::Uuid::now_v7());

    let paths = [&revoked, &foreign, &unknown, &format!("{TOKENS}/1"), &format!("{TOKENS}/%ff")];
    for path in paths {
        let mut answers = vec![ada.delete(path), ada.patch(path, json!({ "name": "mine" }))];
        // A revoked one can still be read.
        answers.extend((*path != revoked).then(|| ada.get(path)));
        for answer in answers {
            assert_eq!(
                (answer.status, &*answer.text),
                (404, r#"{"message":"Not found.","code":"not_found"}"#),
                "{path}"
            );
        }
    }
    assert_eq!(bob.get(&foreign).status, 200, "nothing happened to it");
}

#[test]
fn absent_abilities_are_full_access_and_an_empty_list_is_none() {
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

#[test]
fn a_token_reads_its_owner_where_its_abilities_allow_it() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let status = |abilities: &[&str]| {
        let token = ada.create_token(json!({ "name": "t", "abilities": abilities }));
        app.bearer(token["token"].as_str().unwrap()).get("/api/user").status
    };
    for allowed in [&["user:read"][..], &["user:*"], &["*"], &["calls:read", "user:read"]] {
        assert_eq!(status(allowed), 200, "{allowed:?}");
    }
    for refused in [&[][..], &["user"], &["user:write"], &["user:read:own"], &["calls:*"]] {
        assert_eq!(status(refused), 403, "{refused:?}");
    }
}

#[test]
fn a_token_works_with_and_without_its_number_in_any_case_of_the_scheme() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let token = ada.create_token(json!({ "name": "t" }));
    let token = token["token"].as_str().unwrap();
    let secret = token.split_once('|').unwrap().1;
    for value in [format!("Bearer {token}"), format!("bearer {secret}"), format!("BEARER  {token}")] {
        let answer = app.anonymous().send_with("GET", "/api/user", &[("Authorization", &value)], &[]);
        assert_eq!(answer.status, 200, "{value}");
    }
    let upper = app.bearer(&secret.to_uppercase()).get("/api/user");
    assert_eq!(upper.status, 401, "the token itself is matched byte for byte");
}

/// A mistake in a form must not become full access.
#[test]
fn typos_do_not_widen() {
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
          "The abilites field is unknown. The fields here are: name, abilities, expires_at, expires_in_days, ip_allowlist, requests_per_minute, quota."
        ]
      },
      "message": "The abilites field is unknown. The fields here are: name, abilities, expires_at, expires_in_days, ip_allowlist, requests_per_minute, quota."
    }
    "#);
    assert_snapshot!(refused(json!({ "name": "t", "Abilities": ["calls:read"] })), @r#"
    422
    {
      "code": "validation_failed",
      "errors": {
        "Abilities": [
          "The Abilities field is unknown. The fields here are: name, abilities, expires_at, expires_in_days, ip_allowlist, requests_per_minute, quota."
        ]
      },
      "message": "The Abilities field is unknown. The fields here are: name, abilities, expires_at, expires_in_days, ip_allowlist, requests_per_minute, quota."
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
          "The x field is unknown. The fields here are: name, abilities, expires_at, expires_in_days, ip_allowlist, requests_per_minute, quota."
        ]
      },
      "message": "The name field is required. (and 2 more errors)"
    }
    "#);

    for twice in [r#"{"name":"t","abilities":[],"abilities":["*"]}"#, r#"{"name":"t","abilities":[{"a":1,"a":2}]}"#] {
        let answer = ada.send_as("POST", TOKENS, "application/json", twice.as_bytes());
        assert_eq!((answer.status, &answer.body["code"]), (400, &json!("malformed_request")), "{}", answer.shown());
    }
    assert_eq!(names(&ada.get(TOKENS).body), Vec::<&str>::new(), "no refused request made a token");
}

#[test]
fn server_wide_powers_are_not_granted_over_the_api() {
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
fn a_catalogue_refuses_what_it_does_not_name() {
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
fn names_are_counted_in_characters_and_come_back_as_they_were_sent() {
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
fn a_user_has_as_many_live_tokens_as_the_settings_say() {
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
          "You have 2 live tokens, as many as this server allows. Revoke one first."
        ]
      },
      "message": "You have 2 live tokens, as many as this server allows. Revoke one first."
    }
    "#);
    assert_eq!(ada.delete(&path_of(&first)).status, 200);
    ada.create_token(json!({ "name": "t" }));
    app.advance(Duration::from_secs(24 * 60 * 60));
    ada.create_token(json!({ "name": "in place of the expired one" }));
}
