//! Idle clients and malformed requests: other clients are still answered, and log lines keep their format.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use crate::{
    harness::{Place, Server},
    logs::{Line, parse_json, parse_text},
};

const LIVEZ: &[u8] = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";

/// Sends the bytes and reads until the server closes the connection or a complete answer has arrived.
fn answer(mut socket: &TcpStream, request: &[u8]) -> String {
    // The server may close the connection before everything is sent.
    let _ = socket.write_all(request);
    let (mut answer, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(count @ 1..) = socket.read(&mut buffer) {
        answer.extend(&buffer[..count]);
        let text = String::from_utf8_lossy(&answer);
        let body = text.split_once("\r\n\r\n").map(|(_, body)| body);
        if body.is_some_and(|body| text.contains(&format!("content-length: {}\r\n", body.len()))) {
            break;
        }
    }
    String::from_utf8(answer).unwrap()
}

fn livez_time(server: &Server) -> Duration {
    let start = Instant::now();
    let answer = answer(&server.socket(), LIVEZ);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    start.elapsed()
}

#[test]
fn idle_connections_are_closed_for_a_new_one() {
    let place = Place::new(&[("PATD__SERVER__MAX_CONNECTIONS", "20")]);
    let server = place.serve();
    let body = b"POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
                 Content-Length: 99\r\n\r\n{";
    type Prepare<'p> = &'p dyn Fn(&mut TcpStream);
    let cases: [(&str, Prepare<'_>); 4] = [
        ("nothing", &|_| {}),
        ("part of a head", &|socket| socket.write_all(&LIVEZ[..20]).unwrap()),
        ("nothing after an answer", &|socket| assert!(answer(socket, LIVEZ).contains(" 200 "))),
        ("part of a body", &|socket| socket.write_all(body).unwrap()),
    ];
    for (what, prepare) in cases {
        let mut sockets = Vec::new();
        for _ in 0..20 {
            let mut socket = server.socket();
            prepare(&mut socket);
            sockets.push(socket);
        }
        let took = livez_time(&server);
        assert!(took < Duration::from_secs(5), "{took:?} with twenty clients that sent {what}");
    }
    assert!(server.terminate().success);
}

#[test]
fn only_the_connection_that_was_idle_longest_is_closed() {
    let place = Place::new(&[("PATD__SERVER__MAX_CONNECTIONS", "20")]);
    let server = place.serve();
    let sockets: Vec<TcpStream> = (0..20)
        .map(|_| {
            let socket = server.socket();
            assert!(answer(&socket, LIVEZ).contains(" 200 "));
            socket
        })
        .collect();
    // The first is used again, so that the second has been idle longest.
    std::thread::sleep(Duration::from_millis(1500));
    assert!(answer(&sockets[0], LIVEZ).contains(" 200 "));
    livez_time(&server);
    let closed: Vec<usize> = (0..20).filter(|at| !answer(&sockets[*at], LIVEZ).contains(" 200 ")).collect();
    assert_eq!(closed, [1]);
    assert!(server.terminate().success);
}

#[test]
fn a_text_log_names_the_client_of_an_unreadable_request() {
    unreadable_requests("text", parse_text);
}

#[test]
fn a_json_log_names_the_client_of_an_unreadable_request() {
    unreadable_requests("json", parse_json);
}

fn unreadable_requests(format: &'static str, parse: fn(&str) -> Line) {
    let place = Place::new(&[("PATD__LOG__FORMAT", format)]);
    let server = place.serve();
    for (bytes, status) in [
        (&b"\0\0\r\n\r\n"[..], "400"),
        (b"GET / HTTP/9.9\r\n\r\n", "400"),
        (b"GET / HTTP/1.1\r\n\r\n", "400"),
        (&over_long_name(65_536), "431"),
        (&over_long_name(200_000), "431"),
        (&over_long_name(10_000_000), "431"),
    ] {
        let answer = answer(&server.socket(), bytes);
        let length = bytes.len();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{length} bytes: {answer}");
        let is_ours = answer.ends_with(r#""code":"head_too_large"}"#);
        assert_eq!(is_ours, status == "431", "{length} bytes: {answer}");
    }
    livez_time(&server);
    // More requests than are logged in one second.
    for _ in 0..200 {
        answer(&server.socket(), b"\r\0\r\n");
    }
    std::thread::sleep(Duration::from_millis(1100));
    answer(&server.socket(), b"\r\0\r\n");
    let ended = server.terminate();
    assert!(ended.success);
    let lines: Vec<Line> = ended.stderr.lines().map(parse).collect();
    let unreadable: Vec<&Line> = lines.iter().filter(|line| line["message"] == "a request could not be read").collect();
    assert!((4..=60).contains(&unreadable.len()), "{} lines", unreadable.len());
    for line in unreadable {
        assert!(line["level"] == "info" && line["peer"].starts_with("127.0.0.1:"), "{line:?}");
    }
    let too_large: Vec<&Line> = lines.iter().filter(|line| line.get("status").is_some_and(|is| is == "431")).collect();
    assert_eq!(too_large.len(), 3);
    for line in too_large {
        assert!(line["reason"] == "head_too_large" && line["client"].starts_with("127.0.0.1:"), "{line:?}");
    }
    let left_out =
        lines.iter().any(|line| line["message"].starts_with("requests that could not be read were not logged"));
    assert!(left_out, "{}", ended.stderr);
    assert!(!lines.iter().any(|line| line["level"] == "error"), "{}", ended.stderr);
}

fn over_long_name(length: usize) -> Vec<u8> {
    [b"GET /livez HTTP/1.1\r\nHost: x\r\n", &*vec![b'a'; length], b": b\r\n\r\n"].concat()
}

/// With the largest head limit, a header name that makes the framework panic could pass if it is in the second request of a
/// packet.
#[test]
fn a_panic_is_answered_and_logged_in_the_usual_format() {
    for (format, parse) in [("text", parse_text as fn(&str) -> Line), ("json", parse_json)] {
        let place = Place::new(&[("PATD__LOG__FORMAT", format), ("PATD__SERVER__HEAD_LIMIT", "64KiB")]);
        let server = place.serve();
        for _ in 0..50 {
            let (socket, request) = (server.socket(), over_long_name(65_536));
            let (begin, rest) = request.split_at(1000);
            assert!(answer(&socket, &[LIVEZ, begin].concat()).starts_with("HTTP/1.1 200 "));
            let answer = answer(&socket, rest);
            assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("malformed_request"), "{answer}");
        }
        livez_time(&server);
        let ended = server.terminate();
        assert!(ended.success, "{}", ended.stderr);
        let lines: Vec<Line> = ended.stderr.lines().map(parse).collect();
        let panics: Vec<&Line> = lines.iter().filter(|line| line["message"] == "a thread panicked").collect();
        assert!((1..50).contains(&panics.len()), "{}", ended.stderr);
        for line in panics {
            let place = &line["location"];
            assert!(
                line["level"] == "error" && place.contains("decoder.rs:") && !line["thread"].is_empty(),
                "{line:?}"
            );
            assert_eq!(line["reason"], "-", "a formatted panic message is not logged");
        }
    }
}
