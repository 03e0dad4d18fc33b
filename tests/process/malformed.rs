//! Malformed bodies and requests, each with a secret in it.

use patd::domain::secret::CredentialKind;
use serde_json::json;

use crate::drive::{ANY, Drive, LOGIN, NOBODY, bytes, forging};

impl Drive<'_> {
    /// Sends malformed and invalid bodies to the routes that need no credential.
    pub fn odd_bodies(&mut self) {
        for path in [LOGIN, "/api/v1/auth/register"] {
            let known = ["name", "email", "password", "device_name"];
            let mut bodies = Vec::new();
            for field in known {
                let secret = self.secret();
                bodies.push(json!({ field: forging(&secret) }).to_string());
                bodies.push(json!({ field: [secret], "email": secret }).to_string());
                bodies.push(json!({ forging(&secret): &secret, field: { &secret: null } }).to_string());
                bodies.push(format!("{{\"{field}\":\"{secret}\",\"{field}\":\"{secret}\"}}"));
                bodies.push(format!("{{\"{secret}\":1,\"{secret}\":2}}"));
                bodies.push(format!("{{\"{field}\":\"\\ud800{secret}\"}}"));
                bodies.push(format!("{{\"{field}\":\"\0{secret}\r\n\"}}"));
                bodies.push(format!("{{\"{field}\":{secret}}}"));
            }
            let secret = self.secret();
            let unknown = json!({"email": format!("{secret}@example.com"), "password": forging(&secret), "name": "x"})
                .to_string();
            bodies.extend([
                secret.clone(),
                format!("\"{secret}\""),
                format!("[\"{secret}\"]"),
                format!("{}\"{secret}\"", "[".repeat(10_000)),
                format!("{{\"email\":\"{}\"}}", secret.repeat(3000)),
                format!("{{\"password\":\"{}\",\"email\":\"a@b.c\"}}", secret.repeat(100)),
                format!("1e9999999{secret}"),
                unknown.clone(),
            ]);
            for body in bodies {
                let register = path != LOGIN && body == unknown;
                if register {
                    // This body is valid, so its address is stored.
                    self.secrets.retain(|kept| *kept != secret);
                    self.named.push(secret.clone());
                }
                let headers = [("Content-Type", "application/json".to_owned())];
                let answer = self.raw("POST", path, NOBODY, &bytes("POST", path, &headers, &body)).unwrap();
                assert!(answer.status >= 400 || register, "{body}: {answer:?}");
                self.raw("POST", path, NOBODY, &bytes("POST", path, &[], &body)).unwrap();
            }
            let cut = format!(
                "POST {path} HTTP/1.1\r\nHost: patd\r\nContent-Type: application/json\r\n\
                Transfer-Encoding: chunked\r\n\r\n{secret}\r\n"
            );
            self.raw("POST", path, NOBODY, cut.as_bytes());
        }
    }

    /// Sends requests that no normal client sends.
    pub fn odd_requests(&mut self) {
        let secret = self.secret();
        let huge = [("X-Huge", secret.repeat(500))];
        self.raw("GET", NOBODY, NOBODY, &bytes("GET", "/api/user", &huge, "")).unwrap();
        for target in ["/", "//", "/api", "/api/user/", "/api/v1/user/api-tokens/", "/%2e%2e/api/user", "/%"] {
            let target = format!("{target}{secret}");
            self.raw("GET", ANY, NOBODY, &bytes("GET", &target, &[], ""));
        }
        self.raw("GET", ANY, NOBODY, &bytes("GET", &format!("http://{secret}/{secret}?{secret}"), &[], ""));
        self.raw("OPTIONS", NOBODY, NOBODY, &bytes("OPTIONS", "*", &[("Origin", secret.clone())], ""));
        self.raw("DELETE", "/api/user", NOBODY, &bytes("DELETE", "/api/user", &[], &secret)).unwrap();
        // A method may be any word, so a client may send a token as the method.
        for method in [secret.clone(), format!("1|{}", self.unknown(CredentialKind::PersonalAccessToken))] {
            self.raw(&method, "/api/user", NOBODY, &bytes(&method, "/api/user", &[], "")).unwrap();
            self.requests.last_mut().unwrap().method = NOBODY.to_owned();
        }
        let unreadable = [
            format!("{secret}\r\n\r\n"),
            format!("GET /\x1b[31m{secret} HTTP/1.1\r\n\r\n"),
            format!("GET /{secret} HTTP/9.9\r\n\r\n"),
            format!("GET / HTTP/1.1\r\n{secret}\r\n\r\n"),
            format!("GET / HTTP/1.1\r\nHost: a\r\nX: \x1b[31m{secret}\x07\r\n\r\n"),
            format!("GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n {secret}\r\n\r\n"),
            format!("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: {secret}\r\n\r\n"),
            format!("POST {LOGIN} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: {secret}\r\n\r\n"),
            format!("CONNECT {secret}:443 HTTP/1.1\r\nHost: {secret}\r\n\r\n"),
            format!("\0\0{secret}\r\n\r\n"),
        ];
        for request in unreadable {
            let method = request.split(' ').next().unwrap().to_owned();
            self.raw(&method, ANY, NOBODY, request.as_bytes());
        }
    }
}
