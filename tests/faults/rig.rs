//! A server whose disk and clock fail on request, and what it has answered: by that, the promises are checked.

use std::{
    fs,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use patd::domain::secret::{CredentialKind, Plaintext, Prefixes};
use rusqlite::Connection as Database;
use serde_json::json;

use crate::{
    harness::{Place, Server},
    support::{
        connection::{Answer, Connection},
        process::Ended,
    },
    table::Row,
};

pub const LOGIN: &str = "/api/v1/auth/login";
pub const TOKENS: &str = "/api/v1/user/api-tokens";
pub const PASSWORD: &str = "a password of many words";
/// How long a test waits for a change of readiness.
const PATIENCE: Duration = Duration::from_secs(20);

/// A directory with a user, into whose processes faults can be injected.
pub struct Rig {
    pub place: Place,
}

impl Rig {
    pub fn new(settings: &[(&'static str, &'static str)]) -> Self {
        let rig = Self::without_database(settings);
        let created = rig.create_user();
        assert!(created.success, "{created:?}");
        rig
    }

    /// A directory without files.
    pub fn without_database(settings: &[(&'static str, &'static str)]) -> Self {
        let mut place = Place::new(settings);
        place.inject_faults();
        for (variable, file) in [("FAULTS_CLOCK", "clock"), ("FAULTS_COUNTDOWN", "countdown")] {
            let path = place.path(file);
            place.set(variable, path.to_str().unwrap());
        }
        Self { place }
    }

    pub fn create_user(&self) -> Ended {
        let arguments = ["user", "create", "--email", "a@example.com", "--name", "A", "--password-stdin"];
        self.place.run(&arguments, PASSWORD)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.place.path(name)
    }

    /// Switches a fault of `faults.c` on.
    pub fn switch_on(&self, control: &str, content: &str) {
        // Renamed into place, so that no call sees an empty file.
        fs::write(self.path("content"), content).unwrap();
        fs::rename(self.path("content"), self.path(control)).unwrap();
    }

    pub fn switch_off(&self, control: &str) {
        fs::remove_file(self.path(control)).unwrap();
    }

    /// Makes the system clock wrong by so many seconds.
    pub fn set_clock(&self, seconds: i64) {
        self.switch_on("clock", &seconds.to_string());
    }

    /// Keeps only what successful syncs have written. No process may run, and `FAULTS_DISK` must be set.
    pub fn cut_power(&self) {
        for name in ["patd.db", "patd.db-wal"] {
            match fs::copy(self.path(&format!("{name}.disk")), self.path(name)) {
                Ok(_) => {}
                // It was deleted, or never synced.
                Err(_) => drop(fs::remove_file(self.path(name))),
            }
            let _ = fs::remove_file(self.path(&format!("{name}.dirty")));
        }
        let _ = fs::remove_file(self.path("patd.db-shm"));
    }

    #[track_caller]
    pub fn expect_sound_file(&self) {
        let sound: String = Database::open(self.path("patd.db"))
            .and_then(|database| database.query_row("PRAGMA integrity_check", [], |row| row.get(0)))
            .unwrap();
        assert_eq!(sound, "ok");
    }
}

#[derive(Clone, Debug)]
pub struct Token {
    pub id: String,
    pub secret: String,
}

/// What becomes of checks while changes fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checks {
    GoOn,
    Fail,
}

/// A running server and everything that it has acknowledged.
pub struct Subject {
    pub rig: Rig,
    pub server: Server,
    pub session: String,
    /// Tokens that were created, and whose revocation was not requested. Some were never used.
    live: Vec<Token>,
    /// Tokens whose revocation was answered with a success.
    revoked: Vec<Token>,
    /// Tokens whose revocation was answered with an error that leaves open whether it was made.
    open: Vec<Token>,
}

impl Subject {
    /// Starts a server on a new database, signs in, and creates and revokes some tokens.
    pub fn new(settings: &[(&'static str, &'static str)]) -> Self {
        Self::on(Rig::new(settings))
    }

    pub fn on(rig: Rig) -> Self {
        let server = rig.place.serve();
        let session = sign_in(&server).data("token");
        let mut subject = Self::signed_in(rig, server, session);
        for _ in 0..4 {
            assert_eq!(subject.create().status, 201);
        }
        assert_eq!(subject.revoke().status, 200);
        // One is in the cache, the others are not.
        assert_eq!(subject.status("/api/user", Some(&subject.live[0].secret)), 200);
        subject.expect_ready();
        subject
    }

    /// Nothing was created or revoked yet.
    pub fn signed_in(rig: Rig, server: Server, session: String) -> Self {
        Self { rig, server, session, live: Vec::new(), revoked: Vec::new(), open: Vec::new() }
    }

    /// Whether a token was created and not revoked.
    pub fn has_live(&self) -> bool {
        !self.live.is_empty()
    }

    pub fn ask(&self, method: &str, target: &str, body: Option<&serde_json::Value>) -> Answer {
        self.server.connect().ask(method, target, Some(&self.session), body).unwrap()
    }

    pub fn readiness(&self) -> Answer {
        self.server.connect().ask("GET", "/readyz", None, None).unwrap()
    }

    pub fn status(&self, target: &str, bearer: Option<&str>) -> u16 {
        self.server.connect().ask("GET", target, bearer, None).unwrap().status
    }

    /// Requests a token, and remembers it if the answer has one.
    pub fn create(&mut self) -> Answer {
        let answer = self.ask("POST", TOKENS, Some(&json!({ "name": "t" })));
        if answer.status == 201 {
            self.live.push(Token { id: answer.data("id"), secret: answer.data("token") });
        }
        answer
    }

