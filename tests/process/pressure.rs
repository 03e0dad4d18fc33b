//! A server with little memory or few threads: clients can make it use only a limited amount, and a request that needs more
//! is answered with 503.

use std::{fs, io::Write, net::TcpStream, thread};

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use serde_json::{Value, json};

use crate::{
    drive::{LOGIN, TOKENS},
    harness::{Place, Server},
    support::connection::Answer,
};

const PASSWORD: &str = "a password of many words";
/// The default memory of one password hash.
const HASH_KIB: u64 = 19_456;

/// The memory of a process in KiB: `VmRSS`, `VmHWM` (its peak) or `VmSize`.
pub fn memory(process: u32, what: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(what)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// A directory with a user, and the default settings for password hashes.
fn place(more: &[(&'static str, &'static str)]) -> Place {
    let mut settings = vec![
        ("PATD__PASSWORDS__MEMORY_KIB", "19456"),
        ("PATD__PASSWORDS__ITERATIONS", "2"),
        ("PATD__PASSWORDS__CONCURRENT_HASHES", "2"),
        ("PATD__PASSWORDS__MAX_WAIT", "14s"),
    ];
    settings.extend(more);
    let place = Place::new(&settings);
    let command = ["user", "create", "--email", "ada@example.com", "--name", "Ada", "--password-stdin"];
    let created = place.run(&command, PASSWORD);
    assert!(created.success, "{created:?}");
    place
}

fn sign_in(server: &Server, email: &str, password: &str) -> Answer {
    let body = json!({ "email": email, "password": password });
    server.connect().ask("POST", LOGIN, None, Some(&body)).unwrap()
}

#[test]
fn failed_sign_ins_use_memory_only_for_concurrent_hashes() {
    const CLIENTS: usize = 8;
    const EACH: usize = 40;
    let place = place(&[]);
    // 128 MiB of data. Each thread's stack counts 2 MiB, even if it is not used.
    let server = place.serve_under("-d 131072");
    let before = memory(server.id(), "VmRSS");
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let mut connection = server.connect();
            scope.spawn(move || {
                for n in 0..EACH {
                    let who = if n % 2 == 0 { "ada".to_owned() } else { format!("nobody{client}-{n}") };
                    let body = json!({ "email": format!("{who}@example.com"), "password": "wrong" });
                    let answer = connection.ask("POST", LOGIN, None, Some(&body)).unwrap();
                    assert_eq!(answer.status, 401, "{answer:?}");
                }
            });
        }
    });
    let peak = memory(server.id(), "VmHWM");
    let bound = before + 2 * HASH_KIB + 16 * 1024;
    assert!(peak < bound, "{before} KiB before, {peak} KiB at the peak, {bound} KiB allowed");
    assert_eq!(sign_in(&server, "ada@example.com", PASSWORD).status, 201);
    assert!(server.terminate().success);
}

#[test]
fn connections_use_at_most_half_of_the_memory_that_hashes_leave() {
    const CLIENTS: usize = 1500;
    rlimit::increase_nofile_limit(CLIENTS as u64 + 500).unwrap();
    let place = place(&[("PATD__SERVER__BODY_TIMEOUT", "3s")]);
    // Without a limit, this many would take 250 MiB.
    let server = place.serve_under("-d 196608");
    let head = "POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 65536\r\n\r\n";
    let unfinished = [head.as_bytes(), &[b' '; 65_000]].concat();
    let stalled: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let mut stream = TcpStream::connect(server.address()).unwrap();
            stream.set_nonblocking(true).unwrap();
            // The kernel may accept only a part. The rest is not sent.
            let _ = stream.write(&unfinished);
            stream
        })
        .collect();
    // It waits until the server closes the connections before it.
    assert_eq!(sign_in(&server, "ada@example.com", PASSWORD).status, 201);
    drop(stalled);
    let peak = memory(server.id(), "VmHWM");
    assert!(peak < 192 * 1024, "{peak} KiB at the peak");
    assert!(server.terminate().success);
}

/// Limits the address space to what the process has and 1 MiB: too little for a thread's stack or for a hash.
fn exhaust(server: &Server) -> Rlimit {
    let free = getrlimit(Resource::As);
    let enough = (memory(server.id(), "VmSize") + 1024) * 1024;
    limit(server, Rlimit { current: Some(enough), maximum: free.maximum });
    free
}

fn limit(server: &Server, limit: Rlimit) {
    let process = Pid::from_raw(server.id().try_into().unwrap());
    prlimit(process, Resource::As, limit).unwrap();
}

fn refusals(answer: &Answer) -> usize {
    let events = answer.body["data"].as_array().unwrap();
    events.iter().filter(|event| event["outcome"] == "refused").count()
}

#[test]
fn exhausted_memory_is_answered_with_503_and_recovers_without_a_restart() {
    let place = place(&[
        ("PATD__THROTTLE__PER_EMAIL_BURST", "3"),
        ("PATD__THROTTLE__PER_EMAIL_PER_MINUTE", "1"),
        // More than the C library keeps in free memory.
        ("PATD__PASSWORDS__MEMORY_KIB", "131072"),
        ("PATD__PASSWORDS__ITERATIONS", "1"),
    ]);
    // A new server has not hashed a password yet, so it has no buffer for a hash. The session stays valid.
    let server = place.serve();
    let session = sign_in(&server, "ada@example.com", PASSWORD).data("token");
    assert!(server.terminate().success);
    let server = place.serve();
    // The server logs its address before all its threads exist. It answers once they do.
    assert_eq!(server.connect().ask("GET", "/livez", None, None).unwrap().status, 200);
    let free = exhaust(&server);

    let ask = |method: &str, path: &str, body: Option<&Value>| {
        server.connect().ask(method, path, Some(&session), body).unwrap()
    };
    let change = json!({ "current_password": PASSWORD, "password": "another password of many words" });
    for _ in 0..5 {
        let answer = sign_in(&server, "ada@example.com", PASSWORD);
        assert_eq!((answer.status, &answer.body["code"]), (503, &json!("resources_exhausted")), "{answer:?}");
        assert_eq!(answer.header("retry-after"), Some("1"));
        assert_eq!(sign_in(&server, "nobody@example.com", "wrong").status, 503);
        assert_eq!(ask("PUT", "/api/v1/user/password", Some(&change)).status, 503);
        // Other requests still work, because their threads already exist.
        assert_eq!(ask("GET", TOKENS, None).status, 200);
        assert_eq!(ask("GET", "/api/v1/user/sessions", None).status, 200);
    }
    assert_eq!(refusals(&ask("GET", "/api/v1/user/audit", None)), 0, "no password was wrong");

    limit(&server, free);
    assert_eq!(sign_in(&server, "ada@example.com", PASSWORD).status, 201, "no slot was lost");
    let guesses = [0; 4].map(|_| sign_in(&server, "ada@example.com", "wrong").status);
    assert_eq!(guesses, [401, 401, 401, 429], "the 503 answers did not count as attempts");
    assert_eq!(ask("PUT", "/api/v1/user/password", Some(&change)).status, 200);
    let ended = server.terminate();
    assert!(ended.success && !ended.stderr.contains("panicked"), "{ended:?}");
}
