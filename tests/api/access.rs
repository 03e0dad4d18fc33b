//! Every route with every kind of credential. A route without a row fails the test, so no route is added without a
//! guard.

use serde_json::json;

use crate::{
    admin_access,
    harness::{Client, TestApp},
};

/// What the guard of a route answers to a credential.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome {
    /// The guard lets it pass. The answer of the handler does not matter.
    In,
    /// 401.
    Unauthenticated,
    /// 403 `session_required`.
    SessionRequired,
    /// 403 `admin_required`.
    AdminRequired,
    /// 403 `missing_ability`.
    MissingAbility,
    /// 403 `untrusted_proxy`. The credential is not read.
    UntrustedProxy,
}

use Outcome::{In, MissingAbility, SessionRequired, Unauthenticated, UntrustedProxy};

/// The columns: session, a token with `*`, a token with no ability, a token of another user with `user:read`, and an
/// environment token with `*`.
struct Row(&'static str, &'static str, [Outcome; 5]);

const OPEN: [Outcome; 5] = [In; 5];
const ANY_CREDENTIAL: [Outcome; 5] = [In; 5];
const ACCOUNT_READER: [Outcome; 5] = [In, In, MissingAbility, In, SessionRequired];
const ENVIRONMENT_READER: [Outcome; 5] = [In, In, MissingAbility, MissingAbility, SessionRequired];
const SESSION_ONLY: [Outcome; 5] = [In, SessionRequired, SessionRequired, SessionRequired, SessionRequired];

/// A session, or an administrator's token, which none of these is (`service_accounts.rs` has one).
const ADMIN_TOKEN: [Outcome; 5] = [In, MissingAbility, MissingAbility, MissingAbility, MissingAbility];

/// Needs a token with `tokens:introspect`, which none of these has (`introspection.rs` has one).
const NOBODY_HERE: [Outcome; 5] = [MissingAbility; 5];
/// Needs a trusted proxy, which none of these clients is (`authz.rs` has one).
const PROXY_ONLY: [Outcome; 5] = [UntrustedProxy; 5];

/// Routes that need no credential.
const OPEN_ROUTES: [&str; 15] = [
    "/",
    "/api",
    "/api/docs",
    "/api/docs/{name}",
    "/api/openapi.json",
    "/api/openapi-3.0.json",
    "/llms.txt",
    "/api/v1/revoke",
    "/api/v1/tokens/revoke-leaked",
    "/api/v1/auth/register",
    "/api/v1/auth/login",
    "/api/v1/auth/password-link",
    "/livez",
    "/readyz",
    "/healthz",
];

