//! What applications need from the files in `deploy/`: two applications, prefixes, large heads and bodies, WebSocket, and
//! readable refusals.

use serde_json::{Value, json};

use crate::{
    application::{Application, Received},
    checks::secret,
    client::{Answer, PACKAGES, Request},
    proxies::Kind,
    world::{World, furthest},
};

pub fn hosts_and_prefixes_select_the_application(kind: Kind) {
    let world = World::start(kind);
    let token = world.patd.token(&["packages:read"]);
    let get = |target: &str| Request::get(target).bearer(&token.text);

    let (answer, received) = world.ask_packages(&get("/left-pad?v=1").to(PACKAGES));
    assert_eq!(received.map(|received| received.target).as_deref(), Some("/left-pad?v=1"), "{answer:?}");
    let (answer, received) = world.ask_packages(&get("/packages/left-pad?v=1"));
    assert_eq!(received.map(|received| received.target).as_deref(), Some("/left-pad?v=1"), "{answer:?}");
    // The policy of the prefix applies in every spelling of it.
    let other = world.patd.token(&["calls:*", "settings:write"]);
    for target in ["/packages", "/packagesx/a", "/%70ackages/a", "/packages/../a", "/packages//a", "/a", "//packages/a"]
    {
        for request in [Request::get(target), Request::get(target).bearer(&other.text)] {
            let (answer, received) = world.ask_packages(&request);
            assert!(received.is_none() && answer.status >= 300, "{target}: {answer:?} {received:?}");
        }
    }
    // Each application has its own policy.
    assert_eq!(world.send(&get("/health").to(PACKAGES)).status, 200);
    assert_eq!(world.send(&Request::get("/health").to(PACKAGES)).status, 401);
    assert_eq!(world.send(&Request::get("/packages/health")).status, 401);
    let post = Request::new("POST", "/left-pad").to(PACKAGES).bearer(&token.text).body(b"{}");
    assert_eq!(world.send(&post).status, 403);
    world.application.take();
    world.packages.take();

    for host in ["unknown.example", "application.example.unknown.example", ""] {
        for target in ["/health", "/public/1"] {
            let answer = world.send(&Request::get(target).to(host));
            assert!(answer.status == 0 || answer.status >= 400, "{host:?}: {answer:?}");
            assert!(world.application.take().is_empty() && world.packages.take().is_empty(), "{host:?} arrived");
        }
    }
}

pub fn encoded_slashes_stay_within_their_segment(kind: Kind) {
    let world = World::start(kind);
    let token = world.patd.token(&["packages:read"]);
    let get = |target: &str| Request::get(target).bearer(&token.text);
    for target in ["/@angular%2fcommon", "/@angular%2Fcommon/-/common-1.0.0.tgz"] {
        // Some proxies rewrite the digits in upper case.
        let as_sent = |received: &Received| received.target.replace("%2F", "%2f") == target.replace("%2F", "%2f");
        let (answer, received) = world.ask_packages(&get(target).to(PACKAGES));
        assert!(received.as_ref().is_some_and(as_sent), "{target}: {received:?} {answer:?}");
        // httpd can allow encoded slashes only for a whole host.
        if kind != Kind::Apache {
            let (answer, received) = world.ask_packages(&get(&format!("/packages{target}")));
            assert!(received.as_ref().is_some_and(as_sent), "{target}: {received:?} {answer:?}");
        }
        let (answer, received) = world.ask(&get(&format!("/public{target}")));
        assert!(received.is_none() && answer.status >= 400, "strict elsewhere: {answer:?}");
    }
    let writer = world.patd.token(&["packages:write"]);
    for target in [
        "/a%2f..%2fgit-upload-pack",
        "/a/..%2fx/git-upload-pack",
        "/..%2fa/git-upload-pack",
        "/a%2f%2e%2e/git-upload-pack",
        "/a%2f..%5cx/git-upload-pack",
        "/a%252f..%252fx/git-upload-pack",
        "/a%2f..;/git-upload-pack",
        "/a%2f%00/git-upload-pack",
    ] {
        for request in [get(target).to(PACKAGES), Request::get(target).bearer(&writer.text).to(PACKAGES)] {
            let answer = world.send(&request);
            for received in world.packages.take() {
                let plain = received.target.to_lowercase();
                let dots = plain.replace("%2f", "/").replace("%2e", ".").contains("/..");
                assert!(!dots && furthest(&received.target).starts_with("/a"), "{target}: {received:?} {answer:?}");
            }
        }
    }
}

