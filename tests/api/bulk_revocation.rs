//! Revocations of many tokens: what they find, what ends with it, and what is answered when they stop midway.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use patd::{
    domain::{
        account::Role,
        audit::{Attribution, RequestSource},
        id::{TokenId, UserId},
    },
    store::LastAdmin,
};
use serde_json::{Value, json};

use crate::{
    harness::{Answer, Client, TestApp, block_on},
    outage::{Fault, Faulty, READS_FAIL, READS_FAIL_AFTER_WRITE, WELL, failing_app},
};

const TOKENS: &str = "/api/v1/user/api-tokens";
const REVOKE: &str = "/api/v1/admin/tokens/revoke";

fn token(owner: &Client<'_>, abilities: &[&str]) -> Value {
    owner.create_token(json!({ "name": "t", "abilities": abilities }))
}

fn rotate(by: &Client<'_>, which: &str, abilities: &[&str]) -> Value {
    let rotated = by.post(&format!("{TOKENS}/{which}/rotate"), json!({ "abilities": abilities, "grace": 3600 }));
    assert_eq!(rotated.status, 201, "{}", rotated.shown());
    rotated.body["data"].clone()
}

fn id(token: &Value) -> &str {
    token["id"].as_str().unwrap()
}

/// Which of the tokens are accepted.
fn valid(app: &TestApp, tokens: &[&Value]) -> Vec<bool> {
    let is_accepted = |token: &&Value| app.bearer(token["token"].as_str().unwrap()).get("/api/user").status != 401;
    tokens.iter().map(is_accepted).collect()
}

#[test]
fn a_revocation_by_ability_keeps_the_owners_successor_that_lacks_it() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let by_ability =
        |ability: &str| ada.post(&format!("{TOKENS}/revoke"), json!({ "ability": ability })).body["data"].clone();
    let wide = token(&ada, &["calls:read", "calls:write"]);
    let narrow = rotate(&ada, id(&wide), &["calls:read"]);
    // The first use of the successor would end the grace.
    assert_eq!(valid(&app, &[&wide]), [true]);
    assert_eq!(by_ability("calls:write"), json!({ "revoked": 1 }));
    assert_eq!(valid(&app, &[&wide, &narrow]), [false, true], "the successor cannot do it");
    assert_eq!(by_ability("calls:write"), json!({ "revoked": 0 }));
    assert_eq!(by_ability("calls:read"), json!({ "revoked": 1 }));
    assert_eq!(valid(&app, &[&narrow]), [false]);

    // Both can do it.
    let old = token(&ada, &["calls:read", "calls:write"]);
    let new = rotate(&ada, id(&old), &["calls:write"]);
    assert_eq!(by_ability("calls:write"), json!({ "revoked": 2 }));
    assert_eq!(valid(&app, &[&old, &new]), [false, false]);
}

#[test]
fn a_successor_that_a_token_made_by_itself_ends_with_it_and_a_dry_run_says_so() {
    let app = TestApp::spawn();
    let (ada, root) = (app.sign_in("ada"), app.sign_in_admin("root"));
    let abilities = ["tokens:rotate-self", "calls:write"];
    // Its holder may be a thief, who also has the successor.
    let own = token(&ada, &abilities);
    let own_successor = rotate(&app.bearer(own["token"].as_str().unwrap()), "self", &["tokens:rotate-self"]);
    let owners = token(&ada, &abilities);
    let owners_successor = rotate(&ada, id(&owners), &["tokens:rotate-self"]);
    // The filter finds both, so the successor does not count twice.
    let both = token(&ada, &abilities);
    let both_successor = rotate(&app.bearer(both["token"].as_str().unwrap()), "self", &abilities);
    let all = [&own, &own_successor, &owners, &owners_successor, &both, &both_successor];

    let revoke =
        |dry_run: bool| root.post(REVOKE, json!({ "ability": "calls:write", "dry_run": dry_run })).body["data"].clone();
    let ids = [&both_successor, &both, &owners, &own, &own_successor].map(id);
    let expected = json!({ "dry_run": true, "matching": 4, "successors": 1, "revoked": 0, "ids": ids });
    assert_eq!(revoke(true), expected);
    assert_eq!(valid(&app, &[&own, &owners, &both]), [true; 3]);
    let expected = json!({ "dry_run": false, "matching": 4, "successors": 1, "revoked": 5, "ids": ids });
    assert_eq!(revoke(false), expected);
    assert_eq!(valid(&app, &all), [false, false, false, true, false, false]);
}

#[test]
fn a_revocation_by_the_owner_ends_what_a_token_made_by_itself() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let wide = token(&ada, &["tokens:rotate-self", "calls:write"]);
    let narrow = rotate(&app.bearer(wide["token"].as_str().unwrap()), "self", &["tokens:rotate-self"]);
    let revoked = ada.post(&format!("{TOKENS}/revoke"), json!({ "ability": "calls:write" }));
    assert_eq!(revoked.body["data"], json!({ "revoked": 2 }));
    assert_eq!(valid(&app, &[&wide, &narrow]), [false, false]);
}