const TABLE: &[Row] = &[
    Row("POST", "/api/v1/auth/register", OPEN),
    Row("POST", "/api/v1/auth/login", OPEN),
    Row("POST", "/api/v1/auth/password-link", OPEN),
    Row("POST", "/api/v1/auth/logout", SESSION_ONLY),
    Row("POST", "/api/v1/auth/identify", ANY_CREDENTIAL),
    Row("GET", "/api/user", ACCOUNT_READER),
    Row("HEAD", "/api/user", ACCOUNT_READER),
    Row("GET", "/api/v1/user", ACCOUNT_READER),
    Row("HEAD", "/api/v1/user", ACCOUNT_READER),
    Row("PATCH", "/api/v1/user", SESSION_ONLY),
    Row("DELETE", "/api/v1/user", SESSION_ONLY),
    Row("GET", "/api/v1/user/export", SESSION_ONLY),
    Row("HEAD", "/api/v1/user/export", SESSION_ONLY),
    Row("PUT", "/api/v1/user/password", SESSION_ONLY),
    Row("GET", "/api/v1/user/audit", SESSION_ONLY),
    Row("HEAD", "/api/v1/user/audit", SESSION_ONLY),
    Row("GET", "/api/v1/user/sessions", SESSION_ONLY),
    Row("HEAD", "/api/v1/user/sessions", SESSION_ONLY),
    Row("DELETE", "/api/v1/user/sessions", SESSION_ONLY),
    Row("DELETE", "/api/v1/user/sessions/{id}", SESSION_ONLY),
    Row("GET", "/api/v1/user/api-tokens", SESSION_ONLY),
    Row("HEAD", "/api/v1/user/api-tokens", SESSION_ONLY),
    Row("POST", "/api/v1/user/api-tokens", SESSION_ONLY),
    Row("POST", "/api/v1/user/api-tokens/revoke", SESSION_ONLY),
    Row("GET", "/api/v1/user/api-tokens/{id}", SESSION_ONLY),
    Row("HEAD", "/api/v1/user/api-tokens/{id}", SESSION_ONLY),
    Row("PATCH", "/api/v1/user/api-tokens/{id}", SESSION_ONLY),
    Row("DELETE", "/api/v1/user/api-tokens/{id}", SESSION_ONLY),
    Row("GET", "/api/v1/user/api-tokens/{id}/usage", SESSION_ONLY),
    Row("HEAD", "/api/v1/user/api-tokens/{id}/usage", SESSION_ONLY),
    Row("GET", "/api/v1/user/api-tokens/{id}/report", SESSION_ONLY),
    Row("HEAD", "/api/v1/user/api-tokens/{id}/report", SESSION_ONLY),
    Row("PUT", "/api/v1/user/current-environment", SESSION_ONLY),
    Row("GET", "/api/v1/environments", ENVIRONMENT_READER),
    Row("HEAD", "/api/v1/environments", ENVIRONMENT_READER),
    Row("POST", "/api/v1/environments", SESSION_ONLY),
    Row("GET", "/api/v1/environments/{id}", ENVIRONMENT_READER),
    Row("HEAD", "/api/v1/environments/{id}", ENVIRONMENT_READER),
    Row("PATCH", "/api/v1/environments/{id}", SESSION_ONLY),
    Row("DELETE", "/api/v1/environments/{id}", SESSION_ONLY),
    Row("GET", "/api/v1/environments/{id}/members", SESSION_ONLY),
    Row("HEAD", "/api/v1/environments/{id}/members", SESSION_ONLY),
    Row("PUT", "/api/v1/environments/{id}/members/{user_id}", SESSION_ONLY),
    Row("DELETE", "/api/v1/environments/{id}/members/{user_id}", SESSION_ONLY),
    Row("GET", "/api/v1/environments/{id}/tokens", SESSION_ONLY),
    Row("HEAD", "/api/v1/environments/{id}/tokens", SESSION_ONLY),
    Row("POST", "/api/v1/environments/{id}/tokens", SESSION_ONLY),
    Row("GET", "/api/v1/environments/{id}/tokens/{token_id}", SESSION_ONLY),
    Row("HEAD", "/api/v1/environments/{id}/tokens/{token_id}", SESSION_ONLY),
    Row("PATCH", "/api/v1/environments/{id}/tokens/{token_id}", SESSION_ONLY),
    Row("DELETE", "/api/v1/environments/{id}/tokens/{token_id}", SESSION_ONLY),
    Row("POST", "/api/v1/environments/{id}/tokens/{token_id}/regenerate", SESSION_ONLY),
    Row("GET", "/api/v1/environments/{id}/tokens/{token_id}/usage", SESSION_ONLY),
    Row("HEAD", "/api/v1/environments/{id}/tokens/{token_id}/usage", SESSION_ONLY),
    // A session is not a token: 403 `token_required`.
    Row("POST", "/api/v1/user/api-tokens/self/rotate", [In, In, MissingAbility, MissingAbility, SessionRequired]),
    Row("POST", "/api/v1/user/api-tokens/{id}/rotate", SESSION_ONLY),
    Row("POST", "/api/v1/user/api-tokens/{id}/disable", SESSION_ONLY),
    Row("POST", "/api/v1/user/api-tokens/{id}/enable", SESSION_ONLY),
    Row("GET", "/api/v1/service-accounts", ADMIN_TOKEN),
    Row("HEAD", "/api/v1/service-accounts", ADMIN_TOKEN),
    Row("GET", "/api/v1/service-accounts/{id}", ADMIN_TOKEN),
    Row("HEAD", "/api/v1/service-accounts/{id}", ADMIN_TOKEN),
    Row("PATCH", "/api/v1/service-accounts/{id}", ADMIN_TOKEN),
    Row("POST", "/api/v1/tokens/revoke-leaked", OPEN),
    Row("POST", "/api/v1/introspect", NOBODY_HERE),
    Row("POST", "/api/v1/revoke", OPEN),
    Row("POST", "/api/v1/tokens/verify", NOBODY_HERE),
    Row("POST", "/api/v1/tokens/verify-batch", NOBODY_HERE),
    Row("GET", "/api/authz/auth-request/{policy}", PROXY_ONLY),
    Row("HEAD", "/api/authz/auth-request/{policy}", PROXY_ONLY),
    Row("GET", "/api/authz/forward-auth/{policy}", PROXY_ONLY),
    Row("HEAD", "/api/authz/forward-auth/{policy}", PROXY_ONLY),
    Row("GET", "/api/authz/ext-authz/{policy}/{tail:.*}", PROXY_ONLY),
    Row("HEAD", "/api/authz/ext-authz/{policy}/{tail:.*}", PROXY_ONLY),
    Row("POST", "/api/authz/ext-authz/{policy}/{tail:.*}", PROXY_ONLY),
    Row("PUT", "/api/authz/ext-authz/{policy}/{tail:.*}", PROXY_ONLY),
    Row("PATCH", "/api/authz/ext-authz/{policy}/{tail:.*}", PROXY_ONLY),
    Row("DELETE", "/api/authz/ext-authz/{policy}/{tail:.*}", PROXY_ONLY),
    Row("GET", "/", OPEN),
    Row("HEAD", "/", OPEN),
    Row("GET", "/api", OPEN),
    Row("HEAD", "/api", OPEN),
    Row("GET", "/api/docs", OPEN),
    Row("HEAD", "/api/docs", OPEN),
    Row("GET", "/api/docs/{name}", OPEN),
    Row("HEAD", "/api/docs/{name}", OPEN),
    Row("GET", "/api/openapi.json", OPEN),
    Row("HEAD", "/api/openapi.json", OPEN),
    Row("GET", "/api/openapi-3.0.json", OPEN),
    Row("HEAD", "/api/openapi-3.0.json", OPEN),
    Row("GET", "/llms.txt", OPEN),
    Row("HEAD", "/llms.txt", OPEN),
    Row("GET", "/livez", OPEN),
    Row("HEAD", "/livez", OPEN),
    Row("GET", "/readyz", OPEN),
    Row("HEAD", "/readyz", OPEN),
    Row("GET", "/healthz", OPEN),
    Row("HEAD", "/healthz", OPEN),
];

