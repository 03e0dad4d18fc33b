//! Environment tokens: they are created like personal access tokens and belong to no user.

use std::time::Duration;

use insta::assert_snapshot;
use patd::{
    config::{Config, Sources},
    domain::audit::RequestSource,
    ops::{
        self, Context, accounts,
        verification::{self, Caller, Rejection},
    },
};
use serde_json::{Value, json};

use crate::{
    environments::{environment, id_of, share, trail},
    harness::{Client, TestApp, block_on},
    introspection::{introspect, introspector},
    tokens::names,
};

pub fn create(client: &Client<'_>, path: &str, body: Value) -> Value {
    let answer = client.post(&format!("{path}/tokens"), body);
    assert_eq!(answer.status, 201, "{}", answer.shown());
    answer.body["data"].clone()
}

pub fn secret(token: &Value) -> &str {
    token["token"].as_str().unwrap()
}

fn is_valid(app: &TestApp, token: &Value) -> bool {
    match app.bearer(secret(token)).post("/api/v1/auth/identify", json!({})).status {
        200 => true,
        401 => false,
        other => panic!("{other}"),
    }
}

#[test]
fn a_token_is_created_listed_regenerated_and_revoked() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let path = environment(&ada, "e");
    let tokens = format!("{path}/tokens");
    let body = json!({ "name": " CI ", "abilities": ["calls:read"], "expires_in_days": 30 });
    let created = ada.post(&tokens, body);
    assert_snapshot!(created.shown(), @r#"
    201
    location: /api/v1/environments/[uuid]/tokens/[uuid]
    {
      "data": {
        "abilities": [
          "calls:read"
        ],
        "created_at": "2024-01-15T19:00:00Z",
        "expires_at": "2024-02-14T19:00:00Z",
        "hint": "[hint]",
        "id": "[uuid]",
        "name": "CI",
        "token": "talq_[secret]"
      }
    }
    "#);
    let old = created.body["data"].clone();
    let one = format!("{tokens}/{}", id_of(&old));
    assert_eq!(created.header("location"), Some(&*one));
    assert_snapshot!(ada.get(&tokens).shown(), @r#"
    200
    {
      "data": [
        {
          "abilities": [
            "calls:read"
          ],
          "created_at": "2024-01-15T19:00:00Z",
          "disabled_at": null,
          "expires_at": "2024-02-14T19:00:00Z",
          "hint": "[hint]",
          "id": "[uuid]",
          "last_used_at": null,
          "name": "CI",
          "rotated_from": null,
          "rotated_to": null
        }
      ],
      "next_cursor": null
    }
    "#);
    let mut shown = ada.get(&one).body["data"].clone();
    assert_eq!(shown.as_object_mut().unwrap().remove("last_uses"), Some(json!([])));
    assert_eq!(shown.as_object_mut().unwrap().remove("abilities_unused"), Some(shown["abilities"].clone()));
    assert_eq!(shown, ada.get(&tokens).body["data"][0]);

    app.advance(Duration::from_secs(60));
    let regenerated = ada.post(&format!("{one}/regenerate"), json!({}));
    assert_snapshot!(regenerated.shown(), @r#"
    201
    location: /api/v1/environments/[uuid]/tokens/[uuid]
    {
      "data": {
        "abilities": [
          "calls:read"
        ],
        "created_at": "2024-01-15T19:01:00Z",
        "expires_at": "2024-02-14T19:00:00Z",
        "hint": "[hint]",
        "id": "[uuid]",
        "name": "CI",
        "token": "talq_[secret]"
      }
    }
    "#);
    let new = regenerated.body["data"].clone();
    assert_ne!((&new["id"], &new["token"]), (&old["id"], &old["token"]));
    assert!(!is_valid(&app, &old) && is_valid(&app, &new));
    assert_eq!(ada.post(&format!("{one}/regenerate"), json!({})).status, 404, "the old one was replaced");

    let one = format!("{tokens}/{}", id_of(&new));
    assert_snapshot!(ada.delete(&one).shown(), @r#"
    200
    {
      "message": "Token revoked"
    }
    "#);
    assert!(!is_valid(&app, &new));
    assert_eq!(ada.delete(&one).status, 404);
    assert_eq!(names(&ada.get(&tokens).body), Vec::<&str>::new());
    assert_eq!(names(&ada.get(&format!("{tokens}?state=revoked")).body), ["CI", "CI"]);
    assert_snapshot!(trail(&ada).join("\n"), @"
    environment.created on environment: -, from an address
    token.created on environment_token: -, from an address
    token.rotated on environment_token: to [uuid], from an address
    token.revoked on environment_token: revoked_by_owner, from an address
    ");
}

#[test]
fn an_environment_token_is_not_a_personal_access_token_nor_the_reverse() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let (path, other) = (environment(&ada, "e"), environment(&ada, "other"));
    let of_environment = create(&ada, &path, json!({ "name": "t" }));
    let personal = ada.create_token(json!({ "name": "p" }));
    assert_eq!(names(&ada.get("/api/v1/user/api-tokens").body), ["p"]);
    assert_eq!(names(&ada.get(&format!("{path}/tokens")).body), ["t"]);
    for (list, token) in [
        ("/api/v1/user/api-tokens".to_owned(), &of_environment),
        (format!("{path}/tokens"), &personal),
        (format!("{other}/tokens"), &of_environment),
    ] {
        let one = format!("{list}/{}", id_of(token));
        assert_eq!((ada.get(&one).status, ada.delete(&one).status), (404, 404), "{list}");
        assert_ne!(ada.post(&format!("{one}/regenerate"), json!({})).status, 201, "{list}");
    }
    assert!(is_valid(&app, &of_environment) && is_valid(&app, &personal));
    // Only personal access tokens have a number, and each kind has its own prefix.
    for bad in [format!("1|{}", secret(&of_environment)), secret(&of_environment).replace("talq_", "pat_")] {
        assert_eq!(app.bearer(&bad).post("/api/v1/auth/identify", json!({})).status, 401);
    }
}

#[test]
fn swapped_prefixes_do_not_turn_a_token_into_one_of_another_kind() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let tokens =
        [create(&ada, &environment(&ada, "e"), json!({ "name": "t" })), ada.create_token(json!({ "name": "p" }))];
    let swapped = [("tokens.environment_prefix", "pat_"), ("tokens.pat_prefix", "talq_")];
    let flags = swapped.map(|(key, value)| (key, value.to_owned())).to_vec();
    let config = Config::load(Sources { file: None, environment: Vec::new(), flags }).unwrap();
    let ops = Context::new(&config, app.backend(), app.ops.clock.clone()).unwrap();
    for token in &tokens {
        let secret = secret(token).rsplit('|').next().unwrap();
        let refused = block_on(verification::authenticate(&ops, secret, Caller::default())).unwrap_err();
        assert_eq!(refused, ops::Error::Rejected(Rejection::Unknown));
        block_on(ops::revocation::revoke_by_possession(&ops, secret, None, RequestSource::COMMAND_LINE)).unwrap();
        assert!(is_valid(&app, token));
    }
}

#[test]
fn the_fields_have_the_same_rules_as_those_of_a_personal_access_token() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let tokens = format!("{}/tokens", environment(&ada, "e"));
    for body in [
        json!({}),
        json!({ "name": "t", "abilites": [] }),
        json!({ "name": "t", "abilities": ["tokens:introspect", "a b"] }),
        json!({ "name": "t", "abilities": ["admin:x"] }),
        json!({ "name": "t", "expires_at": "2020-01-01T00:00:00Z" }),
        json!({ "name": "t", "expires_in_days": 0 }),
    ] {
        let (one, other) = (ada.post(&tokens, body.clone()), ada.post("/api/v1/user/api-tokens", body));
        // Only a personal token has an owner of its own.
        assert_eq!((one.status, one.text), (422, other.text.replace(", owner.", ".")));
    }
    assert_eq!(names(&ada.get(&tokens).body), Vec::<&str>::new());
}

#[test]
fn it_stands_for_its_environment_and_for_no_user() {
    let app = TestApp::spawn();
    let service = introspector(&app);
    let ada = app.sign_in("ada");
    let token = create(&ada, &environment(&ada, "e"), json!({ "name": "CI", "abilities": ["calls:read"] }));
    let software = app.bearer(secret(&token));
    assert_snapshot!(software.post("/api/v1/auth/identify", json!({})).shown(), @r#"
    200
    {
      "data": {
        "abilities": [
          "calls:read"
        ],
        "environment_id": "[uuid]",
        "id": "[uuid]",
        "type": "environment_token"
      }
    }
    "#);
    assert_snapshot!(software.get("/api/user").shown(), @r#"
    403
    www-authenticate: Bearer realm="patd", error="insufficient_scope"
    {
      "code": "session_required",
      "message": "This needs a session: sign in, and send the session token instead."
    }
    "#);
    assert_snapshot!(introspect(&service, secret(&token)).shown(), @r#"
    200
    {
      "active": true,
      "aud": "patd",
      "client_id": "[uuid]",
      "environment_id": "[uuid]",
      "iat": 1705345200,
      "iss": "patd",
      "jti": "[uuid]",
      "scope": "calls:read",
      "sub": "[uuid]",
      "token_type": "Bearer"
    }
    "#);
    assert_snapshot!(service.post("/api/v1/tokens/verify", json!({ "token": secret(&token) })).shown(), @r#"
    200
    {
      "data": {
        "code": "valid",
        "environment_id": "[uuid]",
        "token": {
          "abilities": [
            "calls:read"
          ],
          "created_at": "2024-01-15T19:00:00Z",
          "expires_at": null,
          "id": "[uuid]",
          "name": "CI",
          "type": "environment_token"
        },
        "valid": true
      }
    }
    "#);
    let batch = json!({ "tokens": [{ "token": secret(&token) }, { "token": secret(&token), "abilities": ["x"] }] });
    let answer = service.post("/api/v1/tokens/verify-batch", batch);
    assert_eq!(
        answer.body["data"][0],
        service.post("/api/v1/tokens/verify", json!({ "token": secret(&token) })).body["data"]
    );
    assert_eq!(answer.body["data"][1]["code"], "missing_ability");
}

#[test]
fn a_proxy_gets_the_environment_and_no_user() {
    let policy = r#"
        [[policies]]
        name = "app"
        rules = [
            { paths = ["/calls/**"], abilities = ["calls:read"], credentials = ["environment_token"] },
            { paths = ["/people/**"], abilities = [], credentials = ["session"] },
        ]
    "#;
    let app = TestApp::with_file(policy, &[("server.trusted_proxies", "127.0.0.1/32")]);
    let ada = app.sign_in("ada");
    let path = environment(&ada, "e");
    let token = create(&ada, &path, json!({ "name": "CI", "abilities": ["calls:read"] }));
    let ask = |target: &str| {
        let headers = [("X-Original-Method", "GET"), ("X-Original-URI", target), ("Remote-User", "forged")];
        app.bearer(secret(&token)).send_with("GET", "/api/authz/auth-request/app", &headers, &[])
    };
    let yes = ask("/calls/1");
    let header = |name: &str| yes.header(name).unwrap().to_owned();
    assert_eq!(yes.status, 200);
    for empty in ["remote-user", "remote-email", "remote-name", "x-auth-request-user", "x-auth-request-email"] {
        assert_eq!(header(empty), "", "{empty}");
    }
    assert_eq!(header("x-auth-environment-id"), path.rsplit('/').next().unwrap());
    assert_eq!(header("x-auth-token-id"), id_of(&token));
    assert_eq!(
        (header("x-auth-token-kind"), header("x-auth-abilities")),
        ("environment_token".into(), "calls:read".into())
    );
    assert_eq!((ask("/people/1").status, ask("/people/1").header("x-auth-error")), (403, Some("wrong_kind")));
}

#[test]
fn it_ends_by_expiry_by_revocation_with_its_secret_and_with_the_owners_account() {
    let app = TestApp::spawn();
    let service = introspector(&app);
    let (ada, bob) = (app.sign_in("ada"), app.sign_in("bob"));
    let path = environment(&ada, "e");
    share(&ada, &path, &bob, "admin");
    let [short, held, kept] =
        [json!({ "name": "short", "expires_in_days": 1 }), json!({ "name": "held" }), json!({ "name": "kept" })]
            .map(|body| create(&bob, &path, body));
    app.advance(Duration::from_secs(24 * 60 * 60));
    assert!(!is_valid(&app, &short));
    let regenerate = |token: &Value| bob.post(&format!("{path}/tokens/{}/regenerate", id_of(token)), json!({}));
    assert_snapshot!(regenerate(&short).shown(), @r#"
    409
    {
      "code": "token_expired",
      "message": "The token has expired. Create a new one instead."
    }
    "#);

    let body = format!("token={}", secret(&held));
    let form = "application/x-www-form-urlencoded";
    for _ in 0..2 {
        assert_eq!(app.anonymous().send_as("POST", "/api/v1/revoke", form, body.as_bytes()).status, 200);
    }
    assert!(!is_valid(&app, &held) && is_valid(&app, &kept));

    let owner = block_on(accounts::find(&app.ops, crate::harness::ADMINISTRATOR, "ada@example.com")).unwrap();
    block_on(accounts::disable(
        &app.ops,
        crate::harness::ADMINISTRATOR,
        owner.id,
        patd::store::LastAdmin::MayGo,
        RequestSource::COMMAND_LINE,
    ))
    .unwrap();
    assert!(!is_valid(&app, &kept));
    let verdict = service.post("/api/v1/tokens/verify", json!({ "token": secret(&kept) }));
    assert_eq!(verdict.body["data"]["code"], "owner_disabled");
    assert_snapshot!(bob.post(&format!("{path}/tokens"), json!({ "name": "t" })).shown(), @r#"
    409
    {
      "code": "owner_disabled",
      "message": "The account of this environment's owner is disabled."
    }
    "#);
    assert_eq!(regenerate(&kept).status, 409);
    block_on(accounts::enable(&app.ops, crate::harness::ADMINISTRATOR, owner.id, RequestSource::COMMAND_LINE)).unwrap();
    assert!(is_valid(&app, &kept));
}
