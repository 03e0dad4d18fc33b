//! Service accounts: who manages them, and what their tokens are.

use std::{
    sync::{
        Barrier, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::{
    access::token,
    authz::{DIALECTS, Dialect, IDENTITY},
    harness::{Client, TestApp},
    introspection::{introspect, introspector},
};

const POLICY: &str = "[[policies]]\nname = \"app\"\nrules = [{ paths = [\"/**\"], abilities = [\"calls:read\"] }]";

/// Creates a service account with these managers, as an administrator. Returns its path.
pub fn service_account(admin: &Client<'_>, name: &str, managers: &[&Client<'_>]) -> String {
    let managers: Vec<String> = managers.iter().map(|manager| id_of(manager)).collect();
    let body = json!({ "name": name, "description": "for tests", "managers": managers });
    let created = admin.post("/api/v1/service-accounts", body);
    assert_eq!(created.status, 201, "{}", created.shown());
    created.header("location").unwrap().to_owned()
}

pub fn id_of(client: &Client<'_>) -> String {
    client.get("/api/user").body["id"].as_str().unwrap().to_owned()
}

/// The id at the end of a path.
pub fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap()
}

/// Creates a token of the service account at this path.
fn token_of<'a>(app: &'a TestApp, by: &Client<'_>, path: &str, abilities: &[&str]) -> (String, Client<'a>) {
    let created = by.create_token(json!({ "name": "ci", "abilities": abilities, "owner": last(path) }));
    (created["id"].as_str().unwrap().to_owned(), app.bearer(created["token"].as_str().unwrap()))
}

