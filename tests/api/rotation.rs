//! Rotation: at every moment one of the two secrets is valid, and the reuse of an ended secret is detected.

use std::time::Duration;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::harness::{Answer, Client, TestApp};

const TOKENS: &str = "/api/v1/user/api-tokens";
const SELF: &str = "/api/v1/user/api-tokens/self/rotate";

/// A token and the client that uses it.
struct Held<'a> {
    client: Client<'a>,
    id: String,
}

impl<'a> Held<'a> {
    fn new(app: &'a TestApp, data: &Value) -> Self {
        Self { client: app.bearer(data["token"].as_str().unwrap()), id: data["id"].as_str().unwrap().to_owned() }
    }

    fn make(app: &'a TestApp, owner: &Client<'_>, body: Value) -> Self {
        Self::new(app, &owner.create_token(body))
    }

    fn rotated(app: &'a TestApp, answer: &Answer) -> Self {
        assert_eq!(answer.status, 201, "{}", answer.shown());
        Self::new(app, &answer.body["data"])
    }

    fn is_valid(&self) -> bool {
        match self.client.post("/api/v1/auth/identify", json!({})).status {
            200 => true,
            401 => false,
            other => panic!("{other}"),
        }
    }

    fn path(&self) -> String {
        format!("{TOKENS}/{}", self.id)
    }

