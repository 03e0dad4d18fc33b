//! A server for each test: port 0, a temporary database, and a clock that only the test moves.

mod client;
mod description;
mod redaction;

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

pub use self::client::{Answer, Client};
use patd::{
    compose::{self, SystemClock},
    config::Config,
    domain::{
        ability::Abilities,
        account::{Email, Password, Role, User},
        audit::RequestSource,
        authority::Administrator,
        id::UserId,
        text::Name,
        time::Timestamp,
    },
    ops::{
        Context, accounts, roles,
        tokens::{Expiry, TokenRequest},
    },
    store::{Access, Backend, LastAdmin},
};
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::support::{
    clock::TestClock,
    database::{TestDatabase, is_on_postgres},
    settings::{self, FAST_HASHING, NO_THROTTLE},
};

/// The time at which every test begins.
pub const START: &str = "2024-01-15T19:00:00Z";

/// A running server.
pub struct TestApp {
    pub address: SocketAddr,
    /// Where it answers scrapes, if `metrics.bind` is set.
    pub metrics: Option<SocketAddr>,
    /// Operations on the same store and clock, as the command line runs them.
    pub ops: Context,
    config: Config,
    clock: TestClock,
    agent: ureq::Agent,
    stop: UnboundedSender<()>,
    thread: Option<JoinHandle<()>>,
    /// Keeps the database until this is dropped.
    database: TestDatabase,
    _directory: TempDir,
}

/// An answer that need not be JSON.
pub struct Fetched {
    pub status: u16,
    pub headers: ureq::http::HeaderMap,
    pub text: String,
}

