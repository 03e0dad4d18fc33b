//! When a token ends, the successors that it made by itself end too: a thief who rotates a stolen token, long before or
//! at the same moment, is left without a valid token.

use std::{
    sync::{
        Barrier,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::{
    environment_tokens::{create, secret},
    environments::environment,
    harness::{Answer, Client, TestApp},
};

const TOKENS: &str = "/api/v1/user/api-tokens";
const SELF: &str = "/api/v1/user/api-tokens/self/rotate";
const ROUNDS: usize = 50;

/// The ways in which an owner, or the finder of a secret, revokes or disables a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Report,
    Delete,
    Disable,
    ByAbility,
    Possession,
}

const WAYS: [Way; 5] = [Way::Report, Way::Delete, Way::Disable, Way::ByAbility, Way::Possession];

impl Way {
    fn go(self, app: &TestApp, owner: &Client<'_>, token: &Value) -> Answer {
        let path = path(token);
        match self {
            Self::Report => app.anonymous().post("/api/v1/tokens/revoke-leaked", json!({ "tokens": [token["token"]] })),
            Self::Delete => owner.delete(&path),
            Self::Disable => owner.send("POST", &format!("{path}/disable"), None),
            Self::ByAbility => owner.post(&format!("{TOKENS}/revoke"), json!({ "ability": token["abilities"][0] })),
            Self::Possession => {
                let form = format!("token={}", text(token).replace('|', "%7C"));
                let kind = "application/x-www-form-urlencoded";
                app.anonymous().send_as("POST", "/api/v1/revoke", kind, form.as_bytes())
            }
        }
    }
}

fn path(token: &Value) -> String {
    format!("{TOKENS}/{}", token["id"].as_str().unwrap())
}

fn text(token: &Value) -> &str {
    token["token"].as_str().unwrap()
}

fn is_valid(app: &TestApp, token: &Value) -> bool {
    match app.bearer(text(token)).post("/api/v1/auth/identify", json!({})).status {
        200 => true,
        401 => false,
        other => panic!("{other}"),
    }
}

fn rotated(answer: &Answer) -> Value {
    assert_eq!(answer.status, 201, "{}", answer.shown());
    answer.body["data"].clone()
}

fn rotate_itself(app: &TestApp, token: &Value, grace: u64) -> Value {
    rotated(&app.bearer(text(token)).post(SELF, json!({ "grace": grace })))
}

fn rotate_by(owner: &Client<'_>, token: &Value, grace: u64) -> Value {
    rotated(&owner.post(&format!("{}/rotate", path(token)), json!({ "grace": grace, "end_on_first_use": false })))
}

/// Action, outcome and detail of the events of a token, oldest first, without rotations.
fn trail(owner: &Client<'_>, token: &Value) -> Vec<String> {
    let events = owner.get("/api/v1/user/audit").body["data"].as_array().unwrap().clone();
    let of_token = events.iter().filter(|event| event["target"]["id"] == token["id"]).rev();
    let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let events = of_token.map(|event| [&event["action"], &event["outcome"], &event["detail"]].map(word).join(" "));
    events.filter(|event| !event.starts_with("token.created") && !event.starts_with("token.rotated")).collect()
}

#[test]
fn a_thief_who_rotates_all_the_time_keeps_no_valid_token_however_the_token_ends() {
    let reports = [
        ("throttle.reports_burst", "1000000"),
        ("throttle.reports_per_minute", "1000000"),
        ("throttle.reports_per_address_burst", "1000000"),
        ("throttle.reports_per_address_per_minute", "1000000"),
    ];
    let app = TestApp::with(&reports);
    let ada = app.sign_in("ada");
    for way in WAYS {
        let mut raced = 0;
        for round in 0..ROUNDS {
            let ability = format!("calls:{way:?}-{round}");
            let body = json!({ "name": "t", "abilities": [ability, "tokens:rotate-self"] });
            let token = ada.create_token(body);
            let start = Barrier::new(2);
            let rotations = AtomicUsize::new(0);
            let (stolen, answer) = thread::scope(|scope| {
                let thief = scope.spawn(|| {
                    let mut stolen = vec![token.clone()];
                    start.wait();
                    // Far more rounds than the owner needs, so that a failing test does not hang.
                    for _ in 0..1000 {
                        let client = app.bearer(text(stolen.last().unwrap()));
                        let answer = client.post(SELF, json!({ "grace": if round % 2 == 0 { 0 } else { 600 } }));
                        if answer.status != 201 {
                            assert_eq!(answer.status, 401, "{}", answer.shown());
                            return stolen;
                        }
                        stolen.push(answer.body["data"].clone());
                        rotations.fetch_add(1, Ordering::SeqCst);
                    }
                    panic!("nobody ended it")
                });
                start.wait();
                // Wait until the thief is in the middle of its rotations.
                while rotations.load(Ordering::SeqCst) < round % 3 && !thief.is_finished() {
                    thread::yield_now();
                }
                let answer = way.go(&app, &ada, &token);
                (thief.join().unwrap(), answer)
            });
            assert_eq!(answer.status, 200, "{way:?}: {}", answer.shown());
            for (at, token) in stolen.iter().enumerate() {
                assert!(!is_valid(&app, token), "{way:?}: the thief keeps number {at} of {}", stolen.len());
            }
            let newest = stolen.last().unwrap();
            raced += usize::from(stolen.len() > 1);
            let last = trail(&ada, newest).last().cloned().unwrap();
            let expected = if way == Way::Disable { "token.disabled success" } else { "token.revoked success" };
            assert!(last.starts_with(expected), "{way:?}: {last}");
            if stolen.len() > 1 && way != Way::ByAbility {
                assert!(last.ends_with(&format!("with predecessor {}", token["id"].as_str().unwrap())), "{last}");
            }
        }
        assert!(raced > ROUNDS / 4, "{way:?}: the thief was first in {raced} rounds only");
    }
}

#[test]
fn the_answer_names_the_successors_that_ended_with_the_token() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    for grace in [0, 600] {
        let token = ada.create_token(json!({ "name": "t" }));
        let successor = rotate_itself(&app, &token, grace);
        let answer = ada.delete(&path(&token));
        assert_eq!(answer.body, json!({ "message": "Token revoked", "also_revoked": [successor["id"]] }));
        assert_eq!(ada.delete(&path(&token)).status, 404, "a second time");

        let token = ada.create_token(json!({ "name": "t" }));
        let successor = rotate_itself(&app, &token, grace);
        let disable = || ada.send("POST", &format!("{}/disable", path(&token)), None);
        let answer = disable();
        assert_eq!((answer.status, &answer.body["also_disabled"]), (200, &json!([successor["id"]])));
        assert_eq!(answer.body["data"]["id"], token["id"]);
        assert_eq!(answer.body["data"]["rotated_to"], successor["id"]);
        let again = disable();
        assert_eq!((again.status, &again.body["data"]), (200, &answer.body["data"]));
        assert_eq!(again.body.get("also_disabled"), None, "it is disabled already");
        let predecessor = format!("with predecessor {}", token["id"].as_str().unwrap());
        assert_eq!(trail(&ada, &successor), [format!("token.disabled success {predecessor}")]);
        // The owner enables each token on its own.
        assert_eq!(ada.send("POST", &format!("{}/enable", path(&successor)), None).status, 200);
        assert!(is_valid(&app, &successor));
    }
}

