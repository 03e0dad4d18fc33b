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

/// The type of PostgreSQL's message that tells a listener of a notification.
const NOTIFICATION: u8 = b'A';

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
        thread::spawn(move || {
            let _ = shared.messages(&from, &to);
            close(&from, &to);
        });
        let _ = self.bytes(client, &server);
        close(client, &server);
        Ok(())
    }

    /// From the node to the server.
    fn bytes(&self, mut from: &TcpStream, mut to: &TcpStream) -> io::Result<()> {
        let mut buffer = [0; 16 << 10];
        loop {
            let read = from.read(&mut buffer)?;
            if read == 0 {
                return Ok(());
            }
            self.gate()?;
            to.write_all(&buffer[..read])?;
        }
    }

    /// From the server to the node: each message has a type and a length, because the connection is not encrypted.
    fn messages(&self, from: &TcpStream, mut to: &TcpStream) -> io::Result<()> {
        let mut from = BufReader::new(from);
        let mut kept = Vec::new();
        loop {
            let mut message = vec![0; 5];
            from.read_exact(&mut message)?;
            let length = u32::from_be_bytes([message[1], message[2], message[3], message[4]]);
            message.resize(1 + usize::try_from(length).unwrap(), 0);
            from.read_exact(&mut message[5..])?;
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

fn close(one: &TcpStream, other: &TcpStream) {
    let _ = one.shutdown(Shutdown::Both);
    let _ = other.shutdown(Shutdown::Both);
}
