//! Descriptions and metadata of tokens: set, changed, kept, shown and searched.

use insta::assert_snapshot;
use patd::domain::annotations::Metadata;
use serde_json::{Map, Value, json};

use crate::{
    harness::{Client, TestApp},
    introspection::{introspect, introspector},
};

const TOKENS: &str = "/api/v1/user/api-tokens";

fn path(token: &Value) -> String {
    format!("{TOKENS}/{}", token["id"].as_str().unwrap())
}

fn secret(token: &Value) -> &str {
    token["token"].as_str().unwrap()
}

/// The description and the metadata that a view shows.
fn shown(view: &Value) -> (Option<&str>, Value) {
    (view["description"].as_str(), view["metadata"].clone())
}

fn verify(service: &Client<'_>, token: &Value) -> Value {
    service.post("/api/v1/tokens/verify", json!({ "token": secret(token) })).body["data"]["token"].clone()
}

#[test]
fn annotations_are_shown_wherever_a_token_is() {
    let app = TestApp::spawn();
    let (ada, service) = (app.sign_in("ada"), introspector(&app));
    let created = ada.create_token(json!({
        "name": "ci", "description": " The nightly build\n", "metadata": { "team": "payments", "cost centre": "Ü 1" },
    }));
    let wanted = (Some("The nightly build"), json!({ "team": "payments", "cost centre": "Ü 1" }));
    let list = ada.get(TOKENS).body["data"][0].clone();
    let details = ada.get(&path(&created)).body["data"].clone();
    let introspected = introspect(&service, secret(&created)).body;
    for view in [&created, &list, &details, &verify(&service, &created), &introspected] {
        assert_eq!(shown(view), wanted, "{view}");
    }
    // What a token does not have is left out.
    let plain = ada.create_token(json!({ "name": "plain", "description": null, "metadata": null }));
    for view in [&plain, &verify(&service, &plain), &introspect(&service, secret(&plain)).body] {
        assert!(view.get("description").is_none() && view.get("metadata").is_none(), "{view}");
    }
}

