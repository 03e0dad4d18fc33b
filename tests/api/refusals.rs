//! What a refused check tells a proxy about the principal, and what a refusal tells a client about the needed
//! abilities.

use serde_json::json;

use crate::{
    authz::{DIALECTS, Dialect, IDENTITY, token},
    environment_tokens::{create, secret},
    environments::{environment, id_of},
    harness::{Answer, Client, TestApp},
};

const POLICY: &str = r#"
[[policies]]
name = "app"
rules = [
    { methods = ["GET"], paths = ["/calls/**"], abilities = ["calls:read"] },
    { paths = ["/calls/**"], abilities = ["calls:read", "calls:write"] },
    { paths = ["/session"], credentials = ["session"] },
]
"#;

fn app() -> TestApp {
    TestApp::with_file(POLICY, &[("server.trusted_proxies", "127.0.0.1/32")])
}

/// The headers about a user or a token that the answer has.
fn identity_of(answer: &Answer) -> Vec<(&str, &str)> {
    let names = IDENTITY.iter().chain(&["x-auth-required"]);
    names.filter_map(|name| answer.header(name).map(|value| (*name, value))).collect()
}

#[test]
fn a_token_without_the_abilities_is_named_with_those_that_it_needs() {
    let app = app();
    let ada = app.sign_in("ada");
    let user = id_of(&ada.get("/api/user").body).to_owned();
    let created = ada.create_token(json!({ "name": "t", "abilities": ["calls:read"] }));
    let reader = app.bearer(secret(&created));
    for dialect in DIALECTS {
        let answer = dialect.ask(&reader, "POST", "/calls/1");
        assert_eq!(answer.status, 403, "{}", answer.shown());
        let expected = [
            ("remote-user", &*user),
            ("x-auth-token-id", id_of(&created)),
            ("x-auth-required", r#""calls:read", "calls:write""#),
        ];
        assert_eq!(identity_of(&answer), expected, "{dialect:?}");
        assert_eq!(answer.body["required"], json!(["calls:read", "calls:write"]));
        let scope = r#"Bearer realm="patd", error="insufficient_scope", scope="calls:read calls:write""#;
        assert_eq!(answer.header("www-authenticate"), Some(scope));
        for (method, target) in [("GET", "/session"), ("GET", "/other"), ("GET", "/calls;x")] {
            let answer = dialect.ask(&reader, method, target);
            assert_eq!((answer.status, identity_of(&answer)), (403, expected[..2].to_vec()), "{dialect:?} {target}");
            assert!(answer.body.get("required").is_none());
        }
    }
}

#[test]
fn an_environment_token_is_named_with_its_environment() {
    let app = app();
    let ada = app.sign_in("ada");
    let path = environment(&ada, "e");
    let created = create(&ada, &path, json!({ "name": "t", "abilities": [] }));
    for dialect in DIALECTS {
        let answer = dialect.ask(&app.bearer(secret(&created)), "GET", "/calls");
        let id = path.rsplit('/').next().unwrap();
        let expected = [
            ("remote-user", ""),
            ("x-auth-token-id", id_of(&created)),
            ("x-auth-environment-id", id),
            ("x-auth-required", r#""calls:read""#),
        ];
        assert_eq!((answer.status, identity_of(&answer)), (403, expected.to_vec()), "{dialect:?}");
    }
}

#[test]
fn a_token_whose_limits_are_exceeded_is_named() {
    let app = app();
    let ada = app.sign_in("ada");
    let user = id_of(&ada.get("/api/user").body).to_owned();
    for limit in [json!({ "name": "t", "requests_per_minute": 1 }), json!({ "name": "t", "quota": 1 })] {
        let created = ada.create_token(limit);
        let limited = app.bearer(secret(&created));
        assert_eq!(Dialect::Envoy.ask(&limited, "GET", "/calls").status, 200);
        for dialect in DIALECTS {
            let answer = dialect.ask(&limited, "GET", "/calls");
            let status = if dialect == Dialect::Nginx { 403 } else { 429 };
            let expected = [("remote-user", &*user), ("x-auth-token-id", id_of(&created))];
            assert_eq!((answer.status, identity_of(&answer)), (status, expected.to_vec()), "{dialect:?}");
        }
    }
}

#[test]
fn an_unknown_credential_is_not_named() {
    let app = app();
    let ada = app.sign_in("ada");
    let revoked = ada.create_token(json!({ "name": "t" }));
    ada.delete(&format!("/api/v1/user/api-tokens/{}", id_of(&revoked)));
    let (revoked, malformed) = (app.bearer(secret(&revoked)), app.bearer("pat_nonsense"));
    for dialect in DIALECTS {
        for (client, target, status) in [
            (&app.anonymous(), "/calls", 401),
            (&app.anonymous(), "/other", 403),
            (&revoked, "/calls", 401),
            (&revoked, "/other", 403),
            (&malformed, "/other", 403),
        ] {
            let answer = dialect.ask(client, "GET", target);
            assert_eq!((answer.status, identity_of(&answer)), (status, Vec::new()), "{dialect:?} {target}");
        }
    }
}

#[test]
fn the_api_names_the_needed_abilities_as_well() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let none = token(&app, &ada, &[]);
    let introspect = |client: &Client<'_>| {
        client.send_as("POST", "/api/v1/introspect", "application/x-www-form-urlencoded", b"token=x")
    };
    for (answer, needed) in [
        (none.get("/api/user"), "user:read"),
        (none.get("/api/v1/environments"), "environments:read"),
        (none.post("/api/v1/user/api-tokens/self/rotate", json!({})), "tokens:rotate-self"),
        (introspect(&none), "tokens:introspect"),
        (none.post("/api/v1/tokens/verify", json!({ "token": "x" })), "tokens:introspect"),
    ] {
        assert_eq!(answer.status, 403, "{}", answer.shown());
        assert_eq!(answer.body["required"], json!([needed]), "{}", answer.shown());
        let challenge = format!(r#"Bearer realm="patd", error="insufficient_scope", scope="{needed}""#);
        assert_eq!(answer.header("www-authenticate"), Some(&*challenge));
    }
    let session_required = none.get("/api/v1/user/sessions");
    assert!(session_required.body.get("required").is_none(), "{}", session_required.shown());
}

#[test]
fn a_refusal_that_needs_no_token_does_not_wait_for_the_store() {
    let settings = [("server.trusted_proxies", "127.0.0.1/32")];
    let app = TestApp::with_file_and_store(POLICY, &settings, |backend| {
        crate::outage::Faulty::reads(backend, crate::outage::Fault::Fails)
    });
    let random = "A".repeat(40);
    let unknown = app.bearer(&format!("pat_{random}{:08x}", crc32fast::hash(random.as_bytes())));
    for dialect in DIALECTS {
        assert_eq!(dialect.ask(&unknown, "GET", "/other").status, 403, "{dialect:?}");
    }
    assert_eq!(Dialect::Nginx.ask(&unknown, "GET", "/calls").status, 503);
}
