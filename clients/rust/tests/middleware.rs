//! The middleware of actix-web and the layer of tower (in axum) with the real server.
#![cfg(all(feature = "actix", feature = "tower"))]

use std::{net::IpAddr, time::Duration};

use actix_web::{App, HttpResponse, dev::Service as _, test, web};
use axum::{Extension, Router, body::Body, routing::get};
use patd_client::{Accepted, Client, actix, tower::TokensLayer};
use serde_json::{Value, json};
use tower::ServiceExt;

mod support;
use support::{FakeServer, Server};

/// What an application answered.
struct Answer {
    status: u16,
    challenge: Option<String>,
    retry_after: Option<String>,
    body: String,
}

impl Answer {
    fn code(&self) -> String {
        serde_json::from_str::<Value>(&self.body).unwrap()["code"].as_str().unwrap().to_owned()
    }
}

async fn ask_axum(client: Client, sessions: bool, authorization: &[&str], address: &str) -> Answer {
    let address: Option<IpAddr> = address.parse().ok();
    let mut layer = TokensLayer::new(client, ["calls:read"]).address(move |_| address);
    if sessions {
        layer = layer.accept_sessions();
    }
    let owner = |Extension(accepted): Extension<Accepted>| async move { accepted.owner.unwrap().id };
    let app = Router::new().route("/calls", get(owner)).layer(layer);
    let mut request = http::Request::get("/calls");
    for value in authorization {
        request = request.header("Authorization", *value);
    }
    let response = app.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let (status, challenge, retry_after) =
        (response.status().as_u16(), header("WWW-Authenticate"), header("Retry-After"));
    let body = axum::body::to_bytes(response.into_body(), 9999).await.unwrap();
    Answer { status, challenge, retry_after, body: String::from_utf8(body.to_vec()).unwrap() }
}

async fn ask_actix(client: Client, sessions: bool, authorization: &[&str], address: &str) -> Answer {
    let mut tokens = actix::Tokens::new(client, ["calls:read"]);
    if sessions {
        tokens = tokens.accept_sessions();
    }
    let owner = |accepted: web::ReqData<Accepted>| async move {
        HttpResponse::Ok().body(accepted.into_inner().owner.unwrap().id)
    };
    let app = test::init_service(App::new().wrap(tokens).route("/calls", web::get().to(owner))).await;
    let mut request = test::TestRequest::get().uri("/calls");
    if let Ok(address) = address.parse::<IpAddr>() {
        request = request.peer_addr((address, 4711).into());
    }
    for value in authorization {
        request = request.append_header(("Authorization", *value));
    }
    let response = app.call(request.to_request()).await.unwrap();
    let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let (status, challenge, retry_after) =
        (response.status().as_u16(), header("WWW-Authenticate"), header("Retry-After"));
    let body = String::from_utf8(test::read_body(response).await.to_vec()).unwrap();
    Answer { status, challenge, retry_after, body }
}

/// Tests one kind of application.
macro_rules! tests_of {
    ($name:ident, $ask:path) => {
        mod $name {
            use super::*;

            #[tokio::test]
            async fn lets_a_valid_token_pass() {
                let patd = Server::start();
                let (_, secret) = patd.create_token(&["calls:read"], &json!({}));
                for scheme in ["Bearer ", "bearer  "] {
                    let answer = $ask(patd.client(), false, &[&format!("{scheme}{secret}")], "192.0.2.7").await;
                    assert_eq!((answer.status, &*answer.body), (200, patd.user_id()));
                }
                let session = format!("Bearer {}", patd.session_token());
                let refused = $ask(patd.client(), false, &[&session], "192.0.2.7").await;
                assert_eq!((refused.status, &*refused.code()), (403, "wrong_kind"));
                assert_eq!($ask(patd.client(), true, &[&session], "192.0.2.7").await.status, 200);
            }

            #[tokio::test]
            async fn refuses_without_a_token_and_without_telling_why() {
                let (patd, expired) = Server::with_expired_token().await;
                let (_, secret) = patd.create_token(&["calls:read"], &json!({}));
                let twice = format!("Bearer {secret}");
                let none: [&[&str]; 7] = [&[], &[""], &["Bearer"], &["Bearer "], &["Basic dTpw"], &["pat_x"], &[&twice, &twice]];
                for authorization in none {
                    let answer = $ask(patd.client(), false, authorization, "192.0.2.7").await;
                    assert_eq!((answer.status, answer.challenge.as_deref()), (401, Some("Bearer")), "{authorization:?}");
                }
                let (id, revoked) = patd.create_token(&["calls:read"], &json!({}));
                patd.revoke_token(&id);
                let (_, here) = patd.create_token(&["calls:read"], &json!({"ip_allowlist": ["192.0.2.7"]}));
                let refused = [(&*revoked, "192.0.2.7"), (&expired, "192.0.2.7"), ("x", "192.0.2.7"), (&here, "192.0.2.8"), (&here, "")];
                for (token, address) in refused {
                    let answer = $ask(patd.client(), false, &[&format!("Bearer {token}")], address).await;
                    assert_eq!((answer.status, &*answer.code()), (401, "unauthenticated"));
                    assert_eq!(answer.challenge.as_deref(), Some(r#"Bearer error="invalid_token""#));
                }
                assert_eq!($ask(patd.client(), false, &[&format!("Bearer {here}")], "192.0.2.7").await.status, 200);
            }

            #[tokio::test]
            async fn refuses_what_a_token_may_not_do() {
                let patd = Server::start();
                let (_, secret) = patd.create_token(&["calls:write"], &json!({}));
                let answer = $ask(patd.client(), false, &[&format!("Bearer {secret}")], "192.0.2.7").await;
                assert_eq!((answer.status, &*answer.code()), (403, "missing_ability"));
                assert!(answer.body.contains(r#""required":["calls:read"]"#), "{}", answer.body);
                let challenge = r#"Bearer error="insufficient_scope", scope="calls:read""#;
                assert_eq!(answer.challenge.as_deref(), Some(challenge));
                for (limit, code) in [("requests_per_minute", "too_many_attempts"), ("quota", "quota_exceeded")] {
                    let (_, secret) = patd.create_token(&["calls:read"], &json!({limit: 1}));
                    let authorization = format!("Bearer {secret}");
                    assert_eq!($ask(patd.client(), false, &[&authorization], "192.0.2.7").await.status, 200);
                    let answer = $ask(patd.client(), false, &[&authorization], "192.0.2.7").await;
                    assert_eq!((answer.status, &*answer.code()), (429, code));
                }
            }

            #[tokio::test]
            async fn answers_503_if_it_cannot_know() {
                let patd = Server::start();
                let (_, secret) = patd.create_token(&["calls:read"], &json!({}));
                let silent = FakeServer::start(None, None);
                for url in ["http://127.0.0.1:1", &silent.url, patd.url()] {
                    let client = Client::builder(url, "own").timeout(Duration::from_millis(500)).build().unwrap();
                    let answer = $ask(client, false, &[&format!("Bearer {secret}")], "192.0.2.7").await;
                    assert_eq!((answer.status, &*answer.code()), (503, "undecided"));
                    assert_eq!((answer.retry_after.as_deref(), answer.challenge), (Some("1"), None));
                }
            }
        }
    };
}

tests_of!(in_axum, ask_axum);
tests_of!(in_actix, ask_actix);