#[test]
fn a_change_is_seen_by_the_next_check_and_recorded() {
    let app = TestApp::spawn();
    let (ada, service) = (app.sign_in("ada"), introspector(&app));
    let token = ada.create_token(json!({ "name": "ci", "description": "old", "metadata": { "a": "1", "b": "2" } }));
    assert_eq!(shown(&verify(&service, &token)), (Some("old"), json!({ "a": "1", "b": "2" })));
    let change = |body: Value| {
        let changed = ada.patch(&path(&token), body);
        assert_eq!(changed.status, 200, "{}", changed.shown());
        assert_eq!(shown(&verify(&service, &token)), shown(&changed.body["data"]), "the cached record is not stale");
        changed.body["data"].clone()
    };
    // The metadata is replaced as a whole, and what is not named stays.
    assert_eq!(shown(&change(json!({ "metadata": { "c": "3" } }))), (Some("old"), json!({ "c": "3" })));
    assert_eq!(shown(&change(json!({ "description": "new" }))), (Some("new"), json!({ "c": "3" })));
    assert_eq!(change(json!({ "name": "renamed" }))["name"], "renamed");
    assert_eq!(shown(&change(json!({ "description": "" }))), (None, json!({ "c": "3" })));
    change(json!({ "description": "again" }));
    let cleared = change(json!({ "name": "ci", "description": null, "metadata": {} }));
    assert_eq!(shown(&cleared), (None, Value::Null));
    let events: Vec<String> = ada.get("/api/v1/user/audit?limit=8").body["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| format!("{} {}", event["action"].as_str().unwrap(), event["detail"].as_str().unwrap_or("-")))
        .collect();
    assert_snapshot!(events.join("\n"), @"
    token.updated description, metadata
    token.renamed -
    token.updated description
    token.updated description
    token.renamed -
    token.updated description
    token.updated metadata
    token.created -
    ");
}

#[test]
fn rotation_and_regeneration_keep_annotations() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let body = json!({ "name": "t", "description": "d", "metadata": { "team": "payments" } });
    let wanted = (Some("d"), json!({ "team": "payments" }));
    let token = ada.create_token(body.clone());
    let rotated = ada.post(&format!("{}/rotate", path(&token)), json!({})).body["data"].clone();
    assert_eq!(shown(&rotated), wanted);
    assert_eq!(shown(&ada.get(&path(&rotated)).body["data"]), wanted);

    let environment = ada.post("/api/v1/environments", json!({ "name": "e" })).body["data"]["id"].clone();
    let tokens = format!("/api/v1/environments/{}/tokens", environment.as_str().unwrap());
    let token = ada.post(&tokens, body).body["data"].clone();
    let one = |token: &Value| format!("{tokens}/{}", token["id"].as_str().unwrap());
    let regenerated = ada.post(&format!("{}/regenerate", one(&token)), json!({})).body["data"].clone();
    assert_eq!(shown(&regenerated), wanted);
    let changed = ada.patch(&one(&regenerated), json!({ "name": "renamed", "metadata": { "team": "web" } }));
    assert_eq!(
        (shown(&changed.body["data"]), &changed.body["data"]["name"]),
        ((Some("d"), json!({ "team": "web" })), &json!("renamed"))
    );
    assert_eq!(ada.get(&one(&regenerated)).body["data"]["name"], "renamed");
    // A viewer sees it and may not change it. A stranger does not see it. A personal path does not reach it.
    let (bob, eve) = (app.sign_in("bob"), app.sign_in("eve"));
    let bob_id = bob.get("/api/user").body["id"].as_str().unwrap().to_owned();
    let member = format!("/api/v1/environments/{}/members/{bob_id}", environment.as_str().unwrap());
    assert_eq!(ada.put(&member, json!({ "role": "viewer" })).status, 200);
    assert_eq!(bob.patch(&one(&regenerated), json!({ "name": "x" })).body["code"], "role_required");
    assert_eq!(eve.patch(&one(&regenerated), json!({ "name": "x" })).status, 404);
    assert_eq!(ada.patch(&path(&regenerated), json!({ "name": "x" })).status, 404);
    assert_eq!(ada.put(&member, json!({ "role": "admin" })).status, 200);
    assert_eq!(bob.patch(&one(&regenerated), json!({ "description": null })).status, 200);
    assert_eq!(ada.patch(&one(&token), json!({ "name": "x" })).status, 404, "it was replaced");
}

#[test]
fn wrong_annotations_are_refused_by_name() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let many: Map<String, Value> = (0..51).map(|n| (format!("k{n}"), json!("v"))).collect();
    let bodies = [
        json!({ "name": "t", "description": 7 }),
        json!({ "name": "t", "description": "é".repeat(1001) }),
        json!({ "name": "t", "description": "a\u{1b}[31m" }),
        json!({ "name": "t", "metadata": "team=payments" }),
        json!({ "name": "t", "metadata": ["team"] }),
        json!({ "name": "t", "metadata": { "n": 1, "": "v", "k".repeat(65): "v", "a\nb": "v", "long": "v".repeat(501), "nul": "\0" } }),
        json!({ "name": "t", "metadata": many }),
    ];
    let mut messages = Vec::new();
    for body in &bodies {
        let refused = ada.post(TOKENS, body.clone());
        assert_eq!(refused.status, 422, "{}", refused.shown());
        let errors = refused.body["errors"].as_object().unwrap().values().flat_map(|list| list.as_array().unwrap());
        messages.extend(errors.map(|message| message.as_str().unwrap().replace(&"k".repeat(65), "[long key]")));
    }
    assert_snapshot!(messages.join("\n"), @"
    The description field must be a string.
    The description field must not be greater than 1000 characters.
    The description field must not contain control characters except line feeds and tabs.
    The metadata field must be an object of strings.
    The metadata field must be an object of strings.
    The metadata. field must have a key that is not empty.
    The metadata.a
    b field must have a key without control characters.
    The metadata.[long key] field must have a key of at most 64 characters.
    The metadata.long field must not be greater than 500 characters.
    The metadata.n field must be a string.
    The metadata.nul field must not contain control characters except line breaks and tabs.
    The metadata field must not have more than 50 keys.
    ");
    let token = ada.create_token(json!({ "name": "t" }));
    for body in &bodies {
        assert_eq!(ada.patch(&path(&token), body.clone()).status, 422, "{body}");
    }
    assert_snapshot!(ada.patch(&path(&token), json!({})).shown(), @r#"
    422
    {
      "code": "validation_failed",
      "errors": {
        "name": [
          "The name field is required, or else description or metadata: at least one of the three."
        ]
      },
      "message": "The name field is required, or else description or metadata: at least one of the three."
    }
    "#);
    assert_eq!(ada.patch(&path(&token), json!({ "name": null })).status, 422);
}

#[test]
fn the_largest_annotations_are_stored() {
    let app = TestApp::with(&[("server.body_limit", "256KiB")]);
    let ada = app.sign_in("ada");
    // Each character takes two in JSON.
    let metadata: Map<String, Value> = (0..Metadata::MAX)
        .map(|n| {
            (
                format!("{n:02}{}", "\"".repeat(Metadata::MAX_KEY_CHARS - 2)),
                json!("\n".repeat(Metadata::MAX_VALUE_CHARS)),
            )
        })
        .collect();
    let body = json!({ "name": "t", "description": "\u{1f980}".repeat(1000), "metadata": metadata });
    let token = ada.create_token(body.clone());
    assert_eq!(ada.get(&path(&token)).body["data"]["metadata"], body["metadata"]);
    assert_eq!(ada.get(&path(&token)).body["data"]["description"], body["description"]);
}

#[test]
fn lists_are_filtered_by_metadata() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let environment = ada.post("/api/v1/environments", json!({ "name": "e" })).body["data"]["id"].clone();
    let of_environment = format!("/api/v1/environments/{}/tokens", environment.as_str().unwrap());
    for tokens in [TOKENS, &of_environment] {
        for (name, metadata) in [
            ("both", json!({ "team": "payments", "stage": "live", "a]b": "=&" })),
            ("team", json!({ "team": "payments" })),
            ("other", json!({ "team": "payments2", "stage": "live" })),
            ("none", json!({})),
        ] {
            assert_eq!(ada.post(tokens, json!({ "name": name, "metadata": metadata })).status, 201);
        }
        let names = |query: &str| -> Vec<String> {
            let answer = ada.get(&format!("{tokens}?{query}"));
            assert_eq!(answer.status, 200, "{}", answer.shown());
            let items = answer.body["data"].as_array().unwrap();
            items.iter().map(|token| token["name"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(names("metadata[team]=payments"), ["team", "both"]);
        assert_eq!(names("metadata%5Bteam%5D=payments&metadata[stage]=live"), ["both"]);
        assert_eq!(names("metadata[stage]=live&search=oth"), ["other", "both"]);
        assert_eq!(names("metadata[a]b]=%3D%26"), ["both"]);
        assert!(names("metadata[team]=").is_empty() && names("metadata[Team]=payments").is_empty());
        // Pages of a filtered list.
        let first = ada.get(&format!("{tokens}?metadata[team]=payments&limit=1"));
        let cursor = first.body["next_cursor"].as_str().unwrap();
        assert_eq!(names(&format!("metadata[team]=payments&limit=1&cursor={cursor}")), ["both"]);
    }
    for wrong in ["metadata=team", "metadata[]=x", "metadata[team=x", "metadata.team=x", "meta[team]=x"] {
        let refused = ada.get(&format!("{TOKENS}?{wrong}"));
        assert_eq!(refused.status, 422, "{wrong}");
        assert!(
            refused.text.contains("The parameters here are: limit,") && refused.text.contains("metadata[KEY]"),
            "{}",
            refused.shown()
        );
    }
    assert_snapshot!(ada.get(&format!("{TOKENS}?metadata[a]=1&metadata[a]=2")).shown(), @r#"
    422
    {
      "code": "validation_failed",
      "errors": {
        "metadata[a]": [
          "The metadata[a] field must be given once: a token has one value for each key."
        ]
      },
      "message": "The metadata[a] field must be given once: a token has one value for each key."
    }
    "#);
    assert_eq!(ada.get(&format!("{TOKENS}?metadata[{}]=1", "k".repeat(65))).status, 422);
}
