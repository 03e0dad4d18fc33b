//! The export of personal data.

use serde_json::{Value, json};

use crate::harness::{TestApp, email};

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
    let actions: Vec<_> =
        export["audit_trail"].as_array().unwrap().iter().map(|event| event["action"].as_str().unwrap()).collect();
    assert!(actions.contains(&"session.created") && actions.contains(&"environment.shared"), "{actions:?}");
    assert!(!answer.text.contains(secret.split('|').next_back().unwrap()));
    assert!(!answer.text.contains("argon2id") && !answer.text.contains("hash"));
    assert!(!answer.text.contains(&email("eve")));
}
