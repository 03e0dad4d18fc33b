//! The examples of the README, as they are in `tests/readme/`.
#![cfg(all(feature = "actix", feature = "tower"))]
#![allow(unreachable_pub, reason = "a test binary has no outside")]

use actix_web::dev::Service as _;
use axum::body::Body;
use serde_json::json;
use tower::ServiceExt;

#[path = "readme/actix.rs"]
mod actix;
#[path = "readme/axum.rs"]
mod axum_example;
#[path = "readme/check.rs"]
mod check;
mod support;

use support::Server;

#[test]
fn they_are_those_of_the_readme() {
    let readme = include_str!("../README.md");
    let examples: Vec<&str> = readme.split("```rust\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    let files = [include_str!("readme/check.rs"), include_str!("readme/axum.rs"), include_str!("readme/actix.rs")];
    assert_eq!(examples, files);
}

#[tokio::test]
async fn they_work() {
    assert!(check::connect().is_err(), "the variables are not set");
    let patd = Server::start();
    let (_, may) = patd.create_token(&["calls:read"], &json!({}));
    let (_, may_not) = patd.create_token(&[], &json!({}));
    let client = patd.client();
    let mut statuses = Vec::new();
    for token in [&*may, &may_not, "x"] {
        statuses.push(check::may_read_calls(&client, token, [192, 0, 2, 7].into()).await);
    }
    assert_eq!(statuses, [200, 403, 401]);
    let outage = patd_client::Client::builder("http://127.0.0.1:1", "own").build().unwrap();
    assert_eq!(check::may_read_calls(&outage, &may, [192, 0, 2, 7].into()).await, 503);

    let actix = actix_web::test::init_service(actix_web::App::new().configure(actix::actix_app(client.clone()))).await;
    for (token, status) in [(&may, 200), (&may_not, 403)] {
        let authorization = format!("Bearer {token}");
        let request = http::Request::get("/calls").header("Authorization", &authorization).body(Body::empty()).unwrap();
        let response = axum_example::axum_app(client.clone()).oneshot(request).await.unwrap();
        assert_eq!(response.status(), status);
        let request = actix_web::test::TestRequest::get().uri("/calls").append_header(("Authorization", authorization));
        assert_eq!(actix.call(request.to_request()).await.unwrap().status(), status);
    }
}
