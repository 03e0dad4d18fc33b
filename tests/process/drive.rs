//! A client that sends every kind of secret in every part of a request, and keeps the secrets it received.

use patd::domain::secret::{CredentialKind, Plaintext, Prefixes};
use serde_json::{Value, json};

use crate::{harness::Server, logs::PART_LENGTH, support::connection::Answer};

pub const TOKENS: &str = "/api/v1/user/api-tokens";
pub const TOKEN: &str = "/api/v1/user/api-tokens/{id}";
pub const LOGIN: &str = "/api/v1/auth/login";
pub const NOBODY: &str = "-";
/// The route of a malformed request: it may have any route or none.
pub const ANY: &str = "?";

/// What the server must log about a request.
pub struct Request {
    pub id: String,
    pub method: String,
    pub route: String,
    pub status: u16,
    pub principal: String,
}

pub struct Session {
    pub id: String,
    pub token: String,
}

impl Session {
    pub fn principal(&self) -> String {
        format!("session:{}", self.id)
    }
}

pub struct Drive<'s> {
    pub server: &'s Server,
    /// Must neither be logged nor stored.
    pub secrets: Vec<String>,
    /// Names and addresses: they are stored, but must not be logged.
    pub named: Vec<String>,
    pub requests: Vec<Request>,
    /// How many requests were refused before they had an id.
    pub unreadable: usize,
}

impl Drive<'_> {
    pub fn secret(&mut self) -> String {
        self.secrets.push(canary());
        self.secrets.last().unwrap().clone()
    }

    pub fn name(&mut self) -> String {
        self.named.push(canary());
        self.named.last().unwrap().clone()
    }

    /// A well-formed credential that was never issued.
    pub fn unknown(&mut self, kind: CredentialKind) -> String {
        self.secrets.push(generate(kind));
        self.secrets.last().unwrap().clone()
    }

    /// Sends a request on a new connection and records what must be logged. Returns `None` if the request is malformed, so
    /// that the answer has no id.
    pub fn raw(&mut self, method: &str, route: &str, principal: &str, request: &[u8]) -> Option<Answer> {
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

    /// Sends a request with a JSON body, with a session or without a credential.
    pub fn ask(
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

    pub fn login(&mut self, body: Value, status: u16) -> Option<Session> {
        let answer = self.ask("POST", LOGIN, LOGIN, None, Some(body));
        assert_eq!(answer.status, status, "{answer:?}");
        (status == 201).then(|| {
            self.secrets.push(answer.data("token"));
            Session { id: answer.data("id"), token: answer.data("token") }
        })
    }

    pub fn sign_ins(&mut self, ada: &str, bob: &str) -> Vec<Session> {
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

    pub fn tokens(&mut self, session: &Session) {
        let name = self.name();
        let created = self.ask("POST", TOKENS, TOKENS, Some(session), Some(json!({ "name": name })));
        let (id, token) = (created.data("id"), created.data("token"));
        self.secrets.push(token.clone());
        let target = format!("{TOKENS}/{id}");
        let principal = format!("personal_access_token:{id}");
        let secret = token.split_once('|').unwrap().1.to_owned();
        let bearer = |token: &str| [("Authorization", format!("Bearer {token}"))];

        // The token is accepted, except on routes that require a session.
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
                // A list of one word is a valid list of abilities, so it is stored.
                if answer.status == 201 {
                    self.secrets.push(answer.data("token"));
                    let ability = answer.body["data"]["abilities"][0].as_str().unwrap().to_owned();
                    self.secrets.retain(|secret| *secret != ability);
                    self.named.push(ability);
                }
            }
        }
    }

    /// Changes the account and its sessions. Returns all sessions.
    pub fn account(&mut self, mut sessions: Vec<Session>, former: &str, password: &str) -> Vec<Session> {
        const PASSWORD: &str = "/api/v1/user/password";
        const SESSIONS: &str = "/api/v1/user/sessions";
        const SESSION: &str = "/api/v1/user/sessions/{id}";
        let [first, second, third] = sessions.as_slice() else { panic!("three sessions") };
        let (name, wrong) = (self.name(), self.secret());
        let change = |current: &str, new: &str| Some(json!({"current_password": current, "password": new}));
        self.ask("PATCH", "/api/v1/user", "/api/v1/user", Some(first), Some(json!({ "name": name })));
        self.ask("PUT", PASSWORD, PASSWORD, Some(first), change(&wrong, password));
        self.ask("PUT", PASSWORD, PASSWORD, Some(first), change(former, &wrong[..PART_LENGTH]));
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

    /// Calls every route without a valid credential, with a secret in every possible place.
    pub fn every_route(&mut self) {
        for (method, route) in patd::http::routes() {
            let method = method.as_str();
            let target = ["{id}", "{policy}", "{tail:.*}", "{name}"]
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

            let query = format!("{target}?token={0}&access_token={0}&api_token={0}", self.secret());
            self.raw(method, route, NOBODY, &bytes(method, &query, &[], "")).unwrap();
            // The server refuses this before it knows the route.
            let fragment = format!("{query}#{}", self.secret());
            self.raw(method, ANY, NOBODY, &bytes(method, &fragment, &[], "")).unwrap();
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
                "Traceparent",
                "Tracestate",
            ] {
                let header = [(name, self.secret())];
                self.raw(method, route, NOBODY, &bytes(method, &target, &header, "{}")).unwrap();
            }
            // A later version of the header may have more behind the ids.
            let trace = "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
            let header = [("traceparent", format!("{trace}-{}", self.secret()))];
            self.raw(method, route, NOBODY, &bytes(method, &target, &header, "")).unwrap();
            let header = [(&*self.secret(), self.secret())];
            let body = self.secret();
            self.raw(method, route, NOBODY, &bytes(method, &target, &header, &body)).unwrap();
            let beyond = format!("{target}/beyond/{}%0d%0a%1b[31m", self.secret());
            let beyond_route = if route.contains("{tail") { route } else { NOBODY };
            self.raw(method, beyond_route, NOBODY, &bytes(method, &beyond, &[], "")).unwrap();
        }
    }
}

