//! The nodes of a test: real `patd serve` processes on one database, each with a proxy between it and PostgreSQL.

use std::{
    io::Write,
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{
    database::Database,
    proxy::Proxy,
    support::{
        connection::Connection,
        ports::free_address,
        process::{DEADLINE, Ended, Process},
        settings::{FAST_HASHING, NO_THROTTLE, variable},
    },
};

/// Where the nodes keep their data.
pub enum Store {
    /// One node on a file of its own.
    File,
    Postgres(Database),
}

/// A node, whether it runs or not.
pub struct Node {
    /// Stays the same when the node is restarted.
    pub address: SocketAddr,
    /// `None` for a file.
    pub proxy: Option<Proxy>,
    settings: Vec<(String, String)>,
    directory: TempDir,
    /// Other threads may end it and start it again.
    process: Mutex<Option<Process>>,
}

impl Node {
    /// Starts a node and waits until it answers checks.
    fn start(store: &Store, more: &[(String, String)]) -> Self {
        let proxy = match store {
            Store::File => None,
            Store::Postgres(database) => Some(Proxy::to(database.server)),
        };
        let place = proxy.as_ref().map(|proxy| proxy.address);
        let settings = [settings(store, place), more.to_vec()].concat();
        let directory = TempDir::new().unwrap();
        let node = Self { address: free_address(), proxy, settings, directory, process: Mutex::default() };
        node.run();
        node
    }

    /// Starts its process, at the same address.
    pub fn run(&self) {
        let mut command = command(&self.settings, self.directory.path());
        command.args(["serve", "--bind", &self.address.to_string()]);
        let mut slot = self.process();
        let process = slot.insert(Process::start(&mut command));
        let end = Instant::now() + DEADLINE;
        while !Connection::open(self.address).is_ok_and(|mut node| node.ask("GET", "/livez", None, None).is_ok()) {
            assert!(Instant::now() < end && !process.handle().has_ended(), "the node does not answer");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Polls until the node is ready.
    #[track_caller]
    pub fn await_ready(&self) {
        let start = Instant::now();
        loop {
            let answer = Connection::open(self.address).and_then(|mut node| node.ask("GET", "/readyz", None, None));
            if answer.as_ref().is_ok_and(|answer| answer.status == 200) {
                return;
            }
            assert!(start.elapsed() < DEADLINE, "the node did not become ready: {answer:?}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Sends a signal to its process, by the name without SIG.
    pub fn signal(&self, name: &str) {
        self.process().as_ref().unwrap().signal(name);
    }

    /// Kills its process.
    pub fn kill(&self) {
        self.process().take().unwrap().handle().kill();
    }

    /// Sends SIGTERM to its process, and waits for its end.
    pub fn terminate(&self) {
        self.signal("TERM");
        let ended = self.process().take().unwrap().end_with_all_output();
        assert!(ended.success, "{ended:?}");
    }

    /// Waits until its log has this text.
    #[track_caller]
    pub fn await_log(&self, text: &str) {
        self.process().as_ref().unwrap().stderr_line(text);
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn proxy(&self) -> &Proxy {
        self.proxy.as_ref().expect("a node on PostgreSQL")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let Some(process) = self.process().take() else { return };
        process.handle().kill();
        if thread::panicking() {
            eprintln!("-- the log of the node at {}:\n{}", self.address, process.stderr().all());
        }
    }
}

/// Held by each test with nodes. Several at once would take the processor from each other's renewals, which makes nodes answer
/// 503.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Several nodes on one database.
pub struct Cluster {
    // Declared before the database, so that they end before it is dropped.
    pub nodes: Vec<Node>,
    pub store: Store,
    settings: Vec<(String, String)>,
    commands: TempDir,
    _alone: MutexGuard<'static, ()>,
}

impl Cluster {
    /// Starts nodes with these additional settings, by dotted key.
    pub fn start(store: Store, nodes: usize, more: &[(&str, &str)]) -> Self {
        let more: Vec<_> = more.iter().map(|(key, value)| (variable(key), (*value).to_owned())).collect();
        let mut cluster = Self::without_nodes(store, &more);
        for _ in 0..nodes {
            cluster.add_node(&[]);
        }
        cluster
    }

    /// No node yet. The additional settings are environment variables of all of them and of commands.
    pub fn without_nodes(store: Store, more: &[(String, String)]) -> Self {
        let place = match &store {
            Store::File => None,
            Store::Postgres(database) => Some(database.server),
        };
        let settings = settings(&store, place);
        let commands = TempDir::new().unwrap();
        let alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let settings = [settings, more.to_vec()].concat();
        Self { nodes: Vec::new(), store, settings, commands, _alone: alone }
    }

    /// Starts one more node, with environment variables of its own.
    pub fn add_node(&mut self, more: &[(String, String)]) {
        let shared = self.settings.iter().filter(|(name, _)| !name.starts_with("PATD__DATABASE__")).cloned();
        let node = Node::start(&self.store, &[shared.collect(), more.to_vec()].concat());
        self.nodes.push(node);
    }

    /// Runs a command with `input` on its standard input. It reaches the database without a proxy.
    pub fn command(&self, arguments: &[&str], input: &str) -> Ended {
        // The commands of a file talk to its server, and find it beside the file.
        let directory = match self.store {
            Store::File => self.nodes[0].directory.path(),
            Store::Postgres(_) => self.commands.path(),
        };
        let mut command = command(&self.settings, directory);
        let process = Process::start(command.args(arguments).stdin(Stdio::piped()));
        // A command that does not read its input may already have ended.
        let _ = process.take_stdin().write_all(input.as_bytes());
        process.end()
    }
}

fn settings(store: &Store, place: Option<SocketAddr>) -> Vec<(String, String)> {
    let database = match (store, place) {
        (Store::Postgres(database), Some(place)) => ("database.url", database.url_at(place)),
        _ => ("database.path", "patd.db".to_owned()),
    };
    let fixed = [
        ("accounts.registration", "true"),
        ("log.level", "warn"),
        ("passwords.concurrent_hashes", "64"),
        ("server.workers", "2"),
        ("tokens.max_per_user", "1000000"),
    ];
    let fixed = fixed.into_iter().chain(FAST_HASHING).chain(NO_THROTTLE);
    let fixed = fixed.map(|(key, value)| (variable(key), value.to_owned()));
    fixed.chain([(variable(database.0), database.1)]).collect()
}

fn command(settings: &[(String, String)], directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_patd"));
    command.current_dir(directory).env_clear().envs(settings.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::null());
    command
}