#[test]
fn managers_see_and_rename_theirs_and_administrators_do_the_rest() {
    let app = TestApp::spawn();
    let (root, ada, bob) = (app.sign_in_admin("root"), app.sign_in("ada"), app.sign_in("bob"));
    let path = service_account(&root, "ci", &[&ada]);
    service_account(&root, "other", &[]);
    assert_snapshot!(ada.get(&path).shown(), @r#"
    200
    {
      "data": {
        "created_at": "2024-01-15T19:00:00Z",
        "description": "for tests",
        "disabled_at": null,
        "id": "[uuid]",
        "managers": [
          {
            "created_at": "2024-01-15T19:00:00Z",
            "name": "ada",
            "user_id": "[uuid]"
          }
        ],
        "name": "ci"
      }
    }
    "#);
    let listed = |client: &Client<'_>, query: &str| {
        let answer = client.get(&format!("/api/v1/service-accounts{query}"));
        assert_eq!(answer.status, 200, "{}", answer.shown());
        let names = answer.body["data"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    assert_eq!(
        (listed(&root, ""), listed(&ada, ""), listed(&bob, "")),
        (vec!["other".to_owned(), "ci".to_owned()], vec!["ci".to_owned()], vec![])
    );
    assert_eq!((listed(&root, "?search=CI"), listed(&ada, "?search=nothing")), (vec!["ci".to_owned()], vec![]));
    let page = root.get("/api/v1/service-accounts?limit=1").body;
    let cursor = page["next_cursor"].as_str().unwrap();
    assert_eq!(listed(&root, &format!("?limit=1&cursor={cursor}")), ["ci"]);
    assert_eq!(ada.get(&format!("/api/v1/service-accounts?cursor={cursor}")).status, 422, "a cursor of another list");

    assert_eq!(bob.get(&path).status, 404);
    assert_eq!(bob.patch(&path, json!({ "name": "never" })).status, 404);
    let renamed = ada.patch(&path, json!({ "name": "deploy", "description": null })).body["data"].clone();
    assert_eq!((&renamed["name"], &renamed["description"]), (&json!("deploy"), &Value::Null));
    assert_eq!(root.patch(&path, json!({ "description": "again" })).body["data"]["description"], "again");
    assert_eq!(ada.patch(&path, json!({})).status, 422);
    assert_eq!(ada.patch(&path, json!({ "name": null, "description": "x" })).status, 422);
    for answer in [
        ada.delete(&path),
        ada.post(&format!("{path}/disable"), json!({})),
        ada.put(&format!("{path}/managers/{}", id_of(&bob)), json!({})),
        ada.post("/api/v1/service-accounts", json!({ "name": "never" })),
    ] {
        assert_eq!((answer.status, &answer.body["code"]), (403, &json!("admin_required")));
    }

    // An administrator's token reads, and disables, and makes no manager.
    let machine = token(&app, &root, json!(["admin:*"]));
    assert_eq!(listed(&machine, ""), ["other", "deploy"]);
    assert_eq!(machine.patch(&path, json!({ "name": "ci" })).status, 200);
    assert_eq!(machine.put(&format!("{path}/managers/{}", id_of(&bob)), json!({})).status, 403);

    let managers = root.put(&format!("{path}/managers/{}", id_of(&bob)), json!({})).body["data"]["managers"].clone();
    assert_eq!(managers.as_array().unwrap().len(), 2);
    assert_eq!(bob.get(&path).status, 200);
    assert_eq!(machine.delete(&format!("{path}/managers/{}", id_of(&bob))).status, 200);
    assert_eq!(bob.get(&path).status, 404);
    assert_eq!(machine.delete(&format!("{path}/managers/{}", id_of(&bob))).status, 404);
    let unknown = uuid::Uuid::now_v7();
    assert_eq!(root.put(&format!("{path}/managers/{unknown}"), json!({})).status, 404);
    let body = json!({ "name": "never", "managers": [unknown.to_string()] });
    let refused = root.post("/api/v1/service-accounts", body);
    assert_eq!(refused.body["errors"]["managers.0"][0], "The managers.0 field must be the id of a user.");
}

#[test]
fn a_token_of_a_service_account_says_so_wherever_it_is_asked_about() {
    let app = TestApp::with_file(POLICY, &[("server.trusted_proxies", "127.0.0.1/32")]);
    let (root, ada) = (app.sign_in_admin("root"), app.sign_in("ada"));
    let path = service_account(&root, "nightly backup", &[&ada]);
    let (_, machine) = token_of(&app, &ada, &path, &["calls:read", "user:read"]);
    let id = last(&path);

    let identity = machine.post("/api/v1/auth/identify", json!({})).body["data"].clone();
    assert_eq!((&identity["principal_type"], &identity["service_account_id"]), (&json!("service_account"), &json!(id)));
    let own = ada.post("/api/v1/auth/identify", json!({})).body["data"].clone();
    assert_eq!(own.get("principal_type"), None);

    assert_snapshot!(machine.get("/api/user").shown(), @r#"
    200
    {
      "created_at": "2024-01-15T19:00:00Z",
      "current_environment_id": null,
      "email": null,
      "id": "[uuid]",
      "name": "nightly backup",
      "type": "service_account"
    }
    "#);

    let service = introspector(&app);
    let secret = machine.token.clone().unwrap();
    let introspected = introspect(&service, &secret).body;
    assert_eq!((&introspected["sub"], &introspected["principal_type"]), (&json!(id), &json!("service_account")));
    assert_eq!((introspected.get("username"), &introspected["active"]), (None, &json!(true)));
    let verdict = service.post("/api/v1/tokens/verify", json!({ "token": secret })).body["data"].clone();
    assert_eq!(verdict["owner"], json!({ "id": id, "type": "service_account", "name": "nightly backup" }));

    for dialect in DIALECTS {
        let answer = dialect.ask_with(&machine, "app", "GET", "/x", &[("Remote-Groups", "admins")]);
        assert_eq!(answer.status, 200, "{}", answer.shown());
        for name in IDENTITY {
            let expected = match name {
                "remote-user" | "x-auth-request-user" => id,
                "remote-name" => "nightly backup",
                "remote-groups" => "service_account",
                "remote-email" | "x-auth-request-email" | "x-auth-environment-id" => "",
                _ => continue,
            };
            assert_eq!(answer.header(name), Some(expected), "{name}");
        }
        let person = token(&app, &ada, json!(["calls:read"]));
        assert_eq!(dialect.ask(&person, "GET", "/x").header("remote-groups"), Some(""));
        // The headers of a refusal, for the proxy's log.
        let (_, weak) = token_of(&app, &ada, &path, &[]);
        assert_eq!(dialect.ask(&weak, "GET", "/x").header("remote-user"), Some(id));
    }
}

#[test]
fn only_managers_and_administrators_reach_the_tokens_of_a_service_account() {
    let app = TestApp::spawn();
    let (root, ada, bob) = (app.sign_in_admin("root"), app.sign_in("ada"), app.sign_in("bob"));
    let path = service_account(&root, "ci", &[&ada]);
    let (id, machine) = token_of(&app, &ada, &path, &["user:read"]);
    let at = format!("/api/v1/user/api-tokens/{id}");

    // A foreign and an unknown owner are answered alike, and so is another user for an administrator.
    let unknown = uuid::Uuid::now_v7().to_string();
    let ask = |client: &Client<'_>, owner: &str| {
        let created = client.post("/api/v1/user/api-tokens", json!({ "name": "never", "owner": owner }));
        let listed = client.get(&format!("/api/v1/user/api-tokens?owner={owner}"));
        let environment = client.post("/api/v1/environments", json!({ "name": "never", "owner": owner }));
        let revoked = client.post("/api/v1/user/api-tokens/revoke", json!({ "all": true, "owner": owner }));
        [created, listed, environment, revoked].map(|answer| (answer.status, answer.text))
    };
    let refused = ask(&bob, last(&path));
    assert!(refused.iter().all(|(status, text)| *status == 422 && text.contains("service account that you manage")));
    for (client, owner) in [(&bob, unknown), (&bob, id_of(&ada)), (&ada, id_of(&bob)), (&root, id_of(&ada))] {
        assert_eq!(ask(client, &owner), refused);
    }
    for answer in [
        bob.get(&at),
        bob.patch(&at, json!({ "name": "never" })),
        bob.delete(&at),
        bob.post(&format!("{at}/rotate"), json!({})),
        bob.post(&format!("{at}/disable"), json!({})),
        bob.post(&format!("{at}/enable"), json!({})),
    ] {
        assert_eq!((answer.status, &answer.body["code"]), (404, &json!("not_found")), "{}", answer.shown());
    }
    assert_eq!(machine.get("/api/user").status, 200, "nothing was changed");

    let names = |client: &Client<'_>, query: &str| {
        let answer = client.get(&format!("/api/v1/user/api-tokens{query}"));
        answer.body["data"].as_array().unwrap().iter().map(|one| one["name"].clone()).collect::<Vec<_>>()
    };
    for client in [&ada, &root] {
        assert_eq!(names(client, &format!("?owner={}", last(&path))), [json!("ci")]);
        assert_eq!(names(client, ""), Vec::<Value>::new(), "it is not among their own");
        assert_eq!(client.get(&at).status, 200);
        assert_eq!(client.patch(&at, json!({ "name": "ci" })).status, 200);
        assert_eq!(client.post(&format!("{at}/disable"), json!({})).status, 200);
        assert_eq!(machine.get("/api/user").status, 401);
        assert_eq!(client.post(&format!("{at}/enable"), json!({})).status, 200);
        assert_eq!(machine.get("/api/user").status, 200);
    }
    let rotated = ada.post(&format!("{at}/rotate"), json!({ "grace": 0 }));
    assert_eq!(rotated.status, 201, "{}", rotated.shown());
    let successor = app.bearer(rotated.body["data"]["token"].as_str().unwrap());
    assert_eq!((machine.get("/api/user").status, successor.get("/api/user").status), (401, 200));
    assert_eq!(ada.delete(rotated.header("location").unwrap()).status, 200);
    assert_eq!(successor.get("/api/user").status, 401);
    let (_, more) = token_of(&app, &root, &path, &["user:read"]);
    let all = ada.post("/api/v1/user/api-tokens/revoke", json!({ "all": true, "owner": last(&path) }));
    assert_eq!(all.body["data"]["revoked"], 1);
    assert_eq!(more.get("/api/user").status, 401);
}

#[test]
fn disabling_a_service_account_refuses_its_tokens_and_deleting_it_ends_them() {
    let app = TestApp::spawn();
    let (root, ada) = (app.sign_in_admin("root"), app.sign_in("ada"));
    let path = service_account(&root, "ci", &[&ada]);
    let (_, machine) = token_of(&app, &ada, &path, &["user:read", "environments:read", "tokens:rotate-self"]);
    let environment = ada.post("/api/v1/environments", json!({ "name": "prod", "owner": last(&path) }));
    assert_eq!(environment.status, 201, "{}", environment.shown());
    let at = environment.header("location").unwrap().to_owned();
    let talq = ada.post(&format!("{at}/tokens"), json!({ "name": "app" }));
    let talq = app.bearer(talq.body["data"]["token"].as_str().unwrap());
    let accepted = |client: &Client<'_>| client.post("/api/v1/auth/identify", json!({})).status == 200;
    assert!(accepted(&machine) && accepted(&talq));
    let seen = machine.get("/api/v1/environments").body["data"].clone();
    assert_eq!(
        (seen.as_array().unwrap().len(), &seen[0]["name"], &seen[0]["role"]),
        (1, &json!("prod"), &json!("owner"))
    );

    let state = |to: &str| root.post(&format!("{path}/{to}"), json!({}));
    assert!(state("disable").body["data"]["disabled_at"].is_string());
    assert!(!accepted(&machine) && !accepted(&talq));
    let create = json!({ "name": "never", "owner": last(&path) });
    let refused = ada.post("/api/v1/user/api-tokens", create);
    assert_eq!((refused.status, &refused.body["code"]), (409, &json!("owner_disabled")));
    assert_eq!(state("enable").body["data"]["disabled_at"], Value::Null);
    assert!(accepted(&machine) && accepted(&talq));
    let rotated = machine.post("/api/v1/user/api-tokens/self/rotate", json!({}));
    assert_eq!(rotated.status, 201, "{}", rotated.shown());
    let successor = app.bearer(rotated.body["data"]["token"].as_str().unwrap());
    assert!(accepted(&successor));

    assert_eq!(ada.put("/api/v1/user/current-environment", json!({ "environment_id": last(&at) })).status, 200);
    assert_eq!(root.delete(&path).status, 200);
    assert!(!accepted(&machine) && !accepted(&successor) && !accepted(&talq));
    assert_eq!((root.get(&path).status, ada.get(&path).status, root.delete(&path).status), (404, 404, 404));
    assert_ne!(ada.get("/api/user").body["current_environment_id"], last(&at), "back in the default one");
}

#[test]
fn an_administrator_grants_reserved_abilities_but_none_of_administrators() {
    let app = TestApp::with(&[("tokens.max_per_user", "1")]);
    let (root, ada) = (app.sign_in_admin("root"), app.sign_in("ada"));
    let path = service_account(&root, "ci", &[&ada]);
    let create = |client: &Client<'_>, ability: &str| {
        let body = json!({ "name": "t", "abilities": [ability], "owner": last(&path) });
        client.post("/api/v1/user/api-tokens", body)
    };
    assert!(create(&ada, "tokens:introspect").text.contains("is reserved"));
    for ability in ["admin:*", "admin:read"] {
        let refused = create(&root, ability);
        assert_eq!(refused.status, 422);
        assert!(refused.text.contains("is of no use to a service account"), "{}", refused.shown());
    }
    assert_eq!(create(&root, "tokens:introspect").status, 201);
    let refused = create(&ada, "calls:read");
    assert_eq!(refused.status, 422, "one token is the limit of the owner");
    assert!(refused.text.contains("The owner has 1 live tokens"), "{}", refused.shown());
    ada.create_token(json!({ "name": "ada's own" }));
}

