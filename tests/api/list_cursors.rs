//! A cursor belongs to its list, its filters and its order. With others, the next page would have gaps.

use serde_json::{Value, json};

use crate::harness::{Client, TestApp};

/// The parameters of a list, as it names them when another one is sent.
fn parameters(client: &Client<'_>, path: &str) -> Vec<String> {
    let answer = client.get(&format!("{path}?no_such_parameter=1"));
    let said = answer.body["errors"]["no_such_parameter"][0].as_str().unwrap_or_default();
    let Some((_, names)) = said.split_once("The parameters here are: ") else { return Vec::new() };
    names.trim_end_matches('.').split(", ").map(str::to_owned).collect()
}

/// A value for each parameter that filters or sorts a list.
fn value(path: &str, name: &str, user: &str, account: &str, environment: &str) -> String {
    let value = match (name, path) {
        ("owner", "/api/v1/user/api-tokens") => account,
        ("sort", "/api/v1/admin/users") => "name",
        ("owner" | "actor" | "subject", _) => user,
        ("environment", _) => environment,
        ("search" | "name" | "metadata[KEY]", _) => "t",
        ("state", _) => "active",
        ("role", _) => "member",
        ("sort", _) => "expires",
        ("order", _) => "asc",
        ("kind", _) => "personal_access_token",
        ("ability", _) => "calls:read",
        ("service_account" | "canary", _) => "false",
        ("unused_for", _) => "1h",
        ("action", _) => "token.",
        ("outcome", _) => "success",
        ("address", _) => "127.0.0.1",
        ("from" | "created_after" | "expires_after" | "last_used_after", _) => "2000-01-01T00:00:00Z",
        ("until" | "created_before" | "expires_before" | "last_used_before", _) => "2100-01-01T00:00:00Z",
        (name, path) => panic!("{path} has a new parameter {name}: add a value for it"),
    };
    format!("{}={value}", name.replace("KEY", "team"))
}

#[test]
fn a_cursor_of_any_list_is_refused_with_another_filter_or_order() {
    let app = TestApp::spawn();
    let root = app.sign_in_admin("root");
    let (_second, ada) = (app.sign_in_again("root"), app.sign_in("ada"));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let user = text(&root.get("/api/user").body["id"]);
    let environment = text(&root.post("/api/v1/environments", json!({ "name": "e" })).body["data"]["id"]);
    for name in ["one", "two"] {
        root.create_token(json!({ "name": name }));
        root.post(&format!("/api/v1/environments/{environment}/tokens"), json!({ "name": name }));
        ada.create_token(json!({ "name": name }));
    }
    let mut account = String::new();
    for name in ["one", "two"] {
        account = text(&root.post("/api/v1/service-accounts", json!({ "name": name })).body["data"]["id"]);
    }
    let mut lists = 0;
    for (method, path) in patd::http::routes() {
        let path = path.replace("{id}", if path.contains("/environments/") { &environment } else { &user });
        let path = path.replace("{name}", "errors");
        let parameters = if method == "GET" { parameters(&root, &path) } else { Vec::new() };
        if !parameters.iter().any(|name| name == "cursor") {
            continue;
        }
        lists += 1;
        let first = root.get(&format!("{path}?limit=1"));
        let cursor = first.body["next_cursor"].as_str().unwrap_or_else(|| panic!("{path}: {}", first.shown()));
        let next = root.get(&format!("{path}?limit=2&cursor={cursor}"));
        assert_eq!(next.status, 200, "{path}: the limit may change: {}", next.shown());
        for name in parameters.iter().filter(|name| !["cursor", "limit"].contains(&name.as_str())) {
            let filter = value(&path, name, &user, &account, &environment);
            assert_eq!(root.get(&format!("{path}?limit=1&{filter}")).status, 200, "{path}?{filter}");
            let refused = root.get(&format!("{path}?limit=1&{filter}&cursor={cursor}"));
            let says = refused.body["errors"]["cursor"][0].as_str().unwrap_or_default();
            assert!(
                refused.status == 422 && says.contains("same filters and order"),
                "{path}?{filter}: {}",
                refused.shown()
            );
        }
    }
    assert_eq!(lists, 11, "lists with pages");
}
