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

use crate::{
    proxy::Proxy,
    support::{ports::free_address, process::DEADLINE},
};

/// A new database, which is dropped with this.
pub struct Database {
    /// Where its server listens.
    pub server: SocketAddr,
    /// Where the server is that takes over.
    standby: Option<SocketAddr>,
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
        let database = Self { server, standby: None, name, runtime };
        database.execute_in("postgres", &format!("CREATE DATABASE {}", database.name)).unwrap();
        database
    }

    /// The nodes are told of the server that takes over.
    pub fn with_standby(mut self, standby: SocketAddr) -> Self {
        self.standby = Some(standby);
        self
    }

    /// Its address when it is reached at this place.
    pub fn url_at(&self, place: SocketAddr) -> String {
        let standby = self.standby.map(|standby| format!(",{standby}")).unwrap_or_default();
        format!("postgres://patd@{place}{standby}/{}?sslmode=disable", self.name)
    }

    /// The first column of the first row.
    pub fn read(&self, sql: &str) -> Option<String> {
        first(&self.execute_in(&self.name, sql).unwrap())
    }

    /// Executes statements.
    pub fn execute(&self, sql: &str) {
        self.execute_in(&self.name, sql).unwrap();
    }

    fn execute_in(&self, name: &str, sql: &str) -> Result<Vec<SimpleQueryMessage>, tokio_postgres::Error> {
        let url = format!("postgres://patd@{}/{name}?connect_timeout=10", self.server);
        self.runtime.block_on(async { connect(&url).await?.simple_query(sql).await })
    }
}

/// The first column of the first row.
fn first(messages: &[SimpleQueryMessage]) -> Option<String> {
    messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    })
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
        let mut server = Self::without_data(free_address());
        let data = format!("--pgdata={}", server.data().display());
        let mut command = server.command("initdb");
        command.args([&data, "--username=patd", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8"]);
        let made = command.output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        server.start();
        Some(server)
    }

    fn without_data(address: SocketAddr) -> Self {
        let directory = TempDir::new().unwrap();
        if is_root() {
            std::os::unix::fs::chown(directory.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        Self { address, directory, child: None }
    }

    /// A standby at this address, which has each commit on its disk before it is answered. It gets them through a proxy.
    pub fn synchronous_standby(&self, address: SocketAddr, proxy: &Proxy) -> Self {
        let mut standby = Self::without_data(address);
        let (host, port) = (proxy.address.ip(), proxy.address.port());
        let source =
            format!("host={host} port={port} user=patd application_name=standby sslmode=disable gssencmode=disable");
        let mut command = standby.command("pg_basebackup");
        command
            .args(["--write-recovery-conf", "--checkpoint=fast", "--dbname", &source, "--pgdata"])
            .arg(standby.data());
        let copied = command.output().unwrap();
        assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
        standby.start();
        self.execute("ALTER SYSTEM SET synchronous_standby_names = 'standby'");
        self.execute("SELECT pg_reload_conf()");
        let end = Instant::now() + DEADLINE;
        while self.execute("SELECT sync_state FROM pg_stat_replication").as_deref() != Some("sync") {
            assert!(Instant::now() < end, "the standby is not synchronous: {}", standby.log());
            thread::sleep(Duration::from_millis(20));
        }
        standby
    }

    /// Makes a standby the primary, and waits until it accepts writes.
    pub fn promote(&self) {
        assert_eq!(self.execute("SELECT pg_promote(true, 60)").as_deref(), Some("t"), "{}", self.log());
    }

    /// The first column of the first row.
    fn execute(&self, sql: &str) -> Option<String> {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let url = format!("postgres://patd@{}/postgres", self.address);
        let messages = runtime.block_on(async { connect(&url).await?.simple_query(sql).await }).unwrap();
        first(&messages)
    }

    /// Kills all its processes.
    pub fn kill(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let server = child.id();
        let others = fs::read_dir("/proc").unwrap().filter_map(|entry| {
            let id = entry.ok()?.file_name().to_str()?.parse().ok()?;
            (parent(id)? == server).then_some(id)
        });
        let ids: Vec<_> = [server].into_iter().chain(others).map(|id| id.to_string()).collect();
        // Some of the others may have ended by themselves.
        let _ = Command::new("kill").arg("-KILL").args(&ids).stderr(Stdio::null()).status();
        child.wait().unwrap();
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

/// The process that has started this one.
fn parent(process: u32) -> Option<u32> {
    let state = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name before it is in parentheses, and may have spaces.
    state.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
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
