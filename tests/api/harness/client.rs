//! Sends requests and reads the answers.

use patd::http::codes::Code;
use serde_json::Value;

use super::{
    TestApp,
    description::assert_described,
    redaction::{redact, redacted},
};

/// A client of the server.
#[derive(Clone)]
pub struct Client<'a> {
    pub(super) app: &'a TestApp,
    pub token: Option<String>,
}

impl Client<'_> {
    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, None)
    }

    pub fn post(&self, path: &str, body: Value) -> Answer {
        self.send("POST", path, Some(body))
    }

    pub fn put(&self, path: &str, body: Value) -> Answer {
        self.send("PUT", path, Some(body))
    }

    pub fn patch(&self, path: &str, body: Value) -> Answer {
        self.send("PATCH", path, Some(body))
    }

    pub fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, None)
    }

    /// Sends any method, with a JSON body or none.
    pub fn send(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        match body {
            Some(body) => self.send_as(method, path, "application/json", body.to_string().as_bytes()),
            None => self.send_with(method, path, &[], &[]),
        }
    }

    /// Sends a body of any type.
    pub fn send_as(&self, method: &str, path: &str, content_type: &str, body: &[u8]) -> Answer {
        self.send_with(method, path, &[("Content-Type", content_type)], body)
    }

    /// Sends any headers and any body.
    pub fn send_with(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut request =
            ureq::http::Request::builder().method(method).uri(format!("http://{}{path}", self.app.address));
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = match body {
            [] => self.app.agent.run(request.body(()).unwrap()),
            body => self.app.agent.run(request.body(body).unwrap()),
        };
        let answer = Answer::read(response.unwrap());
        assert_described(method, path, answer.status, &answer.headers, &answer.body);
        answer
    }

    /// Creates a token and returns its `data`.
    pub fn create_token(&self, body: Value) -> Value {
        let answer = self.post("/api/v1/user/api-tokens", body);
        assert_eq!(answer.status, 201, "{}", answer.shown());
        answer.body["data"].clone()
    }
}

/// An answer of the server.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: ureq::http::HeaderMap,
    pub text: String,
    /// The body as JSON. Null if there is none.
    pub body: Value,
}

impl Answer {
    fn read(mut response: ureq::http::Response<ureq::Body>) -> Self {
        let text = response.body_mut().read_to_string().unwrap();
        let body = match text.is_empty() {
            true => Value::Null,
            // A page or a document.
            false if response.headers()["content-type"] != "application/json" => Value::Null,
            false => serde_json::from_str(&text).unwrap_or_else(|error| panic!("not JSON ({error}): {text}")),
        };
        let answer = Self { status: response.status().as_u16(), headers: response.headers().clone(), text, body };
        answer.assert_documented();
        answer
    }

    /// Every error in any test has a code of the table and the status of that code.
    fn assert_documented(&self) {
        if self.status < 400 || self.body.is_null() {
            return;
        }
        let Some(code) = Code::ALL.iter().find(|code| self.body["code"] == code.name()) else {
            panic!("the table of codes does not have the code of this answer: {}", self.text);
        };
        match self.header("x-auth-error") {
            // `auth-request` replaces statuses that nginx does not accept.
            Some(repeated) => assert_eq!(repeated, code.name()),
            None => assert_eq!(self.status, code.status().as_u16(), "{}", self.text),
        }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The status, the important headers and the body. Ids and secrets are checked for their shape and replaced.
    pub fn shown(&self) -> String {
        let mut shown = self.status.to_string();
        let important = [
            "www-authenticate",
            "allow",
            "retry-after",
            "x-ratelimit-limit",
            "x-ratelimit-remaining",
            "x-ratelimit-reset",
            "location",
        ];
        for name in important {
            if let Some(value) = self.header(name) {
                let value: Vec<_> = value.split('/').map(redacted).collect();
                shown += &format!("\n{name}: {}", value.join("/"));
            }
        }
        let mut body = self.body.clone();
        redact(&mut body);
        if !body.is_null() {
            shown += &format!("\n{}", serde_json::to_string_pretty(&body).unwrap());
        }
        shown
    }
}
