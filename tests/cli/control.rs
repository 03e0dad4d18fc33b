//! The control socket: who may use it, which misuse the server survives, and what a command reports if no answer arrives.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    os::unix::{
        fs::{FileTypeExt, PermissionsExt},
        net::{UnixListener, UnixStream},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::support::place::{DEADLINE, EMAIL, PASSWORD, Place};

const SOCKET: &str = "patd.db.sock";
const CREATE: [&str; 6] = ["token", "create", "--user", EMAIL, "--name", "CI"];

/// Settings that allow only one ability. The answer to a command shows whether the server or the command executed it.
fn strict(place: &Place) -> [&'static str; 2] {
    place.write("strict.toml", "[tokens]\nabilities = ['calls:read']\n");
    ["--config", "strict.toml"]
}

fn is_executed_by_the_strict_server(place: &Place, arguments: &[&str]) -> bool {
    let ended = place.run(&[&CREATE[..], &["--ability", "calls:write"], arguments].concat());
    assert!(matches!(ended.code, Some(0 | 4)), "{ended:?}");
    ended.code == Some(4)
}

fn connect(place: &Place) -> UnixStream {
    let stream = UnixStream::connect(place.path(SOCKET)).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
}

/// The answer to these bytes, until the server closes the connection.
fn answer(place: &Place, sent: &[u8]) -> String {
    let mut stream = connect(place);
    // The server may refuse before it has read everything.
    let _ = stream.write_all(sent);
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}

#[test]
fn the_socket_is_private_to_its_owner_and_removed_with_the_server() {
    let place = Place::new().with_user();
    let found = || fs::symlink_metadata(place.path(SOCKET));
    assert!(found().is_err(), "no server, no socket");
    let server = place.serve_with(&strict(&place));
    let socket = found().unwrap();
    assert!(socket.file_type().is_socket());
    assert_eq!(socket.permissions().mode() & 0o777, 0o600);
    assert!(is_executed_by_the_strict_server(&place, &[]));
    assert_eq!(server.terminate().code, Some(0));
    assert!(found().is_err());

    // A server that is killed leaves the socket. Commands must handle that.
    let server = place.serve();
    server.running.signal("KILL");
    server.running.end();
    assert!(found().is_ok());
    assert!(!is_executed_by_the_strict_server(&place, &[]));
    let server = place.serve_with(&strict(&place));
    assert!(is_executed_by_the_strict_server(&place, &[]));
    server.terminate();
}

#[test]
fn a_database_with_a_long_path_or_name_has_a_socket() {
    let place = Place::new();
    let deep = place.path(&["a directory with a long name"; 5].join("/"));
    fs::create_dir_all(&deep).unwrap();
    let long_name = format!("{}.db", "n".repeat(250));
    for database in [deep.join("patd.db"), deep.join(&long_name), place.path(&long_name)] {
        // SQLite adds to the name, which must not become too long.
        let database = database.to_str().unwrap().replace(&"n".repeat(250), &"n".repeat(200));
        let at = ["--database", &*database];
        let created = place.run_with(&[&crate::support::place::create_user(EMAIL)[..], &at].concat(), PASSWORD);
        assert_eq!(created.code, Some(0), "{created:?}");
        let server = place.serve_with(&[&strict(&place)[..], &at].concat());
        assert!(is_executed_by_the_strict_server(&place, &at), "{database}");
        let ended = server.terminate();
        assert!(ended.code == Some(0) && !ended.stderr.contains("no socket"), "{ended:?}");
        let left = fs::read_dir(std::path::Path::new(&database).parent().unwrap()).unwrap();
        let names: Vec<_> = left.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        assert!(!names.iter().any(|name| name.ends_with(".sock")), "{names:?}");
    }
}

