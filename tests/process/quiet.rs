//! The log of a server that only answers probes and a few requests.

use std::fs;

use serde_json::{Value, json};

use crate::{
    drive::{LOGIN, TOKENS},
    harness::Place,
    logs::{Line, parse_text},
};

const PASSWORD: &str = "a password of many words";

fn lines(stderr: &str) -> Vec<Line> {
    stderr.lines().map(parse_text).collect()
}

#[test]
fn a_start_with_the_default_settings_logs_no_warning() {
    let place = Place::bare();
    let server = place.serve();
    assert_eq!(server.connect().ask("GET", "/readyz", None, None).unwrap().status, 200);
    let ended = server.terminate();
    assert!(ended.success);
    let warnings: Vec<Line> =
        lines(&ended.stderr).into_iter().filter(|line| ["warn", "error"].contains(&&*line["level"])).collect();
    assert!(warnings.is_empty(), "{warnings:?}");
}

#[test]
fn a_probe_is_logged_only_when_its_answer_changes() {
    let place = Place::new(&[]);
    let server = place.serve();
    let mut connection = server.connect();
    for path in ["/livez", "/readyz", "/healthz"] {
        for _ in 0..300 {
            assert_eq!(connection.ask("GET", path, None, None).unwrap().status, 200);
        }
    }
    let ended = server.terminate();
    let probes = lines(&ended.stderr).into_iter().filter(|line| line["message"] == "request").count();
    // One line for each probe. A slow run may need one more each minute.
    assert!((3..=12).contains(&probes), "{probes} lines");
}

#[test]
fn too_many_attempts_are_logged_with_the_client_and_the_account() {
    let place = Place::new(&[
        ("PATD__THROTTLE__PER_EMAIL_BURST", "2"),
        ("PATD__THROTTLE__PER_EMAIL_PER_MINUTE", "1"),
        ("PATD__SERVER__TRUSTED_PROXIES", "127.0.0.1"),
    ]);
    let create = ["user", "create", "--email", "ada@example.com", "--name", "Ada", "--password-stdin"];
    assert!(place.run(&create, PASSWORD).success);
    let server = place.serve();
    let mut connection = server.connect();
    let right = json!({ "email": "ada@example.com", "password": PASSWORD });
    let session = connection.ask("POST", LOGIN, None, Some(&right)).unwrap().data("token");
    let body = json!({ "name": "t", "requests_per_minute": 1 });
    let token = connection.ask("POST", TOKENS, Some(&session), Some(&body)).unwrap();
    let (token, id) = (token.data("token"), token.data("id"));

    let wrong = json!({ "email": "ada@example.com", "password": "a wrong password" }).to_string();
    let request = format!(
        "POST {LOGIN} HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 198.51.100.7\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{wrong}",
        wrong.len()
    );
    let statuses: Vec<u16> = (0..4).map(|_| connection.exchange("POST", request.as_bytes()).unwrap().status).collect();
    assert_eq!(*statuses.last().unwrap(), 429, "{statuses:?}");
    let statuses = [0; 2].map(|_| connection.ask("GET", "/api/user", Some(&token), None).unwrap().status);
    assert_eq!(statuses, [200, 429]);

    let ended = server.terminate();
    let refused: Vec<Line> =
        lines(&ended.stderr).into_iter().filter(|line| line.get("status").is_some_and(|is| is == "429")).collect();
    let sign_in = refused.iter().find(|line| line["route"] == LOGIN).unwrap();
    assert_eq!((&*sign_in["client"], &*sign_in["account"]), ("198.51.100.7", "a***@example.com"));
    let use_of_token = refused.iter().find(|line| line["route"] == "/api/user").unwrap();
    let logged = (&*use_of_token["client"], &*use_of_token["principal"]);
    assert_eq!(logged, ("127.0.0.1", &*format!("personal_access_token:{id}")));
    assert!(!ended.stderr.contains("ada@example.com"), "{}", ended.stderr);
}

#[test]
fn the_line_of_a_token_of_a_service_account_names_both() {
    let place = Place::new(&[("PATD__LOG__CHECKS", "all")]);
    fs::write(place.path("config.toml"), POLICY).unwrap();
    let server = place.serve();
    let created = |arguments: &[&str]| {
        let ended = place.run(arguments, "");
        assert!(ended.success, "{ended:?}");
        serde_json::from_str::<Value>(&ended.stdout).unwrap()
    };
    let account = created(&["service-account", "create", "--name", "ci", "--json"])["id"].clone();
    let account = account.as_str().unwrap();
    let token = created(&["token", "create", "--owner", account, "--name", "t", "--ability", "user:read", "--json"]);
    let (id, secret) = (token["id"].as_str().unwrap(), token["token"].as_str().unwrap());
    let mut connection = server.connect();
    assert_eq!(connection.ask("GET", "/api/user", Some(secret), None).unwrap().status, 200);
    assert_eq!(connection.ask("GET", "/api/v1/user/sessions", Some(secret), None).unwrap().status, 403);
    let check = format!(
        "GET /api/authz/forward-auth/app HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {secret}\r\n\
         X-Forwarded-Method: GET\r\nX-Forwarded-Uri: /calls/1\r\n\r\n"
    );
    assert_eq!(connection.exchange("GET", check.as_bytes()).unwrap().status, 200);

    let ended = server.terminate();
    let principal = format!("personal_access_token:{id} service_account:{account}");
    let logged: Vec<(String, String)> = lines(&ended.stderr)
        .into_iter()
        .filter(|line| line["message"] == "request")
        .map(|line| (line["route"].clone(), line["principal"].clone()))
        .collect();
    let expected = ["/api/user", "/api/v1/user/sessions", "/api/authz/forward-auth/{policy}"];
    assert_eq!(logged, expected.map(|route| (route.to_owned(), principal.clone())));
    // In the text form, a value with a space is in quotation marks.
    assert!(ended.stderr.contains(&format!("principal=\"{principal}\"")), "{}", ended.stderr);
    assert!(!ended.stderr.contains(secret.split('|').next_back().unwrap()), "{}", ended.stderr);
}

const POLICY: &str = r#"
[server]
trusted_proxies = ["127.0.0.1"]
[[policies]]
name = "app"
rules = [{ paths = ["/calls/**"], abilities = ["user:read"] }]
"#;
