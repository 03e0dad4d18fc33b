//! Users who are disabled or deleted, and what they own gets another owner in the same step.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::{
    admin_users::path_of,
    harness::{Answer, Client, TestApp},
    service_accounts::{id_of, last, service_account},
};

const IDENTIFY: &str = "/api/v1/auth/identify";

/// A token of an environment, in the form of its secret.
fn environment_token<'a>(app: &'a TestApp, owner: &Client<'_>, environment: &str) -> Client<'a> {
    let created = owner.post(&format!("/api/v1/environments/{environment}/tokens"), json!({ "name": "t" }));
    app.bearer(created.body["data"]["token"].as_str().unwrap())
}

fn environment(owner: &Client<'_>) -> String {
    let created = owner.post("/api/v1/environments", json!({ "name": "prod" }));
    created.body["data"]["id"].as_str().unwrap().to_owned()
}

/// What the error of each field says, or the code.
fn refusal(answer: &Answer) -> String {
    let errors = answer.body["errors"].as_object().map(|errors| {
        errors.values().map(|messages| messages[0].as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
    });
    format!("{} {}", answer.status, errors.unwrap_or_else(|| answer.body["code"].to_string()))
}

#[test]
fn a_deletion_hands_over_what_is_named_for_somebody_and_ends_the_rest() {
    let app = TestApp::spawn();
    let (root, ada) = (app.sign_in_admin("root"), app.sign_in("ada"));
    let machine = service_account(&root, "ci", &[]);
    let token = ada.create_token(json!({ "name": "deploy", "abilities": ["user:read"] }));
    let secret = app.bearer(token["token"].as_str().unwrap());
    let default = ada.get("/api/user").body["current_environment_id"].as_str().unwrap().to_owned();
    let (kept, ended) = (environment_token(&app, &ada, &environment(&ada)), environment_token(&app, &ada, &default));
    for client in [&ada, &secret, &kept, &ended] {
        assert_eq!(client.post(IDENTIFY, json!({})).status, 200);
    }
    assert_eq!(secret.get("/api/user").body["name"], "ada");

    let (id, path) = (id_of(&ada), path_of(&ada));
    let deleted = root.delete(&format!("{path}?transfer_to={}", last(&machine)));
    assert_eq!(deleted.status, 200, "{}", deleted.shown());
    let expected = json!({
        "id": id, "sessions": 1, "tokens": 0, "environments": 1, "environment_tokens": 1,
        "handed_over": { "tokens": 1, "environments": 1 },
    });
    assert_eq!(deleted.body["data"], expected);
    assert_eq!(secret.get("/api/user").body["id"], last(&machine), "it stands for its new owner at once");
    let statuses = [&ada, &secret, &kept, &ended].map(|client| client.post(IDENTIFY, json!({})).status);
    assert_eq!(statuses, [401, 200, 200, 401], "the default environment is deleted");
    let owns = root.get(&format!("/api/v1/admin/users/{}/owns", last(&machine))).body["data"].clone();
    assert_eq!((&owns["tokens"]["count"], &owns["environments"]["count"]), (&json!(1), &json!(1)));
    // The new owner was written about, the deleted user only by id.
    let shown = root.get(&format!("/api/v1/admin/tokens/{}", token["id"].as_str().unwrap()));
    assert_eq!(shown.body["data"]["owner"], json!({ "id": last(&machine), "type": "service_account", "name": "ci" }));
    let events = root.get(&format!("/api/v1/admin/audit?subject={}&action=token.handed_over", last(&machine)));
    assert_eq!(events.body["data"][0]["detail"], format!("from user {id}"), "{}", events.shown());
}

#[test]
fn a_transfer_that_cannot_be_made_changes_nothing() {
    let app = TestApp::with(&[("tokens.max_per_user", "1")]);
    let (root, ada, bob) = (app.sign_in_admin("root"), app.sign_in("ada"), app.sign_in("bob"));
    let secret = ada.create_token(json!({ "name": "a" }));
    let secret = app.bearer(secret["token"].as_str().unwrap());
    bob.create_token(json!({ "name": "b" }));
    let off = app.sign_in("off");
    assert_eq!(root.post(&format!("{}/disable", path_of(&off)), json!({})).status, 200);
    let off = root.get("/api/v1/admin/users?search=off@").body["data"][0]["id"].as_str().unwrap().to_owned();
    let unknown = uuid::Uuid::now_v7().to_string();
    let path = path_of(&ada);
    let (bob, own) = (id_of(&bob), id_of(&ada));
    for to in ["", "bob", &unknown, &own, &off, &bob] {
        let deleted = refusal(&root.delete(&format!("{path}?transfer_to={to}")));
        for dry_run in [false, true] {
            let body = json!({ "transfer_to": to, "dry_run": dry_run });
            let disabled = root.post(&format!("{path}/disable"), body);
            if dry_run && to == bob {
                // Only the change itself counts the tokens of the new owner.
                assert_eq!(disabled.status, 200);
                continue;
            }
            assert_eq!(refusal(&disabled), deleted, "{to}");
        }
    }
    let refused = [
        root.delete(&format!("{path}?transfer_to={bob}&transfer_to={unknown}")),
        root.delete(&format!("{path}?transfer_to={bob}")),
        root.delete(&format!("{path}?transfer_to={off}")),
        root.delete(&format!("{path}?transfer_to={own}")),
        root.delete(&format!("{path}?transfer_to=")),
        root.delete(&format!("{path}?transfer={bob}")),
        root.send("DELETE", &path, Some(json!({ "transfer_to": bob }))),
        root.post(&format!("{path}/disable"), json!({ "transfer_to": null })),
        root.post(&format!("{path}/disable"), json!({ "dry_run": null })),
        root.delete(&format!("/api/v1/admin/users/{unknown}?transfer_to={bob}")),
        root.post(&format!("/api/v1/admin/users/{unknown}/disable"), json!({ "transfer_to": bob })),
        root.post(&format!("/api/v1/admin/users/{unknown}/disable"), json!({ "dry_run": true })),
        root.delete(&format!("{}?transfer_to={own}", path_of(&root))),
        root.post(&format!("{}/disable", path_of(&root)), json!({ "transfer_to": own })),
    ];
    assert_snapshot!(refused.iter().map(refusal).collect::<Vec<_>>().join("\n"), @r#"
    400 "malformed_request"
    422 The transfer_to field must not be an owner who would then have more than 1 live tokens, the limit of this server.
    422 The transfer_to field must not be disabled. Enable the account first.
    422 The transfer_to field must not be the present owner.
    422 The transfer_to field must be the id of a user or of a service account.
    422 The transfer field is unknown. The parameters here are: transfer_to.
    422 The transfer_to field must not be in the body. Send it as a query parameter: ?transfer_to=VALUE.
    422 The transfer_to field must not be null. Leave it out to hand over nothing.
    422 The dry_run field must not be null. Leave it out to disable the user.
    404 "not_found"
    404 "not_found"
    404 "not_found"
    409 "last_admin"
    409 "last_admin"
    "#);
    assert_eq!(ada.get("/api/user").status, 200, "neither disabled nor deleted");
    assert_eq!(secret.get("/api/user").body["name"], "ada");
}

#[test]
fn disabling_lists_what_the_user_owns_and_hands_it_over_if_asked() {
    let app = TestApp::spawn();
    let (root, ada, bob) = (app.sign_in_admin("root"), app.sign_in("ada"), app.sign_in("bob"));
    let [first, second] = ["first", "second"].map(|name| {
        let token = ada.create_token(json!({ "name": name, "abilities": ["user:read"] }));
        app.bearer(token["token"].as_str().unwrap())
    });
    environment(&ada);
    let path = format!("{}/disable", path_of(&ada));
    let dry_run = root.post(&path, json!({ "dry_run": true, "transfer_to": id_of(&bob) })).body["data"].clone();
    assert_eq!((&dry_run["dry_run"], &dry_run["state"]), (&json!(true), &json!("active")));
    let names = |kind: &str, owns: &Value| {
        let items = owns["owns"][kind]["first"].as_array().unwrap().clone();
        items.iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names("tokens", &dry_run), ["second", "first"]);
    assert_eq!(names("environments", &dry_run), ["prod", "Default"]);
    assert_eq!(dry_run["handed_over"], json!({ "tokens": 2, "environments": 1 }));
    assert_eq!((ada.get("/api/user").status, first.get("/api/user").status), (200, 200), "nothing is changed");

    // A token of an administrator disables, and hands nothing over.
    let tool = root.create_token(json!({ "name": "tool", "abilities": ["admin:*"] }));
    let tool = app.bearer(tool["token"].as_str().unwrap());
    let refused = tool.post(&path, json!({ "transfer_to": id_of(&bob) }));
    assert_eq!((refused.status, &refused.body["code"]), (403, &json!("session_required")));
    let user = path_of(&ada);
    let disabled = tool.post(&path, json!({})).body["data"].clone();
    assert_eq!((&disabled["dry_run"], &disabled["state"]), (&json!(false), &json!("disabled")));
    assert_eq!((names("tokens", &disabled).len(), disabled.get("handed_over")), (2, None));
    assert_eq!((ada.get("/api/user").status, first.get("/api/user").status), (401, 401));
    assert_eq!(root.post(&format!("{user}/enable"), json!({})).status, 200);

    let handed_over = root.post(&path, json!({ "transfer_to": id_of(&bob) })).body["data"].clone();
    assert_eq!(handed_over["handed_over"], dry_run["handed_over"]);
    assert_eq!((&handed_over["state"], names("tokens", &handed_over).len()), (&json!("disabled"), 2));
    for secret in [&first, &second] {
        assert_eq!(secret.get("/api/user").body["name"], "bob");
    }
}

#[test]
fn no_check_that_starts_after_the_answer_stands_for_the_earlier_owner() {
    let app = TestApp::spawn();
    let (root, bob) = (app.sign_in_admin("root"), app.sign_in("bob"));
    for round in 0..10 {
        let ada = app.sign_in(&format!("ada{round}"));
        let token = ada.create_token(json!({ "name": "t", "abilities": ["user:read"] }));
        let token = app.bearer(token["token"].as_str().unwrap());
        let (path, heir, answered) = (path_of(&ada), id_of(&bob), AtomicBool::new(false));
        thread::scope(|scope| {
            for _ in 0..3 {
                let (token, heir, answered) = (&token, &heir, &answered);
                scope.spawn(move || {
                    loop {
                        let was_answered = answered.load(Ordering::SeqCst);
                        let answer = token.get("/api/user");
                        assert_eq!(answer.status, 200, "it is valid all the time");
                        if was_answered {
                            return assert_eq!(answer.body["id"], **heir);
                        }
                    }
                });
            }
            let changed = match round % 2 {
                0 => root.delete(&format!("{path}?transfer_to={heir}")),
                _ => root.post(&format!("{path}/disable"), json!({ "transfer_to": heir })),
            };
            answered.store(true, Ordering::SeqCst);
            assert_eq!(changed.status, 200, "{}", changed.shown());
        });
    }
}

/// Gives what the user at this path owns to another one.
type GiveTo = fn(&Client<'_>, &str, &str) -> Answer;

#[test]
fn the_new_owner_does_not_see_from_where_the_earlier_one_used_a_token() {
    let app = TestApp::spawn();
    let (root, bob) = (app.sign_in_admin("root"), app.sign_in("bob"));
    let ways: [(&str, GiveTo); 3] = [
        ("deletion", |root, path, to| root.delete(&format!("{path}?transfer_to={to}"))),
        ("disabling", |root, path, to| root.post(&format!("{path}/disable"), json!({ "transfer_to": to }))),
        ("hand-over", |root, path, to| root.post(&format!("{path}/hand-over"), json!({ "to": to, "tokens": true }))),
    ];
    for (way, give_to) in ways {
        let ada = app.sign_in(way);
        let token = ada.create_token(json!({ "name": way, "abilities": ["user:read"] }));
        let secret = app.bearer(token["token"].as_str().unwrap());
        let path = format!("/api/v1/user/api-tokens/{}", token["id"].as_str().unwrap());
        let addresses = |owner: &Client<'_>| {
            let uses = owner.get(&path).body["data"]["last_uses"].as_array().unwrap().clone();
            uses.into_iter().map(|used| used["address"].clone()).collect::<Vec<_>>()
        };
        // It is in memory only, unless the background has just written it.
        assert_eq!(secret.get("/api/user").status, 200);
        assert_eq!(addresses(&ada), ["127.0.0.1"], "{way}");
        let given = give_to(&root, &path_of(&ada), &id_of(&bob));
        assert_eq!(given.status, 200, "{way}: {}", given.shown());
        assert_eq!(addresses(&bob), [""; 0], "{way}");
        assert_eq!(secret.get("/api/user").body["name"], "bob");
        assert_eq!(addresses(&bob), ["127.0.0.1"], "{way}: a use for the new owner is recorded");
    }
}
