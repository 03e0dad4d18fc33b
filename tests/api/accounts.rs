//! Sign-in, sign-out, the account and its password.

use insta::assert_snapshot;
use patd::domain::audit::{Attribution, RequestSource};
use serde_json::json;

use crate::harness::{TestApp, block_on, email, password};

const LOGIN: &str = "/api/v1/auth/login";

#[test]
fn a_user_signs_in_is_identified_and_signs_out() {
    let app = TestApp::spawn();
    app.user("ada");
    let login = json!({ "email": "ADA@example.com", "password": password("ada"), "device_name": "laptop" });
    let answer = app.anonymous().post(LOGIN, login);
    assert_snapshot!(answer.shown(), @r#"
    201
    {
      "data": {
        "expires_at": "2024-02-14T19:00:00Z",
        "id": "[uuid]",
        "token": "ses_[secret]",
        "user": {
          "created_at": "2024-01-15T19:00:00Z",
          "current_environment_id": "[uuid]",
          "email": "ada@example.com",
          "id": "[uuid]",
          "name": "ada"
        }
      }
    }
    "#);
    let ada = app.bearer(answer.body["data"]["token"].as_str().unwrap());

    assert_snapshot!(ada.get("/api/user").shown(), @r#"
    200
    {
      "created_at": "2024-01-15T19:00:00Z",
      "current_environment_id": "[uuid]",
      "email": "ada@example.com",
      "id": "[uuid]",
      "name": "ada"
    }
    "#);
    assert_eq!(ada.get("/api/v1/user").text, ada.get("/api/user").text);
    assert_snapshot!(ada.post("/api/v1/auth/identify", json!({})).shown(), @r#"
    200
    {
      "data": {
        "abilities": [
          "*"
        ],
        "id": "[uuid]",
        "type": "session"
      }
    }
    "#);
    assert_snapshot!(ada.post("/api/v1/auth/logout", json!({})).shown(), @r#"
    200
    {
      "message": "Signed out"
    }
    "#);
    assert_eq!(ada.get("/api/user").status, 401);
}

#[test]
fn unknown_disabled_and_wrong_password_sign_ins_answer_the_same_bytes() {
    let app = TestApp::spawn();
    app.user("ada");
    let oscar = app.user("oscar");
    block_on(patd::ops::accounts::disable(
        &app.ops,
        crate::harness::ADMINISTRATOR,
        oscar.id,
        patd::store::LastAdmin::MayGo,
        RequestSource::COMMAND_LINE,
    ))
    .unwrap();
    let refused = |who: &str, password: String| {
        let answer = app.anonymous().post(LOGIN, json!({ "email": email(who), "password": password }));
        let mut headers: Vec<String> =
            answer.headers.iter().map(|(name, value)| format!("{name}: {value:?}")).collect();
        headers.retain(|header| !header.starts_with("date") && !header.starts_with("x-request-id"));
        (answer.shown(), headers, answer.text)
    };
    let wrong = refused("ada", "not the password".into());
    assert_snapshot!(wrong.0, @r#"
    401
    www-authenticate: Bearer realm="patd"
    {
      "code": "unauthenticated",
      "message": "Unauthenticated."
    }
    "#);
    assert_eq!(refused("nobody", "not the password".into()), wrong);
    assert_eq!(refused("oscar", password("oscar")), wrong);
    assert_eq!(refused("oscar", "not the password".into()), wrong);
}

#[test]
fn a_sign_in_names_the_missing_fields() {
    let app = TestApp::spawn();
    assert_snapshot!(app.anonymous().post(LOGIN, json!({})).shown(), @r#"
    422
    {
      "code": "validation_failed",
      "errors": {
        "email": [
          "The email field is required."
        ],
        "password": [
          "The password field is required."
        ]
      },
      "message": "The email field is required. (and 1 more error)"
    }
    "#);
    let odd = json!({ "email": "ada", "password": 7, "device_name": "a\u{7}", "remember": true });
    assert_snapshot!(app.anonymous().post(LOGIN, odd).shown(), @r#"
    422
    {
      "code": "validation_failed",
      "errors": {
        "device_name": [
          "The device_name field must not contain control characters."
        ],
        "email": [
          "The email field must be a valid email address."
        ],
        "password": [
          "The password field must be a string."
        ],
        "remember": [
          "The remember field is unknown. The fields here are: email, password, device_name."
        ]
      },
      "message": "The email field must be a valid email address. (and 3 more errors)"
    }
    "#);
    let long = json!({ "email": email("ada"), "password": "x".repeat(1025) });
    assert_snapshot!(app.anonymous().post(LOGIN, long).shown(), @r#"
    422
    {
      "code": "validation_failed",
      "errors": {
        "password": [
          "The password field must not be greater than 1024 bytes."
        ]
      },
      "message": "The password field must not be greater than 1024 bytes."
    }
    "#);
}

#[test]
fn registration_is_off_by_default_and_creates_an_account_if_it_is_on() {
    let account = json!({ "name": "Ada", "email": "ada@example.com", "password": password("ada") });
    let closed = TestApp::spawn();
    assert_snapshot!(closed.anonymous().post("/api/v1/auth/register", account.clone()).shown(), @r#"
    404
    {
      "code": "not_found",
      "message": "Registration is switched off on this server. Ask its administrator for an account."
    }
    "#);

    let open = TestApp::with(&[("accounts.registration", "true")]);
    let registered = open.anonymous().post("/api/v1/auth/register", account.clone());
    assert_snapshot!(registered.shown(), @r#"
    201
    location: /api/v1/user
    {
      "data": {
        "created_at": "2024-01-15T19:00:00Z",
        "current_environment_id": "[uuid]",
        "email": "ada@example.com",
        "id": "[uuid]",
        "name": "Ada"
      }
    }
    "#);
    open.sign_in_again("ada");
    let again = json!({ "name": "Ada", "email": " ＡＤＡ@EXAMPLE.com", "password": password("ada") });
    assert_snapshot!(open.anonymous().post("/api/v1/auth/register", again).shown(), @r#"
    422
    {
      "code": "validation_failed",
      "errors": {
        "email": [
          "The email has already been taken."
        ]
      },
      "message": "The email has already been taken."
    }
    "#);
}

#[test]
fn a_new_password_must_be_long_and_not_a_common_one() {
    let app = TestApp::with(&[("accounts.registration", "true"), ("passwords.min_length", "8")]);
    let status = |password: &str| {
        let account = json!({ "name": "Grace Hopper", "email": email("hopper"), "password": password });
        app.anonymous().post("/api/v1/auth/register", account)
    };
    assert_snapshot!(status("short").body["errors"].to_string(), @r#"{"password":["The password field must be at least 8 characters."]}"#);
    assert_snapshot!(status("password1").body["errors"].to_string(), @r#"{"password":["The password field is among the first that anybody would guess. Choose another."]}"#);
    for easy in
        ["12345678", "qwertyuiop", "passwordpassword", "aaaaaaaaaaaaaaaa", "letmein1", "iloveyou", "gracehopper1"]
    {
        assert_eq!(status(easy).status, 422, "{easy}");
    }
    // There are no rules of composition: lower case and spaces are enough.
    assert_eq!(status("violet tram under seven").status, 201);

    let strict = TestApp::with(&[("accounts.registration", "true")]);
    let account = json!({ "name": "n", "email": email("n"), "password": "fourteen chars" });
    assert_eq!(strict.anonymous().post("/api/v1/auth/register", account).status, 422);
}

#[test]
fn a_profile_can_be_changed_with_a_session_only() {
    let app = TestApp::with(&[("accounts.email_change", "true")]);
    let ada = app.sign_in("ada");
    app.user("bob");
    let change = |name: &str, email: &str| json!({ "name": name, "email": email, "current_password": password("ada") });
    assert_snapshot!(ada.patch("/api/v1/user", change("Ada L.", "ada@new.example")).shown(), @r#"
    200
    {
      "created_at": "2024-01-15T19:00:00Z",
      "current_environment_id": "[uuid]",
      "email": "ada@new.example",
      "id": "[uuid]",
      "name": "Ada L."
    }
    "#);
    assert_snapshot!(ada.patch("/api/v1/user", change("Ada L.", "BOB@example.com")).shown(), @r#"
    422
    {
      "code": "validation_failed",
      "errors": {
        "email": [
          "The email has already been taken."
        ]
      },
      "message": "The email has already been taken."
    }
    "#);
    assert_snapshot!(ada.patch("/api/v1/user", json!({ "id": 1, "created_at": null })).shown(), @r#"
    422
    {
      "code": "validation_failed",
      "errors": {
        "created_at": [
          "The created_at field is unknown. The fields here are: name, email, current_password."
        ],
        "id": [
          "The id field is unknown. The fields here are: name, email, current_password."
        ]
      },
      "message": "The created_at field is unknown. The fields here are: name, email, current_password. (and 1 more error)"
    }
    "#);
    let unchanged = ada.patch("/api/v1/user", json!({}));
    assert_eq!((unchanged.status, &unchanged.body["name"]), (200, &json!("Ada L.")));
    let token = ada.create_token(json!({ "name": "t" }));
    let token = app.bearer(token["token"].as_str().unwrap());
    assert_snapshot!(token.patch("/api/v1/user", json!({ "name": "x" })).shown(), @r#"
    403
    www-authenticate: Bearer realm="patd", error="insufficient_scope"
    {
      "code": "session_required",
      "message": "This needs a session: sign in, and send the session token instead."
    }
    "#);
}

#[test]
fn a_changed_password_ends_all_other_sessions_and_no_token() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let other = app.sign_in_again("ada");
    let token = ada.create_token(json!({ "name": "t" }));
    let token = app.bearer(token["token"].as_str().unwrap());
    let new = "an even longer password, quite new";

    let change = |current: &str, new: &str| {
        ada.put("/api/v1/user/password", json!({ "current_password": current, "password": new }))
    };
    assert_snapshot!(change("not the password", new).shown(), @r#"
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
    assert_snapshot!(change(&password("ada"), "short").shown(), @r#"
    422
    {
      "code": "validation_failed",
      "errors": {
        "password": [
          "The password field must be at least 15 characters."
        ]
      },
      "message": "The password field must be at least 15 characters."
    }
    "#);
    assert_eq!(other.get("/api/user").status, 200, "a refused change ends no session");
    assert_snapshot!(change(&password("ada"), new).shown(), @r#"
    200
    {
      "message": "Password changed"
    }
    "#);

    assert_eq!(ada.get("/api/user").status, 200, "this session stays valid");
    assert_eq!(other.get("/api/user").status, 401);
    assert_eq!(token.get("/api/user").status, 200);
    let login = |password: &str| app.anonymous().post(LOGIN, json!({ "email": email("ada"), "password": password }));
    assert_eq!(login(&password("ada")).status, 401);
    assert_eq!(login(new).status, 201);
}

#[test]
fn a_disabled_user_is_refused_at_once_and_the_tokens_work_again_when_enabled() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let token = ada.create_token(json!({ "name": "t" }));
    let token = app.bearer(token["token"].as_str().unwrap());
    let user = block_on(patd::ops::accounts::find(&app.ops, crate::harness::ADMINISTRATOR, "ada@example.com")).unwrap();

    block_on(patd::ops::accounts::disable(
        &app.ops,
        crate::harness::ADMINISTRATOR,
        user.id,
        patd::store::LastAdmin::MayGo,
        RequestSource::COMMAND_LINE,
    ))
    .unwrap();
    assert_eq!((ada.get("/api/user").status, token.get("/api/user").status), (401, 401));
    block_on(patd::ops::accounts::enable(
        &app.ops,
        crate::harness::ADMINISTRATOR,
        user.id,
        RequestSource::COMMAND_LINE,
    ))
    .unwrap();
    assert_eq!(ada.get("/api/user").status, 401, "the sessions were ended");
    assert_eq!(token.get("/api/user").status, 200);
}

#[test]
fn a_hash_with_other_parameters_is_renewed_at_the_next_sign_in() {
    let app = TestApp::spawn();
    app.user("ada");
    let stored = || {
        let email = patd::domain::account::Email::parse(&email("ada")).unwrap();
        block_on(app.ops.store.credentials_by_email(&email)).unwrap().unwrap()
    };
    let user = stored().user.id;
    let old = argon2_hash(&password("ada"), 16);
    let change =
        patd::store::PasswordChange { verified: None, password: patd::domain::account::PasswordHash::new(old.clone()) };
    let by = Attribution { origin: RequestSource::COMMAND_LINE, at: app.ops.clock.now() };
    block_on(app.ops.store.change_password(user, change, by)).unwrap();

    app.sign_in_again("ada");
    let renewed = stored().password;
    let renewed = renewed.unwrap();
    assert!(renewed.expose().starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{}", renewed.expose());
    app.sign_in_again("ada");
    assert_eq!(stored().password, Some(renewed), "and then it stays");
}

fn argon2_hash(password: &str, memory_kib: u32) -> String {
    use argon2::{Algorithm, Argon2, Params, Version, password_hash::PasswordHasher};
    let params = Params::new(memory_kib, 1, 1, None).unwrap();
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon.hash_password(password.as_bytes()).unwrap().to_string()
}