/// A request with a fragment may reach the application only if the fragment is encoded as part of the path.
pub fn fragments_never_reach_the_application(kind: Kind) {
    let world = World::start(kind);
    for target in ["/public/a#/../../settings/x", "/public/a#", "/public/a?x#/../settings", "/public/#", "#", "/#"] {
        let answer = world.send(&Request::get(target));
        for received in world.application.take() {
            // Caddy treats `#` as part of the path. It sends the encoded path to patd and the application.
            let is_encoded = kind == Kind::Caddy && received.target.starts_with("/public/");
            assert!(is_encoded && !received.target.contains('#'), "{target}: {received:?} {answer:?}");
        }
    }
}

pub fn the_largest_token_is_accepted(kind: Kind) {
    let world = World::start(kind);
    let abilities: Vec<String> = (0..100).map(|at| format!("calls:{:x<91}:{at:02}", "")).collect();
    assert!(abilities.iter().all(|ability| ability.len() == 100));
    let needed: Vec<&str> = abilities[1..].iter().map(String::as_str).chain(["calls:read"]).collect();
    let token = world.patd.token(&needed);
    let (answer, received) = world.ask(&Request::get("/calls/1").bearer(&token.text));
    let received = received.unwrap_or_else(|| panic!("{answer:?}"));
    assert_eq!(received.all("X-Auth-Abilities"), [needed.join(" ")]);
    assert_eq!(world.send(&Request::get("/settings").bearer(&token.text)).status, 403);
}

pub fn large_bodies_are_forwarded(kind: Kind) {
    let world = World::start(kind);
    let token = world.patd.token(&["calls:write"]);
    let body = vec![b'x'; 3 * 1024 * 1024];
    let (answer, received) = world.ask(&Request::new("POST", "/calls").bearer(&token.text).body(&body));
    assert!(received.is_some_and(|received| received.body == body), "{answer:?}");
}

pub fn websockets_need_the_ability(kind: Kind) {
    let world = World::start(kind);
    let token = world.patd.token(&["calls:read"]);
    let socket = Request::get("/calls/live").header("Sec-WebSocket-Version", "13");
    let socket = socket.header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    let answer = socket.clone().bearer(&token.text).upgrade(world.address, "websocket", "both ways");
    assert_eq!((answer.status, &*answer.body), (101, "both ways"), "{answer:?}");
    let received = world.application.take();
    assert_eq!(received[0].all("X-Auth-Token-Id"), [&*token.id]);
    let answer = socket.upgrade(world.address, "websocket", "");
    assert!(answer.status == 401 && world.application.take().is_empty(), "{answer:?}");

    for protocol in ["h2c", "h2c, websocket", "websocket, h2c", "tcp", "TLS/1.0"] {
        for request in [Request::get("/public/1"), Request::get("/calls/1").bearer(&token.text)] {
            let request = request.header("HTTP2-Settings", "AAMAAABkAARAAAAAAAIAAAAA");
            let answer = request.upgrade(world.address, protocol, "");
            assert_ne!(answer.status, 101, "{protocol}");
            for received in world.application.take() {
                assert!(received.all("Upgrade").is_empty(), "{protocol}: {received:?}");
            }
        }
    }
}

pub fn applications_do_not_receive_the_token(kind: Kind) {
    let world = World::start(kind);
    let token = world.patd.token(&["calls:read", "packages:read"]);
    for target in ["/calls/1", "/public/1"] {
        let (answer, received) = world.ask(&Request::get(target).bearer(&token.text));
        let received = received.unwrap_or_else(|| panic!("{answer:?}"));
        assert!(received.all("Authorization").is_empty(), "{received:?}");
    }
    for request in [Request::get("/x").to(PACKAGES), Request::get("/packages/x")] {
        let (answer, received) = world.ask_packages(&request.bearer(&token.text));
        let received = received.unwrap_or_else(|| panic!("{answer:?}"));
        assert!(received.all("Authorization").is_empty(), "{received:?}");
    }
}

