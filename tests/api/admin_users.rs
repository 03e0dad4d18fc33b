//! What administrators do with the accounts of users.

use std::time::Duration;

use patd::domain::account::Role;
use serde_json::{Value, json};

use crate::harness::{Answer, Client, TestApp, block_on, email, password};

const USERS: &str = "/api/v1/admin/users";
const LINK: &str = "/api/v1/auth/password-link";

pub fn path_of(client: &Client<'_>) -> String {
    format!("{USERS}/{}", client.get("/api/v1/user").body["id"].as_str().unwrap())
}

fn invite(root: &Client<'_>, name: &str) -> Value {
    let invited = root.post(USERS, json!({ "name": name, "email": email(name) }));
    assert_eq!(invited.status, 201, "{}", invited.shown());
    invited.body["data"].clone()
}

fn set_password(app: &TestApp, link: &Value, password: &str) -> Answer {
    app.anonymous().post(LINK, json!({ "token": link["token"], "password": password }))
}

fn sign_in(app: &TestApp, name: &str, password: &str) -> Answer {
    app.anonymous().post("/api/v1/auth/login", json!({ "email": email(name), "password": password }))
}

fn names(answer: &Answer) -> Vec<&str> {
    assert_eq!(answer.status, 200, "{}", answer.shown());
    answer.body["data"].as_array().unwrap().iter().map(|user| user["name"].as_str().unwrap()).collect()
}

#[test]
fn an_invited_user_sets_a_password_once_and_signs_in() {
    let app = TestApp::spawn();
    let root = app.sign_in_admin("root");
    let invited = root.post(USERS, json!({ "name": "Eve", "email": email("eve"), "role": "admin" }));
    assert_eq!(invited.status, 201, "{}", invited.shown());
    let data = &invited.body["data"];
    let path = format!("{USERS}/{}", data["id"].as_str().unwrap());
    assert_eq!(invited.header("location"), Some(&*path));
    assert_eq!((&data["state"], &data["role"]), (&json!("invited"), &json!("admin")));
    let link = &data["password_link"];
    assert_eq!(link["expires_at"], "2024-01-18T19:00:00Z", "72 hours");
    let token = link["token"].as_str().unwrap();
    assert!(token.starts_with("lnk_") && token.len() == 52, "{token}");
    assert_eq!(root.get(&path).body["data"]["password_link_expires_at"], link["expires_at"]);
    assert!(!root.get(&path).text.contains(token) && !root.get(USERS).text.contains(token), "shown once");

    // A link is no credential.
    for path in ["/api/user", USERS, "/api/v1/user/api-tokens"] {
        assert_eq!(app.bearer(token).get(path).status, 401, "{path}");
    }
    let weak = set_password(&app, link, "password1234567");
    assert!(weak.status == 422 && weak.body["errors"]["password"].is_array(), "{}", weak.shown());
    let set = set_password(&app, link, "an engine of 1000 wheels");
    assert_eq!((set.status, &set.body["message"]), (200, &json!("Password set")));
    let eve = sign_in(&app, "eve", "an engine of 1000 wheels");
    assert_eq!(eve.status, 201);
    let eve = app.bearer(eve.body["data"]["token"].as_str().unwrap());
    let details = eve.get(&path).body["data"].clone();
    assert_eq!(details["state"], "active");
    assert_eq!(details["password_link_expires_at"], Value::Null);
    assert_eq!(details["last_sign_in_at"], crate::harness::START);
    assert_eq!((&details["tokens"], &details["sessions"], &details["environments"]), (&json!(0), &json!(1), &json!(1)));
    let actions = eve.get("/api/v1/user/audit").body["data"].as_array().unwrap().clone();
    let actions: Vec<_> = actions.iter().map(|event| (event["action"].as_str(), event["detail"].as_str())).collect();
    assert_eq!(
        actions,
        [
            (Some("session.created"), None),
            (Some("user.password_changed"), Some("link")),
            (Some("user.password_link_created"), Some("invitation")),
            (Some("user.created"), None),
        ]
    );
}

