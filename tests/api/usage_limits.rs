//! Usage limits: allowed addresses, rate limit and quota.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use insta::assert_snapshot;
use patd::ops::{
    self,
    verification::{self, Caller, Rejection},
};
use serde_json::{Value, json};

use crate::{
    harness::{Answer, Client, TestApp, block_on},
    introspection::{introspect, introspector},
    outage::Faulty,
};

const TOKENS: &str = "/api/v1/user/api-tokens";
const POLICY: &str = r#"
[[policies]]
name = "app"
rules = [
    { paths = ["/admin/**"], abilities = ["admin-of-app"] },
    { paths = ["/**"], abilities = [] },
]
"#;
const PROXY: &[(&str, &str)] = &[("server.trusted_proxies", "127.0.0.1/32")];

pub fn behind_a_proxy() -> TestApp {
    TestApp::with_file(POLICY, PROXY)
}

pub fn limited<'a>(app: &'a TestApp, owner: &Client<'_>, limits: Value) -> (Client<'a>, String) {
    let mut body = json!({ "name": "limited", "abilities": ["user:read"] });
    body.as_object_mut().unwrap().extend(limits.as_object().unwrap().clone());
    let created = owner.create_token(body);
    (app.bearer(created["token"].as_str().unwrap()), format!("{TOKENS}/{}", created["id"].as_str().unwrap()))
}

pub fn ask_from(client: &Client<'_>, endpoint: &str, address: Option<&str>) -> Answer {
    let (method, target) = match endpoint {
        "auth-request" => ("X-Original-Method", "X-Original-URI"),
        _ => ("X-Forwarded-Method", "X-Forwarded-Uri"),
    };
    let mut headers = vec![(method, "GET"), (target, "/calls")];
    headers.extend(address.map(|address| ("X-Forwarded-For", address)));
    client.send_with("GET", &format!("/api/authz/{endpoint}/app"), &headers, &[])
}

#[test]
fn the_limits_of_a_token_are_shown() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let created = ada.post(
        TOKENS,
        json!({ "name": "t", "abilities": [], "ip_allowlist": ["192.0.2.7/24", "2001:db8::1"],
            "requests_per_minute": 60, "quota": 1000 }),
    );
    assert_snapshot!(created.shown(), @r#"
    201
    location: /api/v1/user/api-tokens/[uuid]
    {
      "data": {
        "abilities": [],
        "created_at": "2024-01-15T19:00:00Z",
        "expires_at": null,
        "hint": "[hint]",
        "id": "[uuid]",
        "ip_allowlist": [
          "192.0.2.0/24",
          "2001:db8::1/128"
        ],
        "name": "t",
        "quota": 1000,
        "quota_remaining": 1000,
        "requests_per_minute": 60,
        "token": "1|pat_[secret]"
      }
    }
    "#);
    let path = format!("{TOKENS}/{}", created.body["data"]["id"].as_str().unwrap());
    assert_snapshot!(ada.get(&path).shown(), @r#"
    200
    {
      "data": {
        "abilities": [],
        "abilities_unused": [],
        "created_at": "2024-01-15T19:00:00Z",
        "disabled_at": null,
        "expires_at": null,
        "hint": "[hint]",
        "id": "[uuid]",
        "ip_allowlist": [
          "192.0.2.0/24",
          "2001:db8::1/128"
        ],
        "last_used_at": null,
        "last_uses": [],
        "name": "t",
        "quota": 1000,
        "quota_remaining": 1000,
        "requests_per_minute": 60,
        "rotated_from": null,
        "rotated_to": null
      }
    }
    "#);
    let mut shown = ada.get(&path).body["data"].clone();
    assert_eq!(shown.as_object_mut().unwrap().remove("last_uses"), Some(json!([])));
    assert_eq!(shown.as_object_mut().unwrap().remove("abilities_unused"), Some(json!([])));
    assert_eq!(ada.get(TOKENS).body["data"][0], shown);
}

#[test]
fn a_limit_that_a_token_does_not_have_is_not_shown() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let all = ["ip_allowlist", "requests_per_minute", "quota", "quota_remaining"];
    for (limits, shown) in [
        (json!({}), &[][..]),
        (json!({ "quota": 9 }), &["quota", "quota_remaining"]),
        (json!({ "requests_per_minute": 9 }), &["requests_per_minute"]),
        (json!({ "ip_allowlist": ["127.0.0.1"] }), &["ip_allowlist"]),
    ] {
        let (_, path) = limited(&app, &ada, limits.clone());
        let rotated = || ada.post(&format!("{path}/rotate"), json!({})).body["data"].clone();
        let answers = [ada.get(&path).body["data"].clone(), ada.get(TOKENS).body["data"][0].clone(), rotated()];
        for answer in answers {
            let there: Vec<&str> = all.into_iter().filter(|key| answer.get(key).is_some()).collect();
            assert_eq!(there, shown, "{limits}: {answer}");
        }
    }
}