pub fn refusals_name_the_reason_and_logs_the_token(kind: Kind) {
    let world = World::start(kind);
    let token = world.patd.token(&["calls:read"]);
    let body = |answer: &Answer| -> Value {
        assert_eq!(answer.header("Content-Type"), Some("application/json"), "{answer:?}");
        serde_json::from_str(&answer.body).unwrap_or_else(|_| panic!("{answer:?}"))
    };
    let unauthenticated = world.send(&Request::get("/calls/1"));
    let refusal = body(&unauthenticated);
    assert_eq!(refusal["code"], "unauthenticated");
    assert!(refusal["message"].as_str().is_some_and(|message| message.starts_with("Unauthenticated.")), "{refusal}");

    let refused = world.send(&Request::new("POST", "/calls/traced").bearer(&token.text));
    let refusal = body(&refused);
    let no_rule = world.send(&Request::get("/unknown").bearer(&token.text));
    if kind == Kind::Apache {
        // httpd decides by itself.
        assert_eq!((&refusal["code"], refused.status), (&json!("forbidden"), 403));
    } else {
        let expected = json!({
            "message": "Invalid ability provided.", "code": "missing_ability", "required": ["calls:write"],
        });
        assert_eq!((refusal, refused.status), (expected, 403));
        let scope = r#"Bearer realm="patd", error="insufficient_scope", scope="calls:write""#;
        assert_eq!(refused.headers("WWW-Authenticate"), [scope]);
        assert_eq!(body(&no_rule)["code"], "no_rule");
        let user = world.patd.user_id();
        world.await_log(&["/calls/traced", "403", user, &token.id, "missing_ability", "calls:write"]);
        world.await_log(&["/unknown", "403", user, &token.id, "no_rule"]);
        // patd logs the request, too.
        let line = world.patd.server.running.stderr_line("path=/calls/traced");
        for part in
            ["policy=app", "asked=POST", "client=", &format!("personal_access_token:{}", token.id), "calls:write"]
        {
            assert!(line.contains(part), "{part} in {line}");
        }
    }
    if kind == Kind::Apache {
        world.await_log(&["/calls/traced", "403", world.patd.user_id(), &token.id]);
    }
    assert_eq!(no_rule.status, 403);
    assert!(!world.log().contains(secret(&token)));

    // A request that a usage limit refuses may succeed later.
    let limited = world.patd.token_with(&["--ability", "calls:read", "--requests-per-minute", "1"]);
    let limited = Request::get("/calls/1").bearer(&limited.text);
    assert_eq!(world.send(&limited).status, 200);
    let answer = world.send(&limited);
    if kind != Kind::Apache {
        assert_eq!((answer.status, &body(&answer)["code"]), (429, &json!("too_many_attempts")), "{answer:?}");
        assert!(answer.header("Retry-After").is_some_and(|seconds| seconds.parse::<u32>().is_ok()), "{answer:?}");
    }
}

/// The application gets no forged header, even if the policy configures only one identity header.
pub fn unwanted_headers_are_not_forged(kind: Kind) {
    let option = ("challenges = [", r#"identity_headers = ["X-Auth-Token-Id"]"#.to_owned() + "\nchallenges = [");
    let world = World::with(kind, Application::start(), &[option]);
    let token = world.patd.token(&["packages:read"]);
    let names = ["Remote-User", "Remote-Email", "Remote-Groups", "X-Auth-Request-User", "X-Auth-Abilities"];
    let forged: Vec<_> = names.iter().flat_map(|name| [(*name, "forged"), (*name, "forged twice")]).collect();
    for request in [Request::get("/x").to(PACKAGES), Request::get("/packages/x")] {
        let (answer, received) = world.ask_packages(&request.bearer(&token.text).headers(&forged));
        let received = received.unwrap_or_else(|| panic!("{answer:?}"));
        assert_eq!(received.all("X-Auth-Token-Id"), [&*token.id]);
        for name in names {
            assert!(received.all(name).iter().all(|value| value.is_empty()), "{name} in {received:?}");
        }
    }
}

/// A token in another header, if the policy allows it and the proxy forwards it.
pub fn tokens_are_accepted_in_the_configured_header(kind: Kind) {
    let option = ("challenges = [", r#"credential_from = ["header:X-API-Key"]"#.to_owned() + "\nchallenges = [");
    let world = World::with(kind, Application::start(), &[option]);
    let token = world.patd.token(&["packages:read", "calls:read"]);
    let key = Request::get("/x").to(PACKAGES).header("X-API-Key", &token.text);
    assert_eq!(world.send(&key).status, 200);
    let two = world.send(&key.clone().bearer(&token.text));
    assert!([400, 403].contains(&two.status) && two.body.contains("malformed_request"), "{two:?}");
    assert_eq!(world.send(&Request::get("/calls/1").header("X-API-Key", &token.text)).status, 401);
}