    fn rotate_by(&self, owner: &Client<'_>, body: Value) -> Answer {
        owner.post(&format!("{}/rotate", self.path()), body)
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The trail, oldest first, as "action detail outcome".
fn trail(owner: &Client<'_>) -> Vec<String> {
    let mut events: Vec<String> = owner.get("/api/v1/user/audit").body["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| format!("{} {}", event["action"].as_str().unwrap(), event["outcome"].as_str().unwrap()))
        .collect();
    events.reverse();
    events
}

/// Waits until an event has been recorded so many times. Events of uses are recorded after the answer.
fn seen(owner: &Client<'_>, event: &str, times: usize) {
    for _ in 0..200 {
        let count = trail(owner).iter().filter(|noted| noted.starts_with(event)).count();
        assert!(count <= times, "{event} stands {count} times");
        if count == times {
            return;
        }
        std::thread::sleep(Duration::from_millis(25));
    }
    panic!("{event} was not noted {times} times: {:?}", trail(owner));
}

#[test]
fn a_successor_has_the_same_name_abilities_and_expiry() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let old = ada.create_token(json!({ "name": "CI Pipeline", "abilities": ["calls:read"], "expires_in_days": 90 }));
    let old = Held::new(&app, &old);
    app.advance(seconds(60));
    let answer = old.rotate_by(&ada, json!({}));
    assert_snapshot!(answer.shown(), @r#"
    201
    location: /api/v1/user/api-tokens/[uuid]
    {
      "data": {
        "abilities": [
          "calls:read"
        ],
        "created_at": "2024-01-15T19:01:00Z",
        "expires_at": "2024-04-14T19:00:00Z",
        "hint": "[hint]",
        "id": "[uuid]",
        "name": "CI Pipeline",
        "rotated_from": "[uuid]",
        "token": "2|pat_[secret]"
      }
    }
    "#);
    let new = Held::rotated(&app, &answer);
    assert_eq!(answer.body["data"]["rotated_from"], old.id);
    assert_eq!(answer.header("location").unwrap(), new.path());
    assert!(old.is_valid() && new.id != old.id);
    assert_eq!(ada.get(&old.path()).body["data"]["expires_at"], "2024-01-15T19:11:00Z", "it ends with its grace");

    let by_another = app.sign_in("bob").post(&format!("{}/rotate", new.path()), json!({}));
    assert_eq!(by_another.status, 404);
    assert_eq!(trail(&ada)[3..], ["token.rotated success", "token.created success"]);
}

#[test]
fn the_body_may_be_missing_and_its_fields_are_checked() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let make = || Held::make(&app, &ada, json!({ "name": "t" }));
    let path = format!("{}/rotate", make().path());
    assert_eq!(ada.send("POST", &path, None).status, 201);
    let path = format!("{}/rotate", make().path());
    assert_eq!(ada.send_as("POST", &path, "application/json", b"").status, 201);
    let path = format!("{}/rotate", make().path());
    assert_eq!(ada.send_with("POST", &path, &[], b"{\"grace\":0}").status, 415, "a body needs a Content-Type");
    assert_snapshot!(ada.post(&path, json!({ "grace": 604_801, "end_on_first_use": 1, "name": "x" })).shown(), @r#"
    422
    {
      "code": "validation_failed",
      "errors": {
        "end_on_first_use": [
          "The end_on_first_use field must be true or false."
        ],
        "grace": [
          "The grace field must be a whole number from 0 to 604800."
        ],
        "name": [
          "The name field is unknown. The fields here are: abilities, grace, end_on_first_use, expires_at, expires_in_days, replace_unused."
        ]
      },
      "message": "The grace field must be a whole number from 0 to 604800. (and 2 more errors)"
    }
    "#);
}

#[test]
fn the_first_use_of_the_new_secret_ends_the_old_one() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let old = Held::make(&app, &ada, json!({ "name": "t" }));
    let new = Held::rotated(&app, &old.rotate_by(&ada, json!({})));
    assert!(old.is_valid() && old.is_valid(), "its own use ends nothing");
    assert!(new.is_valid() && !old.is_valid() && new.is_valid());
    assert_eq!(ada.get(&old.path()).body["data"]["revoked_reason"], "rotated");
    assert!(trail(&ada).iter().any(|event| event == "token.revoked success"));
}

#[test]
fn without_end_on_first_use_both_are_valid_until_the_grace_ends() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let old = Held::make(&app, &ada, json!({ "name": "t" }));
    let new = Held::rotated(&app, &old.rotate_by(&ada, json!({ "grace": 60, "end_on_first_use": false })));
    assert!(new.is_valid() && old.is_valid());
    app.advance(seconds(59));
    assert!(old.is_valid(), "at -1 s");
    app.advance(seconds(1));
    assert!(!old.is_valid(), "at 0 s");
    app.set_clock_back(seconds(30));
    assert!(!old.is_valid(), "a clock that steps back");
    app.advance(seconds(31));
    assert!(!old.is_valid() && new.is_valid(), "at +1 s");
}

#[test]
fn a_grace_of_zero_ends_the_old_secret_with_the_answer() {
    let app = TestApp::with(&[("rotation.grace", "0s")]);
    let ada = app.sign_in("ada");
    let old = Held::make(&app, &ada, json!({ "name": "t" }));
    let new = Held::rotated(&app, &old.rotate_by(&ada, json!({})));
    assert!(!old.is_valid() && new.is_valid());
    assert_eq!(old.rotate_by(&ada, json!({})).status, 404);
}

#[test]
fn rotation_never_extends_an_expiry() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let make = |body: Value| Held::make(&app, &ada, body);
    let old = make(json!({ "name": "t", "expires_at": "2024-01-15T19:05:00Z" }));
    let answer = old.rotate_by(&ada, json!({ "expires_at": "2024-01-15T19:05:01Z" }));
    assert_snapshot!(answer.shown(), @r#"
    422
    {
      "code": "validation_failed",
      "errors": {
        "expires_at": [
          "The expires_at field must not be later than the end of the token that is replaced."
        ]
      },
      "message": "The expires_at field must not be later than the end of the token that is replaced."
    }
    "#);
    assert_eq!(old.rotate_by(&ada, json!({ "expires_in_days": 1 })).status, 422);
    assert!(old.is_valid(), "a refused rotation changes nothing");
    let new = old.rotate_by(&ada, json!({ "expires_at": "2024-01-15T19:04:00Z" })).body;
    assert_eq!(new["data"]["expires_at"], "2024-01-15T19:04:00Z");
    assert_eq!(ada.get(&old.path()).body["data"]["expires_at"], "2024-01-15T19:05:00Z", "before its grace would end");
    let again = old.rotate_by(&ada, json!({ "expires_at": "2024-01-15T19:05:00Z", "replace_unused": true }));
    assert_eq!(again.status, 422, "nor does a second try");

    let endless = make(json!({ "name": "t" }));
    let shortened = endless.rotate_by(&ada, json!({ "expires_in_days": 1 }));
    assert_eq!(shortened.body["data"]["expires_at"], "2024-01-16T19:00:00Z");
    let endless = make(json!({ "name": "t" }));
    assert_eq!(endless.rotate_by(&ada, json!({})).body["data"]["expires_at"], Value::Null);
}

#[test]
fn a_token_can_rotate_itself_if_it_has_the_ability() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    for abilities in [json!(["tokens:rotate-self"]), json!(["tokens:*"]), json!(["*"])] {
        let old = Held::make(&app, &ada, json!({ "name": "t", "abilities": abilities }));
        let answer = old.client.post(SELF, json!({}));
        let new = Held::rotated(&app, &answer);
        assert_eq!(answer.body["data"]["abilities"], abilities);
        assert!(old.is_valid() && new.is_valid() && !old.is_valid());
        assert_eq!(old.client.get(TOKENS).status, 401);
    }
    let powerless = Held::make(&app, &ada, json!({ "name": "t", "abilities": ["user:read"] }));
    assert_eq!(powerless.client.post(SELF, json!({})).body["code"], "missing_ability");
    let other = Held::make(&app, &ada, json!({ "name": "t" }));
    let answer = other.client.post(&format!("{}/rotate", powerless.path()), json!({}));
    assert_eq!((answer.status, &answer.body["code"]), (403, &json!("session_required")), "no other than itself");
    assert_eq!(ada.post(SELF, json!({})).body["code"], "token_required", "a session is no token");
}

