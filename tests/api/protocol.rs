//! What holds for every request: heads, bodies, methods, headers, and slow clients.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use insta::assert_snapshot;
use serde_json::json;

use crate::{
    harness::TestApp,
    outage::{Fault, Faulty},
};

const TOKENS: &str = "/api/v1/user/api-tokens";

#[test]
fn every_answer_has_the_common_headers() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let answers = [
        ada.get(TOKENS),
        ada.post(TOKENS, json!({ "name": "t" })),
        ada.post(TOKENS, json!({})),
        ada.get("/api/none"),
        ada.send("TRACE", TOKENS, None),
        app.anonymous().get("/api/user"),
        app.anonymous().get("/livez"),
    ];
    let mut ids = Vec::new();
    for answer in answers {
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{}", answer.shown());
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let id = answer.header("x-request-id").unwrap().to_owned();
        assert_eq!(uuid::Uuid::parse_str(&id).unwrap().get_version_num(), 7);
        ids.push(id);
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 7, "each request has an id of its own");
}

#[test]
fn an_unknown_path_and_a_method_that_is_not_accepted_say_so() {
    let app = TestApp::spawn();
    assert_snapshot!(app.anonymous().get("/api/v2/user").shown(), @r#"
    404
    {
      "code": "not_found",
      "message": "There is nothing at this path."
    }
    "#);
    assert_snapshot!(app.anonymous().get("/").shown(), @r#"
    200
    {
      "links": {
        "console": "/console",
        "environments": "/api/v1/environments",
        "live": "/livez",
        "ready": "/readyz",
        "sign_in": "/api/v1/auth/login",
        "tokens": "/api/v1/user/api-tokens",
        "user": "/api/user"
      },
      "message": "This server issues and checks API tokens. POST email and password to sign_in for a session token, and send it as Authorization: Bearer <token>.",
      "name": "patd"
    }
    "#);
    assert_eq!(app.anonymous().get("/api").body, app.anonymous().get("/").body);
    assert_snapshot!(app.anonymous().send("PUT", TOKENS, None).shown(), @r#"
    405
    allow: GET, HEAD, POST
    {
      "code": "method_not_allowed",
      "message": "This path accepts GET, HEAD, POST."
    }
    "#);
    assert_snapshot!(app.anonymous().get("/api/v1/auth/login").shown(), @r#"
    405
    allow: POST
    {
      "code": "method_not_allowed",
      "message": "This path accepts POST."
    }
    "#);
    let overridden = [("X-HTTP-Method-Override", "DELETE")];
    assert_eq!(app.anonymous().send_with("PUT", TOKENS, &overridden, &[]).status, 405);
    assert_eq!(app.anonymous().get(&format!("{TOKENS}/")).status, 404, "a path has one spelling");
    let asterisk = app.raw(b"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(asterisk.starts_with("HTTP/1.1 404") && asterisk.contains("not_found"), "{asterisk}");
}

#[test]
fn head_answers_like_get_without_the_body() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let (get, head) = (ada.get("/api/user"), ada.send("HEAD", "/api/user", None));
    assert_eq!((head.status, &*head.text), (200, ""));
    assert_eq!(head.header("content-length"), get.header("content-length"));
}

#[test]
fn a_malformed_authorization_header_is_400() {
    let app = TestApp::spawn();
    let token = app.sign_in("ada").token.unwrap();
    let asked = |headers: &[(&str, &str)]| app.anonymous().send_with("GET", "/api/user", headers, &[]);
    assert_snapshot!(asked(&[("Authorization", &format!("Bearer {token} x"))]).shown(), @r#"
    400
    www-authenticate: Bearer realm="patd", error="invalid_request"
    {
      "code": "malformed_request",
      "message": "The Authorization header must be Bearer and one token without white space."
    }
    "#);
    for bad in ["Bearer", "Bearer \t", &format!("Bearer {token}\tx"), &format!("Bearer {token}, Bearer {token}")] {
        assert_eq!(asked(&[("Authorization", bad)]).status, 400, "{bad:?}");
    }
    let value = format!("Bearer {token}");
    let twice = [("Authorization", &*value), ("Authorization", &*value)];
    assert_snapshot!(asked(&twice).shown(), @r#"
    400
    www-authenticate: Bearer realm="patd", error="invalid_request"
    {
      "code": "malformed_request",
      "message": "There must be one Authorization header."
    }
    "#);
    assert_eq!(asked(&[("Authorization", &format!("Basic {token}"))]).status, 401, "another scheme counts as none");
    assert_eq!(app.anonymous().get(&format!("/api/user?access_token={token}")).status, 401, "the query is not read");
    assert_eq!(app.anonymous().get(&format!("/api/user?token={token}")).status, 401);
    assert_eq!(app.bearer(&token).get("/api/user?access_token=ses_other").status, 200, "it is ignored");
    assert_eq!(asked(&[("X-Api-Key", &token), ("Cookie", &format!("session={token}"))]).status, 401);
}

#[test]
fn the_error_for_a_malformed_body_says_where_and_only_to_authorized_callers() {
    let app = TestApp::spawn();
    let ada = app.sign_in("ada");
    let sent = |kind: &str, body: &[u8]| ada.send_as("POST", TOKENS, kind, body);
    assert_snapshot!(sent("application/json", b"{\"name\":\n  oops}").shown(), @r#"
    400
    {
      "code": "malformed_request",
      "message": "The body is not valid JSON: expected value at line 2 column 3."
    }
    "#);
    assert_snapshot!(sent("application/json", br#"{"name":"a","name":"b"}"#).shown(), @r#"
    400
    {
      "code": "malformed_request",
      "message": "The body is not valid JSON: the key \"name\" occurs twice at line 1 column 23."
    }
    "#);
    assert_snapshot!(sent("application/json", b"[]").shown(), @r#"
    400
    {
      "code": "malformed_request",
      "message": "The body must be a JSON object."
    }
    "#);
    assert_snapshot!(sent("application/json", b"{\"name\":\"\xff\"}").shown(), @r#"
    400
    {
      "code": "malformed_request",
      "message": "The body is not valid JSON: invalid unicode code point at line 1 column 10."
    }
    "#);
    let deep = format!("{{\"name\":{}", "[".repeat(10_000));
    assert_eq!(sent("application/json", deep.as_bytes()).status, 400);
    assert_snapshot!(sent("application/x-www-form-urlencoded", b"name=t").shown(), @r#"
    415
    {
      "code": "unsupported_media_type",
      "message": "The body must be sent uncompressed, with the header Content-Type: application/json."
    }
    "#);
    assert_eq!(sent("application/json; charset=utf-8", br#"{"name":"t"}"#).status, 201);
    let packed = [("Content-Type", "application/json"), ("Content-Encoding", "gzip")];
    assert_eq!(ada.send_with("POST", TOKENS, &packed, b"x").status, 415);
    assert_eq!(app.anonymous().send_as("POST", TOKENS, "text/plain", b"oops").status, 401);
}

#[test]
fn a_body_or_a_head_over_the_limit_is_refused() {
    let app = TestApp::with(&[("server.body_limit", "1KiB"), ("server.head_limit", "2KiB")]);
    let ada = app.sign_in("ada");
    let body = |length: usize| json!({ "name": "t", "abilities": null, "x": "x".repeat(length) });
    assert_snapshot!(ada.post(TOKENS, body(1024)).shown(), @r#"
    413
    {
      "code": "body_too_large",
      "message": "The request's body must not exceed 1024 bytes."
    }
    "#);
    assert_eq!(ada.post(TOKENS, body(100)).status, 422, "below the limit, the field is what is wrong");
    let chunked = format!(
        "POST {TOKENS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n800\r\n{}\r\n0\r\n\r\n",
        ada.token.as_ref().unwrap(),
        "x".repeat(2048)
    );
    assert!(app.raw(chunked.as_bytes()).starts_with("HTTP/1.1 413"), "a chunked body is counted");
    assert_snapshot!(ada.send_with("GET", "/api/user", &[("X-Long", &"x".repeat(2048))], &[]).shown(), @r#"
    431
    {
      "code": "head_too_large",
      "message": "The request's head must not exceed 2048 bytes."
    }
    "#);
}

/// Reads until the server closes the connection. Returns what came and how long it took.
fn until_closed(mut stream: TcpStream, started: Instant) -> (String, Duration) {
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    (String::from_utf8_lossy(&answer).into_owned(), started.elapsed())
}

#[test]
fn a_slow_head_ends_its_connection_in_time() {
    let app = TestApp::with(&[("server.head_timeout", "300ms")]);
    let started = Instant::now();
    let mut stream = TcpStream::connect(app.address).unwrap();
    stream.write_all(b"GET /api/user HTTP/1.1\r\nHost:").unwrap();
    let (answer, took) = until_closed(stream, started);
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
}

#[test]
fn an_incomplete_second_request_ends_its_connection() {
    let app = TestApp::with(&[("server.keep_alive", "300ms"), ("server.head_timeout", "300ms")]);
    let started = Instant::now();
    let mut stream = TcpStream::connect(app.address).unwrap();
    stream.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut first = [0; 12];
    stream.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    stream.write_all(b"G").unwrap();
    let (_, took) = until_closed(stream, started);
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[test]
fn a_connection_in_use_is_not_cut_off() {
    let app = TestApp::with(&[("server.keep_alive", "1s"), ("server.head_timeout", "1s")]);
    let started = Instant::now();
    let mut stream = TcpStream::connect(app.address).unwrap();
    // Longer than the idle timeout.
    while started.elapsed() < Duration::from_secs(4) {
        stream.write_all(b"HEAD /livez HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            answer.push(byte[0]);
        }
        assert!(answer.starts_with(b"HTTP/1.1 200"));
    }
}

#[test]
fn a_slow_body_ends_in_time_and_slows_no_other_request() {
    let app = TestApp::with(&[("server.body_timeout", "500ms"), ("server.workers", "1")]);
    let ada = app.sign_in("ada");
    let token = ada.token.clone().unwrap();
    let with = |authorization: &str, path: &str, framing: &str| {
        format!("POST {path} HTTP/1.1\r\nHost: x\r\n{authorization}Content-Type: application/json\r\n{framing}\r\n\r\n")
    };
    let head = |authorization: &str, path: &str| with(authorization, path, "Content-Length: 1000");
    let chunked = |authorization: &str, path: &str| with(authorization, path, "Transfer-Encoding: chunked");
    let authorization = format!("Authorization: Bearer {token}\r\n");
    let heads = [
        head(&authorization, TOKENS),
        head("", "/api/v1/auth/login"),
        // No handler reads these bodies. The connection must end nevertheless.
        head("", TOKENS),
        head("", "/nowhere"),
        head(&authorization, "/api/v1/auth/identify"),
        chunked(&authorization, TOKENS),
        chunked("", TOKENS),
        chunked("", "/nowhere"),
        chunked(&authorization, "/api/v1/auth/identify"),
    ];
    std::thread::scope(|scope| {
        let dawdlers: Vec<_> = heads.iter().map(|head| scope.spawn(|| trickle(&app, head))).collect();
        let mut slowest = Duration::ZERO;
        while !dawdlers.iter().all(std::thread::ScopedJoinHandle::is_finished) {
            let asked = Instant::now();
            assert_eq!(ada.get("/api/user").status, 200);
            slowest = slowest.max(asked.elapsed());
        }
        assert!(slowest < Duration::from_secs(3), "a check waited {slowest:?} for somebody else's body");
        for (dawdler, head) in dawdlers.into_iter().zip(&heads) {
            let (answer, took) = dawdler.join().unwrap();
            assert!(took < Duration::from_secs(10), "{head} took {took:?}: {answer}");
        }
    });
    let (answer, _) = trickle(&app, &heads[0]);
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("request_timeout"), "{answer}");
}

/// Sends a head and then single bytes, as long as the server reads.
fn trickle(app: &TestApp, head: &str) -> (String, Duration) {
    let started = Instant::now();
    let mut stream = TcpStream::connect(app.address).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    let mut sender = stream.try_clone().unwrap();
    let piece: &[u8] = if head.contains("chunked") { b"1\r\n \r\n" } else { b" " };
    std::thread::scope(|scope| {
        let (done, dropped) = std::sync::mpsc::channel::<()>();
        scope.spawn(move || {
            // The pause makes the client slow, which is what the test is about.
            while dropped.recv_timeout(Duration::from_millis(100)) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                if started.elapsed() > Duration::from_secs(20) || sender.write_all(piece).is_err() {
                    break;
                }
            }
        });
        let closed = until_closed(stream, started);
        drop(done);
        closed
    })
}

#[test]
fn a_request_that_is_not_answered_by_its_deadline_is_503() {
    let app =
        TestApp::with_store(&[("server.request_deadline", "300ms"), ("server.body_timeout", "200ms")], |backend| {
            Faulty::reads(backend, Fault::Hangs)
        });
    let answer = app.bearer(&unknown_token()).get("/api/user");
    assert_snapshot!(answer.shown(), @r#"
    503
    retry-after: 1
    {
      "code": "deadline_exceeded",
      "message": "This took too long. A change may or may not have happened."
    }
    "#);
    assert_eq!(app.anonymous().get("/livez").status, 200);
}

/// An unknown token with a valid checksum.
fn unknown_token() -> String {
    let random = "A".repeat(40);
    format!("pat_{random}{:08x}", crc32fast::hash(random.as_bytes()))
}

#[test]
fn a_handler_that_panics_is_answered_with_500_without_details() {
    let app = TestApp::with_store(&[], |backend| Faulty::reads(backend, Fault::Panics));
    let answer = app.bearer(&unknown_token()).get("/api/user");
    assert_snapshot!(answer.shown(), @r#"
    500
    {
      "code": "server_error",
      "message": "Server Error"
    }
    "#);
    assert_eq!(app.anonymous().get("/livez").status, 200);
}
