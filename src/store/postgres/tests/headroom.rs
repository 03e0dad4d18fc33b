//! What is remembered of how many tokens owners may still create, and when it is forgotten: the limit is exact over all nodes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    thread,
};

use super::{
    rules::{OWNER, by, token},
    writer::{REFUSED, Rig},
    *,
};
use crate::store::{
    Access, Conflict, Store, StoreError,
    postgres::PostgresStore,
    sql::connection::{Connection, NONE},
};

const TOO_MANY: StoreError = StoreError::Conflict(Conflict::TooManyTokens);
const EVENT: &str = "INSERT INTO audit_events (at, actor_kind, action, target_kind, outcome)
     VALUES (1, 'system', 'something', 'user', 'success')";

impl TestDatabase {
    fn store(&self) -> PostgresStore {
        PostgresStore::open(&self.settings(""), Access::Existing).expect("open")
    }

    fn add(&self, store: &PostgresStore, max_live: u32) -> Result<(), StoreError> {
        self.runtime.block_on(store.add_token(token(), max_live, by())).map(drop)
    }

    fn live(&self) -> i64 {
        self.read("SELECT count(*) FROM tokens WHERE revoked_at IS NULL")
    }
}

#[test]
fn nodes_that_create_in_turns_stop_exactly_at_the_limit() {
    let Some(database) = TestDatabase::new() else { return };
    let (first, second) = (database.store(), database.store());
    // The first remembers that there is room for four more, and the second uses it.
    assert_eq!(database.add(&first, 5), Ok(()));
    for _ in 0..4 {
        assert_eq!(database.add(&second, 5), Ok(()));
    }
    assert_eq!(database.add(&first, 5), Err(TOO_MANY));
    // Pruning takes the trail back behind the last event of the first.
    assert_eq!(database.add(&first, 8), Ok(()));
    database.execute(
        "BEGIN; INSERT INTO audit_pruning VALUES (1, 1000); DELETE FROM audit_events; DELETE FROM audit_pruning; COMMIT",
    );
    for made in [Ok(()), Ok(()), Err(TOO_MANY)] {
        assert_eq!(database.add(&second, 8), made);
    }
    assert_eq!(database.add(&first, 8), Err(TOO_MANY));
    assert_eq!(database.live(), 8);
}

#[test]
fn nodes_that_create_at_the_same_time_stop_exactly_at_the_limit() {
    let Some(database) = TestDatabase::new() else { return };
    let stores = [database.store(), database.store()];
    let made = AtomicU32::new(0);
    thread::scope(|scope| {
        for store in stores.iter().chain(&stores) {
            scope.spawn(|| {
                let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
                for _ in 0..60 {
                    let added = runtime.block_on(store.add_token(token(), 100, by())).map(drop);
                    assert!(added == Ok(()) || added == Err(TOO_MANY), "{added:?}");
                    made.fetch_add(added.is_ok().into(), Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!((made.into_inner(), database.live()), (100, 100));
}

impl Rig {
    /// Remembers room for one token in a transaction that also writes.
    fn remember(&self) {
        self.headroom.forget();
        let headroom = Arc::clone(&self.headroom);
        let remember = self.submit(move |connection| {
            headroom.record(OWNER, 9, 1);
            connection.execute(EVENT, NONE).map(drop)
        });
        self.wait(remember).expect("made");
    }

    /// Whether there is still something remembered when the next transaction has begun.
    fn is_remembered(&self) -> bool {
        let headroom = Arc::clone(&self.headroom);
        let (sender, answer) = mpsc::channel();
        self.wait(self.submit(move |_| {
            sender.send(headroom.take(OWNER, 9)).expect("received");
            Ok(())
        }))
        .expect("made");
        answer.recv().expect("sent")
    }
}

#[test]
fn what_was_remembered_is_forgotten_after_an_event_of_somebody_else_and_not_after_own_ones() {
    let Some(rig) = Rig::new() else { return };
    rig.remember();
    rig.wait(rig.make(1)).expect("made");
    rig.wait(rig.submit(|connection| connection.execute_later(EVENT, NONE))).expect("made");
    assert!(rig.is_remembered());
    rig.remember();
    rig.database.execute(EVENT);
    assert!(!rig.is_remembered());
}

#[test]
fn what_was_remembered_is_forgotten_with_a_transaction_that_fails_and_with_its_connection() {
    let Some(rig) = Rig::new() else { return };
    // What a job that is refused after a change remembers may count what it did not make.
    let headroom = Arc::clone(&rig.headroom);
    let refused = rig.submit(move |connection| {
        connection.execute(EVENT, NONE)?;
        headroom.record(OWNER, 9, 1);
        Err(REFUSED)
    });
    assert_eq!(rig.wait(refused), Err(REFUSED));
    assert!(!rig.is_remembered());
    // A statement that fails at the commit, with which two jobs run again.
    let headroom = Arc::clone(&rig.headroom);
    let broken = rig.submit(move |connection| {
        headroom.record(OWNER, 9, 1);
        connection.execute_later("INSERT INTO made VALUES (NULL)", NONE)
    });
    rig.wait(broken).expect_err("refused by the database");
    assert!(!rig.is_remembered());
    rig.remember();
    let end = "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid()";
    assert_eq!(rig.database.read::<i64>(end), 1);
    assert!(!rig.is_remembered());
}

#[test]
fn what_was_remembered_is_forgotten_with_a_commit_whose_outcome_is_unknown() {
    let Some(rig) = Rig::new() else { return };
    rig.remember();
    rig.database.execute(
        "CREATE FUNCTION warn() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'unsure'; RETURN NULL; END $$;
         CREATE CONSTRAINT TRIGGER warns AFTER INSERT ON made DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW EXECUTE FUNCTION warn()",
    );
    rig.wait(rig.make(1)).expect_err("unknown");
    assert!(!rig.is_remembered());
}
