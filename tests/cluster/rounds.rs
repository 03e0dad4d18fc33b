//! Rounds: a credential is checked on all nodes without a pause, ended on one of them, and checked again. Everything is
//! recorded.

use std::{
    env,
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    database::Database,
    history::{Check, Disturbance, History, Life, Moment, Outcome},
    node::{Cluster, Node, Store},
    subject::{Actor, Change, Subject},
    support::{connection::Connection, process::DEADLINE},
};

/// How many checks of each node are awaited before a change, and how many after its answer.
const ENOUGH: usize = 2;

/// The time between two checks of a node.
const PAUSE: Duration = Duration::from_millis(2);

/// How often it is looked whether this machine still runs what is ready, and from which delay on it does not: the nodes do not
/// renew their leases then either.
const WATCH: Duration = Duration::from_millis(20);
const STARVED: Duration = Duration::from_millis(200);

/// Of a credential that no lane checks.
const NO_LANE: usize = usize::MAX;

/// How long a node may be unable to decide after the end of a disturbance.
const RECOVERY: Duration = Duration::from_secs(5);

/// The nodes of a test, its clock, and what was recorded.
pub struct Rounds {
    pub cluster: Cluster,
    pub actor: Actor,
    began: Instant,
    /// How many rounds there were.
    turns: AtomicUsize,
    /// How many credentials were asked for.
    serial: AtomicUsize,
    board: Mutex<Board>,
    changed: Condvar,
}

#[derive(Default)]
struct Board {
    /// What is checked now. Each lane has its own.
    targets: Vec<Option<Target>>,
    history: History,
    ended: bool,
}

/// A credential that is checked now.
#[derive(Clone)]
struct Target {
    credential: usize,
    secret: String,
    /// A token, which can be verified.
    is_token: bool,
    /// How many checks of each node have accepted it.
    accepted: Vec<usize>,
    /// How many checks of each node have decided that started after the answer of its change.
    decided: Vec<usize>,
}

/// A subject in its lane.
pub struct Running {
    pub subject: Subject,
    credential: usize,
    lane: usize,
}

impl Rounds {
    pub fn new(cluster: Cluster) -> Self {
        let actor = Actor::new(&cluster);
        Self::with(cluster, actor)
    }