#[test]
fn a_successor_that_the_owner_made_stays_valid_and_is_named() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    for way in [Way::Delete, Way::Disable] {
        let token = ada.create_token(json!({ "name": "t" }));
        let successor = rotate_by(&ada, &token, 600);
        let answer = way.go(&app, &ada, &token);
        assert_eq!((answer.status, &answer.body["successor"]), (200, &successor["id"]), "{}", answer.shown());
        assert!(!is_valid(&app, &token) && is_valid(&app, &successor), "{way:?}");

        let token = ada.create_token(json!({ "name": "t" }));
        let successor = rotate_by(&ada, &token, 0);
        let answer = way.go(&app, &ada, &token);
        insta::allow_duplicates!(assert_snapshot!(answer.shown(), @r#"
        409
        {
          "code": "already_rotated",
          "message": "Rotation has already replaced this token, and its successor is valid. Nothing was changed. To revoke or disable the successor, send the same request with its id.",
          "successor": "[uuid]"
        }
        "#));
        assert_eq!(answer.body["successor"], successor["id"]);
        assert!(is_valid(&app, &successor), "{way:?}");
        let refused = format!("refused already rotated, successor {}", successor["id"].as_str().unwrap());
        assert!(trail(&ada, &token).last().unwrap().ends_with(&refused), "{:?}", trail(&ada, &token));
        // What the answer recommends.
        assert_eq!(way.go(&app, &ada, &successor).status, 200);
        assert!(!is_valid(&app, &successor), "{way:?}");
    }
    for way in [Way::Report, Way::Possession] {
        let token = ada.create_token(json!({ "name": "t" }));
        let successor = rotate_by(&ada, &token, 0);
        assert_eq!(
            way.go(&app, &ada, &token).status,
            200,
            "the answer reveals nothing to the holder of the old secret"
        );
        assert!(is_valid(&app, &successor), "{way:?}");
    }
    let bob = app.sign_in("bob");
    let token = ada.create_token(json!({ "name": "t" }));
    rotate_by(&ada, &token, 0);
    for way in [Way::Delete, Way::Disable] {
        let foreign = way.go(&app, &bob, &token);
        assert_eq!((foreign.status, &foreign.body["code"]), (404, &json!("not_found")), "{way:?}");
    }
}

#[test]
fn after_a_concurrent_rotation_and_revocation_the_answer_says_which_token_is_valid() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let mut conflicts = 0;
    for round in 0..ROUNDS * 2 {
        let token = ada.create_token(json!({ "name": "t" }));
        let start = Barrier::new(2);
        let (made, answer) = thread::scope(|scope| {
            let rotation = scope.spawn(|| {
                start.wait();
                ada.post(&format!("{}/rotate", path(&token)), json!({ "grace": 0 }))
            });
            start.wait();
            let way = if round % 2 == 0 { Way::Delete } else { Way::Disable };
            let answer = way.go(&app, &ada, &token);
            (rotation.join().unwrap(), answer)
        });
        assert!(!is_valid(&app, &token));
        match (made.status, answer.status) {
            (404, 200) => {}
            (201, 409) => {
                conflicts += 1;
                assert_eq!(answer.body["successor"], made.body["data"]["id"]);
                assert!(is_valid(&app, &made.body["data"]));
            }
            other => panic!("{other:?}: {} {}", made.shown(), answer.shown()),
        }
    }
    assert!(conflicts > 0, "the rotation was never first");
}

