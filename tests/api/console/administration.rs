//! The pages of administrators: nobody else gets them, and each form does what it says.

use serde_json::{Value, json};

use super::{Browser, hidden, paths};
use crate::harness::{Client, TestApp, email, password};
use patd::domain::account::Role;

fn api<'a>(app: &'a TestApp, browser: &Browser<'_>) -> Client<'a> {
    app.bearer(browser.cookie().split_once('=').unwrap().1)
}

/// An administrator, in a browser.
pub fn root(app: &TestApp) -> Browser<'_> {
    app.user("root");
    app.set_role("root", Role::Admin);
    Browser::again(app, "root")
}

pub fn data(client: &Client<'_>, path: &str) -> Value {
    let answer = client.get(path);
    assert_eq!(answer.status, 200, "{path}: {}", answer.shown());
    answer.body["data"].clone()
}

pub fn id_of(client: &Client<'_>) -> String {
    client.get("/api/v1/user").body["id"].as_str().unwrap().to_owned()
}

/// Posts a form that does what it says.
fn does(browser: &Browser<'_>, path: &str, fields: &[(&str, &str)]) -> String {
    let answer = browser.post(path, fields);
    assert_eq!(answer.status, 303, "{path} {fields:?}: {}", answer.text);
    let location = answer.header("location").to_owned();
    assert!(browser.page(&location).contains(r#"class="box good""#), "{location} says what was done");
    location
}

#[test]
fn nobody_but_an_administrator_gets_a_page_of_administration_or_sends_a_form() {
    let app = TestApp::spawn();
    let (ada, root) = (Browser::of(&app, "ada"), root(&app));
    let mut count = 0;
    for (method, forms) in [("GET", [""; 1].as_slice()), ("POST", &["", "invite", "create", "revoke", "delete"])] {
        for path in paths(method).into_iter().filter(|path| path.starts_with("/console/admin")) {
            count += 1;
            for form in forms {
                let fields = [("do", *form), ("name", "x"), ("email", "x@example.com"), ("secrets", "x")];
                let answer = match method {
                    "GET" => ada.get(&path),
                    _ => ada.post(&path, &fields),
                };
                assert_eq!(answer.status, 403, "{method} {path} {form}: {}", answer.text);
                assert!(answer.text.contains("Only an administrator may do this."), "{}", answer.text);
            }
            if method == "GET" {
                assert!([200, 303, 404].contains(&root.get(&path).status), "{path}");
            }
        }
    }
    assert_eq!(count, 17, "all pages and forms of administration");
    assert_eq!(data(&api(&app, &root), "/api/v1/admin/users").as_array().unwrap().len(), 2, "nobody was invited");
    assert!(!ada.page("/console/tokens").contains("/console/admin"));
    assert!(root.page("/console/tokens").contains(r#"href="/console/admin""#));
}

#[test]
fn an_administrator_loses_the_pages_with_the_role() {
    let app = TestApp::spawn();
    let root = root(&app);
    assert_eq!(root.get("/console/admin/users").status, 200);
    app.set_role("root", Role::Member);
    assert_eq!(root.get("/console/admin/users").status, 403);
}

#[test]
fn users_are_invited_with_a_link_that_works_once() {
    let app = TestApp::spawn();
    let root = root(&app);
    let form = [("do", "invite"), ("name", "Ada"), ("email", "ada@example.com"), ("role", "admin")];
    let invited = root.post("/console/admin/users", &form);
    assert_eq!(invited.status, 201, "{}", invited.text);
    let (_, rest) = invited.text.split_once(r#"id="link" readonly value=""#).unwrap();
    let link = rest.split_once('"').unwrap().0;
    let path = link.strip_prefix(&format!("http://{}", app.address)).unwrap();
    let nobody = Browser::new(&app);
    assert!(nobody.page(path).contains("Set a password"));
    let code = path.split_once("token=").unwrap().1;
    let set = [("token", code), ("password", &*password("ada"))];
    assert_eq!(nobody.post("/console/set-password", &set).header("location"), "/console/sign-in?done=password-set");
    let ada = Browser::again(&app, "ada");
    assert_eq!(ada.get("/console/admin/users").status, 200, "the role is that of the form");

    let taken = root.post("/console/admin/users", &form);
    assert_eq!(taken.status, 422);
    assert!(taken.text.contains(r#"id="email-error""#) && taken.text.contains(r#"value="Ada""#), "{}", taken.text);
    assert!(taken.text.contains(r#"<option value="admin" selected>"#), "nothing typed is lost");
}

#[test]
fn users_are_found_by_name_role_and_state() {
    let app = TestApp::spawn();
    let root = root(&app);
    let client = api(&app, &root);
    for name in ["ada", "bob"] {
        app.user(name);
    }
    let bob = data(&client, "/api/v1/admin/users?search=bob")[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(client.post(&format!("/api/v1/admin/users/{bob}/disable"), json!({})).status, 200);
    let found = |query: &str| {
        let page = root.page(&format!("/console/admin/users?{query}"));
        ["ada", "bob", "root"].into_iter().filter(|name| page.contains(&email(name))).collect::<Vec<_>>()
    };
    assert_eq!(found(""), ["ada", "bob", "root"]);
    assert_eq!(found("search=AD"), ["ada"]);
    assert_eq!(found("role=admin"), ["root"]);
    assert_eq!(found("state=disabled"), ["bob"]);
    assert_eq!(found("state=active&role=member"), ["ada"]);
}

#[test]
fn an_account_is_changed_disabled_enabled_and_its_sessions_end() {
    let app = TestApp::spawn();
    let (root, ada) = (root(&app), Browser::of(&app, "ada"));
    let (client, adas) = (api(&app, &root), api(&app, &ada));
    let id = id_of(&adas);
    let (page, path) = (format!("/console/admin/users/{id}"), format!("/api/v1/admin/users/{id}"));

    does(&root, &page, &[("do", "change"), ("name", "Ada L"), ("email", "al@example.com"), ("role", "admin")]);
    let account = data(&client, &path);
    assert_eq!((&account["name"], &account["email"]), (&json!("Ada L"), &json!("al@example.com")));
    assert_eq!(account["role"], "admin");
    let wrong = root.post(&page, &[("do", "change"), ("name", "kept"), ("email", "no"), ("role", "member")]);
    assert_eq!(wrong.status, 422);
    assert!(wrong.text.contains(r#"id="email-error""#) && wrong.text.contains(r#"value="kept""#), "{}", wrong.text);

    does(&root, &page, &[("do", "disable")]);
    assert_eq!(data(&client, &path)["state"], "disabled");
    assert_eq!(adas.get("/api/v1/user").status, 401);
    does(&root, &page, &[("do", "enable")]);
    assert_eq!(data(&client, &path)["state"], "active");

    let login = json!({ "email": "al@example.com", "password": password("ada") });
    let session = app.anonymous().post("/api/v1/auth/login", login);
    let session = app.bearer(session.body["data"]["token"].as_str().unwrap());
    assert_eq!(session.get("/api/v1/user").status, 200);
    does(&root, &page, &[("do", "end-sessions")]);
    assert_eq!(session.get("/api/v1/user").status, 401);

    let reset = root.post(&page, &[("do", "reset-password")]);
    assert_eq!(reset.status, 200, "{}", reset.text);
    assert!(reset.text.contains("/console/set-password?token="), "{}", reset.text);
    assert_eq!(data(&client, &path)["state"], "invited");
}

#[test]
fn what_a_user_owns_is_handed_over_and_the_user_deleted_with_a_typed_address() {
    let app = TestApp::spawn();
    let (root, ada) = (root(&app), Browser::of(&app, "ada"));
    let (client, adas) = (api(&app, &root), api(&app, &ada));
    app.user("bob");
    let id = id_of(&adas);
    let page = format!("/console/admin/users/{id}");
    let token = adas.create_token(json!({ "name": "deployment", "abilities": [], "expires_in_days": 1 }));
    assert!(root.page(&page).contains("<bdi>deployment</bdi>"), "what they own");

    let nothing = root.post(&page, &[("do", "hand-over"), ("to", "bob@example.com")]);
    assert_eq!(nothing.status, 422, "{}", nothing.text);
    let unknown = root.post(&page, &[("do", "hand-over"), ("tokens", "1"), ("to", "eve@example.com")]);
    assert_eq!(unknown.status, 422);
    assert!(unknown.text.contains(r#"id="to-error""#) && unknown.text.contains("eve@example.com"), "{}", unknown.text);
    does(&root, &page, &[("do", "hand-over"), ("tokens", "1"), ("to", "bob@example.com")]);
    let shown = data(&client, &format!("/api/v1/admin/tokens/{}", token["id"].as_str().unwrap()));
    assert_eq!(shown["owner"]["name"], "bob");

    for typed in ["", "ada", "bob@example.com"] {
        assert_eq!(root.post(&page, &[("do", "delete"), ("typed", typed)]).status, 422, "{typed}");
    }
    assert_eq!(adas.get("/api/v1/user").status, 200);
    does(&root, &page, &[("do", "delete"), ("typed", "ada@example.com")]);
    assert_eq!(client.get(&format!("/api/v1/admin/users/{id}")).status, 404);
}

#[test]
fn the_last_administrator_stays() {
    let app = TestApp::spawn();
    let root = root(&app);
    let page = format!("/console/admin/users/{}", id_of(&api(&app, &root)));
    let demoted = [("do", "change"), ("name", "r"), ("email", "root@example.com"), ("role", "member")];
    for fields in [&demoted[..], &[("do", "disable")], &[("do", "delete"), ("typed", "root@example.com")]] {
        let refused = root.post(&page, fields);
        assert_eq!(refused.status, 409, "{fields:?}: {}", refused.text);
        assert!(refused.text.contains(r#"id="errors""#), "{}", refused.text);
    }
    assert_eq!(root.get("/console/admin/users").status, 200);
}

#[test]
fn service_accounts_get_managers_and_end_with_a_typed_name() {
    let app = TestApp::spawn();
    let (root, ada) = (root(&app), Browser::of(&app, "ada"));
    let (client, adas) = (api(&app, &root), api(&app, &ada));
    let list = "/console/admin/service-accounts";
    let wrong = root.post(list, &[("do", "create"), ("name", "deployer"), ("managers", "eve@example.com")]);
    assert_eq!(wrong.status, 422);
    assert!(wrong.text.contains(r#"id="managers-error""#) && wrong.text.contains(r#"value="deployer""#));
    let blank = root.page(list);
    let form = [
        ("do", "create"),
        ("form", hidden(&blank, "form")),
        ("name", "deployer"),
        ("description", "ships"),
        ("managers", "ada@example.com"),
    ];
    let location = does(&root, list, &form);
    assert_eq!(does(&root, list, &form), location, "a form that is sent twice creates one");
    let page = location.strip_suffix("?done=created").unwrap();
    let id = page.rsplit('/').next().unwrap();
    let path = format!("/api/v1/service-accounts/{id}");
    let account = data(&adas, &path);
    assert_eq!((&account["name"], &account["description"]), (&json!("deployer"), &json!("ships")));

    does(&root, page, &[("do", "change"), ("name", "shipper"), ("description", "")]);
    assert_eq!(data(&client, &path)["name"], "shipper");
    assert_eq!(data(&client, &path)["description"], Value::Null);
    let adas_id = id_of(&adas);
    does(&root, page, &[("do", "remove-manager"), ("user_id", &adas_id)]);
    assert_eq!(adas.get(&path).status, 404);
    does(&root, page, &[("do", "add-manager"), ("manager", "root@example.com")]);
    assert!(root.page(page).contains(&format!("/console/tokens?owner={id}")), "its tokens are one click away");
    does(&root, page, &[("do", "disable")]);
    assert_ne!(data(&client, &path)["disabled_at"], Value::Null);
    does(&root, page, &[("do", "enable")]);
    assert_eq!(data(&client, &path)["disabled_at"], Value::Null);
    assert_eq!(root.post(page, &[("do", "delete"), ("typed", "deployer")]).status, 422);
    does(&root, page, &[("do", "delete"), ("typed", "shipper")]);
    assert_eq!(client.get(&path).status, 404);
}

#[test]
fn the_audit_trail_has_the_filters_of_the_api() {
    let app = TestApp::spawn();
    let (root, ada) = (root(&app), Browser::of(&app, "ada"));
    let adas = api(&app, &ada);
    adas.create_token(json!({ "name": "CI", "abilities": [], "expires_in_days": 1 }));
    let rows =
        |query: &str| root.page(&format!("/console/admin/audit?{query}")).matches("<tr><th scope=\"row\">").count();
    let id = id_of(&adas);
    assert_eq!(rows(&format!("actor={id}&action=token.created")), 1);
    assert_eq!(rows(&format!("actor={id}&action=session.")), 0);
    assert!(rows("action=session.created") >= 2);
    assert_eq!(rows("from=2030-01-31"), 0);
    assert!(rows("until=2024-01-15") > 2 && rows("address=127.0.0.0/8") > 0);
    assert_eq!(rows("outcome=refused"), 0);
    let wrong = root.get("/console/admin/audit?actor=x&address=y&from=z");
    assert_eq!(wrong.status, 422);
    for field in ["actor", "address", "from"] {
        assert!(wrong.text.contains(&format!(r#"id="{field}-error""#)), "{field}: {}", wrong.text);
    }
}

#[test]
fn the_leak_desk_says_what_ended() {
    let app = TestApp::spawn();
    let (root, ada) = (root(&app), Browser::of(&app, "ada"));
    let adas = api(&app, &ada);
    let made = |name: &str, is_canary: bool| {
        adas.create_token(json!({ "name": name, "abilities": [], "expires_in_days": 1, "canary": is_canary }))
    };
    let secret = |token: &Value| token["token"].as_str().unwrap().to_owned();
    let (leaked, ended, canary, kept) =
        (made("leaked", false), made("ended", false), made("bait", true), made("kept", false));
    let path = format!("/api/v1/user/api-tokens/{}", ended["id"].as_str().unwrap());
    assert_eq!(adas.delete(&path).status, 200);
    let session = app.sign_in_again("ada");
    let lines = [
        secret(&leaked),
        secret(&leaked),
        secret(&ended),
        secret(&canary),
        session.token.clone().unwrap(),
        "no secret".to_owned(),
        String::new(),
    ];
    let page = root.post("/console/admin/leaks", &[("do", "report"), ("secrets", &lines.join("\r\n"))]);
    assert_eq!(page.status, 200, "{}", page.text);
    assert!(page.text.contains("5 secrets were read."), "{}", page.text);
    let rows: Vec<&str> = page.text.split(r#"<tr><th scope="row">"#).skip(1).collect();
    let ending = |name: &str| {
        let row =
            rows.iter().find(|row| row.contains(&format!("<bdi>{name}</bdi>"))).unwrap_or_else(|| panic!("{name}"));
        ["Ended now", "Had ended before", "Canary"].into_iter().find(|ending| row.contains(ending)).unwrap()
    };
    assert_eq!((ending("leaked"), ending("ended"), ending("bait")), ("Ended now", "Had ended before", "Canary"));
    assert_eq!(rows.len(), 3, "each token once: {}", page.text);
    assert!(page.text.contains("1 session ended, of") && page.text.contains("<bdi>ada</bdi>"), "{}", page.text);
    assert!(!page.text.contains(&lines[0]), "no secret comes back");
    assert_eq!(app.bearer(&secret(&leaked)).get("/api/user").status, 401);
    assert_eq!(session.get("/api/v1/user").status, 401);
    assert_eq!(app.bearer(&secret(&kept)).get("/api/user").status, 403, "valid, without the ability");

    let nothing = root.post("/console/admin/leaks", &[("secrets", " \r\n ")]);
    assert_eq!(nothing.status, 422);
    assert!(nothing.text.contains(r#"id="secrets-error""#), "{}", nothing.text);
}

#[test]
fn nodes_are_shown_or_why_there_is_one() {
    let app = TestApp::spawn();
    let page = root(&app).page("/console/admin/nodes");
    let is_file = !crate::support::database::is_on_postgres();
    assert_eq!(page.contains("one process serves it"), is_file, "{page}");
    assert_eq!(page.contains(r#"<span class="state live">Active</span>"#), !is_file, "{page}");
}

#[test]
fn names_on_the_pages_of_administration_are_no_markup() {
    let app = TestApp::spawn();
    let (root, ada) = (root(&app), Browser::of(&app, "ada"));
    let evil = r#"<img src=x onerror=alert(1)>"'&"#;
    let adas = api(&app, &ada);
    assert_eq!(adas.patch("/api/v1/user", json!({ "name": evil })).status, 200);
    let body =
        json!({ "name": evil, "description": evil, "metadata": { "k": evil }, "abilities": [], "expires_in_days": 1 });
    let token = adas.create_token(body);
    let blank = root.page("/console/admin/service-accounts");
    let form = [("do", "create"), ("form", hidden(&blank, "form")), ("name", evil), ("description", evil)];
    let service = root.post("/console/admin/service-accounts", &form);
    let service = service.header("location").to_owned();
    let one = format!("/console/admin/tokens/{}", token["id"].as_str().unwrap());
    let user = format!("/console/admin/users/{}", id_of(&adas));
    let lists = ["users", "service-accounts", "tokens", "audit"].map(|name| format!("/console/admin/{name}"));
    let mut shown = 0;
    let search = "/console/admin/tokens?name=%3Cimg%20src=x&metadata=%3Cimg%20src=x%3D1".to_owned();
    for path in lists.into_iter().chain([one, user, service, search]) {
        let text = root.get(&path).text;
        assert!(!text.contains("<img src=x"), "{path}: {text}");
        shown += text.matches("&#60;img src=x").count();
    }
    assert!(shown >= 12, "{shown}: the names are there");
}
