//! `Idempotency-Key`: a request that makes something can be sent again until it has an answer, and is made once.

use std::{sync::atomic::Ordering, thread, time::Duration};

use serde_json::{Value, json};

use crate::{
    harness::{Answer, Client, TestApp, block_on, email},
    outage::{
        Fault, Faulty, WELL, WRITES_FAIL, failing_app,
        keyed_requests::{KEYS_FAIL, LATER_KEYS_FAIL},
    },
};

const TOKENS: &str = "/api/v1/user/api-tokens";
const SELF: &str = "/api/v1/user/api-tokens/self/rotate";
const ENVIRONMENTS: &str = "/api/v1/environments";
const USERS: &str = "/api/v1/admin/users";
const SERVICE_ACCOUNTS: &str = "/api/v1/service-accounts";
const HEADER: &str = "Idempotency-Key";

fn send(client: &Client<'_>, path: &str, key: &str, body: &Value) -> Answer {
    let headers = [("Content-Type", "application/json"), (HEADER, key)];
    client.send_with("POST", path, &headers, body.to_string().as_bytes())
}

fn create(client: &Client<'_>, key: &str, name: &str) -> Answer {
    send(client, TOKENS, key, &json!({ "name": name }))
}

fn id(answer: &Answer) -> String {
    answer.body["data"]["id"].as_str().unwrap_or_else(|| panic!("{}", answer.shown())).to_owned()
}

fn count(client: &Client<'_>, list: &str) -> usize {
    client.get(list).body["data"].as_array().unwrap().len()
}

/// The answer to a repeat: no secret, the id of what was made, and the way out.
fn expect_already_created(answer: &Answer, id: &str, way_out: &str) {
    assert_eq!((answer.status, &answer.body["code"]), (409, &json!("already_created")), "{}", answer.shown());
    assert_eq!(answer.body["id"], id);
    assert!(answer.body["message"].as_str().unwrap().contains(way_out), "{}", answer.text);
}

fn expect_key_of_another(answer: &Answer) {
    assert_eq!((answer.status, &answer.body["code"]), (422, &json!("validation_failed")), "{}", answer.shown());
    let message = answer.body["errors"][HEADER][0].as_str().unwrap();
    assert!(message.contains("another request") && message.contains("new key"), "{message}");
}

#[test]
fn each_route_that_answers_with_a_secret_makes_it_once() {
    let app = TestApp::spawn();
    let root = app.sign_in_admin("root");
    let environment = id(&root.post(ENVIRONMENTS, json!({ "name": "e" })));
    let of_environment = format!("{ENVIRONMENTS}/{environment}/tokens");
    let replaced = id(&root.post(&of_environment, json!({ "name": "r" })));
    let rotated = root.create_token(json!({ "name": "r" }));
    let rotated = rotated["id"].as_str().unwrap();
    let eve = app.user("eve").id.to_string();
    let named = json!({ "name": "n" });
    let routes = [
        (TOKENS.to_owned(), named.clone(), 201, "/rotate"),
        (of_environment.clone(), named, 201, "/regenerate"),
        (format!("{of_environment}/{replaced}/regenerate"), json!({}), 201, "/regenerate"),
        // Ends the predecessor at once, so nothing is left that could be rotated again.
        (format!("{TOKENS}/{rotated}/rotate"), json!({ "grace": 0 }), 201, "replace_unused"),
        (USERS.to_owned(), json!({ "name": "Fay", "email": email("fay") }), 201, "/reset-password"),
        (format!("{USERS}/{eve}/reset-password"), json!({}), 200, "another Idempotency-Key"),
    ];
    for (path, body, status, way_out) in routes {
        let first = send(&root, &path, &path, &body);
        assert_eq!(first.status, status, "{path}: {}", first.shown());
        for client in [&root, &app.sign_in_again("root")] {
            expect_already_created(&send(client, &path, &path, &body), &id(&first), way_out);
        }
    }
    assert_eq!(count(&root, TOKENS), 2, "the created one and the successor");
    assert_eq!(count(&root, &of_environment), 2, "the created one and the regenerated one");
    assert_eq!(count(&root, USERS), 3);
}

#[test]
fn what_has_no_secret_is_answered_as_it_was() {
    let app = TestApp::spawn();
    let root = app.sign_in_admin("root");
    let routes = [(ENVIRONMENTS, json!({ "name": "e" })), (SERVICE_ACCOUNTS, json!({ "name": "ci" }))];
    for (list, body) in routes {
        let before = count(&root, list);
        let [first, again] = [0, 1].map(|_| send(&root, list, list, &body));
        expect_key_of_another(&send(&root, list, list, &json!({ "name": "other" })));
        assert_eq!((first.status, again.status), (201, 201), "{} {}", first.shown(), again.shown());
        assert_eq!((first.header("location"), &first.text), (again.header("location"), &again.text));
        assert_eq!(count(&root, list), before + 1);

        let one = first.header("location").unwrap();
        assert_eq!(root.patch(one, json!({ "name": "renamed" })).status, 200);
        assert_eq!(send(&root, list, list, &body).body["data"]["name"], "renamed", "the repeat shows it as it is");
        assert_eq!(root.delete(one).status, 200);
        expect_already_created(&send(&root, list, list, &body), &id(&first), "another Idempotency-Key");
    }
}

