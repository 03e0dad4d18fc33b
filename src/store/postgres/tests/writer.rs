//! The writer: which jobs share a transaction, and what is answered when something fails.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use super::{
    super::{
        connection::WriteConnection,
        node::Anchor,
        observers::Observers,
        writer::{Finish, Writer, answer},
    },
    *,
};
use crate::{
    domain::id::UserId,
    store::{Change, Conflict, Reply, StoreError, sql::headroom::Headroom},
};

pub(super) const REFUSED: StoreError = StoreError::Conflict(Conflict::TooManyTokens);

/// That of a command, which has no lease.
fn anchor() -> Anchor {
    Anchor::new(None).expect("a runtime")
}

pub(super) struct Rig {
    pub(super) database: TestDatabase,
    pub(super) writer: Writer,
    pub(super) headroom: Arc<Headroom>,
    observers: Arc<Observers>,
}

impl Rig {
    pub(super) fn new() -> Option<Self> {
        Self::reached_as(TestDatabase::settings)
    }

    /// `finish` decides when jobs are answered that wait for nodes.
    pub(super) fn answered_by(finish: Finish) -> Option<Self> {
        Self::with(TestDatabase::settings, finish)
    }

    pub(super) fn reached_as(settings: impl FnOnce(&TestDatabase, &str) -> PostgresSettings) -> Option<Self> {
        Self::with(settings, at_once())
    }

    fn with(settings: impl FnOnce(&TestDatabase, &str) -> PostgresSettings, finish: Finish) -> Option<Self> {
        let database = TestDatabase::new()?;
        database.execute("CREATE TABLE made (number bigint PRIMARY KEY)");
        let observers = Arc::new(Observers::default());
        let connector = Connector::new(&settings(&database, "")).expect("sound settings");
        let headroom = Arc::<Headroom>::default();
        let (hearing, remembered) = (Arc::clone(&observers), Arc::clone(&headroom));
        let writer =
            Writer::start(connector, 1000, hearing, remembered, Arc::default(), anchor(), finish).expect("a thread");
        Some(Self { database, writer, headroom, observers })
    }

    pub(super) fn submit(
        &self,
        work: impl FnMut(&WriteConnection) -> Result<(), StoreError> + Send + 'static,
    ) -> Reply<'static, ()> {
        let mut work = work;
        self.writer.submit(Vec::new(), move |connection, _| work(connection))
    }

    pub(super) fn make(&self, number: i64) -> Reply<'static, ()> {
        self.submit(move |connection| insert(connection, number))
    }

    pub(super) fn wait<T: Unpin>(&self, reply: Reply<'static, T>) -> Result<T, StoreError> {
        let limited = async { tokio::time::timeout(Duration::from_secs(30), reply).await };
        self.database.runtime.block_on(limited).expect("an answer")
    }

    pub(super) fn made(&self) -> Vec<i64> {
        self.database.read("SELECT coalesce(array_agg(number ORDER BY number), '{}') FROM made")
    }

    /// In how many transactions the rows were made.
    pub(super) fn transactions(&self) -> i64 {
        self.database.read("SELECT count(DISTINCT xmin::text) FROM made")
    }

    /// Submits while another node has the lock, so that all jobs are in one batch.
    pub(super) fn together(&self, submit: impl FnOnce() -> Vec<Reply<'static, ()>>) -> Vec<Result<(), StoreError>> {
        let other = self.database.write_connection();
        other.begin().expect("begun");
        let replies = submit();
        std::thread::sleep(Duration::from_millis(200));
        other.roll_back();
        replies.into_iter().map(|reply| self.wait(reply)).collect()
    }
}

pub(super) fn insert(connection: &WriteConnection, number: i64) -> Result<(), StoreError> {
    connection.run("INSERT INTO made VALUES (:number)", &[(":number", &number)]).map(drop)
}

fn is_not_made(result: &Result<(), StoreError>) -> bool {
    matches!(result, Err(StoreError::NotMade(_)))
}

