//! A service manager keeps the socket open over restarts of the server, so that no client is refused.

use std::{
    io::ErrorKind,
    net::TcpListener,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

use crate::{
    harness::{AtEnd, Place},
    support::connection::Connection,
};

const RESTARTS: usize = 8;

#[test]
fn a_restart_fails_no_request() {
    let place = Place::new(&[]);
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let start = || {
        let process = place.serve_on(&socket, 0);
        process.stderr_line("the socket comes from the service manager");
        let server = Place::listening(process);
        assert_eq!(server.address(), address);
        server
    };
    let (is_over, asked, reconnected) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    let server = thread::scope(|scope| {
        let _end = AtEnd(&is_over);
        let mut server = start();
        // One connection for each request.
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let answer = Connection::open(address).unwrap().ask("GET", "/livez", None, None).unwrap();
                    assert_eq!(answer.status, 200);
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        // A connection that is kept open as long as the server likes. As every client does, these ask again over a new one if
        // the server closed it before the request arrived.
        for _ in 0..2 {
            scope.spawn(|| {
                let (mut connection, mut is_new) = (Connection::open(address).unwrap(), true);
                while !is_over.load(Ordering::Relaxed) {
                    match connection.ask("GET", "/livez", None, None) {
                        Ok(answer) => {
                            assert_eq!(answer.status, 200);
                            asked.fetch_add(1, Ordering::Relaxed);
                            is_new = answer.header("connection") == Some("close");
                        }
                        Err(error) => {
                            let is_closed =
                                [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
                            assert!(!is_new && is_closed.contains(&error.kind()), "a new connection failed: {error}");
                            is_new = true;
                        }
                    }
                    if is_new {
                        reconnected.fetch_add(1, Ordering::Relaxed);
                        connection = Connection::open(address).unwrap();
                    }
                }
            });
        }
        for _ in 0..RESTARTS {
            let before = asked.load(Ordering::Relaxed);
            while asked.load(Ordering::Relaxed) < before + 50 {
                thread::yield_now();
            }
            let ended = server.terminate();
            assert!(ended.success, "{ended:?}");
            server = start();
        }
        server
    });
    assert!(reconnected.load(Ordering::Relaxed) >= RESTARTS, "the restarts closed no connection");
    assert!(server.terminate().success);
}

#[test]
fn more_than_one_socket_is_an_error() {
    let place = Place::new(&[]);
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let ended = place.serve_on(&socket, 1).end_with_all_output();
    assert_eq!(ended.code, Some(5), "{ended:?}");
    assert!(ended.stderr.contains("it passes 2 sockets; give the socket unit one ListenStream"), "{ended:?}");
}
