//! The options of a policy: how paths are read, the challenges, where a token may be sent, and which headers the
//! application gets.

use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::json;

use crate::{
    authz::{DIALECTS, Dialect, IDENTITY, token},
    environments::id_of,
    harness::{Answer, TestApp},
};

const POLICIES: &str = r#"
[[policies]]
name = "strict"
rules = [{ paths = ["/public/**"], public = true }, { paths = ["/**"], abilities = ["x"] }]

[[policies]]
name = "packages"
path_reading = { encoded_slash = "within_segment" }
challenges = ["bearer", "basic"]
rules = [
    { paths = ["/public/**"], public = true },
    { paths = ["/projects/*"], abilities = ["projects:read"] },
    { paths = ["/projects/*/*"], abilities = ["projects:write"] },
]

[[policies]]
name = "registry"
challenges = ["basic"]
rules = [{ paths = ["/**"] }]

[[policies]]
name = "places"
credential_from = ["header:X-API-Key", "cookie:session"]
rules = [{ paths = ["/**"] }]

[[policies]]
name = "one"
identity_headers = ["X-Auth-Token-Id"]
rules = [{ paths = ["/**"] }]

[[policies]]
name = "two"
identity_headers = ["Remote-User", "X-Auth-Request-Email"]
rules = [{ paths = ["/**"] }]
"#;

fn app() -> TestApp {
    TestApp::with_file(POLICIES, &[("server.trusted_proxies", "127.0.0.1/32")])
}

fn challenges(answer: &Answer) -> Vec<&str> {
    answer.headers.get_all("www-authenticate").iter().map(|value| value.to_str().unwrap()).collect()
}

const BASIC: &str = r#"Basic realm="patd", charset="UTF-8""#;

fn basic(pair: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(pair))
}

#[test]
fn an_encoded_slash_is_part_of_a_segment_if_the_policy_says_so() {
    let app = app();
    let ada = app.sign_in("ada");
    let (reader, writer) = (token(&app, &ada, &["projects:read"]), token(&app, &ada, &["projects:write", "x"]));
    for dialect in DIALECTS {
        let ask = |policy, target| dialect.ask_with(&reader, policy, "GET", target, &[]).status;
        assert_eq!(ask("packages", "/projects/group%2Fproject"), 200, "{dialect:?}");
        assert_eq!(ask("packages", "/projects/group/project"), 403, "{dialect:?}");
        assert_eq!(ask("strict", "/projects/group%2Fproject"), 403, "{dialect:?}");
        let ask = |policy, target| dialect.ask_with(&writer, policy, "GET", target, &[]).status;
        assert_eq!(ask("packages", "/projects/group%2Fproject"), 403, "never two segments: {dialect:?}");
        assert_eq!(ask("packages", "/projects/group/project"), 200, "{dialect:?}");
        assert_eq!(ask("strict", "/x"), 200, "{dialect:?}");
        let open = |target| dialect.ask_with(&app.anonymous(), "packages", "GET", target, &[]).status;
        assert_eq!(open("/public/@angular%2fcommon"), 200, "{dialect:?}");
        for hidden in ["/public/a%2f..%2f..%2fx", "/public%2f..%2fx", "/public/..%2fx", "/public/a;x", "/public%2fx"] {
            assert_eq!(open(hidden), 403, "{dialect:?} {hidden}");
        }
    }
}