/// Creates more tokens than one batch has. The newest are revoked first.
fn two_batches(owner: &Client<'_>) -> Vec<Value> {
    (0..130).map(|_| token(owner, &["calls:read"])).collect()
}

fn assert_first_batch_is_revoked(app: &TestApp, tokens: &[Value]) {
    assert_eq!(valid(app, &[&tokens[129], &tokens[30], &tokens[29], &tokens[0]]), [false, false, true, true]);
}

/// Has an administrator revoke two batches of tokens, with `meanwhile` between both.
fn revoke_with(meanwhile: impl FnOnce(&TestApp, UserId)) -> Answer {
    let mode = Arc::new(AtomicU8::new(WELL));
    let switch = Arc::clone(&mode);
    let mut prompt = None;
    let app = TestApp::with_store(&[], |backend| {
        prompt = Some(Arc::clone(&backend.store));
        Faulty::wrap(backend, switch, Fault::AnswersLate)
    });
    let prompt = prompt.unwrap();
    let (ada, root) = (app.sign_in("ada"), app.sign_in_admin("root"));
    let tokens = two_batches(&ada);
    let root_id = UserId::parse(root.get("/api/user").body["id"].as_str().unwrap()).unwrap();
    let last_of_first_batch = TokenId::parse(tokens[30]["id"].as_str().unwrap()).unwrap();
    // The search of the second batch waits for the change.
    mode.store(READS_FAIL_AFTER_WRITE, Ordering::SeqCst);
    let answer: Answer = std::thread::scope(|scope| {
        let request = scope.spawn(|| root.post(REVOKE, json!({ "ability": "calls:read" })));
        while mode.load(Ordering::SeqCst) != READS_FAIL {
            assert!(!request.is_finished());
            std::thread::yield_now();
        }
        // The changes of the first batch are under way, and one of somebody else could come between them.
        while block_on(prompt.token_in_any_state(last_of_first_batch)).unwrap().revoked.is_none() {
            assert!(!request.is_finished(), "the first batch was not revoked");
            std::thread::yield_now();
        }
        meanwhile(&app, root_id);
        mode.store(WELL, Ordering::SeqCst);
        request.join().unwrap()
    });
    assert_eq!(answer.body["revoked"], 100, "{}", answer.shown());
    assert_first_batch_is_revoked(&app, &tokens);
    answer
}

fn by_command_line(app: &TestApp) -> Attribution {
    Attribution { origin: RequestSource::COMMAND_LINE, at: app.ops.clock.now() }
}

#[test]
fn an_administrator_who_loses_the_role_midway_learns_how_many_are_revoked() {
    let answer = revoke_with(|app, root| {
        let demoted = app.ops.store.set_role(root, Role::Member, LastAdmin::MayGo, by_command_line(app));
        block_on(demoted).unwrap();
    });
    assert_eq!((answer.status, &answer.body["code"]), (403, &json!("admin_required")), "{}", answer.shown());
    let message = "Only an administrator may do this. Before that, 100 tokens were revoked.";
    assert_eq!(answer.body["message"], message);
    assert!(answer.header("www-authenticate").unwrap().contains("insufficient_scope"));
}

#[test]
fn an_administrator_whose_session_ends_midway_is_unauthenticated_and_learns_how_many_are_revoked() {
    let ends: [fn(&TestApp, UserId); 2] = [
        |app, root| assert_eq!(block_on(app.ops.store.end_sessions(root, by_command_line(app))), Ok(1)),
        |app, root| {
            let disabled = app.ops.store.disable_user(root, LastAdmin::MayGo, by_command_line(app));
            drop(block_on(disabled).unwrap());
        },
    ];
    for end in ends {
        let answer = revoke_with(end);
        assert_eq!((answer.status, &answer.body["code"]), (401, &json!("unauthenticated")), "{}", answer.shown());
        assert_eq!(answer.body["message"], "Unauthenticated. Before that, 100 tokens were revoked.");
        assert!(answer.header("www-authenticate").unwrap().contains("invalid_token"));
    }
}

#[test]
fn a_store_that_fails_midway_is_503_with_the_number_of_revoked_tokens() {
    let (app, mode) = failing_app();
    let (ada, root) = (app.sign_in("ada"), app.sign_in_admin("root"));
    let tokens = two_batches(&ada);
    mode.store(READS_FAIL_AFTER_WRITE, Ordering::SeqCst);
    let answer = root.post(REVOKE, json!({ "ability": "calls:read" }));
    mode.store(WELL, Ordering::SeqCst);
    assert_eq!((answer.status, &answer.body["revoked"]), (503, &json!(100)), "{}", answer.shown());
    assert_eq!(answer.body["code"], "store_unavailable");
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert!(answer.body["message"].as_str().unwrap().ends_with(" Before that, 100 tokens were revoked."));
    assert_first_batch_is_revoked(&app, &tokens);
}
