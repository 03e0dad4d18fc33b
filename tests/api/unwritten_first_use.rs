//! The first use of a successor while the store cannot write.

use std::sync::atomic::Ordering;

use serde_json::json;

use crate::outage::{WELL, WRITES_FAIL, failing_app};

#[test]
fn a_first_use_that_cannot_be_written_is_accepted_and_written_when_it_can_be() {
    let (app, mode) = failing_app();
    let ada = app.sign_in("ada");
    let created = ada.create_token(json!({ "name": "t" }));
    let old = app.bearer(created["token"].as_str().unwrap());
    let rotate = |body| ada.post(&format!("/api/v1/user/api-tokens/{}/rotate", created["id"].as_str().unwrap()), body);
    let answer = rotate(json!({}));
    let new = app.bearer(answer.body["data"]["token"].as_str().unwrap());
    mode.store(WRITES_FAIL, Ordering::SeqCst);
    for _ in 0..2 {
        assert_eq!((new.get("/api/user").status, old.get("/api/user").status), (200, 200), "checks still work");
    }
    // The use is not on disk yet, but the server knows it.
    assert_eq!(rotate(json!({ "replace_unused": true })).status, 503);
    mode.store(WELL, Ordering::SeqCst);
    assert_eq!(old.get("/api/user").status, 200);
    assert_eq!(old.post("/api/v1/user/api-tokens/self/rotate", json!({ "replace_unused": true })).status, 401);
    assert_eq!((new.get("/api/user").status, old.get("/api/user").status), (200, 401));
}
