//! Commands while a server writes all the time to a disk that is slow to sync.

use std::{
    fs,
    path::Path,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use serde_json::json;

use crate::{
    drive::{LOGIN, TOKENS},
    harness::{Place, Server},
};

const PASSWORD: &str = "a password of many words";
/// A library that makes each sync 5 ms slower. It is loaded before the C library.
const SLOW_SYNC: &str = r#"
#include <sys/syscall.h>
#include <unistd.h>
int fsync(int file) { usleep(5000); return syscall(SYS_fsync, file); }
int fdatasync(int file) { usleep(5000); return syscall(SYS_fdatasync, file); }
"#;
const REVOCATIONS: usize = 60;
/// Enough clients that the next batch is always waiting, so that the write lock is never free for another process.
const CREATORS: usize = 8;

fn compile(directory: &Path) -> &'static str {
    let (source, library) = (directory.join("sync.c"), directory.join("sync.so"));
    fs::write(&source, SLOW_SYNC).unwrap();
    let compiled = Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&library, &source]).status().unwrap();
    assert!(compiled.success());
    Box::leak(library.into_os_string().into_string().unwrap().into_boxed_str())
}

fn sign_in(server: &Server) -> String {
    let body = json!({"email": "a@example.com", "password": PASSWORD});
    server.connect().ask("POST", LOGIN, None, Some(&body)).unwrap().data("token")
}

#[test]
fn a_revocation_during_creations_is_done_in_time_and_exact() {
    let directory = tempfile::tempdir().unwrap();
    let library = compile(directory.path());
    // A command that opened the file itself would rarely get the write lock in this time.
    let busy_timeout = ("PATD__DATABASE__BUSY_TIMEOUT", "100ms");
    let place = Place::new(&[("LD_PRELOAD", library), ("PATD__TOKENS__MAX_PER_USER", "1000000"), busy_timeout]);
    let answer =
        place.run(&["user", "create", "--email", "a@example.com", "--name", "A", "--password-stdin"], PASSWORD);
    assert!(answer.success, "{answer:?}");
    let server = place.serve();
    let session = sign_in(&server);
    let mut connection = server.connect();
    let tokens: Vec<(String, String)> = (0..REVOCATIONS)
        .map(|_| {
            let answer = connection.ask("POST", TOKENS, Some(&session), Some(&json!({"name": "ci"}))).unwrap();
            (answer.data("id"), answer.data("token"))
        })
        .collect();

    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let creating: Vec<_> = (0..CREATORS)
            .map(|_| {
                let mut connection = server.connect();
                let (session, done) = (&session, &done);
                scope.spawn(move || {
                    let mut created = 0;
                    while !done.load(Ordering::SeqCst) {
                        let body = json!({"name": "one of many"});
                        let answer = connection.ask("POST", TOKENS, Some(session), Some(&body)).unwrap();
                        assert_eq!(answer.status, 201, "{answer:?}");
                        created += 1;
                    }
                    created
                })
            })
            .collect();
        let mut failed = Vec::new();
        for (id, token) in &tokens {
            assert_eq!(connection.ask("GET", "/api/user", Some(token), None).unwrap().status, 200);
            let revoked = place.run(&["token", "revoke", id], "");
            let status = connection.ask("GET", "/api/user", Some(token), None).unwrap().status;
            if !revoked.success || status != 401 {
                failed.push((status, revoked));
            }
        }
        done.store(true, Ordering::SeqCst);
        let created: usize = creating.into_iter().map(|thread| thread.join().unwrap()).sum();
        assert!(failed.is_empty(), "{} of {REVOCATIONS} during {created} creations: {failed:?}", failed.len());
        assert!(created > REVOCATIONS, "too few concurrent creations: {created}");
    });
    assert!(server.terminate().success);
}
