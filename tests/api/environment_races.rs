//! Concurrent requests in environments.

use std::{
    sync::{
        Barrier, Mutex, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use serde_json::json;

use crate::{
    environment_tokens::{create, secret},
    environments::{environment, id_of, share},
    harness::TestApp,
};

const CHECKERS: usize = 16;
const ROUNDS: usize = 200;

#[test]
fn no_check_that_starts_after_the_environment_was_deleted_or_the_token_regenerated_succeeds() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let token = RwLock::new(String::new());
    // When the end of this round's token was answered. `None` until then.
    let answered: Mutex<Option<Instant>> = Mutex::new(None);
    let (start, end) = (Barrier::new(CHECKERS + 1), Barrier::new(CHECKERS + 1));
    let failed = AtomicBool::new(false);

    std::thread::scope(|scope| {
        for _ in 0..CHECKERS {
            scope.spawn(|| {
                for _ in 0..ROUNDS {
                    start.wait();
                    let client = app.bearer(&token.read().unwrap());
                    loop {
                        let started = Instant::now();
                        match client.post("/api/v1/auth/identify", json!({})).status {
                            200 => {
                                if answered.lock().unwrap().is_some_and(|answered| started > answered) {
                                    failed.store(true, Ordering::SeqCst);
                                    break;
                                }
                            }
                            401 => break,
                            other => panic!("a check answered {other}"),
                        }
                    }
                    end.wait();
                }
            });
        }
        for round in 0..ROUNDS {
            let path = environment(&ada, &format!("round {round}"));
            let created = create(&ada, &path, json!({ "name": "t" }));
            *token.write().unwrap() = secret(&created).to_owned();
            *answered.lock().unwrap() = None;
            start.wait();
            match round % 2 {
                0 => assert_eq!(ada.delete(&path).status, 200),
                _ => {
                    let regenerate = format!("{path}/tokens/{}/regenerate", id_of(&created));
                    assert_eq!(ada.post(&regenerate, json!({})).status, 201);
                }
            }
            *answered.lock().unwrap() = Some(Instant::now());
            end.wait();
        }
    });
    assert!(!failed.load(Ordering::SeqCst), "a check that started after the answer succeeded");
}

#[test]
fn a_removed_member_can_do_nothing_after_the_removal_was_answered() {
    let app = TestApp::spawn();
    let (ada, bob) = (app.sign_in("ada"), app.sign_in("bob"));
    for round in 0..40 {
        let path = environment(&ada, &format!("round {round}"));
        let tokens = format!("{path}/tokens");
        let member = share(&ada, &path, &bob, "admin");
        let (made, late) = std::thread::scope(|scope| {
            let creations: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        let mut made = Vec::new();
                        loop {
                            let started = Instant::now();
                            let status = bob.post(&tokens, json!({ "name": "t" })).status;
                            if status != 201 {
                                assert_eq!(status, 404);
                                return made;
                            }
                            made.push(started);
                        }
                    })
                })
                .collect();
            assert_eq!(ada.delete(&member).status, 200);
            let answered = Instant::now();
            // No token is created from now on: each request checks the role in its own transaction.
            let listed = ada.get(&tokens).body["data"].as_array().unwrap().len();
            let made: Vec<_> = creations.into_iter().flat_map(|one| one.join().unwrap()).collect();
            let late = made.iter().filter(|started| **started > answered).count();
            assert_eq!(
                ada.get(&tokens).body["data"].as_array().unwrap().len(),
                listed,
                "a token was created after the answer"
            );
            (made.len(), late)
        });
        assert_eq!(late, 0, "of {made}");
    }
}