#[test]
fn jobs_that_wait_share_a_transaction_and_a_refusal_before_a_write_does_not_disturb_it() {
    let Some(rig) = Rig::new() else { return };
    let results = rig.together(|| vec![rig.make(1), rig.submit(|_| Err(REFUSED)), rig.make(2), rig.make(3)]);
    assert_eq!(results, [Ok(()), Err(REFUSED), Ok(()), Ok(())]);
    assert_eq!((rig.made(), rig.transactions()), (vec![1, 2, 3], 1));
}

#[test]
fn a_refusal_after_a_write_and_a_statement_that_fails_leave_nothing_and_the_others_are_made() {
    let Some(rig) = Rig::new() else { return };
    let results = rig.together(|| {
        let refused = rig.submit(|connection| insert(connection, 10).and(Err(REFUSED)));
        vec![rig.make(1), refused, rig.make(2)]
    });
    assert_eq!(results, [Ok(()), Err(REFUSED), Ok(())]);
    assert_eq!((rig.made(), rig.transactions()), (vec![1, 2], 2));
    let results = rig.together(|| {
        // The second breaks the key. The third goes on after a statement has failed, so it is not made either.
        let careless = rig.submit(|connection| insert(connection, 1).or(Ok(())));
        vec![rig.make(3), rig.make(1), careless, rig.make(4)]
    });
    assert_eq!((&results[0], &results[3]), (&Ok(()), &Ok(())));
    assert!(results[1..3].iter().all(|result| matches!(result, Err(StoreError::Internal(_)))), "{results:?}");
    assert_eq!(rig.made(), [1, 2, 3, 4]);
}

#[test]
fn a_job_that_panics_is_a_defect_and_the_others_are_made() {
    let Some(rig) = Rig::new() else { return };
    let results = rig.together(|| {
        let panics = rig.submit(|connection| insert(connection, 10).map(|()| panic!("on purpose")));
        vec![rig.make(1), panics, rig.make(2)]
    });
    assert!(matches!(results[..], [Ok(()), Err(StoreError::Internal(_)), Ok(())]), "{results:?}");
    assert_eq!(rig.made(), [1, 2]);
}

#[test]
fn a_job_whose_caller_has_gone_is_not_run() {
    let Some(rig) = Rig::new() else { return };
    let results = rig.together(|| {
        drop(rig.make(10));
        vec![rig.make(1)]
    });
    assert_eq!((results, rig.made()), (vec![Ok(())], vec![1]));
}

#[test]
fn observers_hear_of_a_change_after_its_commit_and_before_its_answer_even_if_it_failed() {
    let Some(rig) = Rig::new() else { return };
    let change = Change::User(UserId::new(Uuid::from_u128(1)));
    let heard = Arc::new(Mutex::new(Vec::new()));
    let url = rig.database.url.clone();
    rig.observers.add(Box::new({
        let heard = Arc::clone(&heard);
        move |change| {
            let made = std::thread::scope(|scope| {
                let count = || {
                    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
                    let read = async { client_at(&url).await.query_one("SELECT count(*) FROM made", &[]).await };
                    runtime.block_on(read).expect("read").get::<_, i64>(0)
                };
                scope.spawn(count).join().expect("counted")
            });
            heard.lock().expect("unpoisoned").push((change, made));
        }
    }));
    rig.wait(rig.writer.submit(vec![change], |connection, _| insert(connection, 1))).expect("made");
    assert_eq!(*heard.lock().expect("unpoisoned"), [(change, 1)]);
    // It finds out only by itself what it changes.
    let failed = rig.writer.submit(Vec::new(), move |connection, changed| {
        changed.push(Change::Anything);
        insert(connection, 1)
    });
    assert!(rig.wait(failed).is_err());
    assert_eq!(heard.lock().expect("unpoisoned").last(), Some(&(Change::Anything, 1)));
}

