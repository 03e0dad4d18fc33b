//! Clients that request large answers and do not read them: the server uses limited memory for them and closes their
//! connections.

use std::{
    io::{Read, Write},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    drive::{LOGIN, TOKENS},
    harness::{Place, Server},
};

const ACCOUNTS: usize = 10;
const CLIENTS: usize = 200;
/// Requests that each client sends at once.
const PIPELINED: usize = 20;
/// How much memory the server may use for all of them, in MiB: its limit for large answers (8), twice while an answer is
/// built, the buffers of each connection (under 100 KiB), and what the allocator keeps.
const LIMIT_MIB: u64 = 64;

#[test]
fn clients_that_do_not_read_use_little_memory_and_are_disconnected() {
    let place = Place::new(&[("PATD__SERVER__WRITE_TIMEOUT", "3s")]);
    let password = "a password of many words";
    for number in 0..=ACCOUNTS {
        let email = format!("a{number}@example.com");
        let arguments = ["user", "create", "--email", &email, "--name", "A", "--password-stdin"];
        assert!(place.run(&arguments, password).success);
    }
    let server = place.serve();
    let sessions: Vec<String> = (0..=ACCOUNTS).map(|number| account(&server, number, password)).collect();
    let honest = sessions.last().unwrap();
    assert_eq!(list(&server, honest), 200);
    let before = server.resident_mib();

    let begun = Instant::now();
    let clients: Vec<TcpStream> = (0..CLIENTS)
        .map(|number| {
            let session = &sessions[number % ACCOUNTS];
            let request = format!("GET {TOKENS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {session}\r\n\r\n");
            let mut socket = server.socket();
            socket.write_all(request.repeat(PIPELINED).as_bytes()).unwrap();
            socket
        })
        .collect();
    let mut peak = 0;
    while begun.elapsed() < Duration::from_secs(5) {
        peak = peak.max(server.resident_mib());
        let start = Instant::now();
        assert_eq!(server.connect().ask("GET", "/livez", None, None).unwrap().status, 200);
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
        thread::sleep(Duration::from_millis(20));
    }

    assert!(peak.saturating_sub(before) <= LIMIT_MIB, "{peak} MiB, and {before} before");

    // The clients with an unread answer have been disconnected, so there is room for a client that reads.
    let end = Instant::now() + Duration::from_secs(20);
    while list(&server, honest) != 200 {
        assert!(Instant::now() < end, "there is no room for a client that reads");
    }
    let dropped = clients.into_iter().filter(is_closed).count();
    assert!(dropped > 0, "no client was disconnected");
    assert!(server.terminate().success);
}

/// Signs in the account and creates tokens of the largest size. Returns the session token.
fn account(server: &Server, number: usize, password: &str) -> String {
    let mut connection = server.connect();
    let login = json!({ "email": format!("a{number}@example.com"), "password": password });
    let session = connection.ask("POST", LOGIN, None, Some(&login)).unwrap().data("token");
    let abilities: Vec<String> = (0..100).map(|n| format!("{n:03}{}", "a".repeat(97))).collect();
    let body = json!({ "name": "🦀".repeat(255), "abilities": abilities });
    for _ in 0..30 {
        assert_eq!(connection.ask("POST", TOKENS, Some(&session), Some(&body)).unwrap().status, 201);
    }
    session
}

fn list(server: &Server, session: &str) -> u16 {
    server.connect().ask("GET", TOKENS, Some(session), None).unwrap().status
}

/// Whether the server has closed the connection. Reads what it sent before.
fn is_closed(socket: &TcpStream) -> bool {
    let mut socket = socket;
    socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let mut buffer = [0; 64 * 1024];
    loop {
        match socket.read(&mut buffer) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => {
                return !matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut);
            }
        }
    }
}
