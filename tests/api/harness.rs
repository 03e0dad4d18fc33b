//! A server of its own for each test: port 0, a temporary database, a clock that only the test moves.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

use patd::{
    compose::{self, SystemClock},
    config::Config,
    domain::{
        account::{Email, Password, User},
        audit::RequestSource,
        authority::Administrator,
        text::Name,
        time::Timestamp,
    },
    http::codes::Code,
    ops::{Context, accounts},
    store::{Backend, sqlite::Access},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::support::{
    clock::TestClock,
    settings::{self, FAST_HASHING, NO_THROTTLE},
};

/// When every test begins: the moment that the seed shows.
pub const START: &str = "2024-01-15T19:00:00Z";

/// A running server.
pub struct TestApp {
    pub address: SocketAddr,
    /// Operations on the same store and clock, as the command line would do them.
    pub ops: Context,
    config: Config,
    clock: TestClock,
    agent: ureq::Agent,
    stop: UnboundedSender<()>,
    thread: Option<JoinHandle<()>>,
    /// Holds the database for as long as this lives.
    _directory: TempDir,
}

/// The administrator, as at the command line.
pub const ADMINISTRATOR: Administrator = Administrator::command_line();

impl TestApp {
    /// A server with the settings that suit a test: fast hashes, no throttle.
    pub fn spawn() -> Self {
        Self::with(&[])
    }

    /// The same with some settings changed, by dotted key: `("accounts.registration", "true")`.
    pub fn with(settings: &[(&'static str, &str)]) -> Self {
        Self::with_store(settings, |backend| backend)
    }

    /// The same with something between the server and its store, its memory included.
    pub fn with_store(settings: &[(&'static str, &str)], wrap: impl FnOnce(Backend) -> Backend) -> Self {
        Self::with_file_and_store("", settings, wrap)
    }

    /// The same with a configuration file, for what only a file can say.
    pub fn with_file(file: &str, settings: &[(&'static str, &str)]) -> Self {
        Self::with_file_and_store(file, settings, |backend| backend)
    }

    /// The same with both.
    pub fn with_file_and_store(
        file: &str,
        settings: &[(&'static str, &str)],
        wrap: impl FnOnce(Backend) -> Backend,
    ) -> Self {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("patd.db");
        let written = directory.path().join("config.toml");
        std::fs::write(&written, file).unwrap();
        let mut changes = vec![
            ("server.bind", "127.0.0.1:0"),
            ("server.workers", "2"),
            ("database.path", path.to_str().unwrap()),
            ("passwords.concurrent_hashes", "64"),
        ];
        changes.extend(FAST_HASHING);
        changes.extend(NO_THROTTLE);
        changes.extend(settings);
        let config = settings::load(Some(&written), &changes);
        let store = compose::open_store(&config, Access::Server).unwrap();
        let backend = wrap(compose::with_cache(&config, store));
        let test_clock = TestClock::at(Timestamp::parse(START).unwrap());
        let clock = test_clock.clock();

        let (stop, stopped) = unbounded_channel();
        let (started, address) = std::sync::mpsc::channel();
        let ops = Context::new(&config, backend.clone(), clock.clone()).unwrap();
        let of_server = config.clone();
        let thread = std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let ctx = compose::start_context(&of_server, backend, clock, SystemClock::Checked).await.unwrap();
                let listener = compose::listen(of_server.server.bind).unwrap();
                let server = compose::start_server(&of_server, listener, ctx).await.unwrap();
                started.send(server.address).unwrap();
                server.run(stopped).await.unwrap();
            });
        });
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(60)))
            .max_idle_connections_per_host(128)
            .build()
            .into();
        let address = address.recv().unwrap();
        Self { address, ops, config, clock: test_clock, agent, stop, thread: Some(thread), _directory: directory }
    }

    /// Advances the clock.
    pub fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    /// Sets the clock back.
    pub fn set_clock_back(&self, by: Duration) {
        self.clock.set_back(by);
    }

    /// Makes the user `NAME@example.com`, as the command line would.
    pub fn user(&self, name: &str) -> User {
        let account = accounts::NewAccount {
            name: Name::parse(name).unwrap(),
            email: Email::parse(&email(name)).unwrap(),
            password: Password::parse(&password(name)).unwrap(),
        };
        block_on(accounts::create(&self.ops, ADMINISTRATOR, account, RequestSource::COMMAND_LINE)).unwrap()
    }

    /// Somebody without a credential.
    pub fn anonymous(&self) -> Client<'_> {
        Client { app: self, token: None }
    }

    /// Somebody with this credential.
    pub fn bearer(&self, token: &str) -> Client<'_> {
        Client { app: self, token: Some(token.to_owned()) }
    }

    /// Makes a user and signs them in.
    pub fn sign_in(&self, name: &str) -> Client<'_> {
        self.user(name);
        self.sign_in_again(name)
    }

    /// Signs in a user that exists: another session.
    pub fn sign_in_again(&self, name: &str) -> Client<'_> {
        let login = json!({ "email": email(name), "password": password(name) });
        let answer = self.anonymous().post("/api/v1/auth/login", login);
        assert_eq!(answer.status, 201, "{}", answer.shown());
        self.bearer(answer.body["data"]["token"].as_str().unwrap())
    }

    /// The database as the server uses it, for a second context over it.
    pub fn backend(&self) -> Backend {
        Backend { store: Arc::clone(&self.ops.store), credentials: Arc::clone(&self.ops.credentials) }
    }

    /// Stops the server, which closes its store, and waits until it is gone. From then on, `ops` are those of another
    /// process; the database stays until this value is dropped.
    pub fn stop(&mut self) {
        let _ = self.stop.send(());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
        let backend = Backend::new(compose::open_store(&self.config, Access::Existing).unwrap());
        self.ops = Context::new(&self.config, backend, self.ops.clock.clone()).unwrap();
    }

    /// Sends bytes as they are and reads until the server closes; for requests that no client would make.
    pub fn raw(&self, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream.write_all(request).unwrap();
        let mut answer = Vec::new();
        // A reset after the answer is the server's right where it did not read the whole request.
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        let _ = self.stop.send(());
        let _ = self.stop.send(());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

pub fn email(name: &str) -> String {
    format!("{name}@example.com")
}

pub fn password(name: &str) -> String {
    format!("a long enough password of {name}")
}

/// Runs an operation as the command line would.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Somebody who asks the server.
#[derive(Clone)]
pub struct Client<'a> {
    app: &'a TestApp,
    pub token: Option<String>,
}