#[test]
fn a_file_in_place_of_the_socket_is_kept_and_commands_work_without_a_socket() {
    let place = Place::new().with_user();
    place.write(SOCKET, "mine");
    let server = place.start(&[&["serve", "--bind", "127.0.0.1:0"], &strict(&place)[..]].concat());
    assert!(server.stderr_line("is not a socket").contains("WARN"));
    server.stderr_line("listening on");
    assert!(!is_executed_by_the_strict_server(&place, &[]));
    drop(server);
    assert_eq!(fs::read_to_string(place.path(SOCKET)).unwrap(), "mine");
}

#[test]
fn a_malformed_request_is_refused_without_quoting_it() {
    let place = Place::new().with_user();
    let server = place.serve();
    let greeting = "{\"protocol\":1,\"release\":\"0\"}\n";
    let refused = |sent: &str| {
        let answer = answer(&place, sent.as_bytes());
        assert!(!answer.contains("hunter2"), "{answer}");
        answer
    };
    for malformed in [
        "hunter2\n\n".to_owned(),
        format!("{greeting}hunter2\n"),
        format!("{greeting}{{\"set_password\":{{\"user\":\"a\",\"password\":\"hunter2\",\"hunter2\":1}}}}\n"),
        format!("{greeting}{{\"hunter2\":1}}\n"),
    ] {
        let answer = refused(&malformed);
        assert!(answer.starts_with("{\"failed\":{\"defect\":"), "{malformed}: {answer}");
    }
    assert_eq!(refused("{\"protocol\":1"), "", "broken off");
    assert_eq!(refused(&"x".repeat(1 << 20)), "", "endless");
    let answer = refused("{\"protocol\":2,\"and\":\"more\"}\n{\"unheard_of\":1}\n");
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(answer, format!("{{\"failed\":{{\"other_release\":\"{version}\"}}}}\n"));
    // Silent clients do not block others.
    let silent: Vec<_> = (0..20).map(|_| connect(&place)).collect();
    assert_eq!(place.run(&CREATE).code, Some(0));
    drop(silent);
    let ended = server.terminate();
    assert!(!ended.stderr.contains("hunter2"), "{ended:?}");
}

/// A program in place of the server: it reads one request per connection and answers with these lines.
fn pretend(place: &Place, lines: &'static str) -> thread::JoinHandle<String> {
    let listener = UnixListener::bind(place.path(SOCKET)).unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let (mut greeting, mut request) = (String::new(), String::new());
        reader.read_line(&mut greeting).unwrap();
        reader.read_line(&mut request).unwrap();
        stream.write_all(lines.as_bytes()).unwrap();
        if lines.is_empty() {
            // It hangs until the command gives up.
            let _ = reader.read_line(&mut String::new());
        }
        request
    })
}

#[test]
fn without_an_answer_only_a_change_is_reported_as_uncertain() {
    const UNCERTAIN: &str = "it is unknown whether the change was made";
    let id = "01a20d4c-282d-734b-831f-147980497265";
    let cases = [
        (&["token", "revoke", id][..], "", "did not answer in 10 s"),
        (&["token", "revoke", id], "{\"item\":{}}\n", "incomplete"),
        (&["token", "revoke", id], "nonsense\n", ""),
        (&["user", "show", "ada"], "", "did not answer in 10 s"),
        (&["token", "list"], "{\"item\":{}}\n", "incomplete"),
    ];
    thread::scope(|scope| {
        for (arguments, lines, message) in cases {
            scope.spawn(move || {
                let place = Place::new().with_user();
                let server = pretend(&place, lines);
                let begun = Instant::now();
                let ended = place.run(arguments);
                assert!(begun.elapsed() < Duration::from_secs(15), "{arguments:?}");
                assert_eq!((ended.code, &*ended.stdout), (Some(5), ""), "{ended:?}");
                assert!(ended.stderr.contains(message), "{ended:?}");
                assert_eq!(ended.stderr.contains(UNCERTAIN), arguments[1] == "revoke", "{ended:?}");
                server.join().unwrap();
            });
        }
    });
}

