//! Environments on the pages: each form, as the API sees what it did.

use serde_json::{Value, json};

use super::{Browser, hidden};
use crate::harness::{Client, TestApp};

fn api<'a>(app: &'a TestApp, browser: &Browser<'_>) -> Client<'a> {
    app.bearer(browser.cookie().split_once('=').unwrap().1)
}

/// Creates an environment on its page. Returns the path of its page, and the one in the API.
fn environment(browser: &Browser<'_>, name: &str) -> (String, String) {
    let list = browser.page("/console/environments");
    let form = hidden(&list, "form");
    let answer = browser.post("/console/environments", &[("do", "create"), ("form", form), ("name", name)]);
    assert_eq!(answer.status, 303, "{}", answer.text);
    let page = answer.header("location").strip_suffix("?done=created").unwrap().to_owned();
    let in_api = page.replace("/console/", "/api/v1/");
    (page, in_api)
}

#[test]
fn a_form_for_an_environment_that_is_sent_twice_creates_one() {
    let app = TestApp::spawn();
    let ada = Browser::of(&app, "ada");
    let path = "/console/environments";
    let page = ada.page(path);
    let form = [("do", "create"), ("form", hidden(&page, "form")), ("name", "staging")];
    let [first, again] = [0, 1].map(|_| ada.post(path, &form));
    assert_eq!((first.status, again.status), (303, 303), "{} {}", first.text, again.text);
    assert_eq!(first.header("location"), again.header("location"));
    let environments = data(&api(&app, &ada), "/api/v1/environments");
    assert_eq!(environments.as_array().unwrap().len(), 2, "the default one and one more");
    // Another person's form is another request, and a form without an id creates nothing.
    let eve = Browser::of(&app, "eve");
    assert_ne!(eve.post(path, &form).header("location"), first.header("location"));
    assert_eq!(ada.post(path, &[("do", "create"), ("name", "staging")]).status, 400);
    environment(&ada, "staging");
}

fn data(client: &Client<'_>, path: &str) -> Value {
    let answer = client.get(path);
    assert_eq!(answer.status, 200, "{path}: {}", answer.shown());
    answer.body["data"].clone()
}

fn id_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap()
}

fn user_id(client: &Client<'_>) -> String {
    client.get("/api/v1/user").body["id"].as_str().unwrap().to_owned()
}

