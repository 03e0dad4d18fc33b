//! The real binary in a temporary directory, and a client that knows exactly whether an answer arrived.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Mutex, MutexGuard, PoisonError,
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take before it counts as never.
const DEADLINE: Duration = Duration::from_secs(60);

/// A directory with a database, and the settings with which every command runs there.
pub struct Place {
    directory: TempDir,
    settings: Vec<(&'static str, String)>,
    /// The program, and the user that it runs as if that is another one.
    program: PathBuf,
    user: Option<u32>,
}

/// How a command ended, with all that it wrote.
#[derive(Debug)]
pub struct Ended {
    pub success: bool,
    pub stdout: String,
    pub stderr: String,
}

impl Place {
    /// Settings that suit a test (fast hashes, no throttle), and `more` of them by their variables.
    pub fn new(more: &[(&'static str, &'static str)]) -> Self {
        let mut settings = vec![
            ("PATD__DATABASE__PATH", "patd.db"),
            ("PATD__PASSWORDS__MEMORY_KIB", "8"),
            ("PATD__PASSWORDS__ITERATIONS", "1"),
            ("PATD__PASSWORDS__CONCURRENT_HASHES", "64"),
            ("PATD__SERVER__BIND", "127.0.0.1:0"),
            ("PATD__SERVER__WORKERS", "2"),
            ("PATD__THROTTLE__PER_EMAIL_BURST", "1000000"),
            ("PATD__THROTTLE__PER_EMAIL_PER_MINUTE", "1000000"),
            ("PATD__THROTTLE__PER_ADDRESS_BURST", "1000000"),
            ("PATD__THROTTLE__PER_ADDRESS_PER_MINUTE", "1000000"),
        ];
        settings.extend(more);
        let settings = settings.into_iter().map(|(name, value)| (name, value.to_owned())).collect();
        let program = env!("CARGO_BIN_EXE_patd").into();
        Self { directory: TempDir::new().unwrap(), settings, program, user: None }
    }

    /// Runs every command as another user from now on, with this copy of the program.
    pub fn run_as(&mut self, user: u32, program: &str) {
        (self.user, self.program) = (Some(user), self.path(program));
    }

    /// Sets one more variable, for what is started from now on.
    pub fn set(&mut self, name: &'static str, value: &str) {
        self.settings.push((name, value.to_owned()));
    }

    /// Has everything that is started from now on fail as `faults.c` says, for as long as the answer lives.
    pub fn inject_faults(&mut self) -> TempDir {
        let library = TempDir::new().unwrap();
        let path = library.path().join("faults.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/process/faults.c");
        let compiled =
            Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&path).args([source, "-ldl"]).status();
        assert!(compiled.unwrap().success(), "a C compiler is needed, as for SQLite");
        self.set("LD_PRELOAD", path.to_str().unwrap());
        library
    }

    /// The name of the directory.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The settings as they are by default, but for the address.
    pub fn bare() -> Self {
        let mut place = Self::new(&[]);
        place.settings.retain(|(name, _)| ["PATD__DATABASE__PATH", "PATD__SERVER__BIND"].contains(name));
        place
    }

    /// The same in a directory within that one.
    pub fn within(parent: &str, more: &[(&'static str, &'static str)]) -> Self {
        Self { directory: TempDir::new_in(parent).unwrap(), ..Self::new(more) }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Runs a command to its end, with `input` on its standard input.
    pub fn run(&self, arguments: &[&str], input: &str) -> Ended {
        let running = self.start(arguments);
        let mut stdin = running.child.lock().stdin.take().unwrap();
        // A command that reads nothing may be gone already.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        running.end()
    }

    /// Starts a server and waits until it listens.
    pub fn serve(&self) -> Server {
        self.serve_with(&[])
    }

    /// The same with some flags.
    pub fn serve_with(&self, flags: &[&str]) -> Server {
        Self::listening(self.start(&[&["serve"], flags].concat()))
    }

    /// The same under limits of the shell, for example `-n 100`.
    pub fn serve_under(&self, limits: &str) -> Server {
        let mut command = Command::new("/bin/sh");
        let script = format!("ulimit {limits} && exec \"$0\" serve");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_patd")]);
        Self::listening(self.spawn(&mut command))
    }

    fn listening(mut running: Running) -> Server {
        let line = running.stderr.until("listening on http://");
        let address = line.split("http://").nth(1).unwrap();
        let end = address.find(|c: char| c.is_whitespace() || c == '"').unwrap_or(address.len());
        Server { address: address[..end].parse().unwrap(), running }
    }

    /// Starts a command and kills it as soon as `moment` has come, or when it has said `done`; answers whether the moment
    /// came first.
    pub fn kill_when(&self, arguments: &[&str], done: &str, moment: impl Fn() -> bool) -> bool {
        let mut running = self.start(arguments);
        let end = Instant::now() + DEADLINE;
        while !moment() {
            assert!(Instant::now() < end, "neither came in time");
            if running.stderr.has_said(done) {
                return false;
            }
            thread::yield_now();
        }
        true
    }

    fn start(&self, arguments: &[&str]) -> Running {
        self.spawn(Command::new(&self.program).args(arguments))
    }

    fn spawn(&self, command: &mut Command) -> Running {
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        command.current_dir(self.directory.path()).env_clear();
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        Running { child: Killer(Mutex::new(child)), stdout: Stream::of(stdout), stderr: Stream::of(stderr) }
    }
}

/// A process that can be ended.
pub struct Killer(Mutex<Child>);

impl Killer {
    /// SIGKILL, now.
    pub fn kill(&self) {
        self.lock().kill().unwrap();
    }