#[test]
fn a_second_rotation_conflicts_unless_it_replaces_an_unused_successor() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let old = Held::make(&app, &ada, json!({ "name": "t" }));
    let lost = Held::rotated(&app, &old.client.post(SELF, json!({ "end_on_first_use": false })));
    assert_snapshot!(old.client.post(SELF, json!({})).shown(), @r#"
    409
    {
      "code": "already_rotated",
      "message": "This token has already been rotated. Its successor stays.",
      "successor": "[uuid]"
    }
    "#);
    let new = Held::rotated(&app, &old.client.post(SELF, json!({ "replace_unused": true })));
    assert!(old.is_valid() && !lost.is_valid());
    let newer = Held::rotated(&app, &old.rotate_by(&ada, json!({ "replace_unused": true })));
    assert!(!new.is_valid() && newer.is_valid());
    let answer = old.client.post(SELF, json!({ "replace_unused": true }));
    assert_eq!((answer.status, &answer.body["code"]), (409, &json!("already_rotated")), "it was used");
    assert!(newer.is_valid() && old.is_valid());
}

#[test]
fn at_most_two_tokens_of_a_family_are_valid_and_each_ends_on_its_own() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let first = Held::make(&app, &ada, json!({ "name": "t" }));
    let second = Held::rotated(&app, &first.rotate_by(&ada, json!({ "end_on_first_use": false })));
    let third = Held::rotated(&app, &second.rotate_by(&ada, json!({ "end_on_first_use": false })));
    assert!(!first.is_valid() && second.is_valid() && third.is_valid());
    assert_eq!(ada.delete(&second.path()).status, 200);
    assert!(!second.is_valid() && third.is_valid(), "revocation ends what it names");
    assert_eq!(second.rotate_by(&ada, json!({})).status, 404);
    assert_eq!(second.client.post(SELF, json!({})).status, 401);
    assert!(third.is_valid(), "what its owner revoked is no reuse");
}

#[test]
fn rotation_works_at_the_limit_and_both_tokens_count_until_the_old_one_ends() {
    let app = TestApp::with(&[("tokens.max_per_user", "2")]);
    let ada = app.sign_in("ada");
    let old = Held::make(&app, &ada, json!({ "name": "t" }));
    let new = Held::rotated(&app, &old.rotate_by(&ada, json!({})));
    assert_eq!(ada.post(TOKENS, json!({ "name": "t" })).status, 422);
    assert!(new.is_valid());
    ada.create_token(json!({ "name": "t" }));
    assert_eq!(ada.post(TOKENS, json!({ "name": "t" })).status, 422);
    Held::rotated(&app, &new.rotate_by(&ada, json!({})));
}

