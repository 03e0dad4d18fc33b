//! Reuse of a secret that rotation has ended: it is recorded, and the record is not lost.

use std::time::Duration;

use patd::{
    domain::audit::{Actor, RequestSource},
    ops::{rotation::authenticate_for_rotation, verification::Caller},
};
use serde_json::{Value, json};

use crate::{
    harness::{Client, TestApp, block_on},
    outage::{Fault, Faulty, Switch},
};

/// A secret that the first use of its successor has ended, and the secret of the successor.
fn replaced(app: &TestApp, owner: &Client<'_>) -> (String, String) {
    let old = owner.create_token(json!({ "name": "t" }));
    let path = format!("/api/v1/user/api-tokens/{}/rotate", old["id"].as_str().unwrap());
    let new = owner.post(&path, json!({})).body["data"].clone();
    let [old, new] = [old, new].map(|token| token["token"].as_str().unwrap().to_owned());
    assert_eq!(app.bearer(&new).get("/api/user").status, 200);
    (old, new)
}

fn detected(owner: &Client<'_>) -> Vec<Value> {
    let mut events = owner.get("/api/v1/user/audit").body["data"].as_array().unwrap().clone();
    events.retain(|event| event["action"] == "token.reuse_detected");
    events
}

#[test]
fn a_reuse_is_recorded_with_its_address() {
    let policy = "[[policies]]\nname = 'app'\nrules = [{ paths = ['/**'] }]\n";
    let app = TestApp::with_file(policy, &[("server.trusted_proxies", "127.0.0.1")]);
    let ada = app.sign_in("ada");
    let asked = [("X-Original-Method", "GET"), ("X-Original-URI", "/"), ("X-Forwarded-For", "198.51.100.7")];
    for path in ["/api/user", "/api/authz/auth-request/app"] {
        let old = app.bearer(&replaced(&app, &ada).0);
        assert_eq!(old.send_with("GET", path, &asked, &[]).status, 401);
    }
    let start = std::time::Instant::now();
    while detected(&ada).len() < 2 {
        assert!(start.elapsed() < Duration::from_secs(10), "it was never recorded");
        std::thread::sleep(Duration::from_millis(25));
    }
    assert!(detected(&ada).iter().all(|event| event["address"] == "198.51.100.7"), "{:?}", detected(&ada));
}

/// A client tries to rotate with an ended secret while nothing can be written. It is written later.
fn comes_back(app: &TestApp, switch: &Switch) {
    let ada = app.sign_in("ada");
    let (old, new) = replaced(app, &ada);
    switch.fail_writes();
    let anonymous = RequestSource {
        actor: Actor::Anonymous,
        address: None,
        request_id: Some("the request".to_owned()),
        keyed: None,
    };
    let tried = block_on(async {
        let accepted = authenticate_for_rotation(&app.ops, &old, Caller::default(), anonymous);
        tokio::time::timeout(Duration::from_millis(100), accepted).await
    });
    assert!(!matches!(tried, Ok(Ok(_))));
    switch.heal();
    assert!(detected(&ada).is_empty() && app.bearer(&new).get("/api/user").status == 200);
    for _ in 0..2 {
        block_on(app.ops.flush_reuse()).unwrap();
        assert_eq!(detected(&ada).len(), 1);
    }
    assert_eq!(detected(&ada)[0]["request_id"], "the request");
    assert_eq!(app.bearer(&new).get("/api/user").status, 401, "the family was revoked");
}

#[test]
fn a_reuse_that_could_not_be_written_is_recorded_later_and_ends_its_family_then() {
    let (switch, store) = Faulty::switched();
    comes_back(&TestApp::with_store(&[], store), &switch);
}

#[test]
fn a_reuse_whose_request_was_aborted_is_recorded_later_and_ends_its_family_then() {
    let (switch, store) = Faulty::switched_to(Fault::Hangs);
    comes_back(&TestApp::with_store(&[], store), &switch);
}

#[test]
fn a_reuse_stays_queued_until_it_is_written() {
    let (switch, store) = Faulty::switched();
    let app = TestApp::with_store(&[], store);
    let ada = app.sign_in("ada");
    let (old, _) = replaced(&app, &ada);
    let presented = patd::ops::verification::authenticate(&app.ops, &old, Caller::default());
    assert!(block_on(presented).is_err());
    switch.fail_writes();
    assert!(block_on(app.ops.flush_reuse()).is_err());
    switch.heal();
    for _ in 0..2 {
        block_on(app.ops.flush_reuse()).unwrap();
        assert_eq!(detected(&ada).len(), 1);
    }
}
