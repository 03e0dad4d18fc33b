//! Disabling tokens, revoking many at once, and leak reports.

use std::{
    sync::{
        Barrier, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::{
    harness::{Answer, Client, TestApp, block_on},
    introspection::introspector,
    outage::Faulty,
};

const TOKENS: &str = "/api/v1/user/api-tokens";
const REVOKE: &str = "/api/v1/user/api-tokens/revoke";
const LEAKED: &str = "/api/v1/tokens/revoke-leaked";

fn path_of(token: &Value) -> String {
    format!("{TOKENS}/{}", token["id"].as_str().unwrap())
}

fn text(token: &Value) -> &str {
    token["token"].as_str().unwrap()
}

fn named(client: &Client<'_>, name: &str, abilities: &[&str]) -> Value {
    client.create_token(json!({ "name": name, "abilities": abilities }))
}

fn names(client: &Client<'_>) -> Vec<String> {
    let list = client.get(TOKENS).body;
    list["data"].as_array().unwrap().iter().map(|token| token["name"].as_str().unwrap().to_owned()).collect()
}

/// Action, actor, target and detail of the user's events, newest first, without sign-ins and creations.
fn trail(client: &Client<'_>) -> Vec<String> {
    let events = client.get("/api/v1/user/audit").body;
    let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let line = |event: &Value| {
        let parts = [&event["action"], &event["actor"]["type"], &event["target"]["type"], &event["detail"]];
        parts.map(word).join(" ")
    };
    let events = events["data"].as_array().unwrap().iter().map(line);
    events
        .filter(|event| {
            !["session.created", "token.created", "user.created"].contains(&event.split(' ').next().unwrap())
        })
        .collect()
}

#[test]
fn a_disabled_token_is_refused_until_it_is_enabled() {
    let app = TestApp::spawn();
    let (service, ada) = (introspector(&app), app.sign_in("ada"));
    let created = named(&ada, "t", &["user:read"]);
    let (path, token) = (path_of(&created), app.bearer(text(&created)));
    let verdict =
        || service.post("/api/v1/tokens/verify", json!({ "token": text(&created) })).body["data"]["code"].clone();
    assert_eq!(token.get("/api/user").status, 200);

    let disabled = ada.send("POST", &format!("{path}/disable"), None);
    assert_snapshot!(disabled.shown(), @r#"
    200
    {
      "data": {
        "abilities": [
          "user:read"
        ],
        "created_at": "2024-01-15T19:00:00Z",
        "disabled_at": "2024-01-15T19:00:00Z",
        "expires_at": null,
        "hint": "[hint]",
        "id": "[uuid]",
        "last_used_at": "2024-01-15T19:00:00Z",
        "name": "t",
        "rotated_from": null,
        "rotated_to": null
      }
    }
    "#);
    assert_eq!(token.get("/api/user").text, app.bearer("rubbish").get("/api/user").text);
    assert_eq!(verdict(), "disabled");
    app.advance(Duration::from_secs(60));
    assert_eq!(ada.send("POST", &format!("{path}/disable"), None).body, disabled.body, "since the first time");
    assert_eq!(ada.get(TOKENS).body["data"][0], disabled.body["data"]);

    for _ in 0..2 {
        let enabled = ada.send("POST", &format!("{path}/enable"), None);
        assert_eq!((enabled.status, &enabled.body["data"]["disabled_at"]), (200, &Value::Null));
        assert_eq!(token.get("/api/user").status, 200);
    }
    assert_eq!(verdict(), "valid");
    assert_eq!(
        trail(&ada),
        ["token.enabled session personal_access_token -", "token.disabled session personal_access_token -",]
    );
}

#[test]
fn foreign_and_revoked_tokens_cannot_be_disabled() {
    let app = TestApp::spawn();
    let (ada, bob) = (app.sign_in("ada"), app.sign_in("bob"));
    let created = named(&ada, "t", &["user:read"]);
    let unknown = format!("{TOKENS}/{}", uuid::Uuid::now_v7());
    for verb in ["disable", "enable"] {
        let foreign = bob.send("POST", &format!("{}/{verb}", path_of(&created)), None);
        assert_eq!((foreign.status, &foreign.body), (404, &bob.send("POST", &format!("{unknown}/{verb}"), None).body));
        assert_eq!(app.bearer(text(&created)).get("/api/user").status, 200);
    }
    assert_eq!(ada.delete(&path_of(&created)).status, 200);
    for verb in ["disable", "enable"] {
        assert_eq!(ada.send("POST", &format!("{}/{verb}", path_of(&created)), None).status, 404);
    }
}

/// Every check must answer a state that the token had at some moment between the start and the end of the check.
#[test]
fn a_check_that_starts_after_a_token_was_disabled_or_enabled_sees_that() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let created = named(&ada, "t", &["user:read"]);
    let path = path_of(&created);
    let ended = AtomicBool::new(false);
    let start = Barrier::new(5);
    let checks: Mutex<Vec<(Instant, Instant, bool)>> = Mutex::default();
    // When each change started and was answered, and the state from then on.
    let mut changes: Vec<(Instant, Instant, bool)> = Vec::new();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let client = app.bearer(text(&created));
                start.wait();
                while !ended.load(Ordering::SeqCst) {
                    let began = Instant::now();
                    let passes = match client.get("/api/user").status {
                        200 => true,
                        401 => false,
                        other => panic!("{other}"),
                    };
                    checks.lock().unwrap().push((began, Instant::now(), passes));
                }
            });
        }
        start.wait();
        for turn in 0..60 {
            let verb = if turn % 2 == 0 { "disable" } else { "enable" };
            let began = Instant::now();
            assert_eq!(ada.send("POST", &format!("{path}/{verb}"), None).status, 200);
            changes.push((began, Instant::now(), verb == "enable"));
            // Long enough that some checks start and end between two changes.
            let made = checks.lock().unwrap().len();
            while checks.lock().unwrap().len() < made + 12 {
                std::thread::yield_now();
            }
        }
        ended.store(true, Ordering::SeqCst);
    });
    let checks = checks.into_inner().unwrap();
    for (began, end, passes) in &checks {
        // The state that was answered before the check started, or that of a change that was under way during the
        // check.
        let before = changes.iter().rev().find(|(_, answered, _)| answered < began).is_none_or(|(_, _, state)| *state);
        let meanwhile = changes.iter().any(|(b, answered, state)| b < end && answered >= began && state == passes);
        assert!(before == *passes || meanwhile, "a check saw an outdated state");
    }
    assert!(checks.iter().any(|check| check.2) && checks.iter().any(|check| !check.2), "both were seen");
}