#[test]
fn a_manager_who_is_removed_changes_nothing_from_then_on() {
    let app = TestApp::spawn();
    let root = app.sign_in_admin("root");
    for round in 0..10 {
        let manager = app.sign_in(&format!("manager-{round}"));
        let path = service_account(&root, "ci", &[&manager]);
        let (id, _) = token_of(&app, &manager, &path, &["user:read"]);
        let (owner, at) = (last(&path).to_owned(), format!("/api/v1/user/api-tokens/{id}"));
        let (begun, answered, stop) = (Barrier::new(5), Mutex::new(None::<Instant>), AtomicBool::new(false));
        std::thread::scope(|scope| {
            for worker in 0..4 {
                let (manager, begun, answered, stop, owner, at) = (&manager, &begun, &answered, &stop, &owner, &at);
                scope.spawn(move || {
                    begun.wait();
                    while !stop.load(Ordering::SeqCst) {
                        let started = Instant::now();
                        let answer = match worker % 2 {
                            0 => manager.post("/api/v1/user/api-tokens", json!({ "name": "t", "owner": owner })),
                            _ => manager.patch(at, json!({ "name": "t" })),
                        };
                        let is_late = answered.lock().unwrap().is_some_and(|answered| started > answered);
                        match answer.status {
                            200 | 201 => assert!(!is_late, "somebody who is no manager made a change"),
                            404 | 422 => {}
                            other => panic!("{other}"),
                        }
                        if is_late {
                            break;
                        }
                    }
                });
            }
            begun.wait();
            assert_eq!(root.delete(&format!("{path}/managers/{}", id_of(&manager))).status, 200);
            *answered.lock().unwrap() = Some(Instant::now());
            std::thread::sleep(std::time::Duration::from_millis(20));
            stop.store(true, Ordering::SeqCst);
        });
    }
}

