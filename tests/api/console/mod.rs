//! The console without a browser: what it accepts, and what its answers allow a browser to do.

mod administration;
mod bulk;
mod environments;
mod gate;
mod pages;
mod signing_in;
mod tokens;

use std::cell::RefCell;

use crate::harness::{Fetched, TestApp, email, password};

/// What a browser sends with a form of this server.
pub const OWN: (&str, &str) = ("Sec-Fetch-Site", "same-origin");

/// A browser: it keeps the cookie, and sends forms as the pages of this server do.
pub struct Browser<'a> {
    app: &'a TestApp,
    cookie: RefCell<String>,
}

impl<'a> Browser<'a> {
    pub fn new(app: &'a TestApp) -> Self {
        Self { app, cookie: RefCell::default() }
    }

    /// Creates a user and signs in.
    pub fn of(app: &'a TestApp, name: &str) -> Self {
        app.user(name);
        Self::again(app, name)
    }

    /// Signs an existing user in.
    pub fn again(app: &'a TestApp, name: &str) -> Self {
        let browser = Self::new(app);
        let answer = browser.post("/console/sign-in", &[("email", &email(name)), ("password", &password(name))]);
        assert_eq!(answer.status, 303, "{}", answer.text);
        assert!(browser.cookie().starts_with("patd=ses_"), "{}", browser.cookie());
        browser
    }

    pub fn cookie(&self) -> String {
        self.cookie.borrow().clone()
    }

    pub fn get(&self, path: &str) -> Fetched {
        self.send("GET", path, &[], &[])
    }

    pub fn post(&self, path: &str, fields: &[(&str, &str)]) -> Fetched {
        self.send("POST", path, &[OWN], fields)
    }

    /// A page, which must be there.
    pub fn page(&self, path: &str) -> String {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        answer.text
    }

    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], fields: &[(&str, &str)]) -> Fetched {
        let cookie = self.cookie();
        let mut headers = headers.to_vec();
        if !cookie.is_empty() {
            headers.push(("Cookie", &cookie));
        }
        let body = form(fields);
        if !body.is_empty() {
            headers.push(("Content-Type", "application/x-www-form-urlencoded"));
        }
        let answer = self.app.fetch(method, path, &headers, &body);
        for set in answer.headers.get_all("set-cookie") {
            let set = set.to_str().unwrap();
            let pair = set.split(';').next().unwrap();
            *self.cookie.borrow_mut() = if pair.ends_with('=') { String::new() } else { pair.to_owned() };
        }
        answer
    }
}

/// The fields as a browser writes them.
pub fn form(fields: &[(&str, &str)]) -> String {
    let encode = |text: &str| -> String {
        text.bytes()
            .map(|byte| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
                b' ' => "+".to_owned(),
                other => format!("%{other:02X}"),
            })
            .collect()
    };
    fields.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect::<Vec<_>>().join("&")
}

/// The value of the hidden field `name` on a page.
pub fn hidden<'p>(page: &'p str, name: &str) -> &'p str {
    let start = format!(r#"name="{name}" value=""#);
    page.split_once(&start)
        .and_then(|(_, rest)| rest.split_once('"'))
        .unwrap_or_else(|| panic!("no {name} in {page}"))
        .0
}

/// The patterns of all pages with ids that do not exist, without the files.
pub fn paths(method: &str) -> Vec<String> {
    let id = "01900000-0000-7000-8000-000000000000";
    let pages = patd::http::pages().into_iter().filter(|(known, _)| known == method);
    pages
        .map(|(_, path)| {
            path.replace("{rest:.*}", "nothing")
                .replace("{id}", id)
                .replace("{token_id}", id)
                .replace("{name}", "none.css")
        })
        .collect()
}
