//! The life of a token on the pages.

use serde_json::{Value, json};

use super::{Browser, hidden};
use crate::harness::{Client, TestApp};

fn api<'a>(app: &'a TestApp, browser: &Browser<'_>) -> Client<'a> {
    app.bearer(browser.cookie().split_once('=').unwrap().1)
}

fn token(client: &Client<'_>, id: &str) -> Value {
    client.get(&format!("/api/v1/user/api-tokens/{id}")).body["data"].clone()
}

/// The secret on a page that shows it.
fn secret(page: &str) -> String {
    let (_, rest) = page.split_once(r#"id="secret" readonly value=""#).unwrap_or_else(|| panic!("no secret: {page}"));
    rest.split_once('"').unwrap().0.to_owned()
}

#[test]
fn a_token_is_made_after_a_summary_and_its_secret_works() {
    let app = TestApp::with_file(
        r#"
        [[policies]]
        name = "app"
        rules = [
            { methods = ["GET"], paths = ["/calls/**"], abilities = ["calls:read"] },
            { paths = ["/calls/**"], abilities = ["calls:write"] },
        ]
        "#,
        &[],
    );
    let ada = Browser::of(&app, "ada");
    let form = ada.page("/console/tokens/new?name=CI&abilities=calls:read,agents:read");
    assert!(form.contains(r#"value="CI""#) && form.contains(r#"value="calls:read agents:read""#), "{form}");
    let fields = [
        ("form", hidden(&form, "form")),
        ("name", "CI"),
        ("more_abilities", "calls:read agents:read"),
        ("expires", "30"),
        ("metadata", "team=shop\nstage=test"),
        ("quota", "7"),
    ];
    let review = ada.post("/console/tokens/new", &fields);
    assert_eq!(review.status, 200, "{}", review.text);
    assert!(review.text.contains("GET /calls/**"), "what the policy lets through: {}", review.text);
    assert!(review.text.contains("Other rules of this policy refuse it."), "{}", review.text);
    assert_eq!(api(&app, &ada).get("/api/v1/user/api-tokens").body["data"], json!([]), "nothing is made yet");

    let again: Vec<_> = fields.into_iter().chain([("do", "create")]).collect();
    let made = ada.post("/console/tokens/new", &again);
    assert_eq!(made.status, 201, "{}", made.text);
    let secret = secret(&made.text);
    assert_eq!(app.bearer(&secret).get("/api/user").status, 403, "it is valid, and lacks the ability");
    let listed = api(&app, &ada).get("/api/v1/user/api-tokens");
    let token = &listed.body["data"][0];
    assert_eq!(token["abilities"], json!(["calls:read", "agents:read"]));
    assert_eq!(token["expires_at"], "2024-02-14T19:00:00Z");
    assert_eq!((&token["quota"], &token["metadata"]["team"]), (&json!(7), &json!("shop")));

    // The same form once more.
    let repeated = ada.post("/console/tokens/new", &again);
    assert_eq!(repeated.status, 409);
    assert!(repeated.text.contains("This token was made already") && !repeated.text.contains(&secret));
    assert_eq!(api(&app, &ada).get("/api/v1/user/api-tokens").body["data"].as_array().unwrap().len(), 1);
}

#[test]
fn a_form_that_is_sent_many_times_at_once_makes_one_token() {
    let app = TestApp::spawn();
    let ada = Browser::of(&app, "ada");
    let page = ada.page("/console/tokens/new");
    let (form, cookie) = (hidden(&page, "form"), ada.cookie());
    let fields = [("form", form), ("name", "CI"), ("more_abilities", "calls:read"), ("expires", "7"), ("do", "create")];
    let body = super::form(&fields);
    let headers = [("Cookie", &*cookie), super::OWN, ("Content-Type", "application/x-www-form-urlencoded")];
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let send = || scope.spawn(|| app.fetch("POST", "/console/tokens/new", &headers, &body).status);
        let sent: Vec<_> = (0..8).map(|_| send()).collect();
        sent.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| [201, 409].contains(status)), "{statuses:?}");
    assert_eq!(api(&app, &ada).get("/api/v1/user/api-tokens").body["data"].as_array().unwrap().len(), 1);
}

#[test]
fn an_untouched_expiry_is_never_endless() {
    let app = TestApp::spawn();
    let ada = Browser::of(&app, "ada");
    let page = ada.page("/console/tokens/new");
    assert!(page.contains(r#"value="30" checked"#) && !page.contains(r#"value="never" checked"#), "{page}");
    let fields = [("form", hidden(&page, "form")), ("name", "CI"), ("more_abilities", "calls:read"), ("do", "create")];
    assert_eq!(ada.post("/console/tokens/new", &fields).status, 201);
    let listed = api(&app, &ada).get("/api/v1/user/api-tokens");
    assert_eq!(listed.body["data"][0]["expires_at"], "2024-02-14T19:00:00Z");

    let app = TestApp::with(&[("tokens.max_lifetime", "14d"), ("tokens.default_lifetime", "14d")]);
    let ada = Browser::of(&app, "ada");
    let page = ada.page("/console/tokens/new");
    assert!(page.contains(r#"value="14" checked"#) && !page.contains(r#"value="never""#), "{page}");
    assert!(!page.contains(r#"value="60""#), "{page}");
}

#[test]
fn mistakes_are_tied_to_their_fields_and_nothing_typed_is_lost() {
    let app = TestApp::with_file("[tokens]\nabilities = [\"calls:read\"]\n", &[]);
    let ada = Browser::of(&app, "ada");
    let page = ada.page("/console/tokens/new");
    let form = hidden(&page, "form");
    let fields = [
        ("form", form),
        ("name", ""),
        ("description", "My \"words\""),
        ("abilities", "calls:read"),
        ("more_abilities", "calls:fly"),
        ("expires", "date"),
        ("expires_on", "2020-01-01"),
        ("ip_allowlist", "10.0.0.0/33"),
        ("quota", "many"),
        ("metadata", "team=shop"),
        ("do", "create"),
    ];
    let answer = ada.post("/console/tokens/new", &fields);
    assert_eq!(answer.status, 422);
    for field in ["name", "ip_allowlist", "quota"] {
        assert!(answer.text.contains(&format!(r#"id="{field}-error""#)), "{field}: {}", answer.text);
        assert!(answer.text.contains(&format!(r##"href="#{field}""##)), "{field}: {}", answer.text);
    }
    for kept in [
        "My &#34;words&#34;",
        r#"value="calls:read" checked"#,
        "calls:fly",
        "2020-01-01",
        "10.0.0.0/33",
        "many",
        "team=shop",
    ] {
        assert!(answer.text.contains(kept), "{kept}: {}", answer.text);
    }
    let unknown = [("form", form), ("name", "CI"), ("more_abilities", "calls:fly"), ("expires", "7"), ("do", "review")];
    let answer = ada.post("/console/tokens/new", &unknown);
    assert!(
        answer.status == 422 && answer.text.contains("calls:fly is not an ability that this server knows"),
        "{}",
        answer.text
    );
    assert_eq!(api(&app, &ada).get("/api/v1/user/api-tokens").body["data"], json!([]));
}

#[test]
fn a_token_is_renamed_disabled_rotated_and_revoked() {
    let app = TestApp::spawn();
    let ada = Browser::of(&app, "ada");
    let client = api(&app, &ada);
    let made =
        client.create_token(json!({ "name": "CI", "abilities": ["user:read", "calls:read"], "expires_in_days": 7 }));
    let (id, first) = (made["id"].as_str().unwrap(), made["token"].as_str().unwrap());
    let path = format!("/console/tokens/{id}");
    let done = |fields: &[(&str, &str)]| {
        let answer = ada.post(&path, fields);
        assert_eq!(answer.status, 303, "{}", answer.text);
        answer.header("location").to_owned()
    };
    done(&[("do", "rename"), ("name", "CD"), ("description", "Deploys")]);
    assert_eq!((&token(&client, id)["name"], &token(&client, id)["description"]), (&json!("CD"), &json!("Deploys")));
    done(&[("do", "disable")]);
    assert_eq!(app.bearer(first).get("/api/user").status, 401);
    done(&[("do", "enable")]);
    assert_eq!(app.bearer(first).get("/api/user").status, 200);

    let rotated = ada.post(&path, &[("do", "rotate"), ("grace", "0"), ("abilities", "user:read")]);
    assert_eq!(rotated.status, 201, "{}", rotated.text);
    assert!(rotated.text.contains("The old secret has ended."));
    let second = secret(&rotated.text);
    assert_eq!(app.bearer(&second).get("/api/user").status, 200);
    assert_eq!(app.bearer(first).get("/api/user").status, 401);
    let successor = token(&client, id)["rotated_to"].as_str().unwrap().to_owned();
    assert_eq!(token(&client, &successor)["abilities"], json!(["user:read"]));
    let page = ada.page(&format!("/console/tokens/{successor}"));
    assert!(page.contains(&path), "its family: {page}");

    let answer = ada.post(&format!("/console/tokens/{successor}"), &[("do", "revoke")]);
    assert_eq!(answer.status, 303);
    let listed = ada.page("/console/tokens?state=revoked");
    assert!(listed.contains(&successor) && listed.contains("user:read"), "it stays visible: {listed}");
    // The second of two people, or of two tabs, learns that it is done.
    let again = ada.post(&format!("/console/tokens/{successor}"), &[("do", "revoke")]);
    assert_eq!(again.status, 404, "{}", again.text);
    let like = ada.page(&format!("/console/tokens/new?like={successor}"));
    assert!(like.contains(r#"value="CD""#) && like.contains(r#"value="user:read" checked"#), "{like}");
}

#[test]
fn more_than_ten_tokens_are_revoked_only_with_their_number() {
    let app = TestApp::spawn();
    let ada = Browser::of(&app, "ada");
    let client = api(&app, &ada);
    let ids: Vec<String> = (0..12)
        .map(|number| client.create_token(json!({ "name": format!("n{number}") }))["id"].as_str().unwrap().to_owned())
        .collect();
    let live = || client.get("/api/v1/user/api-tokens?state=active").body["data"].as_array().unwrap().len();
    let choose = |count: usize, more: &[(&'static str, &'static str)]| {
        let mut fields: Vec<(&str, &str)> = ids[..count].iter().map(|id| ("token", id.as_str())).collect();
        fields.extend(more);
        ada.post("/console/tokens", &fields)
    };
    assert_eq!(choose(0, &[("do", "choose")]).status, 422);
    let shown = choose(11, &[("do", "choose")]);
    assert!(shown.text.contains("Type 11 to confirm"), "{}", shown.text);
    for wrong in ["", "10", "12", "yes"] {
        assert_eq!(choose(11, &[("do", "revoke"), ("typed", wrong)]).status, 422, "{wrong}");
    }
    assert_eq!(live(), 12);
    let done = choose(11, &[("do", "revoke"), ("typed", "11")]);
    assert_eq!(done.header("location"), "/console/tokens?done=revoked&count=11", "{}", done.text);
    assert_eq!(live(), 1);
    assert!(ada.page("/console/tokens?done=revoked&count=11").contains("11 tokens were revoked."));
}

#[test]
fn nobody_acts_on_tokens_of_others() {
    let app = TestApp::spawn();
    let (ada, bob) = (Browser::of(&app, "ada"), app.sign_in("bob"));
    let made = bob.create_token(json!({ "name": "CI", "abilities": ["user:read"] }));
    let (id, secret) = (made["id"].as_str().unwrap(), made["token"].as_str().unwrap());
    for fields in [
        &[("do", "revoke")][..],
        &[("do", "disable")],
        &[("do", "rotate"), ("grace", "0")],
        &[("do", "rename"), ("name", "x")],
    ] {
        assert_eq!(ada.post(&format!("/console/tokens/{id}"), fields).status, 404, "{fields:?}");
    }
    assert_eq!(ada.post("/console/tokens", &[("token", id), ("do", "revoke")]).status, 303, "none of hers");
    let owner = bob.get("/api/v1/user").body["id"].as_str().unwrap().to_owned();
    assert_eq!(ada.get(&format!("/console/tokens?owner={owner}")).status, 422);
    assert_eq!(app.bearer(secret).get("/api/user").status, 200);
}

#[test]
fn names_of_people_are_text_and_never_markup() {
    let app = TestApp::spawn();
    let ada = Browser::of(&app, "ada");
    let client = api(&app, &ada);
    let name = r#"<script>alert("1")</script>&amp;'"#;
    let made = client.create_token(json!({ "name": name, "description": name, "metadata": { "k": name } }));
    let id = made["id"].as_str().unwrap();
    for path in
        ["/console/tokens".to_owned(), format!("/console/tokens/{id}"), format!("/console/tokens/new?like={id}")]
    {
        let page = ada.page(&path);
        assert!(page.contains("&#60;script&#62;"), "{path}: {page}");
        assert!(!page.contains("<script>"), "{path}: {page}");
    }
    let search = ada.page("/console/tokens?search=%22%3E%3Cscript%3E&sort=%22%3E%3Cscript%3E");
    assert!(!search.contains("\"><script>"), "{search}");
}

#[test]
fn lists_are_searched_sorted_and_read_in_pages() {
    let app = TestApp::spawn();
    let ada = Browser::of(&app, "ada");
    let client = api(&app, &ada);
    for number in 0..60 {
        client.create_token(json!({ "name": format!("n{number:02}"), "expires_in_days": 100 - number }));
    }
    let names = |page: &str| -> Vec<String> {
        page.split("<th scope=\"row\">")
            .skip(1)
            .filter_map(|row| Some(row.split("<bdi>").nth(1)?.split('<').next()?.to_owned()))
            .collect()
    };
    let first = ada.page("/console/tokens");
    assert_eq!(names(&first).len(), 50);
    assert_eq!(names(&first)[0], "n59");
    let next = first
        .split_once(r#"rel="next" href=""#)
        .unwrap()
        .1
        .split_once('"')
        .unwrap()
        .0
        .replace("&amp;", "&")
        .replace("&#38;", "&");
    assert_eq!(names(&ada.page(&next)).last().unwrap(), "n00");
    assert_eq!(names(&ada.page("/console/tokens?sort=expires"))[0], "n59");
    assert_eq!(names(&ada.page("/console/tokens?sort=oldest"))[0], "n00");
    assert_eq!(names(&ada.page("/console/tokens?search=N07")), ["n07"]);
    assert!(ada.page("/console/tokens?search=none").contains("No token fits."));
    assert_eq!(ada.get("/console/tokens?cursor=forged").status, 422);
}
