//! The application behind the proxy: takes every request and keeps what it received.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use serde_json::json;

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Received {
    pub method: String,
    pub target: String,
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Received {
    /// The values of all headers that an application could read as `name`: any case, and any punctuation for the dashes.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let folded =
            |name: &str| name.replace(|letter: char| !letter.is_ascii_alphanumeric(), "-").to_ascii_lowercase();
        let of_name = self.headers.iter().filter(|(present, _)| folded(present) == folded(name));
        of_name.map(|(_, value)| value.as_str()).collect()
    }
}

/// An application that listens until the test process ends.
pub struct Application {
    pub address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Application {
    pub fn start() -> Self {
        Self::answering(echo)
    }

    /// An application that answers with this function.
    pub fn answering(answer: fn(&Received) -> Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let application = Self { address: listener.local_addr().unwrap(), received: Arc::default() };
        let received = application.received.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let received = received.clone();
                thread::spawn(move || answer_all(stream, &received, answer));
            }
        });
        application
    }

    /// The requests that arrived since the last call.
    pub fn take(&self) -> Vec<Received> {
        std::mem::take(&mut *self.received.lock().unwrap())
    }
}

/// Answers each request of a connection. Accepts any protocol upgrade, and then echoes what it receives.
fn answer_all(mut stream: TcpStream, received: &Mutex<Vec<Received>>, answer: fn(&Received) -> Vec<u8>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while let Some(request) = read_request(&mut reader) {
        let upgrade = request.all("Upgrade").first().map(|&protocol| protocol.to_owned());
        let bytes = match &upgrade {
            Some(protocol) => {
                let head =
                    format!("HTTP/1.1 101 Switching Protocols\r\nUpgrade: {protocol}\r\nConnection: Upgrade\r\n\r\n");
                head.into_bytes()
            }
            None => answer(&request),
        };
        received.lock().unwrap().push(request);
        if stream.write_all(&bytes).is_err() {
            return;
        }
        if upgrade.is_some() {
            let _ = std::io::copy(&mut reader, &mut stream);
            return;
        }
    }
}

/// The request as JSON.
fn echo(request: &Received) -> Vec<u8> {
    let headers: Vec<_> = request.headers.iter().map(|(name, value)| [name, value]).collect();
    let body = json!({
        "method": request.method, "path": request.target, "headers": headers, "body_length": request.body.len(),
    });
    // An answer to HEAD has no body.
    let body = if request.method == "HEAD" { String::new() } else { body.to_string() };
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
    (head + &body).into_bytes()
}

fn read_request(reader: &mut impl BufRead) -> Option<Received> {
    let line = read_line(reader)?;
    let (method, rest) = line.split_once(' ')?;
    let (target, _) = rest.rsplit_once(' ')?;
    let headers = read_headers(reader)?;
    let body = read_body(reader, &headers, Vec::new())?;
    Some(Received { method: method.to_owned(), target: target.to_owned(), headers, body })
}

/// One line without its end, each byte a character.
pub fn read_line(reader: &mut impl BufRead) -> Option<String> {
    let mut line = Vec::new();
    reader.read_until(b'\n', &mut line).ok()?;
    let line = line.strip_suffix(b"\n")?;
    Some(line.strip_suffix(b"\r").unwrap_or(line).iter().map(|&byte| char::from(byte)).collect())
}

pub fn read_headers(reader: &mut impl BufRead) -> Option<Vec<(String, String)>> {
    let mut headers = Vec::new();
    loop {
        let line = read_line(reader)?;
        if line.is_empty() {
            return Some(headers);
        }
        let (name, value) = line.split_once(':')?;
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
}

/// The body that the headers announce, or `otherwise` if they announce none.
pub fn read_body(reader: &mut impl BufRead, headers: &[(String, String)], otherwise: Vec<u8>) -> Option<Vec<u8>> {
    let value =
        |name: &str| headers.iter().find(|(present, _)| present.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    if value("transfer-encoding").is_some() {
        let mut body = Vec::new();
        loop {
            let size = usize::from_str_radix(read_line(reader)?.split(';').next()?.trim(), 16).ok()?;
            body.extend(read_exactly(reader, size)?);
            read_line(reader)?;
            if size == 0 {
                return Some(body);
            }
        }
    }
    match value("content-length") {
        Some(length) => read_exactly(reader, length.parse().ok()?),
        None => Some(otherwise),
    }
}

fn read_exactly(reader: &mut impl Read, size: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; size];
    reader.read_exact(&mut bytes).ok()?;
    Some(bytes)
}
