//! The `patd` binary in a temporary directory.

use std::{
    io::Write,
    net::{SocketAddr, TcpListener, TcpStream},
    os::{fd::OwnedFd, unix::process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Instant,
};

use tempfile::TempDir;

use super::{
    connection::Connection,
    faults,
    log_lines::checked,
    process::{DEADLINE, Ended, Process, ProcessHandle},
    settings::{FAST_HASHING, NO_THROTTLE, variable},
};

/// What a server logs once it listens, before its address.
const LISTENING: &str = "listening on http://";

/// A directory with a database, and the settings of every command that runs there.
pub struct Place {
    directory: TempDir,
    settings: Vec<(String, String)>,
    program: PathBuf,
    /// The user that runs the program, if it is not the user of the tests.
    user: Option<u32>,
}

impl Place {
    /// A directory with settings for tests, and `more` settings as environment variables.
    pub fn new(more: &[(&'static str, &'static str)]) -> Self {
        let keys = [
            ("database.path", "patd.db"),
            ("passwords.concurrent_hashes", "64"),
            ("server.bind", "127.0.0.1:0"),
            ("server.workers", "2"),
        ];
        let settings = keys.into_iter().chain(FAST_HASHING).chain(NO_THROTTLE);
        let mut settings: Vec<_> = settings.map(|(key, value)| (variable(key), value.to_owned())).collect();
        // A test that chooses the format sees the lines as they are.
        if more.iter().all(|(name, _)| *name != "PATD__LOG__FORMAT") {
            settings.extend(checked().map(|(name, value)| (name.to_owned(), value.to_owned())));
        }
        settings.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let program = env!("CARGO_BIN_EXE_patd").into();
        Self { directory: TempDir::new().unwrap(), settings, program, user: None }
    }

    /// Runs every command as another user from now on, with this copy of the program.
    pub fn run_as(&mut self, user: u32, program: &str) {
        (self.user, self.program) = (Some(user), self.path(program));
    }

    /// Sets a variable for all processes that are started from now on.
    pub fn set(&mut self, name: impl Into<String>, value: &str) {
        self.settings.push((name.into(), value.to_owned()));
    }

    /// Injects the faults of `faults.c` into all processes that are started from now on.
    pub fn inject_faults(&mut self) {
        self.set("LD_PRELOAD", faults::library().to_str().unwrap());
    }

    /// The path of the directory.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A directory with the default settings, except for the address.
    pub fn bare() -> Self {
        let mut place = Self::new(&[]);
        place.settings.retain(|(name, _)| ["PATD__DATABASE__PATH", "PATD__SERVER__BIND"].contains(&&**name));
        place
    }

    /// The same as [`Place::new`], but within the directory `parent`.
    pub fn within(parent: &str, more: &[(&'static str, &'static str)]) -> Self {
        Self { directory: TempDir::new_in(parent).unwrap(), ..Self::new(more) }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Runs a command with `input` on its standard input.
    pub fn run(&self, arguments: &[&str], input: &str) -> Ended {
        let process = self.start(arguments);
        // A command that does not read its input may already have ended.
        let _ = process.take_stdin().write_all(input.as_bytes());
        process.end_with_all_output()
    }

    /// Starts a server and waits until it listens.
    pub fn serve(&self) -> Server {
        self.serve_with(&[])
    }

    /// Starts a server with some flags.
    pub fn serve_with(&self, flags: &[&str]) -> Server {
        Self::listening(self.start(&[&["serve"], flags].concat()))
    }

    /// Starts a server with limits of the shell, such as `-n 100`.
    pub fn serve_under(&self, limits: &str) -> Server {
        let mut command = Command::new("/bin/sh");
        let script = format!("ulimit {limits} && exec \"$0\" serve");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_patd")]);
        Self::listening(self.spawn(&mut command))
    }

    /// Starts a server that listens on a socket of its service manager, and on `more` of the same socket.
    pub fn serve_on(&self, socket: &TcpListener, more: usize) -> Process {
        let mut command = Command::new("/bin/sh");
        // The sockets are passed from descriptor 3 on, and the id of the process that may take them is in the environment.
        let copies = (0..=more).map(|n| format!("{}<&0 ", 3 + n)).collect::<String>();
        let script = format!("exec {copies}</dev/null; LISTEN_PID=$$ LISTEN_FDS={} exec \"$0\" serve", 1 + more);
        command.args(["-c", &script, env!("CARGO_BIN_EXE_patd")]);
        self.prepare(&mut command);
        Process::start(command.stdin(OwnedFd::from(socket.try_clone().unwrap())))
    }

    /// Starts a server and waits until it listens or has ended.
    pub fn try_serve(&self) -> Result<Server, Ended> {
        let process = self.start(&["serve"]);
        match process.stderr().find(LISTENING) {
            Some(line) => Ok(Server::at(&line, process)),
            None => Err(process.end_with_all_output()),
        }
    }

    /// Waits until a server listens.
    pub fn listening(process: Process) -> Server {
        let line = process.stderr_line(LISTENING);
        Server::at(&line, process)
    }

    /// Starts a command and kills it as soon as `condition` is true or a line on stderr contains `done`. Returns whether the
    /// condition came first.
    pub fn kill_when(&self, arguments: &[&str], done: &str, condition: impl Fn() -> bool) -> bool {
        let process = self.start(arguments);
        let end = Instant::now() + DEADLINE;
        while !condition() {
            assert!(Instant::now() < end, "neither happened in time");
            if process.stderr().next_contains(done) {
                return false;
            }
            thread::yield_now();
        }
        true
    }

    fn start(&self, arguments: &[&str]) -> Process {
        self.spawn(Command::new(&self.program).args(arguments))
    }

    fn spawn(&self, command: &mut Command) -> Process {
        self.prepare(command);
        Process::start(command.stdin(Stdio::piped()))
    }

    fn prepare(&self, command: &mut Command) {
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        command.current_dir(self.directory.path()).env_clear();
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
    }
}

/// Tells the threads of a test to end, also when the test fails.
pub struct AtEnd<'a>(pub &'a AtomicBool);

impl Drop for AtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A running server.
pub struct Server {
    address: SocketAddr,
    process: Process,
}

impl Server {
    /// The server that has logged on which address it listens.
    fn at(line: &str, process: Process) -> Self {
        let address = line.split("http://").nth(1).unwrap();
        let end = address.find(|c: char| c.is_whitespace() || c == '"').unwrap_or(address.len());
        Self { address: address[..end].parse().unwrap(), process }
    }

    pub fn connect(&self) -> Connection {
        Connection::open(self.address).unwrap()
    }

    /// A new connection.
    pub fn socket(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream
    }

    /// The resident memory of the server.
    pub fn resident_mib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() / 1024
    }

    /// Kills the server from any thread.
    pub fn handle(&self) -> &ProcessHandle {
        self.process.handle()
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The id of the process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The first line that it writes from now on that contains `text`.
    pub fn line(&self, text: &str) -> String {
        self.process.stderr_line(text)
    }

    /// Stops reading what the server writes until the guard is dropped.
    pub fn stall_reader(&self) -> MutexGuard<'_, ()> {
        self.process.stderr().stall()
    }

    /// Sends SIGTERM and waits for the end. Returns everything that the server wrote.
    pub fn terminate(self) -> Ended {
        self.signal("TERM");
        self.process.end_with_all_output()
    }

    /// Waits for the end. Returns everything that the server wrote.
    pub fn wait(&self) -> Ended {
        self.process.end_with_all_output()
    }

    /// Sends a signal, by its name without SIG.
    pub fn signal(&self, name: &str) {
        self.process.signal(name);
    }
}