impl Fetched {
    /// The only value of a header. Empty if there is none.
    pub fn header(&self, name: &str) -> &str {
        assert!(self.headers.get_all(name).iter().count() < 2, "{name} is sent twice");
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// The administrator, as at the command line.
pub const ADMINISTRATOR: Administrator = Administrator::command_line();

impl TestApp {
    /// A server with settings for tests: fast hashes and no throttle.
    pub fn spawn() -> Self {
        Self::with(&[])
    }

    /// A server with some settings changed, by dotted key: `("accounts.registration", "true")`.
    pub fn with(settings: &[(&'static str, &str)]) -> Self {
        Self::with_store(settings, |backend| backend)
    }

    /// A server whose store, with its cache, is wrapped.
    pub fn with_store(settings: &[(&'static str, &str)], wrap: impl FnOnce(Backend) -> Backend) -> Self {
        Self::with_file_and_store("", settings, wrap)
    }

    /// A server with a configuration file, for settings that need one.
    pub fn with_file(file: &str, settings: &[(&'static str, &str)]) -> Self {
        Self::with_file_and_store(file, settings, |backend| backend)
    }

    /// A server with a configuration file and a wrapped store.
    pub fn with_file_and_store(
        file: &str,
        settings: &[(&'static str, &str)],
        wrap: impl FnOnce(Backend) -> Backend,
    ) -> Self {
        let directory = TempDir::new().unwrap();
        let database = TestDatabase::new(directory.path());
        let written = directory.path().join("config.toml");
        std::fs::write(&written, file).unwrap();
        let mut changes = vec![
            ("server.bind", "127.0.0.1:0"),
            ("server.workers", "2"),
            database.setting(),
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
        let server_config = config.clone();
        let thread = std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let ctx = compose::start_context(&server_config, backend, clock, SystemClock::Checked).await.unwrap();
                let listener = compose::listen(server_config.server.bind).unwrap();
                let server = compose::start_server(&server_config, listener, ctx).await.unwrap();
                started.send((server.address, server.metrics_address())).unwrap();
                server.run(stopped).await.unwrap();
            });
        });
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(60)))
            .max_idle_connections_per_host(128)
            .build()
            .into();
        let (address, metrics) = address.recv().unwrap();
        Self {
            address,
            metrics,
            ops,
            config,
            clock: test_clock,
            agent,
            stop,
            thread: Some(thread),
            database,
            _directory: directory,
        }
    }

    /// Sends any request without following a redirect, and returns what is answered, as text.
    pub fn fetch(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Fetched {
        let mut request = ureq::http::Request::builder().method(method).uri(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(Duration::from_secs(60)))
            .build()
            .into();
        let response = match body {
            "" => agent.run(request.body(()).unwrap()),
            body => agent.run(request.body(body).unwrap()),
        };
        let mut response = response.unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        Fetched { status: response.status().as_u16(), headers: response.headers().clone(), text }
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        self.clock.advance(by);
        self.database.advance(by);
    }

    /// Sets the clock back.
    pub fn set_clock_back(&self, by: Duration) {
        self.clock.set_back(by);
    }

    /// Creates the user `NAME@example.com`, as the command line does.
    pub fn user(&self, name: &str) -> User {
        let account = accounts::NewAccount {
            ids: None,
            name: Name::parse(name).unwrap(),
            email: Email::parse(&email(name)).unwrap(),
            password: Password::parse(&password(name)).unwrap(),
        };
        block_on(accounts::create(&self.ops, ADMINISTRATOR, account, Role::Member, RequestSource::COMMAND_LINE))
            .unwrap()
    }

    /// Makes the user `NAME@example.com` an administrator, or a member again, as the command line does.
    pub fn set_role(&self, name: &str, role: Role) {
        let user = block_on(accounts::find(&self.ops, ADMINISTRATOR, &email(name))).unwrap();
        let set = roles::set(&self.ops, ADMINISTRATOR, user.id, role, LastAdmin::MayGo, RequestSource::COMMAND_LINE);
        block_on(set).unwrap();
    }

    /// Creates an administrator and signs in.
    pub fn sign_in_admin(&self, name: &str) -> Client<'_> {
        self.user(name);
        self.set_role(name, Role::Admin);
        self.sign_in_again(name)
    }

    /// A client without a credential.
    pub fn anonymous(&self) -> Client<'_> {
        Client { app: self, token: None }
    }

    /// A client with this credential.
    pub fn bearer(&self, token: &str) -> Client<'_> {
        Client { app: self, token: Some(token.to_owned()) }
    }

    /// Creates a user and signs in.
    pub fn sign_in(&self, name: &str) -> Client<'_> {
        self.user(name);
        self.sign_in_again(name)
    }

    /// Signs in an existing user, for one more session.
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

    /// Stops the server and waits until it has closed its store. Then `ops` are those of another process. The database stays
    /// until this is dropped.
    pub fn stop(&mut self) {
        self.replace_server(Access::Existing);
    }

    /// Stops the server. Then `ops` are those of another one, which does housekeeping only when the test says so.
    pub fn stop_housekeeping(&mut self) {
        // Who has the file open may do it. Of the users of a database in PostgreSQL, only a registered node.
        self.replace_server(if is_on_postgres() { Access::Server } else { Access::Existing });
    }

    fn replace_server(&mut self, access: Access) {
        let _ = self.stop.send(());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
        let backend = compose::open_store(&self.config, access).unwrap().uncached();
        self.ops = Context::new(&self.config, backend, self.ops.clock.clone()).unwrap();
    }

    /// Sends bytes unchanged and reads until the server closes the connection. For requests that no HTTP client sends.
    pub fn raw(&self, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream.write_all(request).unwrap();
        let mut answer = Vec::new();
        // The server may reset the connection after its answer if it did not read the whole request.
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

/// A request for a token of `owner` with the default expiry and without limits.
pub fn token_request(owner: UserId, name: &str, abilities: Option<Abilities>) -> TokenRequest {
    TokenRequest {
        id: None,
        owner,
        name: Name::parse(name).unwrap(),
        abilities,
        expiry: Expiry::Default,
        limits: Default::default(),
        annotations: Default::default(),
        is_canary: false,
    }
}

/// Runs an operation as the command line does.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}
