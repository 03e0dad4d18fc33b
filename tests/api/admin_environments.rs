//! The environments of everybody, for administrators: the list and the transfer.

use insta::assert_snapshot;
use patd::domain::environment::Environment;
use serde_json::{Value, json};

use crate::{
    environments::{environment, share, trail},
    harness::{Answer, Client, TestApp},
    service_accounts::{id_of, last, service_account},
};

const LIST: &str = "/api/v1/admin/environments";

fn names(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{}", answer.shown());
    let items = answer.body["data"].as_array().unwrap();
    items.iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
}

/// Reads the list to its end in pages of two.
fn walk(root: &Client<'_>, query: &str) -> Vec<String> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = root.get(&format!("{LIST}?limit=2&{query}{cursor}"));
        let found = names(&page);
        assert!(found.len() <= 2, "{query}");
        all.extend(found);
        match page.body["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

/// The token of an environment, and a client with it.
fn token_in<'a>(app: &'a TestApp, by: &Client<'_>, path: &str) -> (String, Client<'a>) {
    let created = by.post(&format!("{path}/tokens"), json!({ "name": "app" }));
    assert_eq!(created.status, 201, "{}", created.shown());
    let data = &created.body["data"];
    (data["id"].as_str().unwrap().to_owned(), app.bearer(data["token"].as_str().unwrap()))
}

fn identify(client: &Client<'_>) -> u16 {
    client.post("/api/v1/auth/identify", json!({})).status
}

#[test]
fn the_list_has_the_environments_of_everybody_and_its_filters_combine() {
    let app = TestApp::spawn();
    let (root, ada, bob) = (app.sign_in_admin("root"), app.sign_in("ada"), app.sign_in("bob"));
    let machine = service_account(&root, "ci", &[&ada]);
    let mut made = vec![(&root, "Default"), (&ada, "Default"), (&bob, "Default")];
    for (owner, name) in [(&ada, "Production"), (&bob, "production EU"), (&ada, "Straße"), (&ada, "pre-PRODUCTION")] {
        environment(owner, name);
        made.push((owner, name));
    }
    made.reverse();
    let moved = environment(&ada, "for machines");
    assert_eq!(root.post(&format!("{LIST}/{}/transfer", last(&moved)), json!({ "to": last(&machine) })).status, 200);

    let expected = |owner: Option<&Client<'_>>, search: &str| -> Vec<String> {
        let is_owner = |of: &Client<'_>| owner.is_none_or(|owner| owner.token == of.token);
        let found = made.iter().filter(|(of, name)| is_owner(of) && name.to_lowercase().contains(search));
        found.map(|(_, name)| (*name).to_owned()).collect()
    };
    let everything = walk(&root, "");
    assert_eq!(everything[0], "for machines");
    assert_eq!(everything[1..], expected(None, ""));
    assert_eq!(names(&root.get(LIST)), everything);
    for search in ["production", "Eu", "e", "%25", "_"] {
        let word = if search == "%25" { "%" } else { &search.to_lowercase() };
        let among = |found: Vec<String>| found.into_iter().filter(|name| name != "for machines").collect::<Vec<_>>();
        assert_eq!(among(walk(&root, &format!("search={search}"))), expected(None, word), "{search}");
        for owner in [&ada, &bob, &root] {
            let query = format!("owner={}&search={search}", id_of(owner));
            assert_eq!(walk(&root, &query), expected(Some(owner), word), "{query}");
        }
    }
    assert_eq!(walk(&root, "search=STRASSE"), ["Straße"], "in any case");
    assert_eq!(walk(&root, &format!("owner={}", id_of(&ada))), expected(Some(&ada), ""));
    assert_eq!(walk(&root, &format!("owner={}", last(&machine))), ["for machines"]);
    assert_eq!(walk(&root, &format!("owner={}", uuid::Uuid::now_v7())), [""; 0]);

    let one = root.get(&format!("{LIST}/{}", last(&moved)));
    let owner = json!({ "id": last(&machine), "type": "service_account", "name": "ci" });
    assert_eq!((one.status, &one.body["data"]["owner"]), (200, &owner));
    assert_eq!(root.get(&format!("{LIST}?search=machines")).body["data"][0], one.body["data"]);
    for id in ["x", &uuid::Uuid::now_v7().to_string()] {
        assert_eq!(root.get(&format!("{LIST}/{id}")).status, 404);
    }
}

