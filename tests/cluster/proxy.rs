//! A TCP proxy between a node and PostgreSQL that can disturb the connections through it.

use std::{
    io::{self, BufReader, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use crate::support::process::DEADLINE;

/// The types of PostgreSQL's messages that tell a listener of a notification, and that begin the answer to the execution of
/// a prepared statement.
const NOTIFICATION: u8 = b'A';
const BIND_COMPLETE: u8 = b'2';

/// The statement with which a node renews its lease.
pub const RENEWAL: &str = "UPDATE nodes SET renewal";
/// The one with which it then reads what it has to forget.
pub const READING: &str = "SELECT latest.sequence";
/// The one with which it looks at other nodes, when its lease is extended.
pub const NODES: &str = "SELECT id, state, acknowledged, renewal FROM nodes";

/// How the statements begin at whose answers the proxy can stall.
const STATEMENTS: [&str; 3] = [RENEWAL, READING, NODES];

/// What happens to the bytes in both directions.
#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Pass,
    /// They wait, and arrive later. Nobody is told, as if the network were broken.
    Stall,
    /// Each message arrives this much later.
    Delay(Duration),
    /// There are no connections: those that exist are closed, and new ones are closed at once.
    Cut,
}

/// A proxy that listens until this is dropped.
pub struct Proxy {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    mode: Mutex<Mode>,
    changed: Condvar,
    connections: Mutex<Vec<TcpStream>>,
    swallows: AtomicBool,
    swallowed: AtomicUsize,
    passed: AtomicUsize,
    /// Everything stalls at the answer to this statement.
    awaited: Mutex<Option<&'static str>>,
    ended: AtomicBool,
}

impl Proxy {
    /// A proxy to this server, which passes everything.
    pub fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            mode: Mutex::new(Mode::Pass),
            changed: Condvar::new(),
            connections: Mutex::default(),
            swallows: AtomicBool::new(false),
            swallowed: AtomicUsize::new(0),
            passed: AtomicUsize::new(0),
            awaited: Mutex::default(),
            ended: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if accepting.ended.load(Ordering::SeqCst) {
                    return;
                }
                accepting.connect(client, server);
            }
        });
        Self { address, shared }
    }

    pub fn pass(&self) {
        self.shared.set(Mode::Pass);
    }

    /// From now on no byte arrives, until another mode is set.
    pub fn stall(&self) {
        self.shared.set(Mode::Stall);
    }

    /// From now on each message arrives later, in both directions.
    pub fn delay(&self, by: Duration) {
        self.shared.set(Mode::Delay(by));
    }

    /// From the next answer on to this statement of [`STATEMENTS`], no byte arrives, until another mode is set. The server has
    /// executed it then. Returns as soon as that has happened.
    #[track_caller]
    pub fn stall_at_answer_to(&self, statement: &'static str) {
        assert!(STATEMENTS.contains(&statement));
        *locked(&self.shared.awaited) = Some(statement);
        self.shared.set(Mode::Pass);
        let mode = locked(&self.shared.mode);
        let waited = self.shared.changed.wait_timeout_while(mode, DEADLINE, |mode| *mode == Mode::Pass);
        let is_stalled = *waited.unwrap_or_else(PoisonError::into_inner).0 == Mode::Stall;
        assert!(is_stalled, "the node does not send {statement:?}");
    }

    /// Closes all connections. New ones are closed at once, until another mode is set.
    pub fn cut(&self) {
        self.shared.set(Mode::Cut);
        self.shared.close_all();
    }

    /// Whether notifications are lost on their way to the node.
    pub fn swallow_notifications(&self, swallows: bool) {
        self.shared.swallows.store(swallows, Ordering::SeqCst);
    }

    /// How many notifications were lost, and how many arrived.
    pub fn notifications(&self) -> (usize, usize) {
        (self.shared.swallowed.load(Ordering::SeqCst), self.shared.passed.load(Ordering::SeqCst))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.cut();
        self.shared.ended.store(true, Ordering::SeqCst);
        // The listener wakes up, and ends.
        let _ = TcpStream::connect(self.address);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn set(&self, mode: Mode) {
        *locked(&self.mode) = mode;
        self.changed.notify_all();
    }

    fn close_all(&self) {
        for connection in locked(&self.connections).drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }

    /// Waits until bytes may go on. An error means that the connection is closed.
    fn gate(&self) -> io::Result<()> {
        let mode = locked(&self.mode);
        let mode = *self.changed.wait_while(mode, |mode| *mode == Mode::Stall).unwrap_or_else(PoisonError::into_inner);
        match mode {
            Mode::Cut => return Err(io::ErrorKind::ConnectionAborted.into()),
            Mode::Delay(by) => thread::sleep(by),
            Mode::Pass | Mode::Stall => {}
        }
        Ok(())
    }

    fn connect(self: &Arc<Self>, client: TcpStream, server: SocketAddr) {
        let shared = Arc::clone(self);
        // A stalled connection must not keep others from being accepted.
        thread::spawn(move || {
            let _ = shared.forward(&client, server);
            // It is still in the list, and so would stay open.
            let _ = client.shutdown(Shutdown::Both);
        });
    }

    fn forward(self: &Arc<Self>, client: &TcpStream, server: SocketAddr) -> io::Result<()> {
        locked(&self.connections).push(client.try_clone()?);
        self.gate()?;
        let server = TcpStream::connect(server)?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        locked(&self.connections).push(server.try_clone()?);
        let (shared, from, to) = (Arc::clone(self), server.try_clone()?, client.try_clone()?);
        let is_asked = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&is_asked);
        thread::spawn(move || {
            let _ = shared.messages(&from, &to, &asked);
            close(&from, &to);
        });
        let _ = self.bytes(client, &server, &is_asked);
        close(client, &server);
        Ok(())
    }

    /// From the node to the server. Sets `is_asked` when the awaited statement is to be executed.
    fn bytes(&self, mut from: &TcpStream, mut to: &TcpStream, is_asked: &AtomicBool) -> io::Result<()> {
        let mut buffer = [0; 16 << 10];
        let mut prepared = Vec::new();
        loop {
            let read = from.read(&mut buffer)?;
            if read == 0 {
                return Ok(());
            }
            self.gate()?;
            prepared.extend(STATEMENTS.iter().filter_map(|one| Some((*one, name_of(one, &buffer[..read])?))));
            let awaited = *locked(&self.awaited);
            let is_execution = |(statement, name): &(&str, Vec<u8>)| {
                awaited == Some(*statement) && buffer[..read].windows(name.len()).any(|window| window == name)
            };
            if prepared.iter().any(is_execution) {
                is_asked.store(true, Ordering::SeqCst);
            }
            to.write_all(&buffer[..read])?;
        }
    }

    /// From the server to the node: each message has a type and a length, because the connection is not encrypted.
    fn messages(&self, from: &TcpStream, mut to: &TcpStream, is_asked: &AtomicBool) -> io::Result<()> {
        let mut from = BufReader::new(from);
        let mut kept = Vec::new();
        loop {
            let mut message = vec![0; 5];
            from.read_exact(&mut message)?;
            let length = u32::from_be_bytes([message[1], message[2], message[3], message[4]]);
            message.resize(1 + usize::try_from(length).unwrap(), 0);
            from.read_exact(&mut message[5..])?;
            if message[0] == BIND_COMPLETE && is_asked.swap(false, Ordering::SeqCst) {
                *locked(&self.awaited) = None;
                self.set(Mode::Stall);
            }
            if message[0] != NOTIFICATION {
                kept.extend(message);
            } else if self.swallows.load(Ordering::SeqCst) {
                self.swallowed.fetch_add(1, Ordering::SeqCst);
            } else {
                self.passed.fetch_add(1, Ordering::SeqCst);
                kept.extend(message);
            }
            if from.buffer().is_empty() && !kept.is_empty() {
                self.gate()?;
                to.write_all(&kept)?;
                kept.clear();
            }
        }
    }
}

/// How an execution names the statement that is prepared in these bytes: its name, which consists of `s` and a number, comes before
/// the text, and between two zeros in the message that executes it.
fn name_of(statement: &str, bytes: &[u8]) -> Option<Vec<u8>> {
    let at = bytes.windows(statement.len()).position(|window| window == statement.as_bytes())?;
    let digits = bytes[..at - 1].iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    Some([b"\0s", &bytes[at - 1 - digits..at]].concat())
}

fn close(one: &TcpStream, other: &TcpStream) {
    let _ = one.shutdown(Shutdown::Both);
    let _ = other.shutdown(Shutdown::Both);
}
