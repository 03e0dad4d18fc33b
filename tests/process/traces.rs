//! The line of a request names the trace that it belongs to.

use std::fs;

use crate::{
    drive::bytes,
    harness::Place,
    logs::{Line, parse_json, parse_text},
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";
const POLICY: &str = "[[policies]]\nname = \"app\"\nrules = [{ paths = [\"/me\"], abilities = [] }]\n";

#[test]
fn a_valid_traceparent_stands_in_the_line_of_any_request() {
    for (format, parse) in [("text", parse_text as fn(&str) -> Line), ("json", parse_json)] {
        let place = Place::new(&[("PATD__LOG__FORMAT", format), ("PATD__SERVER__TRUSTED_PROXIES", "127.0.0.1")]);
        fs::write(place.path("config.toml"), POLICY).unwrap();
        let server = place.serve();
        let traceparent = ("traceparent", format!("00-{TRACE}-{PARENT}-01"));
        let long = ("X-Long", "x".repeat(17 * 1024));
        let with = |more: &[(&'static str, &str)]| {
            let more = more.iter().map(|(name, value)| (*name, (*value).to_owned()));
            [traceparent.clone()].into_iter().chain(more).collect::<Vec<_>>()
        };
        let requests = [
            ("/api/user", with(&[]), 401),
            ("/nowhere", with(&[]), 404),
            ("/%61", with(&[]), 404),
            ("/me#fragment", with(&[]), 400),
            ("/api/user", with(&[(long.0, &long.1)]), 431),
            ("/api/authz/auth-request/app", with(&[("X-Original-Method", "GET"), ("X-Original-URI", "/me")]), 401),
            ("/api/authz/auth-request/app", with(&[("X-Original-Method", "GET"), ("X-Original-URI", "/no")]), 403),
            ("/api/authz/auth-request/unknown", with(&[]), 403),
        ];
        for (path, headers, status) in &requests {
            let answer = server.connect().exchange("GET", &bytes("GET", path, headers, "")).unwrap();
            assert_eq!(answer.status, *status, "{path}: {answer:?}");
        }
        let ended = server.terminate();
        let lines: Vec<Line> = ended.stderr.lines().map(parse).filter(|line| line["message"] == "request").collect();
        assert_eq!(lines.len(), requests.len(), "{}", ended.stderr);
        for line in &lines {
            let of_trace = (line.get("trace_id").map(String::as_str), line.get("parent_id").map(String::as_str));
            assert_eq!(of_trace, (Some(TRACE), Some(PARENT)), "{line:?}");
        }
        assert!(lines.iter().any(|line| line.get("policy").is_some_and(|policy| policy == "app")));
    }
}

#[test]
fn a_traceparent_that_is_not_valid_is_ignored() {
    let place = Place::new(&[("PATD__LOG__FORMAT", "json")]);
    let server = place.serve();
    let no_trace = "0".repeat(32);
    let mut connection = server.connect();
    for value in [
        "",
        "secret",
        &format!("00-{TRACE}-{PARENT}"),
        &format!("00-{TRACE}-{PARENT}-01-secret"),
        &format!("ff-{TRACE}-{PARENT}-01"),
        &format!("00-{no_trace}-{PARENT}-01"),
    ] {
        let headers = [("traceparent", value.to_owned())];
        assert_eq!(connection.exchange("GET", &bytes("GET", "/api/user", &headers, "")).unwrap().status, 401);
    }
    let twice =
        [("traceparent", format!("00-{TRACE}-{PARENT}-01")), ("traceparent", format!("00-{TRACE}-{PARENT}-01"))];
    assert_eq!(connection.exchange("GET", &bytes("GET", "/api/user", &twice, "")).unwrap().status, 401);
    let ended = server.terminate();
    assert_eq!(ended.stderr.matches("\"request\"").count(), 7, "{}", ended.stderr);
    assert!(!ended.stderr.contains("trace_id") && !ended.stderr.contains("parent_id"), "{}", ended.stderr);
}