#[test]
fn unknown_used_expired_and_disabled_links_get_the_same_answer() {
    let app = TestApp::spawn();
    let root = app.sign_in_admin("root");
    let [used, expired, disabled, replaced] =
        ["used", "expired", "disabled", "replaced"].map(|name| invite(&root, name));
    let path = |invited: &Value| format!("{USERS}/{}", invited["id"].as_str().unwrap());
    let good = "an engine of 1000 wheels";
    assert_eq!(set_password(&app, &used["password_link"], good).status, 200);
    assert_eq!(root.post(&format!("{}/disable", path(&disabled)), json!({})).status, 200);
    let renewed = root.post(&format!("{}/reset-password", path(&replaced)), json!({}));
    assert_eq!(renewed.status, 200, "{}", renewed.shown());

    let unknown = patd::domain::password_link::generate().unwrap();
    let unknown = json!({ "token": unknown.expose() });
    let links = [&used["password_link"], &disabled["password_link"], &replaced["password_link"], &unknown];
    let expected = set_password(&app, &json!({ "token": "rubbish" }), good);
    assert_eq!(expected.status, 422);
    let message = expected.body["errors"]["token"][0].as_str().unwrap();
    assert!(message.contains("unknown, was used, or has expired"), "{message}");
    for link in links {
        assert_eq!(set_password(&app, link, good).text, expected.text);
    }
    app.advance(Duration::from_secs(72 * 60 * 60 - 1));
    assert_eq!(set_password(&app, &renewed.body["data"]["password_link"], good).status, 200);
    app.advance(Duration::from_secs(1));
    assert_eq!(set_password(&app, &expired["password_link"], good).text, expected.text);
}

#[test]
fn disabling_ends_a_link_and_a_new_one_waits_until_the_user_is_enabled() {
    let app = TestApp::spawn();
    let root = app.sign_in_admin("root");
    let invited = invite(&root, "eve");
    let path = format!("{USERS}/{}", invited["id"].as_str().unwrap());
    let change = |what: &str| {
        let changed = root.post(&format!("{path}/{what}"), json!({}));
        assert_eq!(changed.status, 200, "{}", changed.shown());
        changed.body["data"]["password_link"].clone()
    };
    change("disable");
    assert_eq!(root.get(&path).body["data"]["password_link_expires_at"], Value::Null);
    change("enable");
    let good = "an engine of 1000 wheels";
    assert_eq!(set_password(&app, &invited["password_link"], good).status, 422, "the link has ended");
    change("disable");
    let link = change("reset-password");
    assert_eq!(set_password(&app, &link, good).status, 422, "the user is disabled");
    change("enable");
    assert_eq!(set_password(&app, &link, good).status, 200);
}

#[test]
fn an_invited_user_is_refused_like_an_unknown_one() {
    let app = TestApp::spawn();
    let root = app.sign_in_admin("root");
    invite(&root, "eve");
    let unknown = sign_in(&app, "nobody", "a long enough guess");
    for guess in ["a long enough guess", "$argon2id$"] {
        let refused = sign_in(&app, "eve", guess);
        assert_eq!((refused.status, &refused.text), (401, &unknown.text));
        assert_eq!(refused.header("www-authenticate"), unknown.header("www-authenticate"));
    }
}

#[test]
fn failed_links_are_throttled_by_network() {
    let app = TestApp::with(&[("throttle.per_address_burst", "2"), ("throttle.per_address_per_minute", "1")]);
    let root = app.sign_in_admin("root");
    let invited = invite(&root, "eve");
    let unknown = json!({ "token": "lnk_unknown" });
    let good = "an engine of 1000 wheels";
    assert_eq!([0; 3].map(|_| set_password(&app, &unknown, good).status), [422, 422, 429]);
    assert_eq!(set_password(&app, &invited["password_link"], good).status, 429);
    app.advance(Duration::from_secs(60));
    assert_eq!(set_password(&app, &invited["password_link"], good).status, 200);
}

#[test]
fn a_reset_ends_the_password_and_the_sessions_at_once_and_keeps_the_tokens() {
    let app = TestApp::spawn();
    let (root, ada) = (app.sign_in_admin("root"), app.sign_in("ada"));
    let token = ada.create_token(json!({ "name": "t", "abilities": ["user:read"] }));
    let token = app.bearer(token["token"].as_str().unwrap());
    let path = path_of(&ada);
    let reset = root.post(&format!("{path}/reset-password"), json!({}));
    assert_eq!((reset.status, &reset.body["data"]["state"]), (200, &json!("invited")));
    assert_eq!(ada.get("/api/user").status, 401);
    assert_eq!(sign_in(&app, "ada", &password("ada")).status, 401, "the old password");
    assert_eq!(token.get("/api/user").status, 200);
    assert_eq!(set_password(&app, &reset.body["data"]["password_link"], "an engine of 1000 wheels").status, 200);
    assert_eq!(sign_in(&app, "ada", "an engine of 1000 wheels").status, 201);
}