#[test]
fn all_live_tokens_are_revoked_at_once_with_one_event_each() {
    let app = TestApp::spawn();
    let (ada, bob) = (app.sign_in("ada"), app.sign_in("bob"));
    let tokens: Vec<Value> = (0..5).map(|n| named(&ada, &format!("{n}"), &["user:read"])).collect();
    assert_eq!(ada.send("POST", &format!("{}/disable", path_of(&tokens[0])), None).status, 200);
    ada.create_token(json!({ "name": "short", "expires_at": "2024-01-15T19:00:01Z" }));
    app.advance(Duration::from_secs(1));
    let foreign = named(&bob, "b", &["user:read"]);
    assert_snapshot!(ada.post(REVOKE, json!({ "all": true })).shown(), @r#"
    200
    {
      "data": {
        "revoked": 5
      }
    }
    "#);
    for token in &tokens {
        assert_eq!(app.bearer(text(token)).get("/api/user").status, 401);
    }
    assert_eq!(app.bearer(text(&foreign)).get("/api/user").status, 200);
    assert_eq!(ada.get("/api/user").status, 200, "sessions stay valid");
    assert_eq!(trail(&ada)[..5], vec!["token.revoked session personal_access_token revoked_by_owner"; 5]);
    assert_eq!(trail(&ada).len(), 6);
    assert_eq!(ada.post(REVOKE, json!({ "all": true })).body, json!({ "data": { "revoked": 0 } }));
}

#[test]
fn unused_tokens_are_revoked_and_one_that_was_just_used_is_not() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let (_old, used) = (named(&ada, "old", &["user:read"]), named(&ada, "used", &["user:read"]));
    app.advance(Duration::from_secs(100));
    named(&ada, "new", &["user:read"]);
    // So recently that the use is only in memory.
    assert_eq!(app.bearer(text(&used)).get("/api/user").status, 200);
    let since = |at: &str| ada.post(REVOKE, json!({ "unused_since": at }));
    assert_eq!(since("2024-01-15T19:00:00Z").body["data"]["revoked"], 0);
    assert_eq!(since("2024-01-15T19:01:40Z").body["data"]["revoked"], 1);
    assert_eq!(names(&ada), ["new", "used"]);
    assert_eq!(since("2024-01-15T19:01:41Z").status, 422, "the time must not be in the future");
}

