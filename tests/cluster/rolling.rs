//! Two nodes behind the shipped nginx configuration: a restart of one after the other loses no request.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::Command,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{
    database::Database,
    node::{Cluster, Store},
    subject::{Actor, Change},
    support::{
        connection::Connection,
        ports::free_address,
        process::{DEADLINE, Process},
        programs::program,
    },
};

const DEPLOY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy");

/// The lines of the example in the document, with its options.
fn documented_servers() -> String {
    let document = include_str!("../../docs/cluster.md");
    document.lines().filter(|line| line.trim_start().starts_with("server 10.")).collect()
}

/// nginx with the file in `deploy/`, in which only addresses differ and a second node is added.
struct Nginx {
    address: SocketAddr,
    process: Process,
    _directory: TempDir,
}

impl Nginx {
    fn start(nodes: [SocketAddr; 2], application: SocketAddr) -> Self {
        let (directory, address) = (TempDir::new().unwrap(), free_address());
        let log = directory.path().join("application.log");
        let mut servers = documented_servers();
        for (name, node) in [("10.0.0.11:8080", nodes[0]), ("10.0.0.12:8080", nodes[1])] {
            assert!(servers.contains(name), "{servers}");
            servers = servers.replace(name, &node.to_string());
        }
        let mut site = fs::read_to_string(format!("{DEPLOY}/nginx.conf")).unwrap();
        for (from, to) in [
            ("server 127.0.0.1:8080;", servers),
            ("127.0.0.1:8000", address.to_string()),
            ("127.0.0.1:3000", application.to_string()),
            ("/var/log/nginx/application.log", log.display().to_string()),
        ] {
            assert!(site.contains(from), "{from}");
            site = site.replace(from, &to);
        }
        let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).unwrap();
        write("site.conf", &site);
        let kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let temporary = kinds.map(|kind| format!("{kind}_temp_path {kind};")).concat();
        let around = format!(
            "daemon off; pid nginx.pid; error_log stderr;\nevents {{}}\nhttp {{ {temporary} include site.conf; }}\n"
        );
        write("main.conf", &around);
        let mut command = Command::new(program("nginx"));
        command.arg("-p").arg(directory.path()).args(["-e", "stderr", "-c"]).arg(directory.path().join("main.conf"));
        let process = Process::start(&mut command);
        let end = Instant::now() + DEADLINE;
        while TcpStream::connect(address).is_err() {
            assert!(Instant::now() < end && !process.handle().has_ended(), "nginx does not start");
            thread::sleep(Duration::from_millis(10));
        }
        Self { address, process, _directory: directory }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Its worker ends with it.
        self.process.signal("TERM");
        let end = Instant::now() + DEADLINE;
        while !self.process.handle().has_ended() && Instant::now() < end {
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// The status of a request for the application, with a token.
fn get(nginx: SocketAddr, connection: &mut Option<Connection>, token: &str) -> u16 {
    let open = connection.get_or_insert_with(|| Connection::open(nginx).unwrap());
    let head = format!("GET /me HTTP/1.1\r\nHost: application.example\r\nAuthorization: Bearer {token}\r\n\r\n");
    let answer = open.exchange("GET", head.as_bytes()).unwrap();
    // By default nginx closes a connection after a thousand requests.
    if answer.header("connection") == Some("close") {
        *connection = None;
    }
    answer.status
}

/// An application that answers every request with 200.
fn application() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let lines = BufReader::new(stream.try_clone().unwrap()).lines();
                for line in lines.map_while(Result::ok) {
                    if line.is_empty() && stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

#[test]
fn a_rolling_restart_of_two_nodes_behind_nginx_loses_no_request() {
    let Some(database) = Database::new() else { return };
    let config = ("PATD_CONFIG".to_owned(), format!("{DEPLOY}/patd.toml"));
    let mut cluster = Cluster::without_nodes(Store::Postgres(database), &[config]);
    cluster.add_node(&[]);
    cluster.add_node(&[]);
    let actor = Actor::new(&cluster);
    let subject = actor.create(&cluster.nodes[0], Change::RevokeToken, 0).unwrap();
    let nginx = Nginx::start([cluster.nodes[0].address, cluster.nodes[1].address], application());
    let address = nginx.address;
    let (is_over, answers) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut connection = None;
                    let mut others = Vec::new();
                    while !is_over.load(Ordering::SeqCst) {
                        let status = get(address, &mut connection, &subject.secret);
                        answers.fetch_add(1, Ordering::SeqCst);
                        if status != 200 {
                            others.push(status);
                        }
                    }
                    others
                })
            })
            .collect();
        for _ in 0..2 {
            for node in &cluster.nodes {
                let before = answers.load(Ordering::SeqCst);
                node.terminate();
                node.run();
                node.await_ready();
                assert!(answers.load(Ordering::SeqCst) > before, "the other node answers meanwhile");
                thread::sleep(Duration::from_millis(300));
            }
        }
        is_over.store(true, Ordering::SeqCst);
        let others: Vec<_> = clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
        assert_eq!(others, [0; 0], "of {answers:?} answers");
    });
    actor.end(&cluster, &cluster.nodes[1], &subject).unwrap();
    // Each node is asked in turn.
    let mut connection = None;
    assert_eq!([(); 4].map(|()| get(address, &mut connection, &subject.secret)), [401; 4]);
}
