//! `patd serve`: its start, its messages, and its end.

use std::{
    net::TcpListener,
    process::Command,
    time::{Duration, Instant},
};

use crate::support::place::{EMAIL, PASSWORD, Place, Process, Server};

#[test]
fn a_second_server_on_the_file_is_refused_and_commands_still_work() {
    let place = Place::new().with_user();
    let server = place.serve();
    let second = place.run(&["serve", "--bind", "127.0.0.1:0"]);
    assert_eq!(second.code, Some(5), "{second:?}");
    assert!(second.stderr.contains("already served"), "{second:?}");
    assert!(place.run(&["user", "list"]).stdout.contains(EMAIL));
    assert_eq!(server.get("/readyz", "none"), 200);
    assert_eq!(server.terminate().code, Some(0));
    assert_eq!(place.serve().terminate().code, Some(0));
}

#[test]
fn an_address_in_use_is_reported_with_a_solution() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let ended = Place::new().run(&["serve", "--bind", &address]);
    assert_eq!(ended.code, Some(5), "{ended:?}");
    let sentence = format!("cannot listen on {address} (server.bind): ");
    assert!(ended.stderr.contains(&sentence), "{ended:?}");
    assert!(ended.stderr.contains("port 0"), "{ended:?}");
}

#[test]
fn with_an_empty_database_a_working_command_for_the_first_user_is_shown() {
    let place = Place::new();
    place.write("it's mine.toml", "");
    let named = ["--database", "my users.db", "--config", "it's mine.toml"];
    let server = place.serve_with(&named);
    let line = server.running.stderr_line("patd user create");
    let (_, command) = line.split_once("patd user create").unwrap();
    assert!(command.starts_with(" --admin --email you@example.com --name \"Your Name\""), "{line}");
    let script = format!("echo '{PASSWORD}' | {} user create{command} --password-stdin", env!("CARGO_BIN_EXE_patd"));
    let created = Command::new("sh").args(["-c", &script]).current_dir(place.directory.path()).output();
    assert!(created.unwrap().status.success(), "{script}");
    let (status, session) = server.sign_in("you@example.com", PASSWORD);
    assert_eq!(status, 201);
    assert_eq!(server.get("/api/v1/admin/users", &session.unwrap()), 200, "an administrator");
    server.terminate();
    let again = place.serve_with(&named).terminate();
    assert!(!again.stderr.contains("user create"), "{again:?}");
}

#[cfg(unix)]
#[test]
fn a_database_that_other_users_may_read_causes_a_warning() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new().with_user();
    // The server fails after it has written its warnings.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let has_warning = |mode: Option<u32>| {
        if let Some(mode) = mode {
            let permissions = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(place.path("patd.db"), permissions).unwrap();
        }
        let ended = place.run(&["serve", "--bind", &address]);
        assert_eq!(ended.code, Some(5), "{ended:?}");
        ended.stderr.lines().any(|line| line.contains("WARN") && line.contains("open to other users"))
    };
    assert!(!has_warning(None), "with the mode at creation");
    for (mode, expected) in [(0o644, true), (0o604, true), (0o660, true), (0o640, false), (0o600, false)] {
        assert_eq!(has_warning(Some(mode)), expected, "{mode:o}");
    }
}

#[test]
fn a_running_request_is_answered_after_sigterm() {
    let place = Place::new().with_user();
    let server = place.serve();
    let held = server.hold_request();
    server.running.signal("TERM");
    server.running.stderr_line("shutting down");
    let answer = held.finish();
    let ended = server.running.end();
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer:?} {ended:?}");
    assert_eq!(ended.code, Some(0));
}

#[test]
fn a_second_signal_ends_a_drain_at_once() {
    let place = Place::new().with_user().set("PATD__SERVER__DRAIN_TIMEOUT", "1h");
    let place = place.set("PATD__SERVER__BODY_TIMEOUT", "1h").set("PATD__SERVER__REQUEST_DEADLINE", "2h");
    let server = place.serve();
    let held = server.hold_request();
    server.running.signal("TERM");
    server.running.stderr_line("shutting down");
    server.running.signal("INT");
    let ended = server.running.end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("forced"), "{ended:?}");
    drop(held);
}

