//! Concurrent requests: no check that starts after a revocation was answered succeeds.

use std::{
    sync::{
        Barrier, Mutex, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use patd::{domain::audit::RequestSource, ops::accounts};
use serde_json::json;

use crate::{
    harness::{TestApp, block_on},
    support::database::is_on_postgres,
};

const CHECKERS: usize = 64;

/// Fewer on PostgreSQL, where each takes longer: tests/cluster/ makes more, on several nodes.
fn rounds() -> usize {
    if is_on_postgres() { 200 } else { 1000 }
}

#[test]
fn no_check_that_starts_after_the_revocation_was_answered_succeeds() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let token = RwLock::new(String::new());
    // When the revocation of this round was answered. `None` until then.
    let answered: Mutex<Option<Instant>> = Mutex::new(None);
    let (start, end) = (Barrier::new(CHECKERS + 1), Barrier::new(CHECKERS + 1));
    let failed = AtomicBool::new(false);

    std::thread::scope(|scope| {
        for _ in 0..CHECKERS {
            scope.spawn(|| {
                for _ in 0..rounds() {
                    start.wait();
                    let client = app.bearer(&token.read().unwrap());
                    loop {
                        let started = Instant::now();
                        match client.get("/api/user").status {
                            200 => {
                                if answered.lock().unwrap().is_some_and(|answered| started > answered) {
                                    failed.store(true, Ordering::SeqCst);
                                    break;
                                }
                            }
                            401 => break,
                            // A busy machine may renew the lease of the node too late: then it does not decide.
                            503 if is_on_postgres() => {}
                            other => panic!("a check answered {other}"),
                        }
                    }
                    end.wait();
                }
            });
        }
        for round in 0..rounds() {
            let created = ada.create_token(json!({ "name": format!("round {round}") }));
            *token.write().unwrap() = created["token"].as_str().unwrap().to_owned();
            *answered.lock().unwrap() = None;
            start.wait();
            let path = format!("/api/v1/user/api-tokens/{}", created["id"].as_str().unwrap());
            assert_eq!(ada.delete(&path).status, 200);
            *answered.lock().unwrap() = Some(Instant::now());
            end.wait();
        }
    });
    assert!(!failed.load(Ordering::SeqCst), "a check that started after the answer succeeded");
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
        let answered: Mutex<Option<Instant>> = Mutex::new(None);
        let (begun, made) = (Barrier::new(9), Mutex::new(Vec::new()));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    begun.wait();
                    loop {
                        let started = Instant::now();
                        let created = owner.post("/api/v1/user/api-tokens", json!({ "name": "t" }));
                        let late = answered.lock().unwrap().is_some_and(|answered| started > answered);
                        match created.status {
                            201 if late => panic!("a disabled owner made a token"),
                            201 => {
                                made.lock().unwrap().push(created.body["data"]["token"].as_str().unwrap().to_owned())
                            }
                            401 => break,
                            // A busy machine may renew the lease of the node too late: then it does not decide.
                            503 if is_on_postgres() => {}
                            other => panic!("a creation answered {other}"),
                        }
                    }
                });
            }
            begun.wait();
            block_on(accounts::disable(
                &app.ops,
                crate::harness::ADMINISTRATOR,
                id,
                patd::store::LastAdmin::MayGo,
                RequestSource::COMMAND_LINE,
            ))
            .unwrap();
            *answered.lock().unwrap() = Some(Instant::now());
        });
        for token in made.into_inner().unwrap() {
            assert_eq!(app.bearer(&token).get("/api/user").status, 401);
        }
    }
}
