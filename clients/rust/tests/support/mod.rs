//! A throwaway server, and servers that misbehave.
#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(unreachable_pub, reason = "a test binary has no outside")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use patd_client::Verdict;
use serde_json::{Value, json};

/// `patd dev`, which ends when its standard input closes.
pub struct Server {
    process: Child,
    demo: Value,
}

impl Server {
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// A server, and a token of it that has expired: the seed has one that lasts for a second.
    pub async fn with_expired_token() -> (Self, String) {
        let server = Self::start_with(&["--seed", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/seed.toml")]);
        let secret = server.demo["seeded"]["tokens"]["Brief"]["token"].as_str().unwrap().to_owned();
        let client = server.client();
        for _ in 0..200 {
            if let Verdict::Refused(_) = client.verify(&secret, &[], None).await.unwrap() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        (server, secret)
    }

    fn start_with(arguments: &[&str]) -> Self {
        let program = std::env::var("PATD_BIN").expect("PATD_BIN names the binary of patd");
        let mut command = Command::new(program);
        command.args(["dev", "--json", "--port", "0"]).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        Self { process, demo: serde_json::from_str(&line).unwrap() }
    }

    fn demo(&self, name: &str) -> &str {
        self.demo[name].as_str().unwrap()
    }

    pub fn url(&self) -> &str {
        self.demo("url")
    }

    pub fn introspect_token(&self) -> &str {
        self.demo("introspect_token")
    }

    pub fn session_token(&self) -> &str {
        self.demo("session_token")
    }

    pub fn user_id(&self) -> &str {
        self.demo("user_id")
    }

    pub fn client(&self) -> patd_client::Client {
        patd_client::Client::builder(self.url(), self.introspect_token()).build().unwrap()
    }

    /// Makes a token with these abilities and other fields. Returns its id and its secret.
    pub fn create_token(&self, abilities: &[&str], fields: &Value) -> (String, String) {
        let mut body = json!({"name": "test", "abilities": abilities});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let token = self.api("POST", "/api/v1/user/api-tokens", &body)["data"].clone();
        let secret = token["token"].as_str().unwrap().rsplit('|').next().unwrap();
        (token["id"].as_str().unwrap().to_owned(), secret.to_owned())
    }

    pub fn revoke_token(&self, id: &str) {
        self.api("DELETE", &format!("/api/v1/user/api-tokens/{id}"), &Value::Null);
    }

    fn api(&self, method: &str, path: &str, body: &Value) -> Value {
        let host = self.url().strip_prefix("http://").unwrap();
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut stream = TcpStream::connect(host).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.session_token(),
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 2"), "{method} {path}: {answer}");
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// Answers each request with the same text. `None`: it stays silent, and closes the connection at last, so that a client
/// without a time-out fails instead of hanging.
pub struct FakeServer {
    pub url: String,
    connections: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
}

impl FakeServer {
    /// `pause` is the time between two bytes of the body; without one, the answer is sent at once.
    pub fn start(answer: Option<String>, pause: Option<Duration>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let fake = Self { url, connections: Arc::default(), requests: Arc::default() };
        let (connections, requests) = (Arc::clone(&fake.connections), Arc::clone(&fake.requests));
        thread::spawn(move || {
            for stream in listener.incoming() {
                connections.fetch_add(1, Ordering::SeqCst);
                let (answer, requests) = (answer.clone(), Arc::clone(&requests));
                thread::spawn(move || serve(stream.unwrap(), answer.as_deref(), pause, &requests));
            }
        });
        fake
    }

    pub fn answering(answer: impl Into<String>) -> Self {
        Self::start(Some(answer.into()), None)
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

fn serve(mut stream: TcpStream, answer: Option<&str>, pause: Option<Duration>, requests: &AtomicUsize) {
    stream.set_nodelay(true).unwrap();
    while read_request(&mut stream).is_some() {
        requests.fetch_add(1, Ordering::SeqCst);
        let Some(answer) = answer else { return thread::sleep(Duration::from_secs(10)) };
        let sent = match pause {
            None => stream.write_all(answer.as_bytes()),
            Some(pause) => {
                let (head, body) = answer.split_at(answer.find("\r\n\r\n").unwrap() + 4);
                stream.write_all(head.as_bytes()).and_then(|()| {
                    body.bytes().try_for_each(|byte| {
                        thread::sleep(pause);
                        stream.write_all(&[byte])
                    })
                })
            }
        };
        if sent.is_err() || !answer.starts_with("HTTP") || answer.contains("Connection: close") {
            return;
        }
    }
}

/// Reads one request with its body; `None` at the end.
fn read_request(stream: &mut TcpStream) -> Option<()> {
    let mut data = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&data).to_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            if body.len() >= length.parse::<usize>().unwrap() {
                return Some(());
            }
        }
        let mut chunk = [0; 4096];
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return None,
            Ok(read) => data.extend(&chunk[..read]),
        }
    }
}

pub fn answer(status: &str, body: &str, header: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{header}\r\n{body}", body.len())
}

/// The body of a verdict that accepts.
pub fn accepting() -> Value {
    json!({"data": {
        "valid": true,
        "code": "valid",
        "token": {"id": "1", "type": "personal_access_token", "name": "x", "abilities": ["*"], "created_at": "", "expires_at": null},
        "owner": {"id": "2", "type": "user", "name": "Ada", "email": "ada@example.com"},
    }})
}
