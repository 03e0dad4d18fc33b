//! CORS: which answers pages of other origins may read.

use patd::http::routes;
use serde_json::json;

use crate::{
    harness::{Fetched, TestApp, email, password},
    outage::Faulty,
};

const TOKENS: &str = "/api/v1/user/api-tokens";
const ALLOWED: &str = "https://app.example.com";
const SETTING: (&str, &str) = ("cors.allowed_origins", "https://app.example.com, http://localhost:5173");
const HEADERS: [&str; 6] = [
    "access-control-allow-origin",
    "access-control-allow-credentials",
    "access-control-allow-methods",
    "access-control-allow-headers",
    "access-control-expose-headers",
    "access-control-max-age",
];
const EXPOSED: &str = "Allow, Location, Retry-After, WWW-Authenticate, X-RateLimit-Limit, X-RateLimit-Remaining, \
                       X-RateLimit-Reset, X-Request-Id, X-Token-Expires-At";

fn preflight(app: &TestApp, path: &str, origin: &str) -> Fetched {
    let headers = [("Origin", origin), ("Access-Control-Request-Method", "POST")];
    app.fetch("OPTIONS", path, &headers, "")
}

#[track_caller]
fn assert_has_no_cors(answer: &Fetched) {
    for name in HEADERS {
        assert_eq!(answer.header(name), "", "{name} {}", answer.text);
    }
}

#[track_caller]
fn assert_readable(answer: &Fetched, status: u16) {
    assert_eq!(answer.status, status, "{}", answer.text);
    assert_eq!(answer.header("access-control-allow-origin"), ALLOWED, "{}", answer.text);
    assert_eq!(answer.header("access-control-expose-headers"), EXPOSED);
    assert_eq!(answer.header("access-control-allow-credentials"), "");
    assert_eq!(answer.header("vary"), "Origin");
}

