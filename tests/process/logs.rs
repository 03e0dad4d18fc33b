//! The log and the messages: one line per request, and never a secret.
//!
//! A canary is random text that is sent in one place. After the run, no twelve characters of it may be in what was written.
//! To show that the search works, it also finds what must be there: ids of users and sessions in the log, and names in the
//! database.

use std::{
    collections::{BTreeMap, HashSet},
    fs,
};

use rusqlite::Connection as Database;
use serde_json::Value;

use crate::{
    drive::{ANY, Drive, Request, Session, canary},
    harness::Place,
    support::process::Ended,
};

/// A part of a secret of this length counts as the secret.
pub const PART_LENGTH: usize = 12;

#[test]
fn a_text_log_has_every_request_and_no_secret() {
    audit("text", parse_text);
}

#[test]
fn a_json_log_has_every_request_and_no_secret() {
    audit("json", parse_json);
}

#[test]
fn the_command_line_shows_a_token_once_and_no_other_secret() {
    let place = Place::new(&[("PATD__LOG__LEVEL", "trace")]);
    let [first, second, third, easy] = [canary(), canary(), canary(), canary()[..PART_LENGTH].to_owned()];
    fs::write(place.path("password"), format!("{third}\n")).unwrap();
    let create = ["user", "create", "--email", "ada@example.com", "--name", "Ada", "--password-stdin"];
    let mut written = String::new();
    let mut run = |arguments: &[&str], input: &str, success: bool| -> Ended {
        let ended = place.run(arguments, input);
        assert_eq!(ended.success, success, "{arguments:?}: {ended:?}");
        written += &ended.stderr;
        written += &ended.stdout;
        ended
    };
    run(&create, &easy, false);
    run(&create, &first, true);
    run(&create, &first, false);
    run(&["user", "set-password", "ada@example.com", "--password-stdin"], &second, true);
    let file = place.path("password");
    run(&["user", "set-password", "ada@example.com", "--password-file", file.to_str().unwrap()], "", true);
    run(&["user", "create", "--email", &easy, "--name", "Bob", "--password-stdin"], &second, false);
    let ada = run(&["user", "show", "ada@example.com", "--json"], "", true);
    let ada: Value = serde_json::from_str(&ada.stdout).unwrap();
    let hash = password_hash(&place, "ada@example.com");

    let token = ["token", "create", "--user", "ada@example.com", "--name", "laptop"];
    let plain = place.run(&token, "");
    let plain_token = plain.stdout.split_whitespace().find(|word| word.contains("pat_")).unwrap().to_owned();
    let issued = place.run(&[&token[..], &["--json"]].concat(), "");
    let json: Value = serde_json::from_str(&issued.stdout).unwrap();
    let json_token = json["token"].as_str().unwrap().to_owned();
    for (ended, token) in [(&plain, &plain_token), (&issued, &json_token)] {
        assert!(ended.success && ended.stdout.matches(token.as_str()).count() == 1, "{ended:?}");
        written += &ended.stderr;
        written += &ended.stdout.replace(token.as_str(), "");
    }
    let id = json["id"].as_str().unwrap();
    for arguments in [
        &["token", "list"][..],
        &["token", "list", "--json"],
        &["token", "revoke", id],
        &["token", "list", "--state", "revoked", "--json"],
        &["user", "list"],
        &["user", "disable", "ada@example.com"],
    ] {
        let ended = place.run(arguments, "");
        assert!(ended.success, "{ended:?}");
        written += &ended.stderr;
        written += &ended.stdout;
    }

    let secrets = [first, second, third, plain_token, json_token];
    let found = Parts::of(written.as_bytes());
    assert!(found.holds(ada["id"].as_str().unwrap()) && found.holds(id), "the search finds what is there");
    for secret in secrets.iter().flat_map(|secret| with_hashes(secret)).chain(hash_parts(&hash)) {
        assert!(!found.holds_part_of(&secret), "{secret} in {written}");
    }
    let stored = stored(&place);
    assert!(stored.holds("ada@example.com"));
    for secret in &secrets {
        assert!(!stored.holds_part_of(secret), "{secret} is stored");
    }
}

