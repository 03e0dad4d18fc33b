//! No acknowledged change is lost: the server is killed again and again, each time when an answer has just arrived, on one
//! database.
//!
//! After the next start, every answered change must be there. A change without an answer may have happened or not; after
//! the next start that must not change any more. A creation without an answer is sent again with its `Idempotency-Key`: there
//! is one token, whether it was made before or not.

use std::{
    collections::BTreeSet,
    io, mem,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use rusqlite::Connection as Database;
use serde_json::json;

use crate::{
    harness::{Place, Server},
    support::{
        connection::{Answer, Connection},
        process::ProcessHandle,
    },
};

const ROUNDS: usize = 100;
/// Threads that create tokens and revoke older ones.
const WORKERS: usize = 3;
/// The live tokens that each of them has at the beginning of a round.
const SHARE: usize = 3;
/// More changes than a round makes.
const PLENTY: usize = 1000;

/// After this many rounds, all ended tokens and sessions are checked again, not only those of the last round.
const FROM_THE_BEGINNING: usize = 10;

const TOKENS: &str = "/api/v1/user/api-tokens";

#[test]
fn acknowledged_changes_survive_kill_9() {
    let place = Place::new(&[]);
    let first = "the first password of all";
    let created =
        place.run(&["user", "create", "--email", "ada@example.com", "--name", "Ada", "--password-stdin"], first);
    assert!(created.success, "{created:?}");

    let mut ledger = Ledger { password: first.to_owned(), ..Ledger::default() };
    for round in 0..ROUNDS {
        let server = place.serve();
        ledger.verify(&server, round);
        ledger.change_until_killed(&server, round);
    }
    let server = place.serve();
    ledger.verify(&server, ROUNDS);
    for password in &ledger.former {
        assert_eq!(sign_in(&mut server.connect(), password), None, "{password:?} was replaced");
    }
    drop(server);
    let sound: String = Database::open(place.path("patd.db"))
        .and_then(|database| database.query_row("PRAGMA integrity_check", [], |row| row.get(0)))
        .unwrap();
    assert_eq!(sound, "ok");
}

/// The kinds of change, one of which ends a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Create,
    Revoke,
    ChangePassword,
}

/// Kills the server when an answer of the chosen kind has arrived for the chosen time.
struct Trigger<'s> {
    killer: &'s ProcessHandle,
    kind: Kind,
    at: usize,
    arrived: AtomicUsize,
}

impl Trigger<'_> {
    fn acknowledged(&self, kind: Kind) {
        if kind == self.kind && self.arrived.fetch_add(1, Ordering::SeqCst) + 1 == self.at {
            self.killer.kill();
        }
    }
}

struct Token {
    id: String,
    /// `None` if the answer with the value did not arrive.
    plaintext: Option<String>,
}

/// The tokens according to the answers.
#[derive(Default)]
struct Tokens {
    live: Vec<Token>,
    revoked: Vec<Token>,
    revoked_checked: usize,
    /// Their revocation was not answered.
    doubtful: Vec<Token>,
    /// The names of tokens whose creation was not answered.
    unanswered: Vec<String>,
}

/// Everything that the server has acknowledged, and the changes without an answer.
#[derive(Default)]
struct Ledger {
    tokens: Tokens,
    password: String,
    /// A change to this password was not answered.
    unanswered_password: Option<String>,
    former: Vec<String>,
    sessions: Vec<String>,
    ended: Vec<String>,
    ended_checked: usize,
    /// The session that changes the password, and so outlives the change.
    keeper: String,
}

impl Ledger {
    /// Checks everything that a client can see, and finds out which changes without an answer were made.
    fn verify(&mut self, server: &Server, round: usize) {
        let mut connection = server.connect();
        if round.is_multiple_of(FROM_THE_BEGINNING) {
            (self.ended_checked, self.tokens.revoked_checked) = (0, 0);
        }
        // One change sets the password and ends the sessions, so the password shows whether the sessions have ended.
        let mut probe = None;
        if let Some(doubtful) = self.unanswered_password.take() {
            probe = sign_in(&mut connection, &doubtful);
            if probe.is_some() {
                self.password_is(doubtful);
            }
        }
        if let Some(former) = self.former.last() {
            assert_eq!(sign_in(&mut connection, former), None, "round {round}: {former:?} was replaced");
        }
        for session in &self.sessions {
            assert_eq!(status(&mut connection, session), 200, "round {round}: a session was never ended");
        }
        for session in &self.ended[mem::replace(&mut self.ended_checked, self.ended.len())..] {
            assert_eq!(status(&mut connection, session), 401, "round {round}: a session was ended");
        }
        self.sessions.extend(probe);
        for _ in 0..2 {
            let session = sign_in(&mut connection, &self.password);
            self.keeper = session.unwrap_or_else(|| panic!("round {round}: {:?} was set", self.password));
            self.sessions.push(self.keeper.clone());
        }
        self.tokens.verify(&mut connection, &self.keeper, round);
    }