#[test]
fn invalid_limits_are_refused() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let refused = |limits: Value| {
        let mut body = json!({ "name": "t" });
        body.as_object_mut().unwrap().extend(limits.as_object().unwrap().clone());
        let answer = ada.post(TOKENS, body);
        assert_eq!(answer.status, 422, "{}", answer.shown());
        answer.body["message"].as_str().unwrap().to_owned()
    };
    let many: Vec<String> = (0..101).map(|n| format!("192.0.2.{n}")).collect();
    assert_snapshot!(refused(json!({ "ip_allowlist": [] })), @"The ip_allowlist field must name a network; leave it out for a token that works from anywhere.");
    assert_snapshot!(refused(json!({ "ip_allowlist": "192.0.2.1" })), @"The ip_allowlist field must be an array.");
    assert_snapshot!(refused(json!({ "ip_allowlist": ["192.0.2.1", "example.com", 7] })), @"The ip_allowlist.1 field must be an IP address or a network like 192.0.2.0/24 or 2001:db8::/32. (and 1 more error)");
    assert_snapshot!(refused(json!({ "ip_allowlist": ["bad"] })), @"The ip_allowlist.0 field must be an IP address or a network like 192.0.2.0/24 or 2001:db8::/32.");
    assert_snapshot!(refused(json!({ "ip_allowlist": many })), @"The ip_allowlist field must not have more than 100 items.");
    assert_snapshot!(refused(json!({ "requests_per_minute": 0 })), @"The requests_per_minute field must be a whole number from 1 to 1000000.");
    assert_snapshot!(refused(json!({ "requests_per_minute": 1_000_001 })), @"The requests_per_minute field must be a whole number from 1 to 1000000.");
    assert_snapshot!(refused(json!({ "quota": 0 })), @"The quota field must be a whole number from 1 to 4294967295.");
    assert_snapshot!(refused(json!({ "quota": 1.5 })), @"The quota field must be a whole number from 1 to 4294967295.");
    assert_eq!(ada.get(TOKENS).body["data"], json!([]));
}

#[test]
fn a_token_that_is_used_from_elsewhere_gets_the_same_401_as_any_other() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let (here, _) = limited(&app, &ada, json!({ "ip_allowlist": ["127.0.0.0/8"] }));
    let (elsewhere, _) = limited(&app, &ada, json!({ "ip_allowlist": ["192.0.2.0/24"] }));
    assert_eq!(here.get("/api/user").status, 200);
    assert_eq!(elsewhere.get("/api/user").text, app.bearer("rubbish").get("/api/user").text);
    let claimed = elsewhere.send_with("GET", "/api/user", &[("X-Forwarded-For", "192.0.2.1")], &[]);
    assert_eq!(claimed.status, 401, "a stranger's word counts for nothing");
}

#[test]
fn behind_a_proxy_the_address_of_the_client_counts() {
    let app = behind_a_proxy();
    let ada = app.sign_in("ada");
    // The proxy's own address is allowed, but a client that the proxy does not name is still refused.
    let (token, _) = limited(&app, &ada, json!({ "ip_allowlist": ["192.0.2.0/24", "127.0.0.1"] }));
    for (address, status) in [
        (Some("192.0.2.7"), 200),
        (Some("198.51.100.7, 192.0.2.7"), 200),
        (Some("192.0.2.7, 198.51.100.7"), 401),
        (Some("unknown"), 401),
        (None, 401),
    ] {
        for endpoint in ["auth-request", "forward-auth"] {
            assert_eq!(ask_from(&token, endpoint, address).status, status, "{endpoint} {address:?}");
        }
        let headers: Vec<_> = address.map(|address| ("X-Forwarded-For", address)).into_iter().collect();
        assert_eq!(token.send_with("GET", "/api/user", &headers, &[]).status, status, "{address:?}");
    }
}