#[test]
fn a_key_with_another_body_or_another_path_is_refused() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let first = create(&ada, "k", "n");
    assert_eq!(first.status, 201, "{}", first.shown());
    expect_key_of_another(&create(&ada, "k", "m"));
    expect_key_of_another(&send(&ada, ENVIRONMENTS, "k", &json!({ "name": "n" })));
    // The rules for the body come later: what was asked for is another request in any case.
    expect_key_of_another(&send(&ada, TOKENS, "k", &json!({ "name": "" })));
    assert_eq!((count(&ada, TOKENS), count(&ada, ENVIRONMENTS)), (1, 1));
    expect_already_created(&create(&ada, "k", "n"), &id(&first), "/rotate");

    let bob = app.sign_in("bob");
    assert_eq!(create(&bob, "k", "m").status, 201, "a key is its owner's");
    assert_eq!(create(&ada, "K", "m").status, 201, "case counts");
}

#[test]
fn a_key_is_free_again_after_a_day() {
    let app = TestApp::spawn();
    let first = id(&create(&app.sign_in("ada"), "k", "n"));
    app.advance(Duration::from_secs(24 * 60 * 60 - 1));
    let ada = app.sign_in_again("ada");
    expect_already_created(&create(&ada, "k", "n"), &first, "/rotate");
    app.advance(Duration::from_secs(1));
    let second = create(&ada, "k", "other");
    assert_eq!(second.status, 201, "{}", second.shown());
    expect_already_created(&create(&ada, "k", "other"), &id(&second), "/rotate");
}

#[test]
fn a_request_that_failed_leaves_its_key_free() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    assert_eq!(create(&ada, "k", "").status, 422);
    assert_eq!(ada.send_with("POST", TOKENS, &[("Content-Type", "application/json"), (HEADER, "k")], b"{").status, 400);
    assert_eq!(send(&ada, &format!("{TOKENS}/{}/rotate", uuid()), "k", &json!({})).status, 404);
    assert_eq!(create(&ada, "k", "n").status, 201);
}

fn uuid() -> String {
    uuid::Uuid::now_v7().to_string()
}

#[test]
fn a_key_is_1_to_255_visible_characters_and_sent_once() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let ended = app.sign_in_again("ada");
    assert_eq!(ended.post("/api/v1/auth/logout", json!({})).status, 200);
    let json = ("Content-Type", "application/json");
    let long = "k".repeat(256);
    let twice = [json, (HEADER, "a"), (HEADER, "a")];
    let with = |key| [json, (HEADER, key)];
    let wrong: [&[(&str, &str)]; 5] = [&with(""), &with("a b"), &with("\u{e9}"), &with(&long), &twice];
    for headers in wrong {
        let answer = ada.send_with("POST", TOKENS, headers, br#"{"name":"n"}"#);
        assert_eq!((answer.status, &answer.body["code"]), (400, &json!("malformed_request")), "{}", answer.shown());
        assert!(answer.body["message"].as_str().unwrap().contains(HEADER), "{}", answer.text);
        // A caller that is refused learns nothing about the key.
        for caller in [&app.anonymous(), &ended] {
            assert_eq!(caller.send_with("POST", TOKENS, headers, br#"{"name":"n"}"#).status, 401);
        }
    }
    assert_eq!(count(&ada, TOKENS), 0);
    for key in [&long[1..], "!~", "8e03978e-40d5-43e8-bc93-6894a57f9324", r#""quoted""#] {
        assert_eq!(create(&ada, key, "n").status, 201, "{key}");
    }
}

#[test]
fn a_token_that_replaces_itself_repeats_with_its_own_keys() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let make = |name| {
        let token = ada.create_token(json!({ "name": name, "abilities": ["tokens:rotate-self"] }));
        app.bearer(token["token"].as_str().unwrap())
    };
    let (one, other) = (make("one"), make("other"));
    let body = json!({ "grace": 60 });
    let first = send(&one, SELF, "weekly", &body);
    assert_eq!(first.status, 201, "{}", first.shown());
    expect_already_created(&send(&one, SELF, "weekly", &body), &id(&first), "replace_unused");
    expect_key_of_another(&send(&one, SELF, "weekly", &json!({ "grace": 61 })));
    // The way out.
    let replaced = send(&one, SELF, "again", &json!({ "grace": 60, "replace_unused": true }));
    assert_eq!(replaced.status, 201, "{}", replaced.shown());

    assert_eq!(send(&other, SELF, "weekly", &body).status, 201, "the keys of another token of this owner");
    let successor = app.bearer(replaced.body["data"]["token"].as_str().unwrap());
    assert_eq!(send(&successor, SELF, "weekly", &body).status, 201, "it replaces something else");
}

#[test]
fn sixteen_equal_requests_at_once_make_one_token() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let old = ada.create_token(json!({ "name": "old" }));
    let rotation = format!("{TOKENS}/{}/rotate", old["id"].as_str().unwrap());
    let bodies = [(TOKENS.to_owned(), json!({ "name": "n" })), (rotation, json!({ "grace": 0 }))];
    for (path, body) in bodies {
        let answers: Vec<Answer> = thread::scope(|scope| {
            let requests: Vec<_> = (0..16).map(|_| scope.spawn(|| send(&ada, &path, &path, &body))).collect();
            requests.into_iter().map(|request| request.join().unwrap()).collect()
        });
        let (made, repeats): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 201);
        assert_eq!(made.len(), 1, "{path}");
        repeats.into_iter().for_each(|repeat| expect_already_created(repeat, &id(made[0]), "rotate"));
    }
    assert_eq!(count(&ada, TOKENS), 2);
}

