//! Rotations that run concurrently with each other, with revocations, and with uses of their successors. Each attempt
//! has a start and an end. The tests check what starts after an answer.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::{
        Barrier, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use patd::{
    domain::audit::{Actor, RequestSource},
    ops::{
        self,
        rotation::{self, Rotated, RotationRequest},
        tokens::Expiry,
        verification::{self, Caller},
    },
};
use serde_json::{Value, json};

use crate::{
    harness::{Answer, Client, TestApp, block_on},
    outage::{Fault, Faulty},
};

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
fn exactly_one_of_many_rotations_of_a_token_succeeds() {
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
fn after_many_replacements_of_an_unused_successor_only_the_last_is_valid() {
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
fn a_used_successor_is_never_replaced() {
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
fn after_a_concurrent_rotation_and_revocation_the_revoked_token_is_refused() {
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
            // The rotation was first. The revocation ends only the token that it names, and the successor is another
            // token.
            201 => assert_eq!(holder(&app, &answers[1].body["data"]).get("/api/user").status, 200),
            404 => {}
            _ => panic!("{}", answers[1].shown()),
        }
    }
}

#[test]
fn the_old_secret_is_refused_once_the_first_use_of_the_new_one_was_answered() {
    const CHECKERS: usize = 8;
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let failed = AtomicBool::new(false);
    for _ in 0..30 {
        let old = ada.create_token(json!({ "name": "t" }));
        let new = ada.post(&format!("{}/rotate", path(&old)), json!({})).body["data"].clone();
        let (old, new) = (holder(&app, &old), holder(&app, &new));
        // When the first use was answered. `None` until then.
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

/// A rotation of the token by itself without a grace.
const AT_ONCE: RotationRequest = RotationRequest {
    abilities: None,
    grace: Some(Duration::ZERO),
    end_on_first_use: None,
    expiry: Expiry::Default,
    replace_unused: false,
};

fn anonymous() -> RequestSource {
    RequestSource::without_request(Actor::Anonymous)
}

fn detected(owner: &Client<'_>) -> usize {
    let events = owner.get("/api/v1/user/audit").body["data"].as_array().unwrap().clone();
    events.iter().filter(|event| event["action"] == "token.reuse_detected").count()
}

/// A rotation by the token itself. The server has read its head and waits for its body.
struct Begun(TcpStream);

impl Begun {
    fn new(app: &TestApp, token: &Value, body: &str) -> Self {
        let mut stream = TcpStream::connect(app.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let head = format!(
            "POST {SELF} HTTP/1.1\r\nHost: patd\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n",
            token["token"].as_str().unwrap(),
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut interim = [0; 25];
        stream.read_exact(&mut interim).unwrap();
        assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
        Self(stream)
    }

    fn end(mut self, body: &str) -> (u16, Value) {
        self.0.write_all(body.as_bytes()).unwrap();
        let mut answer = String::new();
        self.0.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head[9..12].parse().unwrap(), serde_json::from_str(body).unwrap())
    }
}

#[test]
fn one_of_several_simultaneous_rotations_without_grace_succeeds_and_its_token_is_valid() {
    const BODY: &str = r#"{"grace":0}"#;
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    for _ in 0..20 {
        let old = ada.create_token(json!({ "name": "t" }));
        let begun: Vec<Begun> = (0..6).map(|_| Begun::new(&app, &old, BODY)).collect();
        let answers: Vec<(u16, Value)> = std::thread::scope(|scope| {
            let ends: Vec<_> = begun.into_iter().map(|begun| scope.spawn(|| begun.end(BODY))).collect();
            ends.into_iter().map(|end| end.join().unwrap()).collect()
        });
        let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|(status, _)| *status == 201);
        assert_eq!(won.len(), 1, "{answers:?}");
        let new = &won[0].1["data"];
        for (status, body) in lost {
            assert_eq!((*status, &body["code"]), (409, &json!("already_rotated")));
            assert_eq!(body["successor"], new["id"]);
        }
        assert_eq!(holder(&app, new).get("/api/user").status, 200);
    }
    assert_eq!(detected(&ada), 0);
}

#[test]
fn a_request_after_the_end_is_a_race_before_the_answer_and_a_reuse_after_it() {
    let (switch, store) = Faulty::switched_to(Fault::AnswersLate);
    let app = TestApp::with_store(&[], store);
    let ada = app.sign_in("ada");
    let old = ada.create_token(json!({ "name": "t" }));
    let weak = ada.create_token(json!({ "name": "weak", "abilities": ["user:read"] }));
    let (old, weak) = ((holder(&app, &old), old), (holder(&app, &weak), weak));
    switch.fail_writes();
    let (won, lost) = std::thread::scope(|scope| {
        let winner = scope.spawn(|| old.0.post(SELF, json!({ "grace": 0 })));
        let by_owner = scope.spawn(|| ada.post(&format!("{}/rotate", path(&weak.1)), json!({ "grace": 0 })));
        // The rotation is committed and not yet answered.
        while old.0.get("/api/user").status == 200 || weak.0.get("/api/user").status == 200 {}
        let lost: Vec<Answer> = (0..6).map(|_| old.0.post(SELF, json!({ "grace": 0 }))).collect();
        assert_eq!(weak.0.post(SELF, json!({})).status, 401, "it may not rotate itself, in a race or not");
        switch.heal();
        assert_eq!(by_owner.join().unwrap().status, 201);
        (winner.join().unwrap(), lost)
    });
    assert_eq!(won.status, 201, "{}", won.shown());
    let new = &won.body["data"];
    for answer in lost {
        assert_eq!((answer.status, &answer.body["code"]), (409, &json!("already_rotated")));
        assert_eq!(answer.body["successor"], new["id"]);
    }
    let new = holder(&app, new);
    assert_eq!(new.get("/api/user").status, 200);
    assert_eq!(detected(&ada), 0);
    // The rotation was answered, so the same request is a reuse now.
    assert_eq!(old.0.post(SELF, json!({ "grace": 0 })).status, 401);
    assert_eq!(new.get("/api/user").status, 401, "and ends the family");
    // Twice if housekeeping wrote the use between the check and the revocation, which names it again.
    assert!((1..=2).contains(&detected(&ada)));
}

/// Calls the operations directly, because they control exactly when a request starts and when an end is answered.
#[test]
fn a_use_during_a_rotation_is_not_recorded_as_a_reuse() {
    let app = TestApp::spawn();
    let (ada, ops) = (app.sign_in("ada"), &app.ops);
    let make = || ada.create_token(json!({ "name": "t" }))["token"].as_str().unwrap().to_owned();
    let present = async |secret: &str, since| {
        let caller = Caller { since, ..Caller::default() };
        assert!(verification::authenticate(ops, secret, caller).await.is_err());
        ops.flush_reuse().await.unwrap();
        detected(&ada)
    };
    let rotate = async |secret: &str, request| {
        let asking = rotation::authenticate_for_rotation(ops, secret, Caller::default(), anonymous()).await?;
        rotation::rotate_self(ops, &asking, request, anonymous()).await
    };
    block_on(async {
        // A rotation without a grace.
        let old = make();
        let started = ops.moment();
        let Rotated { issued, ending } = rotate(&old, AT_ONCE).await.unwrap();
        for since in [Some(started), Some(ops.moment()), None] {
            assert_eq!(present(&old, since).await, 0, "before the answer");
        }
        drop(ending);
        assert_eq!(present(&old, Some(started)).await, 0, "it started before the answer");
        assert!(matches!(rotate(&old, AT_ONCE).await, Err(ops::Error::Rejected(_))), "this one did not");
        assert_eq!(detected(&ada), 1);
        assert!(verification::authenticate(ops, issued.plaintext.expose(), Caller::default()).await.is_err());

        // The first use of a successor.
        let old = make();
        let request = RotationRequest { grace: Some(Duration::from_secs(60)), ..AT_ONCE };
        let Rotated { issued, ending } = rotate(&old, request).await.unwrap();
        drop(ending);
        let started = ops.moment();
        verification::authenticate(ops, issued.plaintext.expose(), Caller::default()).await.unwrap();
        assert_eq!(present(&old, Some(started)).await, 1, "it started before that use was accepted");
        assert_eq!(present(&old, None).await, 2, "and this one after");

        // A successor that is replaced.
        let old = make();
        let request = RotationRequest { grace: Some(Duration::from_secs(60)), replace_unused: true, ..AT_ONCE };
        let lost = rotate(&old, request.clone()).await.unwrap().issued;
        let Rotated { ending, .. } = rotate(&old, request).await.unwrap();
        assert_eq!(present(lost.plaintext.expose(), None).await, 2, "before the answer");
        let raced = rotate(lost.plaintext.expose(), AT_ONCE).await;
        assert!(matches!(raced, Err(ops::Error::AlreadyRotated(None))), "{raced:?}");
        drop(ending);
        assert_eq!(present(lost.plaintext.expose(), None).await, 3);
    });
}

#[test]
fn a_rotation_that_was_accepted_before_another_one_succeeded_is_a_lost_race() {
    let app = TestApp::spawn();
    let (ada, ops) = (app.sign_in("ada"), &app.ops);
    block_on(async {
        let old = ada.create_token(json!({ "name": "t" }))["token"].as_str().unwrap().to_owned();
        let accept =
            async || rotation::authenticate_for_rotation(ops, &old, Caller::default(), anonymous()).await.unwrap();
        let (first, second) = (accept().await, accept().await);
        let won = rotation::rotate_self(ops, &first, AT_ONCE, anonymous()).await.unwrap().issued;
        // Its secret was valid when the request arrived, however late it continues.
        let lost = rotation::rotate_self(ops, &second, AT_ONCE, anonymous()).await;
        assert!(matches!(lost, Err(ops::Error::AlreadyRotated(Some(id))) if id == won.token.id), "{lost:?}");
        verification::authenticate(ops, won.plaintext.expose(), Caller::default()).await.unwrap();
    });
}

#[test]
fn the_first_request_of_a_new_connection_starts_with_the_connection() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let mut races = 0;
    // A busy machine may need more than a second to accept a connection, and then its start does not count. One good
    // round is enough.
    for _ in 0..50 {
        let old = ada.create_token(json!({ "name": "t" }));
        let mut early = TcpStream::connect(app.address).unwrap();
        early.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let new = holder(&app, &old).post(SELF, json!({ "grace": 0 }));
        assert_eq!(new.status, 201, "{}", new.shown());
        let request = format!(
            "POST {SELF} HTTP/1.1\r\nHost: patd\r\nAuthorization: Bearer {}\r\nContent-Length: 0\r\n\r\n",
            old["token"].as_str().unwrap()
        );
        let mut status = || {
            early.write_all(request.as_bytes()).unwrap();
            let mut head = [0; 12];
            early.read_exact(&mut head).unwrap();
            // The rest of the answer is short and ends with the brace of its body.
            let mut byte = [0];
            while byte != *b"}" {
                early.read_exact(&mut byte).unwrap();
            }
            std::str::from_utf8(&head[9..]).unwrap().to_owned()
        };
        let new = holder(&app, &new.body["data"]);
        if status() == "409" {
            assert_eq!(new.get("/api/user").status, 200);
            assert_eq!(status(), "401", "the second request there started after the answer");
            races += 1;
        }
        assert_eq!(new.get("/api/user").status, 401);
        if races == 10 {
            return;
        }
    }
    assert!(races > 0, "each of 50 connections was accepted too late");
}