    fn password_is(&mut self, new: String) {
        self.former.push(mem::replace(&mut self.password, new));
        let (kept, ended) = mem::take(&mut self.sessions).into_iter().partition(|session| *session == self.keeper);
        self.sessions = kept;
        self.ended.extend::<Vec<_>>(ended);
    }

    /// Lets several clients make changes at the same time until the server is killed, and records the answers.
    fn change_until_killed(&mut self, server: &Server, round: usize) {
        let missing = (SHARE * WORKERS).saturating_sub(self.tokens.live.len());
        let mut connection = server.connect();
        for number in 0..missing {
            let name = format!("round {round} stock {number}");
            self.tokens.live.push(create(&mut connection, &self.keeper, &name).unwrap());
        }

        let kinds = [Kind::Create, Kind::Revoke, Kind::ChangePassword];
        let (kind, at) = (kinds[round % kinds.len()], 1 + round / kinds.len() % 3);
        let trigger = Trigger { killer: server.handle(), kind, at, arrived: AtomicUsize::new(0) };
        let mut shares: [Vec<Token>; WORKERS] = Default::default();
        for (at, token) in mem::take(&mut self.tokens.live).into_iter().enumerate() {
            shares[at % WORKERS].push(token);
        }
        let (keeper, password) = (&self.keeper, &self.password);
        let (results, changed) = thread::scope(|scope| {
            let workers: Vec<_> = shares
                .into_iter()
                .enumerate()
                .map(|(worker, share)| {
                    let prefix = format!("round {round} worker {worker}");
                    let connection = server.connect();
                    scope.spawn(|| work(connection, &trigger, keeper, prefix, share))
                })
                .collect();
            let changed = change_passwords(connection, &trigger, keeper, password, round);
            (workers.into_iter().map(|worker| worker.join().unwrap()).collect::<Vec<_>>(), changed)
        });
        assert!(trigger.arrived.into_inner() >= at, "round {round} ended too early");

        for Tokens { live, revoked, doubtful, unanswered, .. } in results {
            self.tokens.live.extend(live);
            self.tokens.revoked.extend(revoked);
            self.tokens.doubtful.extend(doubtful);
            self.tokens.unanswered.extend(unanswered);
        }
        let (acknowledged, doubtful) = changed;
        acknowledged.into_iter().for_each(|password| self.password_is(password));
        self.unanswered_password = doubtful;
    }
}

impl Tokens {
    fn verify(&mut self, connection: &mut Connection, session: &str, round: usize) {
        for token in mem::take(&mut self.doubtful) {
            let known = token.plaintext.as_ref().map(|plaintext| status(connection, plaintext) == 200);
            match known.unwrap_or_else(|| listed(connection, session).iter().any(|(id, _)| *id == token.id)) {
                true => self.live.push(token),
                false => self.revoked.push(token),
            }
        }
        for Token { id, plaintext } in &self.live {
            let status = plaintext.as_ref().map_or(200, |plaintext| status(connection, plaintext));
            assert_eq!(status, 200, "round {round}: token {id} was created and never revoked");
        }
        for Token { id, plaintext } in &self.revoked[mem::replace(&mut self.revoked_checked, self.revoked.len())..] {
            let status = plaintext.as_ref().map_or(401, |plaintext| status(connection, plaintext));
            assert_eq!(status, 401, "round {round}: token {id} was revoked");
        }

        let made_before = listed(connection, session);
        for name in mem::take(&mut self.unanswered) {
            let was_made = made_before.iter().find(|(_, made)| *made == name).map(|(id, _)| id);
            let answer = ask_for_token(connection, session, &name).unwrap();
            let token = match answer.status {
                409 => Token { id: answer.body["id"].as_str().unwrap().to_owned(), plaintext: None },
                _ => created(&answer),
            };
            assert_eq!((answer.status == 409).then_some(&token.id), was_made, "round {round}: {answer:?}");
            self.live.push(token);
        }
        let listed: BTreeSet<_> = listed(connection, session).into_iter().map(|(id, _)| id).collect();
        let known: BTreeSet<_> = self.live.iter().map(|token| token.id.clone()).collect();
        assert_eq!(listed, known, "round {round}");
    }
}

