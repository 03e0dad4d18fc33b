//! Messages of errors that say what to send instead.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::harness::{Answer, TestApp, email, password};

const POLICY: &str = r#"
[[policies]]
name = "app"
rules = [{ paths = ["/**"], public = true }]
"#;

fn message_of(answer: &Answer) -> String {
    let text = |key: &str| answer.body[key].as_str().unwrap().to_owned();
    format!("{} {}: {}", answer.status, text("code"), text("message"))
}

#[test]
fn the_error_for_an_empty_optional_name_does_not_call_it_required() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let login = |device: &str| {
        let body = json!({ "email": email("ada"), "password": password("ada"), "device_name": device });
        app.anonymous().post("/api/v1/auth/login", body)
    };
    assert_snapshot!(message_of(&login("")), @"422 validation_failed: The device_name field must not be empty; it can be left out.");
    assert_snapshot!(message_of(&login("a\u{7}")), @"422 validation_failed: The device_name field must not contain control characters.");
    assert_snapshot!(message_of(&ada.patch("/api/v1/user", json!({ "name": " " }))), @"422 validation_failed: The name field must not be empty; it can be left out.");
}

#[test]
fn an_invalid_network_is_one_mistake() {
    let ada = TestApp::spawn();
    let ada = ada.sign_in("ada");
    let answer = ada.post("/api/v1/user/api-tokens", json!({ "name": "t", "ip_allowlist": ["bad"] }));
    let fields: Vec<&String> = answer.body["errors"].as_object().unwrap().keys().collect();
    assert_eq!(fields, ["ip_allowlist.0"]);
}

#[test]
fn a_wrongly_configured_proxy_is_told_what_to_send() {
    let app = TestApp::with_file(POLICY, &[("server.trusted_proxies", "127.0.0.1/32")]);
    let anybody = app.anonymous();
    assert_snapshot!(message_of(&anybody.get("/api/authz/auth-request/app")), @"403 incomplete_request: The proxy must send the method and the path of the request, once each: for auth-request in X-Original-Method and X-Original-URI, for forward-auth in X-Forwarded-Method and X-Forwarded-Uri, for ext-authz as its own method and as the path behind the name of the policy.");
    let asked = |target: &str| {
        let headers = [("X-Forwarded-Method", "GET"), ("X-Forwarded-Uri", target)];
        anybody.send_with("GET", "/api/authz/forward-auth/app", &headers, &[])
    };
    assert_snapshot!(message_of(&asked("calls/1")), @"403 malformed_path: The path must begin with a slash.");
    assert_snapshot!(message_of(&asked("/calls#")), @"403 malformed_path: The path is not valid: it has a # that is not encoded as %23.");
    assert_snapshot!(message_of(&asked("/calls//1")), @"403 ambiguous_path: This path can be read in two ways: it has an empty segment (//).");
    assert_snapshot!(message_of(&asked("/calls%2f1")), @"403 ambiguous_path: This path can be read in two ways: it has an encoded slash.");
    assert_eq!(asked("/calls/1").body, Value::Null, "a correct check is allowed");
}

#[test]
fn a_credential_that_cannot_rotate_itself_is_told_what_can() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let rotate = "/api/v1/user/api-tokens/self/rotate";
    let environment = ada.get("/api/user").body["current_environment_id"].as_str().unwrap().to_owned();
    let made = ada.post(&format!("/api/v1/environments/{environment}/tokens"), json!({ "name": "t" }));
    let of_environment = app.bearer(made.body["data"]["token"].as_str().unwrap());
    assert_snapshot!(message_of(&ada.post(rotate, json!({}))), @"403 token_required: Only a personal access token can rotate itself. With a session, use POST /api/v1/user/api-tokens/{id}/rotate.");
    assert_snapshot!(message_of(&of_environment.post(rotate, json!({}))), @"403 session_required: An environment token cannot rotate itself. A session with the role admin can replace it: POST /api/v1/environments/{id}/tokens/{token_id}/regenerate.");
    let challenge = of_environment.post(rotate, json!({}));
    let challenge = challenge.header("www-authenticate");
    assert_eq!(challenge, Some(r#"Bearer realm="patd", error="insufficient_scope""#));
}
