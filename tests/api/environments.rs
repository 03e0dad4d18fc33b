//! Environments: every answer, the roles, and removed members.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::harness::{Answer, Client, TestApp};

pub const ENVIRONMENTS: &str = "/api/v1/environments";
const CURRENT: &str = "/api/v1/user/current-environment";

pub fn id_of(value: &Value) -> &str {
    value["id"].as_str().unwrap()
}

/// Creates an environment and returns its path.
pub fn environment(client: &Client<'_>, name: &str) -> String {
    let answer = client.post(ENVIRONMENTS, json!({ "name": name }));
    assert_eq!(answer.status, 201, "{}", answer.shown());
    format!("{ENVIRONMENTS}/{}", id_of(&answer.body["data"]))
}

/// Adds a member to the environment at `path` and returns the path of the member.
pub fn share(owner: &Client<'_>, path: &str, with: &Client<'_>, role: &str) -> String {
    let member = format!("{path}/members/{}", id_of(&with.get("/api/user").body));
    let answer = owner.put(&member, json!({ "role": role }));
    assert_eq!(answer.status, 200, "{}", answer.shown());
    member
}

fn current(client: &Client<'_>) -> String {
    client.get("/api/user").body["current_environment_id"].as_str().unwrap().to_owned()
}

fn names(list: &Value) -> Vec<String> {
    let member_line = |item: &Value| format!("{} {}", item["name"].as_str().unwrap(), item["role"].as_str().unwrap());
    list["data"].as_array().unwrap().iter().map(member_line).collect()
}

fn code(answer: &Answer) -> (u16, &str) {
    (answer.status, answer.body["code"].as_str().unwrap_or("-"))
}

/// The events, oldest first, without those before the first environment.
pub fn trail(client: &Client<'_>) -> Vec<String> {
    let answer = client.get("/api/v1/user/audit");
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let line = |event: &Value| {
        let is_id = |word: &str| uuid::Uuid::parse_str(word.trim_end_matches(',')).is_ok();
        let detail = text(&event["detail"]);
        let detail: Vec<&str> = detail.split(' ').map(|word| if is_id(word) { "[uuid]" } else { word }).collect();
        let from = if event["address"].is_null() { "nowhere" } else { "an address" };
        format!("{} on {}: {}, from {from}", text(&event["action"]), text(&event["target"]["type"]), detail.join(" "))
    };
    let events: Vec<String> = answer.body["data"].as_array().unwrap().iter().rev().map(line).collect();
    events.into_iter().filter(|event| !event.starts_with("user.created") && !event.starts_with("session.")).collect()
}