/// Creates tokens and revokes the oldest of `live` in turn, until no answer arrives.
fn work(mut connection: Connection, trigger: &Trigger<'_>, session: &str, prefix: String, live: Vec<Token>) -> Tokens {
    let mut result = Tokens { live, ..Tokens::default() };
    for number in 0..PLENTY {
        let name = format!("{prefix} token {number}");
        let Some(token) = create(&mut connection, session, &name) else {
            result.unanswered.push(name);
            return result;
        };
        trigger.acknowledged(Kind::Create);
        result.live.push(token);

        while result.live.len() > SHARE {
            let oldest = result.live.remove(0);
            let Ok(answer) = connection.ask("DELETE", &format!("{TOKENS}/{}", oldest.id), Some(session), None) else {
                result.doubtful.push(oldest);
                return result;
            };
            assert_eq!(answer.status, 200, "{answer:?}");
            trigger.acknowledged(Kind::Revoke);
            result.revoked.push(oldest);
        }
    }
    result
}

/// Changes the password until no answer arrives. Returns the acknowledged passwords and the one without an answer.
fn change_passwords(
    mut connection: Connection,
    trigger: &Trigger<'_>,
    session: &str,
    current: &str,
    round: usize,
) -> (Vec<String>, Option<String>) {
    let mut acknowledged = Vec::new();
    for number in 0..PLENTY {
        let password = format!("round {round} brings password {number}");
        let body =
            json!({"current_password": acknowledged.last().map_or(current, String::as_str), "password": password});
        let Ok(answer) = connection.ask("PUT", "/api/v1/user/password", Some(session), Some(&body)) else {
            return (acknowledged, Some(password));
        };
        assert_eq!(answer.status, 200, "{answer:?}");
        trigger.acknowledged(Kind::ChangePassword);
        acknowledged.push(password);
    }
    (acknowledged, None)
}

/// A new token; `None` if no answer came.
fn create(connection: &mut Connection, session: &str, name: &str) -> Option<Token> {
    ask_for_token(connection, session, name).ok().as_ref().map(created)
}

/// The name is the key, too.
fn ask_for_token(connection: &mut Connection, session: &str, name: &str) -> io::Result<Answer> {
    let key = name.replace(' ', "-");
    connection.ask_with("POST", TOKENS, Some(session), &[("Idempotency-Key", &key)], Some(&json!({ "name": name })))
}

fn created(answer: &Answer) -> Token {
    assert_eq!(answer.status, 201, "{answer:?}");
    Token { id: answer.data("id"), plaintext: Some(answer.data("token")) }
}

/// The session token of a sign-in; `None` if the password was refused.
fn sign_in(connection: &mut Connection, password: &str) -> Option<String> {
    let body = json!({"email": "ada@example.com", "password": password});
    let answer = connection.ask("POST", "/api/v1/auth/login", None, Some(&body)).unwrap();
    match answer.status {
        201 => Some(answer.data("token")),
        status => {
            assert_eq!(status, 401, "{answer:?}");
            None
        }
    }
}

/// The answer to a request with this credential.
fn status(connection: &mut Connection, credential: &str) -> u16 {
    connection.ask("GET", "/api/user", Some(credential), None).unwrap().status
}

/// The ids and names of all tokens that are not revoked.
fn listed(connection: &mut Connection, session: &str) -> Vec<(String, String)> {
    let answer = connection.ask("GET", TOKENS, Some(session), None).unwrap();
    assert!(answer.status == 200 && answer.body["next_cursor"].is_null(), "{answer:?}");
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    answer.body["data"].as_array().unwrap().iter().map(|token| (text(&token["id"]), text(&token["name"]))).collect()
}
