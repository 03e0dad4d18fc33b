//! Ambiguous requests are refused: null that would widen a token, headers that occur twice, invisible characters, and
//! second spellings of a path.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::{
    harness::{Answer, Client, TestApp},
    introspection::introspector,
};

const TOKENS: &str = "/api/v1/user/api-tokens";

/// The messages of a refusal, by field.
fn refused(answer: &Answer) -> String {
    assert_eq!((answer.status, &answer.body["code"]), (422, &json!("validation_failed")), "{}", answer.shown());
    answer.body["errors"].to_string()
}

fn count(ada: &Client<'_>) -> usize {
    ada.get(TOKENS).body["data"].as_array().unwrap().len()
}

#[test]
fn null_does_not_widen_a_token() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let environment = ada.get("/api/user").body["current_environment_id"].as_str().unwrap().to_owned();
    for list in [TOKENS.to_owned(), format!("/api/v1/environments/{environment}/tokens")] {
        insta::allow_duplicates! {
        let with = |field: &str| refused(&ada.post(&list, json!({ "name": "t", field: null })));
        assert_snapshot!(with("abilities"), @r#"{"abilities":["The abilities field must not be null. List what the token may do, for example [\"calls:read\"]; [] is nothing."]}"#);
        assert_snapshot!(with("ip_allowlist"), @r#"{"ip_allowlist":["The ip_allowlist field must not be null. Leave it out for a token without this limit."]}"#);
        assert_snapshot!(with("requests_per_minute"), @r#"{"requests_per_minute":["The requests_per_minute field must not be null. Leave it out for a token without this limit."]}"#);
        assert_snapshot!(with("quota"), @r#"{"quota":["The quota field must not be null. Leave it out for a token without this limit."]}"#);
        assert_snapshot!(with("expires_in_days"), @r#"{"expires_in_days":["The expires_in_days field must not be null. Send \"expires_at\": null for a token that never ends."]}"#);
        }
        assert_eq!(ada.get(&list).body["data"], json!([]));
    }
    assert_eq!(ada.create_token(json!({ "name": "t", "expires_at": null }))["expires_at"], Value::Null);
}

#[test]
fn two_expiries_are_refused_even_if_one_is_null() {
    let app = TestApp::with(&[("tokens.default_lifetime", "30d")]);
    let ada = app.sign_in("ada");
    for (at, days) in [(json!(null), json!(7)), (json!("2030-01-01T00:00:00Z"), json!(7)), (json!(null), json!(null))] {
        let body = json!({ "name": "t", "expires_at": at, "expires_in_days": days });
        let errors = refused(&ada.post(TOKENS, body));
        assert!(errors.contains("must not be given together with expires_at."), "{errors}");
    }
    let leap = refused(&ada.post(TOKENS, json!({ "name": "t", "expires_at": "2030-06-30T23:59:60Z" })));
    assert_snapshot!(leap, @r#"{"expires_at":["The expires_at field must not name a leap second (:60)"]}"#);
    assert_eq!(count(&ada), 0);
}

#[test]
fn null_is_refused_by_checks_and_by_bulk_revocation() {
    let app = TestApp::spawn();
    let (service, ada) = (introspector(&app), app.sign_in("ada"));
    let token = ada.create_token(json!({ "name": "t", "abilities": [] }));
    let check = json!({ "token": token["token"], "abilities": null });
    let answer = service.post("/api/v1/tokens/verify", check.clone());
    assert_snapshot!(refused(&answer), @r#"{"abilities":["The abilities field must not be null. Leave it out to ask for no ability."]}"#);
    let answer = service.post("/api/v1/tokens/verify-batch", json!({ "tokens": [check] }));
    assert_snapshot!(refused(&answer), @r#"{"tokens.0.abilities":["The tokens.0.abilities field must not be null. Leave it out to ask for no ability."]}"#);

    let revoke = |body: Value| refused(&ada.post(&format!("{TOKENS}/revoke"), body));
    assert_snapshot!(revoke(json!({ "all": true, "ability": null })), @r#"{"ability":["The ability field must not be null. Leave it out."]}"#);
    assert_snapshot!(revoke(json!({ "all": true, "unused_since": null })), @r#"{"unused_since":["The unused_since field must not be null. Leave it out."]}"#);
    assert_eq!(count(&ada), 1);
}

#[test]
fn a_server_can_require_the_field_abilities() {
    let app = TestApp::with(&[("tokens.require_abilities", "true")]);
    let ada = app.sign_in("ada");
    let environment = ada.get("/api/user").body["current_environment_id"].as_str().unwrap().to_owned();
    for list in [TOKENS.to_owned(), format!("/api/v1/environments/{environment}/tokens")] {
        let said = r#"{"abilities":["The abilities field is required on this server. Name each ability, or * for full access."]}"#;
        assert_eq!(refused(&ada.post(&list, json!({ "name": "t" }))), said);
        for abilities in [json!(["*"]), json!([]), json!(["calls:read"])] {
            let answer = ada.post(&list, json!({ "name": "t", "abilities": abilities }));
            assert_eq!((answer.status, &answer.body["data"]["abilities"]), (201, &abilities));
        }
    }
    let created = ada.create_token(json!({ "name": "t", "abilities": ["calls:read"] }));
    let rotated = ada.post(&format!("{TOKENS}/{}/rotate", created["id"].as_str().unwrap()), json!({}));
    assert_eq!(rotated.status, 201, "rotation keeps what it has: {}", rotated.shown());
}

/// Sends a raw request with these header lines and this body.
fn sent(app: &TestApp, path: &str, headers: &[&str], body: &str) -> String {
    let lines: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    let length = body.len();
    app.raw(
        format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n{lines}\r\n{body}"
        )
        .as_bytes(),
    )
}

#[test]
fn headers_that_occur_twice_are_refused() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let bearer = format!("Authorization: Bearer {}", ada.token.as_ref().unwrap());
    let json = "Content-Type: application/json";
    let body = r#"{"name":"t"}"#;
    for (twice, named) in [
        (&["Content-Type: text/plain", json][..], "Content-Type"),
        (&[json, json], "Content-Type"),
        (&[json, "Content-Encoding: identity", "Content-Encoding: gzip"], "Content-Encoding"),
    ] {
        let headers = [&[&*bearer][..], twice].concat();
        let answer = sent(&app, TOKENS, &headers, body);
        let said = format!("There must be one {named} header.");
        assert!(answer.starts_with("HTTP/1.1 400") && answer.contains(&said), "{twice:?}: {answer}");
        // Also if all fields are optional.
        let answer = sent(&app, "/api/v1/auth/identify", &headers, "{}");
        assert!(answer.starts_with("HTTP/1.1 400") && answer.contains(&said), "{twice:?}: {answer}");
    }
    for (kind, status) in [("; charset=UTF-8", "201"), (r#"; charset="utf-8""#, "201"), ("; charset=utf-16", "415")] {
        let answer = sent(&app, TOKENS, &[&bearer, &format!("{json}{kind}")], body);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{kind}: {answer}");
    }
    assert_eq!(count(&ada), 2);
}

#[test]
fn only_spaces_may_separate_a_scheme_from_its_token() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let token = ada.token.as_ref().unwrap();
    let status = |value: String| {
        let answer = app.raw(
            format!("GET /api/user HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: {value}\r\n\r\n")
                .as_bytes(),
        );
        answer.split(' ').nth(1).unwrap_or_default().to_owned()
    };
    assert_eq!(status(format!("Bearer {token}")), "200");
    assert_eq!(status(format!("Bearer   {token}")), "200", "RFC 9110 allows several spaces");
    for value in [
        format!("Bearer\t{token}"),
        format!("Bearer \t{token}"),
        format!("Bearer\t {token}"),
        format!("Bearer {token} x"),
        format!("Bearer {token}\tx"),
        format!("Bearer\u{a0}{token}"),
    ] {
        let expected = if value.contains('\u{a0}') { "401" } else { "400" };
        assert_eq!(status(value.clone()), expected, "{value:?}");
    }
}

#[test]
fn the_error_names_a_byte_order_mark() {
    let app = TestApp::spawn();
    let (service, ada) = (introspector(&app), app.sign_in("ada"));
    let answer = ada.send_as("POST", TOKENS, "application/json", "\u{feff}{\"name\":\"t\"}".as_bytes());
    assert_snapshot!(answer.shown(), @r#"
    400
    {
      "code": "malformed_request",
      "message": "The body begins with a byte-order mark (U+FEFF in UTF-8). Send UTF-8 without one."
    }
    "#);
    for mark in [b"\xff\xfe{\0}\0".as_slice(), b"\xfe\xff\0{\0}"] {
        let answer = ada.send_as("POST", TOKENS, "application/json", mark);
        let said = "The body begins with a byte-order mark (of UTF-16). Send UTF-8 without one.";
        assert_eq!((answer.status, &answer.body["message"]), (400, &json!(said)));
    }
    let form = "application/x-www-form-urlencoded";
    let answer = service.send_as("POST", "/api/v1/introspect", form, "\u{feff}token=x".as_bytes());
    assert_eq!(answer.status, 400);
    assert!(answer.text.contains("byte-order mark"), "{}", answer.text);
}

#[test]
fn invisible_characters_are_refused_in_every_name_and_address() {
    let app = TestApp::with(&[("accounts.registration", "true")]);
    let ada = app.sign_in("ada");
    let token = format!("{TOKENS}/{}", ada.create_token(json!({ "name": "t" }))["id"].as_str().unwrap());
    let environment = ada.post("/api/v1/environments", json!({ "name": "e" })).body["data"]["id"].clone();
    let environment = format!("/api/v1/environments/{}", environment.as_str().unwrap());
    let password = crate::harness::password("ada");
    for hidden in ['\u{202e}', '\u{2066}', '\u{200b}', '\u{200d}', '\u{2060}', '\u{feff}', '\u{ad}', '\u{e0041}'] {
        let name = format!("a{hidden}b");
        let address = format!("a{hidden}b@example.com");
        let says = format!("U+{:04X}", u32::from(hidden));
        let login = json!({ "email": "ada@example.com", "password": password, "device_name": name });
        let register = json!({ "name": "b", "email": address, "password": password });
        for (field, answer) in [
            ("name", ada.post(TOKENS, json!({ "name": name }))),
            ("name", ada.patch(&token, json!({ "name": name }))),
            ("name", ada.post("/api/v1/environments", json!({ "name": name }))),
            ("name", ada.patch(&environment, json!({ "name": name }))),
            ("name", ada.post(&format!("{environment}/tokens"), json!({ "name": name }))),
            ("name", ada.patch("/api/v1/user", json!({ "name": name }))),
            ("email", ada.patch("/api/v1/user", json!({ "email": address, "current_password": password }))),
            ("email", app.anonymous().post("/api/v1/auth/register", register)),
            ("device_name", app.anonymous().post("/api/v1/auth/login", login)),
        ] {
            assert_eq!(answer.status, 422, "{hidden:?}: {}", answer.shown());
            let said = answer.body["errors"][field][0].as_str().unwrap_or_default();
            assert!(said.contains(&says), "{hidden:?} in {field}: {}", answer.shown());
        }
    }
    for name in ["Zoë 🦀", "⚙️ CI", "علی", "हिन्दी"] {
        assert_eq!(ada.create_token(json!({ "name": name }))["name"], name);
    }
}

#[test]
fn a_search_finds_every_case_and_normal_form() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let environment = ada.get("/api/user").body["current_environment_id"].as_str().unwrap().to_owned();
    for list in [TOKENS.to_owned(), format!("/api/v1/environments/{environment}/tokens")] {
        for name in ["Zoë's laptop", "Zoe\u{308}'s phone", "Straße", "ＣＩ", "plain"] {
            assert_eq!(ada.post(&list, json!({ "name": name })).status, 201);
        }
        let found = |search: &str| {
            let encoded: String = search.bytes().map(|byte| format!("%{byte:02X}")).collect();
            let answer = ada.get(&format!("{list}?search={encoded}"));
            let names: Vec<String> = answer.body["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(|token| token["name"].as_str().unwrap().to_owned())
                .collect();
            names.join(", ")
        };
        for zoe in ["ZOË", "zoë", "ZOE\u{308}", "zoe\u{308}"] {
            assert_eq!(found(zoe), "Zoe\u{308}'s phone, Zoë's laptop", "{zoe}");
        }
        assert_eq!(found("STRASSE"), "Straße");
        assert_eq!(found("ci"), "ＣＩ");
        assert_eq!(found("PLAIN"), "plain");
        assert_eq!(found("zoe"), "", "a letter without its accent is another letter");
        assert_eq!(found("_"), "", "there are no wildcards");
    }
}

#[test]
fn a_path_has_one_spelling() {
    let file = "[[policies]]\nname = \"app\"\nrules = [{ paths = [\"/**\"], public = true }]\n";
    let app = TestApp::with_file(file, &[("server.trusted_proxies", "127.0.0.1")]);
    let ada = app.sign_in("ada");
    let id = ada.create_token(json!({ "name": "t" }))["id"].as_str().unwrap().to_owned();
    for path in [
        "/%61pi/user",
        "/api/%75ser",
        "/api/user%2F",
        "/api%2Fuser",
        "/api/v1/user/%61pi-tokens",
        &format!("{TOKENS}/%30{}", &id[1..]),
        "/%6Civez",
        "/%61pi/authz/auth-request/app",
        "//api/user",
        "/api//user",
        "/api/user/",
        "/api/./user",
        "/api/user;x=1",
        "/API/user",
    ] {
        let answer = ada.get(path);
        assert_eq!((answer.status, &answer.body["code"]), (404, &json!("not_found")), "{path}: {}", answer.shown());
    }
    assert_eq!(ada.get(&format!("{TOKENS}/{id}")).status, 200);
    let original = [("X-Original-Method", "GET"), ("X-Original-URI", "/")];
    let ask = |policy: &str| {
        app.anonymous().send_with("GET", &format!("/api/authz/auth-request/{policy}"), &original, &[]).status
    };
    assert_eq!((ask("app"), ask("%61pp"), ask("app/")), (200, 403, 404));
    let behind = |path: &str| app.anonymous().get(&format!("/api/authz/ext-authz/{path}")).status;
    assert_eq!((behind("app/a%20b"), behind("%61pp/a")), (200, 403), "what follows the policy is the application's");
}
