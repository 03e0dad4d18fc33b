//! The write-ahead log while many tokens are created: checkpoints keep it small, and a kill during a checkpoint loses
//! nothing.

use std::{
    fs,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use rusqlite::Connection as Database;
use serde_json::json;

use crate::{
    drive::{LOGIN, TOKENS},
    harness::{Place, Server},
};

/// Clients. Each waits for an answer before its next request.
const CLIENTS: usize = 8;
/// More tokens than a client creates before the log restarts.
const MOST_TOKENS: usize = 10_000;
/// The size that the log exceeds by at most one commit.
const BOUND: u64 = 64 << 20;

#[test]
fn changes_acknowledged_during_a_checkpoint_survive_kill_9() {
    let place = Place::new(&[("PATD__TOKENS__MAX_PER_USER", "1000000")]);
    let password = "a password of many words";
    let created =
        place.run(&["user", "create", "--email", "a@example.com", "--name", "A", "--password-stdin"], password);
    assert!(created.success, "{created:?}");
    for round in 1..=2 {
        let server = place.serve();
        let session = sign_in(&server, password);
        let acknowledged = create_until_killed_amid_checkpoints(&place, &server, &session);
        drop(server);
        let server = place.serve();
        let mut connection = server.connect();
        for token in &acknowledged {
            let answer = connection.ask("GET", "/api/user", Some(token), None).unwrap();
            assert_eq!(answer.status, 200, "round {round}: one of {} tokens was lost", acknowledged.len());
        }
        assert!(server.terminate().success);
    }
    let sound: String = Database::open(place.path("patd.db"))
        .and_then(|database| database.query_row("PRAGMA integrity_check", [], |row| row.get(0)))
        .unwrap();
    assert_eq!(sound, "ok");
}

fn sign_in(server: &Server, password: &str) -> String {
    let body = json!({"email": "a@example.com", "password": password});
    server.connect().ask("POST", LOGIN, None, Some(&body)).unwrap().data("token")
}

/// Creates tokens until the log has restarted, and some more. Returns the acknowledged ones.
fn create_until_killed_amid_checkpoints(place: &Place, server: &Server, session: &str) -> Vec<String> {
    let (acknowledged, killed) = (Mutex::new(Vec::new()), AtomicBool::new(false));
    let name = "x".repeat(255);
    let first = restarts(place);
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            let (mut connection, killer) = (server.connect(), server.handle());
            let (acknowledged, killed, name) = (&acknowledged, &killed, &name);
            scope.spawn(move || {
                let body = json!({ "name": name });
                for _ in 0..MOST_TOKENS {
                    let Ok(answer) = connection.ask("POST", TOKENS, Some(session), Some(&body)) else { return };
                    assert_eq!(answer.status, 201, "{answer:?}");
                    acknowledged.lock().unwrap().push(answer.data("token"));
                    if restarts(place) > first && !killed.swap(true, Ordering::SeqCst) {
                        killer.kill();
                    }
                }
            });
        }
    });
    assert!(killed.into_inner(), "the log never began anew");
    let length = fs::metadata(place.path("patd.db-wal")).unwrap().len();
    assert!(length < BOUND, "{length}");
    acknowledged.into_inner().unwrap()
}

/// How often the log has restarted: SQLite counts this in the header of the log.
fn restarts(place: &Place) -> u32 {
    use std::io::Read;
    let mut head = [0; 16];
    let read = fs::File::open(place.path("patd.db-wal")).and_then(|mut log| log.read_exact(&mut head));
    read.map_or(0, |()| u32::from_be_bytes([head[12], head[13], head[14], head[15]]))
}
