//! Checks that every proxy must pass.

use std::time::Instant;

use crate::{
    application::Received,
    client::{ELSEWHERE, Request},
    identity::{IDENTITY, assert_identity, assert_no_identity},
    proxies::Kind,
    support::place::DEADLINE,
    world::{Token, World, furthest},
};

/// The names of headers between proxies.
const PROXY_HEADERS: [&str; 4] = ["X-Original-URI", "X-Original-Method", "X-Forwarded-Uri", "X-Forwarded-Method"];

pub fn abilities_are_required(kind: Kind) {
    let world = World::start(kind);
    let (reader, writer) = (world.patd.token(&["calls:read"]), world.patd.token(&["calls:write", "x:*"]));
    let none = world.patd.token(&[]);

    let (answer, received) = world.ask(&Request::get("/calls/1?page=2&secret=s3cret").bearer(&reader.text));
    let received = received.unwrap_or_else(|| panic!("{answer:?}"));
    assert_eq!((answer.status, &*received.method, &*received.target), (200, "GET", "/calls/1?page=2&secret=s3cret"));
    assert!(answer.body.contains(r#""method":"GET""#), "the application's answer: {answer:?}");
    assert_identity(&world, &received, &reader, "calls:read");
    let (_, received) = world.ask(&Request::new("HEAD", "/calls").bearer(&reader.text));
    assert_eq!(received.unwrap().method, "HEAD");
    let (_, received) = world.ask(&Request::get("/me").bearer(&none.text));
    assert_identity(&world, &received.unwrap(), &none, "");
    let (_, received) = world.ask(&Request::get("/health"));
    assert_no_identity(&received.unwrap());

    for (request, status) in [
        (Request::get("/calls/2"), 401),
        (Request::get("/calls/2").bearer("pat_nonsense"), 401),
        (Request::get("/me"), 401),
        (Request::get(&format!("/calls/2?access_token={}", reader.text)), 401),
        (Request::get("/calls/3").bearer(&none.text), 403),
        (Request::new("POST", "/calls").bearer(&reader.text), 403),
        (Request::get("/settings").bearer(&reader.text), 403),
        (Request::get("/other").bearer(&reader.text), 403),
        (Request::new("DELETE", "/health").bearer(&reader.text), 403),
    ] {
        let (answer, received) = world.ask(&request);
        assert!(received.is_none(), "{request:?} arrived");
        assert_eq!(answer.status, status, "{request:?}: {answer:?}");
        let challenge = answer.header("WWW-Authenticate").unwrap_or_default();
        assert!(status != 401 || challenge.starts_with(r#"Bearer realm="patd""#), "{request:?}: {answer:?}");
        // Caddy and Traefik forward patd's refusal unchanged. It names the client's own token.
        let own =
            [("Remote-User", world.patd.user_id()), ("X-Auth-Token-Id", &none.id), ("X-Auth-Token-Id", &reader.id)];
        let is_own = |name: &str, value: &str| status == 403 && own.contains(&(name, value));
        assert!(IDENTITY.iter().all(|name| answer.header(name).is_none_or(|value| is_own(name, value))), "{answer:?}");
    }

    let body: Vec<u8> = (0..300_000_u32).map(|at| (at % 251) as u8).collect();
    let post = Request::new("POST", "/calls").bearer(&writer.text);
    for request in [post.clone().body(&body), post.chunked(&body)] {
        let (answer, received) = world.ask(&request);
        assert_eq!(answer.status, 200);
        let received = received.unwrap();
        assert!(received.body == body, "{} bytes of {}", received.body.len(), body.len());
        assert_identity(&world, &received, &writer, "calls:write x:*");
    }

    let again = Request::get("/calls/4").bearer(&reader.text);
    assert_eq!(world.send(&again).status, 200);
    world.patd.revoke(&reader);
    assert_eq!(world.send(&again).status, 401, "the token was revoked");

    for (path, status) in [("/calls/1", "200"), ("/calls/2", "401"), ("/calls/3", "403"), ("/health", "200")] {
        world.await_log(&[path, status]);
    }
    world.await_log(&["/calls/4", "401"]);
    let log = world.log();
    assert!(!log.contains("s3cret") && !log.contains(secret(&reader)), "{log}");
}

/// The proxy itself removes forged headers, independently of patd's answer.
pub fn forged_headers_are_removed(kind: Kind) {
    let world = World::start(kind);
    let forged = IDENTITY.map(|name| (name, "forged"));
    for target in ["/public/1", "/health"] {
        let (answer, received) = world.ask(&Request::get(target).headers(&forged));
        assert_no_identity(&received.unwrap_or_else(|| panic!("{answer:?}")));
    }
}

pub fn forged_headers_have_no_effect(kind: Kind) {
    let world = World::start(kind);
    let reader = world.patd.token(&["calls:read"]);
    let mut forged: Vec<(String, &str)> = Vec::new();
    for name in IDENTITY {
        for spelling in [name.to_owned(), name.to_lowercase(), name.replace('-', "_"), name.replace('-', ".")] {
            forged.push((spelling, "forged"));
        }
    }
    for name in PROXY_HEADERS {
        for spelling in [name.to_owned(), name.replace('-', "_")] {
            forged.push((spelling, if name.ends_with("Method") { "GET" } else { "/public/x" }));
        }
    }
    let forged: Vec<(&str, &str)> = forged.iter().map(|(name, value)| (&**name, *value)).collect();
    let plain: Vec<_> = forged.iter().copied().filter(|(name, _)| !name.contains(['_', '.'])).collect();
    let names = [&IDENTITY[..], &PROXY_HEADERS[..]].concat();
    let names_and_credential = [&names[..], &["Authorization"]].concat();

    for headers in [&plain, &forged] {
        // Apache refuses every ambiguous path.
        let refused = kind == Kind::Apache && headers.len() == forged.len();
        for hop_by_hop in [&[][..], &IDENTITY, &names, &names_and_credential] {
            let with_forged = |request: Request| request.headers(headers).hop_by_hop(hop_by_hop);
            let (answer, received) = world.ask(&with_forged(Request::get("/calls/1").bearer(&reader.text)));
            match received {
                Some(received) => {
                    assert_identity(&world, &received, &reader, "calls:read");
                    assert_no_proxy_headers(&received);
                }
                None => assert!(refused || !hop_by_hop.is_empty(), "{answer:?}"),
            }
            let (answer, received) = world.ask(&with_forged(Request::get("/public/1")));
            match received {
                Some(received) => {
                    assert_no_identity(&received);
                    assert_no_proxy_headers(&received);
                }
                None => assert!(refused || !hop_by_hop.is_empty(), "{answer:?}"),
            }
            for request in [
                Request::get("/settings"),
                Request::get("/settings?uri=/public/x").bearer(&reader.text),
                Request::new("POST", "/calls").bearer(&reader.text).body(b"{}"),
                Request::new("DELETE", "/public/1"),
            ] {
                let (answer, received) = world.ask(&with_forged(request));
                assert!(received.is_none(), "{received:?}");
                assert!([400, 401, 403].contains(&answer.status), "{answer:?}");
            }
        }
    }

    // With two tokens, patd could check one and the application read the other.
    let second = world.patd.token(&["settings:write"]);
    let two = Request::get("/settings").bearer(&reader.text).bearer(&second.text);
    let (answer, received) = world.ask(&two);
    assert!(received.is_none() && answer.status >= 400, "{answer:?}");
}

pub fn allowed_addresses_apply(kind: Kind) {
    let world = World::start(kind);
    let limited_to = |network: &str| world.patd.token_with(&["--ability", "calls:read", "--allow-ip", network]);
    let (client, other) = (limited_to(&ELSEWHERE.to_string()), limited_to("192.0.2.0/24"));
    let forged: [&[(&str, &str)]; 3] =
        [&[], &[("X-Forwarded-For", "192.0.2.7")], &[("Forwarded", "for=192.0.2.7"), ("X-Real-IP", "192.0.2.7")]];
    for headers in forged {
        let status = |token: &Token| {
            let request = Request::get("/calls/1").bearer(&token.text).headers(headers);
            request.send_from_elsewhere(world.address).status
        };
        // Introspection does not know the client's address, so a token that allows only some addresses is always refused.
        let expected = if kind == Kind::Apache { 401 } else { 200 };
        assert_eq!((status(&client), status(&other)), (expected, 401), "{headers:?}");
    }
}

pub fn path_spellings_do_not_bypass_the_policy(kind: Kind) {
    let world = World::start(kind);
    let (reader, writer) = (world.patd.token(&["calls:read"]), world.patd.token(&["settings:write"]));
    // The protected path is open to a token with the ability, and unusual paths arrive unchanged.
    assert!(world.ask(&Request::get("/settings/1").bearer(&writer.text)).1.is_some());
    for target in ["/calls/a%20b", "/calls/%C3%A9?next=/../settings//", "/calls/", "/public/..x/..."] {
        let (answer, received) = world.ask(&Request::get(target).bearer(&reader.text));
        assert_eq!(received.map(|received| received.target).as_deref(), Some(target), "{answer:?}");
    }
    for folder in ["/public", "/calls"] {
        for suffix in [
            "/../settings",
            "/./../settings",
            "/..//settings",
            "//../settings",
            "/x/../../settings",
            "/%2e%2e/settings",
            "/%2E./settings",
            "/.%2e/settings",
            "/%2e/%2e%2e/settings",
            "/..%2fsettings",
            "/%2e%2e%2fsettings",
            "/%2f../settings",
            "%2f..%2fsettings",
            "/..;/settings",
            "/..;x=1/settings",
            "/..%3b/settings",
            "/..\\settings",
            "\\..\\settings",
            "/..%5csettings",
            "/%252e%252e/settings",
            "/..%252fsettings",
            "/%c0%ae%c0%ae/settings",
            "/%uff0e%uff0e/settings",
            "/..%00/settings",
            "/%00/../settings",
            "/\0/../settings",
            "/..\u{9}/settings",
            "/..#/../settings",
            "/..?/../settings",
            "/.. /settings",
            "/..%20/settings",
        ] {
            assert_no_bypass(&world, &format!("{folder}{suffix}"), &reader);
        }
    }
    for target in [
        "//settings",
        "///settings/1",
        "/./settings",
        "/settings/.",
        "/x/../settings",
        "/%2e/settings",
        "/%2fsettings",
        "/%73ettings",
        "/settings%00",
        "/settings%00/../public/x",
        "/settings\0",
        "/settings%2f",
        "/settings%23",
        "/settings#/public/x",
        "/settings;/public",
        "/settings/..;/../public/x",
        "/settings/%2e%2e/public/x",
        "/settings?/../public/x",
        "/settings/../public/x",
        "\\settings",
        "settings",
        "*",
        "",
        "/",
        "http://application.example/settings",
        "http://application.example//settings",
        "http://application.example/public/../settings",
        "http:///settings",
        "//application.example/settings",
        "/public/x http://application.example/settings",
        "application.example:80",
    ] {
        assert_no_bypass(&world, target, &reader);
    }
}

/// If the request reaches the application, every reading of its path must be allowed by the policy.
fn assert_no_bypass(world: &World, target: &str, reader: &Token) {
    for request in [Request::get(target), Request::get(target).bearer(&reader.text)] {
        let answer = world.send(&request);
        for received in world.application.take() {
            let read = furthest(&received.target);
            let allowed = ["/public/", "/calls/"].iter().any(|folder| format!("{read}/").starts_with(folder));
            assert!(allowed, "{target:?} arrived as {:?}, which may be read as {read:?}: {answer:?}", received.target);
        }
    }
}

pub fn outages_refuse_all_requests(kind: Kind) {
    let world = World::start(kind);
    let reader = world.patd.token(&["calls:read"]);
    let request = Request::get("/calls/1").bearer(&reader.text);
    assert_eq!(world.send(&request).status, 200);

    let (database, away) = (world.patd.place.path("patd.db"), world.patd.place.path("away.db"));
    std::fs::rename(&database, &away).unwrap();
    let end = Instant::now() + DEADLINE;
    while world.send(&request).status == 200 {
        assert!(Instant::now() < end, "still allowed without a store");
    }
    world.application.take();
    assert_outage(&world, &request);
    std::fs::rename(&away, &database).unwrap();
    let end = Instant::now() + DEADLINE;
    while world.send(&request).status != 200 {
        assert!(Instant::now() < end, "still refused after the store came back");
    }
    world.application.take();

    world.patd.server.running.signal("KILL");
    let end = Instant::now() + DEADLINE;
    while world.send(&request).status == 200 {
        assert!(Instant::now() < end, "still allowed without patd");
    }
    world.application.take();
    assert_outage(&world, &request);
}

fn assert_outage(world: &World, request: &Request) {
    for _ in 0..5 {
        let (answer, received) = world.ask(request);
        assert!(received.is_none(), "{answer:?}");
        // mod_oauth2 answers an outage like a refusal.
        assert!(
            answer.status >= 500 || world.kind == Kind::Apache,
            "an outage must not look like a wrong token: {answer:?}"
        );
        world.await_log(&["/calls/1", &answer.status.to_string()]);
    }
}

pub fn secret(token: &Token) -> &str {
    token.text.rsplit('|').next().unwrap()
}

/// The application received no proxy header from the client. The proxy's own headers may be there.
fn assert_no_proxy_headers(received: &Received) {
    for name in PROXY_HEADERS {
        assert!(received.all(name).iter().all(|value| value.is_empty()), "{name} in {received:#?}");
    }
}
