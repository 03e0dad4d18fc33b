//! A client that knows exactly whether an answer arrived.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
};

use serde_json::Value;

use super::process::DEADLINE;

/// A connection that is kept open. An error means that no complete answer arrived.
pub struct Connection(BufReader<TcpStream>);

impl Connection {
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Sends a well-formed request, with a JSON body or none.
    pub fn ask(
        &mut self,
        method: &str,
        target: &str,
        bearer: Option<&str>,
        body: Option<&Value>,
    ) -> io::Result<Answer> {
        self.ask_with(method, target, bearer, &[], body)
    }

    /// The same with more headers.
    pub fn ask_with(
        &mut self,
        method: &str,
        target: &str,
        bearer: Option<&str>,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> io::Result<Answer> {
        let mut request = format!("{method} {target} HTTP/1.1\r\nHost: patd\r\n");
        if let Some(token) = bearer {
            request += &format!("Authorization: Bearer {token}\r\n");
        }
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        match body.map(Value::to_string) {
            Some(body) => {
                let length = body.len();
                request += &format!("Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}");
            }
            None => request += "\r\n",
        }
        self.exchange(method, request.as_bytes())
    }

    /// Sends any bytes. The method determines whether the answer has a body.
    pub fn exchange(&mut self, method: &str, request: &[u8]) -> io::Result<Answer> {
        self.0.get_mut().write_all(request)?;
        self.read(method)
    }

    fn read(&mut self, method: &str) -> io::Result<Answer> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if self.0.read_until(b'\n', &mut head)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let head = String::from_utf8(head).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut answer = Answer { status, head, body: Value::Null };
        let length = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
        if method != "HEAD" && length > 0 {
            let mut body = vec![0; length];
            self.0.read_exact(&mut body)?;
            // A proxy may answer something else than JSON.
            let text = |_| Value::String(String::from_utf8_lossy(&body).into_owned());
            answer.body = serde_json::from_slice(&body).unwrap_or_else(text);
        }
        Ok(answer)
    }
}

/// A complete answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    head: String,
    pub body: Value,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        fields.filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }

    /// A string in `data` of the body.
    pub fn data(&self, key: &str) -> String {
        self.body["data"][key].as_str().unwrap_or_else(|| panic!("no {key} in {self:?}")).to_owned()
    }
}