#[test]
fn an_environment_is_created_read_renamed_made_current_and_deleted() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let default = current(&ada);
    let created = ada.post(ENVIRONMENTS, json!({ "name": " Staging " }));
    assert_snapshot!(created.shown(), @r#"
    201
    location: /api/v1/environments/[uuid]
    {
      "data": {
        "created_at": "2024-01-15T19:00:00Z",
        "id": "[uuid]",
        "is_default": false,
        "name": "Staging",
        "role": "owner"
      }
    }
    "#);
    let path = format!("{ENVIRONMENTS}/{}", id_of(&created.body["data"]));
    assert_eq!(ada.get(&path).body, created.body);
    assert_eq!(ada.patch(&path, json!({ "name": "Production" })).body["data"]["name"], "Production");
    assert_eq!(names(&ada.get(ENVIRONMENTS).body), ["Production owner", "Default owner"]);

    let id = id_of(&created.body["data"]);
    let chosen = ada.put(CURRENT, json!({ "environment_id": id }));
    assert_eq!((chosen.status, &chosen.body), (200, &ada.get("/api/user").body));
    assert_eq!(current(&ada), id);
    assert_snapshot!(ada.delete(&path).shown(), @r#"
    200
    {
      "message": "Environment deleted"
    }
    "#);
    assert_eq!(current(&ada), default, "the default environment is current again");
    assert_eq!(code(&ada.delete(&path)), (404, "not_found"));
    assert_snapshot!(ada.delete(&format!("{ENVIRONMENTS}/{default}")).shown(), @r#"
    409
    {
      "code": "default_environment",
      "message": "A default environment cannot be deleted."
    }
    "#);
    assert_snapshot!(trail(&ada).join("\n"), @"
    environment.created on environment: -, from an address
    environment.renamed on environment: -, from an address
    user.updated on user: current_environment, from an address
    user.updated on user: current_environment, from an address
    environment.deleted on environment: -, from an address
    ");
}

#[test]
fn mistakes_are_named_and_foreign_and_unknown_ids_are_the_same_404() {
    let app = TestApp::spawn();
    let (ada, bob) = (app.sign_in("ada"), app.sign_in("bob"));
    let (path, unknown) = (environment(&ada, "e"), uuid::Uuid::now_v7().to_string());
    let ada_id = id_of(&ada.get("/api/user").body).to_owned();
    let foreign = path.rsplit('/').next().unwrap();
    let not_found = bob.get("/api/v1/environments/x").text;
    for id in [foreign, &*unknown, "x"] {
        let path = format!("{ENVIRONMENTS}/{id}");
        let token = format!("{path}/tokens/{unknown}");
        for answer in [
            bob.get(&path),
            bob.patch(&path, json!({ "name": "mine" })),
            bob.delete(&path),
            bob.get(&format!("{path}/members")),
            bob.put(&format!("{path}/members/{ada_id}"), json!({ "role": "viewer" })),
            bob.delete(&format!("{path}/members/{ada_id}")),
            bob.get(&format!("{path}/tokens")),
            bob.post(&format!("{path}/tokens"), json!({ "name": "t" })),
            bob.get(&token),
            bob.delete(&token),
            bob.post(&format!("{token}/regenerate"), json!({})),
        ] {
            assert_eq!((answer.status, &answer.text), (404, &not_found), "{id}");
        }
    }
    for id in [foreign, &*unknown] {
        assert_eq!(code(&bob.put(CURRENT, json!({ "environment_id": id }))), (404, "not_found"));
    }
    for body in [json!({}), json!({ "environment_id": "x" }), json!({ "environment_id": 1 })] {
        assert_eq!(bob.put(CURRENT, body).status, 422);
    }
    for body in [json!({}), json!({ "name": " " }), json!({ "name": "x".repeat(256) }), json!({ "name": "e", "x": 1 })]
    {
        assert_eq!(code(&ada.post(ENVIRONMENTS, body.clone())), (422, "validation_failed"));
        assert_eq!(code(&ada.patch(&path, body)), (422, "validation_failed"));
    }
    let member = format!("{path}/members/{unknown}");
    assert_eq!(code(&ada.put(&member, json!({ "role": "viewer" }))), (404, "not_found"), "no user has that id");
    assert_eq!(code(&ada.delete(&member)), (404, "not_found"));
    for role in [json!("owner"), json!("Admin"), json!(null)] {
        assert_eq!(ada.put(&member, json!({ "role": role })).status, 422);
    }
    assert_snapshot!(ada.put(&format!("{path}/members/{ada_id}"), json!({ "role": "admin" })).shown(), @r#"
    422
    {
      "code": "validation_failed",
      "errors": {
        "user_id": [
          "The user_id field must not be the owner of the environment."
        ]
      },
      "message": "The user_id field must not be the owner of the environment."
    }
    "#);
}

#[test]
fn each_role_may_do_exactly_what_it_includes() {
    let app = TestApp::spawn();
    let owner = app.sign_in("ada");
    let admin = app.sign_in("bob");
    let viewer = app.sign_in("eve");
    let path = environment(&owner, "shared");
    let (tokens, members) = (format!("{path}/tokens"), format!("{path}/members"));
    share(&owner, &path, &admin, "admin");
    let viewers = share(&owner, &path, &viewer, "viewer");
    let secret = |client: &Client<'_>| client.post(&tokens, json!({ "name": "t" }));
    type Deed<'a> = Box<dyn Fn(&Client<'_>) -> Answer + 'a>;
    let made = || format!("{tokens}/{}", id_of(&secret(&owner).body["data"]));
    let table: [(&str, Deed<'_>, [u16; 3]); 11] = [
        ("see it", Box::new(|who| who.get(&path)), [200, 200, 200]),
        ("see its tokens", Box::new(|who| who.get(&tokens)), [200, 200, 200]),
        ("see one token", Box::new(|who| who.get(&made())), [200, 200, 200]),
        ("rename it", Box::new(|who| who.patch(&path, json!({ "name": "new" }))), [200, 200, 403]),
        ("make a token", Box::new(secret), [201, 201, 403]),
        ("regenerate a token", Box::new(|who| who.post(&format!("{}/regenerate", made()), json!({}))), [201, 201, 403]),
        ("revoke a token", Box::new(|who| who.delete(&made())), [200, 200, 403]),
        ("see its members", Box::new(|who| who.get(&members)), [200, 403, 403]),
        ("change a share", Box::new(|who| who.put(&viewers, json!({ "role": "viewer" }))), [200, 403, 403]),
        (
            "take a share away",
            Box::new(|who| who.delete(&format!("{members}/{}", id_of(&admin.get("/api/user").body)))),
            [200, 0, 403],
        ),
        ("delete it", Box::new(|who| who.delete(&path)), [200, 403, 403]),
    ];
    for (deed, ask, expected) in &table {
        // From the lowest role to the highest, so that the owner deletes the environment last.
        for (who, role, expected) in
            [(&viewer, "viewer", expected[2]), (&admin, "admin", expected[1]), (&owner, "owner", expected[0])]
        {
            if expected == 0 {
                continue;
            }
            let answer = ask(who);
            assert_eq!(answer.status, expected, "{role} may {deed}: {}", answer.shown());
            if expected == 403 {
                assert_eq!(code(&answer), (403, "role_required"), "{role} may not {deed}");
            }
        }
        if *deed == "take a share away" {
            share(&owner, &path, &admin, "admin");
        }
    }
    assert_eq!(viewer.get(&path).status, 404, "it is deleted for its members as well");
}

#[test]
fn a_member_sees_the_environment_until_they_are_removed_or_leave() {
    let app = TestApp::spawn();
    let (ada, bob) = (app.sign_in("ada"), app.sign_in("bob"));
    let bobs = current(&bob);
    let path = environment(&ada, "shared");
    let member = share(&ada, &path, &bob, "viewer");
    assert_snapshot!(ada.get(&format!("{path}/members")).shown(), @r#"
    200
    {
      "data": [
        {
          "created_at": "2024-01-15T19:00:00Z",
          "name": "bob",
          "role": "viewer",
          "user_id": "[uuid]"
        }
      ]
    }
    "#);
    assert_eq!(names(&bob.get(ENVIRONMENTS).body), ["shared viewer", "Default owner"]);
    assert_eq!(bob.get(&path).body["data"]["role"], "viewer");
    share(&ada, &path, &bob, "admin");
    share(&ada, &path, &bob, "admin");
    assert_eq!(bob.get(&path).body["data"]["role"], "admin");

    let id = path.rsplit('/').next().unwrap();
    let work = || assert_eq!(bob.put(CURRENT, json!({ "environment_id": id })).status, 200);
    // Tokens of the member get the same answer.
    let reader = bob.create_token(json!({ "name": "t", "abilities": ["user:read", "environments:read"] }));
    let reader = app.bearer(reader["token"].as_str().unwrap());
    work();
    assert_eq!((current(&bob), current(&reader)), (id.to_owned(), id.to_owned()));
    assert_eq!(reader.get(ENVIRONMENTS).body, bob.get(ENVIRONMENTS).body);
    assert_eq!(ada.delete(&member).status, 200);
    assert_eq!((current(&bob), current(&reader)), (bobs.clone(), bobs.clone()));
    assert_eq!((bob.get(&path).status, reader.get(&path).status), (404, 404));
    assert_eq!(code(&ada.delete(&member)), (404, "not_found"));

    share(&ada, &path, &bob, "viewer");
    work();
    assert_eq!(bob.delete(&member).status, 200, "a member may leave");
    assert_eq!((current(&bob), bob.get(&path).status), (bobs.clone(), 404));

    share(&ada, &path, &bob, "viewer");
    work();
    assert_eq!((current(&bob), current(&reader)), (id.to_owned(), id.to_owned()));
    assert_eq!(ada.delete(&path).status, 200);
    assert_eq!((current(&bob), current(&reader)), (bobs.clone(), bobs));
    assert_snapshot!(trail(&ada).join("\n"), @"
    environment.created on environment: -, from an address
    environment.shared on environment: viewer to user [uuid], from an address
    environment.shared on environment: admin to user [uuid], from an address
    environment.unshared on environment: from user [uuid], from an address
    environment.shared on environment: viewer to user [uuid], from an address
    environment.unshared on environment: from user [uuid], from an address
    environment.shared on environment: viewer to user [uuid], from an address
    environment.deleted on environment: -, from an address
    ");
    assert_snapshot!(trail(&bob).join("\n"), @"
    environment.shared on environment: viewer, from nowhere
    environment.shared on environment: admin, from nowhere
    token.created on personal_access_token: -, from an address
    user.updated on user: current_environment, from an address
    user.updated on user: current_environment, from nowhere
    environment.unshared on environment: -, from nowhere
    environment.shared on environment: viewer, from nowhere
    user.updated on user: current_environment, from an address
    user.updated on user: current_environment, from an address
    environment.unshared on environment: -, from an address
    environment.shared on environment: viewer, from nowhere
    user.updated on user: current_environment, from an address
    environment.unshared on environment: -, from nowhere
    user.updated on user: current_environment, from nowhere
    ");
}

#[test]
fn the_list_is_paged_newest_first_and_a_cursor_works_for_its_user_only() {
    let app = TestApp::spawn();
    let (ada, bob) = (app.sign_in("ada"), app.sign_in("bob"));
    for n in 0..3 {
        environment(&ada, &format!("e{n}"));
        share(&bob, &environment(&bob, &format!("s{n}")), &ada, "viewer");
    }
    let whole = ada.get(ENVIRONMENTS).body;
    let expected =
        ["s2 viewer", "e2 owner", "s1 viewer", "e1 owner", "s0 viewer", "e0 owner", "Default owner"].map(String::from);
    assert_eq!((names(&whole), &whole["next_cursor"]), (expected.to_vec(), &Value::Null));
    let (mut seen, mut path) = (Vec::new(), format!("{ENVIRONMENTS}?limit=3"));
    let cursor = loop {
        let page = ada.get(&path).body;
        seen.extend(names(&page));
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("{ENVIRONMENTS}?limit=3&cursor={cursor}"),
            None => break path.split_once("cursor=").unwrap().1.to_owned(),
        }
    };
    assert_eq!(seen, expected);
    for refused in [
        bob.get(&format!("{ENVIRONMENTS}?cursor={cursor}")),
        ada.get(&format!("/api/v1/user/api-tokens?cursor={cursor}")),
        ada.get(&format!("{ENVIRONMENTS}?limit=0")),
        ada.get(&format!("{ENVIRONMENTS}?limit=101")),
    ] {
        assert_eq!(code(&refused), (422, "validation_failed"));
    }
}