#[test]
fn verification_without_an_address_refuses_a_token_with_an_allowlist() {
    let app = TestApp::spawn();
    let (service, ada) = (introspector(&app), app.sign_in("ada"));
    let (token, _) = limited(&app, &ada, json!({ "ip_allowlist": ["192.0.2.0/24"] }));
    let token = token.token.unwrap();
    for (ip, code) in [
        (json!("192.0.2.7"), "valid"),
        (json!("::ffff:192.0.2.7"), "valid"),
        (json!("198.51.100.7"), "ip_not_allowed"),
        (json!(null), "ip_not_allowed"),
    ] {
        let answer = service.post("/api/v1/tokens/verify", json!({ "token": token, "ip": ip }));
        assert_eq!(answer.body["data"]["code"], code, "{ip}");
    }
    assert_eq!(introspect(&service, &token).body, json!({ "active": false }));
}

#[test]
fn the_rest_of_a_quota_is_shown_and_a_used_quota_stays_used() {
    let app = behind_a_proxy();
    let (service, ada) = (introspector(&app), app.sign_in("ada"));
    let (token, path) = limited(&app, &ada, json!({ "quota": 3, "ip_allowlist": ["192.0.2.0/24"] }));
    let left = || ada.get(&path).body["data"]["quota_remaining"].clone();
    for (address, status, remaining) in
        [("198.51.100.7", 401, 3), ("192.0.2.7", 200, 2), ("192.0.2.7", 200, 1), ("192.0.2.7", 200, 0)]
    {
        assert_eq!(ask_from(&token, "forward-auth", Some(address)).status, status);
        assert_eq!(left(), remaining, "{address}");
    }
    let refused = ask_from(&token, "forward-auth", Some("192.0.2.7"));
    assert_snapshot!(refused.shown(), @r#"
    429
    {
      "code": "quota_exceeded",
      "message": "The quota of this token is used up."
    }
    "#);
    let by_nginx = ask_from(&token, "auth-request", Some("192.0.2.7"));
    assert_eq!((by_nginx.status, by_nginx.header("x-auth-error")), (403, Some("quota_exceeded")));
    let token = token.token.unwrap();
    let verdict = service.post("/api/v1/tokens/verify", json!({ "token": token, "ip": "192.0.2.7" }));
    assert_eq!(verdict.body["data"], json!({ "valid": false, "code": "quota_exceeded" }));
    app.advance(Duration::from_secs(24 * 60 * 60));
    let verdict = service.post("/api/v1/tokens/verify", json!({ "token": token, "ip": "192.0.2.7" }));
    assert_eq!(verdict.body["data"]["code"], "quota_exceeded");
    assert_eq!(left(), 0);
}

#[test]
fn the_answer_to_a_rotation_shows_the_rest_of_the_quota() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let environment = ada.get("/api/user").body["current_environment_id"].as_str().unwrap().to_owned();
    let of_environment = format!("/api/v1/environments/{environment}/tokens");
    for (list, verb) in [(TOKENS, "rotate"), (&of_environment, "regenerate")] {
        let made = ada.post(list, json!({ "name": "t", "quota": 20 })).body["data"].clone();
        let token = app.bearer(made["token"].as_str().unwrap());
        assert_eq!(token.post("/api/v1/auth/identify", json!({})).status, 200);
        let replaced = ada.post(&format!("{list}/{}/{verb}", made["id"].as_str().unwrap()), json!({}));
        assert_eq!(replaced.body["data"]["quota_remaining"], 19, "{}", replaced.shown());
    }
}