    pub fn with(cluster: Cluster, actor: Actor) -> Self {
        Self {
            cluster,
            actor,
            began: Instant::now(),
            turns: AtomicUsize::new(0),
            serial: AtomicUsize::new(0),
            board: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// How many rounds a test has.
    pub fn number() -> usize {
        env::var("PATD_TEST_ROUNDS").map_or(120, |number| number.parse().expect("PATD_TEST_ROUNDS is a number"))
    }

    pub fn node(&self, node: usize) -> &Node {
        &self.cluster.nodes[node]
    }

    /// Checks without a pause on all nodes while `drive` runs. Returns what was recorded.
    pub fn run(self, lanes: usize, drive: impl FnOnce(&Self)) -> History {
        self.board().targets.resize_with(lanes, || None);
        thread::scope(|scope| {
            for lane in 0..lanes {
                for node in 0..self.cluster.nodes.len() {
                    let rounds = &self;
                    scope.spawn(move || rounds.check_all(lane, node));
                }
            }
            scope.spawn(|| self.watch_machine());
            // The checks also end if it panics, so that the scope does.
            let _end = End(&self);
            drive(&self);
        });
        std::mem::take(&mut self.board().history)
    }

    /// One whole round, in which other nodes create and end the credential each time. `unheard` are nodes that may be unable to
    /// answer. Returns how long the change took, if it was answered with a success.
    pub fn round(&self, lane: usize, change: Change, unheard: &[usize]) -> Option<Duration> {
        let heard: Vec<_> = (0..self.cluster.nodes.len()).filter(|node| !unheard.contains(node)).collect();
        let turn = self.turns.fetch_add(1, Ordering::Relaxed);
        let (creator, ender) = (heard[turn % heard.len()], heard[(turn / heard.len()) % heard.len()]);
        let running = self.begin(lane, change, creator, unheard);
        let took = self.end(&running, ender);
        self.settle(running, unheard);
        took
    }

    /// Creates a credential, and waits until all nodes but the unheard ones have accepted it.
    pub fn begin(&self, lane: usize, change: Change, creator: usize, unheard: &[usize]) -> Running {
        let subject = self.create(change, creator);
        let nodes = self.cluster.nodes.len();
        let credential = self.note(change);
        let mut board = self.board();
        board.targets[lane] = Some(Target {
            credential,
            secret: subject.secret.clone(),
            is_token: change != Change::ReplacePassword,
            accepted: vec![0; nodes],
            decided: vec![0; nodes],
        });
        drop(board);
        self.changed.notify_all();
        self.wait_for("accepted", lane, unheard, |target| &target.accepted);
        Running { subject, credential, lane }
    }

    /// Creates a credential that is checked only on demand. `None` if it may or may not have been created.
    pub fn add(&self, change: Change, creator: usize) -> Option<Running> {
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        let subject = self.actor.create(self.node(creator), change, serial).ok()?;
        Some(Running { subject, credential: self.note(change), lane: NO_LANE })
    }

    /// The creation of a credential was answered.
    fn note(&self, change: Change) -> usize {
        let mut board = self.board();
        board.history.lives.push(Life { change: change.name(), created: self.now(), sent: None, answered: None });
        board.history.lives.len() - 1
    }

    /// In a disturbance it may need some attempts.
    fn create(&self, change: Change, creator: usize) -> Subject {
        let start = self.now();
        loop {
            let serial = self.serial.fetch_add(1, Ordering::Relaxed);
            match self.actor.create(self.node(creator), change, serial) {
                Ok(subject) => return subject,
                Err(error) => {
                    let is_disturbed = self.board().history.disturbances.iter().any(|one| start <= one.end);
                    assert!(is_disturbed && self.now() < start + DEADLINE, "{}: {error}", change.name());
                    thread::sleep(Duration::from_millis(20));
                }
            }
        }
    }

    /// Makes the change on a node. Returns how long it took, or `None` if it may or may not have been made.
    pub fn end(&self, running: &Running, node: usize) -> Option<Duration> {
        let sent = self.now();
        self.board().history.lives[running.credential].sent = Some(sent);
        let result = self.actor.end(&self.cluster, self.node(node), &running.subject);
        let answered = self.now();
        match result {
            Ok(()) => {
                self.board().history.lives[running.credential].answered = Some(answered);
                Some(answered - sent)
            }
            Err(error) => {
                eprintln!("{:?} on node {node}: {error}", running.subject.change);
                None
            }
        }
    }

    /// Waits until all nodes but the unheard ones have decided about a credential whose change was answered.
    pub fn settle(&self, running: Running, unheard: &[usize]) {
        if self.board().history.lives[running.credential].answered.is_some() {
            self.wait_for("decided", running.lane, unheard, |target| &target.decided);
        }
        self.abandon(running);
    }

    /// Ends the credential with a statement that no node is told of.
    pub fn end_by_hand(&self, running: &Running, statement: impl FnOnce(&Database, &str)) {
        self.board().history.lives[running.credential].sent = Some(self.now());
        let Store::Postgres(database) = &self.cluster.store else { panic!("a file has one node") };
        statement(database, &running.subject.id);
    }

    /// Checks the credential no more.
    pub fn abandon(&self, running: Running) {
        self.board().targets[running.lane] = None;
    }

    /// One check of a node, on a connection of its own.
    pub fn check_once(&self, running: &Running, node: usize) -> Outcome {
        let start = self.now();
        let check = Connection::open(self.node(node).address);
        let outcome = check.map_or(Outcome::Unanswered, |mut node| identify(&mut node, &running.subject.secret));
        let check = Check { credential: running.credential, node, start, end: self.now(), outcome };
        self.board().history.checks.push(check);
        outcome
    }

    /// Runs what disturbs a node, or all of them. Meanwhile and for some time after that, they may be unable to decide.
    pub fn disturb<T>(&self, node: Option<usize>, disturb: impl FnOnce() -> T) -> T {
        let start = self.now();
        let mut board = self.board();
        let index = board.history.disturbances.len();
        board.history.disturbances.push(Disturbance { node, start, end: Moment::MAX });
        drop(board);
        let result = disturb();
        self.board().history.disturbances[index].end = self.now() + RECOVERY;
        result
    }

    /// Panics unless all nodes vouch for what they answer soon.
    pub fn await_recovery(&self) {
        self.cluster.nodes.iter().for_each(Node::await_ready);
    }

    /// Records each time in which the machine did not run what was ready as a disturbance of all nodes.
    fn watch_machine(&self) {
        while !self.board().ended {
            let start = self.now();
            thread::sleep(WATCH);
            if self.now() - start > STARVED {
                let (start, end) = (start.saturating_sub(RECOVERY), self.now() + RECOVERY);
                self.board().history.disturbances.push(Disturbance { node: None, start, end });
            }
        }
    }

    fn now(&self) -> Moment {
        self.began.elapsed()
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[track_caller]
    fn wait_for(&self, what: &str, lane: usize, unheard: &[usize], counts: fn(&Target) -> &Vec<usize>) {
        let is_missing = |board: &mut Board| {
            let counts = counts(board.targets[lane].as_ref().expect("a running round"));
            counts.iter().enumerate().any(|(node, count)| *count < ENOUGH && !unheard.contains(&node))
        };
        let waited = self.changed.wait_timeout_while(self.board(), DEADLINE, is_missing);
        let (board, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        let counts = board.targets[lane].as_ref().map(counts);
        assert!(!waited.timed_out(), "not all nodes have {what}: {counts:?}; {:?}", board.history.checks.last());
    }

    /// Checks the credential of a lane on one node until the end.
    fn check_all(&self, lane: usize, node: usize) {
        let mut connection = None;
        loop {
            let is_idle = |board: &mut Board| !board.ended && board.targets[lane].is_none();
            let board = self.changed.wait_while(self.board(), is_idle).unwrap_or_else(PoisonError::into_inner);
            if board.ended {
                return;
            }
            let Some(target) = board.targets[lane].clone() else { continue };
            drop(board);
            let start = self.now();
            if connection.is_none() {
                connection = Connection::open(self.node(node).address).ok();
            }
            let outcome = match &mut connection {
                Some(open) if target.is_token && target.accepted[node] % 2 == 1 => {
                    verify(open, &target.secret, &self.actor.verifier)
                }
                Some(open) => identify(open, &target.secret),
                None => Outcome::Unanswered,
            };
            self.record(lane, Check { credential: target.credential, node, start, end: self.now(), outcome });
            if outcome == Outcome::Unanswered {
                connection = None;
            }
            // Without it, the checks take all cores, and the nodes none to renew their leases.
            thread::sleep(PAUSE);
        }
    }

    fn record(&self, lane: usize, check: Check) {
        let mut board = self.board();
        board.history.checks.push(check);
        let answered = board.history.lives[check.credential].answered;
        if let Some(target) = &mut board.targets[lane]
            && target.credential == check.credential
        {
            if check.outcome == Outcome::Accepted {
                target.accepted[check.node] += 1;
            }
            let is_decided = [Outcome::Accepted, Outcome::Refused].contains(&check.outcome);
            if is_decided && answered.is_some_and(|answered| check.start >= answered) {
                target.decided[check.node] += 1;
            }
        }
        drop(board);
        self.changed.notify_all();
    }
}

/// Ends all checks when it is dropped.
struct End<'r>(&'r Rounds);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.board().ended = true;
        self.0.changed.notify_all();
    }
}

/// What a node says a credential is.
fn identify(node: &mut Connection, secret: &str) -> Outcome {
    match node.ask("POST", "/api/v1/auth/identify", Some(secret), None) {
        Err(_) => Outcome::Unanswered,
        Ok(answer) => match answer.status {
            200 => Outcome::Accepted,
            401 => Outcome::Refused,
            503 => Outcome::Unavailable,
            other => Outcome::Unexpected(other),
        },
    }
}

/// The verdict of a node for another program.
fn verify(node: &mut Connection, secret: &str, verifier: &str) -> Outcome {
    match node.ask("POST", "/api/v1/tokens/verify", Some(verifier), Some(&json!({"token": secret}))) {
        Err(_) => Outcome::Unanswered,
        Ok(answer) => match (answer.status, answer.body["data"]["valid"].as_bool()) {
            (200, Some(true)) => Outcome::Accepted,
            (200, Some(false)) => Outcome::Refused,
            (503, _) => Outcome::Unavailable,
            (other, _) => Outcome::Unexpected(other),
        },
    }
}
