//! What the server and the commands write beside their answers: one line a request, and no secret, wherever it was put.
//!
//! A canary is random text that is sent in one place; after the run no twelve characters of it may be found in what was
//! written. The search is proven on what is there by right: the ids of users and sessions in the log, names in the
//! database.

use std::{
    collections::{BTreeMap, HashSet},
    fs,
};

use patd::domain::secret::{CredentialKind, Plaintext, Prefixes};
use rusqlite::Connection as Database;
use serde_json::{Value, json};

use crate::harness::{Answer, Ended, Place, Server};

/// A part of a secret that is as long as this is a secret.
const TELLING: usize = 12;
const TOKENS: &str = "/api/v1/user/api-tokens";
const TOKEN: &str = "/api/v1/user/api-tokens/{id}";
const LOGIN: &str = "/api/v1/auth/login";
const NOBODY: &str = "-";
/// The route of a request that no client would make: whether it has one is not the point.
const ANY: &str = "?";

#[test]
fn a_text_log_tells_what_happened_and_no_secret() {
    audit("text", parse_text);
}

#[test]
fn a_json_log_tells_what_happened_and_no_secret() {
    audit("json", parse_json);
}

#[test]
fn the_command_line_shows_a_token_once_and_no_other_secret() {
    let place = Place::new(&[("PATD__LOG__LEVEL", "trace")]);
    let [first, second, third, easy] = [canary(), canary(), canary(), canary()[..TELLING].to_owned()];
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
    // A configuration file that is found by itself has its line too.
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
    let Ended { success, stdout, stderr } = server.terminate();
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

/// One line a request, with what the client saw of it, and no line that nobody meant to write.
fn check_lines(lines: &[Line], requests: &[Request], unreadable: usize) {
    const MEANT: [&str; 7] = [
        "the system allows fewer open files",
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
        others.into_iter().partition(|line| line["message"].starts_with("stream error: request parse error: "));
    assert!(of_unreadable.len() <= unreadable, "{of_unreadable:?}");
    let strange = others.iter().find(|line| !MEANT.iter().any(|meant| line["message"].starts_with(meant)));
    assert!(strange.is_none(), "{strange:?}");
    assert_eq!(of_requests.len(), requests.len(), "one line a request");
    let by_id: BTreeMap<&str, &Line> = of_requests.into_iter().map(|line| (&*line["request_id"], line)).collect();
    for Request { id, method, route, status, principal } in requests {
        let line = by_id.get(id.as_str()).unwrap_or_else(|| panic!("no line of {method} {route}"));
        let route = if route == ANY { &line["route"] } else { route };
        let told = (&*line["method"], &*line["route"], &*line["status"], &*line["principal"]);
        assert_eq!(told, (&**method, &**route, &*status.to_string(), &**principal), "{line:?}");
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

/// What the server is to have logged of a request.
struct Request {
    id: String,
    method: String,
    route: String,
    status: u16,
    principal: String,
}

struct Session {
    id: String,
    token: String,
}

impl Session {
    fn principal(&self) -> String {
        format!("session:{}", self.id)
    }
}

struct Drive<'s> {
    server: &'s Server,
    /// What is neither to be logged nor to be stored.
    secrets: Vec<String>,
    /// What was given as a name or an address: it is stored by right, and not to be logged all the same.
    named: Vec<String>,
    requests: Vec<Request>,
    /// How many more there were that were none.
    unreadable: usize,
}

impl Drive<'_> {
    fn secret(&mut self) -> String {
        self.secrets.push(canary());
        self.secrets.last().unwrap().clone()
    }

    fn name(&mut self) -> String {
        self.named.push(canary());
        self.named.last().unwrap().clone()
    }

    /// A credential in the right form that was never issued.
    fn unknown(&mut self, kind: CredentialKind) -> String {
        self.secrets.push(generate(kind));
        self.secrets.last().unwrap().clone()
    }

    /// Sends a request on a connection of its own, and notes what is to be logged. `None` is a request that is refused
    /// before it is one: the answer has no id then.
    fn raw(&mut self, method: &str, route: &str, principal: &str, request: &[u8]) -> Option<Answer> {
        let answer = self.server.connect().exchange(method, request).ok();
        let id = answer.as_ref().and_then(|answer| answer.header("x-request-id")).map(str::to_owned);
        let (Some(answer), Some(id)) = (answer, id) else {
            self.unreadable += 1;
            return None;
        };
        let (status, method) = (answer.status, method.to_owned());
        self.requests.push(Request { id, method, status, route: route.to_owned(), principal: principal.to_owned() });
        Some(answer)
    }

    /// A request with a JSON body by whoever has the session, or by nobody.
    fn ask(
        &mut self,
        method: &str,
        target: &str,
        route: &str,
        session: Option<&Session>,
        body: Option<Value>,
    ) -> Answer {
        let mut headers = Vec::new();
        if let Some(session) = session {
            headers.push(("Authorization", format!("Bearer {}", session.token)));
        }
        let body = body.map_or_else(String::new, |body| body.to_string());
        if !body.is_empty() {
            headers.push(("Content-Type", "application/json".to_owned()));
        }
        let principal = session.map_or_else(|| NOBODY.to_owned(), Session::principal);
        self.raw(method, route, &principal, &bytes(method, target, &headers, &body)).unwrap()
    }

    fn login(&mut self, body: Value, status: u16) -> Option<Session> {
        let answer = self.ask("POST", LOGIN, LOGIN, None, Some(body));
        assert_eq!(answer.status, status, "{answer:?}");
        (status == 201).then(|| {
            self.secrets.push(answer.data("token"));
            Session { id: answer.data("id"), token: answer.data("token") }
        })
    }

    fn sign_ins(&mut self, ada: &str, bob: &str) -> Vec<Session> {
        let (wrong, name) = (self.secret(), self.name());
        let sessions = [
            self.login(json!({"email": "ada@example.com", "password": ada, "device_name": name}), 201),
            self.login(json!({"email": "Ada@Example.com", "password": ada, "device_name": null}), 201),
            self.login(json!({"email": "ada@example.com", "password": ada}), 201),
        ];
        self.login(json!({"email": "ada@example.com", "password": wrong}), 401);
        let stranger = self.secret();
        self.login(json!({"email": format!("{stranger}@example.com"), "password": wrong}), 401);
        self.login(json!({"email": format!("{stranger}@example.com"), "password": forging(&wrong)}), 401);
        self.login(json!({"email": "bob@example.com", "password": wrong}), 401);
        self.login(json!({"email": "bob@example.com", "password": bob}), 401);
        self.login(json!({"email": self.secrets.last(), "password": self.secrets.last()}), 422);
        sessions.into_iter().flatten().collect()
    }

    fn tokens(&mut self, session: &Session) {
        let name = self.name();
        let created = self.ask("POST", TOKENS, TOKENS, Some(session), Some(json!({ "name": name })));
        let (id, token) = (created.data("id"), created.data("token"));
        self.secrets.push(token.clone());
        let target = format!("{TOKENS}/{id}");
        let principal = format!("personal_access_token:{id}");
        let secret = token.split_once('|').unwrap().1.to_owned();
        let bearer = |token: &str| [("Authorization", format!("Bearer {token}"))];

        // Accepted, but for what only a session may do.
        for (method, pattern) in patd::http::routes() {
            let (route, target) = (pattern, pattern.replace("{id}", &id));
            let principal = if is_open(route) { NOBODY } else { &principal };
            let method = method.as_str();
            self.raw(method, route, principal, &bytes(method, &target, &bearer(&token), "")).unwrap();
            self.raw(method, route, principal, &bytes(method, &target, &bearer(&secret), &token)).unwrap();
        }
        let wrong_number = format!("9{token}");
        self.raw("GET", "/api/user", NOBODY, &bytes("GET", "/api/user", &bearer(&wrong_number), "")).unwrap();

        let name = self.name();
        self.ask("GET", &target, TOKEN, Some(session), None);
        self.ask("PATCH", &target, TOKEN, Some(session), Some(json!({ "name": name })));
        for query in ["search", "cursor", "state", "limit", "token", "access_token"] {
            let query = format!("{TOKENS}?{query}={}", self.secret());
            self.ask("GET", &query, TOKENS, Some(session), None);
            self.ask("GET", &format!("{query}%0D%0A%1B%zz&x=%ff"), TOKENS, Some(session), None);
        }
        assert_eq!(self.ask("DELETE", &target, TOKEN, Some(session), None).status, 200);
        assert_eq!(self.ask("DELETE", &target, TOKEN, Some(session), None).status, 404);
        let revoked = self.raw("GET", "/api/user", NOBODY, &bytes("GET", "/api/user", &bearer(&token), ""));
        assert_eq!(revoked.unwrap().status, 401);

        for field in ["name", "abilities", "expires_at", "expires_in_days"] {
            for value in [json!(forging(&self.secret())), json!([self.secret()]), json!({ self.secret(): 1 })] {
                let mut body = json!({"name": "x", "expires_in_days": 1, "abilities": []});
                body[field] = value;
                let answer = self.ask("POST", TOKENS, TOKENS, Some(session), Some(body));
                // A list of one word is a list of abilities, which are stored by right.
                if answer.status == 201 {
                    self.secrets.push(answer.data("token"));
                    let ability = answer.body["data"]["abilities"][0].as_str().unwrap().to_owned();
                    self.secrets.retain(|secret| *secret != ability);
                    self.named.push(ability);
                }
            }
        }
    }

    /// What happens to the account and its sessions; answers all the sessions that there were.
    fn account(&mut self, mut sessions: Vec<Session>, former: &str, password: &str) -> Vec<Session> {
        const PASSWORD: &str = "/api/v1/user/password";
        const SESSIONS: &str = "/api/v1/user/sessions";
        const SESSION: &str = "/api/v1/user/sessions/{id}";
        let [first, second, third] = sessions.as_slice() else { panic!("three sessions") };
        let (name, wrong) = (self.name(), self.secret());
        let change = |current: &str, new: &str| Some(json!({"current_password": current, "password": new}));
        self.ask("PATCH", "/api/v1/user", "/api/v1/user", Some(first), Some(json!({ "name": name })));
        self.ask("PUT", PASSWORD, PASSWORD, Some(first), change(&wrong, password));
        self.ask("PUT", PASSWORD, PASSWORD, Some(first), change(former, &wrong[..TELLING]));
        self.ask("GET", SESSIONS, SESSIONS, Some(first), None);
        let ended = self.ask("DELETE", &format!("{SESSIONS}/{}", third.id), SESSION, Some(first), None);
        assert_eq!(ended.status, 200, "{ended:?}");
        let changed = self.ask("PUT", PASSWORD, PASSWORD, Some(first), change(former, password));
        assert_eq!(changed.status, 200, "{changed:?}");
        for ended in [second, third] {
            let header = [("Authorization", format!("Bearer {}", ended.token))];
            let refused = self.raw("GET", SESSIONS, NOBODY, &bytes("GET", SESSIONS, &header, ""));
            assert_eq!(refused.unwrap().status, 401);
        }
        self.login(json!({"email": "ada@example.com", "password": former}), 401);
        let fourth = self.login(json!({"email": "ada@example.com", "password": password}), 201).unwrap();
        self.ask("POST", "/api/v1/auth/identify", "/api/v1/auth/identify", Some(&fourth), None);
        self.ask("DELETE", SESSIONS, SESSIONS, Some(&fourth), None);
        self.ask("POST", "/api/v1/auth/logout", "/api/v1/auth/logout", Some(&fourth), None);
        sessions.push(fourth);

        let (name, address, new) = (self.name(), self.name(), self.secret());
        let body = json!({"name": name, "email": format!("{address}@example.com"), "password": new});
        let path = "/api/v1/auth/register";
        for status in [201, 422] {
            assert_eq!(self.ask("POST", path, path, None, Some(body.clone())).status, status);
        }
        sessions
    }

    /// Every route with a secret in every place in which one could be, and nobody who may ask.
    fn every_route(&mut self) {
        for (method, route) in patd::http::routes() {
            let method = method.as_str();
            let target = ["{id}", "{policy}", "{tail:.*}"]
                .into_iter()
                .fold(route.to_owned(), |target, part| target.replace(part, &self.secret()));
            let credentials = [
                self.unknown(CredentialKind::PersonalAccessToken),
                format!("1|{}", self.unknown(CredentialKind::PersonalAccessToken)),
                self.unknown(CredentialKind::Session),
                self.unknown(CredentialKind::EnvironmentToken),
                format!("pat_{}", self.secret()),
                format!("two {}", self.secret()),
                format!("{}\u{e9}\u{1f600}", self.secret()),
                self.secret(),
            ];
            for credential in credentials {
                for scheme in ["Bearer ", "bEARER  ", "Basic ", "Token ", ""] {
                    let header = [("Authorization", format!("{scheme}{credential}"))];
                    self.raw(method, route, NOBODY, &bytes(method, &target, &header, "")).unwrap();
                }
            }
            let twice = ["Authorization"; 2].map(|name| (name, format!("Bearer {}", self.secret())));
            self.raw(method, route, NOBODY, &bytes(method, &target, &twice, "")).unwrap();

            let query = format!("{target}?token={0}&access_token={0}&api_token={0}#{0}", self.secret());
            self.raw(method, route, NOBODY, &bytes(method, &query, &[], "")).unwrap();
            for name in [
                "X-Api-Key",
                "X-Auth-Token",
                "X-Request-Id",
                "X-Forwarded-For",
                "X-HTTP-Method-Override",
                "Forwarded",
                "Cookie",
                "User-Agent",
                "Referer",
                "Origin",
                "Content-Type",
                "Content-Encoding",
                "Accept",
                "Range",
                "Proxy-Authorization",
                "If-Match",
            ] {
                let header = [(name, self.secret())];
                self.raw(method, route, NOBODY, &bytes(method, &target, &header, "{}")).unwrap();
            }
            let header = [(&*self.secret(), self.secret())];
            let body = self.secret();
            self.raw(method, route, NOBODY, &bytes(method, &target, &header, &body)).unwrap();
            let beyond = format!("{target}/beyond/{}%0d%0a%1b[31m", self.secret());
            let beyond_route = if route.contains("{tail") { route } else { NOBODY };
            self.raw(method, beyond_route, NOBODY, &bytes(method, &beyond, &[], "")).unwrap();
        }
    }

    /// Bodies that break every rule, where anybody may send one.
    fn odd_bodies(&mut self) {
        for path in [LOGIN, "/api/v1/auth/register"] {
            let known = ["name", "email", "password", "device_name"];
            let mut bodies = Vec::new();
            for field in known {
                let secret = self.secret();
                bodies.push(json!({ field: forging(&secret) }).to_string());
                bodies.push(json!({ field: [secret], "email": secret }).to_string());
                bodies.push(json!({ forging(&secret): &secret, field: { &secret: null } }).to_string());
                bodies.push(format!("{{\"{field}\":\"{secret}\",\"{field}\":\"{secret}\"}}"));
                bodies.push(format!("{{\"{secret}\":1,\"{secret}\":2}}"));
                bodies.push(format!("{{\"{field}\":\"\\ud800{secret}\"}}"));
                bodies.push(format!("{{\"{field}\":\"\0{secret}\r\n\"}}"));
                bodies.push(format!("{{\"{field}\":{secret}}}"));
            }
            let secret = self.secret();
            let unknown = json!({"email": format!("{secret}@example.com"), "password": forging(&secret), "name": "x"})
                .to_string();
            bodies.extend([
                secret.clone(),
                format!("\"{secret}\""),
                format!("[\"{secret}\"]"),
                format!("{}\"{secret}\"", "[".repeat(10_000)),
                format!("{{\"email\":\"{}\"}}", secret.repeat(3000)),
                format!("{{\"password\":\"{}\",\"email\":\"a@b.c\"}}", secret.repeat(100)),
                format!("1e9999999{secret}"),
                unknown.clone(),
            ]);
            for body in bodies {
                let register = path != LOGIN && body == unknown;
                if register {
                    // It is a good one, and its address is stored by right.
                    self.secrets.retain(|kept| *kept != secret);
                    self.named.push(secret.clone());
                }
                let headers = [("Content-Type", "application/json".to_owned())];
                let answer = self.raw("POST", path, NOBODY, &bytes("POST", path, &headers, &body)).unwrap();
                assert!(answer.status >= 400 || register, "{body}: {answer:?}");
                self.raw("POST", path, NOBODY, &bytes("POST", path, &[], &body)).unwrap();
            }
            let cut = format!(
                "POST {path} HTTP/1.1\r\nHost: patd\r\nContent-Type: application/json\r\n\
                Transfer-Encoding: chunked\r\n\r\n{secret}\r\n"
            );
            self.raw("POST", path, NOBODY, cut.as_bytes());
        }
    }

    /// Requests that no client would make.
    fn odd_requests(&mut self) {
        let secret = self.secret();
        let huge = [("X-Huge", secret.repeat(500))];
        self.raw("GET", NOBODY, NOBODY, &bytes("GET", "/api/user", &huge, "")).unwrap();
        for target in ["/", "//", "/api", "/api/user/", "/api/v1/user/api-tokens/", "/%2e%2e/api/user", "/%"] {
            let target = format!("{target}{secret}");
            self.raw("GET", ANY, NOBODY, &bytes("GET", &target, &[], ""));
        }
        self.raw("GET", ANY, NOBODY, &bytes("GET", &format!("http://{secret}/{secret}?{secret}"), &[], ""));
        self.raw("OPTIONS", NOBODY, NOBODY, &bytes("OPTIONS", "*", &[("Origin", secret.clone())], ""));
        self.raw("DELETE", "/api/user", NOBODY, &bytes("DELETE", "/api/user", &[], &secret)).unwrap();
        // A method may be any word, and so a token.
        for method in [secret.clone(), format!("1|{}", self.unknown(CredentialKind::PersonalAccessToken))] {
            self.raw(&method, "/api/user", NOBODY, &bytes(&method, "/api/user", &[], "")).unwrap();
            self.requests.last_mut().unwrap().method = NOBODY.to_owned();
        }
        let unreadable = [
            format!("{secret}\r\n\r\n"),
            format!("GET /\x1b[31m{secret} HTTP/1.1\r\n\r\n"),
            format!("GET /{secret} HTTP/9.9\r\n\r\n"),
            format!("GET / HTTP/1.1\r\n{secret}\r\n\r\n"),
            format!("GET / HTTP/1.1\r\nHost: a\r\nX: \x1b[31m{secret}\x07\r\n\r\n"),
            format!("GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n {secret}\r\n\r\n"),
            format!("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: {secret}\r\n\r\n"),
            format!("POST {LOGIN} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: {secret}\r\n\r\n"),
            format!("CONNECT {secret}:443 HTTP/1.1\r\nHost: {secret}\r\n\r\n"),
            format!("\0\0{secret}\r\n\r\n"),
        ];
        for request in unreadable {
            let method = request.split(' ').next().unwrap().to_owned();
            self.raw(&method, ANY, NOBODY, request.as_bytes());
        }
    }
}

/// Those that ask for no credential.
fn is_open(route: &str) -> bool {
    // A proxy's question is refused by its address before any credential is read.
    let to_proxies = route.starts_with("/api/authz/");
    to_proxies || [LOGIN, "/api/v1/auth/register", "/api/v1/revoke", "/livez", "/readyz", "/healthz"].contains(&route)
}

fn bytes(method: &str, target: &str, headers: &[(&str, String)], body: &str) -> Vec<u8> {
    let mut request = format!("{method} {target} HTTP/1.1\r\nHost: patd\r\n");
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    if !body.is_empty() {
        request += &format!("Content-Length: {}\r\n", body.len());
    }
    (request + "\r\n" + body).into_bytes()
}

/// Text that would be a line of its own, and red, if it got into the log as it is.
fn forging(secret: &str) -> String {
    format!(
        "a\r\n2026-01-01T00:00:00.000Z ERROR forged {secret}\n{{\"level\":\"error\"}}\u{1b}[31m\u{9b}31m\u{7f}\u{2028}"
    )
}

fn generate(kind: CredentialKind) -> String {
    let prefixes = Prefixes::new("ses_", "pat_", "talq_").unwrap();
    Plaintext::generate(kind, &prefixes).unwrap().expose().to_owned()
}

/// Random text, good for a password.
fn canary() -> String {
    generate(CredentialKind::Session)["ses_".len()..][..40].to_owned()
}

fn create_user(place: &Place, email: &str, password: &str) -> String {
    let arguments = ["user", "create", "--email", email, "--name", "A person", "--password-stdin", "--json"];
    let made = place.run(&arguments, password);
    let made: Value = serde_json::from_str(&made.stdout).unwrap_or_else(|error| panic!("{error}: {made:?}"));
    made["id"].as_str().unwrap().to_owned()
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

/// A secret, and what the store would keep of it.
fn with_hashes(secret: &str) -> Vec<String> {
    let bare = secret.split_once('|').map_or(secret, |(_, bare)| bare);
    vec![secret.to_owned(), blake3::hash(secret.as_bytes()).to_string(), blake3::hash(bare.as_bytes()).to_string()]
}

fn lines_with_part<'l>(log: &'l str, secret: &str) -> Vec<&'l str> {
    log.lines().filter(|line| Parts::of(line.as_bytes()).holds_part_of(secret)).collect()
}

/// All that stands in the database's files.
fn stored(place: &Place) -> Parts {
    let mut all = Vec::new();
    for name in ["patd.db", "patd.db-wal", "patd.db-shm", "patd.db.lock"] {
        // After the server's end some of them are gone.
        all.extend(fs::read(place.path(name)).unwrap_or_default());
    }
    Parts::of(&all)
}

/// All parts of a text that are long enough to tell a secret, in lower case.
struct Parts(HashSet<[u8; TELLING]>);

impl Parts {
    fn of(text: &[u8]) -> Self {
        Self(parts(text).collect())
    }

    fn holds_part_of(&self, secret: &str) -> bool {
        assert!(secret.len() >= TELLING, "{secret:?} is too short to be found");
        parts(secret.as_bytes()).any(|part| self.0.contains(&part))
    }

    fn holds(&self, text: &str) -> bool {
        parts(text.as_bytes()).all(|part| self.0.contains(&part))
    }
}

fn parts(text: &[u8]) -> impl Iterator<Item = [u8; TELLING]> {
    text.windows(TELLING).map(|part| <[u8; TELLING]>::try_from(part).unwrap().map(|byte| byte.to_ascii_lowercase()))
}

/// A line of the log: time, level, message, and its pairs.
type Line = BTreeMap<String, String>;

fn parse_json(line: &str) -> Line {
    let object: BTreeMap<String, Value> =
        serde_json::from_str(line).unwrap_or_else(|error| panic!("no object ({error}): {line}"));
    let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    object.into_iter().map(|(key, value)| (key, text(value))).collect()
}

fn parse_text(line: &str) -> Line {
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
