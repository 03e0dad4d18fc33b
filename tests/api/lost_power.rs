//! Power and ownership that change while a request is under way.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use patd::{
    domain::{
        account::Role,
        audit::{Attribution, RequestSource},
        id::{TokenId, UserId},
        secret::{Prefixes, PresentedCredential, TokenHash},
        session::SessionRecord,
        token::TokenRecord,
    },
    ops::verification::{Caller, authenticate},
    store::{Backend, Credentials, HandOver, Reply, Selection},
};
use serde_json::{Value, json};

use crate::{
    admin_users::path_of,
    harness::{Client, TestApp, block_on},
};

/// Sends a request whose body stops before its last byte until `meanwhile` has returned.
fn send_slowly(
    app: &TestApp,
    client: &Client<'_>,
    (method, path): (&str, &str),
    body: &Value,
    meanwhile: impl FnOnce(),
) -> String {
    let body = body.to_string();
    let (begin, end) = body.split_at(body.len() - 1);
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        client.token.as_deref().unwrap(),
        body.len()
    );
    let mut stream = TcpStream::connect(app.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.write_all((head + begin).as_bytes()).unwrap();
    // The guard runs before the body is read. There is no sign of it from outside.
    std::thread::sleep(Duration::from_millis(300));
    meanwhile();
    stream.write_all(end.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_request_that_an_administrator_began_is_refused_after_they_lost_the_role() {
    let app = TestApp::spawn();
    let (_root, admin) = (app.sign_in_admin("root"), app.sign_in_admin("admin"));
    let accomplice = app.sign_in("accomplice");
    let path = path_of(&accomplice);
    let promote = json!({ "role": "admin" });
    let answer = send_slowly(&app, &admin, ("PATCH", &path), &promote, || app.set_role("admin", Role::Member));
    assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("admin_required"), "{answer}");
    assert_eq!(accomplice.get("/api/v1/admin/users").status, 403);

    app.set_role("admin", Role::Admin);
    let grant = json!({ "name": "t", "abilities": ["tokens:introspect"] });
    let answer = send_slowly(&app, &admin, ("POST", "/api/v1/user/api-tokens"), &grant, || {
        app.set_role("admin", Role::Member);
    });
    assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("admin_required"), "{answer}");
    assert_eq!(admin.get("/api/v1/user/api-tokens").body["data"], json!([]));
}

#[test]
fn a_change_of_one_token_is_refused_if_its_administrator_lost_the_role_or_the_session_meanwhile() {
    let app = TestApp::spawn();
    let (root, ada) = (app.sign_in_admin("root"), app.sign_in("ada"));
    let token = ada.create_token(json!({ "name": "t", "abilities": ["user:read"] }));
    let secret = app.bearer(token["token"].as_str().unwrap());
    let path = format!("/api/v1/admin/tokens/{}", token["id"].as_str().unwrap());
    app.sign_in_admin("admin");
    let admin_path = path_of(&app.sign_in_again("admin"));
    for (method, path) in [("DELETE", path.clone()), ("POST", format!("{path}/disable")), ("POST", path + "/enable")] {
        let send = |meanwhile: &dyn Fn()| {
            send_slowly(&app, &app.sign_in_again("admin"), (method, &path), &json!({}), meanwhile)
        };
        let demoted = send(&|| app.set_role("admin", Role::Member));
        assert!(
            demoted.starts_with("HTTP/1.1 403 ") && demoted.contains("admin_required"),
            "{method} {path}: {demoted}"
        );
        app.set_role("admin", Role::Admin);
        let signed_out = send(&|| assert_eq!(root.delete(&format!("{admin_path}/sessions")).status, 200));
        let is_unauthenticated = signed_out.starts_with("HTTP/1.1 401 ") && signed_out.contains("unauthenticated");
        assert!(is_unauthenticated, "{method} {path}: {signed_out}");
    }
    assert_eq!(secret.get("/api/user").status, 200, "nothing was changed");
    assert_eq!(root.delete(&format!("/api/v1/admin/tokens/{}", uuid::Uuid::now_v7())).status, 404);
}

fn id_of(client: &Client<'_>) -> UserId {
    UserId::parse(client.get("/api/user").body["id"].as_str().unwrap()).unwrap()
}