#[test]
fn during_the_drain_delay_only_readyz_fails() {
    let place = Place::new().set("PATD__SERVER__DRAIN_DELAY", "2s");
    let server = place.serve();
    assert_eq!(server.get("/readyz", "none"), 200);
    let begun = Instant::now();
    server.running.signal("TERM");
    server.running.stderr_line("shutting down");
    while server.get("/readyz", "none") != 503 {
        assert!(begun.elapsed() < Duration::from_secs(1), "/readyz did not change to 503");
    }
    assert_eq!(server.get("/livez", "none"), 200);
    assert_eq!(server.running.end().code, Some(0));
    assert!(begun.elapsed() >= Duration::from_secs(2));
}

#[test]
fn an_address_that_other_machines_can_reach_causes_a_warning() {
    let place = Place::new();
    let open = place.start(&["serve", "--bind", "0.0.0.0:0"]);
    open.stderr_line("use a reverse proxy that terminates TLS");
    drop(open);
    let local = place.serve().terminate();
    assert!(!local.stderr.contains("TLS"), "{local:?}");
}

/// `patd serve` under limits of the shell.
fn serve_under(place: &Place, limits: &str) -> Process {
    place.start_shell(&format!("ulimit {limits} && exec \"$PATD\" serve --bind 127.0.0.1:0"))
}

#[test]
fn a_start_with_too_few_open_files_is_refused_with_a_solution() {
    let place = Place::new();
    for files in ["10", "40", "100"] {
        let ended = serve_under(&place, &format!("-n {files}")).end();
        assert_eq!(ended.code, Some(5), "{ended:?}");
        assert!(ended.stderr.contains(&format!("allows this process {files} open files")), "{ended:?}");
        assert!(ended.stderr.contains("ulimit -n") && ended.stderr.contains("LimitNOFILE="), "{ended:?}");
        assert!(!ended.stderr.contains("panicked"), "{ended:?}");
        assert!(!place.path("patd.db").exists(), "a database was created");
    }
}

#[test]
fn a_start_with_too_few_threads_is_refused_with_a_solution() {
    // There are more threads than stacks of 2 MiB fit into the address space.
    let place = Place::new().set("PATD__PASSWORDS__CONCURRENT_HASHES", "2000");
    let ended = serve_under(&place, "-v 2000000").end();
    assert_eq!(ended.code, Some(5), "{ended:?}");
    assert!(ended.stderr.contains("threads that the server needs"), "{ended:?}");
    assert!(ended.stderr.contains("ulimit -u") && ended.stderr.contains("TasksMax="), "{ended:?}");
    assert!(!ended.stderr.contains("panicked"), "{ended:?}");
    assert!(!place.path("patd.db").exists(), "a database was created");
}

#[test]
fn a_start_with_the_defaults_causes_no_warning_even_with_few_files() {
    let place = Place::new();
    let ended = place.serve().terminate();
    assert!(!ended.stderr.contains("WARN"), "{ended:?}");

    let few = serve_under(&place, "-n 500");
    let line = few.stderr_line("fewer connections than server.max_connections");
    assert!(line.contains("INFO") && line.contains("open_files=500"), "{line}");
    few.stderr_line("listening on");
    // A configured number that is not possible causes a warning.
    let configured = serve_under(&Place::new().set("PATD__SERVER__MAX_CONNECTIONS", "9000"), "-n 500");
    assert!(configured.stderr_line("fewer connections").contains("WARN"));
}

#[test]
fn a_server_with_few_files_answers_under_many_connections() {
    let place = Place::new();
    let running = serve_under(&place, "-n 200");
    let line = running.stderr_line("listening on http://");
    let url = line.split_whitespace().find(|word| word.starts_with("http://")).unwrap();
    let server = Server::new(url.to_owned(), running);
    let address = server.url.strip_prefix("http://").unwrap();
    // Connections without a free file descriptor wait in the kernel's queue.
    let idle: Vec<_> = (0..100).map(|_| std::net::TcpStream::connect(address).unwrap()).collect();
    drop(idle);
    assert_eq!(server.get("/readyz", "none"), 200);
    let ended = server.terminate();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(!ended.stderr.contains("ERROR") && !ended.stderr.contains("panicked"), "{ended:?}");
}