#[test]
fn while_another_node_keeps_the_lock_nothing_is_made_and_later_jobs_are_made_again() {
    let Some(rig) = Rig::new() else { return };
    let other = rig.database.write_connection();
    other.begin().expect("begun");
    let started = Instant::now();
    let refused = rig.make(1);
    while started.elapsed() < Duration::from_millis(1700) {
        other.run("SELECT pg_sleep(0.1)", &[]).expect("slept");
    }
    let refused = rig.wait(refused);
    assert!(matches!(&refused, Err(StoreError::NotMade(why)) if why.contains("55P03")), "{refused:?}");
    assert!(is_not_made(&refused) && started.elapsed() < Duration::from_secs(3), "{refused:?}");
    other.roll_back();
    rig.wait(rig.make(2)).expect("made");
    assert_eq!(rig.made(), [2]);
}

#[test]
fn a_connection_that_was_closed_while_idle_is_replaced_without_an_error() {
    let Some(rig) = Rig::new() else { return };
    rig.wait(rig.make(1)).expect("made");
    let end = "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid()";
    assert_eq!(rig.database.read::<i64>(end), 1);
    rig.wait(rig.make(2)).expect("made on another connection");
    assert_eq!(rig.made(), [1, 2]);
}

#[test]
fn a_connection_that_is_lost_in_a_transaction_makes_nothing_of_it() {
    let Some(rig) = Rig::new() else { return };
    let runs = Arc::new(AtomicU32::new(0));
    let results = rig.together(|| {
        let runs = Arc::clone(&runs);
        let cut = rig.submit(move |connection| {
            runs.fetch_add(1, Ordering::Relaxed);
            connection.run("SELECT pg_terminate_backend(pg_backend_pid())", &[]).map(drop)
        });
        vec![rig.make(1), cut, rig.make(2)]
    });
    assert!(results.iter().all(is_not_made), "{results:?}");
    assert_eq!((rig.made(), runs.load(Ordering::Relaxed)), (vec![], 1));
    rig.wait(rig.make(3)).expect("made");
}

#[test]
fn after_a_commit_whose_outcome_is_unknown_no_job_is_answered_with_its_own_result() {
    let Some(rig) = Rig::new() else { return };
    rig.database.execute(
        "CREATE FUNCTION warn() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'unsure'; RETURN NULL; END $$;
         CREATE CONSTRAINT TRIGGER warns AFTER INSERT ON made DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW EXECUTE FUNCTION warn()",
    );
    let results = rig.together(|| vec![rig.make(1), rig.submit(|_| Err(REFUSED))]);
    assert!(results.iter().all(|result| matches!(result, Err(StoreError::Unavailable(_)))), "{results:?}");
}

#[test]
fn closing_finishes_the_jobs_that_wait() {
    let Some(rig) = Rig::new() else { return };
    let results = rig.together(|| {
        let replies = (1..=3).map(|number| rig.make(number)).collect();
        drop(rig.writer.close());
        replies
    });
    assert_eq!((results, rig.made()), (vec![Ok(()); 3], vec![1, 2, 3]));
    rig.database.runtime.block_on(rig.writer.close()).expect("closed");
    assert!(is_not_made(&rig.wait(rig.make(4))));
}

#[test]
fn a_queue_that_is_full_refuses_at_once() {
    let Some(database) = TestDatabase::new() else { return };
    let connector = Connector::new(&database.settings("")).expect("sound settings");
    let writer = Writer::start(connector, 1, Arc::default(), Arc::default(), Arc::default(), anchor(), at_once())
        .expect("a thread");
    let other = database.write_connection();
    other.begin().expect("begun");
    let replies: Vec<_> = (0..20).map(|_| writer.submit(Vec::new(), |_, _| Ok(()))).collect();
    assert!(replies.iter().any(|reply| matches!(reply, Reply::Ready(Some(Err(StoreError::NotMade(_)))))));
    other.roll_back();
}

/// Answers without waiting for other nodes.
fn at_once() -> Finish {
    Box::new(|jobs, _| answer(jobs, &Ok(())))
}
