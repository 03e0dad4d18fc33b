//! Runs the binary: commands to their end, servers until they are told to stop, each in a temporary directory.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::PathBuf,
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

/// How long anything may take before it counts as never.
pub const DEADLINE: Duration = Duration::from_secs(20);
pub const PASSWORD: &str = "an engine of 1000 wheels";
pub const EMAIL: &str = "ada@example.com";

/// A directory in which commands run: their working directory, and where they put temporary files (`tmp`).
pub struct Place {
    pub directory: TempDir,
    environment: Vec<(String, String)>,
}

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// What stands on the lines of stdout, each an object of its own.
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

    /// The same with a setting in the environment of every command.
    pub fn set(mut self, variable: &str, value: &str) -> Self {
        self.environment.push((variable.into(), value.into()));
        self
    }

    /// The same with one user, made by the command.
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

    /// What temporary files there are.
    pub fn temporary_files(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.path("tmp")).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    /// A command without standard input.
    pub fn run(&self, arguments: &[&str]) -> Ended {
        self.run_with(arguments, "")
    }

    /// A command with `input` on its standard input.
    pub fn run_with(&self, arguments: &[&str], input: &str) -> Ended {
        let mut child = Running::of(self.command(arguments).stdin(Stdio::piped()));
        // A command that reads nothing may be gone already.
        let _ = child.child.stdin.take().unwrap().write_all(input.as_bytes());
        child.end()
    }

    /// A command whose output nobody reads.
    pub fn run_unread(&self, arguments: &[&str]) -> Ended {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = self.command(arguments);
        Running::spawn(command.stdout(writer).stderr(Stdio::piped())).end()
    }

    /// A command that goes on until it is told to stop.
    pub fn start(&self, arguments: &[&str]) -> Running {
        Running::of(&mut self.command(arguments))
    }

    /// The same with a pipe as its standard input, which stays open as long as the second value.
    pub fn start_piped(&self, arguments: &[&str]) -> (Running, ChildStdin) {
        let mut running = Running::of(self.command(arguments).stdin(Stdio::piped()));
        let stdin = running.child.stdin.take().unwrap();
        (running, stdin)
    }

    /// A shell that goes on until it is told to stop; `$PATD` is the binary.
    pub fn start_shell(&self, script: &str) -> Running {
        let command = self.command(&[]);
        let mut shell = Command::new("sh");
        shell.args(["-c", script]).current_dir(self.directory.path()).env("PATD", command.get_program());
        for (variable, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(variable, value),
                None => shell.env_remove(variable),
            };
        }
        Running::of(shell.stdin(Stdio::null()))
    }

    /// A server on the directory's `patd.db` and a free port.
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
            .env("PATD__PASSWORDS__MEMORY_KIB", "8")
            .env("PATD__PASSWORDS__ITERATIONS", "1")
            .env("PATD__SERVER__WORKERS", "2")
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null());
        command
    }
}

/// The arguments that make a user, the password coming from stdin.
pub fn create_user(email: &str) -> [&str; 7] {
    ["user", "create", "--email", email, "--name", "Ada", "--password-stdin"]
}

/// A process, which is killed and reaped when this is dropped.
pub struct Running {
    child: Child,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
}

impl Running {
    fn of(command: &mut Command) -> Self {
        Self::spawn(command.stdout(Stdio::piped()).stderr(Stdio::piped()))
    }

    fn spawn(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        Self { stdout: lines(child.stdout.take()), stderr: lines(child.stderr.take()), child }
    }

    /// The first line on stderr from now on that holds `text`.
    pub fn stderr_line(&self, text: &str) -> String {
        line_with(&self.stderr, text)
    }

    /// The first line on stdout from now on that holds `text`.
    pub fn stdout_line(&self, text: &str) -> String {
        line_with(&self.stdout, text)
    }

    /// The process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args([&format!("-{name}"), &id]).status();
        assert!(sent.unwrap().success());
    }

    /// Waits for the end.
    pub fn end(mut self) -> Ended {
        let (stdout, stderr) = (rest(&self.stdout), rest(&self.stderr));
        // Its streams are closed, so it ends at once.
        let status: ExitStatus = self.child.wait().unwrap();
        Ended { code: status.code(), stdout, stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines(stream: Option<impl Read + Send + 'static>) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in stream.into_iter().flat_map(|s| BufReader::new(s).lines()) {
            let _ = sender.send(line.unwrap());
        }
    });
    receiver
}

fn line_with(lines: &Receiver<String>, text: &str) -> String {
    let (end, mut seen) = (Instant::now() + DEADLINE, Vec::new());
    while let Ok(line) = lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
        if line.contains(text) {
            return line;
        }
        seen.push(line);
    }
    panic!("no line with {text:?} in {seen:#?}");
}

fn rest(lines: &Receiver<String>) -> String {
    let (end, mut text) = (Instant::now() + DEADLINE, String::new());
    loop {
        match lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(line) => text += &(line + "\n"),
            Err(RecvTimeoutError::Disconnected) => return text,
            Err(RecvTimeoutError::Timeout) => panic!("still running after {text}"),
        }
    }
}

/// A server that answers at `url`.
pub struct Server {
    pub url: String,
    pub running: Running,
    agent: ureq::Agent,
}

impl Server {
    pub fn new(url: String, running: Running) -> Self {
        let agent = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(DEADLINE)).build();
        Self { url, running, agent: agent.into() }
    }

    /// The status that a GET is answered with.
    pub fn get(&self, path: &str, token: &str) -> u16 {
        let request = self.agent.get(format!("{}{path}", self.url));
        let answer = request.header("Authorization", format!("Bearer {token}")).call();
        answer.unwrap().status().as_u16()
    }

    /// The body that a GET is answered with.
    pub fn read(&self, path: &str, token: &str) -> Value {
        let request = self.agent.get(format!("{}{path}", self.url));
        let answer = request.header("Authorization", format!("Bearer {token}")).call();
        answer.unwrap().body_mut().read_json().unwrap()
    }

    /// The status and body that a POST is answered with.
    pub fn post(&self, path: &str, token: &str, body: &Value) -> (u16, Value) {
        let request = self.agent.post(format!("{}{path}", self.url));
        let request = request.header("Authorization", format!("Bearer {token}"));
        let mut answer = request.send_json(body).unwrap();
        let status = answer.status().as_u16();
        (status, answer.body_mut().read_json().unwrap())
    }

    /// The status that a PUT is answered with.
    pub fn put(&self, path: &str, token: &str, body: &Value) -> u16 {
        let request = self.agent.put(format!("{}{path}", self.url));
        request.header("Authorization", format!("Bearer {token}")).send_json(body).unwrap().status().as_u16()
    }

    /// The status of a sign-in, and the session token, if it was one.
    pub fn sign_in(&self, email: &str, password: &str) -> (u16, Option<String>) {
        let body = json!({"email": email, "password": password});
        // The header is ignored by this route.
        let (status, answer) = self.post("/api/v1/auth/login", "none", &body);
        (status, answer["data"]["token"].as_str().map(str::to_owned))
    }

    /// A request of which the server has read the head and waits for the body.
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

    /// Asks for the end and waits for it.
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
