//! The client against the real server and against servers that misbehave.

use std::time::Duration;

use patd_client::{Cache, Client, Undecided, Verdict};
use serde_json::{Value, json};

mod support;
use support::{FakeServer, Server, accepting, answer};

/// No token of this client may show up anywhere.
const OWN: &str = "pat_ownsecretownsecretownsecretownsecret12345678";
/// Nobody listens there.
const DEAD_URL: &str = "http://127.0.0.1:1";

async fn code(client: &Client, token: &str, abilities: &[&str], ip: Option<&str>) -> String {
    match client.verify(token, abilities, ip.map(|ip| ip.parse().unwrap())).await.unwrap() {
        Verdict::Accepted(_) => "valid".to_owned(),
        Verdict::Refused(refused) => refused.code,
    }
}

fn client_of(url: &str) -> Client {
    Client::builder(url, OWN).timeout(Duration::from_millis(500)).build().unwrap()
}

async fn failure(client: &Client) -> Undecided {
    client.verify("pat_presented", &[], None).await.unwrap_err()
}

#[tokio::test]
async fn a_token_is_accepted_until_it_is_revoked() {
    let patd = Server::start();
    let client = patd.client();
    let (id, secret) = patd.create_token(&["calls:read"], &json!({"metadata": {"team": "payments"}}));
    let Verdict::Accepted(accepted) = client.verify(&secret, &["calls:read"], None).await.unwrap() else { panic!() };
    assert_eq!((&*accepted.token.id, &*accepted.token.r#type), (&*id, "personal_access_token"));
    assert_eq!(accepted.token.metadata["team"], "payments");
    assert_eq!(accepted.owner.unwrap().email.as_deref(), Some("demo@example.com"));
    let introspection = client.introspect(&secret).await.unwrap().unwrap();
    assert_eq!((&*introspection.jti, &*introspection.scope, &*introspection.sub), (&*id, "calls:read", patd.user_id()));
    patd.revoke_token(&id);
    assert_eq!(code(&client, &secret, &["calls:read"], None).await, "revoked");
    assert_eq!(client.introspect(&secret).await.unwrap(), None);
}

#[tokio::test]
async fn a_refusal_says_why() {
    let (patd, expired) = Server::with_expired_token().await;
    let client = patd.client();
    assert_eq!(code(&client, &expired, &["calls:read"], None).await, "expired");
    assert_eq!(client.introspect(&expired).await.unwrap(), None);
    let (_, secret) = patd.create_token(&["calls:read"], &json!({}));
    let Verdict::Refused(refused) = client.verify(&secret, &["calls:read", "calls:write"], None).await.unwrap() else {
        panic!()
    };
    assert_eq!(
        (&*refused.code, refused.required.len(), &*refused.missing),
        ("missing_ability", 2, &["calls:write".to_owned()][..])
    );
    for token in ["", "x", "pat_unknown", "pät_☃\0&token=x"] {
        assert_eq!(code(&client, token, &[], None).await, "malformed");
        assert_eq!(client.introspect(token).await.unwrap(), None);
    }
    let (_, allowed) = patd.create_token(&[], &json!({"ip_allowlist": ["192.0.2.0/24"]}));
    assert_eq!(code(&client, &allowed, &[], Some("192.0.2.7")).await, "valid");
    assert_eq!(code(&client, &allowed, &[], Some("198.51.100.7")).await, "ip_not_allowed");
    assert_eq!(code(&client, &allowed, &[], None).await, "ip_not_allowed");
    for (limit, expected) in [("requests_per_minute", "rate_limited"), ("quota", "quota_exceeded")] {
        let (_, limited) = patd.create_token(&[], &json!({limit: 1}));
        assert_eq!(code(&client, &limited, &[], None).await, "valid");
        assert_eq!(code(&client, &limited, &[], None).await, expected);
    }
    let no_ability = client.verify(&secret, &["no ability"], None).await.unwrap_err();
    assert!(no_ability.to_string().contains("422"), "{no_ability}");
}

#[tokio::test]
async fn a_credential_of_the_client_that_is_refused_says_nothing_about_the_token() {
    let patd = Server::start();
    let (_, secret) = patd.create_token(&["*"], &json!({}));
    for (own, status) in [(OWN, "401"), (&*secret, "403")] {
        let client = Client::builder(patd.url(), own).build().unwrap();
        let errors =
            [client.verify(&secret, &[], None).await.unwrap_err(), client.introspect(&secret).await.unwrap_err()];
        for error in errors {
            assert!(error.to_string().contains(status), "{error}");
        }
    }
}

fn with(field: &str, value: Value) -> String {
    let mut verdict = accepting();
    verdict["data"][field] = value;
    answer("200 OK", &verdict.to_string(), "")
}

#[tokio::test]
async fn what_is_no_verdict_is_undecided() {
    let verdict = accepting().to_string();
    let cases = [
        answer("500 Internal Server Error", "{}", ""),
        answer("503 Service Unavailable", "{}", "Retry-After: 1\r\n"),
        answer("429 Too Many Requests", "{}", ""),
        answer("401 Unauthorized", "{}", ""),
        answer("403 Forbidden", "{}", ""),
        answer("422 Unprocessable Content", "{}", ""),
        answer("203 Non-Authoritative", &verdict, ""),
        answer("200 OK", "<html>Welcome to nginx</html>", ""),
        answer("200 OK", "", ""),
        answer("200 OK", &verdict[..verdict.len() - 9], ""),
        answer("200 OK", &"[".repeat(100_000), ""),
        answer("200 OK", &(" ".repeat(2_000_000) + &verdict), ""),
        format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 9999\r\n\r\n{verdict}"),
        answer("200 OK", "null", ""),
        answer("200 OK", r#"{"data":{}}"#, ""),
        with("valid", json!("true")),
        with("valid", json!(false)),
        with("code", json!("revoked")),
        with("token", Value::Null),
        with("owner", json!("Ada")),
        "220 mail.example.com ESMTP\r\n".repeat(9),
    ];
    for case in cases {
        let server = FakeServer::answering(&*case);
        let client = client_of(&server.url);
        assert!(client.verify("pat_x", &[], None).await.is_err(), "{case:.200}");
        assert!(client.introspect("pat_x").await.is_err(), "{case:.200}");
        assert_eq!(server.requests(), 2, "{case:.200}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = FakeServer::answering(answer("200 OK", &accepting().to_string(), ""));
    for status in ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let location = format!("Location: {}/api/v1/tokens/verify\r\n", elsewhere.url);
        let server = FakeServer::answering(answer(status, "", &location));
        let error = failure(&client_of(&server.url)).await;
        assert!(error.to_string().contains(&status[..3]), "{error}");
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn a_server_that_is_down_or_late_is_undecided() {
    let slow = answer("200 OK", &accepting().to_string(), "");
    // The whole answer would be a verdict, after 15 seconds.
    let slow = FakeServer::start(Some(slow), Some(Duration::from_millis(50)));
    let silent = FakeServer::start(None, None);
    for (url, expected) in [(DEAD_URL, "refused"), (&*silent.url, "timed out"), (&*slow.url, "timed out")] {
        let error = failure(&client_of(url)).await;
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn the_time_outs_are_the_documented_ones() {
    let builder = format!("{:?}", Client::builder(DEAD_URL, OWN));
    assert!(builder.contains("connect_timeout: 1s, timeout: 2s"), "{builder}");
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let server = FakeServer::answering(answer("200 OK", &accepting().to_string(), ""));
    let client = client_of(&format!("{}/patd/", server.url));
    for _ in 0..20 {
        assert_eq!(code(&client.clone(), "pat_x", &[], None).await, "valid");
    }
    assert_eq!((server.connections(), server.requests()), (1, 20));
}

#[tokio::test]
async fn nothing_shows_the_credential_of_the_client() {
    let client = client_of(DEAD_URL);
    let error = failure(&client).await;
    let builder = Client::builder(DEAD_URL, OWN);
    let mut shown = vec![format!("{client:?} {client:#?} {builder:?} {error:?} {error}")];
    for token in [String::new(), format!("{OWN}\n"), format!("{OWN} x"), format!("{OWN}☃")] {
        let error = Client::builder(DEAD_URL, token).build().unwrap_err();
        shown.push(format!("{error:?} {error}"));
    }
    assert!(!shown.join(" ").contains("ownsecret") && !shown.join(" ").contains("pat_presented"), "{shown:?}");
}

#[test]
fn a_url_that_is_none_is_refused() {
    for url in ["", "patd.example.com", "ftp://h", "http://", "http://user:secret@h", "http://h?x=1", "http://h#x"] {
        assert!(Client::builder(url, OWN).build().is_err(), "{url}");
    }
    assert_eq!(Client::builder("https://h", OWN).build().is_ok(), cfg!(feature = "tls"));
}

#[tokio::test]
async fn nothing_is_cached_by_default_and_a_cache_costs_the_exactness() {
    let patd = Server::start();
    let (id, secret) = patd.create_token(&["calls:read"], &json!({}));
    let age = Duration::from_secs(3600);
    let cached = Client::builder(patd.url(), patd.introspect_token()).cache(Cache::new(age, 10)).build().unwrap();
    let brief = Cache::new(Duration::from_nanos(1), 10);
    let brief = Client::builder(patd.url(), patd.introspect_token()).cache(brief).build().unwrap();
    for client in [&cached, &brief, &patd.client()] {
        assert_eq!(code(client, &secret, &["calls:read"], None).await, "valid");
    }
    patd.revoke_token(&id);
    assert_eq!(code(&patd.client(), &secret, &["calls:read"], None).await, "revoked");
    assert_eq!(code(&brief, &secret, &["calls:read"], None).await, "revoked");
    assert_eq!(code(&cached, &secret, &["calls:read"], None).await, "valid", "this is what the cache costs");
    assert_eq!(code(&cached, &secret, &[], None).await, "revoked", "another question");
    assert_eq!(code(&cached, &secret, &["calls:read"], Some("::1")).await, "revoked", "another question");
}

#[tokio::test]
async fn an_introspection_with_other_fields_is_undecided() {
    for body in
        ["{}", r#"{"active":"yes"}"#, r#"{"active":true}"#, r#"{"active":true,"scope":"","jti":1,"sub":"","iat":1}"#]
    {
        let server = FakeServer::answering(answer("200 OK", body, ""));
        assert!(client_of(&server.url).introspect("pat_x").await.is_err(), "{body}");
    }
}

#[tokio::test]
async fn an_expired_token_is_not_cached() {
    for (expires_at, requests) in [("2020-01-01T00:00:00Z", 2), ("9999-12-31T23:59:59Z", 1)] {
        let token = json!({"id": "1", "type": "personal_access_token", "abilities": [], "expires_at": expires_at});
        let server = FakeServer::answering(with("token", token));
        let cache = Cache::new(Duration::from_secs(3600), 10);
        let client = Client::builder(&*server.url, OWN).cache(cache).build().unwrap();
        for _ in 0..2 {
            assert_eq!(code(&client, "pat_x", &[], None).await, "valid");
        }
        assert_eq!(server.requests(), requests, "{expires_at}");
    }
}

#[tokio::test]
async fn a_cache_keeps_neither_refusals_nor_too_much() {
    let age = Duration::from_secs(3600);
    let with_cache = |url: &str| Client::builder(url, OWN).cache(Cache::new(age, 2)).build().unwrap();
    let refusing = FakeServer::answering(answer("200 OK", r#"{"data":{"valid":false,"code":"revoked"}}"#, ""));
    let client = with_cache(&refusing.url);
    for _ in 0..2 {
        assert_eq!(code(&client, "pat_x", &[], None).await, "revoked");
    }
    assert_eq!(refusing.requests(), 2);
    let accepting = FakeServer::answering(answer("200 OK", &accepting().to_string(), ""));
    let client = with_cache(&accepting.url);
    for token in ["pat_a", "pat_b", "pat_c", "pat_c", "pat_b"] {
        code(&client, token, &["b", "a"], None).await;
    }
    code(&client, "pat_c", &["a", "b"], None).await;
    assert_eq!(accepting.requests(), 3);
    code(&client, "pat_a", &["a", "b"], None).await;
    assert_eq!(accepting.requests(), 4, "the oldest was left out");
}