    fn lock(&self) -> MutexGuard<'_, Child> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A process, which is killed and reaped when this is dropped.
struct Running {
    child: Killer,
    stdout: Stream,
    stderr: Stream,
}

impl Running {
    /// Waits for its end.
    fn end(mut self) -> Ended {
        let (stdout, stderr) = (self.stdout.rest(), self.stderr.rest());
        // Its streams are closed, so that it ends at once.
        let status = self.child.lock().wait().unwrap();
        Ended { success: status.success(), stdout, stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut child = self.child.lock();
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// What a process writes, as it comes.
struct Stream {
    lines: Receiver<Vec<u8>>,
    seen: Vec<u8>,
}

impl Stream {
    fn of(stream: impl Read + Send + 'static) -> Self {
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            let mut reader = BufReader::new(stream);
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                if sender.send(std::mem::take(&mut line)).is_err() {
                    return;
                }
            }
        });
        Self { lines, seen: Vec::new() }
    }

    /// Waits for a line that holds `text`.
    fn until(&mut self, text: &str) -> String {
        let end = Instant::now() + DEADLINE;
        while let Ok(line) = self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
            self.seen.extend(&line);
            let line = String::from_utf8(line).unwrap();
            if line.contains(text) {
                return line;
            }
        }
        panic!("no line with {text:?} in {}", String::from_utf8_lossy(&self.seen));
    }

    /// Whether a line that holds `text` has come since the last look.
    fn has_said(&mut self, text: &str) -> bool {
        let line = self.lines.try_recv().unwrap_or_default();
        self.seen.extend(&line);
        String::from_utf8(line).unwrap().contains(text)
    }

    /// Waits for the end of the stream; answers all of it, from its first byte.
    fn rest(&mut self) -> String {
        let end = Instant::now() + DEADLINE;
        loop {
            match self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => self.seen.extend(line),
                Err(RecvTimeoutError::Disconnected) => return String::from_utf8(self.seen.clone()).unwrap(),
                Err(RecvTimeoutError::Timeout) => {
                    panic!("still running after {}", String::from_utf8_lossy(&self.seen));
                }
            }
        }
    }
}

/// A server that listens.
pub struct Server {
    address: SocketAddr,
    running: Running,
}

impl Server {
    pub fn connect(&self) -> Connection {
        Connection::open(self.address).unwrap()
    }

    /// A connection of which nothing is sent or read yet.
    pub fn socket(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream
    }

    /// How much memory of its own it has at this moment.
    pub fn resident_mib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.running.child.lock().id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() / 1024
    }

    /// What ends it at once, from any thread.
    pub fn killer(&self) -> &Killer {
        &self.running.child
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The process.
    pub fn id(&self) -> u32 {
        self.running.child.lock().id()
    }

    /// SIGTERM; answers all that the server ever wrote.
    pub fn terminate(self) -> Ended {
        self.signal("TERM");
        self.running.end()
    }

    /// Sends a signal by its name without SIG.
    pub fn signal(&self, name: &str) {
        let id = self.running.child.lock().id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &id]).status().unwrap().success());
    }
}

/// A connection that is kept alive. An error means that no answer arrived, or not all of one.
pub struct Connection(BufReader<TcpStream>);

impl Connection {
    fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        Ok(Self(BufReader::new(stream)))
    }

    /// A request as a well-behaved client makes it, with a JSON body or none.
    pub fn ask(
        &mut self,
        method: &str,
        target: &str,
        bearer: Option<&str>,
        body: Option<&Value>,
    ) -> io::Result<Answer> {
        let mut request = format!("{method} {target} HTTP/1.1\r\nHost: patd\r\n");
        if let Some(token) = bearer {
            request += &format!("Authorization: Bearer {token}\r\n");
        }
        match body.map(Value::to_string) {
            Some(body) => {
                let length = body.len();
                request += &format!("Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}");
            }
            None => request += "\r\n",
        }
        self.exchange(method, request.as_bytes())
    }

    /// A request of any bytes; the method says whether its answer has a body.
    pub fn exchange(&mut self, method: &str, request: &[u8]) -> io::Result<Answer> {
        self.0.get_mut().write_all(request)?;
        self.read(method)
    }

    fn read(&mut self, method: &str) -> io::Result<Answer> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if self.0.read_until(b'\n', &mut head)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let head = String::from_utf8(head).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut answer = Answer { status, head, body: Value::Null };
        let length = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
        if method != "HEAD" && length > 0 {
            let mut body = vec![0; length];
            self.0.read_exact(&mut body)?;
            answer.body = serde_json::from_slice(&body).unwrap();
        }
        Ok(answer)
    }
}

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    head: String,
    pub body: Value,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        fields.filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }

    /// A text in the body's `data`.
    pub fn data(&self, key: &str) -> String {
        self.body["data"][key].as_str().unwrap_or_else(|| panic!("no {key} in {self:?}")).to_owned()
    }
}
