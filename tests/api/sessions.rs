//! Sessions: listed, ended by the user, and expired.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use insta::assert_snapshot;
use serde_json::json;

use crate::harness::{Client, TestApp, email, password};

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
fn a_session_expires_even_if_it_is_used() {
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
fn an_idle_session_ends_earlier() {
    let app = TestApp::with(&[("sessions.lifetime", "30d"), ("sessions.idle_lifetime", "2d")]);
    let ada = app.sign_in("ada");
    let idle = app.sign_in_again("ada");
    app.advance(Duration::from_secs(24 * 60 * 60));
    assert_eq!(ada.get("/api/user").status, 200);
    app.advance(Duration::from_secs(24 * 60 * 60));
    assert_eq!((ada.get("/api/user").status, idle.get("/api/user").status), (200, 401));
    assert_eq!(ada.get("/api/v1/user/sessions").body["data"].as_array().unwrap().len(), 1);
}

/// A stolen session sends the head of a request, and the body after the owner has ended the session.
#[test]
fn a_session_that_ends_during_its_request_creates_and_changes_nothing() {
    let app = TestApp::with(&[("accounts.email_change", "true")]);
    let ada = app.sign_in("ada");
    let requests = [
        ("POST", "/api/v1/user/api-tokens", json!({ "name": "t" })),
        ("PATCH", "/api/v1/user", json!({ "name": "Mallory" })),
        ("PATCH", "/api/v1/user", json!({ "email": "mallory@example.com", "current_password": password("ada") })),
        (
            "PUT",
            "/api/v1/user/password",
            json!({ "current_password": password("ada"), "password": "quite another long one" }),
        ),
    ];
    for (method, path, body) in requests {
        let stolen = app.sign_in_again("ada");
        app.advance(Duration::from_secs(1));
        let body = body.to_string();
        let mut stream = TcpStream::connect(app.address).unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            stolen.token.as_ref().unwrap(),
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        // The server sends 100 Continue after the head. A moment later the handler waits for the body.
        let mut interim = [0; 25];
        stream.read_exact(&mut interim).unwrap();
        assert!(interim.starts_with(b"HTTP/1.1 100"));
        stream.write_all(&body.as_bytes()[..5]).unwrap();
        wait_until_accepted(&ada);
        assert_eq!(ada.delete("/api/v1/user/sessions").status, 200);
        stream.write_all(&body.as_bytes()[5..]).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 401"), "{method} {path}: {answer}");
    }
    assert_eq!(ada.get("/api/v1/user/api-tokens").body["data"], json!([]));
    assert_eq!(ada.get("/api/user").body["email"], "ada@example.com");
    app.sign_in_again("ada");
}

/// Waits until the guard has accepted the other session, which then has a later last use.
fn wait_until_accepted(owner: &Client<'_>) {
    loop {
        let list = owner.get("/api/v1/user/sessions").body;
        let used = |current: bool| {
            let sessions = list["data"].as_array().unwrap().iter();
            sessions
                .filter(|session| session["current"] == current)
                .map(|session| session["last_used_at"].clone())
                .max_by_key(ToString::to_string)
        };
        if used(true) == used(false) {
            return;
        }
    }
}
