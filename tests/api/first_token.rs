//! The main use, with a real client: sign in, create a token, use it, revoke it. Checks every field.

use serde_json::json;

use crate::harness::{START, TestApp};

#[test]
fn the_main_job_from_sign_in_to_revocation() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");

    let created = ada.send_with(
        "POST",
        "/api/v1/user/api-tokens",
        &[("Content-Type", "application/json")],
        br#"{
    "name": "CI Pipeline",
    "abilities": ["*"]
  }"#,
    );
    assert_eq!(created.status, 201);
    let data = &created.body["data"];
    assert_eq!(data["name"], "CI Pipeline");
    assert_eq!(data["abilities"], json!(["*"]));
    assert_eq!(data["created_at"], START);
    let token = data["token"].as_str().unwrap();
    let id = data["id"].as_str().unwrap();
    assert!(token.starts_with("1|pat_") && token.len() == "1|pat_".len() + 48, "{token}");
    assert_eq!(uuid::Uuid::parse_str(id).unwrap().get_version_num(), 7);
    assert_eq!(created.header("location"), Some(&*format!("/api/v1/user/api-tokens/{id}")));

    let user = app.bearer(token).get("/api/user");
    assert_eq!((user.status, &user.body["email"]), (200, &json!("ada@example.com")));

    let list = ada.get("/api/v1/user/api-tokens");
    assert_eq!(list.body["data"][0]["id"], id);
    assert_eq!(list.body["data"][0]["last_used_at"], START);
    assert!(!list.text.contains(token.split_once('|').unwrap().1), "a list never shows a secret");

    let revoked = ada.delete(&format!("/api/v1/user/api-tokens/{id}"));
    assert_eq!((revoked.status, &revoked.body), (200, &json!({ "message": "Token revoked" })));
    assert_eq!(app.bearer(token).get("/api/user").status, 401);
}
