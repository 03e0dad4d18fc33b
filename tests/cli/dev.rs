//! `patd dev`.

use std::net::TcpListener;

use serde_json::{Value, json};

use crate::support::place::{Place, Server};

const KEYS: [&str; 9] =
    ["url", "email", "password", "session_token", "token", "token_id", "introspect_token", "user_id", "database"];

fn dev(place: &Place, arguments: &[&str]) -> (Server, Value, String) {
    let running = place.start(&[&["dev", "--json"], arguments].concat());
    let line = running.stdout_line("{");
    let demo: Value = serde_json::from_str(&line).unwrap();
    let url = demo["url"].as_str().unwrap().to_owned();
    (Server::new(url, running), demo, line)
}

#[test]
fn json_output_has_valid_credentials_and_the_files_are_removed() {
    let place = Place::new();
    let (server, demo, line) = dev(&place, &["--port", "0"]);
    let places: Vec<_> = KEYS.map(|key| line.find(&format!("\"{key}\":"))).into();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{line}");
    assert_eq!(demo.as_object().unwrap().len(), KEYS.len());

    let text = |key: &str| demo[key].as_str().unwrap();
    let body = json!({"name": "CI Pipeline", "abilities": ["*"]});
    let (status, created) = server.post("/api/v1/user/api-tokens", text("session_token"), &body);
    assert_eq!(status, 201);
    for token in [text("token"), created["data"]["token"].as_str().unwrap()] {
        assert_eq!(server.get("/api/user", token), 200);
    }
    assert_eq!(server.sign_in(text("email"), text("password")).0, 201);
    let stranger = json!({"name": "Bob", "email": "bob@example.com", "password": "a 1000 wheels for bob"});
    assert_eq!(server.post("/api/v1/auth/register", "none", &stranger).0, 201);
    let question = json!({"token": text("token"), "abilities": ["calls:read"]});
    let (status, verdict) = server.post("/api/v1/tokens/verify", text("introspect_token"), &question);
    assert_eq!((status, &verdict["data"]["valid"]), (200, &json!(true)), "{verdict}");
    let path = format!("/api/v1/user/api-tokens/{}", text("token_id"));
    assert_eq!(server.get(&path, text("session_token")), 200);
    assert!(std::path::Path::new(text("database")).starts_with(place.path("tmp")));

    let ended = server.terminate();
    assert_eq!((ended.code, &*ended.stdout, &*ended.stderr), (Some(0), "", ""));
    assert!(place.temporary_files().is_empty());
    assert!(!place.path("patd.db").exists());
}

#[test]
fn a_second_sigint_forces_the_end_and_the_files_are_removed() {
    let place = Place::new()
        .set("PATD__LOG__LEVEL", "info")
        .set("PATD__SERVER__DRAIN_TIMEOUT", "1h")
        .set("PATD__SERVER__BODY_TIMEOUT", "1h")
        .set("PATD__SERVER__REQUEST_DEADLINE", "2h");
    let (server, _, _) = dev(&place, &["--port", "0"]);
    let held = server.hold_request();
    server.running.signal("INT");
    server.running.stderr_line("shutting down");
    server.running.signal("INT");
    assert_eq!(server.running.end().code, Some(0));
    assert!(place.temporary_files().is_empty());
    drop(held);
}

