//! The report about a token.

use serde_json::{Value, json};

use crate::{
    authz::Dialect,
    harness::{Client, TestApp},
    lost_power::hand_over_all,
};

const POLICY: &str = r#"
[[policies]]
name = "app"
rules = [
    { paths = ["/health"], public = true },
    { methods = ["GET"], paths = ["/calls/**"], abilities = ["calls:read"] },
    { paths = ["/calls/**"], abilities = ["calls:write"] },
    { paths = ["/agents/**"], abilities = ["agents:read"] },
    { paths = ["/me"], abilities = [] },
    { paths = ["/session"], credentials = ["session"] },
]
[[policies]]
name = "other"
rules = [{ paths = ["/**"], abilities = [] }]
"#;

const TOKENS: &str = "/api/v1/user/api-tokens";

fn app() -> TestApp {
    TestApp::with_file(POLICY, &[("server.trusted_proxies", "127.0.0.1/32")])
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn report(client: &Client<'_>, token: &Value) -> Value {
    let answer = client.get(&format!("{TOKENS}/{}/report", text(&token["id"])));
    assert_eq!(answer.status, 200, "{}", answer.shown());
    answer.body["data"].clone()
}

/// `policy rule`, for each unused rule.
fn unused_rules(report: &Value) -> Vec<String> {
    let rules = report["unused_rules"].as_array().unwrap().iter();
    rules.map(|rule| format!("{} {}", text(&rule["policy"]), rule["rule"])).collect()
}

fn actions(report: &Value) -> Vec<&str> {
    report["events"].as_array().unwrap().iter().map(|event| text(&event["action"])).collect()
}

#[test]
fn a_report_says_who_made_a_token_what_it_did_and_what_it_could_have_done() {
    let app = app();
    let ada = app.sign_in("ada");
    let account = ada.get("/api/user").body;
    let token = ada.create_token(json!({ "name": "deploy", "abilities": ["calls:*"] }));
    let client = app.bearer(text(&token["token"]));
    let from = [("X-Forwarded-For", "192.0.2.1"), ("User-Agent", "curl/8.5")];
    assert_eq!(Dialect::Nginx.ask_with(&client, "app", "GET", "/calls/1", &from).status, 200);
    assert_eq!(Dialect::Nginx.ask_with(&client, "app", "GET", "/agents/1", &from).status, 403);

    let report = report(&ada, &token);
    assert_eq!((&report["token"]["id"], text(&report["state"])), (&token["id"], "active"));
    assert_eq!((&report["owner"]["id"], text(&report["owner"]["type"])), (&account["id"], "user"));
    let creation = &report["creation"];
    assert_eq!((&creation["user_id"], text(&creation["user_name"])), (&account["id"], "ada"));
    assert_eq!(text(&creation["event"]["action"]), "token.created");
    assert_eq!(creation["event"]["actor"]["type"], "session");
    assert_eq!(report["family"].as_array().unwrap().len(), 1);
    let usage = &report["usage"];
    assert_eq!(usage["addresses"][0]["address"], "192.0.2.1");
    assert_eq!(
        (&usage["totals"]["policies"][0]["allowed"], &usage["totals"]["policies"][0]["refused"]),
        (&json!(1), &json!(1))
    );
    // It lacks agents:read. Whether it used /me, which needs no ability of the policy, is not known. A public rule and one
    // for sessions are no rules of the token.
    assert_eq!(unused_rules(&report), ["app 3", "other 1"]);
    assert_eq!(
        report["unused_rules"][0],
        json!({ "policy": "app", "rule": 3, "methods": [], "paths": ["/calls/**"], "abilities": ["calls:write"] })
    );
    assert_eq!(actions(&report), ["token.created"]);
    assert!(!report.to_string().contains("pat_"), "no secret");
}

#[test]
fn a_report_has_the_family_and_works_for_an_ended_token() {
    let app = app();
    let ada = app.sign_in("ada");
    let first = ada.create_token(json!({ "name": "t", "abilities": ["tokens:rotate-self"] }));
    let rotated = app.bearer(text(&first["token"])).post(&format!("{TOKENS}/self/rotate"), json!({ "grace": 0 }));
    let second = rotated.body["data"].clone();
    assert_eq!(ada.delete(&format!("{TOKENS}/{}", text(&second["id"]))).status, 200);
    let of_first = report(&ada, &first);
    let family: Vec<(&Value, &str)> =
        of_first["family"].as_array().unwrap().iter().map(|member| (&member["id"], text(&member["state"]))).collect();
    assert_eq!(family, [(&second["id"], "revoked"), (&first["id"], "revoked")]);
    assert_eq!(of_first["family"][0]["rotated_from"], first["id"]);
    assert_eq!((text(&of_first["state"]), text(&of_first["token"]["revoked_reason"])), ("revoked", "rotated"));
    assert_eq!(
        actions(&of_first),
        ["token.created", "token.rotated", "token.revoked", "token.created"],
        "what it did to its successor is among them"
    );
    let of_second = report(&ada, &second);
    assert_eq!(of_second["creation"]["user_id"], Value::Null, "the token made it by itself");
    assert_eq!(of_second["creation"]["event"]["actor"]["id"], first["id"]);
    assert_eq!(actions(&of_second), ["token.revoked", "token.created"]);
}

#[test]
fn an_administrator_gets_the_report_of_every_token_and_an_owner_only_of_their_own() {
    let app = app();
    let (root, ada, eve) = (app.sign_in_admin("root"), app.sign_in("ada"), app.sign_in("eve"));
    let environment = text(&ada.get("/api/user").body["current_environment_id"]).to_owned();
    let share = format!("/api/v1/environments/{environment}/members/{}", text(&eve.get("/api/user").body["id"]));
    assert_eq!(ada.put(&share, json!({ "role": "admin" })).status, 200);
    let path = format!("/api/v1/environments/{environment}/tokens");
    let shared = eve.post(&path, json!({ "name": "t", "abilities": [] })).body["data"].clone();
    let personal = ada.create_token(json!({ "name": "t" }));
    for token in [&shared, &personal] {
        let answer = root.get(&format!("/api/v1/admin/tokens/{}/report", text(&token["id"])));
        assert_eq!(answer.status, 200, "{}", answer.shown());
        let report = &answer.body["data"];
        assert_eq!(report["owner"]["email"], "ada@example.com");
        let creator = if token["id"] == shared["id"] { "eve" } else { "ada" };
        assert_eq!(
            (text(&report["creation"]["user_name"]), actions(report).contains(&"token.created")),
            (creator, true)
        );
        assert_eq!(eve.get(&format!("{TOKENS}/{}/report", text(&token["id"]))).status, 404);
    }
    assert_eq!(ada.get(&format!("{TOKENS}/{}/report", text(&shared["id"]))).status, 404, "it is not a personal token");
    let nobody = uuid::Uuid::nil();
    assert_eq!(root.get(&format!("/api/v1/admin/tokens/{nobody}/report")).status, 404);
}

#[test]
fn a_new_owner_does_not_see_the_addresses_of_the_earlier_one_and_an_administrator_does() {
    let app = app();
    let (root, ada, bob) = (app.sign_in_admin("root"), app.sign_in("ada"), app.sign_in("bob"));
    let body = json!({ "name": "t", "abilities": ["calls:read"] }).to_string();
    let headers = [("X-Forwarded-For", "198.51.100.7"), ("Content-Type", "application/json")];
    let created = ada.send_with("POST", TOKENS, &headers, body.as_bytes());
    assert_eq!(created.status, 201, "{}", created.shown());
    let token = created.body["data"].clone();
    assert!(report(&ada, &token).to_string().contains("198.51.100.7"));
    hand_over_all(&app, &ada, &bob);
    let seen = report(&bob, &token);
    assert!(actions(&seen).contains(&"token.created"), "{seen}");
    assert!(!seen.to_string().contains("198.51.100.7"), "{seen}");
    let of_everybody = root.get(&format!("/api/v1/admin/tokens/{}/report", text(&token["id"])));
    assert!(of_everybody.body.to_string().contains("198.51.100.7"), "{}", of_everybody.shown());
}
