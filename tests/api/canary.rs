//! Canary tokens: refused like unknown ones wherever they are presented, and their use is recorded.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use insta::assert_snapshot;
use patd::domain::secret::{CredentialKind, Plaintext};
use serde_json::{Value, json};

use crate::{
    harness::{Answer, Client, TestApp},
    introspection::{introspect, introspector},
};

const TOKENS: &str = "/api/v1/user/api-tokens";
const POLICY: &str = "[[policies]]\nname = 'app'\nrules = [{ paths = ['/calls/**'], credentials = \
                      ['personal_access_token', 'environment_token'] }]\n";

fn spawn() -> TestApp {
    TestApp::with_file(POLICY, &[("server.trusted_proxies", "127.0.0.1")])
}

/// A personal canary token and one of an environment.
fn canaries(ada: &Client<'_>) -> [Value; 2] {
    let body = json!({ "name": "bait", "canary": true, "abilities": ["*"] });
    let environment = ada.post("/api/v1/environments", json!({ "name": "e" })).body["data"]["id"].clone();
    let tokens = format!("/api/v1/environments/{}/tokens", environment.as_str().unwrap());
    let of_environment = ada.post(&tokens, body.clone());
    assert_eq!(of_environment.status, 201, "{}", of_environment.shown());
    [ada.create_token(body), of_environment.body["data"].clone()]
}

fn used(owner: &Client<'_>) -> Vec<Value> {
    let mut events = owner.get("/api/v1/user/audit").body["data"].as_array().unwrap().clone();
    events.retain(|event| event["action"] == "token.canary_used");
    events
}

fn wait_for_events(owner: &Client<'_>, count: usize) -> Vec<Value> {
    let start = Instant::now();
    while used(owner).len() < count {
        assert!(start.elapsed() < Duration::from_secs(10), "only {:?}", used(owner));
        std::thread::sleep(Duration::from_millis(25));
    }
    used(owner)
}

