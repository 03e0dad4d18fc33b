//! patd with a user, the applications and one proxy, all on 127.0.0.1. They end with the test.

use std::{
    fs,
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    application::{Application, Received},
    client::{Answer, Request},
    proxies::Kind,
    support::{
        place::{DEADLINE, EMAIL, Place, Server},
        ports::free_address,
    },
};

/// A token and the identifier by which it is revoked.
pub struct Token {
    pub id: String,
    pub text: String,
}

/// The name of the user.
pub const NAME: &str = "Ada";

pub struct Patd {
    // Declared before the directory, so that it is dropped first.
    pub server: Server,
    pub place: Place,
    user: Value,
}

impl Patd {
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// Starts it with replacements in its configuration file, each `from` by its `to`.
    fn with(changes: &[(&str, String)]) -> Self {
        let place = Place::new().with_user();
        adapt(&place, "patd.toml", changes);
        let users = place.run(&["user", "list", "--json"]).stdout;
        let user: Value = serde_json::from_str(users.lines().next().unwrap()).unwrap();
        // Only the port differs from the file: it must be free.
        let server = place.serve_with(&["--config", "patd.toml"]);
        Self { place, server, user }
    }

    pub fn token(&self, abilities: &[&str]) -> Token {
        match abilities {
            [] => self.token_with(&["--no-abilities"]),
            _ => self.token_with(&abilities.iter().flat_map(|ability| ["--ability", ability]).collect::<Vec<_>>()),
        }
    }

    pub fn token_with(&self, flags: &[&str]) -> Token {
        let base = ["token", "create", "--user", EMAIL, "--name", "CI", "--json"];
        let created = self.place.run(&[&base[..], flags].concat());
        let created: Value = serde_json::from_str(&created.stdout).unwrap();
        let text = |key: &str| created[key].as_str().unwrap().to_owned();
        Token { id: text("id"), text: text("token") }
    }

    pub fn revoke(&self, token: &Token) {
        assert_eq!(self.place.run(&["token", "revoke", &token.id]).code, Some(0));
    }

    pub fn user_id(&self) -> &str {
        self.user["id"].as_str().unwrap()
    }
}

pub struct World {
    // Declared first, so that it is dropped first: a proxy logs errors if its backends end before it.
    _proxy: Program,
    pub kind: Kind,
    pub patd: Patd,
    pub application: Application,
    pub packages: Application,
    pub address: SocketAddr,
    log: PathBuf,
}

impl World {
    pub fn start(kind: Kind) -> Self {
        Self::with(kind, Application::start(), &[])
    }

    /// Starts it with another second application, and with changes to patd's configuration file.
    pub fn with(kind: Kind, packages: Application, changes: &[(&str, String)]) -> Self {
        let (patd, application) = (Patd::with(changes), Application::start());
        for attempts_left in (0..3).rev() {
            let address = free_address();
            let ends = Ends {
                proxy: address,
                application: application.address,
                packages: packages.address,
                patd: address_of(&patd.server.url),
            };
            let (command, log) = kind.command(&patd, &ends);
            match Program::start(command, &patd.place.path("proxy.out"), address) {
                Ok(proxy) => {
                    application.take();
                    return Self { _proxy: proxy, kind, patd, application, packages, address, log };
                }
                // Another program may have taken the port in the meantime.
                Err(messages) => assert!(attempts_left > 0, "{kind:?} ended: {messages}"),
            }
        }
        unreachable!("the last attempt asserts");
    }

    pub fn send(&self, request: &Request) -> Answer {
        request.send(self.address)
    }

    /// Returns the answer, and the request as the application received it.
    pub fn ask(&self, request: &Request) -> (Answer, Option<Received>) {
        let (answer, mut received) = (self.send(request), self.application.take());
        assert!(received.len() <= 1, "{received:?}");
        (answer, received.pop())
    }

    /// The same with the second application.
    pub fn ask_packages(&self, request: &Request) -> (Answer, Option<Received>) {
        let (answer, mut received) = (self.send(request), self.packages.take());
        assert!(received.len() <= 1 && self.application.take().is_empty(), "{received:?}");
        (answer, received.pop())
    }

    /// Waits until the proxy's own log has a line with all of `words`.
    pub fn await_log(&self, words: &[&str]) {
        let end = Instant::now() + DEADLINE;
        while !self.log().lines().any(|line| words.iter().all(|word| line.contains(word))) {
            assert!(Instant::now() < end, "no line with {words:?} in {}", self.log());
            thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }
}

/// Where everything listens.
pub struct Ends {
    pub proxy: SocketAddr,
    pub application: SocketAddr,
    pub packages: SocketAddr,
    pub patd: SocketAddr,
}

/// A file of `deploy/`.
pub fn deploy(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name)
}

/// A copy of a file of `deploy/` with each `from` replaced by its `to`. Every `from` must be there.
pub fn adapt(place: &Place, name: &str, changes: &[(&str, String)]) -> PathBuf {
    let mut text = fs::read_to_string(deploy(name)).unwrap();
    for (from, to) in changes {
        assert!(text.contains(from), "deploy/{name} has no {from}");
        text = text.replace(from, to);
    }
    let copy = place.path(Path::new(name).file_name().unwrap().to_str().unwrap());
    fs::write(&copy, text).unwrap();
    copy
}

fn address_of(url: &str) -> SocketAddr {
    url.strip_prefix("http://").unwrap().parse().unwrap()
}

/// A proxy, which is killed and reaped when this is dropped.
struct Program(Child);

impl Program {
    /// Starts the proxy and waits until a request without a token passes: some listen before they have loaded their routes.
    /// If the proxy ends, the error is its output.
    fn start(mut command: Command, output: &Path, address: SocketAddr) -> Result<Self, String> {
        let out = fs::File::create(output).unwrap();
        command.stdin(Stdio::null()).stdout(out.try_clone().unwrap()).stderr(out);
        let mut program = Self(command.spawn().unwrap());
        let messages = || fs::read_to_string(output).unwrap();
        let end = Instant::now() + DEADLINE;
        while TcpStream::connect(address).is_err() || Request::get("/health").send(address).status != 200 {
            if program.0.try_wait().unwrap().is_some() {
                return Err(messages());
            }
            assert!(Instant::now() < end, "it did not serve within the deadline: {}", messages());
            thread::sleep(Duration::from_millis(10));
        }
        Ok(program)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // SIGTERM first: a proxy with child processes then ends them, too.
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let end = Instant::now() + DEADLINE;
        while matches!(self.0.try_wait(), Ok(None)) && Instant::now() < end {
            thread::sleep(Duration::from_millis(10));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The path as an application reads it that decodes, normalizes and cuts as much as possible.
pub fn furthest(target: &str) -> String {
    let behind_host = target.strip_prefix("http://").map(|rest| rest.find('/').map_or("", |at| &rest[at..]));
    let mut path = behind_host.unwrap_or(target).split(['?', '#']).next().unwrap().to_owned();
    for _ in 0..3 {
        for (from, to) in
            [("%25", "%"), ("%2e", "."), ("%2f", "/"), ("%5c", "/"), ("%3b", ";"), ("%73", "s"), ("\\", "/")]
        {
            path = path.to_ascii_lowercase().replace(from, to);
        }
    }
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment.split([';', '\0', ' ', '\t']).next().unwrap().split("%00").next().unwrap() {
            "" | "." => {}
            ".." => drop(kept.pop()),
            segment => kept.push(segment),
        }
    }
    format!("/{}", kept.join("/"))
}
