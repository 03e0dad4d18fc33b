//! A revoked token can be read by its id for as long as lists show it, and nothing else can be done with it.

use serde_json::{Value, json};

use crate::harness::TestApp;

const TOKENS: &str = "/api/v1/user/api-tokens";

#[test]
fn a_revoked_token_can_be_read_by_its_id_and_not_changed() {
    let app = TestApp::spawn();
    let (ada, bob) = (app.sign_in("ada"), app.sign_in("bob"));
    let environment = ada.get("/api/user").body["current_environment_id"].as_str().unwrap().to_owned();
    let of_environment = format!("/api/v1/environments/{environment}/tokens");
    for list in [TOKENS, &of_environment] {
        let made = |name: &str| ada.post(list, json!({ "name": name })).body["data"].clone();
        let (deleted, leaked) = (made("deleted"), made("leaked"));
        let path = |token: &Value| format!("{list}/{}", token["id"].as_str().unwrap());
        assert_eq!(ada.get(&path(&deleted)).body["data"].get("revoked_at"), None);
        assert_eq!(ada.delete(&path(&deleted)).status, 200);
        assert_eq!(ada.post("/api/v1/tokens/revoke-leaked", json!({ "tokens": [leaked["token"]] })).status, 200);

        for (token, reason) in [(&deleted, "revoked_by_owner"), (&leaked, "leaked")] {
            let path = path(token);
            let shown = ada.get(&path);
            let data = &shown.body["data"];
            assert_eq!((shown.status, &data["revoked_reason"]), (200, &json!(reason)), "{}", shown.shown());
            assert_eq!((&data["revoked_at"], &data["id"]), (&json!(crate::harness::START), &token["id"]));
            assert_eq!(data["last_uses"], json!([]));
            let listed = ada.get(&format!("{list}?state=revoked")).body["data"].as_array().unwrap().clone();
            let listed = listed.into_iter().find(|listed| listed["id"] == token["id"]).unwrap();
            for (key, value) in listed.as_object().unwrap() {
                assert_eq!(&data[key], value, "{key}");
            }
            assert_eq!(ada.send("HEAD", &path, None).status, 200);

            assert_eq!(bob.get(&path).status, 404, "nobody else's");
            let mut changes = vec![ada.delete(&path)];
            if list == TOKENS {
                changes.push(ada.patch(&path, json!({ "name": "again" })));
                changes
                    .extend(["rotate", "disable", "enable"].map(|verb| ada.post(&format!("{path}/{verb}"), json!({}))));
            } else {
                changes.push(ada.post(&format!("{path}/regenerate"), json!({})));
            }
            for answer in changes {
                assert_eq!(answer.status, 404, "{}", answer.shown());
            }
            assert_eq!(app.bearer(token["token"].as_str().unwrap()).get("/api/user").status, 401);
        }
    }
    // The path of the other kind of token does not find it.
    let token = ada.post(&of_environment, json!({ "name": "t" })).body["data"]["id"].as_str().unwrap().to_owned();
    assert_eq!(ada.get(&format!("{TOKENS}/{token}")).status, 404);
    let token = ada.create_token(json!({ "name": "t" }))["id"].as_str().unwrap().to_owned();
    assert_eq!(ada.get(&format!("{of_environment}/{token}")).status, 404);
}

#[test]
fn the_start_page_says_where_to_continue() {
    let app = TestApp::spawn();
    for path in ["/", "/api", "/?utm_source=x"] {
        let answer = app.anonymous().get(path);
        assert_eq!((answer.status, &answer.body["name"]), (200, &json!("patd")), "{path}");
        for (name, link) in answer.body["links"].as_object().unwrap() {
            let status = app.anonymous().get(link.as_str().unwrap()).status;
            assert!([200, 401, 405].contains(&status), "{name}: {status}");
        }
    }
    assert_eq!(app.anonymous().post("/", json!({})).status, 405);
    assert_eq!(app.anonymous().get("/api/").status, 404);
}

#[test]
fn identify_names_the_environment_of_a_token() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let environment = ada.get("/api/user").body["current_environment_id"].clone();
    let list = format!("/api/v1/environments/{}/tokens", environment.as_str().unwrap());
    let of_environment = ada.post(&list, json!({ "name": "t" })).body["data"]["token"].as_str().unwrap().to_owned();
    let personal = ada.create_token(json!({ "name": "t" }))["token"].as_str().unwrap().to_owned();
    let identify = |token: &str| app.bearer(token).post("/api/v1/auth/identify", json!({})).body["data"].clone();
    assert_eq!(identify(&of_environment)["environment_id"], environment);
    for other in [&personal, ada.token.as_ref().unwrap()] {
        assert_eq!(identify(other).get("environment_id"), None);
    }
}
