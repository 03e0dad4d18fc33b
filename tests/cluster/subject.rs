//! Credentials, and the changes that end them.

use std::io;

use serde_json::{Value, json};

use crate::{
    node::{Cluster, Node},
    support::connection::{Answer, Connection},
};

const TOKENS: &str = "/api/v1/user/api-tokens";
const ENVIRONMENTS: &str = "/api/v1/environments";
const LOGIN: &str = "/api/v1/auth/login";
const PASSWORD: &str = "an engine of 1000 wheels";
const EMAIL: &str = "ada@example.com";

/// A change that takes a right away.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Change {
    RevokeToken,
    DisableToken,
    RotateToken,
    DisableUser,
    DeleteUser,
    ReplacePassword,
    DeleteEnvironment,
    /// `patd token revoke`.
    RevokeByCommand,
}

impl Change {
    pub const ALL: [Self; 8] = [
        Self::RevokeToken,
        Self::DisableToken,
        Self::RotateToken,
        Self::DisableUser,
        Self::DeleteUser,
        Self::ReplacePassword,
        Self::DeleteEnvironment,
        Self::RevokeByCommand,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::RevokeToken => "revoke a token",
            Self::DisableToken => "disable a token",
            Self::RotateToken => "rotate a token",
            Self::DisableUser => "disable a user",
            Self::DeleteUser => "delete a user",
            Self::ReplacePassword => "change a password",
            Self::DeleteEnvironment => "delete an environment",
            Self::RevokeByCommand => "patd token revoke",
        }
    }
}

/// A credential that lives until its change.
pub struct Subject {
    pub secret: String,
    pub change: Change,
    /// The id of what the change names.
    pub id: String,
    /// The session that makes the change.
    pub session: String,
}

/// Creates subjects, and makes their changes.
pub struct Actor {
    /// The session of the administrator.
    pub session: String,
    /// A token that may verify others.
    pub verifier: String,
}

/// A request that should succeed. The error says why it did not.
fn send(node: &mut Connection, target: &str, session: Option<&str>, body: Value) -> Result<Answer, String> {
    success(node.ask("POST", target, session, Some(&body)))
}

fn success(answer: io::Result<Answer>) -> Result<Answer, String> {
    let answer = answer.map_err(|error| error.to_string())?;
    if (200..300).contains(&answer.status) { Ok(answer) } else { Err(format!("{answer:?}")) }
}

fn sign_in(node: &mut Connection, email: &str) -> Result<String, String> {
    Ok(send(node, LOGIN, None, json!({"email": email, "password": PASSWORD}))?.data("token"))
}

impl Actor {
    /// Creates the administrator with a command, and signs in.
    pub fn new(cluster: &Cluster) -> Self {
        let user = ["user", "create", "--email", EMAIL, "--name", "Ada", "--admin", "--password-stdin"];
        let made = cluster.command(&user, PASSWORD);
        assert!(made.success, "{made:?}");
        let token = ["token", "create", "--user", EMAIL, "--name", "verifier", "--ability", "tokens:introspect"];
        let verifier = cluster.command(&token, "");
        assert!(verifier.success, "{verifier:?}");
        let session = sign_in(&mut Connection::open(cluster.nodes[0].address).unwrap(), EMAIL).unwrap();
        Self { session, verifier: verifier.stdout.trim().to_owned() }
    }

    /// The session of the administrator.
    pub fn session(&self) -> &str {
        &self.session
    }

    /// A credential that the change will end. `serial` is another number each time.
    pub fn create(&self, node: &Node, change: Change, serial: usize) -> Result<Subject, String> {
        let node = &mut Connection::open(node.address).map_err(|error| error.to_string())?;
        let own = Some(&*self.session);
        let (id, secret, session) = match change {
            Change::RevokeToken | Change::DisableToken | Change::RotateToken | Change::RevokeByCommand => {
                let created = send(node, TOKENS, own, json!({"name": format!("token {serial}")}))?;
                (created.data("id"), created.data("token"), self.session.clone())
            }
            Change::DisableUser | Change::DeleteUser => {
                let (id, session) = register(node, serial)?;
                let created = send(node, TOKENS, Some(&session), json!({"name": "token"}))?;
                (id, created.data("token"), self.session.clone())
            }
            Change::ReplacePassword => {
                let (id, session) = register(node, serial)?;
                (id, sign_in(node, &email(serial))?, session)
            }
            Change::DeleteEnvironment => {
                let created = send(node, ENVIRONMENTS, own, json!({"name": format!("environment {serial}")}))?;
                let id = created.data("id");
                let created = send(node, &format!("{ENVIRONMENTS}/{id}/tokens"), own, json!({"name": "token"}))?;
                (id, created.data("token"), self.session.clone())
            }
        };
        Ok(Subject { secret, change, id, session })
    }

    /// Makes the change. Returns whether it was answered with a success, on which the promise depends.
    pub fn end(&self, cluster: &Cluster, node: &Node, subject: &Subject) -> Result<(), String> {
        let Subject { id, session, .. } = subject;
        let token = format!("{TOKENS}/{id}");
        let user = format!("/api/v1/admin/users/{id}");
        let (method, target, body) = match subject.change {
            Change::RevokeToken => ("DELETE", token, None),
            Change::DisableToken => ("POST", format!("{token}/disable"), Some(json!({}))),
            Change::RotateToken => ("POST", format!("{token}/rotate"), Some(json!({"grace": 0}))),
            Change::DisableUser => ("POST", format!("{user}/disable"), Some(json!({}))),
            Change::DeleteUser => ("DELETE", user, None),
            Change::ReplacePassword => {
                let body = json!({"current_password": PASSWORD, "password": "another engine of 2000 wheels"});
                ("PUT", "/api/v1/user/password".to_owned(), Some(body))
            }
            Change::DeleteEnvironment => ("DELETE", format!("{ENVIRONMENTS}/{id}"), None),
            Change::RevokeByCommand => {
                let ended = cluster.command(&["token", "revoke", id], "");
                return if ended.success { Ok(()) } else { Err(format!("{ended:?}")) };
            }
        };
        let node = Connection::open(node.address);
        success(node.and_then(|mut node| node.ask(method, &target, Some(session), body.as_ref()))).map(drop)
    }
}

/// A new user, who is signed in: the id, and the session.
fn register(node: &mut Connection, serial: usize) -> Result<(String, String), String> {
    let user = json!({"name": "Bob", "email": email(serial), "password": PASSWORD});
    let user = send(node, "/api/v1/auth/register", None, user)?;
    let id = user.body["id"].as_str().or(user.body["data"]["id"].as_str()).expect("an id").to_owned();
    Ok((id, sign_in(node, &email(serial))?))
}

fn email(serial: usize) -> String {
    format!("user{serial}@example.com")
}
