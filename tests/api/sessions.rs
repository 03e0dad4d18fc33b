//! A person's sessions: listed, ended, and ending by themselves.

use std::time::Duration;

use insta::assert_snapshot;
use serde_json::json;

use crate::harness::{TestApp, email, password};

const LOGIN: &str = "/api/v1/auth/login";

#[test]
fn sessions_are_listed_and_ended_by_their_owner() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    app.advance(Duration::from_secs(1));
    let phone = json!({ "email": email("ada"), "password": password("ada"), "device_name": "phone" });
    let phone = app.anonymous().post(LOGIN, phone).body["data"].clone();
    let path = format!("/api/v1/user/sessions/{}", phone["id"].as_str().unwrap());
    let phone = app.bearer(phone["token"].as_str().unwrap());
    assert_snapshot!(ada.get("/api/v1/user/sessions").shown(), @r#"
    200
    {
      "data": [
        {
          "created_at": "2024-01-15T19:00:01Z",
          "current": false,
          "device_name": "phone",
          "expires_at": "2024-02-14T19:00:01Z",
          "id": "[uuid]",
          "last_used_at": "2024-01-15T19:00:01Z"
        },
        {
          "created_at": "2024-01-15T19:00:00Z",
          "current": true,
          "device_name": null,
          "expires_at": "2024-02-14T19:00:00Z",
          "id": "[uuid]",
          "last_used_at": "2024-01-15T19:00:01Z"
        }
      ]
    }
    "#);

    let bob = app.sign_in("bob");
    assert_snapshot!(bob.delete(&path).shown(), @r#"
    404
    {
      "code": "not_found",
      "message": "Not found."
    }
    "#);
    assert_eq!(phone.get("/api/user").status, 200);
    assert_snapshot!(ada.delete(&path).shown(), @r#"
    200
    {
      "message": "Session revoked"
    }
    "#);
    assert_eq!(phone.get("/api/user").status, 401);
    assert_eq!(ada.delete(&path).status, 404);
    assert_eq!(ada.delete("/api/v1/user/sessions/none").status, 404);

    let others = [app.sign_in_again("ada"), app.sign_in_again("ada")];
    assert_snapshot!(ada.delete("/api/v1/user/sessions").shown(), @r#"
    200
    {
      "message": "Other sessions revoked"
    }
    "#);
    assert!(others.iter().all(|other| other.get("/api/user").status == 401));
    assert_eq!((ada.get("/api/user").status, bob.get("/api/user").status), (200, 200));
}

#[test]
fn a_session_ends_when_its_life_is_over_however_much_it_is_used() {
    let app = TestApp::with(&[("sessions.lifetime", "3d"), ("sessions.idle_lifetime", "2d")]);
    let ada = app.sign_in("ada");
    for _ in 0..2 {
        app.advance(Duration::from_secs(24 * 60 * 60));
        assert_eq!(ada.get("/api/user").status, 200);
    }
    app.advance(Duration::from_secs(24 * 60 * 60 - 1));
    assert_eq!(ada.get("/api/user").status, 200);
    app.advance(Duration::from_secs(1));
    assert_eq!(ada.get("/api/user").status, 401);
}

#[test]
fn a_session_that_is_not_used_ends_earlier() {
    let app = TestApp::with(&[("sessions.lifetime", "30d"), ("sessions.idle_lifetime", "2d")]);
    let ada = app.sign_in("ada");
    let idle = app.sign_in_again("ada");
    app.advance(Duration::from_secs(24 * 60 * 60));
    assert_eq!(ada.get("/api/user").status, 200);
    app.advance(Duration::from_secs(24 * 60 * 60));
    assert_eq!((ada.get("/api/user").status, idle.get("/api/user").status), (200, 401));
    assert_eq!(ada.get("/api/v1/user/sessions").body["data"].as_array().unwrap().len(), 1);
}