/// Whether the route needs no credential.
pub fn is_open(route: &str) -> bool {
    // Checks from an untrusted address are refused before the credential is read.
    let to_proxies = route.starts_with("/api/authz/");
    let others = [
        "/",
        "/api",
        "/api/docs",
        "/api/docs/{name}",
        "/api/openapi.json",
        "/api/openapi-3.0.json",
        "/llms.txt",
        "/api/v1/auth/password-link",
        "/api/v1/auth/register",
        "/api/v1/revoke",
        "/api/v1/tokens/revoke-leaked",
        "/livez",
        "/readyz",
        "/healthz",
    ];
    to_proxies || route == LOGIN || others.contains(&route)
}

pub fn bytes(method: &str, target: &str, headers: &[(&str, String)], body: &str) -> Vec<u8> {
    let mut request = format!("{method} {target} HTTP/1.1\r\nHost: patd\r\n");
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    if !body.is_empty() {
        request += &format!("Content-Length: {}\r\n", body.len());
    }
    (request + "\r\n" + body).into_bytes()
}

/// Text that would be a separate, red log line if it were not escaped.
pub fn forging(secret: &str) -> String {
    format!(
        "a\r\n2026-01-01T00:00:00.000Z ERROR forged {secret}\n{{\"level\":\"error\"}}\u{1b}[31m\u{9b}31m\u{7f}\u{2028}"
    )
}

pub fn generate(kind: CredentialKind) -> String {
    let prefixes = Prefixes::new("ses_", "pat_", "talq_").unwrap();
    Plaintext::generate(kind, &prefixes).unwrap().expose().to_owned()
}

/// Random text that is also a valid password.
pub fn canary() -> String {
    generate(CredentialKind::Session)["ses_".len()..][..40].to_owned()
}
