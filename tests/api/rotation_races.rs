//! What must hold while rotations cross each other, revocations, and the use of what they made. Each attempt has a start
//! and an end; what is judged is what began after an answer.

use std::{
    sync::{
        Barrier, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use serde_json::{Value, json};

use crate::harness::{Answer, Client, TestApp};

const TOKENS: &str = "/api/v1/user/api-tokens";
const SELF: &str = "/api/v1/user/api-tokens/self/rotate";

fn path(token: &Value) -> String {
    format!("{TOKENS}/{}", token["id"].as_str().unwrap())
}

fn holder<'a>(app: &'a TestApp, token: &Value) -> Client<'a> {
    app.bearer(token["token"].as_str().unwrap())
}

/// Sends all at the same moment.
fn together(times: usize, send: impl Fn(usize) -> Answer + Sync) -> Vec<Answer> {
    let start = Barrier::new(times);
    std::thread::scope(|scope| {
        let sent: Vec<_> = (0..times)
            .map(|at| {
                let (start, send) = (&start, &send);
                scope.spawn(move || {
                    start.wait();
                    send(at)
                })
            })
            .collect();
        sent.into_iter().map(|one| one.join().unwrap()).collect()
    })
}

fn made(answers: &[Answer]) -> Vec<&Value> {
    answers.iter().filter(|answer| answer.status == 201).map(|answer| &answer.body["data"]).collect()
}

#[test]
fn of_many_rotations_of_a_token_exactly_one_wins() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    for _ in 0..20 {
        let old = ada.create_token(json!({ "name": "t" }));
        let token = holder(&app, &old);
        let answers = together(16, |at| match at % 2 {
            0 => ada.post(&format!("{}/rotate", path(&old)), json!({})),
            _ => token.post(SELF, json!({})),
        });
        assert_eq!(made(&answers).len(), 1);
        for answer in answers.iter().filter(|answer| answer.status != 201) {
            assert_eq!((answer.status, &answer.body["code"]), (409, &json!("already_rotated")));
        }
        assert_eq!(holder(&app, made(&answers)[0]).get("/api/user").status, 200);
    }
}

#[test]
fn of_many_replacements_of_an_unused_successor_the_last_alone_is_good() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    for _ in 0..10 {
        let old = ada.create_token(json!({ "name": "t" }));
        let token = holder(&app, &old);
        let answers = together(8, |_| token.post(SELF, json!({ "replace_unused": true })));
        let made = made(&answers);
        assert_eq!(made.len(), 8, "nobody used any");
        let good = made.iter().filter(|new| holder(&app, new).get("/api/user").status == 200).count();
        assert_eq!(good, 1);
        assert_eq!(token.get("/api/user").status, 401);
    }
}

#[test]
fn a_successor_that_was_used_never_gives_way() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    for _ in 0..100 {
        let old = ada.create_token(json!({ "name": "t" }));
        let rotate = |body: Value| ada.post(&format!("{}/rotate", path(&old)), body);
        let first = rotate(json!({ "end_on_first_use": false })).body["data"].clone();
        let successor = holder(&app, &first);
        let answers = together(2, |at| match at {
            0 => successor.get("/api/user"),
            _ => rotate(json!({ "replace_unused": true })),
        });
        let (used, replaced) = (answers[0].status, answers[1].status);
        assert!([(200, 409), (401, 201)].contains(&(used, replaced)), "used: {used}, replaced: {replaced}");
        assert_eq!(successor.get("/api/user").status, used);
    }
}

#[test]
fn after_a_rotation_and_a_revocation_that_cross_what_was_revoked_is_refused() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    for _ in 0..100 {
        let old = ada.create_token(json!({ "name": "t" }));
        let answers = together(2, |at| match at {
            0 => ada.delete(&path(&old)),
            _ => ada.post(&format!("{}/rotate", path(&old)), json!({})),
        });
        assert_eq!(answers[0].status, 200);
        assert_eq!(holder(&app, &old).get("/api/user").status, 401);
        match answers[1].status {
            // It was first: revocation ends what it names, and the successor is another token.
            201 => assert_eq!(holder(&app, &answers[1].body["data"]).get("/api/user").status, 200),
            404 => {}
            other => panic!("{other}"),
        }
    }
}

#[test]
fn no_use_of_the_old_secret_that_starts_after_the_first_use_of_the_new_one_was_answered_succeeds() {
    const CHECKERS: usize = 8;
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let failed = AtomicBool::new(false);
    for _ in 0..30 {
        let old = ada.create_token(json!({ "name": "t" }));
        let new = ada.post(&format!("{}/rotate", path(&old)), json!({})).body["data"].clone();
        let (old, new) = (holder(&app, &old), holder(&app, &new));
        // When the first use was answered; none until then.
        let answered: Mutex<Option<Instant>> = Mutex::new(None);
        let start = Barrier::new(CHECKERS + 2);
        std::thread::scope(|scope| {
            for _ in 0..CHECKERS {
                scope.spawn(|| {
                    start.wait();
                    loop {
                        let started = Instant::now();
                        match old.get("/api/user").status {
                            200 if answered.lock().unwrap().is_some_and(|answered| started > answered) => {
                                failed.store(true, Ordering::SeqCst);
                                break;
                            }
                            200 => {}
                            401 => break,
                            other => panic!("a check answered {other}"),
                        }
                    }
                });
            }
            for _ in 0..2 {
                scope.spawn(|| {
                    start.wait();
                    assert_eq!(new.get("/api/user").status, 200, "what is good is not refused");
                    answered.lock().unwrap().get_or_insert_with(Instant::now);
                });
            }
        });
    }
    assert!(!failed.load(Ordering::SeqCst), "the old secret was accepted after the new one");
}
