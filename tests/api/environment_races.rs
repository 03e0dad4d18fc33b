//! Concurrent requests in environments.

use std::time::Instant;

use serde_json::json;

use crate::{
    environment_tokens::{create, secret},
    environments::{environment, id_of, share},
    harness::TestApp,
    races::expect_refused_after,
};

const CHECKERS: usize = 16;
const ROUNDS: usize = 200;

#[test]
fn no_check_that_starts_after_the_environment_was_deleted_or_the_token_regenerated_succeeds() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    for round in 0..ROUNDS {
        let path = environment(&ada, &format!("round {round}"));
        let created = create(&ada, &path, json!({ "name": "t" }));
        let token = app.bearer(secret(&created));
        let check = || token.post("/api/v1/auth/identify", json!({})).status;
        expect_refused_after(CHECKERS, check, || match round % 2 {
            0 => assert_eq!(ada.delete(&path).status, 200),
            _ => {
                let regenerate = format!("{path}/tokens/{}/regenerate", id_of(&created));
                assert_eq!(ada.post(&regenerate, json!({})).status, 201);
            }
        });
    }
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
