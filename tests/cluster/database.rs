//! Databases on the private PostgreSQL that `tests/postgres` starts, and servers that a test starts and stops itself.

use std::{
    env, fs,
    io::{self, Write},
    net::SocketAddr,
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use crate::support::{ports::free_address, process::DEADLINE};

/// A new database, which is dropped with this.
pub struct Database {
    /// Where its server listens.
    pub server: SocketAddr,
    name: String,
    runtime: Runtime,
}

impl Database {
    /// `None` if there is no server. `tests/run` starts one.
    pub fn new() -> Option<Self> {
        let Ok(url) = env::var("PATD_TEST_POSTGRES") else {
            // Unlike the output of eprintln, it is shown also if the test passes.
            let told = b"SKIPPED: several nodes need PostgreSQL. Run `tests/postgres cargo test --test cluster`.\n";
            io::stderr().write_all(told).unwrap();
            return None;
        };
        let place = url.strip_prefix("postgres://patd@").and_then(|rest| rest.split('/').next()).unwrap();
        Some(Self::on(place.parse().unwrap()))
    }

    /// A new database on this server.
    pub fn on(server: SocketAddr) -> Self {
        let name = format!("cluster_{}", uuid::Uuid::new_v4().simple());
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let database = Self { server, name, runtime };
        database.execute_in("postgres", &format!("CREATE DATABASE {}", database.name)).unwrap();
        database
    }

    /// Its address when it is reached at this place.
    pub fn url_at(&self, place: SocketAddr) -> String {
        format!("postgres://patd@{place}/{}?sslmode=disable", self.name)
    }

    /// The first column of the first row.
    pub fn read(&self, sql: &str) -> Option<String> {
        let messages = self.execute_in(&self.name, sql).unwrap();
        messages.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        })
    }

    fn execute_in(&self, name: &str, sql: &str) -> Result<Vec<SimpleQueryMessage>, tokio_postgres::Error> {
        let url = format!("postgres://patd@{}/{name}?connect_timeout=10", self.server);
        self.runtime.block_on(async { connect(&url).await?.simple_query(sql).await })
    }
}

async fn connect(url: &str) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

impl Drop for Database {
    fn drop(&mut self) {
        // The server may have ended already, and the whole data directory disappears with it.
        let _ = self.execute_in("postgres", &format!("DROP DATABASE {} WITH (FORCE)", self.name));
    }
}

/// A PostgreSQL that the test stops and starts. It ends with this.
pub struct PrivateServer {
    pub address: SocketAddr,
    directory: TempDir,
    child: Option<Child>,
}

/// How a server is stopped.
#[derive(Clone, Copy)]
pub enum Stop {
    /// It ends its connections, and writes everything (SIGINT).
    Fast,
    /// It ends at once, and recovers at the next start (SIGQUIT).
    Immediate,
}

impl PrivateServer {
    /// `None` if there are no tests with PostgreSQL.
    pub fn new() -> Option<Self> {
        env::var_os("PATD_TEST_POSTGRES")?;
        let directory = TempDir::new().unwrap();
        if is_root() {
            std::os::unix::fs::chown(directory.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let mut server = Self { address: free_address(), directory, child: None };
        let data = format!("--pgdata={}", server.data().display());
        let mut command = server.command("initdb");
        command.args([&data, "--username=patd", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8"]);
        let made = command.output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        server.start();
        Some(server)
    }

    /// Starts it, and waits until it accepts connections.
    pub fn start(&mut self) {
        let log = fs::File::options().create(true).append(true).open(self.directory.path().join("log")).unwrap();
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data()).arg("-k").arg(self.directory.path());
        command.args(["-p", &self.address.port().to_string(), "-c", "listen_addresses=127.0.0.1"]);
        self.child = Some(command.stderr(log).spawn().unwrap());
        let end = Instant::now() + DEADLINE;
        let port = self.address.port().to_string();
        while !self.command("pg_isready").args(["-q", "-h", "127.0.0.1", "-p", &port]).status().unwrap().success() {
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < end, "PostgreSQL does not start: {}", self.log());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Stops it, and waits for its end.
    pub fn stop(&mut self, how: Stop) {
        let Some(mut child) = self.child.take() else { return };
        let signal = match how {
            Stop::Fast => "-INT",
            Stop::Immediate => "-QUIT",
        };
        assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
        child.wait().unwrap();
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// A program of PostgreSQL, which refuses to run as root.
    fn command(&self, program: &str) -> Command {
        let binaries = PathBuf::from(env::var_os("PATD_POSTGRES_BIN").expect("tests/postgres sets it"));
        let mut command = Command::new(binaries.join(program));
        command.current_dir(self.directory.path()).env("LC_ALL", "C.UTF-8").env("HOME", self.directory.path());
        command.stdin(Stdio::null()).stdout(Stdio::null());
        if is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }
}

/// The user and the group that own nothing.
const NOBODY: u32 = 65534;

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

impl Drop for PrivateServer {
    fn drop(&mut self) {
        self.stop(Stop::Immediate);
    }
}