/// Posts a form that does what it says.
fn does(browser: &Browser<'_>, path: &str, fields: &[(&str, &str)]) {
    let answer = browser.post(path, fields);
    assert_eq!(answer.status, 303, "{path} {fields:?}: {}", answer.text);
    let location = answer.header("location").to_owned();
    assert!(browser.page(&location).contains(r#"class="box good""#), "{location} says what was done");
}

#[test]
fn an_environment_is_created_renamed_chosen_and_deleted() {
    let app = TestApp::spawn();
    let ada = Browser::of(&app, "ada");
    let client = api(&app, &ada);
    let (page, path) = environment(&ada, "staging");
    assert_eq!(data(&client, &path)["name"], "staging");
    assert!(ada.page("/console/environments").contains("<bdi>staging</bdi>"));

    does(&ada, &page, &[("do", "rename"), ("name", "production")]);
    assert_eq!(data(&client, &path)["name"], "production");
    does(&ada, &page, &[("do", "current")]);
    assert_eq!(client.get("/api/v1/user").body["current_environment_id"], id_of(&path));

    let empty = ada.post(&page, &[("do", "rename"), ("name", " ")]);
    assert_eq!(empty.status, 422);
    assert!(empty.text.contains(r#"aria-describedby="name-error""#), "{}", empty.text);
    for typed in ["", "staging"] {
        let refused = ada.post(&page, &[("do", "delete"), ("typed", typed)]);
        assert_eq!(refused.status, 422, "{}", refused.text);
        assert!(refused.text.contains("Type production to confirm."), "{}", refused.text);
    }
    assert_eq!(client.get(&path).status, 200, "it is still there");
    does(&ada, &page, &[("do", "delete"), ("typed", "production")]);
    assert_eq!(client.get(&path).status, 404);
    assert_eq!(ada.get(&page).status, 404);
}

#[test]
fn members_are_added_changed_and_removed_and_may_leave() {
    let app = TestApp::spawn();
    let (ada, bob) = (Browser::of(&app, "ada"), Browser::of(&app, "bob"));
    let (client, bobs) = (api(&app, &ada), api(&app, &bob));
    let id = user_id(&bobs);
    let (page, path) = environment(&ada, "e");
    let members = format!("{path}/members");
    assert_eq!(bob.get(&page).status, 404);

    let unknown = "01900000-0000-7000-8000-000000000000";
    for wrong in ["", "bob@example.com", unknown] {
        let refused = ada.post(&page, &[("do", "add-member"), ("user_id", wrong), ("role", "viewer")]);
        assert_eq!(refused.status, 422, "{wrong}: {}", refused.text);
        assert!(refused.text.contains(r#"id="user_id-error""#), "{wrong}: {}", refused.text);
    }
    does(&ada, &page, &[("do", "add-member"), ("user_id", &id), ("role", "viewer")]);
    assert_eq!(data(&client, &members)[0]["role"], "viewer");

    let seen = bob.page(&page);
    assert!(!seen.contains("/tokens/new") && !seen.contains(r#"value="rename""#), "a viewer sees no forms: {seen}");
    assert_eq!(bob.get(&format!("{page}/tokens/new")).status, 403);
    for fields in [[("do", "rename"), ("name", "x")], [("do", "delete"), ("typed", "e")]] {
        assert_eq!(bob.post(&page, &fields).status, 403, "{fields:?}");
    }
    assert_eq!(bob.post(&page, &[("do", "set-role"), ("user_id", &id), ("role", "admin")]).status, 403);
    assert_eq!(data(&client, &path)["name"], "e");

    does(&ada, &page, &[("do", "set-role"), ("user_id", &id), ("role", "admin")]);
    assert_eq!(data(&client, &members)[0]["role"], "admin");
    does(&bob, &page, &[("do", "leave")]);
    assert_eq!(data(&client, &members), json!([]));
    does(&ada, &page, &[("do", "add-member"), ("user_id", &id), ("role", "viewer")]);
    does(&ada, &page, &[("do", "remove-member"), ("user_id", &id)]);
    assert_eq!(data(&client, &members), json!([]));
}

/// The secret on a page that shows it.
fn secret(page: &str) -> String {
    let (_, rest) = page.split_once(r#"id="secret" readonly value=""#).unwrap_or_else(|| panic!("no secret: {page}"));
    rest.split_once('"').unwrap().0.to_owned()
}

fn is_valid(app: &TestApp, secret: &str) -> bool {
    app.bearer(secret).post("/api/v1/auth/identify", json!({})).status == 200
}

#[test]
fn a_token_of_an_environment_is_made_once_regenerated_and_revoked() {
    let app = TestApp::spawn();
    let ada = Browser::of(&app, "ada");
    let client = api(&app, &ada);
    let (page, path) = environment(&ada, "e");
    let (new, tokens) = (format!("{page}/tokens/new"), format!("{path}/tokens"));
    let form = ada.page(&new);
    let fields = [
        ("form", hidden(&form, "form")),
        ("name", "CI"),
        ("more_abilities", "calls:read"),
        ("expires", "30"),
        ("metadata", "team=shop"),
    ];
    let review = ada.post(&new, &fields);
    assert_eq!(review.status, 200, "{}", review.text);
    assert!(review.text.contains("<bdi>e</bdi>") && review.text.contains(&format!(r#"action="{new}""#)));
    assert_eq!(data(&client, &tokens), json!([]), "nothing is made yet");

    let again: Vec<_> = fields.into_iter().chain([("do", "create")]).collect();
    let made = ada.post(&new, &again);
    assert_eq!(made.status, 201, "{}", made.text);
    let first = secret(&made.text);
    assert!(is_valid(&app, &first));
    let twice = ada.post(&new, &again);
    assert_eq!(twice.status, 409, "{}", twice.text);
    assert!(!twice.text.contains(&first), "the secret is not shown again");
    let listed = data(&client, &tokens);
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
    assert_eq!(listed[0]["abilities"], json!(["calls:read"]));
    assert_eq!(listed[0]["metadata"], json!({ "team": "shop" }));

    let one = format!("{page}/tokens/{}", listed[0]["id"].as_str().unwrap());
    assert!(ada.page(&page).contains(&one));
    does(&ada, &one, &[("do", "rename"), ("name", "Build"), ("description", "of the shop")]);
    assert_eq!(data(&client, &tokens)[0]["name"], "Build");
    assert_eq!(data(&client, &tokens)[0]["description"], "of the shop");
    let refused = ada.post(&one, &[("do", "rename"), ("name", ""), ("description", "typed before")]);
    assert_eq!(refused.status, 422);
    assert!(refused.text.contains("typed before"), "nothing typed is lost: {}", refused.text);

    let regenerated = ada.post(&one, &[("do", "regenerate")]);
    assert_eq!(regenerated.status, 201, "{}", regenerated.text);
    let second = secret(&regenerated.text);
    assert!(is_valid(&app, &second) && !is_valid(&app, &first));
    let one = format!("{page}/tokens/{}", data(&client, &tokens)[0]["id"].as_str().unwrap());
    does(&ada, &one, &[("do", "revoke")]);
    assert!(!is_valid(&app, &second));
    assert!(ada.page(&format!("{page}?state=revoked")).contains(&one), "it can still be seen");
    let like = ada.page(&format!("{new}?like={}", id_of(&one)));
    assert!(like.contains(r#"value="Build""#) && like.contains(r#"value="calls:read""#), "{like}");
}

#[test]
fn a_viewer_sees_tokens_and_changes_none() {
    let app = TestApp::spawn();
    let (ada, bob) = (Browser::of(&app, "ada"), Browser::of(&app, "bob"));
    let client = api(&app, &ada);
    let (page, path) = environment(&ada, "e");
    let id = user_id(&api(&app, &bob));
    does(&ada, &page, &[("do", "add-member"), ("user_id", &id), ("role", "viewer")]);
    let token = client.post(&format!("{path}/tokens"), json!({ "name": "CI", "abilities": [], "expires_in_days": 1 }));
    let token = &token.body["data"];
    let one = format!("{page}/tokens/{}", token["id"].as_str().unwrap());
    assert!(!bob.page(&one).contains(r#"name="do""#), "no form");
    for action in ["rename", "regenerate", "revoke"] {
        assert_eq!(bob.post(&one, &[("do", action), ("name", "x")]).status, 403, "{action}");
    }
    let new = format!("{page}/tokens/new");
    assert_eq!(bob.post(&new, &[("do", "create"), ("name", "x"), ("expires", "7")]).status, 403);
    assert!(is_valid(&app, token["token"].as_str().unwrap()));
    let nobody = Browser::of(&app, "eve");
    for path in [&page, &one, &new] {
        assert_eq!(nobody.get(path).status, 404, "{path}");
    }
}

#[test]
fn names_of_environments_and_members_are_no_markup() {
    let app = TestApp::spawn();
    let (ada, bob) = (Browser::of(&app, "ada"), Browser::of(&app, "bob"));
    let evil = r#"<img src=x onerror=alert(1)>"'&"#;
    let (page, path) = environment(&ada, evil);
    let bobs = api(&app, &bob);
    assert_eq!(bobs.patch("/api/v1/user", json!({ "name": evil })).status, 200);
    let id = user_id(&bobs);
    does(&ada, &page, &[("do", "add-member"), ("user_id", &id), ("role", "viewer")]);
    let body = json!({ "name": evil, "description": evil, "abilities": [], "expires_in_days": 1 });
    let token = api(&app, &ada).post(&format!("{path}/tokens"), body);
    let one = format!("{page}/tokens/{}", token.body["data"]["id"].as_str().unwrap());
    let mut shown = 0;
    for path in ["/console/environments", &page, &one, &format!("{page}/tokens/new")] {
        let text = ada.page(path);
        assert!(!text.contains("<img src=x"), "{path}: {text}");
        shown += text.matches("&#60;img src=x").count();
    }
    assert!(shown >= 8, "{shown}: the names are there");
}