#[test]
fn a_demoted_administrator_manages_only_what_is_theirs() {
    let app = TestApp::spawn();
    let (root, other) = (app.sign_in_admin("root"), app.sign_in_admin("other"));
    let path = service_account(&root, "ci", &[]);
    let (id, _) = token_of(&app, &other, &path, &["user:read"]);
    let created = root.post("/api/v1/environments", json!({ "name": "prod", "owner": last(&path) }));
    let (default, prod) =
        (other.get("/api/user").body["current_environment_id"].clone(), created.body["data"]["id"].clone());
    let chosen = other.put("/api/v1/user/current-environment", json!({ "environment_id": prod }));
    assert_eq!((chosen.status, &chosen.body["current_environment_id"]), (200, &prod));
    let user = format!("/api/v1/admin/users/{}", id_of(&other));
    let demoted = root.patch(&user, json!({ "role": "member" }));
    assert_eq!(demoted.body["data"]["current_environment_id"], default, "{}", demoted.shown());
    assert_eq!(
        other.get("/api/user").body["current_environment_id"],
        default,
        "they do not see the other one any more"
    );
    assert_eq!(other.get(&path).status, 404);
    assert_eq!(other.get(&format!("/api/v1/user/api-tokens/{id}")).status, 404);
    assert_eq!(other.post("/api/v1/user/api-tokens", json!({ "name": "t", "owner": last(&path) })).status, 422);
    assert_eq!(Dialect::Nginx.ask(&other, "GET", "/x").status, 403, "the session itself is still good");
}

