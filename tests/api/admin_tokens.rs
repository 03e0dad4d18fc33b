//! What administrators see of the tokens of everybody, and do with them.

use std::time::Duration;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::{
    access::token,
    harness::{Client, TestApp},
};

const TOKENS: &str = "/api/v1/admin/tokens";

fn path(token: &Value) -> String {
    format!("{TOKENS}/{}", token["id"].as_str().unwrap())
}

fn is_valid(app: &TestApp, token: &Value) -> bool {
    app.bearer(token["token"].as_str().unwrap()).post("/api/v1/auth/identify", json!({})).status == 200
}

fn environment_token(client: &Client<'_>, body: Value) -> Value {
    let environment = client.post("/api/v1/environments", json!({ "name": "e" })).body["data"]["id"].clone();
    let created = client.post(&format!("/api/v1/environments/{}/tokens", environment.as_str().unwrap()), body);
    assert_eq!(created.status, 201, "{}", created.shown());
    let mut created = created.body["data"].clone();
    created["environment_id"] = environment;
    created
}

fn names(root: &Client<'_>, query: &str) -> String {
    let answer = root.get(&format!("{TOKENS}?{query}"));
    assert_eq!(answer.status, 200, "{query}: {}", answer.shown());
    let tokens = answer.body["data"].as_array().unwrap();
    tokens.iter().map(|token| token["name"].as_str().unwrap()).collect::<Vec<_>>().join(" ")
}

