//! The brakes on guessing passwords and on tokens that replace themselves.

use std::time::Duration;

use insta::assert_snapshot;
use serde_json::json;

use crate::harness::{Answer, TestApp, email, password};

fn login(app: &TestApp, who: &str, password: &str, forwarded: Option<&str>) -> Answer {
    let body = json!({ "email": who, "password": password }).to_string();
    let mut headers = vec![("Content-Type", "application/json")];
    headers.extend(forwarded.map(|hops| ("X-Forwarded-For", hops)));
    app.anonymous().send_with("POST", "/api/v1/auth/login", &headers, body.as_bytes())
}

#[test]
fn an_address_is_throttled_in_any_spelling_and_freed_when_it_said() {
    let app = TestApp::with(&[("throttle.per_email_burst", "3"), ("throttle.per_email_per_minute", "2")]);
    app.user("ada");
    app.user("bob");
    for spelling in ["ada@example.com", "ADA@example.com", "ａｄａ@EXAMPLE.com"] {
        assert_eq!(login(&app, spelling, "wrong", None).status, 401);
    }
    let throttled = login(&app, "ada@example.com", &password("ada"), None);
    assert_snapshot!(throttled.shown(), @r#"
    429
    retry-after: 30
    x-ratelimit-limit: 3
    x-ratelimit-remaining: 0
    x-ratelimit-reset: 1705345230
    {
      "code": "too_many_attempts",
      "message": "Too Many Attempts."
    }
    "#);
    assert_eq!(login(&app, &email("bob"), &password("bob"), None).status, 201, "nobody else is");

    let wait: u64 = throttled.header("retry-after").unwrap().parse().unwrap();
    app.advance(Duration::from_secs(wait - 1));
    assert_eq!(login(&app, &email("ada"), &password("ada"), None).status, 429);
    app.advance(Duration::from_secs(1));
    assert_eq!(login(&app, &email("ada"), &password("ada"), None).status, 201);
}

#[test]
fn a_client_is_throttled_by_its_own_address_and_a_trusted_proxy_names_it() {
    let limits = [("throttle.per_address_burst", "2"), ("throttle.per_address_per_minute", "1")];
    let app = TestApp::with(&limits);
    for n in 0..2 {
        assert_eq!(login(&app, &email("x"), "wrong", Some(&format!("198.51.100.{n}"))).status, 401);
    }
    let claimed = login(&app, &email("x"), "wrong", Some("198.51.100.9"));
    assert_eq!(claimed.status, 429, "a stranger's X-Forwarded-For counts for nothing");

    let behind = TestApp::with(&[limits[0], limits[1], ("server.trusted_proxies", "127.0.0.1/32")]);
    for n in 0..5 {
        assert_eq!(login(&behind, &email("x"), "wrong", Some(&format!("198.51.100.{n}"))).status, 401);
    }
    for (spoofed, status) in [("198.51.100.50, 203.0.113.1", 401), ("198.51.100.51, 203.0.113.1", 401)] {
        assert_eq!(login(&behind, &email("x"), "wrong", Some(spoofed)).status, status);
    }
    let same_hop = login(&behind, &email("x"), "wrong", Some("198.51.100.52, 203.0.113.1"));
    assert_eq!(same_hop.status, 429, "the right-most hop that is not a proxy is the client");
}

#[test]
fn guessing_the_current_password_is_throttled_like_signing_in() {
    let app = TestApp::with(&[("throttle.per_email_burst", "3"), ("throttle.per_email_per_minute", "1")]);
    let ada = app.sign_in("ada");
    let guess = json!({ "current_password": "wrong", "password": "a long enough new password" });
    let statuses = [0; 3].map(|_| ada.put("/api/v1/user/password", guess.clone()).status);
    assert_eq!(statuses, [422, 422, 429]);
}

#[test]
fn a_family_rotates_itself_so_often_and_slows_no_other() {
    let limits = [("throttle.rotations_per_family_burst", "3"), ("throttle.rotations_per_family_per_minute", "10")];
    let app = TestApp::with(&limits);
    let ada = app.sign_in("ada");
    let make = || ada.create_token(json!({ "name": "t" }))["token"].as_str().unwrap().to_owned();
    let rotate = |token: &str| app.bearer(token).post("/api/v1/user/api-tokens/self/rotate", json!({}));
    let (mut newest, other) = (make(), make());
    for _ in 0..3 {
        let rotated = rotate(&newest);
        assert_eq!(rotated.status, 201, "{}", rotated.shown());
        newest = rotated.body["data"]["token"].as_str().unwrap().to_owned();
    }
    assert_snapshot!(rotate(&newest).shown(), @r#"
    429
    retry-after: 6
    x-ratelimit-limit: 3
    x-ratelimit-remaining: 0
    x-ratelimit-reset: 1705345206
    {
      "code": "too_many_attempts",
      "message": "Too Many Attempts."
    }
    "#);
    assert_eq!(app.bearer(&newest).get("/api/user").status, 200, "what was not replaced goes on");
    assert_eq!(rotate(&other).status, 201);
    app.advance(Duration::from_secs(6));
    assert_eq!(rotate(&newest).status, 201);
}

#[test]
fn more_hashes_at_once_than_allowed_answer_503_at_once() {
    let app = TestApp::with(&[
        ("passwords.concurrent_hashes", "1"),
        ("passwords.memory_kib", "65536"),
        ("passwords.iterations", "10"),
    ]);
    app.user("ada");
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let logins: Vec<_> = (0..8).map(|_| scope.spawn(|| login(&app, &email("ada"), "wrong", None))).collect();
        logins.into_iter().map(|login| login.join().unwrap()).collect()
    });
    let busy = answers.iter().find(|answer| answer.status == 503).expect("one of eight came while another was hashed");
    assert_snapshot!(busy.shown(), @r#"
    503
    retry-after: 1
    {
      "code": "busy",
      "message": "Too many sign-ins at once. Try again."
    }
    "#);
    assert!(answers.iter().all(|answer| [401, 503].contains(&answer.status)));
    assert!(answers.iter().any(|answer| answer.status == 401));
}