#[test]
fn a_server_of_another_release_is_named() {
    let place = Place::new().with_user();
    let server = pretend(&place, "{\"failed\":{\"other_release\":\"7.0.0\"}}\n");
    let ended = place.run(&["token", "revoke", "01a20d4c-282d-734b-831f-147980497265"]);
    assert_eq!(ended.code, Some(5), "{ended:?}");
    assert!(
        ended.stderr.contains("the server of this database is patd 7.0.0")
            && ended.stderr.contains("restart the server"),
        "{ended:?}"
    );
    server.join().unwrap();
}

#[test]
fn only_a_valid_password_is_sent_over_the_socket() {
    let place = Place::new().with_user();
    let refused = place.run_with(&crate::support::place::create_user("bob@example.com"), &"x".repeat(2000));
    assert_eq!(refused.code, Some(4), "{refused:?}");
    let server = pretend(&place, "{\"failed\":{\"no_user\":\"bob\"}}\n");
    let ended = place.run_with(&crate::support::place::create_user("bob@example.com"), PASSWORD);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(server.join().unwrap().contains(PASSWORD));
}

#[test]
fn an_unread_list_does_not_block_other_requests() {
    let place = Place::new().with_user();
    let server = place.serve();
    let session = server.sign_in(EMAIL, PASSWORD).1.unwrap();
    let long = "a name of some length, so that the buffers of the socket hold few of them ".repeat(3);
    for _ in 0..900 {
        assert_eq!(server.post("/api/v1/user/api-tokens", &session, &json!({ "name": long })).0, 201);
    }
    let mut stalled = connect(&place);
    stalled
        .write_all(b"{\"protocol\":1,\"release\":\"0\"}\n{\"list_tokens\":{\"sort\":\"created\",\"reverse\":false}}\n")
        .unwrap();
    let mut first = [0; 1];
    stalled.read_exact(&mut first).unwrap();

    let begun = Instant::now();
    for _ in 0..3 {
        assert_eq!(server.get("/api/v1/user/api-tokens", &session), 200);
    }
    assert_eq!(place.run(&CREATE).code, Some(0));
    assert!(begun.elapsed() < Duration::from_secs(5), "the requests waited for the unread list");
    // Another list waits until the server stops the first one.
    assert_eq!(place.run(&["token", "list", "--json"]).json_lines().len(), 901);
    let mut rest = Vec::new();
    let _ = stalled.read_to_end(&mut rest);
    assert!(!rest.ends_with(b"\"done\"\n"), "the unread list was completed");
    server.terminate();
}

#[test]
fn a_list_ends_without_an_error_if_its_reader_leaves() {
    let place = Place::new().with_user();
    for _ in 0..3 {
        assert_eq!(place.run(&CREATE).code, Some(0));
    }
    let server = place.serve();
    for arguments in [&["token", "list"][..], &["token", "list", "--json"], &["user", "list"]] {
        let ended = place.run_unread(arguments);
        assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{arguments:?}");
    }
    server.terminate();
}

#[test]
fn the_server_executes_commands_with_its_own_settings() {
    let place = Place::new().with_user();
    place.write(
        "policy.toml",
        "[[policies]]\nname = 'app'\nrules = [{ paths = ['/calls'], abilities = ['calls:read'] }]\n",
    );
    let created = place.run(&[&CREATE[..], &["--ability", "calls:read", "--quota", "10", "--json"]].concat());
    let created: Value = serde_json::from_str(&created.stdout).unwrap();
    let server = place.serve();
    let explain =
        ["policy", "explain", "--config", "policy.toml", "--policy", "app", "--path", "/calls", "--token-stdin"];
    for _ in 0..2 {
        let ended = place.run_with(&explain, created["token"].as_str().unwrap());
        assert!(ended.code == Some(0) && ended.stdout.contains(EMAIL), "{ended:?}");
    }
    let left = &place.run(&["token", "list", "--json"]).json_lines()[0];
    assert_eq!(left["quota_remaining"], 8, "{left}");
    server.terminate();
}
