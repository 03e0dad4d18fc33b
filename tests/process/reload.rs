//! SIGHUP: the configuration is read again while requests are under way.

use std::{
    fs,
    io::{Read, Write},
    os::unix::net::UnixDatagram,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use serde_json::json;

use crate::{
    drive::{LOGIN, TOKENS},
    harness::{AtEnd, Place, Server},
    support::{
        connection::{Answer, Connection},
        process::DEADLINE,
        settings::{FAST_HASHING, variable},
    },
};

const EMAIL: &str = "ada@example.com";
const PASSWORD: &str = "a password of many words";
const APPLIED: &str = "the configuration was read again and applied";

/// A place whose server reads `patd.toml`.
struct Configured(Place);

impl Configured {
    fn new(more: &[(&'static str, &'static str)], configuration: &str) -> Self {
        Self::at(Place::new(more), configuration)
    }

    fn at(place: Place, configuration: &str) -> Self {
        let place = Self(place);
        place.write(configuration);
        let created = place.0.run(&["user", "create", "--email", EMAIL, "--name", "Ada", "--password-stdin"], PASSWORD);
        assert!(created.success, "{created:?}");
        place
    }

    fn write(&self, configuration: &str) {
        fs::write(self.0.path("patd.toml"), configuration).unwrap();
    }

    fn serve(&self) -> Server {
        self.0.serve_with(&["--config", "patd.toml"])
    }

    /// Reads this configuration again, and returns the first line about it that contains `expected`.
    fn reload(&self, server: &Server, configuration: &str, expected: &str) -> String {
        self.write(configuration);
        server.signal("HUP");
        server.line(expected)
    }
}

/// A policy with one rule for `/me`, and the peer as a proxy.
fn policy(rule: &str) -> String {
    format!(
        "[server]\ntrusted_proxies = [\"127.0.0.1\"]\n[[policies]]\nname = \"app\"\nrules = [{{ paths = [\"/me\"], {rule} }}]\n"
    )
}

const CHECK: &[u8] = b"GET /api/authz/forward-auth/app HTTP/1.1\r\nHost: patd\r\nX-Forwarded-Method: GET\r\nX-Forwarded-Uri: /me\r\n\r\n";

fn check(server: &Server) -> u16 {
    server.connect().exchange("GET", CHECK).unwrap().status
}

fn sign_in(server: &Server) -> String {
    let body = json!({"email": EMAIL, "password": PASSWORD});
    server.connect().ask("POST", LOGIN, None, Some(&body)).unwrap().data("token")
}

fn create_token(server: &Server, session: &str) -> Answer {
    server.connect().ask("POST", TOKENS, Some(session), Some(&json!({"name": "x"}))).unwrap()
}

#[test]
fn the_next_request_is_judged_by_the_new_settings_and_no_request_fails_meanwhile() {
    let (public, closed) = (policy("public = true"), policy("abilities = [\"calls:read\"]"));
    let place = Configured::new(&[("PATD__LOG__CHECKS", "none")], &public);
    let server = place.serve();
    let (is_over, asked, address) = (AtomicBool::new(false), AtomicUsize::new(0), server.address());
    thread::scope(|scope| {
        let _end = AtEnd(&is_over);
        for _ in 0..4 {
            scope.spawn(|| {
                let mut connection = Connection::open(address).unwrap();
                while !is_over.load(Ordering::Relaxed) {
                    let answer = connection.exchange("GET", CHECK).unwrap();
                    assert!([200, 401].contains(&answer.status), "{answer:?}");
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for round in 0..40 {
            let (configuration, status) = if round % 2 == 0 { (&closed, 401) } else { (&public, 200) };
            let line = place.reload(&server, configuration, APPLIED);
            assert!(line.contains("settings=policies"), "{line}");
            assert_eq!(check(&server), status, "round {round}");
            let before = asked.load(Ordering::Relaxed);
            while asked.load(Ordering::Relaxed) < before + 20 {
                thread::yield_now();
            }
        }
    });
    assert!(server.terminate().success);
}

#[test]
fn a_request_is_judged_by_the_settings_that_it_began_with() {
    let (before, after) = ("[tokens]\nrequire_abilities = true\n", "[server]\nbody_limit = \"1KiB\"\n");
    let place = Configured::new(&[], before);
    let server = place.serve();
    let session = sign_in(&server);
    // Longer than the new limit, and without the abilities that the old settings require. Half of each would accept it.
    let body = format!("{{\"name\": \"x\"{}}}", " ".repeat(2000));
    let head = format!(
        "POST {TOKENS} HTTP/1.1\r\nHost: patd\r\nAuthorization: Bearer {session}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let mut socket = server.socket();
    socket.write_all(head.as_bytes()).unwrap();
    socket.write_all(&body.as_bytes()[..20]).unwrap();
    // If the server had not read the head by then, the answer would be 413.
    thread::sleep(Duration::from_millis(300));
    place.reload(&server, after, APPLIED);
    assert_eq!(create_token(&server, &session).status, 201, "the new settings require no abilities");
    socket.write_all(&body.as_bytes()[20..]).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 422 "), "{answer}");
    assert!(answer.contains("abilities"), "{answer}");
    let long = json!({"name": "x", "description": "x".repeat(1500)});
    assert_eq!(server.connect().ask("POST", TOKENS, Some(&session), Some(&long)).unwrap().status, 413);
    assert!(server.terminate().success);
}

#[test]
fn a_configuration_with_an_error_changes_nothing() {
    let place = Configured::new(&[], &policy("public = true"));
    let server = place.serve();
    let wrong = policy("abilities = [\"calls:read\"]") + "[tokens]\nmax_per_user = 0\n[rotation]\ngrace = \"long\"\n";
    let line = place.reload(&server, &wrong, "tokens.max_per_user");
    assert!(line.contains("ERROR") && line.contains("patd.toml, line 7"), "{line}");
    assert_eq!(check(&server), 200, "the policy stays, too");
    fs::remove_file(place.0.path("patd.toml")).unwrap();
    server.signal("HUP");
    server.line("the configuration file patd.toml cannot be read");
    assert_eq!(check(&server), 200);
    place.reload(&server, &policy("abilities = [\"calls:read\"]"), APPLIED);
    assert_eq!(check(&server), 401);
    assert!(server.terminate().success);
}

#[test]
fn limits_abilities_proxies_and_the_log_level_are_taken_over_and_the_rest_is_named() {
    let place = Configured::new(&[], "");
    let server = place.serve();
    let session = sign_in(&server);
    assert_eq!(create_token(&server, &session).status, 201);
    assert_eq!(check(&server), 403, "the peer is no proxy");
    let more = "[tokens]\nmax_per_user = 1\nabilities = [\"calls:read\"]\n[log]\nlevel = \"debug\"\n[cache]\ntokens = 5\n\
                [passwords]\nmin_length = 30\n";
    let line = place.reload(&server, &(policy("public = true") + more), "need a restart");
    assert!(line.contains("settings=cache.tokens") && line.contains("WARN"), "{line}");
    assert_eq!(check(&server), 200);
    let refused = create_token(&server, &session);
    assert_eq!((refused.status, refused.body["code"].as_str()), (422, Some("validation_failed")), "{refused:?}");
    let unknown = json!({"name": "x", "abilities": ["calls:write"]});
    assert_eq!(server.connect().ask("POST", TOKENS, Some(&session), Some(&unknown)).unwrap().status, 422);
    let password = json!({"current_password": PASSWORD, "password": "quite a long one, of 29 chars"});
    let refused = server.connect().ask("PUT", "/api/v1/user/password", Some(&session), Some(&password)).unwrap();
    assert_eq!(refused.status, 422, "{refused:?}");
    let quiet = policy("public = true") + "[log]\nlevel = \"error\"\n[tokens]\nmax_per_user = 9\n";
    place.reload(&server, &quiet, APPLIED);
    assert_eq!(create_token(&server, &session).status, 201);
    let ended = server.terminate();
    let after = ended.stderr.rsplit(APPLIED).next().unwrap();
    assert!(ended.success && after.lines().count() == 1, "lines that are no errors: {after}");
}

#[test]
fn a_reload_with_fewer_attempts_counts_those_that_were_made() {
    let mut place = Place::bare();
    for (key, value) in FAST_HASHING {
        place.set(variable(key), value);
    }
    let place = Configured::at(place, "");
    let server = place.serve();
    let attempt = || {
        let body = json!({"email": EMAIL, "password": "wrong"});
        server.connect().ask("POST", LOGIN, None, Some(&body)).unwrap().status
    };
    for _ in 0..3 {
        assert_eq!(attempt(), 401);
    }
    place.reload(&server, "[throttle]\nper_email_burst = 3\n", APPLIED);
    assert_eq!(attempt(), 429);
    place.reload(&server, "[throttle]\nper_email_burst = 4\n", APPLIED);
    assert_eq!((attempt(), attempt()), (401, 429));
    server.signal("HUP");
    server.line("no setting was changed that needs no restart");
    assert!(server.terminate().success);
}

#[test]
fn uses_are_counted_for_the_rule_that_allowed_them() {
    let rule = |ability: &str| policy(&format!("abilities = [\"{ability}\"]"));
    let place = Configured::new(&[], &rule("calls:read"));
    let server = place.serve();
    let session = sign_in(&server);
    let token = create_token(&server, &session);
    let check = String::from_utf8(CHECK.to_vec()).unwrap();
    let check = check.replace("\r\n\r\n", &format!("\r\nAuthorization: Bearer {}\r\n\r\n", token.data("token")));
    let ask = || assert_eq!(server.connect().exchange("GET", check.as_bytes()).unwrap().status, 200);
    ask();
    place.reload(&server, &rule("calls:write"), APPLIED);
    ask();
    ask();
    place.reload(&server, &rule("calls:read"), APPLIED);
    ask();
    let usage = format!("{TOKENS}/{}/usage", token.data("id"));
    let usage = server.connect().ask("GET", &usage, Some(&session), None).unwrap().body;
    let allowed = |kind: &str, name: &str| {
        let counts = usage["data"]["totals"][kind].as_array().unwrap_or_else(|| panic!("{usage}"));
        counts.iter().find(|count| count["name"] == name).map(|count| count["allowed"].as_u64().unwrap())
    };
    assert_eq!(allowed("policies", "app"), Some(4), "{usage}");
    assert_eq!(allowed("abilities", "calls:read"), Some(2), "{usage}");
    assert_eq!(allowed("abilities", "calls:write"), Some(2), "{usage}");
}

#[test]
fn the_service_manager_is_told_what_the_server_does() {
    let mut place = Configured::new(&[], "");
    let manager = UnixDatagram::bind(place.0.path("notify")).unwrap();
    manager.set_read_timeout(Some(DEADLINE)).unwrap();
    let path = place.0.path("notify").to_str().unwrap().to_owned();
    place.0.set("NOTIFY_SOCKET", &path);
    let told = || {
        let mut message = [0; 1024];
        let length = manager.recv(&mut message).unwrap();
        String::from_utf8(message[..length].to_vec()).unwrap()
    };
    let server = place.serve();
    assert_eq!(told(), format!("READY=1\nSTATUS=listening on http://{}\n", server.address()));
    let before = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic).tv_sec * 1_000_000;
    server.signal("HUP");
    let reloading = told();
    let at = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap().trim().parse::<i64>().unwrap();
    assert!((before..before + 120_000_000).contains(&at), "{reloading}");
    let listening = format!("READY=1\nSTATUS=listening on http://{}", server.address());
    assert_eq!(told(), format!("{listening}\n"));
    place.write("[tokens]\nmax_per_user = \"many\"\n[log]\nlevel = 7\n");
    server.signal("HUP");
    assert!(told().starts_with("RELOADING=1\n"));
    let failed = told();
    assert!(failed.starts_with(&format!("{listening}; the last reload failed: ")), "{failed}");
    assert!(failed.contains("tokens.max_per_user") || failed.contains("log.level"), "{failed}");
    assert!(failed.ends_with(" (and 1 more)\n") && failed.lines().count() == 2, "{failed}");
    place.write("");
    server.signal("HUP");
    assert!(told().starts_with("RELOADING=1\n"));
    assert_eq!(told(), format!("{listening}\n"), "the failure is not shown any more");
    server.signal("TERM");
    assert!(told().starts_with("STOPPING=1\n"));
}

#[test]
fn a_reload_replaces_the_origins_that_may_read_answers() {
    let origin = "https://app.example.com";
    let configuration = |origin: &str| format!("[cors]\nallowed_origins = [\"{origin}\"]\n");
    let place = Configured::new(&[], "");
    let server = place.serve();
    let may_read = || {
        let request = format!("GET /api/user HTTP/1.1\r\nHost: patd\r\nOrigin: {origin}\r\n\r\n");
        let answer = server.connect().exchange("GET", request.as_bytes()).unwrap();
        answer.header("access-control-allow-origin").map(str::to_owned)
    };
    assert_eq!(may_read(), None);
    place.reload(&server, &configuration(origin), APPLIED);
    assert_eq!(may_read().as_deref(), Some(origin));
    place.reload(&server, &configuration("https://other.example"), APPLIED);
    assert_eq!(may_read(), None);
}