#[test]
fn revoking_a_regenerated_environment_token_names_its_successor() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let tokens = format!("{}/tokens", environment(&ada, "e"));
    let old = create(&ada, tokens.strip_suffix("/tokens").unwrap(), json!({ "name": "t" }));
    let one = |token: &Value| format!("{tokens}/{}", token["id"].as_str().unwrap());
    let new = rotated(&ada.post(&format!("{}/regenerate", one(&old)), json!({})));
    let answer = ada.delete(&one(&old));
    assert_eq!((answer.status, &answer.body["code"]), (409, &json!("already_rotated")));
    assert_eq!(answer.body["successor"], new["id"]);
    assert_eq!(app.bearer(secret(&new)).post("/api/v1/auth/identify", json!({})).status, 200);
    let refused = format!("token.revoked refused already rotated, successor {}", new["id"].as_str().unwrap());
    assert_eq!(trail(&ada, &old), [refused]);
    assert_eq!(ada.get(&one(&new)).body["data"]["rotated_from"], old["id"]);
    let revoked = ada.get(&format!("{tokens}?state=revoked")).body["data"][0].clone();
    assert_eq!((&revoked["id"], &revoked["rotated_to"]), (&old["id"], &new["id"]));
    assert_eq!(ada.delete(&one(&new)).status, 200);
    assert_eq!(ada.delete(&one(&old)).status, 404, "it has no valid successor");
}