#[test]
fn the_reuse_of_an_ended_secret_is_recorded_once_a_minute_and_gets_the_usual_401() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let old = Held::make(&app, &ada, json!({ "name": "t" }));
    let new = Held::rotated(&app, &old.rotate_by(&ada, json!({})));
    assert!(new.is_valid());
    for _ in 0..3 {
        let answer = old.client.get("/api/user");
        assert_eq!(answer.text, r#"{"message":"Unauthenticated.","code":"unauthenticated"}"#);
        assert_eq!(answer.header("www-authenticate"), Some(r#"Bearer realm="patd", error="invalid_token""#));
    }
    seen(&ada, "token.reuse_detected refused", 1);
    app.advance(seconds(59));
    assert!(!old.is_valid());
    app.advance(seconds(1));
    assert!(!old.is_valid());
    seen(&ada, "token.reuse_detected refused", 2);
    assert!(new.is_valid(), "it is only noted");

    let revoked = Held::make(&app, &ada, json!({ "name": "t" }));
    Held::rotated(&app, &revoked.rotate_by(&ada, json!({})));
    assert_eq!(ada.delete(&revoked.path()).status, 200);
    app.advance(seconds(60));
    assert!(!revoked.is_valid() && !old.is_valid());
    seen(&ada, "token.reuse_detected refused", 3);
}

#[test]
fn an_ended_secret_that_tries_to_rotate_ends_its_family() {
    let app = TestApp::spawn();
    let (ada, bob) = (app.sign_in("ada"), app.sign_in("bob"));
    let (other, foreign) =
        (Held::make(&app, &ada, json!({ "name": "o" })), Held::make(&app, &bob, json!({ "name": "b" })));
    let first = Held::make(&app, &ada, json!({ "name": "t" }));
    let second = Held::rotated(&app, &first.client.post(SELF, json!({ "grace": 60 })));
    let third = Held::rotated(&app, &second.client.post(SELF, json!({ "grace": 60 })));
    // Not by its use: that would be a reuse of its own, which may be recorded before the next one.
    assert_eq!(ada.get(&first.path()).body["data"]["revoked_reason"], "rotated", "by the use of the second");
    let answer = first.client.post(SELF, json!({}));
    assert_eq!(answer.text, r#"{"message":"Unauthenticated.","code":"unauthenticated"}"#);
    assert!(!second.is_valid() && !third.is_valid());
    assert!(other.is_valid() && foreign.is_valid());
    seen(&ada, "token.reuse_detected refused", 1);
    let revoked = trail(&ada).iter().filter(|event| *event == "token.revoked success").count();
    assert_eq!(revoked, 3, "the first by the second's use, and then these two");
    assert_eq!(first.client.post(SELF, json!({})).status, 401);
    seen(&ada, "token.reuse_detected refused", 1);
}

#[test]
fn any_use_of_an_ended_secret_ends_the_family_if_configured() {
    let app = TestApp::with(&[("rotation.on_reuse", "revoke_family")]);
    let ada = app.sign_in("ada");
    let old = Held::make(&app, &ada, json!({ "name": "t" }));
    let new = Held::rotated(&app, &old.rotate_by(&ada, json!({ "grace": 60, "end_on_first_use": false })));
    app.advance(seconds(60));
    assert!(new.is_valid() && !old.is_valid());
    seen(&ada, "token.reuse_detected refused", 1);
    assert!(!new.is_valid());
}

#[test]
fn a_token_and_its_successors_share_one_quota_and_one_rate() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    for (limit, expected) in
        [(json!({ "name": "t", "quota": 20 }), 20), (json!({ "name": "t", "requests_per_minute": 20 }), 20)]
    {
        let mut holders = vec![Held::make(&app, &ada, limit)];
        let mut accepted = 0;
        for _ in 0..40 {
            // Rotating before spending must not add to the quota.
            let newest = holders.last().unwrap();
            let rotated = newest.client.post(SELF, json!({ "end_on_first_use": false }));
            accepted += usize::from(rotated.status == 201);
            if rotated.status == 201 {
                holders.push(Held::rotated(&app, &rotated));
            }
            for holder in &holders {
                accepted += usize::from(holder.client.post("/api/v1/auth/identify", json!({})).status == 200);
            }
        }
        assert_eq!(accepted, expected);
        assert!(holders.len() > 3, "{}", holders.len());
    }
}

#[test]
fn the_answer_shows_the_rest_of_the_quota() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let old = Held::make(&app, &ada, json!({ "name": "t", "quota": 20 }));
    assert!(old.is_valid());
    let rotated = old.rotate_by(&ada, json!({}));
    assert_eq!(rotated.body["data"]["quota_remaining"], 19, "{}", rotated.shown());
}

#[test]
fn a_revoked_or_disabled_successor_is_not_replaced() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    for (method, path) in [("DELETE", ""), ("POST", "/disable")] {
        let old = Held::make(&app, &ada, json!({ "name": "t" }));
        let new = Held::rotated(&app, &old.client.post(SELF, json!({})));
        assert_eq!(ada.send(method, &format!("{}{path}", new.path()), None).status, 200);
        let again = old.client.post(SELF, json!({ "replace_unused": true }));
        assert_eq!((again.status, again.body["code"].as_str()), (409, Some("already_rotated")), "{method}");
    }
}
