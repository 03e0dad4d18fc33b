//! Unknown parameters and fields are refused on every route, before anything is done.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::{
    harness::{Answer, Client, TestApp},
    introspection::introspector,
};

const TOKENS: &str = "/api/v1/user/api-tokens";

/// Routes that ignore unknown parameters: OAuth requires it, and probes may send any.
const LAX: [&str; 12] = [
    "/",
    "/api",
    "/api/docs",
    "/api/docs/{name}",
    "/api/openapi.json",
    "/api/openapi-3.0.json",
    "/api/v1/introspect",
    "/api/v1/revoke",
    "/llms.txt",
    "/livez",
    "/readyz",
    "/healthz",
];

/// Every strict route with a client that may call it. Without HEAD, whose answers have no body that names the mistake.
fn strict_routes<'a>(app: &'a TestApp) -> Vec<(Client<'a>, String, String)> {
    let (service, ada, root) = (introspector(app), app.sign_in("ada"), app.sign_in_admin("root"));
    let token = app.bearer(ada.create_token(json!({ "name": "t" }))["token"].as_str().unwrap());
    let is_strict = |path: &str| !LAX.contains(&path) && !path.starts_with("/api/authz/");
    let routes = patd::http::routes().into_iter().filter(|(method, path)| method != "HEAD" && is_strict(path));
    let who = |path: &str| match path {
        "/api/v1/user/api-tokens/self/rotate" => token.clone(),
        path if path.starts_with("/api/v1/admin/") => root.clone(),
        path if path.starts_with("/api/v1/tokens/verify") => service.clone(),
        path if path.starts_with("/api/v1/admin/") || path.starts_with("/api/v1/service-accounts") => root.clone(),
        _ => ada.clone(),
    };
    let named = |path: &str| {
        let ids = ["{id}", "{user_id}", "{token_id}"];
        ids.iter().fold(path.to_owned(), |path, id| path.replace(id, &uuid::Uuid::now_v7().to_string()))
    };
    routes.map(|(method, path)| (who(path), method.to_string(), named(path))).collect()
}

fn names(answer: &Answer, field: &str) -> bool {
    answer.status == 422 && answer.body["errors"][field][0].as_str().is_some_and(|said| said.contains("is unknown."))
}

#[test]
fn an_unknown_parameter_of_the_query_is_refused_on_every_route() {
    let app = TestApp::with(&[("accounts.registration", "true")]);
    for (client, method, path) in strict_routes(&app) {
        let answer = client.send(&method, &format!("{path}?stat=revoked"), (method != "GET").then(|| json!({})));
        assert!(names(&answer, "stat"), "{method} {path}: {}", answer.shown());
    }
    let ada = app.sign_in_again("ada");
    assert_snapshot!(ada.get(&format!("{TOKENS}?stat=revoked&limit=1&x&x")).shown(), @r#"
    422
    {
      "code": "validation_failed",
      "errors": {
        "stat": [
          "The stat field is unknown. The parameters here are: limit, cursor, search, state, owner, metadata[KEY]."
        ],
        "x": [
          "The x field is unknown. The parameters here are: limit, cursor, search, state, owner, metadata[KEY]."
        ]
      },
      "message": "The stat field is unknown. The parameters here are: limit, cursor, search, state, owner, metadata[KEY]. (and 1 more error)"
    }
    "#);
    assert_snapshot!(ada.get("/api/user?fields=name").shown(), @r#"
    422
    {
      "code": "validation_failed",
      "errors": {
        "fields": [
          "The fields field is unknown. There are no parameters here."
        ]
      },
      "message": "The fields field is unknown. There are no parameters here."
    }
    "#);
    assert_eq!(ada.send("HEAD", "/api/user?fields=name", None).status, 422);
    assert_eq!(ada.get("/api/user?").status, 200);
    assert_eq!(
        app.anonymous().get("/api/user?fields=name").status,
        401,
        "a caller without a credential learns nothing"
    );
}

#[test]
fn an_unknown_field_is_refused_on_every_route_with_a_body_or_without() {
    let app = TestApp::with(&[("accounts.registration", "true")]);
    for (client, method, path) in strict_routes(&app) {
        let sent = |kind: &str, body: &[u8]| client.send_as(&method, &path, kind, body);
        let answer = sent("application/json", br#"{"reason":"x"}"#);
        assert!(names(&answer, "reason"), "{method} {path}: {}", answer.shown());
        assert_eq!(sent("application/json", br#"["reason"]"#).status, 400, "{method} {path}");
        assert_eq!(sent("text/plain", b"reason").status, 415, "{method} {path}");
    }
}

#[test]
fn a_route_without_fields_works_without_a_body_and_not_with_a_wrong_one() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let path = format!("{TOKENS}/{}", ada.create_token(json!({ "name": "t" }))["id"].as_str().unwrap());
    let is_disabled = || ada.get(&path).body["data"]["disabled_at"] != Value::Null;
    let disable = format!("{path}/disable");

    assert_snapshot!(ada.post(&disable, json!({ "reason": "holidays" })).shown(), @r#"
    422
    {
      "code": "validation_failed",
      "errors": {
        "reason": [
          "The reason field is unknown. There are no fields here."
        ]
      },
      "message": "The reason field is unknown. There are no fields here."
    }
    "#);
    assert!(!is_disabled());
    assert_eq!(ada.post(&disable, json!({})).status, 200);
    assert!(is_disabled());
    // As `curl -d ''` sends it.
    let empty = [("Content-Type", "application/x-www-form-urlencoded")];
    assert_eq!(ada.send_with("POST", &format!("{path}/enable"), &empty, &[]).status, 200);
    assert!(!is_disabled());

    let chunked = format!(
        "DELETE {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n",
        ada.token.as_ref().unwrap()
    );
    let answer = app.raw(format!("{chunked}7\r\n{{\"a\":1}}\r\n0\r\n\r\n").as_bytes());
    assert!(answer.starts_with("HTTP/1.1 422"), "{answer}");
    let answer = app.raw(format!("{chunked}0\r\n\r\n").as_bytes());
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn oauth_routes_and_probes_ignore_unknown_parameters() {
    let app = TestApp::spawn();
    let service = introspector(&app);
    for path in ["/livez", "/readyz", "/healthz"] {
        assert_eq!(app.anonymous().get(&format!("{path}?verbose=1")).status, 200, "{path}");
    }
    for path in ["/api/v1/introspect", "/api/v1/revoke"] {
        let answer =
            service.send_as("POST", &format!("{path}?x=1"), "application/x-www-form-urlencoded", b"token=t&unknown=1");
        assert_eq!(answer.status, 200, "{path}: {}", answer.shown());
    }
}
