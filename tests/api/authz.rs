//! The authorization endpoints, in each dialect.

use insta::assert_snapshot;
use serde_json::json;

use crate::{
    harness::{Answer, Client, TestApp, block_on, password},
    outage::{Fault, Faulty},
};

const POLICY: &str = r#"
[[policies]]
name = "app"
rules = [
    { paths = ["/health"], public = true },
    { methods = ["GET", "HEAD"], paths = ["/calls/**"], abilities = ["calls:read"] },
    { paths = ["/calls/**"], abilities = ["calls:read", "calls:write"] },
    { paths = ["/me"], abilities = [] },
    { paths = ["/session"], credentials = ["session"] },
]
"#;

/// A server that trusts proxies on 127.0.0.1, with the policy "app".
fn app() -> TestApp {
    TestApp::with_file(POLICY, &[("server.trusted_proxies", "127.0.0.1/32")])
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Dialect {
    Nginx,
    ForwardAuth,
    Envoy,
}

pub const DIALECTS: [Dialect; 3] = [Dialect::Nginx, Dialect::ForwardAuth, Dialect::Envoy];

impl Dialect {
    pub fn ask(self, client: &Client<'_>, method: &str, target: &str) -> Answer {
        self.ask_with(client, "app", method, target, &[])
    }

    pub fn ask_with(
        self,
        client: &Client<'_>,
        policy: &str,
        method: &str,
        target: &str,
        more: &[(&str, &str)],
    ) -> Answer {
        let (method_header, uri_header, endpoint) = match self {
            Self::Nginx => ("X-Original-Method", "X-Original-URI", "auth-request"),
            Self::ForwardAuth => ("X-Forwarded-Method", "X-Forwarded-Uri", "forward-auth"),
            Self::Envoy => {
                return client.send_with(method, &format!("/api/authz/ext-authz/{policy}{target}"), more, &[]);
            }
        };
        let mut headers = vec![(method_header, method), (uri_header, target)];
        headers.extend(more);
        client.send_with("GET", &format!("/api/authz/{endpoint}/{policy}"), &headers, &[])
    }
}

pub fn token<'a>(app: &'a TestApp, owner: &Client<'_>, abilities: &[&str]) -> Client<'a> {
    let created = owner.create_token(json!({ "name": "t", "abilities": abilities }));
    app.bearer(created["token"].as_str().unwrap())
}

fn identity(answer: &Answer) -> String {
    let shown = |name: &&str| format!("{name}: {}", answer.header(name).unwrap());
    IDENTITY.iter().map(shown).collect::<Vec<_>>().join("\n")
}

pub const IDENTITY: [&str; 10] = [
    "remote-user",
    "remote-email",
    "remote-name",
    "remote-groups",
    "x-auth-request-user",
    "x-auth-request-email",
    "x-auth-token-id",
    "x-auth-token-kind",
    "x-auth-abilities",
    "x-auth-environment-id",
];

#[test]
fn an_allowed_check_is_200_without_a_body_and_sets_every_identity_header() {
    let app = app();
    let ada = app.sign_in("ada");
    let created = ada.create_token(json!({ "name": "t", "abilities": ["calls:read", "x:*"] }));
    let reader = app.bearer(created["token"].as_str().unwrap());
    let owner = ada.get("/api/user").body["id"].as_str().unwrap().to_owned();
    let mut identities: Vec<String> = Vec::new();
    for dialect in DIALECTS {
        let forged = [("Remote-User", "root"), ("X-Auth-Abilities", "*"), ("X-Auth-Environment-Id", "prod")];
        let yes = dialect.ask_with(&reader, "app", "GET", "/calls/1?x=/../", &forged);
        assert_eq!((yes.status, &*yes.text), (200, ""), "{dialect:?}: {}", yes.shown());
        let shown = identity(&yes).replace(&owner, "[owner]").replace(created["id"].as_str().unwrap(), "[token]");
        identities.push(shown);

        let public = dialect.ask_with(&app.anonymous(), "app", "GET", "/health", &forged);
        assert_eq!(public.status, 200);
        assert!(IDENTITY.iter().all(|name| public.header(name) == Some("")), "{dialect:?}: nothing forged survives");
    }
    assert!(identities.iter().all(|other| *other == identities[0]), "{identities:?}");
    assert_snapshot!(identities[0], @"
    remote-user: [owner]
    remote-email: ada@example.com
    remote-name: ada
    remote-groups: 
    x-auth-request-user: [owner]
    x-auth-request-email: ada@example.com
    x-auth-token-id: [token]
    x-auth-token-kind: personal_access_token
    x-auth-abilities: calls:read x:*
    x-auth-environment-id:
    ");
}

#[test]
fn a_rule_decides_about_methods_abilities_and_kinds() {
    let app = app();
    let ada = app.sign_in("ada");
    let (reader, writer) = (token(&app, &ada, &["calls:read"]), token(&app, &ada, &["calls:*"]));
    let (full, none) = (token(&app, &ada, &["*"]), token(&app, &ada, &[]));
    let revoked = ada.create_token(json!({ "name": "t" }));
    ada.delete(&format!("/api/v1/user/api-tokens/{}", revoked["id"].as_str().unwrap()));
    let revoked = app.bearer(revoked["token"].as_str().unwrap());
    for dialect in DIALECTS {
        for (client, method, target, status, code) in [
            (&reader, "GET", "/calls", 200, None),
            (&reader, "HEAD", "/calls/1", 200, None),
            (&reader, "POST", "/calls/1", 403, Some("missing_ability")),
            (&writer, "POST", "/calls/1", 200, None),
            (&full, "DELETE", "/calls/1", 200, None),
            (&none, "GET", "/calls/1", 403, Some("missing_ability")),
            (&none, "GET", "/me", 200, None),
            (&none, "GET", "/other", 403, Some("no_rule")),
            (&full, "GET", "/session", 403, Some("wrong_kind")),
            (&ada, "GET", "/session", 200, None),
            (&ada, "GET", "/me", 403, Some("wrong_kind")),
            (&revoked, "GET", "/calls", 401, Some("unauthenticated")),
            (&app.anonymous(), "GET", "/calls", 401, Some("unauthenticated")),
            (&app.anonymous(), "GET", "/other", 403, Some("no_rule")),
        ] {
            let answer = dialect.ask(client, method, target);
            assert_eq!(answer.status, status, "{dialect:?} {method} {target}: {}", answer.shown());
            assert_eq!(answer.header("x-auth-error"), code, "{dialect:?} {method} {target}");
            let names_no_address = status == 200 || answer.header("remote-email").is_none();
            assert!(names_no_address, "{dialect:?} {method} {target}");
        }
        let challenge =
            |client: &Client<'_>| dialect.ask(client, "GET", "/calls").header("www-authenticate").map(str::to_owned);
        assert_eq!(challenge(&app.anonymous()).as_deref(), Some(r#"Bearer realm="patd""#));
        assert_eq!(challenge(&revoked).as_deref(), Some(r#"Bearer realm="patd", error="invalid_token""#));
        let scope = r#"Bearer realm="patd", error="insufficient_scope", scope="calls:read""#;
        assert_eq!(challenge(&none).as_deref(), Some(scope));
    }
}

#[test]
fn a_cached_token_is_still_checked_for_each_ability() {
    let app = app();
    let ada = app.sign_in("ada");
    let reader = token(&app, &ada, &["calls:read"]);
    for dialect in DIALECTS {
        for _ in 0..3 {
            assert_eq!(dialect.ask(&reader, "GET", "/calls").status, 200);
            assert_eq!(dialect.ask(&reader, "POST", "/calls").status, 403);
        }
    }
}

#[test]
fn an_ambiguous_path_is_refused_for_every_credential() {
    let app = app();
    let ada = app.sign_in("ada");
    let full = token(&app, &ada, &["*"]);
    for dialect in DIALECTS {
        for target in [
            "/calls//1",
            "/calls/./1",
            "/calls/../me",
            "/calls%2f1",
            "/calls/%2e%2e/me",
            "/calls/%252e",
            "/calls%5c1",
            "/calls/%00",
            "//calls",
        ] {
            let answer = dialect.ask(&full, "GET", target);
            // HTTP clients normalize some of these paths before they send them, so the path of the endpoint would
            // differ.
            assert!([403, 404].contains(&answer.status), "{dialect:?} {target}: {}", answer.shown());
        }
        assert_eq!(dialect.ask(&full, "GET", "/c%61lls/1").status, 200);
    }
    let raw = |target: &str| {
        app.raw(
            format!(
                "GET /api/authz/ext-authz/app{target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\r\n",
                full.token.as_ref().unwrap()
            )
            .as_bytes(),
        )
    };
    assert!(raw("/calls/1").starts_with("HTTP/1.1 200"));
    for target in ["/calls/../me", "/./calls", "//calls", "/calls%2f..%2fme", "/calls\\..\\me", "%2fcalls", ""] {
        let answer = raw(target);
        assert!(!answer.starts_with("HTTP/1.1 200") && answer.starts_with("HTTP/1.1 4"), "{target}: {answer}");
    }
}

#[test]
fn only_a_trusted_proxy_may_call_the_endpoints() {
    let stranger = TestApp::with_file(POLICY, &[("server.trusted_proxies", "192.0.2.1")]);
    let ada = stranger.sign_in("ada");
    let full = token(&stranger, &ada, &["*"]);
    for dialect in DIALECTS {
        let answer = dialect.ask_with(&full, "app", "GET", "/health", &[("X-Forwarded-For", "192.0.2.1")]);
        assert_eq!((answer.status, answer.header("x-auth-error")), (403, Some("untrusted_proxy")), "{dialect:?}");
    }
}

#[test]
fn an_incomplete_check_or_one_without_a_known_policy_is_refused() {
    let app = app();
    let ada = app.sign_in("ada");
    let full = token(&app, &ada, &["*"]);
    for dialect in DIALECTS {
        let answer = dialect.ask_with(&full, "none", "GET", "/calls", &[]);
        assert_eq!((answer.status, answer.header("x-auth-error")), (403, Some("unknown_policy")), "{dialect:?}");
    }
    let twice = [("X-Original-URI", "/health")];
    let answer = Dialect::Nginx.ask_with(&full, "app", "GET", "/calls", &twice);
    assert_eq!((answer.status, answer.header("x-auth-error")), (403, Some("incomplete_request")));
    let bare = full.get("/api/authz/forward-auth/app?uri=/calls&method=GET&abilities=*");
    assert_eq!((bare.status, bare.header("x-auth-error")), (403, Some("incomplete_request")));
}

#[test]
fn nginx_gets_only_the_statuses_that_it_accepts() {
    let app = app();
    let ada = app.sign_in("ada");
    let token = token(&app, &ada, &["*"]).token.unwrap();
    let twice = format!("Bearer {token}");
    let headers = [("Authorization", &*twice), ("Authorization", &*twice)];
    let asked = |dialect: Dialect, headers: &[(&str, &str)]| {
        let answer = dialect.ask_with(&app.anonymous(), "app", "GET", "/calls", headers);
        (answer.status, answer.header("x-auth-error").map(str::to_owned))
    };
    assert_eq!(asked(Dialect::Nginx, &headers), (403, Some("malformed_request".into())));
    assert_eq!(asked(Dialect::ForwardAuth, &headers), (400, Some("malformed_request".into())));
    let long = "x".repeat(20_000);
    assert_eq!(asked(Dialect::Nginx, &[("X-Long", &long)]), (403, Some("head_too_large".into())));
    assert_eq!(asked(Dialect::ForwardAuth, &[("X-Long", &long)]).0, 431);
}

#[test]
fn a_token_as_the_password_of_basic_is_accepted_by_checks_only() {
    use base64::prelude::{BASE64_STANDARD, Engine};
    let app = app();
    let ada = app.sign_in("ada");
    let token = token(&app, &ada, &["*"]).token.unwrap();
    let basic = |pair: &str| format!("Basic {}", BASE64_STANDARD.encode(pair));
    let ask = |value: &str| {
        let headers = [("Authorization", value)];
        Dialect::ForwardAuth.ask_with(&app.anonymous(), "app", "GET", "/calls", &headers).status
    };
    assert_eq!(ask(&basic(&format!("git:{token}"))), 200);
    assert_eq!(ask(&basic(&format!(":{token}"))), 200);
    assert_eq!(ask(&basic(&format!("{token}:"))), 400);
    assert_eq!(ask(&basic(&format!("ada@example.com:{}x", password("ada").replace(' ', "")))), 401);
    assert_eq!(ask("Basic ???"), 400);
    let account = [("Authorization", &*basic(&format!("git:{token}")))];
    assert_eq!(app.anonymous().send_with("GET", "/api/user", &account, &[]).status, 401);
}

#[test]
fn an_outage_is_503_in_every_dialect() {
    let settings = [("server.trusted_proxies", "127.0.0.1/32")];
    let app = TestApp::with_file_and_store(POLICY, &settings, |backend| Faulty::reads(backend, Fault::Fails));
    let random = "A".repeat(40);
    let unknown = app.bearer(&format!("pat_{random}{:08x}", crc32fast::hash(random.as_bytes())));
    for dialect in DIALECTS {
        assert_eq!(dialect.ask(&unknown, "GET", "/calls").status, 503, "{dialect:?}");
        assert_eq!(dialect.ask(&unknown, "GET", "/health").status, 200, "{dialect:?}: a public rule needs no store");
    }
}

#[test]
fn a_token_of_a_disabled_owner_is_refused() {
    let app = app();
    let ada = app.sign_in("ada");
    let full = token(&app, &ada, &["*"]);
    assert_eq!(Dialect::Nginx.ask(&full, "GET", "/calls").status, 200);
    let user = block_on(patd::ops::accounts::find(&app.ops, crate::harness::ADMINISTRATOR, "ada@example.com")).unwrap();
    block_on(patd::ops::accounts::disable(
        &app.ops,
        crate::harness::ADMINISTRATOR,
        user.id,
        patd::store::LastAdmin::MayGo,
        patd::domain::audit::RequestSource::COMMAND_LINE,
    ))
    .unwrap();
    for dialect in DIALECTS {
        assert_eq!(dialect.ask(&full, "GET", "/calls").status, 401);
    }
}

#[test]
fn the_endpoints_accept_only_the_methods_of_their_dialect() {
    let app = app();
    let posted = app.anonymous().send("POST", "/api/authz/auth-request/app", None);
    assert_eq!((posted.status, posted.header("allow")), (405, Some("GET, HEAD")), "{}", posted.shown());
    for no_such in [
        "/api/authz/auth-request",
        "/api/authz/auth-request/",
        "/api/authz/auth-request/app/",
        "/api/authz/auth-request/app/calls",
        "/api/authz/forward-auth/app/calls",
        "/api/authz/ext-authz/app",
        "/api/authz/ext-authz//calls",
        "/api/authz/other/app",
    ] {
        let answer = app.anonymous().get(no_such);
        assert_eq!((answer.status, answer.body["code"].as_str()), (404, Some("not_found")), "{no_such}");
    }
    let asked = Dialect::Nginx.ask_with(&app.anonymous(), "app", "GET", "/health", &[]);
    for (header, expected) in [("cache-control", "no-store"), ("x-content-type-options", "nosniff")] {
        assert_eq!(asked.header(header), Some(expected));
    }
    assert_eq!(asked.header("x-request-id").map(str::len), Some(36));
}