#[test]
fn the_output_can_be_pasted_into_a_shell() {
    let place = Place::new();
    let running = place.start(&["dev", "--port", "0"]);
    let mut script = String::new();
    while !script.contains("-X DELETE") {
        script += &(running.stdout_line("") + "\n");
    }
    let curl = "curl() { for last; do :; done; echo \"$*\"; }\n";
    let check = "\necho \"$PATD_URL $PATD_SESSION $PATD_TOKEN $PATD_INTROSPECT_TOKEN\"";
    let pasted =
        std::process::Command::new("sh").args(["-eu", "-c", &format!("{curl}{script}{check}")]).output().unwrap();
    let output = String::from_utf8(pasted.stdout).unwrap();
    assert!(pasted.status.success() && pasted.stderr.is_empty(), "{script}");
    let lines: Vec<_> = output.lines().collect();
    assert_eq!(lines.len(), 6, "{output}");
    assert!(lines[0].ends_with(r#"-d {"name":"CI Pipeline","abilities":["*"]}"#), "{output}");
    assert!(!script.contains('|'), "a shell takes it as a pipe: {script}");
    let variables: Vec<_> = lines[5].split(' ').collect();
    let server = Server::new(variables[0].to_owned(), running);
    assert_eq!(server.get("/api/v1/user/api-tokens", variables[1]), 200);
    assert_eq!(server.get("/api/user", variables[2]), 200);
    let question = json!({"token": variables[2]});
    assert_eq!(server.post("/api/v1/tokens/verify", variables[3], &question).0, 200);
}

#[test]
fn the_files_are_removed_if_the_output_is_not_read() {
    let place = Place::new();
    let ended = place.run_unread(&["dev", "--port", "0"]);
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
    assert!(place.temporary_files().is_empty());
}

#[test]
fn a_port_in_use_is_avoided_unless_it_was_requested() {
    let place = Place::new();
    // The port is now in use, by this test or by another process.
    let default_port = TcpListener::bind("127.0.0.1:8080");
    let (server, demo, _) = dev(&place, &[]);
    assert_ne!(demo["url"], "http://127.0.0.1:8080");
    assert_eq!(server.get("/readyz", "none"), 200);
    assert_eq!(server.terminate().code, Some(0));
    drop(default_port);

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let ended = place.run(&["dev", "--port", &port]);
    assert_eq!((ended.code, &*ended.stdout), (Some(5), ""), "{ended:?}");
    assert!(ended.stderr.contains("--port 0"), "{ended:?}");
    assert!(place.temporary_files().is_empty());
}

#[test]
fn a_configuration_file_is_read_only_if_it_is_named() {
    let place = Place::new();
    place.write("config.toml", "[nonsense]\n");
    let (server, _, _) = dev(&place, &["--port", "0"]);
    assert_eq!(server.terminate().code, Some(0));
    let named = place.run(&["dev", "--config", "config.toml"]);
    assert_eq!(named.code, Some(6), "{named:?}");
    let database = place.run(&["dev", "--database", "patd.db"]);
    assert_eq!(database.code, Some(2), "{database:?}");
}

#[test]
fn the_settings_can_raise_the_log_level() {
    let place = Place::new();
    place.write("loud.toml", "[log]\nlevel = \"info\"\n");
    let (server, _, _) = dev(&place, &["--port", "0", "--config", "loud.toml"]);
    assert!(server.terminate().stderr.contains("signed in"));
}

#[test]
fn attempts_are_throttled_only_if_the_settings_say_so() {
    let attempts = |place: &Place, arguments: &[&str]| {
        let (server, demo, _) = dev(place, &[&["--port", "0"], arguments].concat());
        let email = demo["email"].as_str().unwrap();
        let wrong: Vec<u16> = (0..60).map(|_| server.sign_in(email, "a wrong password").0).collect();
        let right = server.sign_in(email, demo["password"].as_str().unwrap()).0;
        let report = json!({"tokens": ["none"]});
        let reports: Vec<u16> =
            (0..60).map(|_| server.post("/api/v1/tokens/revoke-leaked", "none", &report).0).collect();
        (wrong, right, reports)
    };
    let place = Place::new();
    assert_eq!(attempts(&place, &[]), (vec![401; 60], 201, vec![200; 60]));
    place.write("strict.toml", "[throttle]\n");
    let (wrong, right, reports) = attempts(&place, &["--config", "strict.toml"]);
    assert!(wrong.contains(&429) && right == 429 && reports.contains(&429), "{wrong:?} {right} {reports:?}");
}

#[test]
fn the_server_ends_when_its_standard_input_closes() {
    let place = Place::new();
    let (running, stdin) = place.start_piped(&["dev", "--json", "--port", "0"]);
    let demo: Value = serde_json::from_str(&running.stdout_line("{")).unwrap();
    let server = Server::new(demo["url"].as_str().unwrap().to_owned(), running);
    assert_eq!(server.get("/readyz", "none"), 200);
    drop(stdin);
    let ended = server.running.end();
    assert!(ended.code == Some(0) && ended.stderr.contains("standard input was closed"), "{ended:?}");
    assert!(place.temporary_files().is_empty());
}

#[test]
fn the_server_ends_when_its_parent_is_killed() {
    let place = Place::new();
    let parent = place.start_shell("for n in 1 2 3 4 5; do \"$PATD\" dev --json --port 0 & done; wait");
    for _ in 0..5 {
        parent.stdout_line("introspect_token");
    }
    assert_eq!(place.temporary_files().len(), 5);
    parent.signal("KILL");
    // The output ends when the last of the five has ended.
    let ended = parent.end();
    assert_eq!(ended.code, None, "{ended:?}");
    assert!(place.temporary_files().is_empty());
}

#[test]
fn a_start_removes_the_files_of_killed_instances_only() {
    let place = Place::new();
    let (living, demo, _) = dev(&place, &["--port", "0"]);
    let (killed, killed_demo, _) = dev(&place, &["--port", "0"]);
    killed.running.signal("KILL");
    killed.running.end();
    let file = |demo: &Value| std::path::PathBuf::from(demo["database"].as_str().unwrap());
    assert!(file(&killed_demo).exists());
    let foreign = place.path("tmp").join("patd-dev-not-ours");
    std::fs::create_dir(&foreign).unwrap();
    std::fs::write(foreign.join("kept"), "").unwrap();

    let (next, _, _) = dev(&place, &["--port", "0"]);
    assert!(!file(&killed_demo).parent().unwrap().exists());
    assert!(file(&demo).exists() && foreign.join("kept").exists());
    assert_eq!(living.sign_in(demo["email"].as_str().unwrap(), demo["password"].as_str().unwrap()).0, 201);
    for server in [living, next] {
        assert_eq!(server.terminate().code, Some(0));
    }
    assert_eq!(place.temporary_files(), [foreign]);
}
