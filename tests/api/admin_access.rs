//! Every route of administrators with every kind of credential. `access.rs` checks that no route is without a row.

use patd::domain::account::Role;
use serde_json::json;

use crate::{
    access::{
        Outcome::{self, AdminRequired, In, MissingAbility, SessionRequired, Unauthenticated},
        ask, environment_token, rejected_credentials, token,
    },
    harness::{Client, TestApp},
};

/// What a route requires of an administrator.
#[derive(Clone, Copy)]
enum Needs {
    /// A session, or a token with `admin:read`.
    Read,
    /// A session, or a token with `admin:*`.
    Write,
    /// A session.
    Session,
}

use Needs::{Read, Session, Write};

const TABLE: &[(&str, &str, Needs)] = &[
    ("GET", "/api/v1/admin/tokens", Read),
    ("HEAD", "/api/v1/admin/tokens", Read),
    ("POST", "/api/v1/admin/tokens/revoke", Write),
    ("GET", "/api/v1/admin/tokens/{id}", Read),
    ("HEAD", "/api/v1/admin/tokens/{id}", Read),
    ("DELETE", "/api/v1/admin/tokens/{id}", Write),
    ("POST", "/api/v1/admin/tokens/{id}/disable", Write),
    ("POST", "/api/v1/admin/tokens/{id}/enable", Write),
    ("GET", "/api/v1/admin/tokens/{id}/report", Read),
    ("HEAD", "/api/v1/admin/tokens/{id}/report", Read),
    ("GET", "/api/v1/admin/users", Read),
    ("HEAD", "/api/v1/admin/users", Read),
    ("POST", "/api/v1/admin/users", Session),
    ("GET", "/api/v1/admin/audit", Read),
    ("HEAD", "/api/v1/admin/audit", Read),
    ("GET", "/api/v1/admin/users/{id}", Read),
    ("HEAD", "/api/v1/admin/users/{id}", Read),
    ("PATCH", "/api/v1/admin/users/{id}", Session),
    ("POST", "/api/v1/admin/users/{id}/disable", Write),
    ("DELETE", "/api/v1/admin/users/{id}", Session),
    ("POST", "/api/v1/admin/users/{id}/enable", Write),
    ("POST", "/api/v1/admin/users/{id}/reset-password", Session),
    ("GET", "/api/v1/admin/users/{id}/sessions", Read),
    ("HEAD", "/api/v1/admin/users/{id}/sessions", Read),
    ("DELETE", "/api/v1/admin/users/{id}/sessions", Write),
    ("GET", "/api/v1/admin/throttle", Read),
    ("HEAD", "/api/v1/admin/throttle", Read),
    ("DELETE", "/api/v1/admin/throttle", Write),
    ("GET", "/api/v1/admin/users/{id}/owns", Read),
    ("HEAD", "/api/v1/admin/users/{id}/owns", Read),
    ("POST", "/api/v1/admin/users/{id}/hand-over", Session),
    ("GET", "/api/v1/admin/environments", Read),
    ("HEAD", "/api/v1/admin/environments", Read),
    ("GET", "/api/v1/admin/environments/{id}", Read),
    ("HEAD", "/api/v1/admin/environments/{id}", Read),
    ("POST", "/api/v1/admin/environments/{id}/transfer", Session),
    ("POST", "/api/v1/service-accounts", Session),
    ("DELETE", "/api/v1/service-accounts/{id}", Write),
    ("POST", "/api/v1/service-accounts/{id}/disable", Write),
    ("POST", "/api/v1/service-accounts/{id}/enable", Write),
    ("PUT", "/api/v1/service-accounts/{id}/managers/{user_id}", Session),
    ("DELETE", "/api/v1/service-accounts/{id}/managers/{user_id}", Write),
];

/// The routes that have a row here.
pub fn rows() -> impl Iterator<Item = String> {
    TABLE.iter().map(|(method, path, _)| format!("{method} {path}"))
}

#[test]
fn an_administrators_route_accepts_only_administrators_with_the_ability_or_session_that_it_needs() {
    let app = TestApp::spawn();
    let others = rejected_credentials(&app);
    let root = app.sign_in_admin("root");
    let member = app.sign_in("member");
    // A demoted administrator keeps the session and the token, without their power.
    let demoted = app.sign_in_admin("demoted");
    let demoted_token = token(&app, &demoted, json!(["admin:*", "*"]));
    app.set_role("demoted", Role::Member);

    // A disabled administrator has no valid credential.
    let disabled = app.sign_in_admin("disabled");
    let disabled_token = token(&app, &disabled, json!(["admin:*"]));
    let id = disabled.get("/api/user").body["id"].as_str().unwrap().to_owned();
    assert_eq!(root.post(&format!("/api/v1/admin/users/{id}/disable"), json!({})).status, 200);
    let mut others = others;
    others.extend([("a disabled admin's session", disabled), ("a disabled admin's token", disabled_token)]);

    // For a route that reads, one that writes, and one that needs a session.
    let cases: [(&str, Client<'_>, [Outcome; 3]); 9] = [
        ("an administrator's session", root.clone(), [In, In, In]),
        ("admin:*", token(&app, &root, json!(["admin:*"])), [In, In, SessionRequired]),
        ("admin:read", token(&app, &root, json!(["admin:read"])), [In, MissingAbility, SessionRequired]),
        ("an administrator's *", token(&app, &root, json!(["*"])), [MissingAbility, MissingAbility, SessionRequired]),
        ("a member's session", member.clone(), [AdminRequired, AdminRequired, AdminRequired]),
        ("a member's *", token(&app, &member, json!(["*"])), [MissingAbility, MissingAbility, SessionRequired]),
        ("a demoted session", demoted, [AdminRequired, AdminRequired, AdminRequired]),
        ("a demoted admin:*", demoted_token, [AdminRequired, AdminRequired, SessionRequired]),
        ("an environment's *", environment_token(&app, &root), [MissingAbility, MissingAbility, SessionRequired]),
    ];
    for (method, path, needs) in TABLE {
        for (name, client, outcomes) in &cases {
            let expected = match needs {
                Read => outcomes[0],
                Write => outcomes[1],
                Session => outcomes[2],
            };
            assert_eq!(ask(client, method, path), expected, "{method} {path} with {name}");
        }
        for (name, client) in &others {
            assert_eq!(ask(client, method, path), Unauthenticated, "{method} {path} with {name}");
        }
    }
}

#[test]
fn only_an_administrators_session_grants_the_abilities_of_administrators() {
    let app = TestApp::spawn();
    let root = app.sign_in_admin("root");
    let member = app.sign_in("member");
    for ability in ["admin:read", "admin:*", "tokens:introspect"] {
        let body = json!({ "name": "t", "abilities": [ability] });
        assert_eq!(root.post("/api/v1/user/api-tokens", body.clone()).status, 201, "{ability}");
        let refused = member.post("/api/v1/user/api-tokens", body);
        assert_eq!(refused.status, 422, "{ability}");
        assert!(refused.text.contains("is reserved"), "{}", refused.shown());
    }
}