#[test]
fn lists_and_details_show_the_predecessor_and_the_successor() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let (first, alone) = (ada.create_token(json!({ "name": "t" })), ada.create_token(json!({ "name": "alone" })));
    // The client loses the answers.
    let rotate = |body: Value| app.bearer(text(&first)).post(SELF, body);
    rotate(json!({ "end_on_first_use": false }));
    rotate(json!({ "replace_unused": true }));
    let list = ada.get(TOKENS).body["data"].clone();
    let names = |token: &Value| json!([token["rotated_from"], token["rotated_to"]]);
    let second = list[0].clone();
    assert_eq!(names(&second), json!([first["id"], null]));
    assert_eq!(list[1]["id"], alone["id"]);
    assert_eq!(names(&list[1]), json!([null, null]));
    assert_eq!(names(&list[2]), json!([null, second["id"]]), "the latest");
    let lost = ada.get(&format!("{TOKENS}?state=revoked")).body["data"][0].clone();
    assert_eq!(names(&lost), json!([first["id"], null]), "it was replaced");
    for shown in [&list[0], &list[1], &list[2]] {
        assert_eq!(names(&ada.get(&path(shown)).body["data"]), names(shown));
        assert_eq!(names(&ada.patch(&path(shown), json!({ "name": "new" })).body["data"]), names(shown));
    }
    // The owner finds the successor and replaces it by one whose secret is known.
    let found = rotate_by(&ada, &second, 0);
    assert_eq!(found["rotated_from"], second["id"]);
    let conflict = rotate(json!({}));
    assert_eq!(conflict.status, 401, "what it replaced has ended");
}

#[test]
fn a_rotation_names_the_successor_that_stays() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let token = ada.create_token(json!({ "name": "t" }));
    let successor = rotate_itself(&app, &token, 600);
    for answer in
        [app.bearer(text(&token)).post(SELF, json!({})), ada.post(&format!("{}/rotate", path(&token)), json!({}))]
    {
        assert_eq!((answer.status, &answer.body["code"]), (409, &json!("already_rotated")));
        assert_eq!(answer.body["successor"], successor["id"]);
    }
    assert_eq!(ada.delete(&path(&successor)).status, 200);
    let answer = app.bearer(text(&token)).post(SELF, json!({ "replace_unused": true }));
    assert_eq!((answer.status, &answer.body["successor"]), (409, &successor["id"]), "also where that was revoked");
}

#[test]
fn a_successor_without_expiry_is_refused_if_the_predecessor_has_one() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let ends = ada.create_token(json!({ "name": "t", "expires_in_days": 1 }));
    let by_itself = |token: &Value, body: Value| app.bearer(text(token)).post(SELF, body);
    assert_snapshot!(by_itself(&ends, json!({ "expires_at": null })).shown(), @r#"
    422
    {
      "code": "validation_failed",
      "errors": {
        "expires_at": [
          "The expires_at field must not be null: the token that is replaced has an end, and its successor lasts no longer. Leave the field out to keep that end."
        ]
      },
      "message": "The expires_at field must not be null: the token that is replaced has an end, and its successor lasts no longer. Leave the field out to keep that end."
    }
    "#);
    assert_eq!(by_itself(&ends, json!({ "expires_in_days": null })).status, 422);
    for spelling in ["expires_at", "expires_in_days"] {
        let answer = ada.post(&format!("{}/rotate", path(&ends)), json!({ spelling: null }));
        assert_eq!(answer.status, 422, "{spelling}");
    }
    assert!(is_valid(&app, &ends), "a refused rotation changes nothing");
    let kept = rotated(&by_itself(&ends, json!({ "end_on_first_use": false })));
    assert_eq!(kept["expires_at"], ends["expires_at"]);
    let again = by_itself(&ends, json!({ "replace_unused": true, "expires_at": null }));
    assert_eq!(again.status, 422, "this also holds for a successor that is replaced");
    let endless = ada.create_token(json!({ "name": "t" }));
    assert_eq!(rotated(&by_itself(&endless, json!({ "expires_at": null })))["expires_at"], Value::Null);
}

#[test]
fn a_revocation_by_ability_ends_whole_families() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let old = ada.create_token(json!({ "name": "t", "abilities": ["calls:read", "tokens:rotate-self"] }));
    let new = rotated(&app.bearer(text(&old)).post(SELF, json!({ "end_on_first_use": false })));
    let other = ada.create_token(json!({ "name": "t", "abilities": ["notes:read"] }));
    let revoked = ada.post(&format!("{TOKENS}/revoke"), json!({ "ability": "calls:read" }));
    assert_eq!(revoked.body["data"]["revoked"], 2, "{}", revoked.shown());
    assert!(!is_valid(&app, &old) && !is_valid(&app, &new) && is_valid(&app, &other));
}
