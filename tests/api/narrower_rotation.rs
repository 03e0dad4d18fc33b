//! Rotation that takes abilities away.

use serde_json::{Value, json};

use crate::harness::{Answer, Client, TestApp};

const TOKENS: &str = "/api/v1/user/api-tokens";

fn token(owner: &Client<'_>, abilities: &[&str]) -> Value {
    owner.create_token(json!({ "name": "t", "abilities": abilities }))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn rotate(owner: &Client<'_>, token: &Value, body: Value) -> Answer {
    owner.post(&format!("{TOKENS}/{}/rotate", text(&token["id"])), body)
}

#[test]
fn the_owner_gives_the_successor_fewer_abilities_and_the_trail_says_so() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let old = token(&ada, &["calls:*", "user:read"]);
    let rotated = rotate(&ada, &old, json!({ "abilities": ["calls:read"] }));
    assert_eq!((rotated.status, &rotated.body["data"]["abilities"]), (201, &json!(["calls:read"])));
    assert_eq!(app.bearer(text(&rotated.body["data"]["token"])).get("/api/user").status, 403);
    let shown = ada.get(&format!("{TOKENS}/{}", text(&rotated.body["data"]["id"])));
    assert_eq!(shown.body["data"]["abilities"], json!(["calls:read"]));
    let events = ada.get("/api/v1/user/audit?limit=10").body["data"].as_array().unwrap().clone();
    let detail = events.iter().find(|event| event["action"] == "token.rotated").unwrap()["detail"].clone();
    assert_eq!(detail, json!(format!("to {}, abilities narrowed", text(&rotated.body["data"]["id"]))));

    let same = token(&ada, &["calls:read"]);
    let rotated = rotate(&ada, &same, json!({ "abilities": ["calls:read"] }));
    let event = ada.get("/api/v1/user/audit?limit=2").body["data"][1].clone();
    assert_eq!(event["detail"], json!(format!("to {}", text(&rotated.body["data"]["id"]))), "nothing was taken away");
    let none = rotate(&ada, &token(&ada, &["*"]), json!({ "abilities": [] }));
    assert_eq!((none.status, &none.body["data"]["abilities"]), (201, &json!([])));
}

#[test]
fn an_ability_that_the_token_does_not_cover_is_named() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let old = token(&ada, &["calls:*"]);
    let refused = rotate(&ada, &old, json!({ "abilities": ["calls:read", "agents:read", "*"] }));
    assert_eq!(refused.status, 422, "{}", refused.shown());
    let errors = refused.body["errors"].as_object().unwrap();
    assert_eq!(errors.keys().collect::<Vec<_>>(), ["abilities.1", "abilities.2"]);
    assert!(text(&errors["abilities.1"][0]).contains("agents:read"), "{errors:?}");
    for (body, field) in [(json!({ "abilities": null }), "abilities"), (json!({ "abilities": ["a b"] }), "abilities.0")]
    {
        let refused = rotate(&ada, &old, body);
        assert_eq!((refused.status, refused.body["errors"][field].is_array()), (422, true), "{}", refused.shown());
    }
    let full = token(&ada, &["*"]);
    assert_eq!(rotate(&ada, &full, json!({ "abilities": ["tokens:introspect"] })).status, 422, "no wildcard covers it");
    assert_eq!(rotate(&ada, &old, json!({})).body["data"]["abilities"], json!(["calls:*"]), "nothing was changed");
}

#[test]
fn a_catalogue_also_applies_to_the_abilities_of_a_successor() {
    let app = TestApp::with(&[("tokens.abilities", "calls:read,calls:write")]);
    let ada = app.sign_in("ada");
    let old = token(&ada, &["calls:*"]);
    let refused = rotate(&ada, &old, json!({ "abilities": ["calls:raed"] }));
    assert_eq!((refused.status, refused.body["errors"]["abilities.0"].is_array()), (422, true));
    assert_eq!(rotate(&ada, &old, json!({ "abilities": ["calls:read"] })).status, 201);
}

#[test]
fn a_token_narrows_itself_and_never_widens() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let old = token(&ada, &["tokens:rotate-self", "user:read", "calls:read"]);
    let client = app.bearer(text(&old["token"]));
    let path = format!("{TOKENS}/self/rotate");
    assert_eq!(client.post(&path, json!({ "abilities": ["tokens:*"] })).status, 422);
    let narrow = client.post(&path, json!({ "abilities": ["tokens:rotate-self", "user:read"] }));
    assert_eq!(narrow.status, 201, "{}", narrow.shown());
    let narrow = app.bearer(text(&narrow.body["data"]["token"]));
    let again = narrow.post(&path, json!({ "abilities": ["calls:read"] }));
    assert_eq!(again.status, 422, "what was taken away stays away: {}", again.shown());
    assert_eq!(narrow.get("/api/user").status, 200);
}

/// The holder of the old secret could otherwise undo the narrowing until the grace ends.
#[test]
fn replacing_an_unused_successor_does_not_bring_abilities_back() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let old = token(&ada, &["*"]);
    let narrow = rotate(&ada, &old, json!({ "abilities": ["user:read", "calls:*"] }));
    assert_eq!(narrow.status, 201);
    let holder = app.bearer(text(&old["token"]));
    let path = format!("{TOKENS}/self/rotate");
    let wide = holder.post(&path, json!({ "replace_unused": true, "abilities": ["*"] }));
    assert_eq!((wide.status, wide.body["errors"]["abilities"].is_array()), (422, true), "{}", wide.shown());
    let kept = holder.post(&path, json!({ "replace_unused": true }));
    assert_eq!(kept.body["data"]["abilities"], json!(["user:read", "calls:*"]), "{}", kept.shown());
    let narrower = rotate(&ada, &old, json!({ "replace_unused": true, "abilities": ["calls:read"] }));
    assert_eq!(narrower.body["data"]["abilities"], json!(["calls:read"]));
}

#[test]
fn a_regenerated_environment_token_can_have_fewer_abilities() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let environment = text(&ada.get("/api/user").body["current_environment_id"]).to_owned();
    let path = format!("/api/v1/environments/{environment}/tokens");
    let old = ada.post(&path, json!({ "name": "t", "abilities": ["calls:*"] })).body["data"].clone();
    let regenerate = |body| ada.post(&format!("{path}/{}/regenerate", text(&old["id"])), body);
    let refused = regenerate(json!({ "abilities": ["agents:read"] }));
    assert_eq!((refused.status, refused.body["errors"]["abilities.0"].is_array()), (422, true), "{}", refused.shown());
    let narrow = regenerate(json!({ "abilities": ["calls:read"] }));
    assert_eq!((narrow.status, &narrow.body["data"]["abilities"]), (201, &json!(["calls:read"])));
    let event = ada.get("/api/v1/user/audit?limit=1").body["data"][0].clone();
    assert!(text(&event["detail"]).ends_with(", abilities narrowed"), "{event}");
}