/// Sends every kind of secret in every place, and reads what the server wrote about it.
fn audit(format: &'static str, parse: fn(&str) -> Line) {
    let place = Place::new(&[
        ("PATD__LOG__LEVEL", "trace"),
        ("PATD__LOG__FORMAT", format),
        ("PATD__LOG__CHECKS", "all"),
        ("PATD__ACCOUNTS__REGISTRATION", "true"),
    ]);
    // A configuration file in the current directory is logged, too.
    fs::write(place.path("config.toml"), "[server]\n").unwrap();
    let [password, former, bobs] = [canary(), canary(), canary()];
    let ada = create_user(&place, "ada@example.com", &former);
    let bob = create_user(&place, "bob@example.com", &bobs);
    assert!(place.run(&["user", "disable", &bob], "").success);
    let mut hashes = vec![password_hash(&place, "ada@example.com"), password_hash(&place, "bob@example.com")];

    let server = place.serve();
    let mut drive =
        Drive { server: &server, secrets: Vec::new(), named: Vec::new(), requests: Vec::new(), unreadable: 0 };
    drive.secrets.extend([password.clone(), former.clone(), bobs.clone()]);
    let sessions = drive.sign_ins(&former, &bobs);
    drive.tokens(&sessions[0]);
    let ended = drive.account(sessions, &former, &password);
    drive.every_route();
    drive.odd_bodies();
    drive.odd_requests();
    let Drive { secrets, named, requests, unreadable, .. } = drive;

    let mut stored_parts = vec![stored(&place)];
    hashes.push(password_hash(&place, "ada@example.com"));
    let Ended { success, stdout, stderr, .. } = server.terminate();
    assert!(success && stdout.is_empty(), "{stdout}");
    stored_parts.push(stored(&place));

    let logged = Parts::of(stderr.as_bytes());
    assert!(logged.holds(&ada) && logged.holds(&requests[0].id), "the search finds what is there");
    let named = named.iter().cloned();
    for secret in secrets.iter().cloned().chain(named.clone()).flat_map(|secret| with_hashes(&secret)) {
        assert!(!logged.holds_part_of(&secret), "{secret} is logged: {:?}", lines_with_part(&stderr, &secret));
    }
    for part in hashes.iter().flat_map(|hash| hash_parts(hash)) {
        assert!(!logged.holds_part_of(&part), "{part} of a password's hash is logged");
    }
    assert!(stderr.ends_with('\n') && !stderr.contains(|c: char| c.is_control() && c != '\n'), "{stderr}");
    let lines: Vec<Line> = stderr.lines().map(parse).collect();
    check_lines(&lines, &requests, unreadable);
    check_sign_ins(&lines, &ada, &bob, &ended);
    for stored in stored_parts {
        assert!(named.clone().any(|name| stored.holds(&name)), "the search finds what is there");
        for secret in &secrets {
            assert!(!stored.holds_part_of(secret), "{secret} is stored");
        }
    }
}

/// Checks that each request has one line that matches its answer, and that there are no unexpected lines.
fn check_lines(lines: &[Line], requests: &[Request], unreadable: usize) {
    const MEANT: [&str; 9] = [
        "a connection ended early",
        "requests that could not be read were not logged",
        "fewer connections than server.max_connections",
        "using ./config.toml",
        "listening on http",
        "signed in",
        "sign-in refused",
        "password change refused",
        "shutting down",
    ];
    for line in lines {
        assert!(chrono::DateTime::parse_from_rfc3339(&line["time"]).is_ok() && line["time"].ends_with('Z'), "{line:?}");
        assert!(["error", "warn", "info", "debug", "trace"].contains(&&*line["level"]), "{line:?}");
    }
    let (of_requests, others): (Vec<&Line>, Vec<_>) = lines.iter().partition(|line| line["message"] == "request");
    let (of_unreadable, others): (Vec<&Line>, Vec<_>) =
        others.into_iter().partition(|line| line["message"] == "a request could not be read");
    assert!(of_unreadable.len() <= unreadable, "{of_unreadable:?}");
    let strange = others.iter().find(|line| !MEANT.iter().any(|meant| line["message"].starts_with(meant)));
    assert!(strange.is_none(), "{strange:?}");
    // A probe is logged only when its answer changes (quiet.rs).
    let is_probe = |method: &str, route: &str, status: &str| {
        ["GET", "HEAD"].contains(&method) && ["/livez", "/readyz", "/healthz"].contains(&route) && status == "200"
    };
    let is_probes = |line: &&Line| is_probe(&line["method"], &line["route"], &line["status"]);
    let of_requests: Vec<&Line> = of_requests.into_iter().filter(|line| !is_probes(line)).collect();
    let requests: Vec<&Request> = requests
        .iter()
        .filter(|request| !is_probe(&request.method, &request.route, &request.status.to_string()))
        .collect();
    assert_eq!(of_requests.len(), requests.len(), "one line a request");
    let by_id: BTreeMap<&str, &Line> = of_requests.into_iter().map(|line| (&*line["request_id"], line)).collect();
    for Request { id, method, route, status, principal } in requests {
        let line = by_id.get(id.as_str()).unwrap_or_else(|| panic!("no line of {method} {route}"));
        let route = if route == ANY { &line["route"] } else { route };
        let logged = (&*line["method"], &*line["route"], &*line["status"], &*line["principal"]);
        assert_eq!(logged, (&**method, &**route, &*status.to_string(), &**principal), "{line:?}");
        assert!(line["elapsed_us"].parse::<u64>().unwrap() < 60_000_000, "{line:?}");
    }
}

