//! A temporary directory in which the `patd` binary runs, and a client of a server that runs there.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::PathBuf,
    process::{ChildStdin, Command, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::log_lines::checked;
pub use super::process::{DEADLINE, Ended, Process};
use super::settings::{FAST_HASHING, variable};

pub const PASSWORD: &str = "an engine of 1000 wheels";
pub const EMAIL: &str = "ada@example.com";

/// The working directory of commands, with a directory for their temporary files (`tmp`).
pub struct Place {
    pub directory: TempDir,
    environment: Vec<(String, String)>,
}

impl Ended {
    /// The objects on the lines of stdout.
    pub fn json_lines(&self) -> Vec<Value> {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Place {
    pub fn new() -> Self {
        let directory = TempDir::new().unwrap();
        std::fs::create_dir(directory.path().join("tmp")).unwrap();
        Self { directory, environment: Vec::new() }
    }

    /// Sets an environment variable for every command.
    pub fn set(mut self, variable: &str, value: &str) -> Self {
        self.environment.push((variable.into(), value.into()));
        self
    }

    /// Creates the user [`EMAIL`].
    pub fn with_user(self) -> Self {
        let made = self.run_with(&create_user(EMAIL), PASSWORD);
        assert_eq!(made.code, Some(0), "{made:?}");
        self
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn write(&self, name: &str, content: &str) {
        std::fs::write(self.path(name), content).unwrap();
    }

    /// The temporary files that exist.
    pub fn temporary_files(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.path("tmp")).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    /// Runs a command with empty standard input.
    pub fn run(&self, arguments: &[&str]) -> Ended {
        self.run_with(arguments, "")
    }

    /// Runs a command with `input` on its standard input.
    pub fn run_with(&self, arguments: &[&str], input: &str) -> Ended {
        let process = Process::start(self.command(arguments).stdin(Stdio::piped()));
        // A command that does not read its input may already have ended.
        let _ = process.take_stdin().write_all(input.as_bytes());
        process.end()
    }

    /// Runs a command whose standard output is a closed pipe.
    pub fn run_unread(&self, arguments: &[&str]) -> Ended {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        Process::start_with_stderr(self.command(arguments).stdout(writer)).end()
    }

    /// Starts a command.
    pub fn start(&self, arguments: &[&str]) -> Process {
        Process::start(&mut self.command(arguments))
    }

    /// Starts a command with a pipe as its standard input, which is open until the second value is dropped.
    pub fn start_piped(&self, arguments: &[&str]) -> (Process, ChildStdin) {
        let process = Process::start(self.command(arguments).stdin(Stdio::piped()));
        let stdin = process.take_stdin();
        (process, stdin)
    }

    /// Starts a shell script in which `$PATD` is the binary.
    pub fn start_shell(&self, script: &str) -> Process {
        let command = self.command(&[]);
        let mut shell = Command::new("sh");
        shell.args(["-c", script]).current_dir(self.directory.path()).env("PATD", command.get_program());
        for (variable, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(variable, value),
                None => shell.env_remove(variable),
            };
        }
        Process::start(shell.stdin(Stdio::null()))
    }

    /// Starts a server on the file `patd.db` of the directory and a free port.
    pub fn serve(&self) -> Server {
        self.serve_with(&[])
    }

    pub fn serve_with(&self, arguments: &[&str]) -> Server {
        let running = self.start(&[&["serve", "--bind", "127.0.0.1:0"], arguments].concat());
        let line = running.stderr_line("listening on http://");
        let url = line.split_whitespace().find(|word| word.starts_with("http://"));
        Server::new(url.unwrap().to_owned(), running)
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_patd"));
        command
            .args(arguments)
            .current_dir(self.directory.path())
            .env_remove("PATD_CONFIG")
            .env("TMPDIR", self.path("tmp"))
            .envs(FAST_HASHING.map(|(key, value)| (variable(key), value)))
            .env("PATD__SERVER__WORKERS", "2")
            .envs(checked())
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null());
        command
    }
}

/// The arguments that create a user whose password is read from stdin.
pub fn create_user(email: &str) -> [&str; 7] {
    ["user", "create", "--email", email, "--name", "Ada", "--password-stdin"]
}

/// A running server and an HTTP client for it.
pub struct Server {
    pub url: String,
    pub running: Process,
    agent: ureq::Agent,
}

impl Server {
    pub fn new(url: String, running: Process) -> Self {
        let agent = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(DEADLINE)).build();
        Self { url, running, agent: agent.into() }
    }

    /// The status of a GET.
    pub fn get(&self, path: &str, token: &str) -> u16 {
        let request = self.agent.get(format!("{}{path}", self.url));
        let answer = request.header("Authorization", format!("Bearer {token}")).call();
        answer.unwrap().status().as_u16()
    }

    /// The body of a GET.
    pub fn read(&self, path: &str, token: &str) -> Value {
        let request = self.agent.get(format!("{}{path}", self.url));
        let answer = request.header("Authorization", format!("Bearer {token}")).call();
        answer.unwrap().body_mut().read_json().unwrap()
    }

    /// The status and the body of a POST.
    pub fn post(&self, path: &str, token: &str, body: &Value) -> (u16, Value) {
        let request = self.agent.post(format!("{}{path}", self.url));
        let request = request.header("Authorization", format!("Bearer {token}"));
        let mut answer = request.send_json(body).unwrap();
        let status = answer.status().as_u16();
        (status, answer.body_mut().read_json().unwrap())
    }

    /// The status of a PUT.
    pub fn put(&self, path: &str, token: &str, body: &Value) -> u16 {
        let request = self.agent.put(format!("{}{path}", self.url));
        request.header("Authorization", format!("Bearer {token}")).send_json(body).unwrap().status().as_u16()
    }

    /// The status of a sign-in, and the session token if it was accepted.
    pub fn sign_in(&self, email: &str, password: &str) -> (u16, Option<String>) {
        let body = json!({"email": email, "password": password});
        // The header is ignored by this route.
        let (status, answer) = self.post("/api/v1/auth/login", "none", &body);
        (status, answer["data"]["token"].as_str().map(str::to_owned))
    }

    /// A request whose head the server has read, and whose body it waits for.
    pub fn hold_request(&self) -> HeldRequest {
        let address = self.url.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let body = json!({"email": EMAIL, "password": "not the one"}).to_string();
        let head = format!(
            "POST /api/v1/auth/login HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nExpect: 100-continue\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut interim = [0; 25];
        stream.read_exact(&mut interim).unwrap();
        assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
        HeldRequest { stream, body }
    }

    /// Sends SIGTERM and waits for the end.
    pub fn terminate(self) -> Ended {
        self.running.signal("TERM");
        self.running.end()
    }
}

pub struct HeldRequest {
    stream: TcpStream,
    body: String,
}

impl HeldRequest {
    /// Sends the body and reads the first line of the answer.
    pub fn finish(mut self) -> String {
        self.stream.write_all(self.body.as_bytes()).unwrap();
        let mut line = String::new();
        BufReader::new(self.stream).read_line(&mut line).unwrap();
        line
    }
}
