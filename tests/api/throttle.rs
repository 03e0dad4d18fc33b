//! The throttle of sign-ins, of password changes and of self-rotation.

use std::time::Duration;

use insta::assert_snapshot;
use serde_json::json;

use crate::{
    harness::{Answer, TestApp, email, password},
    outage::Faulty,
};

fn login(app: &TestApp, who: &str, password: &str, forwarded: Option<&str>) -> Answer {
    let body = json!({ "email": who, "password": password }).to_string();
    let mut headers = vec![("Content-Type", "application/json")];
    headers.extend(forwarded.map(|hops| ("X-Forwarded-For", hops)));
    app.anonymous().send_with("POST", "/api/v1/auth/login", &headers, body.as_bytes())
}

#[test]
fn an_address_is_throttled_in_any_spelling_until_the_time_of_the_header() {
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

const BEHIND_A_PROXY: (&str, &str) = ("server.trusted_proxies", "127.0.0.1/32");
const OWNER: Option<&str> = Some("198.51.100.1");
const STRANGER: Option<&str> = Some("203.0.113.7");

#[test]
fn guesses_by_others_do_not_block_the_owner() {
    let app = TestApp::with(&[
        BEHIND_A_PROXY,
        ("throttle.per_email_burst", "10"),
        ("throttle.per_email_per_minute", "5"),
        ("throttle.per_account_burst", "100"),
        ("throttle.per_account_per_minute", "20"),
    ]);
    let ada = app.sign_in("ada");
    let statuses = [0; 12].map(|_| login(&app, &email("ada"), "wrong", STRANGER).status);
    assert_eq!(statuses, [401, 401, 401, 401, 401, 401, 401, 401, 401, 401, 429, 429]);
    assert_eq!(login(&app, &email("ada"), &password("ada"), STRANGER).status, 429);
    assert_eq!(login(&app, &email("ada"), &password("ada"), OWNER).status, 201);
    let change = |current: String| json!({ "current_password": current, "password": "a long enough new password" });
    assert_eq!(ada.put("/api/v1/user/password", change(password("ada"))).status, 200);

    // Clients everywhere reach the limit of the account. A signed-in user is not blocked by them.
    for n in 0..20 {
        let from = format!("192.0.2.{n}");
        while login(&app, &email("ada"), "wrong", Some(&from)).status == 401 {}
    }
    assert_eq!(login(&app, &email("ada"), "a long enough new password", OWNER).status, 429);
    let again = json!({ "current_password": "a long enough new password", "password": "another long new password" });
    assert_eq!(ada.put("/api/v1/user/password", again).status, 200);
}

#[test]
fn guesses_of_the_current_password_are_throttled() {
    let app = TestApp::with(&[("throttle.per_email_burst", "3"), ("throttle.per_email_per_minute", "1")]);
    let (ada, other) = (app.sign_in("ada"), app.sign_in_again("ada"));
    let guess = json!({ "current_password": "wrong", "password": "a long enough new password" });
    let statuses = [0; 5].map(|_| ada.put("/api/v1/user/password", guess.clone()).status);
    assert_eq!(statuses, [422, 422, 422, 429, 429]);
    app.sign_in_again("ada");
    let right = json!({ "current_password": password("ada"), "password": "a long enough new password" });
    assert_eq!(ada.put("/api/v1/user/password", right.clone()).status, 429);
    assert_eq!(other.put("/api/v1/user/password", right).status, 200, "a thief with one session stops no other");
}

#[test]
fn a_correct_current_password_is_no_guess_even_if_the_new_one_is_refused() {
    let app = TestApp::with(&[("throttle.per_email_burst", "3"), ("throttle.per_email_per_minute", "1")]);
    let ada = app.sign_in("ada");
    let weak = json!({ "current_password": password("ada"), "password": "short" });
    let statuses = [0; 5].map(|_| ada.put("/api/v1/user/password", weak.clone()).status);
    assert_eq!(statuses, [422; 5]);
    let strong = json!({ "current_password": password("ada"), "password": "a long enough new password" });
    assert_eq!(ada.put("/api/v1/user/password", strong).status, 200);
}

#[test]
fn successful_sign_ins_do_not_count_as_guesses() {
    let limits = ["per_email_burst", "per_email_per_minute", "per_account_burst", "per_account_per_minute"];
    let limits = limits.map(|key| (&*format!("throttle.{key}").leak(), "2"));
    let app = TestApp::with(&[&limits[..], &[("throttle.per_address_burst", "2")]].concat());
    app.user("ada");
    for _ in 0..10 {
        assert_eq!(login(&app, &email("ada"), &password("ada"), None).status, 201);
    }
    assert_eq!([0; 3].map(|_| login(&app, &email("ada"), "wrong", None).status), [401, 401, 429]);
}

#[test]
fn successful_sign_ins_have_their_own_limit() {
    let limits = [("throttle.successes_per_account_burst", "3"), ("throttle.successes_per_account_per_minute", "1")];
    let app = TestApp::with(&limits);
    app.user("ada");
    app.user("bob");
    let statuses = [0; 4].map(|_| login(&app, &email("ada"), &password("ada"), None).status);
    assert_eq!(statuses, [201, 201, 201, 429]);
    assert_eq!(login(&app, &email("bob"), &password("bob"), None).status, 201);
}

#[test]
fn attempts_during_an_outage_do_not_count() {
    let (switch, faulty) = Faulty::switched();
    let app = TestApp::with_store(&[("throttle.per_email_burst", "2"), ("throttle.per_email_per_minute", "1")], faulty);
    let ada = app.sign_in("ada");
    let guess = json!({ "current_password": "wrong", "password": "a long enough new password" });
    switch.fail_writes();
    for _ in 0..5 {
        assert_eq!(login(&app, &email("ada"), "wrong", None).status, 503);
        assert_eq!(ada.put("/api/v1/user/password", guess.clone()).status, 503);
    }
    switch.heal();
    assert_eq!([0; 3].map(|_| login(&app, &email("ada"), "wrong", None).status), [401, 401, 429]);
    assert_eq!([0; 3].map(|_| ada.put("/api/v1/user/password", guess.clone()).status), [422, 422, 429]);
}

#[test]
fn registrations_are_throttled_by_client_even_if_they_fail() {
    let app = TestApp::with(&[
        ("accounts.registration", "true"),
        ("throttle.per_address_burst", "3"),
        ("throttle.per_address_per_minute", "1"),
    ]);
    app.user("ada");
    let register = |who: &str, password: &str| {
        let account = json!({ "name": "n", "email": email(who), "password": password });
        app.anonymous().post("/api/v1/auth/register", account).status
    };
    assert_eq!(register("ada", "short"), 422, "which tells nothing and takes no work");
    let statuses = ["ada", "new", "ada", "newer"].map(|who| register(who, &password("new")));
    assert_eq!(statuses, [422, 201, 422, 429]);
}

#[test]
fn self_rotations_of_a_family_are_throttled_without_slowing_others() {
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

/// With these settings a hash takes long, and only one is computed at a time.
const SLOW: [(&str, &str); 3] =
    [("passwords.concurrent_hashes", "1"), ("passwords.memory_kib", "65536"), ("passwords.iterations", "10")];

fn logins_at_once(app: &TestApp, count: usize, password: &str) -> Vec<Answer> {
    std::thread::scope(|scope| {
        let logins: Vec<_> = (0..count).map(|_| scope.spawn(|| login(app, &email("ada"), password, None))).collect();
        logins.into_iter().map(|login| login.join().unwrap()).collect()
    })
}

#[test]
fn simultaneous_sign_ins_wait_for_each_other() {
    let app = TestApp::with(&[("passwords.concurrent_hashes", "1"), ("passwords.max_wait", "60s")]);
    app.user("ada");
    let statuses: Vec<u16> = logins_at_once(&app, 12, &password("ada")).iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [201; 12]);
}

#[test]
fn a_sign_in_that_would_wait_too_long_is_503_and_does_not_count() {
    let limits =
        [("passwords.max_wait", "1ms"), ("throttle.per_email_burst", "8"), ("throttle.per_email_per_minute", "1")];
    let app = TestApp::with(&[&SLOW[..], &limits].concat());
    app.user("ada");
    let answers = logins_at_once(&app, 8, &password("ada"));
    let busy = answers.iter().find(|answer| answer.status == 503).expect("one of eight came while another was hashed");
    assert_snapshot!(busy.shown(), @r#"
    503
    retry-after: 1
    {
      "code": "busy",
      "message": "Too many sign-ins at once. Try again."
    }
    "#);
    assert!(answers.iter().all(|answer| [201, 503].contains(&answer.status)));
    assert!(answers.iter().any(|answer| answer.status == 201));
    let statuses = [0; 9].map(|_| login(&app, &email("ada"), "wrong", None).status);
    assert_eq!(statuses, [401, 401, 401, 401, 401, 401, 401, 401, 429]);
}

#[test]
fn simultaneous_guesses_count_like_sequential_ones() {
    let app = TestApp::with(&[
        ("passwords.concurrent_hashes", "1"),
        ("throttle.per_email_burst", "3"),
        ("throttle.per_email_per_minute", "1"),
    ]);
    app.user("ada");
    let answers = logins_at_once(&app, 16, "wrong");
    assert_eq!(answers.iter().filter(|answer| answer.status == 401).count(), 3);
    assert_eq!(answers.iter().filter(|answer| answer.status == 429).count(), 13);
}
