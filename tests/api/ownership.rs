//! What a user owns, and handing it over.

use insta::assert_snapshot;
use serde_json::json;

use crate::{
    harness::{Client, TestApp},
    service_accounts::{id_of, last, service_account},
};

#[test]
fn everything_that_somebody_owns_is_listed_and_handed_over_in_one_step() {
    let app = TestApp::spawn();
    let (root, ada) = (app.sign_in_admin("root"), app.sign_in("ada"));
    let machine = service_account(&root, "ci", &[&ada]);
    let token = ada.create_token(json!({ "name": "deploy", "abilities": ["user:read"] }));
    let secret = app.bearer(token["token"].as_str().unwrap());
    let environment =
        ada.post("/api/v1/environments", json!({ "name": "prod" })).header("location").unwrap().to_owned();
    let talq = ada.post(&format!("{environment}/tokens"), json!({ "name": "app" }));
    let talq = app.bearer(talq.body["data"]["token"].as_str().unwrap());
    let user = format!("/api/v1/admin/users/{}", id_of(&ada));
    assert_snapshot!(root.get(&format!("{user}/owns")).shown(), @r#"
    200
    {
      "data": {
        "environments": {
          "count": 2,
          "first": [
            {
              "id": "[uuid]",
              "name": "prod"
            },
            {
              "id": "[uuid]",
              "name": "Default"
            }
          ]
        },
        "service_accounts": {
          "count": 1,
          "first": [
            {
              "id": "[uuid]",
              "name": "ci"
            }
          ]
        },
        "tokens": {
          "count": 1,
          "first": [
            {
              "id": "[uuid]",
              "name": "deploy"
            }
          ]
        }
      }
    }
    "#);
    assert_eq!(secret.get("/api/user").body["name"], "ada");

    let body = json!({ "to": last(&machine), "tokens": true, "environments": true });
    let moved = root.post(&format!("{user}/hand-over"), body);
    assert_eq!((moved.status, &moved.body["data"]), (200, &json!({ "tokens": 1, "environments": 1 })));
    assert_eq!(secret.get("/api/user").body["id"], last(&machine), "it stands for its new owner at once");
    assert_eq!(talq.post("/api/v1/auth/identify", json!({})).status, 200);
    assert_eq!(ada.get(&environment).body["data"]["role"], "owner", "ada manages the new owner");
    assert_eq!(ada.get("/api/v1/user/api-tokens").body["data"], json!([]));
    assert_eq!(ada.get(&format!("/api/v1/user/api-tokens?owner={}", last(&machine))).body["data"][0]["name"], "deploy");

    // From a service account to a user, by ids.
    let id = token["id"].as_str().unwrap();
    let body = json!({ "to": id_of(&ada), "tokens": [id] });
    let back = root.post(&format!("/api/v1/admin/users/{}/hand-over", last(&machine)), body);
    assert_eq!((back.status, &back.body["data"]), (200, &json!({ "tokens": 1, "environments": 0 })));
    assert_eq!(secret.get("/api/user").body["name"], "ada");
}

#[test]
fn a_hand_over_that_cannot_be_done_says_which_field_is_wrong() {
    let app = TestApp::with(&[("tokens.max_per_user", "1")]);
    let (root, ada, bob) = (app.sign_in_admin("root"), app.sign_in("ada"), app.sign_in("bob"));
    ada.create_token(json!({ "name": "a" }));
    bob.create_token(json!({ "name": "b" }));
    let (from, to) = (id_of(&ada), id_of(&bob));
    let path = format!("/api/v1/admin/users/{from}/hand-over");
    let unknown = uuid::Uuid::now_v7().to_string();
    let default = ada.get("/api/user").body["current_environment_id"].clone();
    let refused = |body| {
        let answer = root.post(&path, body);
        let errors = answer.body["errors"].as_object().map(|errors| {
            errors.values().map(|messages| messages[0].as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
        });
        format!("{} {}", answer.status, errors.unwrap_or_else(|| answer.body["code"].to_string()))
    };
    let answers = [
        refused(json!({ "to": to })),
        refused(json!({ "tokens": true })),
        refused(json!({ "to": "bob", "tokens": true })),
        refused(json!({ "to": unknown, "tokens": true })),
        refused(json!({ "to": from, "tokens": true })),
        refused(json!({ "to": to, "tokens": false })),
        refused(json!({ "to": to, "tokens": null })),
        refused(json!({ "to": to, "tokens": [unknown], "environments": [unknown, "x"] })),
        refused(json!({ "to": to, "tokens": [unknown], "environments": [unknown] })),
        refused(json!({ "to": to, "tokens": true })),
        refused(json!({ "to": to, "environments": [default] })),
    ];
    assert_snapshot!(answers.join("\n"), @r#"
    422 The tokens field must be given, or environments, or both: true for all, or a list of ids.
    422 The to field is required.
    422 The to field must be the id of a user or of a service account.
    422 The to field must be the id of a user or of a service account.
    422 The to field must not be the present owner.
    422 The tokens field must be true or an array.
    422 The tokens field must be true or an array.
    422 The environments.1 field must be a UUID.
    422 The environments.0 field must be the id of an environment of this owner. The tokens.0 field must be the id of a personal access token of this owner.
    422 The to field must not be an owner who would then have more than 1 live tokens, the limit of this server.
    409 "default_environment"
    "#);
    assert_eq!(
        root.post(&format!("/api/v1/admin/users/{unknown}/hand-over"), json!({ "to": to, "tokens": true })).status,
        404
    );
    assert_eq!(root.get(&format!("/api/v1/admin/users/{unknown}/owns")).status, 404);
    let names = |client: &Client<'_>| client.get("/api/v1/user/api-tokens").body["data"][0]["name"].clone();
    assert_eq!((names(&ada), names(&bob)), (json!("a"), json!("b")), "nothing was changed");
}