#[test]
fn a_token_without_an_ability_of_administrators_does_not_see_the_environments_of_all_service_accounts() {
    let app = TestApp::spawn();
    let (root, ada) = (app.sign_in_admin("root"), app.sign_in("ada"));
    let path = service_account(&root, "ci", &[&ada]);
    let created = root.post("/api/v1/environments", json!({ "name": "prod", "owner": last(&path) }));
    let at = created.header("location").unwrap().to_owned();
    let status = |client: &Client<'_>, abilities: &[&str]| {
        let token = client.create_token(json!({ "name": "t", "abilities": abilities }));
        app.bearer(token["token"].as_str().unwrap()).get(&at).status
    };
    assert_eq!((root.get(&at).status, ada.get(&at).status), (200, 200));
    let owner = json!({ "id": last(&path), "type": "service_account", "name": "ci" });
    for shown in [&created.body["data"], &ada.get(&at).body["data"], &ada.get("/api/v1/environments").body["data"][0]] {
        assert_eq!(shown["owner"], owner);
    }
    let default = &ada.get("/api/v1/environments").body["data"][1];
    assert!(default["name"] == "Default" && default.get("owner").is_none(), "{default}");
    for abilities in [&["*"][..], &["environments:read"], &["environments:read", "admin:read"]] {
        assert_eq!(status(&root, abilities), 404, "{abilities:?}");
    }
    assert_eq!(status(&ada, &["environments:read"]), 200, "the token of a manager");
}
