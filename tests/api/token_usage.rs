//! What a token did, as its owner sees it.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::{
    authz::Dialect,
    harness::{Client, TestApp},
    introspection::introspect,
};

const POLICY: &str = r#"
[[policies]]
name = "app"
rules = [
    { paths = ["/health"], public = true },
    { methods = ["GET"], paths = ["/calls/**"], abilities = ["calls:read"] },
    { paths = ["/calls/**"], abilities = ["calls:read", "calls:write"] },
    { paths = ["/session"], credentials = ["session"] },
]
"#;

const TOKENS: &str = "/api/v1/user/api-tokens";

fn app() -> TestApp {
    TestApp::with_file(POLICY, &[("server.trusted_proxies", "127.0.0.1/32")])
}

struct Used<'a> {
    client: Client<'a>,
    secret: String,
    path: String,
}

fn token<'a>(app: &'a TestApp, owner: &Client<'_>, body: Value) -> Used<'a> {
    let created = owner.create_token(body);
    let secret = created["token"].as_str().unwrap().to_owned();
    Used { client: app.bearer(&secret), path: format!("{TOKENS}/{}", created["id"].as_str().unwrap()), secret }
}

/// A token with `tokens:introspect`.
fn introspector<'a>(app: &'a TestApp, name: &str) -> Client<'a> {
    let admin = app.sign_in_admin(name);
    let created = admin.create_token(json!({ "name": "gateway", "abilities": ["tokens:introspect"] }));
    app.bearer(created["token"].as_str().unwrap())
}

fn ask(client: &Client<'_>, method: &str, target: &str) -> u16 {
    Dialect::Nginx.ask(client, method, target).status
}

/// `name allowed/refused`, for each policy and each ability of the totals.
fn totals(usage: &Value) -> Vec<String> {
    let counts = |kind: &str| {
        let counts = usage["data"]["totals"][kind].as_array().unwrap().clone();
        counts
            .into_iter()
            .map(|count| format!("{} {}/{}", count["name"].as_str().unwrap(), count["allowed"], count["refused"]))
    };
    counts("policies").chain(counts("abilities")).collect()
}

