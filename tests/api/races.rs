//! Concurrent requests: no check that starts after a revocation was answered succeeds.

use std::{
    sync::{
        Barrier, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use patd::{domain::audit::RequestSource, ops::accounts, store::LastAdmin};
use serde_json::json;

use crate::{
    harness::{ADMINISTRATOR, TestApp, block_on},
    support::{database::is_on_postgres, harness::AtEnd},
};

/// Fewer on PostgreSQL, where each takes longer: tests/cluster/ makes more, on several nodes.
fn rounds() -> usize {
    if is_on_postgres() { 200 } else { 1000 }
}

/// Fewer on PostgreSQL, because the thread that renews the lease needs a part of the time.
fn checkers() -> usize {
    if is_on_postgres() { 8 } else { 64 }
}

/// Repeats a check on some threads while `end` takes away what it needs. Fails if a check that starts after that is accepted.
pub fn expect_refused_after(checkers: usize, check: impl Fn() -> u16 + Sync, end: impl FnOnce()) {
    // When `end` was answered. `None` until then.
    let answered: Mutex<Option<Instant>> = Mutex::new(None);
    let (start, is_over) = (Barrier::new(checkers + 1), AtomicBool::new(false));
    let repeat = || {
        start.wait();
        while !is_over.load(Ordering::Relaxed) {
            let started = Instant::now();
            match check() {
                200 => {
                    let is_late = answered.lock().unwrap().is_some_and(|answered| started > answered);
                    assert!(!is_late, "a check that started after the answer succeeded");
                }
                401 => break,
                // A busy machine may renew the lease of the node too late: then it does not decide.
                503 if is_on_postgres() => {}
                other => panic!("a check answered {other}"),
            }
        }
    };
    std::thread::scope(|scope| {
        let checking: Vec<_> = (0..checkers).map(|_| scope.spawn(repeat)).collect();
        // If something fails, the other threads must not go on for ever.
        let _at_end = AtEnd(&is_over);
        start.wait();
        end();
        *answered.lock().unwrap() = Some(Instant::now());
        checking.into_iter().for_each(|checker| checker.join().unwrap());
    });
}

#[test]
fn no_check_that_starts_after_the_revocation_was_answered_succeeds() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    for round in 0..rounds() {
        let created = ada.create_token(json!({ "name": format!("round {round}") }));
        let token = app.bearer(created["token"].as_str().unwrap());
        let path = format!("/api/v1/user/api-tokens/{}", created["id"].as_str().unwrap());
        let check = || token.get("/api/user").status;
        expect_refused_after(checkers(), check, || assert_eq!(ada.delete(&path).status, 200));
    }
}

#[test]
fn exactly_one_of_many_revocations_of_a_token_succeeds() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let created = ada.create_token(json!({ "name": "t" }));
    let path = format!("/api/v1/user/api-tokens/{}", created["id"].as_str().unwrap());
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let revocations: Vec<_> = (0..16).map(|_| scope.spawn(|| ada.delete(&path).status)).collect();
        revocations.into_iter().map(|revocation| revocation.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 404).count(), 15, "{statuses:?}");
}

#[test]
fn parallel_creations_at_the_limit_create_exactly_as_many_as_allowed() {
    let app = TestApp::with(&[("tokens.max_per_user", "10")]);
    let ada = app.sign_in("ada");
    let made = std::thread::scope(|scope| {
        let creations: Vec<_> = (0..100)
            .map(|_| scope.spawn(|| ada.post("/api/v1/user/api-tokens", json!({ "name": "t" })).status))
            .collect();
        creations.into_iter().map(|one| one.join().unwrap()).filter(|status| *status == 201).count()
    });
    assert_eq!(made, 10);
}

#[test]
fn no_creation_that_starts_after_its_owner_was_disabled_succeeds_and_earlier_tokens_are_refused() {
    let app = TestApp::spawn();
    for round in 0..20 {
        let name = format!("owner-{round}");
        let id = app.user(&name).id;
        let owner = app.sign_in_again(&name);
        let made = Mutex::new(Vec::new());
        let create = || {
            let created = owner.post("/api/v1/user/api-tokens", json!({ "name": "t" }));
            if created.status != 201 {
                return created.status;
            }
            made.lock().unwrap().push(created.body["data"]["token"].as_str().unwrap().to_owned());
            200
        };
        let source = RequestSource::COMMAND_LINE;
        expect_refused_after(8, create, || {
            block_on(accounts::disable(&app.ops, ADMINISTRATOR, id, LastAdmin::MayGo, source)).unwrap();
        });
        for token in made.into_inner().unwrap() {
            assert_eq!(app.bearer(&token).get("/api/user").status, 401);
        }
    }
}
