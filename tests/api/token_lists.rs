//! Lists of tokens: pages, search, states, and the latest use.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Client, TestApp, block_on};

const TOKENS: &str = "/api/v1/user/api-tokens";

fn names(list: &Value) -> Vec<&str> {
    list["data"].as_array().unwrap().iter().map(|token| token["name"].as_str().unwrap()).collect()
}

#[test]
fn a_list_is_paged_newest_first_and_a_cursor_works_for_its_owner_only() {
    let app = TestApp::spawn();
    let (ada, bob) = (app.sign_in("ada"), app.sign_in("bob"));
    for number in 0..5 {
        ada.create_token(json!({ "name": format!("t{number}") }));
        bob.create_token(json!({ "name": "bob's" }));
    }
    let first = ada.get(&format!("{TOKENS}?limit=2")).body;
    assert_eq!(names(&first), ["t4", "t3"]);
    let cursor = first["next_cursor"].as_str().unwrap();
    // A token that is created in between does not shift the pages.
    ada.create_token(json!({ "name": "t5" }));
    let second = ada.get(&format!("{TOKENS}?limit=2&cursor={cursor}")).body;
    assert_eq!(names(&second), ["t2", "t1"]);
    let last = ada.get(&format!("{TOKENS}?limit=2&cursor={}", second["next_cursor"].as_str().unwrap())).body;
    assert_eq!((names(&last), &last["next_cursor"]), (vec!["t0"], &Value::Null));
    assert_eq!(names(&ada.get(TOKENS).body).len(), 6, "no query answers all of them");

    assert_eq!(bob.get(&format!("{TOKENS}?cursor={cursor}")).status, 422, "another's cursor is refused");
    for query in ["limit=0", "limit=101", "limit=x", "cursor=x", "state=new", &format!("search={}", "x".repeat(256))] {
        let answer = ada.get(&format!("{TOKENS}?{query}"));
        assert_eq!((answer.status, &answer.body["code"]), (422, &json!("validation_failed")), "{query}");
    }
    assert_eq!(ada.get(&format!("{TOKENS}?limit=1&limit=2")).status, 400);
}

#[test]
fn a_list_is_searched_and_narrowed_by_state() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    ada.create_token(json!({ "name": "Deploy 100%" }));
    ada.create_token(json!({ "name": "deploy_x", "expires_in_days": 1 }));
    let revoked = ada.create_token(json!({ "name": "gone" }));
    assert_eq!(ada.delete(&format!("{TOKENS}/{}", revoked["id"].as_str().unwrap())).status, 200);
    app.advance(Duration::from_secs(24 * 60 * 60));

    let listed = |ada: &Client<'_>, query: &str| {
        let list = ada.get(&format!("{TOKENS}?{query}")).body;
        names(&list).join(", ")
    };
    assert_eq!(listed(&ada, "search=DEPLOY"), "deploy_x, Deploy 100%");
    assert_eq!(listed(&ada, "search=%25"), "Deploy 100%");
    assert_eq!(listed(&ada, "search=y_"), "deploy_x");
    assert_eq!(listed(&ada, "state=active"), "Deploy 100%");
    assert_eq!(listed(&ada, "state=expired"), "deploy_x");
    assert_eq!(listed(&ada, "state=revoked"), "gone");
    assert_eq!(listed(&ada, ""), "deploy_x, Deploy 100%");
}

#[test]
fn revoked_tokens_are_listed_with_the_time_and_the_reason() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let environment = ada.get("/api/user").body["current_environment_id"].as_str().unwrap().to_owned();
    let of_environment = format!("/api/v1/environments/{environment}/tokens");
    let lists = [
        (TOKENS, "2024-01-15T19:00:00Z", "2024-01-15T19:01:00Z"),
        (&of_environment, "2024-01-15T19:01:00Z", "2024-01-15T19:02:00Z"),
    ];
    for (list, earlier, later) in lists {
        let made = |name: &str| ada.post(list, json!({ "name": name })).body["data"].clone();
        let id = |token: &Value| token["id"].as_str().unwrap().to_owned();
        let (deleted, leaked, kept) = (made("deleted"), made("leaked"), made("kept"));
        assert_eq!(ada.delete(&format!("{list}/{}", id(&deleted))).status, 200);
        app.advance(Duration::from_secs(60));
        assert_eq!(ada.post("/api/v1/tokens/revoke-leaked", json!({ "tokens": [leaked["token"]] })).status, 200);

        let revoked = ada.get(&format!("{list}?state=revoked")).body;
        let why = |at: usize| {
            let token = &revoked["data"][at];
            ["name", "revoked_reason", "revoked_at"].map(|key| token[key].as_str().unwrap().to_owned())
        };
        assert_eq!(why(0), ["leaked", "leaked", later]);
        assert_eq!(why(1), ["deleted", "revoked_by_owner", earlier]);
        let (kept_id, made_at, hint) = (id(&kept), &kept["created_at"], &kept["hint"]);
        assert_eq!(
            ada.get(list).text,
            format!(
                r#"{{"data":[{{"id":"{kept_id}","name":"kept","abilities":["*"],"last_used_at":null,"created_at":{made_at},"expires_at":null,"disabled_at":null,"hint":{hint},"rotated_from":null,"rotated_to":null}}],"next_cursor":null}}"#
            )
        );
    }
}

#[test]
fn a_use_is_in_the_list_at_once_and_on_disk_after_a_stop() {
    let mut app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let created = ada.create_token(json!({ "name": "t" }));
    let token = created["token"].as_str().unwrap();
    assert_eq!(ada.get(TOKENS).body["data"][0]["last_used_at"], Value::Null);
    app.advance(Duration::from_secs(60));
    assert_eq!(app.bearer(token).get("/api/user").status, 200);
    assert_eq!(ada.get(TOKENS).body["data"][0]["last_used_at"], "2024-01-15T19:01:00Z");

    let owner =
        block_on(patd::ops::accounts::find(&app.ops, crate::harness::ADMINISTRATOR, "ada@example.com")).unwrap();
    app.stop();
    let id = patd::domain::id::TokenId::parse(created["id"].as_str().unwrap()).unwrap();
    let stored = block_on(app.ops.store.token(id)).unwrap();
    assert_eq!(stored.owner, owner.id);
    assert_eq!(stored.last_used_at.unwrap().to_string(), "2024-01-15T19:01:00Z");
}