fn check_sign_ins(lines: &[Line], ada: &str, bob: &str, sessions: &[Session]) {
    let mut refused: Vec<_> = lines
        .iter()
        .filter(|line| line["message"].ends_with("refused"))
        .map(|line| (&*line["message"], &*line["user"], &*line["client"], &*line["reason"]))
        .collect();
    refused.dedup();
    let at = "127.0.0.1";
    let expected = [
        ("sign-in refused", ada, at, "wrong password"),
        ("sign-in refused", "unknown", at, "unknown user"),
        ("sign-in refused", bob, at, "wrong password"),
        ("sign-in refused", bob, at, "disabled"),
        ("password change refused", ada, at, "wrong password"),
        ("sign-in refused", ada, at, "wrong password"),
    ];
    assert_eq!(refused, expected);
    let signed_in: Vec<_> = lines.iter().filter(|line| line["message"] == "signed in").collect();
    assert_eq!(signed_in.len(), sessions.len());
    for (line, session) in signed_in.into_iter().zip(sessions) {
        assert_eq!((&*line["user"], &*line["session"], &*line["client"]), (ada, &*session.id, at));
    }
}

fn create_user(place: &Place, email: &str, password: &str) -> String {
    let arguments = ["user", "create", "--email", email, "--name", "A person", "--password-stdin", "--json"];
    let created = place.run(&arguments, password);
    let created: Value = serde_json::from_str(&created.stdout).unwrap_or_else(|error| panic!("{error}: {created:?}"));
    created["id"].as_str().unwrap().to_owned()
}

fn password_hash(place: &Place, email: &str) -> String {
    let hash = Database::open(place.path("patd.db")).and_then(|database| {
        database.query_row("SELECT password_hash FROM users WHERE email = ?1", [email], |row| row.get(0))
    });
    hash.unwrap()
}

/// The salt and the output.
fn hash_parts(hash: &str) -> impl Iterator<Item = String> {
    hash.rsplit('$').take(2).map(str::to_owned)
}

/// A secret, and the hashes that the store could keep of it.
fn with_hashes(secret: &str) -> Vec<String> {
    let bare = secret.split_once('|').map_or(secret, |(_, bare)| bare);
    vec![secret.to_owned(), blake3::hash(secret.as_bytes()).to_string(), blake3::hash(bare.as_bytes()).to_string()]
}

fn lines_with_part<'l>(log: &'l str, secret: &str) -> Vec<&'l str> {
    log.lines().filter(|line| Parts::of(line.as_bytes()).holds_part_of(secret)).collect()
}

/// The content of the database files.
fn stored(place: &Place) -> Parts {
    let mut all = Vec::new();
    for name in ["patd.db", "patd.db-wal", "patd.db-shm"] {
        // Some of the files do not exist after the server has ended.
        all.extend(fs::read(place.path(name)).unwrap_or_default());
    }
    Parts::of(&all)
}

/// All parts of a text that are long enough to identify a secret, in lower case.
struct Parts(HashSet<[u8; PART_LENGTH]>);

impl Parts {
    fn of(text: &[u8]) -> Self {
        Self(parts(text).collect())
    }

    fn holds_part_of(&self, secret: &str) -> bool {
        assert!(secret.len() >= PART_LENGTH, "{secret:?} is too short to be found");
        parts(secret.as_bytes()).any(|part| self.0.contains(&part))
    }

    fn holds(&self, text: &str) -> bool {
        parts(text.as_bytes()).all(|part| self.0.contains(&part))
    }
}

fn parts(text: &[u8]) -> impl Iterator<Item = [u8; PART_LENGTH]> {
    text.windows(PART_LENGTH)
        .map(|part| <[u8; PART_LENGTH]>::try_from(part).unwrap().map(|byte| byte.to_ascii_lowercase()))
}

/// A line of the log: time, level, message, and its pairs.
pub type Line = BTreeMap<String, String>;

pub fn parse_json(line: &str) -> Line {
    let object: BTreeMap<String, Value> =
        serde_json::from_str(line).unwrap_or_else(|error| panic!("no object ({error}): {line}"));
    let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    object.into_iter().map(|(key, value)| (key, text(value))).collect()
}

pub fn parse_text(line: &str) -> Line {
    let (time, rest) = line.split_once(' ').unwrap_or_else(|| panic!("no time: {line}"));
    let (level, mut rest) = rest.split_once(' ').unwrap_or_else(|| panic!("no level: {line}"));
    let (mut parsed, mut message) = (Line::new(), Vec::new());
    while !rest.is_empty() {
        rest = rest.trim_start();
        let pair = rest.split(' ').next().unwrap().split_once('=');
        let value = match pair {
            Some((key, value)) if value.starts_with('"') => {
                rest = &rest[key.len() + 1..];
                let mut values = serde_json::Deserializer::from_str(rest).into_iter::<String>();
                let value = values.next().unwrap().unwrap();
                rest = &rest[values.byte_offset()..];
                Some((key, value))
            }
            Some((key, value)) => {
                rest = &rest[key.len() + 1 + value.len()..];
                Some((key, value.to_owned()))
            }
            None => None,
        };
        match value {
            Some((key, value)) => {
                assert!(parsed.insert(key.to_owned(), value).is_none(), "{line}");
            }
            None => {
                let word = rest.split(' ').next().unwrap();
                message.push(word);
                rest = &rest[word.len()..];
            }
        }
    }
    parsed.extend([
        ("time".to_owned(), time.to_owned()),
        ("level".to_owned(), level.to_lowercase()),
        ("message".to_owned(), message.join(" ")),
    ]);
    parsed
}
