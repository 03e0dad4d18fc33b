//! All tokens on the pages of administrators: the filters, and what is revoked with them.

use patd::ops::token_search::FilterTexts;
use serde_json::{Value, json};

use super::{
    Browser,
    administration::{data, id_of, root},
};
use crate::harness::{Client, TestApp};

const PAGE: &str = "/console/admin/tokens";

fn api<'a>(app: &'a TestApp, browser: &Browser<'_>) -> Client<'a> {
    app.bearer(browser.cookie().split_once('=').unwrap().1)
}

fn make(client: &Client<'_>, name: &str, more: Value) -> String {
    let mut body = json!({ "name": name, "abilities": ["calls:read"], "expires_in_days": 30 });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    client.create_token(body)["id"].as_str().unwrap().to_owned()
}

fn live(client: &Client<'_>) -> usize {
    data(client, "/api/v1/admin/tokens?state=active").as_array().unwrap().len()
}

#[test]
fn every_filter_of_the_api_is_in_the_address() {
    let app = TestApp::spawn();
    let root = root(&app);
    let (ada, bob) = (app.sign_in("ada"), app.sign_in("bob"));
    make(&ada, "alpha", json!({ "metadata": { "team": "shop" } }));
    make(&ada, "beta", json!({ "canary": true }));
    make(&bob, "gamma", json!({ "abilities": ["agents:read"], "expires_in_days": 90 }));
    let environment = ada.post("/api/v1/environments", json!({ "name": "e" }));
    let environment = environment.body["data"]["id"].as_str().unwrap().to_owned();
    let body = json!({ "name": "delta", "abilities": ["calls:read"], "expires_in_days": 30 });
    assert_eq!(ada.post(&format!("/api/v1/environments/{environment}/tokens"), body).status, 201);
    let found = |query: &str| {
        let page = root.page(&format!("{PAGE}?{query}"));
        let is_shown = |name: &&str| page.contains(&format!("<bdi>{name}</bdi>"));
        ["alpha", "beta", "gamma", "delta"].into_iter().filter(is_shown).collect::<Vec<_>>()
    };
    let all = ["alpha", "beta", "gamma", "delta"];
    assert_eq!(found(""), all);
    let expected: [(&str, String, &[&str]); 15] = [
        ("owner", "bob@example.com".to_owned(), &["gamma"]),
        ("environment", environment.clone(), &["delta"]),
        ("service_account", "false".to_owned(), &all),
        ("kind", "environment_token".to_owned(), &["delta"]),
        ("state", "revoked".to_owned(), &[]),
        ("name", "ALP".to_owned(), &["alpha"]),
        ("ability", "agents:read".to_owned(), &["gamma"]),
        ("created_after", "2030-01-31T12:00:00Z".to_owned(), &[]),
        ("created_before", "2030-01-31T12:00:00Z".to_owned(), &all),
        ("expires_after", "2024-03-15T00:00:00Z".to_owned(), &["gamma"]),
        ("expires_before", "2024-03-15T00:00:00Z".to_owned(), &["alpha", "beta", "delta"]),
        ("last_used_after", "2024-01-01T00:00:00Z".to_owned(), &[]),
        ("last_used_before", "2030-01-31T12:00:00Z".to_owned(), &[]),
        ("unused_for", "1d".to_owned(), &[]),
        ("canary", "true".to_owned(), &["beta"]),
    ];
    assert_eq!(expected.each_ref().map(|(name, ..)| *name).as_slice(), FilterTexts::NAMES);
    for (name, value, tokens) in &expected {
        assert_eq!(found(&format!("{name}={value}")), *tokens, "{name}={value}");
        let page = root.page(PAGE);
        assert!(page.contains(&format!(r#"name="{name}""#)), "{name} has a field");
    }
    assert_eq!(found("metadata=team%3Dshop"), ["alpha"]);
    assert_eq!(found("owner=ada@example.com&kind=personal_access_token&canary=false"), ["alpha"]);
    for (query, field) in
        [("owner=eve@example.com", "owner"), ("created_after=x", "created_after"), ("metadata=x", "metadata")]
    {
        let wrong = root.get(&format!("{PAGE}?{query}"));
        assert_eq!(wrong.status, 422, "{query}");
        assert!(wrong.text.contains(&format!(r#"id="{field}-error""#)), "{query}: {}", wrong.text);
        assert!(!wrong.text.contains("<bdi>alpha</bdi>"), "a mistake shows no other list");
    }
}

#[test]
fn pages_have_fifty_tokens_and_keep_the_filter() {
    let app = TestApp::spawn();
    let root = root(&app);
    let ada = app.sign_in("ada");
    for number in 0..52 {
        make(&ada, &format!("t{number}"), json!({}));
    }
    make(&ada, "other", json!({}));
    let first = root.page(&format!("{PAGE}?name=t&sort=oldest"));
    let rows = |page: &str| page.matches(r#"<th scope="row">"#).count();
    assert_eq!(rows(&first), 50);
    let (_, rest) = first.split_once(r#"rel="next" href=""#).unwrap();
    let next = rest.split_once('"').unwrap().0.replace("&amp;", "&").replace("&#38;", "&");
    let second = root.page(&next);
    assert!(next.contains("name=t") && next.contains("sort=oldest"), "{next}");
    assert_eq!(rows(&second), 3, "{next}");
    assert!(second.contains("<bdi>t51</bdi>") && second.contains("<bdi>other</bdi>"), "both have a t");
}

#[test]
fn chosen_tokens_are_shown_and_then_revoked_of_every_owner() {
    let app = TestApp::spawn();
    let root = root(&app);
    let client = api(&app, &root);
    let (ada, bob) = (app.sign_in("ada"), app.sign_in("bob"));
    let (first, second) = (make(&ada, "alpha", json!({})), make(&bob, "beta", json!({})));
    make(&bob, "kept", json!({}));
    assert_eq!(root.post(PAGE, &[("do", "choose")]).status, 422, "none is chosen");
    let chosen = [("token", &*first), ("token", &*second)];
    let preview = root.post(PAGE, &[&chosen[..], &[("do", "choose")]].concat());
    assert_eq!(preview.status, 200, "{}", preview.text);
    assert!(preview.text.contains("<bdi>alpha</bdi>") && preview.text.contains("<bdi>bob</bdi>"), "{}", preview.text);
    assert!(!preview.text.contains(r#"id="typed""#), "two need no number");
    assert_eq!(live(&client), 3, "nothing is revoked yet");
    let revoked = root.post(PAGE, &[&chosen[..], &[("do", "revoke")]].concat());
    assert_eq!(revoked.header("location"), format!("{PAGE}?done=revoked&count=2"));
    assert_eq!(live(&client), 1);
    let again = root.post(PAGE, &[&chosen[..], &[("do", "revoke")]].concat());
    assert_eq!(again.header("location"), format!("{PAGE}?done=revoked&count=0"), "they have ended already");
}

#[test]
fn what_a_filter_finds_is_counted_and_revoked_with_a_typed_number() {
    let app = TestApp::spawn();
    let root = root(&app);
    let client = api(&app, &root);
    let ada = app.sign_in("ada");
    let ids: Vec<_> = (0..11).map(|number| make(&ada, &format!("ci {number}"), json!({}))).collect();
    make(&ada, "kept", json!({}));
    let filter = [("name", "ci"), ("owner", "ada@example.com")];
    let preview = root.post(PAGE, &[&filter[..], &[("do", "choose-all")]].concat());
    assert_eq!(preview.status, 200, "{}", preview.text);
    assert!(preview.text.contains("Revoke 11 tokens") && preview.text.contains("<dd><bdi>ci</bdi></dd>"));
    for typed in ["", "10", "12"] {
        let refused = root.post(PAGE, &[&filter[..], &[("do", "revoke-all"), ("typed", typed)]].concat());
        assert_eq!(refused.status, 422, "{typed}");
        assert!(refused.text.contains(r#"id="typed-error""#), "{}", refused.text);
    }
    let chosen: Vec<_> = ids.iter().map(|id| ("token", &**id)).collect();
    let refused = root.post(PAGE, &[&chosen[..], &[("do", "revoke"), ("typed", "10")]].concat());
    assert_eq!(refused.status, 422, "the chosen ones need a number, too");
    assert_eq!(live(&client), 12, "nothing is revoked yet");

    make(&ada, "ci more", json!({}));
    let changed = root.post(PAGE, &[&filter[..], &[("do", "revoke-all"), ("typed", "11")]].concat());
    assert_eq!(changed.status, 422, "one more than was counted");
    assert!(changed.text.contains("Type 12 to confirm"), "{}", changed.text);
    let revoked = root.post(PAGE, &[&filter[..], &[("do", "revoke-all"), ("typed", "12")]].concat());
    assert_eq!(revoked.header("location"), format!("{PAGE}?done=revoked&count=12"));
    assert_eq!(live(&client), 1);
    assert_eq!(root.post(PAGE, &[("name", ""), ("metadata", "x"), ("do", "revoke-all")]).status, 422);
    assert_eq!(live(&client), 1, "a filter with a mistake is not none");
}

#[test]
fn one_token_of_anybody_is_disabled_enabled_and_revoked() {
    let app = TestApp::spawn();
    let root = root(&app);
    let ada = app.sign_in("ada");
    let created = ada.create_token(json!({ "name": "CI", "abilities": [], "expires_in_days": 1 }));
    let secret = created["token"].as_str().unwrap();
    let page = format!("{PAGE}/{}", created["id"].as_str().unwrap());
    let valid = || app.bearer(secret).post("/api/v1/auth/identify", json!({})).status == 200;
    let shown = root.page(&page);
    assert!(shown.contains(&format!("/console/admin/users/{}", id_of(&ada))), "its owner: {shown}");
    for (action, is_valid) in [("disable", false), ("enable", true), ("revoke", false)] {
        let answer = root.post(&page, &[("do", action)]);
        assert_eq!(answer.status, 303, "{action}: {}", answer.text);
        assert_eq!(valid(), is_valid, "{action}");
        assert!(root.page(answer.header("location")).contains(r#"class="box good""#), "{action}");
    }
    assert!(!root.page(&page).contains(r#"value="revoke""#), "it has ended");
}
