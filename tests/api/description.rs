//! The description of the API has examples, and they are what a server answers. Every other test checks its answers against
//! the description, too ([`crate::harness`]).

use std::{collections::BTreeMap, env, fs};

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{
    harness::{Answer, Client, TestApp, email, password},
    introspection::introspector,
};

const EXAMPLES: &str = "src/http/description/examples.json";

/// What a walk through the API was answered.
#[derive(Default)]
struct Walk {
    /// The answer of each operation.
    answers: BTreeMap<&'static str, Value>,
    /// An answer with each code.
    errors: BTreeMap<String, Value>,
}

impl Walk {
    /// Keeps the answer of a successful operation, and returns its `data`.
    #[track_caller]
    fn keep(&mut self, operation: &'static str, answer: &Answer) -> Value {
        assert!(answer.status < 300, "{operation}: {}", answer.shown());
        self.answers.entry(operation).or_insert_with(|| exemplary(&answer.body));
        answer.body["data"].clone()
    }

    #[track_caller]
    fn fails(&mut self, code: &str, answer: &Answer) {
        assert_eq!(answer.body["code"], code, "{}", answer.shown());
        self.errors.entry(code.to_owned()).or_insert_with(|| exemplary(&answer.body));
    }
}

/// The body with the same ids and secrets in each run.
fn exemplary(body: &Value) -> Value {
    match body {
        Value::String(text) if Uuid::parse_str(text).is_ok() => json!("01a21c05-ca5e-7049-a136-719ad6ca6207"),
        Value::String(text) if text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) => json!("5b76"),
        Value::String(text) => match text.split_once('_') {
            // A secret has 48 characters after its prefix.
            Some((prefix, secret)) if secret.len() == 48 => {
                json!(format!("{prefix}_kDFvuOcN84RfI0aE31RaAt0ooITQ2EVuda0kjOIoaad45b76"))
            }
            _ => body.clone(),
        },
        Value::Array(items) => items.iter().take(2).map(exemplary).collect(),
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| {
                let value = match name.as_str() {
                    "next_cursor" if value.is_string() => json!("eyJuIjoyfQ"),
                    "request_id" => json!("01a21c05-c9b8-7312-ad5b-f7753403f316"),
                    _ => exemplary(value),
                };
                (name.clone(), value)
            };
            Value::Object(fields.iter().map(field).collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}

fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value[field].as_str().unwrap_or_else(|| panic!("{field} in {value}"))
}

#[test]
fn the_examples_are_what_a_server_answers() {
    let app = TestApp::with(&[("accounts.registration", "true"), ("accounts.email_change", "true")]);
    let mut walk = Walk::default();
    let admin = app.sign_in_admin("root");
    let user = sign_in(&app, &mut walk);
    account(&app, &mut walk, &user);
    tokens(&app, &mut walk, &user);
    environments(&app, &mut walk, &user);
    administration(&app, &mut walk, &admin);
    errors(&app, &mut walk, &user);
    let operations = json!({"answers": walk.answers, "errors": walk.errors});
    let made = format!("{}\n", serde_json::to_string_pretty(&operations).unwrap());
    if env::var_os("UPDATE").is_some() {
        fs::write(EXAMPLES, made).unwrap();
    } else {
        assert!(
            fs::read_to_string(EXAMPLES).unwrap() == made,
            "run UPDATE=1 cargo test --test api description: {made}"
        );
    }
}

fn sign_in<'a>(app: &'a TestApp, walk: &mut Walk) -> Client<'a> {
    let anyone = app.anonymous();
    let person = json!({"name": "Ada Lovelace", "email": email("ada"), "password": password("ada")});
    walk.keep("register", &anyone.post("/api/v1/auth/register", person));
    let person = json!({"email": email("ada"), "password": password("ada"), "device_name": "laptop"});
    let session = walk.keep("signIn", &anyone.post("/api/v1/auth/login", person));
    for (operation, path) in [("showIndex", "/api"), ("live", "/livez"), ("ready", "/readyz")] {
        walk.keep(operation, &anyone.get(path));
    }
    app.bearer(text(&session, "token"))
}

