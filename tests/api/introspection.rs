//! Checks by other software: introspection, revocation by possession, and verification.

use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine};
use insta::assert_snapshot;
use patd::{
    domain::ability::{Abilities, Ability},
    ops::tokens,
};
use serde_json::json;

use crate::{
    harness::{Answer, Client, TestApp, block_on, token_request},
    outage::{Fault, Faulty},
};

const FORM: &str = "application/x-www-form-urlencoded";

/// A token with `tokens:introspect`, created as the command line does.
pub fn introspector(app: &TestApp) -> Client<'_> {
    let owner = app.user("service");
    let abilities = Abilities::new([Ability::parse("tokens:introspect").unwrap()]).unwrap();
    let request = token_request(owner.id, "introspection", Some(abilities));
    let issued = block_on(tokens::create(
        &app.ops,
        crate::harness::ADMINISTRATOR.into(),
        request,
        patd::domain::audit::RequestSource::COMMAND_LINE,
    ))
    .unwrap();
    app.bearer(issued.plaintext.expose())
}

pub fn introspect(caller: &Client<'_>, token: &str) -> Answer {
    let body = format!("token={}", token.replace('|', "%7C"));
    caller.send_as("POST", "/api/v1/introspect", FORM, body.as_bytes())
}

#[test]
fn an_active_credential_is_described_and_any_other_is_inactive() {
    let app = TestApp::spawn();
    let service = introspector(&app);
    let ada = app.sign_in("ada");
    let created = ada.create_token(json!({ "name": "t", "abilities": ["calls:read", "x:*"], "expires_in_days": 1 }));
    let token = created["token"].as_str().unwrap();
    assert_snapshot!(introspect(&service, token).shown(), @r#"
    200
    {
      "active": true,
      "aud": "patd",
      "client_id": "[uuid]",
      "exp": 1705431600,
      "iat": 1705345200,
      "iss": "patd",
      "jti": "[uuid]",
      "scope": "calls:read x:*",
      "sub": "[uuid]",
      "token_type": "Bearer",
      "username": "ada@example.com"
    }
    "#);
    assert_snapshot!(introspect(&service, ada.token.as_ref().unwrap()).shown(), @r#"
    200
    {
      "active": true,
      "aud": "patd",
      "client_id": "[uuid]",
      "exp": 1707937200,
      "iat": 1705345200,
      "iss": "patd",
      "jti": "[uuid]",
      "scope": "*",
      "sub": "[uuid]",
      "token_type": "Bearer",
      "username": "ada@example.com"
    }
    "#);

    let forever = ada.create_token(json!({ "name": "t" }));
    let answer = introspect(&service, forever["token"].as_str().unwrap());
    assert_eq!((&answer.body["active"], answer.body.get("exp")), (&json!(true), None));

    ada.delete(&format!("/api/v1/user/api-tokens/{}", forever["id"].as_str().unwrap()));
    app.advance(Duration::from_secs(24 * 60 * 60));
    let unknown = token.replace("pat_", "pat_x");
    for inactive in [token, forever["token"].as_str().unwrap(), "rubbish", &unknown] {
        assert_eq!(introspect(&service, inactive).text, r#"{"active":false}"#);
    }
}

#[test]
fn a_hint_changes_nothing_and_a_missing_or_repeated_token_is_400() {
    let app = TestApp::spawn();
    let service = introspector(&app);
    let ada = app.sign_in("ada");
    let session = ada.token.as_ref().unwrap();
    let plain = introspect(&service, session).text;
    for hint in ["access_token", "refresh_token", "nonsense"] {
        let body = format!("token_type_hint={hint}&token={session}&extra=1");
        assert_eq!(service.send_as("POST", "/api/v1/introspect", FORM, body.as_bytes()).text, plain, "{hint}");
    }
    for bad in ["", "token=", "token=a&token=b", "x=y"] {
        let answer = service.send_as("POST", "/api/v1/introspect", FORM, bad.as_bytes());
        assert_eq!((answer.status, &answer.body["error"]), (400, &json!("invalid_request")), "{bad}");
    }
    assert_eq!(service.post("/api/v1/introspect", json!({ "token": session })).status, 415);
}

#[test]
fn the_caller_needs_the_ability_and_may_use_bearer_or_basic() {
    let app = TestApp::spawn();
    let service = introspector(&app);
    let secret = service.token.as_ref().unwrap();
    let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("any:{secret}")));
    let headers = [("Authorization", &*basic), ("Content-Type", FORM)];
    let body = format!("token={}", secret.replace('|', "%7C"));
    let answer = app.anonymous().send_with("POST", "/api/v1/introspect", &headers, body.as_bytes());
    assert_eq!((answer.status, &answer.body["active"]), (200, &json!(true)));

    let ada = app.sign_in("ada");
    let star = ada.create_token(json!({ "name": "t", "abilities": ["*", "tokens:*"] }));
    let star = app.bearer(star["token"].as_str().unwrap());
    for path in ["/api/v1/introspect", "/api/v1/tokens/verify", "/api/v1/tokens/verify-batch"] {
        for powerless in [&ada, &star] {
            let answer = powerless.send_as("POST", path, FORM, body.as_bytes());
            assert_eq!((answer.status, &answer.body["code"]), (403, &json!("missing_ability")), "{path}");
        }
        assert_eq!(app.anonymous().send_as("POST", path, FORM, body.as_bytes()).status, 401);
    }
}

#[test]
fn the_holder_of_a_credential_can_revoke_it_and_learns_nothing_about_others() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let other = app.sign_in_again("ada");
    let created = ada.create_token(json!({ "name": "t" }));
    let token = created["token"].as_str().unwrap();
    let revoke = |token: &str| {
        let body = format!("token={}&token_type_hint=refresh_token", token.replace('|', "%7C"));
        app.anonymous().send_as("POST", "/api/v1/revoke", FORM, body.as_bytes())
    };
    let unknown = revoke("rubbish");
    assert_snapshot!(unknown.shown(), @r#"
    200
    {
      "message": "Token revoked"
    }
    "#);
    let (_, secret) = token.split_once('|').unwrap();
    assert_eq!(revoke(&format!("77|{secret}")).text, unknown.text);
    assert_eq!(app.bearer(token).get("/api/user").status, 200, "a wrong number revokes nothing");
    for credential in [token, token, other.token.as_ref().unwrap(), other.token.as_ref().unwrap()] {
        let answer = revoke(credential);
        assert_eq!((answer.status, &answer.text), (200, &unknown.text));
        assert_eq!(app.bearer(credential).get("/api/user").status, 401);
    }
    assert_eq!(ada.get("/api/user").status, 200);
}

#[test]
fn verification_says_what_is_wrong_with_a_token() {
    let app = TestApp::spawn();
    let service = introspector(&app);
    let ada = app.sign_in("ada");
    let good = ada.create_token(json!({ "name": "CI", "abilities": ["calls:*"] }));
    let good = good["token"].as_str().unwrap();
    let verify = |body: serde_json::Value| service.post("/api/v1/tokens/verify", body);
    assert_snapshot!(verify(json!({ "token": good, "abilities": ["calls:read"], "ip": "192.0.2.1" })).shown(), @r#"
    200
    {
      "data": {
        "code": "valid",
        "owner": {
          "email": "ada@example.com",
          "id": "[uuid]",
          "name": "ada",
          "type": "user"
        },
        "token": {
          "abilities": [
            "calls:*"
          ],
          "created_at": "2024-01-15T19:00:00Z",
          "expires_at": null,
          "id": "[uuid]",
          "name": "CI",
          "type": "personal_access_token"
        },
        "valid": true
      }
    }
    "#);
    assert_snapshot!(verify(json!({ "token": good, "abilities": ["calls:read", "user:read"] })).shown(), @r#"
    200
    {
      "data": {
        "code": "missing_ability",
        "missing": [
          "user:read"
        ],
        "required": [
          "calls:read",
          "user:read"
        ],
        "valid": false
      }
    }
    "#);
    assert_snapshot!(verify(json!({ "token": "rubbish" })).shown(), @r#"
    200
    {
      "data": {
        "code": "malformed",
        "valid": false
      }
    }
    "#);
    assert_snapshot!(verify(json!({ "abilities": ["calls read"], "ip": "here", "tokn": 1 })).shown(), @r#"
    422
    {
      "code": "validation_failed",
      "errors": {
        "abilities.0": [
          "The abilities.0 field must be * or words of letters, digits, _ . - joined by : (calls:read), of which the last may be *."
        ],
        "ip": [
          "The ip field must be an IP address."
        ],
        "token": [
          "The token field is required."
        ],
        "tokn": [
          "The tokn field is unknown. The fields here are: token, abilities, ip."
        ]
      },
      "message": "The token field is required. (and 3 more errors)"
    }
    "#);

    let code = |token: &str| verify(json!({ "token": token })).body["data"]["code"].as_str().unwrap().to_owned();
    let random = "A".repeat(40);
    assert_eq!(code(&format!("pat_{random}{:08x}", crc32fast::hash(random.as_bytes()))), "unknown");
    assert_eq!(code(&good.replacen("1|", "9|", 1).replacen("2|", "9|", 1)), "unknown");
    assert_eq!(code(ada.token.as_ref().unwrap()), "valid");
    let revoked = ada.create_token(json!({ "name": "t" }));
    ada.delete(&format!("/api/v1/user/api-tokens/{}", revoked["id"].as_str().unwrap()));
    assert_eq!(code(revoked["token"].as_str().unwrap()), "revoked");
    let short = ada.create_token(json!({ "name": "t", "expires_in_days": 1 }));
    app.advance(Duration::from_secs(24 * 60 * 60));
    assert_eq!(code(short["token"].as_str().unwrap()), "expired");
    let user = block_on(patd::ops::accounts::find(&app.ops, crate::harness::ADMINISTRATOR, "ada@example.com")).unwrap();
    block_on(patd::ops::accounts::disable(
        &app.ops,
        crate::harness::ADMINISTRATOR,
        user.id,
        patd::store::LastAdmin::MayGo,
        patd::domain::audit::RequestSource::COMMAND_LINE,
    ))
    .unwrap();
    assert_eq!(code(good), "owner_disabled");
}

#[test]
fn a_batch_of_a_hundred_is_answered_in_order_and_a_larger_one_refused() {
    let app = TestApp::spawn();
    let service = introspector(&app);
    let ada = app.sign_in("ada");
    let good = ada.create_token(json!({ "name": "CI", "abilities": ["calls:read"] }));
    let good = good["token"].as_str().unwrap();
    let batch = |tokens: serde_json::Value| service.post("/api/v1/tokens/verify-batch", json!({ "tokens": tokens }));
    let answer = batch(json!([
        { "token": good, "abilities": ["calls:read"] },
        { "token": good, "abilities": ["calls:write"] },
        { "token": "rubbish" },
    ]));
    let codes: Vec<&str> =
        answer.body["data"].as_array().unwrap().iter().map(|verdict| verdict["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["valid", "missing_ability", "malformed"]);
    assert_eq!(batch(json!([])).text, r#"{"data":[]}"#);
    assert_eq!(batch(json!(vec![json!({ "token": good }); 100])).status, 200);
    assert_snapshot!(batch(json!(vec![json!({ "token": good }); 101])).shown(), @r#"
    422
    {
      "code": "validation_failed",
      "errors": {
        "tokens": [
          "The tokens field must not have more than 100 items."
        ]
      },
      "message": "The tokens field must not have more than 100 items."
    }
    "#);
    assert_snapshot!(batch(json!([{ "token": 7 }, 8, { "token": "x", "abilites": [] }])).shown(), @r#"
    422
    {
      "code": "validation_failed",
      "errors": {
        "tokens.0.token": [
          "The tokens.0.token field must be a string."
        ],
        "tokens.1": [
          "The tokens.1 field must be an object."
        ],
        "tokens.2.abilites": [
          "The tokens.2.abilites field is unknown. The fields here are: token, abilities, ip."
        ]
      },
      "message": "The tokens.0.token field must be a string. (and 2 more errors)"
    }
    "#);
}

#[test]
fn an_outage_is_not_answered_as_an_inactive_token() {
    let app = TestApp::spawn();
    let service = introspector(&app);
    let secret = service.token.clone().unwrap();
    let broken = TestApp::with_store(&[], |backend| Faulty::reads(backend, Fault::Fails));
    let caller = broken.bearer(&secret);
    assert_eq!(introspect(&caller, &secret).status, 503);
    assert_eq!(caller.post("/api/v1/tokens/verify", json!({ "token": secret })).status, 503);
    let body = format!("token={}", secret.replace('|', "%7C"));
    assert_eq!(caller.send_as("POST", "/api/v1/revoke", FORM, body.as_bytes()).status, 503);
}

#[test]
fn a_cached_token_is_still_checked_for_each_ability() {
    let app = TestApp::spawn();
    let service = introspector(&app);
    let ada = app.sign_in("ada");
    let created = ada.create_token(json!({ "name": "t", "abilities": ["calls:read"] }));
    let token = created["token"].as_str().unwrap();
    let code = |ability: &str| {
        let answer = service.post("/api/v1/tokens/verify", json!({ "token": token, "abilities": [ability] }));
        answer.body["data"]["code"].as_str().unwrap().to_owned()
    };
    for _ in 0..3 {
        assert_eq!((code("calls:read"), code("calls:write")), ("valid".into(), "missing_ability".into()));
        let batch = json!({ "tokens": [{ "token": token }, { "token": token, "abilities": ["user:read"] }] });
        let answer = service.post("/api/v1/tokens/verify-batch", batch);
        assert_eq!(answer.body["data"][0]["code"], "valid");
        assert_eq!(answer.body["data"][1]["code"], "missing_ability");
        assert_eq!(introspect(&service, token).body["scope"], "calls:read");
        assert_eq!(app.bearer(token).post("/api/v1/auth/identify", json!({})).status, 200);
        assert_eq!(app.bearer(token).get("/api/user").status, 403);
        assert_eq!(introspect(&app.bearer(token), token).status, 403);
    }
}