#[test]
fn a_preflight_of_an_allowed_origin_names_the_methods_of_the_path() {
    let app = TestApp::with(&[SETTING]);
    let mut asked = 0;
    for (_, path) in routes() {
        let path = path.replace("{id}", "018d0e2b-7ac5-7000-8000-000000000000");
        let answer = preflight(&app, &path.replace(['{', '}'], ""), ALLOWED);
        if !path.starts_with("/api") || path.starts_with("/api/authz/") {
            assert_has_no_cors(&answer);
            continue;
        }
        assert_eq!((answer.status, &*answer.text), (204, ""), "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), ALLOWED, "{path}");
        assert_eq!(answer.header("access-control-allow-credentials"), "", "{path}");
        let allowed = "Authorization, Content-Type, Idempotency-Key, traceparent";
        assert_eq!(answer.header("access-control-allow-headers"), allowed, "{path}");
        assert_eq!((answer.header("access-control-max-age"), answer.header("vary")), ("600", "Origin"), "{path}");
        assert_ne!(answer.header("access-control-allow-methods"), "", "{path}");
        asked += 1;
    }
    assert!(asked > 60, "{asked}");
    let methods = |path: &str| preflight(&app, path, ALLOWED).header("access-control-allow-methods").to_owned();
    assert_eq!(methods(TOKENS), "GET, HEAD, POST");
    assert_eq!(methods("/api/v1/user/password"), "PUT");
    assert_eq!(
        preflight(&app, TOKENS, "http://localhost:5173").header("access-control-allow-origin"),
        "http://localhost:5173"
    );
}

#[test]
fn a_preflight_asks_neither_the_store_nor_the_throttle() {
    let strict = ("throttle.per_address_burst", "1");
    let app = TestApp::with_store(&[SETTING, strict], |backend| Faulty::reads(backend, crate::outage::Fault::Panics));
    for _ in 0..5 {
        assert_eq!(preflight(&app, "/api/v1/auth/login", ALLOWED).status, 204);
        let headers =
            [("Origin", ALLOWED), ("Access-Control-Request-Method", "GET"), ("Authorization", "Bearer pat_wrong")];
        assert_eq!(app.fetch("OPTIONS", TOKENS, &headers, "").status, 204);
    }
}

#[test]
fn every_answer_to_an_allowed_origin_can_be_read_errors_included() {
    let app = TestApp::with(&[SETTING, ("throttle.per_email_burst", "1"), ("throttle.per_email_per_minute", "1")]);
    let session = app.sign_in("ada").token.clone().unwrap();
    let bearer = format!("Bearer {session}");
    let signed_in = [("Origin", ALLOWED), ("Authorization", &*bearer), ("Content-Type", "application/json")];
    let json = [("Origin", ALLOWED), ("Content-Type", "application/json")];
    assert_readable(&app.fetch("GET", "/api/user", &signed_in, ""), 200);
    assert_readable(&app.fetch("POST", TOKENS, &signed_in, r#"{"name": "t"}"#), 201);
    assert_readable(&app.fetch("POST", TOKENS, &signed_in, "{}"), 422);
    assert_readable(&app.fetch("POST", TOKENS, &signed_in, "{"), 400);
    assert_readable(&app.fetch("GET", "/api/user", &[("Origin", ALLOWED)], ""), 401);
    assert_readable(&app.fetch("GET", "/api/none", &[("Origin", ALLOWED)], ""), 404);
    assert_readable(&app.fetch("GET", "/api/%75ser", &[("Origin", ALLOWED)], ""), 404);
    assert_readable(&app.fetch("PUT", TOKENS, &signed_in, ""), 405);
    let large = "x".repeat(20 * 1024);
    assert_readable(&app.fetch("GET", "/api/user", &[("Origin", ALLOWED), ("X-Large", &large)], ""), 431);
    let wrong = json!({"email": email("ada"), "password": "wrong"}).to_string();
    let statuses: Vec<u16> = (0..3).map(|_| app.fetch("POST", "/api/v1/auth/login", &json, &wrong).status).collect();
    assert!(statuses.contains(&429), "{statuses:?}");
    assert_readable(&app.fetch("POST", "/api/v1/auth/login", &json, &wrong), 429);

    let (switch, faulty) = Faulty::switched();
    let app = TestApp::with_store(&[SETTING], faulty);
    app.user("ada");
    switch.fail_writes();
    let right = json!({"email": email("ada"), "password": password("ada")}).to_string();
    assert_readable(&app.fetch("POST", "/api/v1/auth/login", &json, &right), 503);
}

#[test]
fn other_origins_get_the_same_answers_as_before_and_cannot_read_them() {
    let (with, without) = (TestApp::with(&[SETTING]), TestApp::spawn());
    let others = [
        "https://evil.example",
        "https://app.example.com.evil.example",
        "https://app.example.com:444",
        "http://app.example.com",
        "https://APP.example.com",
        "https://app.example.com/",
        "null",
        "*",
        "",
    ];
    for origin in others {
        let asked = preflight(&with, TOKENS, origin);
        let before = preflight(&without, TOKENS, origin);
        assert_eq!((asked.status, &asked.text), (405, &before.text), "{origin}");
        let read = with.fetch("GET", "/api/user", &[("Origin", origin)], "");
        assert_eq!(read.status, 401, "{origin}");
        for answer in [asked, read] {
            assert_has_no_cors(&answer);
            assert_eq!(
                answer.header("vary"),
                "Origin",
                "{origin}: a cache must not give this answer to another origin"
            );
        }
        assert_has_no_cors(&before);
    }
    let twice = with.fetch("GET", "/api/user", &[("Origin", ALLOWED), ("Origin", ALLOWED)], "");
    assert_has_no_cors(&twice);
    let none = with.fetch("GET", "/api/user", &[], "");
    assert_has_no_cors(&none);
    assert_eq!(none.header("vary"), "Origin");
}

#[test]
fn without_the_setting_nothing_speaks_of_cors() {
    let app = TestApp::spawn();
    for (path, status) in [(TOKENS, 405), ("/api/none", 404), ("/livez", 405)] {
        let answer = preflight(&app, path, ALLOWED);
        assert_eq!((answer.status, answer.header("vary")), (status, ""), "{path}");
        assert_has_no_cors(&answer);
    }
    let answer = app.fetch("GET", "/api/user", &[("Origin", ALLOWED)], "");
    assert_eq!(answer.header("vary"), "");
    assert_has_no_cors(&answer);
}

#[test]
fn other_requests_with_options_are_answered_as_before() {
    let app = TestApp::with(&[SETTING]);
    let plain = app.fetch("OPTIONS", TOKENS, &[("Origin", ALLOWED)], "");
    assert_readable(&plain, 405);
    assert_eq!(plain.header("allow"), "GET, HEAD, POST");
    let unknown = preflight(&app, "/api/none", ALLOWED);
    assert_eq!((unknown.status, unknown.header("access-control-allow-methods")), (404, ""));
}

#[test]
fn the_console_health_and_checks_are_not_opened() {
    let policy = "[[policies]]\nname = \"app\"\nrules = [{ paths = [\"/**\"], public = true }]\n";
    let settings = [SETTING, ("server.trusted_proxies", "127.0.0.1")];
    let app = TestApp::with_file(policy, &settings);
    let check = [("Origin", ALLOWED), ("X-Forwarded-Method", "GET"), ("X-Forwarded-Uri", "/")];
    let answers = [
        (200, app.fetch("GET", "/api/authz/forward-auth/app", &check, "")),
        (200, app.fetch("GET", "/livez", &[("Origin", ALLOWED)], "")),
        (200, app.fetch("GET", "/console/sign-in", &[("Origin", ALLOWED)], "")),
        (405, preflight(&app, "/console/sign-in", ALLOWED)),
        (405, preflight(&app, "/livez", ALLOWED)),
        (200, app.fetch("GET", "/", &[("Origin", ALLOWED)], "")),
    ];
    for (status, answer) in answers {
        assert_eq!(answer.status, status, "{}", answer.text);
        assert_has_no_cors(&answer);
    }
    // A form of an allowed origin is as foreign to the console as any other.
    app.user("ada");
    let form = format!("email={}&password={}", email("ada"), password("ada")).replace(' ', "+").replace('@', "%40");
    for site in [&[][..], &[("Sec-Fetch-Site", "cross-site")]] {
        let typed = ("Content-Type", "application/x-www-form-urlencoded");
        let headers = [&[("Origin", ALLOWED), typed][..], site].concat();
        let answer = app.fetch("POST", "/console/sign-in", &headers, &form);
        assert_eq!((answer.status, answer.header("set-cookie")), (403, ""), "{}", answer.text);
        assert_has_no_cors(&answer);
    }
}