/// Hands everything over, as the command line does.
pub fn hand_over_all(app: &TestApp, from: &Client<'_>, to: &Client<'_>) {
    let (from, to) = (id_of(from), id_of(to));
    let (tokens, environments) = (Selection::All, Selection::All);
    let hand_over = HandOver { from, to, tokens, environments, max_live_tokens: 100 };
    let by = Attribution { origin: RequestSource::COMMAND_LINE, at: app.ops.clock.now() };
    block_on(app.ops.store.hand_over(hand_over, by)).unwrap();
}

#[test]
fn a_reuse_ends_the_family_also_if_it_got_another_owner_before_the_reuse_was_written() {
    let app = TestApp::with(&[("rotation.on_reuse", "revoke_family")]);
    let (ada, bob) = (app.sign_in("ada"), app.sign_in("bob"));
    let old = ada.create_token(json!({ "name": "t" }));
    let rotated = ada.post(&format!("/api/v1/user/api-tokens/{}/rotate", old["id"].as_str().unwrap()), json!({}));
    let new = app.bearer(rotated.body["data"]["token"].as_str().unwrap());
    assert_eq!(new.get("/api/user").status, 200);
    // In the queue of this context, which only this test flushes.
    assert!(block_on(authenticate(&app.ops, old["token"].as_str().unwrap(), Caller::default())).is_err());
    hand_over_all(&app, &ada, &bob);
    assert_eq!(new.get("/api/user").body["name"], "bob");
    block_on(app.ops.flush_reuse()).unwrap();
    assert_eq!(new.get("/api/user").status, 401);
    let trail = bob.get("/api/v1/user/audit").body["data"].to_string();
    assert!(trail.contains("reuse_detected"), "the new owner sees why: {trail}");
}

/// Answers one lookup with the record from before a change.
struct Late {
    credentials: Arc<dyn Credentials>,
    is_next: Arc<AtomicBool>,
    before: Arc<std::sync::Mutex<Option<Arc<TokenRecord>>>>,
}

impl Credentials for Late {
    fn token_by_hash(&self, hash: &TokenHash) -> Reply<'_, Option<Arc<TokenRecord>>> {
        match self.is_next.swap(false, Ordering::SeqCst) {
            true => Reply::ready(Ok(self.before.lock().unwrap().clone())),
            false => self.credentials.token_by_hash(hash),
        }
    }

    fn session_by_hash(&self, hash: &TokenHash) -> Reply<'_, Option<Arc<SessionRecord>>> {
        self.credentials.session_by_hash(hash)
    }
}

#[test]
fn a_token_is_revoked_by_its_secret_also_if_it_got_another_owner_after_it_was_looked_up() {
    let (is_next, before) = (Arc::new(AtomicBool::new(false)), Arc::default());
    let late = |backend: Backend| {
        let credentials =
            Late { credentials: backend.credentials, is_next: Arc::clone(&is_next), before: Arc::clone(&before) };
        Backend { credentials: Arc::new(credentials), ..backend }
    };
    let app = TestApp::with_store(&[], late);
    let (ada, bob) = (app.sign_in("ada"), app.sign_in("bob"));
    let token = ada.create_token(json!({ "name": "t" }));
    let secret = token["token"].as_str().unwrap();
    let bearer = app.bearer(secret);
    let prefixes = Prefixes::new("ses_", "pat_", "talq_").unwrap();
    let hash = PresentedCredential::parse(secret, &prefixes).unwrap().hash;
    let record = block_on(app.ops.credentials.token_by_hash(&hash)).unwrap();
    assert_eq!(record.as_ref().unwrap().token.id, TokenId::parse(token["id"].as_str().unwrap()).unwrap());
    *before.lock().unwrap() = record;
    hand_over_all(&app, &ada, &bob);
    is_next.store(true, Ordering::SeqCst);
    let body = format!("token={}", secret.replace('|', "%7C"));
    let form = "application/x-www-form-urlencoded";
    let answer = app.anonymous().send_as("POST", "/api/v1/revoke", form, body.as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.shown());
    assert_eq!(bearer.get("/api/user").status, 401, "it was answered as revoked");
}