#[test]
fn an_administrator_filters_and_sorts_the_tokens_of_everybody() {
    let app = TestApp::spawn();
    let root = app.sign_in_admin("root");
    let (ada, bob) = (app.sign_in("ada"), app.sign_in("bob"));
    let ada_id = ada.get("/api/user").body["id"].as_str().unwrap().to_owned();
    ada.create_token(
        json!({ "name": "a1", "abilities": ["calls:*"], "expires_in_days": 30, "metadata": { "team": "x" } }),
    );
    app.advance(Duration::from_hours(1));
    let e1 = environment_token(&ada, json!({ "name": "e1", "abilities": ["calls:read"], "expires_in_days": 10 }));
    app.advance(Duration::from_hours(1));
    let b1 = bob.create_token(json!({ "name": "b1", "abilities": [], "canary": true }));
    let b2 = bob.create_token(json!({ "name": "b2", "expires_in_days": 20 }));
    assert!(is_valid(&app, &b2));
    app.advance(Duration::from_secs(5));
    let e = e1["environment_id"].as_str().unwrap();
    for (query, expected) in [
        ("", "b2 b1 e1 a1"),
        ("order=asc", "a1 e1 b1 b2"),
        ("owner=ADA@example.com", "e1 a1"),
        (&format!("owner={ada_id}&kind=personal_access_token"), "a1"),
        (&format!("environment={e}"), "e1"),
        (&format!("environment={e}&owner=bob@example.com"), ""),
        ("kind=environment_token", "e1"),
        ("service_account=true", ""),
        ("service_account=false&name=B", "b2 b1"),
        ("ability=calls:read", "b2 e1 a1"),
        ("ability=calls:write", "b2 a1"),
        ("metadata[team]=x", "a1"),
        ("canary=true", "b1"),
        ("canary=false&owner=bob@example.com", "b2"),
        ("created_after=2024-01-15T20:00:00Z&created_before=2024-01-15T21:00:00Z", "e1"),
        ("expires_before=2024-02-05T00:00:00Z", "b2 e1"),
        ("expires_before=2024-02-05T00:00:00Z&sort=expires", "e1 b2"),
        ("sort=expires", "e1 b2 a1 b1"),
        ("sort=expires&order=desc", "a1 b2 e1 b1"),
        ("unused_for=30m", "e1 a1"),
        ("unused_for=90m", "a1"),
    ] {
        assert_eq!(names(&root, query), expected, "{query}");
    }
    // Uses are written within ten seconds.
    let start = std::time::Instant::now();
    while names(&root, "last_used_after=2024-01-15T19:00:00Z") != "b2" {
        assert!(start.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(names(&root, "sort=last_used"), "b2 b1 e1 a1");
    assert_eq!(names(&root, "sort=last_used&order=asc"), "b2 a1 e1 b1");
    assert_eq!(bob.delete(&format!("/api/v1/user/api-tokens/{}", b1["id"].as_str().unwrap())).status, 200);
    assert_eq!((names(&root, "state=revoked"), names(&root, "state=all")), ("b1".into(), "b2 b1 e1 a1".into()));
    assert_eq!((names(&root, "state=active"), names(&root, "state=expired")), ("b2 e1 a1".into(), String::new()));
    let shown = root.get(&format!("{TOKENS}?environment={e}"));
    assert!(!shown.text.contains(e1["token"].as_str().unwrap()));
    assert_snapshot!(shown.shown(), @r#"
    200
    {
      "data": [
        {
          "abilities": [
            "calls:read"
          ],
          "created_at": "2024-01-15T20:00:00Z",
          "disabled_at": null,
          "environment_id": "[uuid]",
          "expires_at": "2024-01-25T20:00:00Z",
          "hint": "[hint]",
          "id": "[uuid]",
          "last_used_at": null,
          "name": "e1",
          "owner": {
            "email": "ada@example.com",
            "id": "[uuid]",
            "name": "ada",
            "type": "user"
          },
          "rotated_from": null,
          "rotated_to": null,
          "type": "environment_token"
        }
      ],
      "next_cursor": null
    }
    "#);
}

#[test]
fn pages_belong_to_their_search() {
    let app = TestApp::spawn();
    let root = app.sign_in_admin("root");
    for days in [3, 1, 2] {
        root.create_token(json!({ "name": format!("t{days}"), "expires_in_days": days }));
    }
    for name in ["n1", "n2"] {
        root.create_token(json!({ "name": name }));
    }
    for (query, expected) in [
        ("", ["n2", "n1", "t2", "t1", "t3"]),
        ("sort=expires", ["t1", "t2", "t3", "n1", "n2"]),
        ("sort=expires&order=desc", ["t3", "t2", "t1", "n2", "n1"]),
        ("sort=last_used&order=asc", ["t3", "t1", "t2", "n1", "n2"]),
    ] {
        for limit in [1, 2, 3] {
            let (mut seen, mut cursor) = (Vec::new(), String::new());
            loop {
                let page = root.get(&format!("{TOKENS}?{query}&limit={limit}{cursor}")).body;
                seen.extend(
                    page["data"].as_array().unwrap().iter().map(|token| token["name"].as_str().unwrap().to_owned()),
                );
                let Some(next) = page["next_cursor"].as_str() else { break };
                cursor = format!("&cursor={next}");
            }
            assert_eq!(seen, expected, "{query}, {limit}");
        }
    }
    let cursor = root.get(&format!("{TOKENS}?limit=1")).body["next_cursor"].as_str().unwrap().to_owned();
    for other in ["order=asc", "sort=expires", "canary=false", "metadata[a]=b"] {
        let refused = root.get(&format!("{TOKENS}?limit=1&{other}&cursor={cursor}"));
        assert_eq!(refused.status, 422, "{other}: a cursor belongs to its search");
    }
}

#[test]
fn wrong_filters_are_refused_by_name() {
    let app = TestApp::spawn();
    let root = app.sign_in_admin("root");
    let mut messages = Vec::new();
    for query in [
        "owner=nobody@example.com",
        "environment=x&kind=token&state=new&service_account=yes&canary=1",
        "name=&ability=a b&unused_for=90",
        "created_after=yesterday",
        "expires_after=2024-01-02T00:00:00Z&expires_before=2024-01-01T00:00:00Z",
        "sort=name",
        "order=up",
        "metadata[a]=1&metadata[a]=2",
    ] {
        let refused = root.get(&format!("{TOKENS}?{}", query.replace(' ', "%20")));
        assert_eq!(refused.status, 422, "{query}: {}", refused.shown());
        let errors = refused.body["errors"].as_object().unwrap().values().flat_map(|list| list.as_array().unwrap());
        messages.extend(errors.map(|message| message.as_str().unwrap().to_owned()));
    }
    assert_snapshot!(messages.join("\n"), @"
    The owner field must be the id of a user or a service account, or the e-mail address of a user.
    The canary field must be true or false.
    The environment field must be the id of an environment.
    The kind field must be personal_access_token or environment_token.
    The service_account field must be true or false.
    The state field must be active, expired, revoked or all.
    The ability field must be * or words of letters, digits, _ . - joined by : (calls:read), of which the last may be *.
    The name field must not be empty.
    The unused_for field must be a duration such as 30m, 12h or 90d, from 1s to 36500d.
    The created_after field must be a date and time like 2030-01-31T12:00:00Z
    The expires_before field must be later than expires_after.
    The sort field must be created, expires or last_used.
    The order field must be asc or desc.
    The metadata[a] field must be given once: a token has one value for each key.
    ");
}

#[test]
fn an_administrator_shows_disables_enables_and_revokes_any_token() {
    let app = TestApp::spawn();
    let root = app.sign_in_admin("root");
    let by_token = token(&app, &root, json!(["admin:*"]));
    let ada = app.sign_in("ada");
    for (admin, token) in [
        (&root, ada.create_token(json!({ "name": "personal" }))),
        (&by_token, environment_token(&ada, json!({ "name": "of an environment" }))),
    ] {
        let shown = admin.get(&path(&token)).body["data"].clone();
        assert_eq!(shown["owner"]["email"], "ada@example.com");
        assert_eq!((&shown["environment_id"], &shown["last_uses"]), (&token["environment_id"], &json!([])));
        assert!(is_valid(&app, &token));
        assert_eq!(admin.post(&format!("{}/disable", path(&token)), json!({})).status, 200);
        assert!(!is_valid(&app, &token));
        assert_eq!(admin.post(&format!("{}/enable", path(&token)), json!({})).status, 200);
        assert!(is_valid(&app, &token));
        assert_eq!(admin.delete(&path(&token)).status, 200);
        assert!(!is_valid(&app, &token));
        assert_eq!(admin.get(&path(&token)).body["data"]["revoked_reason"], "revoked_by_owner");
        assert_eq!(admin.delete(&path(&token)).status, 404);
    }
    assert_eq!(root.get(&format!("{TOKENS}/x")).status, 404);
    let events: Vec<String> = ada.get("/api/v1/user/audit").body["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| format!("{} by {}", event["action"].as_str().unwrap(), event["actor"]["type"].as_str().unwrap()))
        .filter(|event| event.starts_with("token."))
        .collect();
    assert_snapshot!(events.join("\n"), @"
    token.revoked by personal_access_token
    token.enabled by personal_access_token
    token.disabled by personal_access_token
    token.revoked by session
    token.enabled by session
    token.disabled by session
    token.created by session
    token.created by session
    ");
}

#[test]
fn a_revocation_by_filter_is_tried_first_and_then_done() {
    let app = TestApp::spawn();
    let root = app.sign_in_admin("root");
    let (ada, bob) = (app.sign_in("ada"), app.sign_in("bob"));
    let body = |team: &str| json!({ "name": "t", "metadata": { "team": team } });
    // More than one batch.
    let personal: Vec<Value> = (0..130).map(|_| ada.create_token(body("payments"))).collect();
    let of_environment = environment_token(&bob, body("payments"));
    let stays = bob.create_token(body("web"));
    let filter = json!({ "metadata": { "team": "payments" }, "canary": false });
    let revoke = |more: Value| {
        let mut body = filter.clone();
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        root.post(&format!("{TOKENS}/revoke"), body)
    };
    let tried = revoke(json!({ "dry_run": true })).body["data"].clone();
    assert_eq!((&tried["matching"], &tried["revoked"], &tried["dry_run"]), (&json!(131), &json!(0), &json!(true)));
    assert_eq!(tried["ids"].as_array().unwrap().len(), 131);
    assert_eq!(tried["ids"][0], of_environment["id"]);
    assert!(is_valid(&app, &personal[0]) && is_valid(&app, &of_environment));
    // One of them is in use now, so it is no longer unused, although that is not written yet.
    app.advance(Duration::from_hours(2));
    assert!(is_valid(&app, &personal[7]));
    let done = revoke(json!({ "unused_for": "1h" })).body["data"].clone();
    // The first and the environment's were used two hours ago.
    assert_eq!((&done["matching"], &done["revoked"]), (&json!(130), &json!(130)));
    assert!(is_valid(&app, &personal[7]) && is_valid(&app, &stays));
    for revoked in personal.iter().filter(|token| token["id"] != personal[7]["id"]).chain([&of_environment]) {
        assert!(!is_valid(&app, revoked));
    }
    let again = revoke(json!({})).body["data"].clone();
    assert_eq!((&again["revoked"], &again["ids"]), (&json!(1), &json!([personal[7]["id"]])));
    let event = &ada.get("/api/v1/user/audit?limit=1").body["data"][0];
    assert_eq!((&event["action"], &event["target"]["id"]), (&json!("token.revoked"), &personal[7]["id"]));
    assert!(is_valid(&app, &stays));
}

#[test]
fn a_revocation_needs_a_filter_or_says_all() {
    let app = TestApp::spawn();
    let root = app.sign_in_admin("root");
    let token = root.create_token(json!({ "name": "t" }));
    assert_snapshot!(root.post(&format!("{TOKENS}/revoke"), json!({ "dry_run": true })).shown(), @r#"
    422
    {
      "code": "validation_failed",
      "errors": {
        "all": [
          "The all field must be true if there is no filter. Name at least one filter, or send \"all\": true."
        ]
      },
      "message": "The all field must be true if there is no filter. Name at least one filter, or send \"all\": true."
    }
    "#);
    for refused in [
        json!({}),
        json!({ "metadata": {} }),
        json!({ "owner": null }),
        json!({ "all": false }),
        json!({ "all": true, "name": "t" }),
        json!({ "state": "expired" }),
        json!({ "canary": "false" }),
        json!({ "unused_for": 90 }),
        json!({ "owners": "ada" }),
    ] {
        assert_eq!(root.post(&format!("{TOKENS}/revoke"), refused.clone()).status, 422, "{refused}");
    }
    assert!(is_valid(&app, &token));
    let all = root.post(&format!("{TOKENS}/revoke"), json!({ "all": true }));
    assert_eq!(all.body["data"]["revoked"], 1, "{}", all.shown());
    assert!(!is_valid(&app, &token));
}
