//! Processes: their output as it arrives, signals, and their end.

use std::{
    cell::RefCell,
    io::{BufRead, BufReader, Read},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use super::log_lines::Lines;

/// How long a test waits for anything before it fails.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// A running process. Dropping this kills it and waits for its end.
pub struct Process {
    child: ProcessHandle,
    stdout: Output,
    stderr: Output,
}

/// How a process ended, with the output that was not read before.
#[derive(Debug)]
pub struct Ended {
    pub success: bool,
    /// `None` if a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    #[track_caller]
    pub fn expect_success(&self) {
        assert!(self.success, "{self:?}");
    }
}

impl Process {
    /// Starts the command and reads its standard output and error.
    pub fn start(command: &mut Command) -> Self {
        Self::start_with_stderr(command.stdout(Stdio::piped()))
    }

    /// Starts the command with the standard output that is set, and reads its standard error.
    pub fn start_with_stderr(command: &mut Command) -> Self {
        let lines = Lines::of(command);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let stdout = Output::of(child.stdout.take(), Lines::NotChecked);
        let stderr = Output::of(child.stderr.take(), lines);
        Self { child: ProcessHandle(Mutex::new(child)), stdout, stderr }
    }

    pub fn stdout(&self) -> &Output {
        &self.stdout
    }

    pub fn stderr(&self) -> &Output {
        &self.stderr
    }

    /// The first line on standard error from now on that contains `text`.
    pub fn stderr_line(&self, text: &str) -> String {
        self.stderr.wait_for(text)
    }

    /// The first line on standard output from now on that contains `text`.
    pub fn stdout_line(&self, text: &str) -> String {
        self.stdout.wait_for(text)
    }

    pub fn take_stdin(&self) -> ChildStdin {
        self.child.lock().stdin.take().unwrap()
    }

    /// A handle that other threads can use.
    pub fn handle(&self) -> &ProcessHandle {
        &self.child
    }

    pub fn id(&self) -> u32 {
        self.child.lock().id()
    }

    /// Sends a signal, by its name without SIG.
    pub fn signal(&self, name: &str) {
        let id = self.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &id]).status().unwrap().success());
    }

    /// Waits for the end.
    pub fn end(self) -> Ended {
        let (stdout, stderr) = (self.stdout.rest(), self.stderr.rest());
        self.ended(stdout, stderr)
    }

    /// Waits for the end. The output also has what was read before.
    pub fn end_with_all_output(&self) -> Ended {
        let (stdout, stderr) = (self.stdout.all(), self.stderr.all());
        self.ended(stdout, stderr)
    }

    /// Call it only when the streams are closed, because then the process ends at once.
    fn ended(&self, stdout: String, stderr: String) -> Ended {
        let status = self.child.lock().wait().unwrap();
        Ended { success: status.success(), code: status.code(), stdout, stderr }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let mut child = self.child.lock();
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// Kills a process from any thread.
pub struct ProcessHandle(Mutex<Child>);

impl ProcessHandle {
    /// Sends SIGKILL.
    pub fn kill(&self) {
        self.lock().kill().unwrap();
    }

    /// Whether the process has ended by itself or by a signal.
    pub fn has_ended(&self) -> bool {
        self.lock().try_wait().unwrap().is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Child> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The output of a process, line by line.
pub struct Output {
    lines: Receiver<Vec<u8>>,
    shown: Lines,
    read: RefCell<Vec<u8>>,
    reading: Arc<Mutex<()>>,
}

impl Output {
    fn of(stream: Option<impl Read + Send + 'static>, shown: Lines) -> Self {
        let (sender, lines) = mpsc::channel();
        let reading = Arc::<Mutex<()>>::default();
        let turn = Arc::clone(&reading);
        thread::spawn(move || {
            let Some(stream) = stream else { return };
            let mut reader = BufReader::new(stream);
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                // After the line, because the thread waits for the line most of the time.
                drop(turn.lock());
                if sender.send(std::mem::take(&mut line)).is_err() {
                    return;
                }
            }
        });
        Self { lines, shown, read: RefCell::default(), reading }
    }

    /// Stops reading until the guard is dropped.
    pub fn stall(&self) -> MutexGuard<'_, ()> {
        self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a line that contains `text`.
    pub fn wait_for(&self, text: &str) -> String {
        let line = self.find(text);
        line.unwrap_or_else(|| panic!("no line with {text:?} in {}", String::from_utf8_lossy(&self.read.borrow())))
    }

    /// Waits for a line that contains `text`. `None` if the output ends without it.
    pub fn find(&self, text: &str) -> Option<String> {
        let end = Instant::now() + DEADLINE;
        while let Ok(line) = self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
            let line = self.keep(line);
            if line.contains(text) {
                return Some(line.trim_end_matches('\n').to_owned());
            }
        }
        None
    }

    /// Whether the next line is already there and contains `text`.
    pub fn next_contains(&self, text: &str) -> bool {
        self.lines.try_recv().is_ok_and(|line| self.keep(line).contains(text))
    }

    /// Waits for the end of the stream. Returns the lines that were not read before.
    pub fn rest(&self) -> String {
        let read = self.read.borrow().len();
        self.all().split_off(read)
    }

    /// Waits for the end of the stream. Returns all lines.
    pub fn all(&self) -> String {
        let end = Instant::now() + DEADLINE;
        loop {
            match self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => drop(self.keep(line)),
                Err(RecvTimeoutError::Disconnected) => return String::from_utf8(self.read.borrow().clone()).unwrap(),
                Err(RecvTimeoutError::Timeout) => {
                    panic!("still running after {}", String::from_utf8_lossy(&self.read.borrow()));
                }
            }
        }
    }

    fn keep(&self, line: Vec<u8>) -> String {
        let line = self.shown.show(String::from_utf8(line).unwrap());
        self.read.borrow_mut().extend(line.as_bytes());
        line
    }
}