#[test]
fn every_route_has_a_row_and_every_row_a_route() {
    let routes: Vec<String> = patd::http::routes().iter().map(|(method, path)| format!("{method} {path}")).collect();
    let rows: Vec<String> =
        TABLE.iter().map(|Row(method, path, _)| format!("{method} {path}")).chain(admin_access::rows()).collect();
    for route in &routes {
        assert!(rows.contains(route), "{route} has no row: say who may call it");
    }
    assert_eq!(rows.len(), routes.len(), "a row has a route that does not exist");
}

#[test]
fn every_route_accepts_the_credentials_that_its_row_says() {
    let app = TestApp::spawn();
    let others = rejected_credentials(&app);
    let sessions = vec![app.sign_in("ada"); 1];
    let ada = &sessions[0];
    let bob = app.sign_in("bob");
    let star = token(&app, ada, json!(["*"]));
    let empty = token(&app, ada, json!([]));
    let foreign = token(&app, &bob, json!(["user:read"]));
    let environment = environment_token(&app, ada);

    for Row(method, path, outcomes) in TABLE {
        let credentials = [
            ("token *", &star),
            ("token []", &empty),
            ("another user's token", &foreign),
            ("an environment's token", &environment),
        ];
        for ((name, client), expected) in credentials.into_iter().zip(&outcomes[1..]) {
            assert_eq!(ask(client, method, path), *expected, "{method} {path} with {name}");
        }
        // A new session for each route, because some routes end it.
        let session = app.sign_in_again("ada");
        assert_eq!(ask(&session, method, path), outcomes[0], "{method} {path} with a session");

        let open = OPEN_ROUTES.contains(path);
        for (name, client) in &others {
            let expected = match outcomes[0] {
                UntrustedProxy => UntrustedProxy,
                _ if open => In,
                _ => Unauthenticated,
            };
            assert_eq!(ask(client, method, path), expected, "{method} {path} with {name}");
        }
    }
}