/// A door: presents a token somewhere.
type Door = fn(&TestApp, &Client<'_>, &str) -> Answer;

const DOORS: [(&str, Door); 15] = [
    ("GET /api/user", |app, _, token| app.bearer(token).get("/api/user")),
    ("identify", |app, _, token| app.bearer(token).post("/api/v1/auth/identify", json!({}))),
    ("a route for sessions", |app, _, token| app.bearer(token).get(TOKENS)),
    ("a route for administrators", |app, _, token| {
        app.bearer(token).get("/api/v1/admin/users/00000000-0000-7000-8000-000000000000")
    }),
    ("rotation by itself", |app, _, token| app.bearer(token).post("/api/v1/user/api-tokens/self/rotate", json!({}))),
    ("an introspecting token", |app, _, token| introspect(&app.bearer(token), token)),
    ("introspection", |_, service, token| introspect(service, token)),
    ("verification", |_, service, token| service.post("/api/v1/tokens/verify", json!({ "token": token }))),
    ("verification of many", |_, service, token| {
        service.post("/api/v1/tokens/verify-batch", json!({ "tokens": [{ "token": token, "abilities": ["x"] }] }))
    }),
    ("revocation by possession", |app, _, token| {
        let body = format!("token={}", token.replace('|', "%7C"));
        app.anonymous().send_as("POST", "/api/v1/revoke", "application/x-www-form-urlencoded", body.as_bytes())
    }),
    ("a leak report", |app, _, token| {
        app.anonymous().post("/api/v1/tokens/revoke-leaked", json!({ "tokens": [token] }))
    }),
    ("auth-request", |app, _, token| {
        let asked = [("X-Original-Method", "GET"), ("X-Original-URI", "/calls/1")];
        app.bearer(token).send_with("GET", "/api/authz/auth-request/app", &asked, &[])
    }),
    ("auth-request without a rule", |app, _, token| {
        let asked = [("X-Original-Method", "GET"), ("X-Original-URI", "/other")];
        app.bearer(token).send_with("GET", "/api/authz/auth-request/app", &asked, &[])
    }),
    ("forward-auth", |app, _, token| {
        let asked = [("X-Forwarded-Method", "GET"), ("X-Forwarded-Uri", "/calls/1")];
        app.bearer(token).send_with("GET", "/api/authz/forward-auth/app", &asked, &[])
    }),
    ("ext-authz", |app, _, token| app.bearer(token).get("/api/authz/ext-authz/app/calls/1")),
];

/// The status, all headers except those that differ for each answer, and the body. Not whether the connection is closed:
/// [`expect_alike`] compares that.
fn bytes(answer: &Answer) -> (u16, BTreeSet<(String, String)>, String) {
    let differing = ["date", "x-request-id", "connection"];
    let headers = answer.headers.iter().filter(|(name, _)| !differing.contains(&name.as_str()));
    // The order of the headers is random.
    let headers: BTreeSet<_> =
        headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    (answer.status, headers, answer.text.clone())
}

/// The answer to a canary token is that to an unknown one. Whether the connection is closed after it depends on whether the
/// body had arrived when the token was refused, so that may differ at times.
fn expect_alike(door: &str, unknown: impl Fn() -> Answer, canary: impl Fn() -> Answer) {
    const ATTEMPTS: usize = 20;
    let is_kept = |answer: &Answer| answer.header("connection").map(str::to_owned);
    let are_alike = (0..ATTEMPTS).any(|_| {
        // Each as often: an answer after a look-up comes later than one from memory.
        let (unknown, canary) = (unknown(), canary());
        assert!([200, 401, 403].contains(&unknown.status), "{door}: {}", unknown.shown());
        assert_eq!(bytes(&canary), bytes(&unknown), "{door}");
        is_kept(&canary) == is_kept(&unknown)
    });
    assert!(are_alike, "{door}: the connection shows which token is a canary");
}

#[test]
fn a_canary_token_is_refused_like_an_unknown_one_at_each_door_and_recorded() {
    let app = spawn();
    let service = introspector(&app);
    let ada = app.sign_in("ada");
    let kinds = [CredentialKind::PersonalAccessToken, CredentialKind::EnvironmentToken];
    let mut expected = 0;
    for (name, door) in DOORS {
        for (canary, kind) in canaries(&ada).iter().zip(kinds) {
            let unknown = Plaintext::generate(kind, &app.ops.rules.prefixes).unwrap();
            let secret = canary["token"].as_str().unwrap();
            let unnumbered = secret.split_once('|').map_or(secret, |(_, secret)| secret);
            // With its number, without it, and with a wrong one. An environment token has none.
            for text in [secret.to_owned(), unnumbered.to_owned(), format!("{}9|{unnumbered}", i64::MAX / 100)] {
                let is_numbered_environment_token = text.contains('|') && kind == CredentialKind::EnvironmentToken;
                if is_numbered_environment_token {
                    continue;
                }
                expect_alike(
                    name,
                    || door(&app, &service, unknown.expose_unnumbered()),
                    || door(&app, &service, &text),
                );
            }
            expected += 1;
            let events = wait_for_events(&ada, expected);
            assert_eq!(events.len(), expected, "{name}: each once in a minute");
            assert_eq!(events[0]["target"]["id"], canary["id"], "{name}");
            assert_eq!(events[0]["outcome"], "refused");
        }
    }
}

#[test]
fn the_event_names_address_and_agent_and_nothing_counts_as_a_use() {
    let app = spawn();
    let ada = app.sign_in("ada");
    let [canary, _] = canaries(&ada);
    let path = format!("{TOKENS}/{}", canary["id"].as_str().unwrap());
    let thief = app.bearer(canary["token"].as_str().unwrap());
    let headers = [
        ("X-Original-Method", "GET"),
        ("X-Original-URI", "/calls/1"),
        ("X-Forwarded-For", "198.51.100.7"),
        ("User-Agent", "evil\", by user 1"),
    ];
    assert_eq!(thief.send_with("GET", "/api/authz/auth-request/app", &headers, &[]).status, 401);
    let event = wait_for_events(&ada, 1).remove(0);
    assert_eq!((&event["address"], &event["detail"]), (&json!("198.51.100.7"), &json!("\"evil\\\", by user 1\"")));
    // Again within a minute: no event. Later: another.
    thief.get("/api/user");
    app.advance(Duration::from_secs(61));
    thief.get("/api/user");
    assert_eq!(wait_for_events(&ada, 2).len(), 2);
    let details = ada.get(&path).body["data"].clone();
    assert_eq!((&details["last_used_at"], &details["last_uses"]), (&Value::Null, &json!([])));
    assert_eq!((&details["canary"], &ada.get(TOKENS).body["data"][0]["canary"]), (&json!(true), &json!(true)));
}

#[test]
fn a_canary_token_is_not_rotated_and_says_so() {
    let app = spawn();
    let ada = app.sign_in("ada");
    let [personal, of_environment] = canaries(&ada);
    let path = format!("{TOKENS}/{}/rotate", personal["id"].as_str().unwrap());
    assert_snapshot!(ada.post(&path, json!({})).shown(), @r#"
    409
    {
      "code": "canary_token",
      "message": "A canary token cannot be rotated. Create another canary token, and revoke this one."
    }
    "#);
    let environment = ada.get("/api/v1/environments").body["data"][0]["id"].clone();
    let path = format!(
        "/api/v1/environments/{}/tokens/{}/regenerate",
        environment.as_str().unwrap(),
        of_environment["id"].as_str().unwrap()
    );
    assert_eq!(ada.post(&path, json!({})).body["code"], "canary_token");
    let refused = ada.post(TOKENS, json!({ "name": "t", "canary": "yes" }));
    assert_eq!(refused.status, 422);
    let plain = ada.create_token(json!({ "name": "t", "canary": false }));
    assert!(plain.get("canary").is_none());
    assert_eq!(app.bearer(plain["token"].as_str().unwrap()).get("/api/user").status, 200);
}

#[test]
fn a_canary_token_that_has_ended_or_is_disabled_stays_unknown_and_records_nothing() {
    let app = spawn();
    let service = introspector(&app);
    let ada = app.sign_in("ada");
    let body = |days: u64| json!({ "name": "bait", "canary": true, "expires_in_days": days });
    let [revoked, disabled, expired, live] = [5, 5, 1, 5].map(|days| ada.create_token(body(days)));
    let path = |token: &Value| format!("{TOKENS}/{}", token["id"].as_str().unwrap());
    assert_eq!(ada.delete(&path(&revoked)).status, 200);
    assert_eq!(ada.post(&format!("{}/disable", path(&disabled)), json!({})).status, 200);
    app.advance(Duration::from_hours(25));
    for token in [&revoked, &disabled, &expired, &live] {
        let verdict = service.post("/api/v1/tokens/verify", json!({ "token": token["token"] }));
        assert_eq!(verdict.body["data"], json!({ "valid": false, "code": "unknown" }));
    }
    let events = wait_for_events(&ada, 1);
    assert_eq!((events.len(), &events[0]["target"]["id"]), (1, &live["id"]));
}