#[test]
fn a_bad_parameter_of_the_list_is_refused_by_name() {
    let app = TestApp::spawn();
    let (root, ada) = (app.sign_in_admin("root"), app.sign_in("ada"));
    environment(&ada, "e");
    let refused = |query: &str| {
        let answer = root.get(&format!("{LIST}?{query}"));
        let errors = answer.body["errors"].as_object();
        let message =
            errors.map(|errors| errors.values().map(|all| all[0].as_str().unwrap()).collect::<Vec<_>>().join(" "));
        format!("{} {}", answer.status, message.unwrap_or_else(|| answer.text.clone()))
    };
    let of_ada = root.get(&format!("{LIST}?limit=1&owner={}", id_of(&ada))).body;
    let of_all = root.get(&format!("{LIST}?limit=1")).body;
    let (of_ada, of_all) = (of_ada["next_cursor"].as_str().unwrap(), of_all["next_cursor"].as_str().unwrap());
    let answers = [
        refused("owner=ada"),
        refused("owner="),
        refused("limit=0"),
        refused("cursor=x"),
        refused(&format!("cursor={of_ada}")),
        refused(&format!("cursor={of_all}&owner={}", id_of(&ada))),
        refused("name=e"),
    ];
    assert_snapshot!(answers.join("\n"), @"
    422 The owner field must be the id of a user or of a service account.
    422 The owner field must be the id of a user or of a service account.
    422 The limit field must be a whole number from 1 to 100.
    422 The cursor field must be a next_cursor that was answered to you, for the same list with the same filters and order.
    422 The cursor field must be a next_cursor that was answered to you, for the same list with the same filters and order.
    422 The cursor field must be a next_cursor that was answered to you, for the same list with the same filters and order.
    422 The name field is unknown. The parameters here are: limit, cursor, search, owner.
    ");
}

#[test]
fn a_transfer_gives_the_environment_with_its_tokens_and_cached_checks_know_at_once() {
    let app = TestApp::spawn();
    let (root, ada) = (app.sign_in_admin("root"), app.sign_in("ada"));
    let (bob, eve) = (app.sign_in("bob"), app.sign_in("eve"));
    let path = environment(&ada, "prod");
    share(&ada, &path, &bob, "viewer");
    share(&ada, &path, &eve, "admin");
    let (id, token) = token_in(&app, &ada, &path);
    let choose = json!({ "environment_id": last(&path) });
    assert_eq!(ada.put("/api/v1/user/current-environment", choose).status, 200);
    // Now its record is cached, and its use is in memory only.
    assert_eq!(identify(&token), 200);
    assert_eq!(eve.get(&format!("{path}/tokens/{id}")).body["data"]["last_uses"][0]["address"], "127.0.0.1");

    let transfer = format!("{LIST}/{}/transfer", last(&path));
    let moved = root.post(&transfer, json!({ "to": id_of(&bob) }));
    assert_snapshot!(moved.shown(), @r#"
    200
    {
      "data": {
        "created_at": "2024-01-15T19:00:00Z",
        "id": "[uuid]",
        "is_default": false,
        "name": "prod",
        "owner": {
          "email": "bob@example.com",
          "id": "[uuid]",
          "name": "bob",
          "type": "user"
        }
      }
    }
    "#);
    assert_eq!(moved.body["data"]["owner"]["id"], id_of(&bob));
    assert_eq!(root.get(&format!("{LIST}/{}", last(&path))).body, moved.body);
    let now = bob.get(&format!("{path}/tokens/{id}"));
    assert_eq!((now.status, &now.body["data"]["last_uses"]), (200, &json!([])), "from where others used it");
    assert_eq!(identify(&token), 200, "its secret stays");

    // The new owner is no member, the others stay, and the old owner is nobody.
    assert_eq!((bob.get(&path).body["data"]["role"].clone(), ada.get(&path).status), (json!("owner"), 404));
    let members = bob.get(&format!("{path}/members")).body["data"].clone();
    assert_eq!((members.as_array().unwrap().len(), &members[0]["role"]), (1, &json!("admin")));
    assert_ne!(ada.get("/api/user").body["current_environment_id"], last(&path));

    // The token depends on the new owner only.
    let (ada_id, bob_id) = (id_of(&ada), id_of(&bob));
    let change = |id: &str, verb: &str| {
        let answer = root.post(&format!("/api/v1/admin/users/{id}/{verb}"), json!({}));
        assert_eq!(answer.status, 200, "{}", answer.shown());
    };
    change(&bob_id, "disable");
    assert_eq!(identify(&token), 401);
    change(&bob_id, "enable");
    assert_eq!(identify(&token), 200);
    change(&ada_id, "disable");
    assert_eq!(identify(&token), 200);

    let machine = service_account(&root, "ci", &[&eve]);
    assert_eq!(root.post(&transfer, json!({ "to": last(&machine) })).status, 200);
    assert_eq!(root.post(&format!("{machine}/disable"), json!({})).status, 200);
    assert_eq!(identify(&token), 401);
}

#[test]
fn both_owners_find_a_transfer_in_their_trails() {
    let app = TestApp::spawn();
    let (root, ada, bob) = (app.sign_in_admin("root"), app.sign_in("ada"), app.sign_in("bob"));
    let path = environment(&ada, "prod");
    let body = json!({ "to": id_of(&bob) });
    assert_eq!(root.post(&format!("{LIST}/{}/transfer", last(&path)), body).status, 200);
    let transferred = |client: &Client<'_>| trail(client).last().unwrap().clone();
    assert_snapshot!(format!("{}\n{}", transferred(&ada), transferred(&bob)), @"
    environment.transferred on environment: to user [uuid], from an address
    environment.transferred on environment: from user [uuid], from an address
    ");
    let event = ada.get("/api/v1/user/audit?limit=1").body["data"][0].clone();
    assert_eq!((&event["actor"]["user_id"], &event["target"]["id"]), (&json!(id_of(&root)), &json!(last(&path))));
}

#[test]
fn a_transfer_that_cannot_be_done_says_why_and_changes_nothing() {
    let app = TestApp::spawn();
    let (root, ada) = (app.sign_in_admin("root"), app.sign_in("ada"));
    let (bob, full) = (app.sign_in("bob"), app.sign_in("full"));
    let path = environment(&ada, "prod");
    let (_, token) = token_in(&app, &ada, &path);
    let default = ada.get("/api/user").body["current_environment_id"].as_str().unwrap().to_owned();
    for n in 1..Environment::MAX_PER_OWNER {
        environment(&full, &format!("e{n}"));
    }
    let (to_bob, to_full) = (id_of(&bob), id_of(&full));
    assert_eq!(root.post(&format!("/api/v1/admin/users/{to_bob}/disable"), json!({})).status, 200);
    let machine = service_account(&root, "ci", &[]);
    let unknown = uuid::Uuid::now_v7().to_string();
    let refused = |id: &str, body: Value| {
        let answer = root.post(&format!("{LIST}/{id}/transfer"), body);
        let message = answer.body["errors"].as_object().map(|errors| errors.values().next().unwrap()[0].to_string());
        format!("{} {}", answer.status, message.unwrap_or_else(|| answer.body["code"].to_string()))
    };
    let id = last(&path);
    let answers = [
        refused(id, json!({})),
        refused(id, json!({ "to": null })),
        refused(id, json!({ "to": "bob@example.com" })),
        refused(id, json!({ "to": unknown })),
        refused(id, json!({ "to": id_of(&ada) })),
        refused(id, json!({ "to": to_bob })),
        refused(id, json!({ "to": to_full })),
        refused(id, json!({ "to": last(&machine), "tokens": true })),
        refused(&default, json!({ "to": last(&machine) })),
        refused(&unknown, json!({ "to": last(&machine) })),
        refused("x", json!({ "to": last(&machine) })),
    ];
    assert_snapshot!(answers.join("\n"), @r#"
    422 "The to field is required."
    422 "The to field is required."
    422 "The to field must be the id of a user or of a service account."
    422 "The to field must be the id of a user or of a service account."
    422 "The to field must not be the present owner."
    422 "The to field must not be disabled. Enable the account first."
    422 "The to field must not be an owner who would then have more than 1000 environments, the limit."
    422 "The tokens field is unknown. The fields here are: to."
    409 "default_environment"
    404 "not_found"
    404 "not_found"
    "#);
    assert_eq!(ada.get(&path).body["data"]["role"], "owner");
    assert_eq!(identify(&token), 200);
    assert!(!trail(&ada).iter().any(|event| event.contains("transferred")));
}