#[test]
fn the_owner_sees_days_totals_addresses_and_unused_abilities_at_once() {
    let app = app();
    let ada = app.sign_in("ada");
    let used = token(&app, &ada, json!({ "name": "deploy", "abilities": ["calls:read", "agents:*"] }));
    assert_eq!([ask(&used.client, "GET", "/calls/1"), ask(&used.client, "GET", "/calls/2")], [200, 200]);
    assert_eq!(ask(&used.client, "POST", "/calls/1"), 403);
    app.advance(std::time::Duration::from_hours(24));
    let from = [("X-Forwarded-For", "192.0.2.1"), ("User-Agent", "curl/8.5")];
    assert_eq!(Dialect::Nginx.ask_with(&used.client, "app", "GET", "/calls/1", &from).status, 200);
    assert_eq!(ada.get(&used.path).body["data"]["abilities_unused"], json!(["agents:*"]));
    assert_snapshot!(ada.get(&format!("{}/usage", used.path)).shown(), @r#"
    200
    {
      "data": {
        "abilities": [
          "calls:read",
          "agents:*"
        ],
        "abilities_unused": [
          "agents:*"
        ],
        "addresses": [
          {
            "address": "192.0.2.1",
            "last_used_at": "2024-01-16T19:00:00Z",
            "user_agent": "curl/8.5"
          }
        ],
        "counted_since": "2024-01-15T19:00:00Z",
        "days": [
          {
            "abilities": [
              {
                "allowed": 1,
                "name": "calls:read",
                "refused": 0
              }
            ],
            "day": "2024-01-16",
            "policies": [
              {
                "allowed": 1,
                "name": "app",
                "refused": 0
              }
            ]
          },
          {
            "abilities": [
              {
                "allowed": 2,
                "name": "calls:read",
                "refused": 0
              },
              {
                "allowed": 0,
                "name": "calls:write",
                "refused": 1
              }
            ],
            "day": "2024-01-15",
            "policies": [
              {
                "allowed": 2,
                "name": "app",
                "refused": 1
              }
            ]
          }
        ],
        "id": "[uuid]",
        "name": "deploy",
        "totals": {
          "abilities": [
            {
              "allowed": 3,
              "first_day": "2024-01-15",
              "last_day": "2024-01-16",
              "name": "calls:read",
              "refused": 0
            },
            {
              "allowed": 0,
              "first_day": "2024-01-15",
              "last_day": "2024-01-15",
              "name": "calls:write",
              "refused": 1
            }
          ],
          "policies": [
            {
              "allowed": 3,
              "first_day": "2024-01-15",
              "last_day": "2024-01-16",
              "name": "app",
              "refused": 1
            }
          ]
        }
      }
    }
    "#);
}

#[test]
fn a_refusal_counts_for_the_policy_and_for_the_abilities_that_are_missing() {
    let app = app();
    let ada = app.sign_in("ada");
    let used = token(&app, &ada, json!({ "name": "t", "abilities": ["calls:read"] }));
    let usage = || totals(&ada.get(&format!("{}/usage", used.path)).body);
    assert_eq!(ask(&used.client, "POST", "/calls/1"), 403, "only calls:write is missing");
    assert_eq!(usage(), ["app 0/1", "calls:write 0/1"]);
    assert_eq!(ask(&used.client, "GET", "/session"), 403, "the kind");
    assert_eq!(ask(&used.client, "GET", "/nowhere"), 403, "no rule");
    assert_eq!(usage(), ["app 0/3", "calls:write 0/1"]);
    assert_eq!(ask(&used.client, "GET", "/health"), 200, "a public rule reads no credential");
    assert_eq!(usage(), ["app 0/3", "calls:write 0/1"]);
}

#[test]
fn a_limit_that_refuses_counts_for_the_policy() {
    let app = app();
    let ada = app.sign_in("ada");
    let limited = json!({ "name": "t", "abilities": ["calls:read"], "requests_per_minute": 1 });
    let used = token(&app, &ada, limited);
    assert_eq!([ask(&used.client, "GET", "/calls/1"), ask(&used.client, "GET", "/calls/1")], [200, 403]);
    assert_eq!(totals(&ada.get(&format!("{}/usage", used.path)).body), ["app 1/1", "calls:read 1/0"]);
    let elsewhere = token(&app, &ada, json!({ "name": "t", "ip_allowlist": ["192.0.2.1"] }));
    let answer =
        Dialect::Nginx.ask_with(&elsewhere.client, "app", "GET", "/calls/1", &[("X-Forwarded-For", "192.0.2.9")]);
    assert_eq!(answer.status, 401);
    assert_eq!(answer.header("X-Auth-Token-Id"), app.bearer("pat_x").get("/").header("X-Auth-Token-Id"));
    assert_eq!(totals(&ada.get(&format!("{}/usage", elsewhere.path)).body), ["app 0/1"]);
}

#[test]
fn a_token_that_is_not_accepted_is_not_counted() {
    let app = app();
    let ada = app.sign_in("ada");
    let used = token(&app, &ada, json!({ "name": "t" }));
    assert_eq!(ada.delete(&used.path).status, 200);
    assert_eq!(ask(&used.client, "GET", "/calls/1"), 401);
    let usage = ada.get(&format!("{}/usage", used.path));
    assert_eq!((usage.status, totals(&usage.body)), (200, Vec::new()), "a revoked token still has its usage");
}

#[test]
fn verification_counts_the_abilities_that_it_asks_for() {
    let app = app();
    let (ada, gateway) = (app.sign_in("ada"), introspector(&app, "root"));
    let used = token(&app, &ada, json!({ "name": "t", "abilities": ["calls:*"] }));
    let verify = |abilities: Value| {
        let answer = gateway.post("/api/v1/tokens/verify", json!({ "token": used.secret, "abilities": abilities }));
        answer.body["data"]["valid"].as_bool().unwrap()
    };
    assert!(verify(json!(["calls:read"])) && verify(json!(["calls:read", "calls:write"])) && verify(json!([])));
    assert!(!verify(json!(["calls:read", "agents:read"])));
    let batch = json!({ "tokens": [{ "token": used.secret, "abilities": ["calls:read"] }, { "token": "pat_no" }] });
    assert_eq!(gateway.post("/api/v1/tokens/verify-batch", batch).status, 200);
    assert_eq!(introspect(&gateway, &used.secret).status, 200);
    let usage = ada.get(&format!("{}/usage", used.path)).body;
    assert_eq!(totals(&usage), ["agents:read 0/1", "calls:read 3/0", "calls:write 1/0"]);
    assert_eq!(usage["data"]["abilities_unused"], json!([]), "the wildcard covered something");
}

#[test]
fn the_servers_own_routes_count_their_ability() {
    let app = app();
    let admin = app.sign_in_admin("root");
    let used = token(&app, &admin, json!({ "name": "t", "abilities": ["user:read", "admin:*", "tokens:introspect"] }));
    let weak = token(&app, &admin, json!({ "name": "weak", "abilities": [] }));
    for (client, status) in [(&used.client, 200), (&weak.client, 403)] {
        assert_eq!(client.get("/api/user").status, status);
        assert_eq!(introspect(client, "pat_x").status, status);
    }
    assert_eq!(used.client.get("/api/v1/environments").status, 403);
    assert_eq!(used.client.post(&format!("{TOKENS}/self/rotate"), json!({})).status, 403);
    assert_eq!(used.client.get(&format!("/api/v1/admin/users/{}", uuid::Uuid::nil())).status, 404, "the guard passed");
    let usage = |used: &Used<'_>| admin.get(&format!("{}/usage", used.path)).body;
    assert_eq!(
        totals(&usage(&used)),
        ["admin:read 1/0", "environments:read 0/1", "tokens:introspect 1/0", "tokens:rotate-self 0/1", "user:read 1/0"]
    );
    assert_eq!(usage(&used)["data"]["abilities_unused"], json!([]));
    assert_eq!(totals(&usage(&weak)), ["tokens:introspect 0/1", "user:read 0/1"]);
}

#[test]
fn members_see_the_usage_of_an_environment_token_and_strangers_do_not() {
    let app = app();
    let (ada, eve) = (app.sign_in("ada"), app.sign_in("eve"));
    let environment = ada.get("/api/user").body["current_environment_id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/environments/{environment}/tokens");
    let created =
        ada.post(&path, json!({ "name": "t", "abilities": ["calls:read", "calls:write"] })).body["data"].clone();
    let client = app.bearer(created["token"].as_str().unwrap());
    assert_eq!(ask(&client, "GET", "/calls/1"), 200);
    let path = format!("{path}/{}", created["id"].as_str().unwrap());
    let usage = ada.get(&format!("{path}/usage"));
    assert_eq!(totals(&usage.body), ["app 1/0", "calls:read 1/0"]);
    assert_eq!(usage.body["data"]["abilities_unused"], json!(["calls:write"]));
    assert_eq!(ada.get(&path).body["data"]["abilities_unused"], json!(["calls:write"]));
    assert_eq!(eve.get(&format!("{path}/usage")).status, 404);
    let personal = token(&app, &ada, json!({ "name": "t" }));
    assert_eq!(eve.get(&format!("{}/usage", personal.path)).status, 404);
    assert_eq!(ada.get(&format!("{TOKENS}/nonsense/usage")).status, 404);
}