    /// Requests the revocation of the newest token, and remembers what the answer says about it.
    pub fn revoke(&mut self) -> Answer {
        let token = self.live.pop().unwrap();
        let answer = self.ask("DELETE", &format!("{TOKENS}/{}", token.id), None);
        match answer.status {
            200 => self.revoked.push(token),
            _ if says_unchanged(&answer) => self.live.push(token),
            _ => self.open.push(token),
        }
        answer
    }

    /// Polls `/readyz` until it is 503. Until then a change may still be made.
    #[track_caller]
    pub fn expect_unready(&self, row: &Row) {
        let answer = self.readiness_when(503);
        row.expect_readiness(&answer);
        expect_retry_after(&answer);
    }

    #[track_caller]
    pub fn expect_ready(&self) {
        self.readiness_when(200);
    }

    #[track_caller]
    fn readiness_when(&self, status: u16) -> Answer {
        let start = Instant::now();
        loop {
            let answer = self.readiness();
            if answer.status == status {
                return answer;
            }
            assert!(start.elapsed() < PATIENCE, "/readyz never answered {status}: {answer:?}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Changes fail as the row says; checks go on or fail as the row says. Nothing is accepted that is not known, and no
    /// valid credential is refused with 401.
    #[track_caller]
    pub fn expect_outage(&mut self, row: &Row, checks: Checks) {
        for answer in [self.create(), self.revoke(), sign_in(&self.server)] {
            assert_eq!(answer.status, 503, "{answer:?}");
            row.expect_answer(&answer);
            expect_retry_after(&answer);
        }
        self.expect_checks(row, checks);
    }

    #[track_caller]
    pub fn expect_checks(&self, row: &Row, checks: Checks) {
        let (accepted, refused) = match checks {
            Checks::GoOn => (200, 401),
            Checks::Fail => (503, 503),
        };
        row.expect_words(if checks == Checks::GoOn { "Checks go on" } else { "Checks fail, too" });
        let mut connection = self.server.connect();
        let live = self.live.iter().map(|token| (&token.secret, accepted));
        let unknown = unknown_token();
        let others = self.revoked.iter().map(|token| (&token.secret, refused)).chain([(&unknown, refused)]);
        for (secret, expected) in live.chain(others) {
            let answer = check(&mut connection, secret);
            assert_eq!(answer.status, expected, "{answer:?}");
            if answer.status == 503 {
                row.expect_answer(&answer);
                expect_retry_after(&answer);
            }
        }
    }

    /// Everything that was answered with a success is so, and what was refused with "nothing was changed" is not.
    #[track_caller]
    pub fn expect_promises(&self) {
        let mut connection = self.server.connect();
        for token in &self.live {
            assert_eq!(check(&mut connection, &token.secret).status, 200, "an acknowledged token is lost");
        }
        for token in &self.revoked {
            assert_eq!(check(&mut connection, &token.secret).status, 401, "an acknowledged revocation is lost");
        }
        for token in &self.open {
            let first = check(&mut connection, &token.secret).status;
            assert!([200, 401].contains(&first), "{first}");
        }
    }

    /// The server works again without a restart, as the row says.
    #[track_caller]
    pub fn expect_healed(&mut self, row: &Row) {
        assert!(row.heals(), "it healed without a restart: {row:?}");
        self.expect_working();
    }

    #[track_caller]
    pub fn expect_working(&mut self) {
        self.expect_ready();
        for _ in 0..2 {
            assert_eq!(self.create().status, 201);
        }
        assert_eq!(self.revoke().status, 200);
        self.expect_promises();
    }

    /// Ends the server in order, does something, and starts it again. Returns what the first one wrote.
    pub fn restart(&mut self, between: impl FnOnce(&Rig)) -> Ended {
        self.server.signal("TERM");
        self.start_again(between)
    }

    /// The same after SIGKILL.
    pub fn kill_and_restart(&mut self, between: impl FnOnce(&Rig)) -> Ended {
        self.server.handle().kill();
        self.start_again(between)
    }

    /// Starts the server again, which was killed.
    pub fn start_after_kill(&mut self) -> Ended {
        self.start_again(|_| ())
    }

    fn start_again(&mut self, between: impl FnOnce(&Rig)) -> Ended {
        let ended = self.server.wait();
        between(&self.rig);
        self.server = self.rig.place.serve();
        ended
    }

    /// Ends the server in order, and compares its log with the row.
    #[track_caller]
    pub fn end(self, row: &Row) -> Ended {
        let ended = self.server.terminate();
        assert!(ended.success && !ended.stderr.contains("panic"), "{ended:?}");
        row.expect_logged(&ended.stderr);
        ended
    }
}

pub fn sign_in(server: &Server) -> Answer {
    let body = json!({ "email": "a@example.com", "password": PASSWORD });
    server.connect().ask("POST", LOGIN, None, Some(&body)).unwrap()
}

fn check(connection: &mut Connection, secret: &str) -> Answer {
    connection.ask("GET", "/api/user", Some(secret), None).unwrap()
}

/// A well-formed token that was never issued.
fn unknown_token() -> String {
    let prefixes = Prefixes::new("ses_", "pat_", "talq_").unwrap();
    Plaintext::generate(CredentialKind::PersonalAccessToken, &prefixes).unwrap().expose().to_owned()
}

/// Whether an error says that the change was certainly not made.
fn says_unchanged(answer: &Answer) -> bool {
    answer.body["message"].as_str().is_some_and(|message| message.to_lowercase().contains("nothing was changed"))
}

#[track_caller]
fn expect_retry_after(answer: &Answer) {
    let seconds = answer.header("retry-after").and_then(|seconds| seconds.parse::<u32>().ok());
    assert!(seconds.is_some_and(|seconds| seconds > 0), "{answer:?}");
}