#[test]
fn every_rejected_credential_gets_the_same_401_and_a_missing_one_gets_a_hint() {
    let app = TestApp::spawn();
    for (name, client) in rejected_credentials(&app) {
        let answer = client.get("/api/user");
        let challenge = match name {
            "none" => r#"Bearer realm="patd""#,
            _ => r#"Bearer realm="patd", error="invalid_token""#,
        };
        assert_eq!(answer.status, 401, "{name}");
        let message = match name {
            "none" => "Unauthenticated. Send Authorization: Bearer <token>.",
            _ => "Unauthenticated.",
        };
        assert_eq!(answer.text, format!(r#"{{"message":"{message}","code":"unauthenticated"}}"#), "{name}");
        assert_eq!(answer.header("www-authenticate"), Some(challenge), "{name}");
    }
}

/// Credentials that are rejected, each with its reason. This moves the clock so that some expire, so it runs first.
pub fn rejected_credentials(app: &TestApp) -> Vec<(&'static str, Client<'_>)> {
    let eve = app.sign_in("eve");
    let expired_session = app.sign_in_again("eve");
    let expired_token = token_with(app, &eve, json!({ "name": "old", "expires_in_days": 1 }));
    let created = eve.create_token(json!({ "name": "rotated" }));
    let rotated_token = app.bearer(created["token"].as_str().unwrap());
    let path = format!("/api/v1/user/api-tokens/{}/rotate", created["id"].as_str().unwrap());
    assert_eq!(eve.post(&path, json!({})).status, 201);
    app.advance(std::time::Duration::from_secs(31 * 24 * 60 * 60));

    let mallory = app.sign_in("mallory");
    let ended_session = app.sign_in_again("mallory");
    assert_eq!(ended_session.post("/api/v1/auth/logout", json!({})).status, 200);
    let created = mallory.create_token(json!({ "name": "revoked" }));
    let revoked_token = app.bearer(created["token"].as_str().unwrap());
    let path = format!("/api/v1/user/api-tokens/{}", created["id"].as_str().unwrap());
    assert_eq!(mallory.delete(&path).status, 200);

    let oscar = app.sign_in("oscar");
    let disabled_token = token(app, &oscar, json!(["*"]));
    let disabled_environment = environment_token(app, &oscar);
    let user = crate::harness::block_on(patd::ops::accounts::find(
        &app.ops,
        crate::harness::ADMINISTRATOR,
        "oscar@example.com",
    ))
    .unwrap();
    crate::harness::block_on(patd::ops::accounts::disable(
        &app.ops,
        crate::harness::ADMINISTRATOR,
        user.id,
        patd::store::LastAdmin::MayGo,
        patd::domain::audit::RequestSource::COMMAND_LINE,
    ))
    .unwrap();

    let good = token(app, &mallory, json!(["*"])).token.unwrap();
    let (number, secret) = good.split_once('|').unwrap();
    let other_number = format!("{}|{secret}", number.parse::<i64>().unwrap() + 1);
    let changed = |at: usize| {
        let mut text = secret.to_owned().into_bytes();
        text[at] = if text[at] == b'a' { b'b' } else { b'a' };
        app.bearer(&String::from_utf8(text).unwrap())
    };
    let unknown = format!("pat_{0}{1:08x}", "A".repeat(40), crc32fast::hash("A".repeat(40).as_bytes()));
    vec![
        ("none", app.anonymous()),
        ("rubbish", app.bearer("rubbish")),
        ("a token with a changed character", changed(20)),
        ("a token with a changed checksum", changed(51)),
        ("an unknown token with a good checksum", app.bearer(&unknown)),
        ("an unknown environment token", app.bearer(&unknown.replace("pat_", "talq_"))),
        ("a token's secret with a session's prefix", app.bearer(&secret.replace("pat_", "ses_"))),
        ("a token with another's number", app.bearer(&other_number)),
        ("an expired session", expired_session),
        ("an ended session", ended_session),
        ("an expired token", expired_token),
        ("a revoked token", revoked_token),
        ("a token past the grace of its rotation", rotated_token),
        ("a session of a disabled user", oscar),
        ("a token of a disabled user", disabled_token),
        ("a token of a disabled user's environment", disabled_environment),
    ]
}

pub fn token<'a>(app: &'a TestApp, owner: &Client<'_>, abilities: serde_json::Value) -> Client<'a> {
    token_with(app, owner, json!({ "name": "a token", "abilities": abilities }))
}

fn token_with<'a>(app: &'a TestApp, owner: &Client<'_>, body: serde_json::Value) -> Client<'a> {
    app.bearer(owner.create_token(body)["token"].as_str().unwrap())
}

pub fn environment_token<'a>(app: &'a TestApp, owner: &Client<'_>) -> Client<'a> {
    let user = owner.get("/api/user").body;
    let path = format!("/api/v1/environments/{}/tokens", user["current_environment_id"].as_str().unwrap());
    let answer = owner.post(&path, json!({ "name": "a token" }));
    app.bearer(answer.body["data"]["token"].as_str().unwrap())
}

/// Calls a route with an empty form and an unknown id.
pub fn ask(client: &Client<'_>, method: &str, path: &str) -> Outcome {
    let path = ["{id}", "{user_id}", "{token_id}"]
        .iter()
        .fold(path.to_owned(), |path, id| path.replace(id, &uuid::Uuid::now_v7().to_string()));
    let path = path.replace("{policy}", "app").replace("{tail:.*}", "calls").replace("{name}", "errors");
    let body = (!["GET", "HEAD", "DELETE"].contains(&method)).then(|| json!({}));
    let answer = client.send(method, &path, body);
    match (answer.status, answer.body["code"].as_str()) {
        (403, _) if answer.header("x-auth-error") == Some("untrusted_proxy") => UntrustedProxy,
        (401, _) => Unauthenticated,
        (403, Some("session_required")) => SessionRequired,
        (403, Some("admin_required")) => Outcome::AdminRequired,
        (403, Some("missing_ability")) => MissingAbility,
        // An answer to HEAD has no body that tells the two apart.
        (403, None) if method == "HEAD" => ask(client, "GET", &path),
        (500.., _) => panic!("{method} {path}: {}", answer.shown()),
        _ => In,
    }
}