#[test]
fn a_401_has_the_challenges_of_the_policy_and_basic_first() {
    let app = app();
    let bad = app.bearer("pat_nonsense");
    for dialect in DIALECTS {
        let ask = |client, policy| {
            let answer = dialect.ask_with(client, policy, "GET", "/projects/1", &[]);
            assert_eq!(answer.status, 401, "{dialect:?} {policy}: {}", answer.shown());
            answer
        };
        let nobody = app.anonymous();
        assert_eq!(challenges(&ask(&nobody, "strict")), [r#"Bearer realm="patd""#]);
        assert_eq!(challenges(&ask(&nobody, "packages")), [BASIC, r#"Bearer realm="patd""#]);
        assert_eq!(challenges(&ask(&bad, "packages")), [BASIC, r#"Bearer realm="patd", error="invalid_token""#]);
        assert_eq!(challenges(&ask(&nobody, "registry")), [BASIC]);
        assert_eq!(challenges(&ask(&bad, "registry")), [BASIC]);
    }
}

#[test]
fn basic_may_have_the_token_as_user_or_password_if_the_policy_offers_it() {
    let app = app();
    let ada = app.sign_in("ada");
    let client = token(&app, &ada, &["projects:read", "x"]);
    let token = client.token.clone().unwrap();
    let short = token.split_once('|').unwrap().1;
    let ask = |policy: &str, value: &str| {
        let headers = [("Authorization", value)];
        Dialect::ForwardAuth.ask_with(&app.anonymous(), policy, "GET", "/projects/1", &headers).status
    };
    for pair in [
        format!("git:{token}"),
        format!(":{token}"),
        format!("{token}:"),
        format!("{token}:x-oauth-basic"),
        format!("{short}:x"),
        short.to_owned(),
        format!("x-access-token:{short}"),
    ] {
        assert_eq!(ask("packages", &basic(&pair)), 200, "{pair}");
    }
    for (pair, status) in [
        (":", 401),
        ("ada:a password that somebody typed", 401),
        ("ada:", 401),
        (&*format!("{token}:{short}"), 400),
        (&*format!("{short}x:"), 401),
    ] {
        assert_eq!(ask("packages", &basic(pair)), status, "{pair}");
    }
    assert_eq!(ask("packages", "Basic ???"), 400);
    assert_eq!(ask("strict", &basic(&format!("{token}:"))), 400, "other policies do not read the user name");
    assert_eq!(ask("strict", &basic(&format!("git:{token}"))), 200);
}

#[test]
fn a_token_may_be_sent_in_one_of_the_places_of_the_policy() {
    let app = app();
    let ada = app.sign_in("ada");
    let token = token(&app, &ada, &["x"]).token.unwrap();
    let (bearer, cookie) = (format!("Bearer {token}"), format!("a=1; session={token}; b=2"));
    let ask = |dialect: Dialect, policy, headers: &[(&str, &str)]| {
        let answer = dialect.ask_with(&app.anonymous(), policy, "GET", "/x", headers);
        (answer.status, answer.header("x-auth-error").map(str::to_owned))
    };
    for dialect in DIALECTS {
        for headers in [
            &[("X-API-Key", &*token)][..],
            &[("Cookie", &cookie)],
            &[("Cookie", &*format!("session=\"{token}\""))],
            &[("Authorization", &bearer)],
            &[("Authorization", &bearer), ("X-API-Key", ""), ("Cookie", "session=; sessionid=x")],
            &[("Authorization", "Negotiate abc"), ("X-API-Key", &token)],
        ] {
            assert_eq!(ask(dialect, "places", headers).0, 200, "{dialect:?} {headers:?}");
        }
        for headers in [&[("X-API-Key", &*token)][..], &[("Cookie", &cookie)]] {
            assert_eq!(ask(dialect, "strict", headers).0, 401, "off by default: {dialect:?} {headers:?}");
        }
        for headers in [
            &[("X-API-Key", "nonsense")][..],
            &[("X-API-Key", &*bearer)],
            &[("Cookie", "session=a b")],
            &[("Cookie", &*format!("Session={token}"))],
            &[("Cookie", &*format!("xsession={token}"))],
        ] {
            assert_eq!(ask(dialect, "places", headers).0, 401, "{dialect:?} {headers:?}");
        }
        let status = if dialect == Dialect::Nginx { 403 } else { 400 };
        for headers in [
            &[("Authorization", &*bearer), ("X-API-Key", &*token)][..],
            &[("Authorization", &bearer), ("Cookie", &cookie)],
            &[("X-API-Key", &token), ("Cookie", &cookie)],
            &[("X-API-Key", &token), ("X-API-Key", &token)],
            &[("Cookie", &*format!("session={token}; session={token}"))],
            &[("Cookie", &cookie), ("Cookie", &cookie)],
            &[("Authorization", &bearer), ("X-API-Key", "nonsense")],
            &[("Authorization", &*basic(&format!("git:{token}"))), ("X-API-Key", &token)],
        ] {
            let refused = ask(dialect, "places", headers);
            assert_eq!(refused, (status, Some("malformed_request".into())), "{dialect:?} {headers:?}");
        }
    }
}

#[test]
fn an_application_gets_the_headers_of_the_policy_and_the_others_empty() {
    let app = app();
    let ada = app.sign_in("ada");
    let created = ada.create_token(json!({ "name": "t" }));
    let client = app.bearer(created["token"].as_str().unwrap());
    let (user, email) = (id_of(&ada.get("/api/user").body).to_owned(), "ada@example.com");
    for dialect in DIALECTS {
        for (policy, wanted) in [
            ("one", &[("x-auth-token-id", id_of(&created))][..]),
            ("two", &[("remote-user", &*user), ("x-auth-request-email", email)]),
        ] {
            let forged = [("Remote-User", "root"), ("X-Auth-Abilities", "*")];
            let answer = dialect.ask_with(&client, policy, "GET", "/x", &forged);
            assert_eq!(answer.status, 200);
            for name in IDENTITY {
                let expected = wanted.iter().find(|(header, _)| *header == name).map_or("", |(_, value)| value);
                assert_eq!(answer.header(name), Some(expected), "{dialect:?} {policy} {name}");
            }
        }
    }
}

/// In every dialect, even if the framework's parser would cut it off.
#[test]
fn a_raw_fragment_is_malformed() {
    let app = app();
    let ada = app.sign_in("ada");
    let client = token(&app, &ada, &["*"]);
    for target in ["/public/a#/../../settings/x", "/public/#", "/public/a?#", "/public/a?x=1#/../../settings/x"] {
        for dialect in [Dialect::Nginx, Dialect::ForwardAuth] {
            let answer = dialect.ask_with(&client, "strict", "GET", target, &[]);
            let outcome = (answer.status, answer.header("x-auth-error"));
            assert_eq!(outcome, (403, Some("malformed_path")), "{dialect:?} {target}");
        }
    }
}

#[test]
fn a_raw_fragment_is_malformed_for_envoy_and_for_every_route() {
    let app = app();
    let ada = app.sign_in("ada");
    let token = token(&app, &ada, &["*"]).token.unwrap();
    let head = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n");
    let ask = |target: &str| app.raw(format!("{}Connection: close\r\n\r\n", head(target)).as_bytes());
    assert!(ask("/api/authz/ext-authz/strict/public/a").starts_with("HTTP/1.1 200"));
    assert!(ask("/api/authz/ext-authz/strict/public/a%23b").starts_with("HTTP/1.1 200"));
    for target in ["/public/a#/../../settings/x", "/public/#", "/public/a?x#", "/public/a##", "/public#"] {
        let answer = ask(&format!("/api/authz/ext-authz/strict{target}"));
        assert!(answer.starts_with("HTTP/1.1 403") && answer.contains("malformed_path"), "{target}: {answer}");
    }
    for target in ["/api/user#", "/api/user#x", "/livez#", "/api/authz/ext-authz/strict#/public/x", "/#"] {
        let answer = ask(target);
        assert!(answer.starts_with("HTTP/1.1 4") && !answer.contains("HTTP/1.1 200"), "{target}: {answer}");
    }
    assert!(ask("/api/user#x").contains("malformed_request"));

    // After another request in the same segment, and after a body: nothing that follows is answered.
    let good = head("/api/authz/ext-authz/strict/public/a") + "\r\n";
    let bad = head("/api/authz/ext-authz/strict/public/a#/../x") + "\r\n";
    let body = head("/api/v1/auth/identify").replace("GET", "POST")
        + "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
    for before in [&good, &body] {
        let answers = app.raw(format!("{before}{bad}{good}").as_bytes());
        assert!(answers.matches("HTTP/1.1 200").count() <= 1, "{answers}");
        assert!(answers.contains("malformed_path"), "{answers}");
    }
    // A # elsewhere is not a fragment.
    let noted =
        format!("{}X-Note: #1 HTTP/1.0 HTTP\r\nReferer: http://x/#a\r\nConnection: close\r\n\r\n", head("/livez"));
    assert!(app.raw(noted.as_bytes()).starts_with("HTTP/1.1 200"));
}