impl Client<'_> {
    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, None)
    }

    pub fn post(&self, path: &str, body: Value) -> Answer {
        self.send("POST", path, Some(body))
    }

    pub fn put(&self, path: &str, body: Value) -> Answer {
        self.send("PUT", path, Some(body))
    }

    pub fn patch(&self, path: &str, body: Value) -> Answer {
        self.send("PATCH", path, Some(body))
    }

    pub fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, None)
    }

    /// Sends any method, with a JSON body or none.
    pub fn send(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        match body {
            Some(body) => self.send_as(method, path, "application/json", body.to_string().as_bytes()),
            None => self.send_with(method, path, &[], &[]),
        }
    }

    /// Sends a body of any type.
    pub fn send_as(&self, method: &str, path: &str, content_type: &str, body: &[u8]) -> Answer {
        self.send_with(method, path, &[("Content-Type", content_type)], body)
    }

    /// Sends any headers and any body.
    pub fn send_with(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut request =
            ureq::http::Request::builder().method(method).uri(format!("http://{}{path}", self.app.address));
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = match body {
            [] => self.app.agent.run(request.body(()).unwrap()),
            body => self.app.agent.run(request.body(body).unwrap()),
        };
        Answer::read(response.unwrap())
    }

    /// Creates a token and answers its `data`.
    pub fn create_token(&self, body: Value) -> Value {
        let answer = self.post("/api/v1/user/api-tokens", body);
        assert_eq!(answer.status, 201, "{}", answer.shown());
        answer.body["data"].clone()
    }
}

/// What the server answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: ureq::http::HeaderMap,
    pub text: String,
    /// The body as JSON; null where there is none.
    pub body: Value,
}

impl Answer {
    fn read(mut response: ureq::http::Response<ureq::Body>) -> Self {
        let text = response.body_mut().read_to_string().unwrap();
        let body = match text.is_empty() {
            true => Value::Null,
            false => serde_json::from_str(&text).unwrap_or_else(|error| panic!("no JSON ({error}): {text}")),
        };
        let answer = Self { status: response.status().as_u16(), headers: response.headers().clone(), text, body };
        answer.assert_documented();
        answer
    }

    /// Every error that any test meets has a code of the table, with the status that the table says.
    fn assert_documented(&self) {
        if self.status < 400 || self.body.is_null() {
            return;
        }
        let Some(code) = Code::ALL.iter().find(|code| self.body["code"] == code.name()) else {
            panic!("the table of codes does not have the code of this answer: {}", self.text);
        };
        match self.header("x-auth-error") {
            // auth-request replaces statuses that nginx does not accept.
            Some(repeated) => assert_eq!(repeated, code.name()),
            None => assert_eq!(self.status, code.status().as_u16(), "{}", self.text),
        }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Status, the headers that say something, and the body, with what is random replaced once its shape is checked.
    pub fn shown(&self) -> String {
        let mut shown = self.status.to_string();
        let telling = [
            "www-authenticate",
            "allow",
            "retry-after",
            "x-ratelimit-limit",
            "x-ratelimit-remaining",
            "x-ratelimit-reset",
            "location",
        ];
        for name in telling {
            if let Some(value) = self.header(name) {
                let value: Vec<_> = value.split('/').map(redacted).collect();
                shown += &format!("\n{name}: {}", value.join("/"));
            }
        }
        let mut body = self.body.clone();
        redact(&mut body);
        if !body.is_null() {
            shown += &format!("\n{}", serde_json::to_string_pretty(&body).unwrap());
        }
        shown
    }
}

fn redact(value: &mut Value) {
    match value {
        Value::String(text) => *text = redacted(text),
        Value::Array(items) => items.iter_mut().for_each(redact),
        Value::Object(fields) => {
            for (key, value) in fields {
                match value {
                    Value::String(hint) if key == "hint" => {
                        assert!(hint.len() == 4 && hint.bytes().all(|b| b.is_ascii_hexdigit()), "{hint}");
                        *hint = "[hint]".to_owned();
                    }
                    value => redact(value),
                }
            }
        }
        _ => {}
    }
}

/// A UUIDv7 or a secret by its shape; anything else stays.
fn redacted(text: &str) -> String {
    let is_uuid = uuid::Uuid::parse_str(text).is_ok_and(|id| id.get_version_num() == 7 && id.to_string() == text);
    if is_uuid {
        return "[uuid]".to_owned();
    }
    let (number, secret) = text.split_once('|').map_or(("", text), |(number, secret)| (number, secret));
    for prefix in ["ses_", "pat_", "talq_"] {
        if let Some(body) = secret.strip_prefix(prefix)
            && body.len() == 48
            && body.bytes().all(|b| b.is_ascii_alphanumeric())
        {
            let bar = if number.is_empty() { "" } else { "|" };
            return format!("{number}{bar}{prefix}[secret]");
        }
    }
    text.to_owned()
}