fn account(app: &TestApp, walk: &mut Walk, user: &Client<'_>) {
    walk.keep("identify", &user.post("/api/v1/auth/identify", json!({})));
    walk.keep("showAccount", &user.get("/api/user"));
    walk.keep("changeUser", &user.patch("/api/v1/user", json!({"name": "Ada King"})));
    walk.keep("listSessions", &user.get("/api/v1/user/sessions"));
    walk.keep("listEvents", &user.get("/api/v1/user/audit?limit=2"));
    let change = json!({"current_password": password("ada"), "password": "a difference engine of 1822"});
    walk.keep("changePassword", &user.send("PUT", "/api/v1/user/password", Some(change)));
    walk.keep("endOtherSessions", &user.delete("/api/v1/user/sessions"));
    let other = app.sign_in("bob");
    walk.keep("signOut", &other.post("/api/v1/auth/logout", json!({})));
    let leaving = app.sign_in_again("bob");
    let confirmed = json!({"current_password": password("bob")});
    walk.keep("deleteUser", &leaving.send("DELETE", "/api/v1/user", Some(confirmed)));
}

fn tokens(app: &TestApp, walk: &mut Walk, user: &Client<'_>) {
    const ALL: &str = "/api/v1/user/api-tokens";
    let new = json!({"name": "CI Pipeline", "abilities": ["calls:read", "tokens:rotate-self"], "quota": 1000,
                     "requests_per_minute": 60, "metadata": {"team": "payments"}});
    let token = walk.keep("createToken", &user.post(ALL, new));
    let one = format!("{ALL}/{}", text(&token, "id"));
    walk.keep("listTokens", &user.get(ALL));
    walk.keep("showToken", &user.get(&one));
    walk.keep("changeToken", &user.patch(&one, json!({"description": "Runs the tests"})));
    walk.keep("showTokenUsage", &user.get(&format!("{one}/usage")));
    walk.keep("showTokenReport", &user.get(&format!("{one}/report")));
    walk.keep("disableToken", &user.post(&format!("{one}/disable"), json!({})));
    walk.keep("enableToken", &user.post(&format!("{one}/enable"), json!({})));
    let service = introspector(app);
    let check = json!({"token": token["token"], "abilities": ["calls:read"], "ip": "192.0.2.7"});
    walk.keep("verify", &service.post("/api/v1/tokens/verify", check.clone()));
    let checks = json!({"tokens": [check, {"token": "pat_unknown"}]});
    walk.keep("verifyBatch", &service.post("/api/v1/tokens/verify-batch", checks));
    let form = format!("token={}", text(&token, "token").split_once('|').unwrap().1);
    let as_form = |path: &str| service.send_as("POST", path, "application/x-www-form-urlencoded", form.as_bytes());
    walk.keep("introspect", &as_form("/api/v1/introspect"));
    walk.keep("rotateToken", &user.post(&format!("{one}/rotate"), json!({"grace": 600})));
    let headers = [("Content-Type", "application/json"), ("Idempotency-Key", "8e03978e-40d5-43e8-bc93-6894a57f9324")];
    let create = || user.send_with("POST", ALL, &headers, br#"{"name":"nightly"}"#);
    assert_eq!(create().status, 201);
    walk.fails("already_created", &create());
    walk.fails("already_rotated", &user.post(&format!("{one}/rotate"), json!({})));
    walk.keep("revokeByPossession", &as_form("/api/v1/revoke"));
    let own = user.create_token(json!({"name": "deploy"}));
    let rotated =
        walk.keep("rotateOwnToken", &app.bearer(text(&own, "token")).post(&format!("{ALL}/self/rotate"), json!({})));
    walk.keep("revokeToken", &user.delete(&format!("{ALL}/{}", text(&rotated, "id"))));
    walk.keep("reportLeak", &app.anonymous().post("/api/v1/tokens/revoke-leaked", json!({"tokens": ["pat_unknown"]})));
    walk.keep("revokeTokens", &user.post(&format!("{ALL}/revoke"), json!({"ability": "calls:write"})));
}

fn environments(app: &TestApp, walk: &mut Walk, user: &Client<'_>) {
    const ALL: &str = "/api/v1/environments";
    let environment = walk.keep("createEnvironment", &user.post(ALL, json!({"name": "staging"})));
    let id = text(&environment, "id");
    let one = format!("{ALL}/{id}");
    walk.keep("listEnvironments", &user.get(ALL));
    walk.keep("showEnvironment", &user.get(&one));
    walk.keep("renameEnvironment", &user.patch(&one, json!({"name": "production"})));
    let chosen = json!({"environment_id": id});
    walk.keep("setCurrentEnvironment", &user.send("PUT", "/api/v1/user/current-environment", Some(chosen)));
    let member = format!("{one}/members/{}", app.user("carl").id);
    walk.keep("setMember", &user.send("PUT", &member, Some(json!({"role": "viewer"}))));
    walk.keep("listMembers", &user.get(&format!("{one}/members")));
    let carl = app.sign_in_again("carl");
    walk.fails("role_required", &carl.patch(&one, json!({"name": "mine"})));
    walk.keep("removeMember", &user.delete(&member));
    let tokens = format!("{one}/tokens");
    let token = walk.keep("createEnvironmentToken", &user.post(&tokens, json!({"name": "deploy"})));
    let token = format!("{tokens}/{}", text(&token, "id"));
    walk.keep("listEnvironmentTokens", &user.get(&tokens));
    walk.keep("showEnvironmentToken", &user.get(&token));
    walk.keep("changeEnvironmentToken", &user.patch(&token, json!({"name": "deployment"})));
    walk.keep("showEnvironmentTokenUsage", &user.get(&format!("{token}/usage")));
    let next = walk.keep("regenerateEnvironmentToken", &user.post(&format!("{token}/regenerate"), json!({})));
    walk.keep("revokeEnvironmentToken", &user.delete(&format!("{tokens}/{}", text(&next, "id"))));
    walk.keep("deleteEnvironment", &user.delete(&one));
}

fn administration(app: &TestApp, walk: &mut Walk, admin: &Client<'_>) {
    const USERS: &str = "/api/v1/admin/users";
    let invited = walk.keep("inviteUser", &admin.post(USERS, json!({"name": "Eve", "email": email("eve")})));
    let eve = format!("{USERS}/{}", text(&invited, "id"));
    let link = json!({"token": invited["password_link"]["token"], "password": "an engine of 1000 wheels"});
    walk.keep("setPasswordByLink", &app.anonymous().post("/api/v1/auth/password-link", link));
    walk.keep("listUsers", &admin.get(&format!("{USERS}?sort=name&limit=2")));
    walk.keep("showUserAccount", &admin.get(&eve));
    walk.keep("changeUserAccount", &admin.patch(&eve, json!({"name": "Eve Online"})));
    walk.keep("listUserSessions", &admin.get(&format!("{eve}/sessions")));
    walk.keep("endUserSessions", &admin.delete(&format!("{eve}/sessions")));
    walk.keep("disableUser", &admin.post(&format!("{eve}/disable"), json!({})));
    walk.keep("enableUser", &admin.post(&format!("{eve}/enable"), json!({})));
    walk.keep("resetPassword", &admin.post(&format!("{eve}/reset-password"), json!({})));
    walk.keep("showThrottle", &admin.get("/api/v1/admin/throttle?address=192.0.2.7"));
    walk.keep("clearThrottle", &admin.delete("/api/v1/admin/throttle?address=192.0.2.7"));
    walk.keep("showOwned", &admin.get(&format!("{eve}/owns")));
    let new = json!({"name": "ci", "description": "Builds", "managers": [invited["id"]]});
    let account = walk.keep("createServiceAccount", &admin.post("/api/v1/service-accounts", new));
    let one = format!("/api/v1/service-accounts/{}", text(&account, "id"));
    walk.keep("listServiceAccounts", &admin.get("/api/v1/service-accounts"));
    walk.keep("showServiceAccount", &admin.get(&one));
    walk.keep("changeServiceAccount", &admin.patch(&one, json!({"name": "builds"})));
    let manager = format!("{one}/managers/{}", text(&invited, "id"));
    walk.keep("removeManager", &admin.delete(&manager));
    walk.keep("addManager", &admin.send("PUT", &manager, None));
    walk.keep("disableServiceAccount", &admin.post(&format!("{one}/disable"), json!({})));
    walk.keep("enableServiceAccount", &admin.post(&format!("{one}/enable"), json!({})));
    let hand_over = json!({"to": account["id"], "tokens": true, "environments": true});
    walk.keep("handOver", &admin.post(&format!("{eve}/hand-over"), hand_over));
    let environment = admin.post("/api/v1/environments", json!({"name": "shared"})).body["data"].clone();
    let environment = format!("/api/v1/admin/environments/{}", text(&environment, "id"));
    walk.keep("listAllEnvironments", &admin.get("/api/v1/admin/environments?search=shared"));
    walk.keep("showAnyEnvironment", &admin.get(&environment));
    walk.keep("transferEnvironment", &admin.post(&format!("{environment}/transfer"), json!({"to": account["id"]})));
    walk.keep("listAllEvents", &admin.get("/api/v1/admin/audit?action=user.&limit=2"));
    let token = admin.create_token(json!({"name": "laptop"}));
    let token = format!("/api/v1/admin/tokens/{}", text(&token, "id"));
    walk.keep("listAllTokens", &admin.get("/api/v1/admin/tokens?name=laptop"));
    walk.keep("showAnyToken", &admin.get(&token));
    walk.keep("showAnyTokenReport", &admin.get(&format!("{token}/report")));
    walk.keep("disableAnyToken", &admin.post(&format!("{token}/disable"), json!({})));
    walk.keep("enableAnyToken", &admin.post(&format!("{token}/enable"), json!({})));
    walk.keep("revokeAnyToken", &admin.delete(&token));
    let filter = json!({"name": "nothing", "dry_run": true});
    walk.keep("revokeTokensByFilter", &admin.post("/api/v1/admin/tokens/revoke", filter));
    walk.keep("deleteServiceAccount", &admin.delete(&one));
    walk.keep("deleteUserAccount", &admin.delete(&eve));
    let own = admin.get("/api/user").body;
    walk.fails("last_admin", &admin.patch(&format!("{USERS}/{}", text(&own, "id")), json!({"role": "member"})));
}

fn errors(app: &TestApp, walk: &mut Walk, user: &Client<'_>) {
    const TOKENS: &str = "/api/v1/user/api-tokens";
    let anyone = app.anonymous();
    walk.fails("unauthenticated", &anyone.get("/api/user"));
    walk.fails("malformed_request", &user.send_as("POST", TOKENS, "application/json", b"{"));
    walk.fails("validation_failed", &user.post(TOKENS, json!({"nmae": "ci"})));
    walk.fails("unsupported_media_type", &user.send_as("POST", TOKENS, "text/plain", b"ci"));
    walk.fails("body_too_large", &user.send_as("POST", TOKENS, "application/json", &[b' '; 1 << 17]));
    walk.fails("not_found", &user.get(&format!("{TOKENS}/{}", Uuid::nil())));
    walk.fails("method_not_allowed", &user.send("PUT", TOKENS, None));
    walk.fails("admin_required", &user.get("/api/v1/admin/users"));
    let token = user.create_token(json!({"name": "ci", "abilities": ["calls:read"], "quota": 1}));
    let token = app.bearer(text(&token, "token"));
    walk.fails("session_required", &token.post(TOKENS, json!({"name": "ci"})));
    walk.fails("quota_exceeded", &token.get("/api/user"));
    let token = user.create_token(json!({"name": "ci", "abilities": ["calls:read"]}));
    walk.fails("missing_ability", &app.bearer(text(&token, "token")).get("/api/user"));
    walk.fails("token_required", &user.post(&format!("{TOKENS}/self/rotate"), json!({})));
    let canary = user.create_token(json!({"name": "bait", "canary": true}));
    walk.fails("canary_token", &user.post(&format!("{TOKENS}/{}/rotate", text(&canary, "id")), json!({})));
    walk.fails("untrusted_proxy", &anyone.get("/api/authz/forward-auth/api"));
}
