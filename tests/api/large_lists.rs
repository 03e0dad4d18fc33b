//! Lists of the largest possible items: a page ends early so that it does not exceed 256 KiB, and no item is missing.

use serde_json::{Value, json};

use crate::{
    harness::{Client, TestApp, email, password},
    introspection::introspector,
};

const TOKENS: &str = "/api/v1/user/api-tokens";

/// The most bytes of a page, and of what surrounds its items.
const MOST: usize = 256 * 1024 + 200;

/// A token at every limit: the name that is longest in JSON, the longest abilities, the most networks.
fn largest(number: usize) -> Value {
    let abilities: Vec<String> = (0..100).map(|n| format!("{n:03}{}", "a".repeat(97))).collect();
    let networks: Vec<String> = (0..100).map(|n| format!("2001:db8:1111:2222:3333:4444:5555:{n:04x}")).collect();
    let name = format!("{}{number:03}", if number.is_multiple_of(2) { "\"".repeat(252) } else { "🦀".repeat(252) });
    json!({
        "name": name,
        "abilities": abilities,
        "ip_allowlist": networks,
        "requests_per_minute": 1_000_000,
        "quota": u32::MAX,
        "expires_at": "9999-12-31T23:59:59Z",
    })
}

/// Reads a list to its end. Returns the ids in order and the number of pages.
fn walk(client: &Client<'_>, list: &str, query: &str) -> (Vec<String>, usize) {
    let (mut ids, mut pages, mut cursor) = (Vec::new(), 0, String::new());
    loop {
        let answer = client.get(&format!("{list}?{query}{cursor}"));
        assert_eq!(answer.status, 200, "{}", answer.shown());
        assert!(answer.text.len() <= MOST, "a page of {} bytes", answer.text.len());
        assert_eq!(answer.header("content-length"), Some(&*answer.text.len().to_string()));
        pages += 1;
        let data = answer.body["data"].as_array().unwrap();
        assert!(!data.is_empty());
        ids.extend(data.iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        match answer.body["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return (ids, pages),
        }
    }
}

#[test]
fn a_page_of_large_tokens_ends_early_and_no_token_is_missing() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let environment = ada.get("/api/user").body["current_environment_id"].as_str().unwrap().to_owned();
    for list in [TOKENS.to_owned(), format!("/api/v1/environments/{environment}/tokens")] {
        let mut made: Vec<String> = (0..60)
            .map(|number| {
                let answer = ada.post(&list, largest(number));
                assert_eq!(answer.status, 201, "{}", answer.shown());
                answer.body["data"]["id"].as_str().unwrap().to_owned()
            })
            .collect();
        made.reverse();
        let (ids, pages) = walk(&ada, &list, "");
        assert_eq!(ids, made);
        // A page has more than one item and not all of them.
        assert!((4..=6).contains(&pages), "{pages} pages");
        let (ids, pages) = walk(&ada, &list, "limit=7");
        assert_eq!((ids, pages), (made.clone(), 9));

        // With the fields that only some tokens have: a successor, and the reason of a revocation.
        for id in &made {
            assert_eq!(ada.delete(&format!("{list}/{id}")).status, 200);
        }
        assert_eq!(walk(&ada, &list, "state=revoked").0, made);
    }
}

#[test]
fn sessions_are_listed_in_pages() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let name = "🦀".repeat(255);
    let login = json!({ "email": email("ada"), "password": password("ada"), "device_name": name });
    let mut made: Vec<String> = (0..120)
        .map(|_| {
            app.anonymous().post("/api/v1/auth/login", login.clone()).body["data"]["id"].as_str().unwrap().to_owned()
        })
        .collect();
    made.reverse();
    let list = "/api/v1/user/sessions";
    let (ids, pages) = walk(&ada, list, "");
    assert_eq!((ids.len(), pages), (121, 2));
    // All are of the same second, so the ids decide the order.
    let mut sorted = ids.clone();
    sorted.sort_by(|one, other| other.cmp(one));
    assert_eq!(ids, sorted);
    assert!(made.iter().all(|id| ids.contains(id)));
    assert_eq!(walk(&ada, list, "limit=50").0, ids);

    let first = ada.get(&format!("{list}?limit=1")).body;
    let cursor = first["next_cursor"].as_str().unwrap();
    let bob = app.sign_in("bob");
    assert_eq!(bob.get(&format!("{list}?cursor={cursor}")).status, 422, "another's cursor is refused");
    assert_eq!(bob.get(list).body.get("next_cursor"), None);
}

#[test]
fn a_batch_of_large_tokens_is_answered_completely() {
    let app = TestApp::with(&[("server.body_limit", "1MiB")]);
    let (service, ada) = (introspector(&app), app.sign_in("ada"));
    let abilities = largest(0)["abilities"].clone();
    let token = ada.create_token(json!({ "name": "t", "abilities": abilities }))["token"].clone();
    for count in [1, 100] {
        let checks: Vec<Value> = (0..count).map(|_| json!({ "token": token })).collect();
        let answer = service.post("/api/v1/tokens/verify-batch", json!({ "tokens": checks }));
        let data = answer.body["data"].as_array().unwrap();
        assert_eq!((answer.status, data.len()), (200, count));
        assert!(data.iter().all(|verdict| verdict["token"]["abilities"] == abilities));
        assert_eq!(answer.header("content-type"), Some("application/json"));
    }
}

#[test]
fn head_of_a_large_list_has_its_length_and_no_body() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    for number in 0..20 {
        ada.create_token(largest(number));
    }
    let (get, head) = (ada.get(TOKENS), ada.send("HEAD", TOKENS, None));
    assert_eq!((head.status, &*head.text), (200, ""));
    assert_eq!(head.header("content-length"), get.header("content-length"));
    assert_eq!(ada.get("/api/user").status, 200);
}