#[test]
fn name_address_and_role_change_together_and_the_sessions_stay() {
    let app = TestApp::spawn();
    let (root, ada) = (app.sign_in_admin("root"), app.sign_in("ada"));
    let path = path_of(&ada);
    let change = json!({ "name": "Ada L", "email": "lovelace@example.com", "role": "admin" });
    let changed = root.patch(&path, change).body["data"].clone();
    assert_eq!((&changed["name"], &changed["role"]), (&json!("Ada L"), &json!("admin")));
    let user = ada.get("/api/user").body;
    assert_eq!((&user["email"], &user["role"]), (&json!("lovelace@example.com"), &json!("admin")));
    assert_eq!(ada.get(USERS).status, 200, "it holds from the next request on");

    let taken = ada.patch(&path_of(&root), json!({ "email": "LOVELACE@example.com", "role": "member" }));
    assert_eq!(taken.status, 422);
    assert_eq!(taken.body["errors"]["email"][0], "The email has already been taken.");
    let role = root.get(&path_of(&root)).body["data"]["role"].clone();
    assert_eq!(role, "admin", "all fields or none");
    let wrong = root.patch(&path, json!({ "role": "king", "state": "active" }));
    assert_eq!(wrong.body["errors"]["role"][0], "The role field must be member or admin.");
    assert!(wrong.body["errors"]["state"][0].as_str().unwrap().contains("The fields here are: name, email, role."));
    assert_eq!(root.post(USERS, json!({ "name": "x", "email": "lovelace@example.com" })).status, 422);
}

#[test]
fn a_list_is_filtered_sorted_and_paged() {
    let app = TestApp::spawn();
    let root = app.sign_in_admin("root");
    for name in ["carol", "Bob", "ada"] {
        app.sign_in(name);
    }
    invite(&root, "dora");
    let carol = app.sign_in_again("carol");
    assert_eq!(root.post(&format!("{}/disable", path_of(&carol)), json!({})).status, 200);
    let list = |query: &str| root.get(&format!("{USERS}{query}"));
    assert_eq!(names(&list("")), ["dora", "ada", "Bob", "carol", "root"]);
    assert_eq!(names(&list("?sort=created")), ["root", "carol", "Bob", "ada", "dora"]);
    assert_eq!(names(&list("?sort=name")), ["ada", "Bob", "carol", "dora", "root"]);
    assert_eq!(names(&list("?sort=-email&limit=2")), ["root", "dora"]);
    assert_eq!(names(&list("?state=invited")), ["dora"]);
    assert_eq!(names(&list("?state=disabled")), ["carol"]);
    assert_eq!(names(&list("?state=active&sort=name")), ["ada", "Bob", "root"]);
    assert_eq!(names(&list("?role=admin")), ["root"]);
    assert_eq!(names(&list("?search=BO&role=member")), ["Bob"]);
    assert_eq!(names(&list("?search=dora@")), ["dora"]);

    for sort in ["created", "-created", "name", "-name", "email", "-email"] {
        let all = list(&format!("?sort={sort}"));
        let (mut paged, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = list(&format!("?sort={sort}&limit=2{cursor}"));
            paged.extend(names(&page).into_iter().map(str::to_owned));
            let Some(next) = page.body["next_cursor"].as_str() else { break };
            let other = if sort == "name" { "email" } else { "name" };
            let foreign = list(&format!("?sort={other}&cursor={next}"));
            assert_eq!(
                foreign.body["errors"]["cursor"][0],
                "The cursor field must be a next_cursor that was answered to you, for the same list with the same filters and order."
            );
            cursor = format!("&cursor={next}");
        }
        assert_eq!(paged, names(&all), "{sort}");
    }
    for (query, field, says) in [
        ("?state=gone", "state", "must be active, disabled or invited."),
        ("?role=owner", "role", "must be member or admin."),
        ("?sort=age", "sort", "must be created, name or email"),
        ("?roll=admin", "roll", "is unknown."),
        ("?limit=0", "limit", "must be a whole number"),
        ("?cursor=%F0%9F%98%80", "cursor", "must be a next_cursor"),
    ] {
        let refused = list(query);
        assert_eq!(refused.status, 422, "{query}");
        assert!(refused.body["errors"][field][0].as_str().unwrap().contains(says), "{}", refused.shown());
    }
}

