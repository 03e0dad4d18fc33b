//! The export of personal data.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    harness::{Client, TestApp, email},
    service_accounts::{last, service_account},
};

#[test]
fn an_export_has_everything_about_the_user_and_no_secret() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let body = json!({ "name": "laptop", "abilities": ["user:read", "calls:*"], "description": "For the calls",
                       "metadata": { "team": "payments" } });
    let created = ada.create_token(body);
    let secret = created["token"].as_str().unwrap();
    assert_eq!(app.bearer(secret).get("/api/user").status, 200);
    for n in 0..10 {
        ada.create_token(json!({ "name": format!("token {n}") }));
    }
    let eve = app.sign_in("eve");
    let shared = eve.post("/api/v1/environments", json!({ "name": "eve's" })).body["data"]["id"].clone();
    let user = ada.get("/api/v1/user").body;
    let id = user["id"].as_str().unwrap();
    let member = format!("/api/v1/environments/{}/members/{id}", shared.as_str().unwrap());
    assert_eq!(eve.put(&member, json!({ "role": "viewer" })).status, 200);

    let machine = service_account(&app.sign_in_admin("root"), "ci", &[&ada]);
    ada.create_token(json!({ "name": "deploy", "owner": last(&machine) }));

    let answer = ada.get("/api/v1/user/export");
    assert_eq!(answer.status, 200, "{}", answer.shown());
    let disposition = format!("attachment; filename=\"patd-export-{id}.json\"");
    assert_eq!(answer.header("content-disposition"), Some(&*disposition));
    let export: Value = serde_json::from_str(&answer.text).unwrap();
    assert_eq!(export["profile"].as_array().unwrap().len(), 1);
    assert_eq!((&export["profile"][0]["id"], &export["profile"][0]["email"]), (&json!(id), &json!(email("ada"))));
    assert_eq!(export["sessions"].as_array().unwrap().len(), 1);
    let tokens = export["tokens"].as_array().unwrap();
    assert_eq!(tokens.len(), 11, "more than one batch");
    assert_eq!((&tokens[0]["id"], &tokens[0]["description"]), (&created["id"], &json!("For the calls")));
    assert_eq!(tokens[0]["abilities"], json!(["user:read", "calls:*"]));
    assert_eq!((&tokens[0]["metadata"], &tokens[1]["metadata"]), (&json!({ "team": "payments" }), &Value::Null));
    assert_eq!(export["token_addresses"][0]["address"], "127.0.0.1");
    assert_eq!(export["environments"].as_array().unwrap().len(), 1);
    assert_eq!(export["memberships"][0]["environment_id"], shared);
    assert_eq!(export["managed_service_accounts"][0]["service_account_id"], last(&machine));
    let uses = &export["token_usage"][0];
    assert_eq!((&uses["token_number"], &uses["name"]), (&tokens[0]["number"], &json!("user:read")));
    assert_eq!((&uses["allowed"], &uses["refused"]), (&json!(1), &json!(0)));
    let elsewhere: Vec<_> = export["actions_elsewhere"].as_array().unwrap().iter().collect();
    assert_eq!(elsewhere.len(), 1, "{elsewhere:?}");
    assert_eq!((&elsewhere[0]["action"], &elsewhere[0]["user_id"]), (&json!("token.created"), &json!(last(&machine))));
    let actions: Vec<_> =
        export["audit_trail"].as_array().unwrap().iter().map(|event| event["action"].as_str().unwrap()).collect();
    assert!(actions.contains(&"session.created") && actions.contains(&"environment.shared"), "{actions:?}");
    assert!(!answer.text.contains(secret.split('|').next_back().unwrap()));
    assert!(!answer.text.contains("argon2id") && !answer.text.contains("hash"));
    assert!(!answer.text.contains(&email("eve")));
}

/// Reads the head of an export and no more, until `end` has ended the session. Returns the whole answer.
fn export_while(app: &TestApp, token: &str, end: impl FnOnce()) -> String {
    let mut stream = TcpStream::connect(app.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    write!(stream, "GET /api/v1/user/export HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n").unwrap();
    let mut answer = vec![0; 1024];
    stream.read_exact(&mut answer).unwrap();
    end();
    // A complete answer is the only one after which the connection stays open.
    let mut read = [0; 64 * 1024];
    while !answer.ends_with(LAST_CHUNK) {
        match stream.read(&mut read) {
            Ok(0) => break,
            Ok(length) => answer.extend(&read[..length]),
            Err(error) => panic!("neither complete nor closed: {error}"),
        }
    }
    String::from_utf8(answer).unwrap()
}

const LAST_CHUNK: &[u8] = b"\r\n0\r\n\r\n";

#[test]
fn an_export_stops_when_its_session_ends() {
    let app = TestApp::with(&[("sessions.lifetime", "1h"), ("sessions.idle_lifetime", "1h")]);
    app.sign_in_admin("root");
    let ada = app.sign_in("ada");
    // More than the buffers of a connection hold, in batches of three tokens.
    let abilities: Vec<String> = (0..100).map(|n| format!("{n:03}{}", "a".repeat(97))).collect();
    for n in 0..400 {
        ada.create_token(json!({ "name": format!("token {n}"), "abilities": abilities }));
    }
    let user = ada.get("/api/v1/user").body;
    let id = user["id"].as_str().unwrap();
    let complete = export_while(&app, ada.token.as_deref().unwrap(), || {});
    assert!(complete.as_bytes().ends_with(LAST_CHUNK) && complete.contains("\"actions_elsewhere\""));
    assert!(complete.len() > 4_000_000, "{}", complete.len());

    type End<'e> = &'e dyn Fn(&Client<'_>);
    let ends: [(&str, End<'_>); 3] = [
        ("signed out", &|session| assert_eq!(session.post("/api/v1/auth/logout", json!({})).status, 200)),
        ("expired", &|_| app.advance(Duration::from_secs(3600))),
        ("disabled", &|_| {
            let disable = format!("/api/v1/admin/users/{id}/disable");
            assert_eq!(app.sign_in_again("root").post(&disable, json!({})).status, 200);
        }),
    ];
    for (name, end) in ends {
        let session = app.sign_in_again("ada");
        let answer = export_while(&app, session.token.as_deref().unwrap(), || end(&session));
        assert!(answer.starts_with("HTTP/1.1 200"), "{name}");
        assert!(!answer.as_bytes().ends_with(LAST_CHUNK), "{name}: it looks complete");
        assert!(answer.len() < complete.len() / 2, "{name}: {} of {}", answer.len(), complete.len());
    }
}