#[test]
fn a_write_that_fails_leaves_the_key_free() {
    let (app, mode) = failing_app();
    let ada = app.sign_in("ada");
    let earlier = id(&create(&ada, "earlier", "n"));
    mode.store(WRITES_FAIL, Ordering::SeqCst);
    assert_eq!(create(&ada, "k", "n").status, 503);
    // What was made before needs no write.
    expect_already_created(&create(&ada, "earlier", "n"), &earlier, "/rotate");
    mode.store(WELL, Ordering::SeqCst);
    assert_eq!(create(&ada, "k", "n").status, 201);
    assert_eq!(count(&ada, TOKENS), 2);
}

#[test]
fn a_key_that_cannot_be_looked_up_is_503() {
    let (app, mode) = failing_app();
    let ada = app.sign_in("ada");
    mode.store(KEYS_FAIL, Ordering::SeqCst);
    assert_eq!(create(&ada, "k", "n").status, 503);
    assert_eq!(ada.post(TOKENS, json!({ "name": "n" })).status, 201, "without a key, none is looked up");
    // The rotation finds no token. Perhaps an equal request was faster and has ended it: nobody knows.
    let missing = format!("{TOKENS}/{}/rotate", uuid());
    mode.store(LATER_KEYS_FAIL, Ordering::SeqCst);
    assert_eq!(send(&ada, &missing, "k", &json!({})).status, 503);
    mode.store(WELL, Ordering::SeqCst);
    assert_eq!(send(&ada, &missing, "k", &json!({})).status, 404);
    assert_eq!(create(&ada, "k", "n").status, 201);
    assert_eq!(count(&ada, TOKENS), 2);
}

#[test]
fn a_repeat_after_a_lost_answer_finds_what_was_made() {
    let (switch, wrap) = Faulty::switched_to(Fault::AnswersLate);
    let app = TestApp::with_store(&[("server.body_timeout", "1s"), ("server.request_deadline", "2s")], wrap);
    let ada = app.sign_in("ada");
    switch.fail_writes();
    let lost = create(&ada, "k", "n");
    assert_eq!((lost.status, &lost.body["code"]), (503, &json!("deadline_exceeded")), "{}", lost.shown());
    switch.heal();
    let made = ada.get(TOKENS).body["data"][0]["id"].as_str().unwrap().to_owned();
    expect_already_created(&create(&ada, "k", "n"), &made, "/rotate");
    assert_eq!(count(&ada, TOKENS), 1);
}

#[test]
fn housekeeping_forgets_what_is_a_day_old() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    create(&ada, "k", "n");
    let forgotten = |app: &TestApp| {
        let made_by = patd::domain::time::Timestamp::from_unix(i64::MAX);
        block_on(app.backend().store.prune_made_requests(made_by)).unwrap()
    };
    block_on(app.ops.run_maintenance()).unwrap();
    app.advance(Duration::from_secs(24 * 60 * 60 - 1));
    block_on(app.ops.run_maintenance()).unwrap();
    assert_eq!(forgotten(&app), 1, "it was kept until now");
    create(&app.sign_in_again("ada"), "l", "n");
    app.advance(Duration::from_hours(24));
    block_on(app.ops.run_maintenance()).unwrap();
    assert_eq!(forgotten(&app), 0);
}
