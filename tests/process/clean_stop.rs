//! After a clean stop of the last process, the database file alone has every acknowledged change, so it can be copied.

use std::{collections::BTreeSet, fs, io, sync::Mutex, thread, time::Duration};

use rusqlite::Connection as Database;
use serde_json::json;
use tempfile::TempDir;

use crate::{
    drive::{LOGIN, TOKENS},
    harness::{Place, Server},
};

/// How often the server is stopped. Every third stop is forced, and every third leaves connections open.
const STOPS: usize = 60;
const COMMANDS: usize = 40;
const CLIENTS: usize = 4;
const PASSWORD: &str = "a password of many words";

/// Copies only the database file to another place.
fn copy_of_the_file_alone(place: &Place) -> (TempDir, Database) {
    let log = fs::metadata(place.path("patd.db-wal")).map_or(0, |log| log.len());
    assert_eq!(log, 0, "the log still holds something");
    let elsewhere = TempDir::new().unwrap();
    let copy = elsewhere.path().join("copy.db");
    fs::copy(place.path("patd.db"), &copy).unwrap();
    (elsewhere, Database::open(copy).unwrap())
}

fn column(database: &Database, sql: &str) -> BTreeSet<String> {
    let mut statement = database.prepare(sql).unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

fn create_user(place: &Place, name: &str) {
    let email = format!("{name}@example.com");
    let created = place.run(&["user", "create", "--email", &email, "--name", name, "--password-stdin"], PASSWORD);
    assert!(created.success, "{created:?}");
}

fn sign_in(server: &Server) -> String {
    let body = json!({"email": "ada@example.com", "password": PASSWORD});
    server.connect().ask("POST", LOGIN, None, Some(&body)).unwrap().data("token")
}

/// Creates tokens over several connections while the server stops. Returns the ids of the acknowledged ones.
fn create_while_it_stops(place: &Place, round: usize) -> BTreeSet<String> {
    let server = place.serve();
    let session = sign_in(&server);
    let acknowledged = Mutex::new(BTreeSet::new());
    thread::scope(|scope| {
        let mut idle: Vec<_> = (0..CLIENTS).map(|_| server.connect()).collect();
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let mut connection = server.connect();
                let (session, acknowledged) = (&session, &acknowledged);
                scope.spawn(move || -> io::Result<()> {
                    loop {
                        let answer = connection.ask("POST", TOKENS, Some(session), Some(&json!({"name": "x"})))?;
                        if answer.status != 201 {
                            return Ok(());
                        }
                        acknowledged.lock().unwrap().insert(answer.data("id"));
                    }
                })
            })
            .collect();
        while acknowledged.lock().unwrap().len() < 10 {
            thread::yield_now();
        }
        if !round.is_multiple_of(3) {
            idle.clear();
        }
        if round % 3 == 1 {
            // A second signal forces the end.
            server.signal("TERM");
            thread::sleep(Duration::from_millis(2));
        }
        let ended = server.terminate();
        assert!(ended.success, "{ended:?}");
        for client in clients {
            // How its connection ends does not matter.
            let _ = client.join().unwrap();
        }
    });
    acknowledged.into_inner().unwrap()
}

#[test]
fn the_file_alone_is_complete_after_each_stop_of_a_server() {
    let place = Place::new(&[("PATD__TOKENS__MAX_PER_USER", "1000000")]);
    create_user(&place, "ada");
    let mut acknowledged = BTreeSet::new();
    for round in 0..STOPS {
        acknowledged.extend(create_while_it_stops(&place, round).iter().map(|id| id.replace('-', "")));
        let (_elsewhere, copy) = copy_of_the_file_alone(&place);
        let kept = column(&copy, "SELECT lower(hex(id)) FROM tokens");
        let lost = acknowledged.difference(&kept).count();
        assert_eq!(lost, 0, "round {round}: {lost} of {} tokens are not in the copy", acknowledged.len());
    }
}

#[test]
fn the_file_alone_is_complete_after_each_command() {
    let place = Place::new(&[]);
    for number in 0..COMMANDS {
        create_user(&place, &format!("user{number}"));
        let (_elsewhere, copy) = copy_of_the_file_alone(&place);
        assert_eq!(column(&copy, "SELECT email FROM users").len(), number + 1);
    }
    // A command that fails after it opened the database.
    let missing = place.run(&["user", "disable", "nobody@example.com"], "");
    assert!(!missing.success, "{missing:?}");
    let (_elsewhere, copy) = copy_of_the_file_alone(&place);
    assert_eq!(column(&copy, "SELECT email FROM users").len(), COMMANDS);
}

#[test]
fn the_file_alone_is_complete_after_concurrent_commands() {
    let place = Place::new(&[]);
    create_user(&place, "ada");
    for round in 0..10 {
        thread::scope(|scope| {
            for command in 0..4 {
                let place = &place;
                scope.spawn(move || create_user(place, &format!("user{round}x{command}")));
            }
        });
        let (_elsewhere, copy) = copy_of_the_file_alone(&place);
        assert_eq!(column(&copy, "SELECT email FROM users").len(), 1 + 4 * (round + 1));
    }
}

#[test]
fn the_file_alone_is_complete_when_a_server_could_not_listen() {
    let place = Place::new(&[("PATD__SERVER__BIND", "192.0.2.1:1")]);
    let refused = place.run(&["serve"], "");
    assert!(!refused.success, "{refused:?}");
    let (_elsewhere, copy) = copy_of_the_file_alone(&place);
    assert_eq!(column(&copy, "SELECT email FROM users").len(), 0);
}
