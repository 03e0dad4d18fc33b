//! A client that sends exactly the given bytes.

use std::{
    io::{BufReader, Read, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream},
};

use crate::{
    application::{read_body, read_headers, read_line},
    support::place::DEADLINE,
};

/// The address of a client that is not a trusted proxy. patd's settings trust 127.0.0.1.
pub const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// The host names of the two applications.
pub const APPLICATION: &str = "application.example";
pub const PACKAGES: &str = "packages.example";

/// A request that is sent as it is: nothing is normalized, escaped or refused.
#[derive(Clone, Debug)]
pub struct Request {
    line: String,
    host: String,
    head: String,
    connection: String,
    body: Vec<u8>,
}

impl Request {
    pub fn new(method: &str, target: &str) -> Self {
        Self {
            line: format!("{method} {target} HTTP/1.1"),
            host: APPLICATION.to_owned(),
            head: String::new(),
            connection: "close".to_owned(),
            body: Vec::new(),
        }
    }

    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// Sends it to another host than the first.
    pub fn to(self, host: &str) -> Self {
        Self { host: host.to_owned(), ..self }
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.head += &format!("{name}: {value}\r\n");
        self
    }

    pub fn headers(self, headers: &[(&str, &str)]) -> Self {
        headers.iter().fold(self, |request, (name, value)| request.header(name, value))
    }

    pub fn bearer(self, token: &str) -> Self {
        self.header("Authorization", &format!("Bearer {token}"))
    }

    /// Names headers that proxies remove if they follow the `Connection` header (RFC 9110, section 7.6.1).
    pub fn hop_by_hop(mut self, names: &[&str]) -> Self {
        self.connection = ["close"].iter().chain(names).copied().collect::<Vec<_>>().join(", ");
        self
    }

    pub fn body(mut self, body: &[u8]) -> Self {
        self = self.header("Content-Length", &body.len().to_string());
        self.body = body.to_vec();
        self
    }

    pub fn chunked(mut self, body: &[u8]) -> Self {
        self = self.header("Transfer-Encoding", "chunked");
        for chunk in body.chunks(10_000) {
            self.body.extend(format!("{:x}\r\n", chunk.len()).as_bytes());
            self.body.extend([chunk, b"\r\n"].concat());
        }
        self.body.extend(b"0\r\n\r\n");
        self
    }

    /// Sends it on a new connection. If the connection closes without an answer, the status is 0.
    pub fn send(&self, to: SocketAddr) -> Answer {
        self.send_over(TcpStream::connect(to).unwrap())
    }

    /// Sends it from [`ELSEWHERE`].
    pub fn send_from_elsewhere(&self, to: SocketAddr) -> Answer {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        let stream = runtime.block_on(async {
            let socket = tokio::net::TcpSocket::new_v4().unwrap();
            socket.bind((ELSEWHERE, 0).into()).unwrap();
            socket.connect(to).await.unwrap().into_std().unwrap()
        });
        stream.set_nonblocking(false).unwrap();
        self.send_over(stream)
    }

    /// Requests a protocol upgrade. If it is accepted, sends `text`; the reply is the body of the answer.
    pub fn upgrade(&self, to: SocketAddr, protocol: &str, text: &str) -> Answer {
        let upgrade = Self { connection: "Upgrade".to_owned(), ..self.clone() };
        let stream = TcpStream::connect(to).unwrap();
        let mut writer = stream.try_clone().unwrap();
        let answer = upgrade.header("Upgrade", protocol).send_over(stream.try_clone().unwrap());
        if answer.status != 101 {
            return answer;
        }
        writer.write_all(text.as_bytes()).unwrap();
        let mut back = vec![0; text.len()];
        (&stream).read_exact(&mut back).unwrap();
        Answer { body: String::from_utf8(back).unwrap(), ..answer }
    }

    fn send_over(&self, mut stream: TcpStream) -> Answer {
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let Self { line, host, head, connection, body } = self;
        let head = format!("{line}\r\nHost: {host}\r\n{head}Connection: {connection}\r\n\r\n");
        let bytes = [head.as_bytes(), body].concat();
        // A server that refuses a request need not read all of it.
        let _ = stream.write_all(&bytes);
        read_answer(stream).unwrap_or_default()
    }
}

/// The answer. Status 0 means that none arrived.
#[derive(Debug, Default)]
pub struct Answer {
    pub status: u16,
    headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    pub fn headers(&self, name: &str) -> Vec<&str> {
        let found = self.headers.iter().filter(|(present, _)| present.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str()).collect()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(present, _)| present.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

fn read_answer(stream: TcpStream) -> Option<Answer> {
    let mut reader = BufReader::new(stream);
    loop {
        let status = read_line(&mut reader)?.split(' ').nth(1)?.parse().ok()?;
        let headers = read_headers(&mut reader)?;
        if status == 100 {
            continue;
        }
        if status == 101 {
            return Some(Answer { status, headers, body: String::new() });
        }
        let body = read_body(&mut reader, &headers, Vec::new())?;
        return Some(Answer { status, headers, body: String::from_utf8_lossy(&body).into_owned() });
    }
}