#[test]
fn parallel_uses_do_not_exceed_a_quota_or_a_rate() {
    for limits in [json!({ "quota": 150 }), json!({ "requests_per_minute": 150 })] {
        let app = TestApp::spawn();
        let ada = app.sign_in("ada");
        let (token, path) = limited(&app, &ada, limits.clone());
        let (accepted, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for user in 0..8 {
                let (token, path, ada) = (&token, &path, &ada);
                let (accepted, refused) = (&accepted, &refused);
                scope.spawn(move || {
                    for turn in 0..30 {
                        // The cached record of the token is replaced while it is used.
                        if user == 0 {
                            assert_eq!(ada.patch(path, json!({ "name": format!("{turn}") })).status, 200);
                        }
                        match token.get("/api/user").status {
                            200 => accepted.fetch_add(1, Ordering::SeqCst),
                            429 => refused.fetch_add(1, Ordering::SeqCst),
                            other => panic!("{other}"),
                        };
                    }
                });
            }
        });
        assert_eq!((accepted.into_inner(), refused.into_inner()), (150, 90), "{limits}");
    }
}

/// Two processes use one file in turn. The first one ends as if by `kill -9`.
#[test]
fn a_quota_is_not_exceeded_after_a_crash_and_not_lost_in_a_shutdown() {
    let mut app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let (token, _) = limited(&app, &ada, json!({ "quota": 80 }));
    let token = token.token.unwrap();
    // The context of the test shares no memory with the server, as if it were another process.
    let use_up = |most: usize| {
        let caller = Caller::default();
        let uses = (0..most).map(|_| block_on(verification::authenticate(&app.ops, &token, caller)));
        uses.filter(Result::is_ok).count()
    };
    assert_eq!(use_up(1), 1);
    let rest = (0..100).filter(|_| app.bearer(&token).get("/api/user").status == 200).count();
    assert_eq!(rest, 70, "an eighth of it is leased to a process that may have crashed");
    assert_eq!(use_up(100), 9, "the lease is lost");

    let (token, _) = limited(&app, &ada, json!({ "quota": 80 }));
    let token = token.token.unwrap();
    assert_eq!(app.bearer(&token).get("/api/user").status, 200);
    app.stop();
    let caller = Caller::default();
    let rest = (0..100).filter(|_| block_on(verification::authenticate(&app.ops, &token, caller)).is_ok()).count();
    assert_eq!(rest, 79);
}

#[test]
fn a_use_that_cannot_be_taken_from_the_quota_is_503() {
    let (switch, store) = Faulty::switched();
    let app = TestApp::with_store(&[], store);
    let ada = app.sign_in("ada");
    let (token, _) = limited(&app, &ada, json!({ "quota": 16 }));
    assert_eq!(token.get("/api/user").status, 200);
    switch.fail_writes();
    assert_eq!(token.get("/api/user").status, 200, "this use was already leased");
    assert_eq!(token.get("/api/user").status, 503);
    switch.heal();
    assert_eq!(token.get("/api/user").status, 200);
}

#[test]
fn unused_leases_are_returned_and_the_codes_tell_the_limits_apart() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let (token, path) = limited(&app, &ada, json!({ "quota": 80, "requests_per_minute": 2 }));
    let token = token.token.unwrap();
    let check = || block_on(verification::authenticate(&app.ops, &token, Caller::default()));
    assert!(check().is_ok() && check().is_ok());
    assert!(matches!(check(), Err(ops::Error::Rejected(Rejection::RateLimited(_)))));
    let left = || ada.get(&path).body["data"]["quota_remaining"].clone();
    assert_eq!(left(), 70, "the other process holds a lease of ten");
    block_on(app.ops.run_maintenance()).unwrap();
    assert_eq!(left(), 70, "it keeps the lease while the token is used");
    app.advance(Duration::from_secs(120));
    block_on(app.ops.run_maintenance()).unwrap();
    assert_eq!(left(), 78);
    assert!(check().is_ok(), "the rate has recovered");
}

#[test]
fn a_revoked_token_is_refused_even_with_a_lease() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let (token, path) = limited(&app, &ada, json!({ "quota": 1000 }));
    assert_eq!(token.get("/api/user").status, 200);
    assert_eq!(ada.delete(&path).status, 200);
    assert_eq!(token.get("/api/user").status, 401);
}