#[test]
fn tokens_with_an_ability_are_revoked() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    for (name, abilities) in
        [("read", vec!["calls:read"]), ("calls", vec!["calls:*"]), ("all", vec!["*"]), ("write", vec!["calls:write"])]
    {
        named(&ada, name, &abilities);
    }
    assert_eq!(ada.post(REVOKE, json!({ "ability": "calls:read" })).body["data"]["revoked"], 3);
    assert_eq!(names(&ada), ["write"]);
}

#[test]
fn a_bulk_revocation_needs_exactly_one_field() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    named(&ada, "t", &[]);
    let refused = |body: Value| {
        let answer = ada.post(REVOKE, body);
        assert_eq!(answer.status, 422, "{}", answer.shown());
        answer.body["message"].as_str().unwrap().to_owned()
    };
    assert_snapshot!(refused(json!({})), @"The all field must be given, or else unused_since or ability: exactly one of the three.");
    assert_snapshot!(refused(json!({ "all": null })), @"The all field must be given, or else unused_since or ability: exactly one of the three.");
    assert_snapshot!(refused(json!({ "all": false })), @"The all field must be true.");
    assert_snapshot!(refused(json!({ "all": true, "ability": "x" })), @"The all field must be given, or else unused_since or ability: exactly one of the three.");
    assert_snapshot!(refused(json!({ "unused_since": "yesterday" })), @"The unused_since field must be a date and time like 2030-01-31T12:00:00Z");
    assert_snapshot!(refused(json!({ "every": true })), @"The every field is unknown. The fields here are: all, unused_since, ability, owner.");
    assert_eq!(names(&ada), ["t"]);
}

