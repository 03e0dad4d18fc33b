//! What every page sends: headers that allow nothing but this server, and no more than 100 KiB.

use super::{Browser, OWN, paths};
use crate::harness::TestApp;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; form-action 'self'; \
                      frame-ancestors 'none'; base-uri 'none'";

#[test]
fn every_page_is_protected() {
    let app = TestApp::spawn();
    let (ada, nobody) = (Browser::of(&app, "ada"), Browser::new(&app));
    let mut pages = 0;
    for path in paths("GET") {
        for browser in [&ada, &nobody] {
            let answer = browser.get(&path);
            assert_eq!(answer.header("cache-control"), "no-store", "{path}");
            assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
            if !answer.header("content-type").starts_with("text/html") {
                continue;
            }
            pages += 1;
            assert_eq!(answer.header("content-security-policy"), POLICY, "{path}");
            assert_eq!(answer.header("x-frame-options"), "DENY", "{path}");
            assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
            for forbidden in [" style=", "<style", "onclick=", "javascript:", "http://", "https://"] {
                let allowed = forbidden == "http://" && answer.text.contains("http://127.0.0.1");
                assert!(allowed || !answer.text.contains(forbidden), "{path} has {forbidden}");
            }
        }
    }
    assert!(pages >= 15, "{pages}");
    let foreign = nobody.send("POST", "/console/sign-in", &[], &[("email", "x")]);
    assert_eq!(foreign.header("content-security-policy"), POLICY);
    let wrong = nobody.post("/console/sign-in", &[("email", "ada@example.com"), ("password", "wrong")]);
    assert_eq!((wrong.status, wrong.header("content-security-policy")), (401, POLICY));
}

#[test]
fn files_may_be_kept_for_a_year_and_fit_with_the_page() {
    let app = TestApp::spawn();
    let ada = Browser::of(&app, "ada");
    let client = app.bearer(ada.cookie().split_once('=').unwrap().1);
    for number in 0..50 {
        // The longest that there can be, with characters that are escaped.
        let description = "&".repeat(1000);
        let name = format!("{number} {}", "é".repeat(252));
        let abilities = ["calls:read", "calls:write", "agents:read", "agents:write", "settings:write"];
        client.create_token(serde_json::json!({ "name": name, "description": description, "abilities": abilities }));
    }
    let page = ada.page("/console/tokens");
    let mut size = page.len();
    let mut files: Vec<&str> = page.split('"').filter(|text| text.starts_with("/console/assets/")).collect();
    files.sort_unstable();
    files.dedup();
    assert_eq!(files.len(), 3, "{files:?}");
    for file in files {
        let answer = app.fetch("GET", file, &[], "");
        assert_eq!(answer.status, 200, "{file}");
        assert_eq!(answer.header("cache-control"), "public, max-age=31536000, immutable");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        size += answer.text.len();
    }
    assert!(size <= 100 * 1024, "{size} bytes");
    assert_eq!(app.fetch("GET", "/console/assets/console-0000000000000000.css", &[], "").status, 404);
}

#[test]
fn every_page_needs_a_session_but_those_that_lead_to_one() {
    let app = TestApp::spawn();
    let nobody = Browser::new(&app);
    let open = ["/console", "/console/sign-in", "/console/signed-in", "/console/set-password", "/console/nothing"];
    for path in paths("GET").into_iter().filter(|path| !path.contains("/assets/") && path != "/console/logo") {
        let answer = nobody.get(&path);
        let leads = answer.header("location").starts_with("/console/sign-in?next=%2Fconsole%2F");
        assert_eq!(leads, !open.contains(&&*path), "{path}: {} {}", answer.status, answer.header("location"));
    }
    for path in paths("POST").into_iter().filter(|path| !open.contains(&&**path)) {
        let answer = nobody.send("POST", &path, &[OWN], &[("do", "revoke")]);
        assert!(answer.header("location").starts_with("/console/sign-in?next="), "{path}");
    }
}

#[test]
fn a_page_that_does_not_exist_says_so() {
    let app = TestApp::spawn();
    let ada = Browser::of(&app, "ada");
    for path in ["/console/nothing", "/console/tokens/x", "/console/tokens/01900000-0000-7000-8000-000000000000"] {
        let answer = ada.get(path);
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.text.contains("<h1>") && answer.text.contains("To the start of the console"), "{}", answer.text);
    }
    let other = app.sign_in("bob").create_token(serde_json::json!({ "name": "CI" }));
    assert_eq!(ada.get(&format!("/console/tokens/{}", other["id"].as_str().unwrap())).status, 404);
}

#[test]
fn pages_speak_the_language_of_the_reader() {
    let app = TestApp::spawn();
    let nobody = Browser::new(&app);
    let page = |language| nobody.send("GET", "/console/sign-in", &[("Accept-Language", language)], &[]).text;
    assert!(page("de-AT,de;q=0.9,en;q=0.5").contains(r#"<html lang="de" dir="ltr">"#));
    assert!(page("de").contains("Passwort"));
    assert!(page("fr").contains(r#"<html lang="en" dir="ltr">"#));
}