#[test]
fn an_administrator_sees_and_ends_the_sessions_of_a_user() {
    let app = TestApp::spawn();
    let (root, ada) = (app.sign_in_admin("root"), app.sign_in("ada"));
    let again = app.sign_in_again("ada");
    let path = format!("{}/sessions", path_of(&ada));
    let listed = root.get(&path);
    assert_eq!(listed.body["data"].as_array().unwrap().len(), 2);
    assert!(!listed.text.contains("ses_") && !listed.text.contains("current"), "{}", listed.text);
    let ended = root.delete(&path);
    assert_eq!((ended.status, &ended.body["data"]["ended"]), (200, &json!(2)));
    assert_eq!((ada.get("/api/user").status, again.get("/api/user").status), (401, 401));
    assert_eq!(root.get("/api/user").status, 200);
    let nobody = format!("{USERS}/{}/sessions", uuid::Uuid::now_v7());
    assert_eq!((root.get(&nobody).status, root.delete(&nobody).status), (404, 404));
}

#[test]
fn the_last_administrator_keeps_the_role_over_the_api_only() {
    let app = TestApp::spawn();
    let root = app.sign_in_admin("root");
    let path = path_of(&root);
    invite(&root, "eve");
    let refused = [
        root.patch(&path, json!({ "role": "member" })),
        root.post(&format!("{path}/disable"), json!({})),
        root.post(&format!("{path}/reset-password"), json!({})),
    ];
    for refused in refused {
        assert_eq!((refused.status, &refused.body["code"]), (409, &json!("last_admin")), "{}", refused.shown());
    }
    assert_eq!(root.get(&path).body["data"]["state"], "active");
    let other = app.sign_in_admin("other");
    assert_eq!(root.post(&format!("{path}/reset-password"), json!({})).status, 200, "somebody else can sign in");
    assert_eq!(
        other.post(&format!("{path}/reset-password"), json!({})).status,
        200,
        "another link, no password to lose"
    );
    app.set_role("other", Role::Member);
    assert_eq!(other.get(&path).status, 403);
}

#[test]
fn of_two_administrators_who_demote_or_disable_each_other_one_stays() {
    let app = TestApp::spawn();
    for round in 0..20 {
        let admins = [0, 1].map(|n| app.sign_in_admin(&format!("admin{round}-{n}")));
        let paths = [path_of(&admins[0]), path_of(&admins[1])];
        let demote = |n: usize| match round % 2 {
            0 => admins[n].patch(&paths[1 - n], json!({ "role": "member" })).status,
            _ => admins[n].post(&format!("{}/disable", paths[1 - n]), json!({})).status,
        };
        let statuses = std::thread::scope(|scope| {
            let other = scope.spawn(|| demote(1));
            [demote(0), other.join().unwrap()]
        });
        let enabled = |n: usize| admins[n].get(USERS).status == 200;
        assert_eq!(usize::from(enabled(0)) + usize::from(enabled(1)), 1, "{statuses:?}");
        assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
        // The next round begins without an administrator.
        for n in [0, 1] {
            app.set_role(&format!("admin{round}-{n}"), Role::Member);
        }
    }
}

#[test]
fn an_account_that_is_disabled_over_the_api_is_refused_from_the_answer_on() {
    let app = TestApp::spawn();
    let (root, ada) = (app.sign_in_admin("root"), app.sign_in("ada"));
    let token = ada.create_token(json!({ "name": "t" }));
    let (token, path) = (app.bearer(token["token"].as_str().unwrap()), path_of(&ada));
    let disabled = root.post(&format!("{path}/disable"), json!({}));
    assert_eq!((disabled.status, &disabled.body["data"]["state"]), (200, &json!("disabled")));
    assert_eq!((ada.get("/api/user").status, token.get("/api/user").status), (401, 401));
    assert_eq!(root.post(&format!("{path}/enable"), json!({})).body["data"]["state"], "active");
    assert_eq!((ada.get("/api/user").status, token.get("/api/user").status), (401, 200), "the sessions have ended");
    let events = block_on(app.ops.store.events_of(
        patd::domain::id::UserId::parse(path.rsplit('/').next().unwrap()).unwrap(),
        None,
        9,
    ));
    let kinds: Vec<_> = events.unwrap().iter().map(|event| event.by.origin.actor.kind()).take(2).collect();
    assert_eq!(kinds, ["session", "session"], "the administrator's session acted");
}
