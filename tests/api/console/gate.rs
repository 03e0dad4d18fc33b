//! Forms of other sites, other credentials, and a console that is switched off.

use super::{Browser, OWN, form, paths};
use crate::harness::{TestApp, email, password};

#[test]
fn no_other_site_can_send_a_form() {
    let app = TestApp::spawn();
    let browser = Browser::of(&app, "ada");
    let host = format!("http://{}", app.address);
    let forged: [&[(&str, &str)]; 8] = [
        &[],
        &[("Sec-Fetch-Site", "cross-site")],
        &[("Sec-Fetch-Site", "same-site")],
        &[("Sec-Fetch-Site", "none")],
        &[("Sec-Fetch-Site", "cross-site"), ("Origin", &host)],
        &[("Origin", "null")],
        &[("Origin", "https://evil.example")],
        &[("Referer", &host)],
    ];
    let all = paths("POST");
    assert!(all.len() >= 7, "{all:?}");
    for path in all {
        for headers in forged {
            let answer = browser.send("POST", &path, headers, &[("do", "revoke"), ("email", "x"), ("password", "y")]);
            assert_eq!(answer.status, 403, "{path} {headers:?}: {}", answer.text);
            assert!(answer.text.contains("did not come from a page of this server"), "{}", answer.text);
            assert_eq!(answer.header("set-cookie"), "");
        }
        for headers in [&[OWN][..], &[("Origin", &*host)]] {
            let answer = browser.send("POST", &path, headers, &[("do", "nothing")]);
            assert_ne!(answer.status, 403, "{path} {headers:?}");
        }
    }
}

#[test]
fn nobody_can_be_signed_in_by_another_site() {
    let app = TestApp::spawn();
    app.user("mallory");
    let browser = Browser::new(&app);
    let fields = [("email", &*email("mallory")), ("password", &*password("mallory"))];
    let answer = browser.send("POST", "/console/sign-in", &[("Sec-Fetch-Site", "cross-site")], &fields);
    assert_eq!((answer.status, browser.cookie()), (403, String::new()));
}

#[test]
fn no_get_changes_anything() {
    let app = TestApp::spawn();
    let browser = Browser::of(&app, "ada");
    let before = browser.page("/console/activity");
    for path in paths("GET") {
        browser.get(&format!("{path}?do=revoke&do=end-others&do=create&name=x&abilities=*"));
    }
    let rows = |page: &str| page.matches("<tr>").count();
    assert_eq!(rows(&browser.page("/console/activity")), rows(&before));
    assert!(before.contains("session.created"));
}

#[test]
fn the_cookie_is_worthless_at_the_api_and_a_bearer_at_the_console() {
    let app = TestApp::spawn();
    let browser = Browser::of(&app, "ada");
    let cookie = browser.cookie();
    let answer = app.fetch("GET", "/api/v1/user", &[("Cookie", &cookie)], "");
    assert_eq!(answer.status, 401);
    let secret = cookie.split_once('=').unwrap().1;
    assert_eq!(app.bearer(secret).get("/api/v1/user").status, 200, "it is a session of the API");
    let bearer = format!("Bearer {secret}");
    let answer = app.fetch("GET", "/console/tokens", &[("Authorization", &bearer)], "");
    assert_eq!((answer.status, answer.header("location")), (303, "/console/sign-in?next=%2Fconsole%2Ftokens"));
    // The name that the cookie has elsewhere, and a token in its place.
    let answer = app.fetch("GET", "/console/tokens", &[("Cookie", &format!("__Host-patd={secret}"))], "");
    assert_eq!(answer.status, 303);
    let token = app.bearer(secret).create_token(serde_json::json!({ "name": "CI", "abilities": ["*"] }));
    let cookie = format!("patd={}", token["token"].as_str().unwrap());
    assert_eq!(app.fetch("GET", "/console/tokens", &[("Cookie", &cookie)], "").status, 303);
    let seen = app.bearer(secret).get(&format!("/api/v1/user/api-tokens/{}", token["id"].as_str().unwrap()));
    assert!(seen.body["data"]["last_used_at"].is_null(), "that was no use of it: {}", seen.text);
}

#[test]
fn a_cookie_for_the_network_needs_https() {
    let app = TestApp::spawn();
    app.user("ada");
    let body = form(&[("email", &email("ada")), ("password", &password("ada"))]);
    let headers = [("Host", "tokens.example.com"), OWN, ("Content-Type", "application/x-www-form-urlencoded")];
    let answer = app.fetch("POST", "/console/sign-in", &headers, &body);
    let set = answer.header("set-cookie").to_owned();
    assert!(set.starts_with("__Host-patd=ses_"), "{set}");
    for attribute in ["; Secure", "; HttpOnly", "; SameSite=Lax", "; Path=/"] {
        assert!(set.contains(attribute), "{set}");
    }
    assert!(!set.contains("Domain"), "{set}");
    let arrived = app.fetch("GET", "/console/signed-in", &[("Host", "tokens.example.com")], "");
    assert!(arrived.status == 200 && arrived.text.contains("over HTTPS alone"), "{}", arrived.text);
}

#[test]
fn a_console_that_is_switched_off_is_not_there() {
    let app = TestApp::with(&[("console.enabled", "false")]);
    for path in paths("GET") {
        let answer = app.fetch("GET", &path, &[], "");
        assert_eq!((answer.status, answer.header("content-type")), (404, "application/json"), "{path}");
    }
    for path in paths("POST") {
        assert_eq!(app.fetch("POST", &path, &[OWN], "").status, 404, "{path}");
    }
    let start = app.fetch("GET", "/", &[("Accept", "text/html")], "");
    assert!(start.status == 200 && start.text.contains("\"links\""), "{}", start.text);
    assert!(!start.text.contains("/console"), "{}", start.text);
}

#[test]
fn people_are_led_to_the_console_and_programs_get_links() {
    let app = TestApp::spawn();
    let accepts = |accept: &str| app.fetch("GET", "/", &[("Accept", accept)], "");
    let person = accepts("text/html,application/xhtml+xml;q=0.9,*/*;q=0.8");
    assert_eq!((person.status, person.header("location")), (303, "/console"));
    for accept in ["*/*", "application/json"] {
        let program = accepts(accept);
        assert_eq!((program.status, program.header("vary")), (200, "Accept"));
        assert!(program.text.contains(r#""console":"/console""#), "{}", program.text);
    }
}