#[test]
fn a_reported_secret_is_revoked_and_its_owner_sees_why() {
    let app = TestApp::spawn();
    let (ada, bob) = (app.sign_in("ada"), app.sign_in("bob"));
    let (found, kept) = (named(&ada, "found", &["user:read"]), named(&ada, "kept", &["user:read"]));
    let without_number = named(&bob, "b", &["user:read"]);
    let session = app.sign_in_again("ada");
    let secret = text(&without_number).split_once('|').unwrap().1;
    let report = json!({ "tokens": [text(&found), secret, session.token.as_ref().unwrap(), "rubbish", ""] });
    let first = app.anonymous().post(LEAKED, report.clone());
    assert_snapshot!(first.shown(), @r#"
    200
    {
      "message": "Thank you. The valid secrets were revoked, and their owners can see why"
    }
    "#);
    for ended in [app.bearer(text(&found)), app.bearer(secret), session] {
        assert_eq!(ended.get("/api/user").status, 401);
    }
    assert_eq!(app.bearer(text(&kept)).get("/api/user").status, 200);
    assert_snapshot!(trail(&ada).join("\n"), @"
    session.ended anonymous session leaked
    token.leaked anonymous session -
    token.revoked anonymous personal_access_token leaked
    token.leaked anonymous personal_access_token -
    ");
    assert_snapshot!(trail(&bob).join("\n"), @"
    token.revoked anonymous personal_access_token leaked
    token.leaked anonymous personal_access_token -
    ");
    let told_of = ada.get("/api/v1/user/audit").body["data"][0].clone();
    assert_eq!(told_of["address"], "127.0.0.1");

    // A second report, and a report of unknown secrets, get the same answer.
    for report in [report, json!({ "tokens": ["x"] }), json!({ "tokens": [] })] {
        let again = app.anonymous().post(LEAKED, report);
        assert_eq!((again.status, &again.text), (200, &first.text));
    }
    assert_eq!(trail(&ada).len(), 4);
}

#[test]
fn a_report_may_have_a_thousand_secrets_and_its_mistakes_are_named() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let last = named(&ada, "last", &["user:read"]);
    let long = format!("{}{}", "9".repeat(40), text(&last));
    let mut tokens = vec![Value::from(long); 999];
    tokens.push(text(&last).into());
    assert_eq!(app.anonymous().post(LEAKED, json!({ "tokens": tokens })).status, 200);
    assert_eq!(app.bearer(text(&last)).get("/api/user").status, 401);
    tokens.push("one more".into());
    let refused = |body: Value| -> Answer { app.anonymous().post(LEAKED, body) };
    assert_snapshot!(refused(json!({ "tokens": tokens })).body["message"].as_str().unwrap(), @"The tokens field must not have more than 1000 items.");
    assert_snapshot!(refused(json!({})).body["message"].as_str().unwrap(), @"The tokens field is required.");
    assert_snapshot!(refused(json!({ "tokens": "x" })).body["message"].as_str().unwrap(), @"The tokens field must be an array.");
    assert_eq!(refused(json!({ "tokens": ["x".repeat(128 * 1024)] })).status, 413);
}

#[test]
fn a_report_of_unknown_secrets_leaves_one_event() {
    let app = TestApp::spawn();
    let owner = app.user("ada").id;
    // Events are numbered. The numbers show how many events there are in trails that no user can read.
    let latest = || {
        app.sign_in_again("ada");
        block_on(app.ops.store.events_of(owner, None, 1)).unwrap()[0].seq
    };
    let ended = named(&app.sign_in_again("ada"), "t", &[]);
    assert_eq!(app.anonymous().post(LEAKED, json!({ "tokens": [text(&ended)] })).status, 200);
    for tokens in [vec!["x"; 1000], vec![text(&ended); 300], vec![]] {
        let before = latest();
        assert_eq!(app.anonymous().post(LEAKED, json!({ "tokens": tokens })).status, 200);
        assert_eq!(latest() - before, 2, "the other event is the sign-in");
    }
}

#[test]
fn reports_are_throttled_from_all_addresses_together() {
    let limits = [
        ("throttle.reports_burst", "2"),
        ("throttle.reports_per_minute", "1"),
        ("server.trusted_proxies", "127.0.0.1"),
    ];
    let app = TestApp::with(&limits);
    let report = |from: &str| {
        let body = json!({ "tokens": ["x"] }).to_string();
        let headers = [("Content-Type", "application/json"), ("X-Forwarded-For", from)];
        app.anonymous().send_with("POST", LEAKED, &headers, body.as_bytes())
    };
    let answers = ["192.0.2.1", "192.0.2.2", "192.0.2.3"].map(report);
    assert_eq!(answers.each_ref().map(|answer| answer.status), [200, 200, 429]);
    assert_eq!(answers[2].header("retry-after"), Some("60"));
}

#[test]
fn reports_are_throttled_by_address() {
    let app =
        TestApp::with(&[("throttle.reports_per_address_burst", "2"), ("throttle.reports_per_address_per_minute", "1")]);
    let statuses = [0; 3].map(|_| app.anonymous().post(LEAKED, json!({ "tokens": ["x"] })).status);
    assert_eq!(statuses, [200, 200, 429]);
}

#[test]
fn a_revocation_that_failed_is_not_answered_as_done() {
    let (switch, store) = Faulty::switched();
    let app = TestApp::with_store(&[], store);
    let ada = app.sign_in("ada");
    let created = named(&ada, "t", &["user:read"]);
    switch.fail_writes();
    for answer in [
        app.anonymous().post(LEAKED, json!({ "tokens": [text(&created)] })),
        app.anonymous().post(LEAKED, json!({ "tokens": ["x"] })),
        ada.post(REVOKE, json!({ "all": true })),
        ada.send("POST", &format!("{}/disable", path_of(&created)), None),
    ] {
        assert_eq!(answer.status, 503, "{}", answer.shown());
    }
    switch.heal();
    assert_eq!(app.bearer(text(&created)).get("/api/user").status, 200);
}

#[test]
fn tokens_that_are_created_during_a_revocation_of_all_are_either_revoked_or_valid() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let made: Vec<Value> = std::thread::scope(|scope| {
        let creators: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| (0..25).map(|_| named(&ada, "t", &["user:read"])).collect::<Vec<_>>()))
            .collect();
        for _ in 0..10 {
            assert_eq!(ada.post(REVOKE, json!({ "all": true })).status, 200);
        }
        creators.into_iter().flat_map(|creator| creator.join().unwrap()).collect()
    });
    let passing = made.iter().filter(|token| app.bearer(text(token)).get("/api/user").status == 200).count();
    assert_eq!(names(&ada).len(), passing, "what is listed passes, and nothing else");
}
