//! Personal access tokens: every answer to a valid request, and foreign tokens.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::harness::TestApp;

pub const TOKENS: &str = "/api/v1/user/api-tokens";

pub fn path_of(token: &Value) -> String {
    format!("{TOKENS}/{}", token["id"].as_str().unwrap())
}

pub fn names(list: &Value) -> Vec<&str> {
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
        "abilities_unused": [
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
fn a_foreign_an_unknown_and_a_revoked_token_get_the_same_404() {
    let app = TestApp::spawn();
    let (ada, bob) = (app.sign_in("ada"), app.sign_in("bob"));
    let revoked = path_of(&ada.create_token(json!({ "name": "revoked" })));
    assert_eq!(ada.delete(&revoked).status, 200);
    let foreign = path_of(&bob.create_token(json!({ "name": "bob's" })));
    let unknown = format!("{TOKENS}/{}", uuid::Uuid::now_v7());

    let paths = [&revoked, &foreign, &unknown, &format!("{TOKENS}/1"), &format!("{TOKENS}/%ff")];
    for path in paths {
        let mut answers = vec![ada.delete(path), ada.patch(path, json!({ "name": "mine" }))];
        // A revoked token can still be read.
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
fn a_token_reads_its_owner_if_its_abilities_allow_it() {
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
