//! The open store: what a read leaves behind, and what an answer waits for.

use std::{
    ops::ControlFlow,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use tokio::sync::mpsc;

use super::{
    super::{PostgresStore, primary::STARTED},
    *,
};
use crate::{
    domain::{
        id::UserId,
        secret::{CredentialKind, Plaintext, Prefixes, TokenHash},
    },
    store::{
        Access, Change, CredentialSource, Credentials, Reply, StoreError,
        sql::{
            connection::{Connection, NONE},
            engine::Engine,
        },
    },
};

const ADA: UserId = UserId::new(Uuid::from_u128(1));

impl TestDatabase {
    /// With one connection that reads, so that a read gets what the one before has left.
    fn with_one_reader(&self, access: Access) -> PostgresStore {
        PostgresStore::open(&PostgresSettings { max_readers: 1, ..self.settings("") }, access).expect("open")
    }

    fn wait<T: Unpin>(&self, reply: Reply<'_, T>) -> Result<T, StoreError> {
        self.runtime.block_on(reply)
    }
}

/// That of a new secret.
pub(super) fn hash() -> TokenHash {
    let prefixes = Prefixes::new("ses_", "pat_", "env_").expect("sound prefixes");
    Plaintext::generate(CredentialKind::Session, &prefixes).expect("random").hash()
}

fn has_clock(connection: &dyn Connection) -> Result<bool, StoreError> {
    connection.exists("SELECT 1 FROM clock", NONE)
}

#[test]
fn a_read_that_panics_in_a_snapshot_does_not_leave_it_to_the_next_read() {
    let Some(database) = TestDatabase::new() else { return };
    let store = database.with_one_reader(Access::Existing);
    let panics = store.read_snapshot(|connection| {
        assert!(!has_clock(connection)?);
        panic!("on purpose") as Result<(), StoreError>
    });
    assert!(matches!(database.wait(panics), Err(StoreError::Internal(_))));
    database.execute("INSERT INTO clock VALUES (1, 7, 7)");
    assert_eq!(database.wait(store.read(has_clock)), Ok(true));
}

#[test]
fn who_takes_the_rows_of_a_list_may_wait_and_read_meanwhile() {
    let Some(database) = TestDatabase::new() else { return };
    let store = database.with_one_reader(Access::Existing);
    let (sender, mut receiver) = mpsc::channel(1);
    let list = store.read_inventory(move |connection| {
        connection.each("SELECT generate_series(1, 3)", NONE, &mut |row| {
            assert!(!has_clock(connection)?);
            let is_taken = sender.blocking_send(row.get::<i64>(0)?).is_ok();
            Ok(if is_taken { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        })
    });
    let (listed, taken) = database.runtime.block_on(async {
        tokio::join!(list, async {
            let mut taken = Vec::new();
            while let Some(number) = receiver.recv().await {
                taken.push(number);
            }
            taken
        })
    });
    assert_eq!((listed, taken), (Ok(()), vec![1, 2, 3]));
}

#[test]
fn an_answer_that_finds_a_change_already_made_waits_until_all_nodes_know_of_the_change() {
    let Some(database) = TestDatabase::new() else { return };
    let (store, other) = (database.with_one_reader(Access::Existing), database.with_one_reader(Access::Existing));
    let heard = Arc::new(Mutex::new(Vec::new()));
    store.observe(Box::new({
        let heard = Arc::clone(&heard);
        move |change| heard.lock().expect("unpoisoned").push(change)
    }));
    // The wait ends with the lease of the node, which is gone then. A machine that is too busy shows nothing within that time.
    for _ in 0..10 {
        database
            .execute("INSERT INTO nodes (id, name, version, started_at) VALUES (gen_random_uuid(), 'busy', '1', 1)");
        database.execute("UPDATE users SET disabled_at = NULL");
        acknowledge(&database);
        heard.lock().expect("unpoisoned").clear();
        if is_in_time(&database, &store, &other, &heard) {
            return;
        }
    }
    panic!("the machine is too busy");
}

fn acknowledge(database: &TestDatabase) {
    database.execute("UPDATE nodes SET acknowledged = (SELECT sequence FROM change_counter)");
}

fn is_in_time(
    database: &TestDatabase,
    store: &PostgresStore,
    other: &PostgresStore,
    heard: &Mutex<Vec<Change>>,
) -> bool {
    let disable = |connection: &dyn Connection| {
        connection.execute("UPDATE users SET disabled_at = 5 WHERE disabled_at IS NULL", NONE)
    };
    let create = |store: &PostgresStore| {
        let rename = |connection: &dyn Connection| connection.execute("UPDATE users SET name = 'A'", NONE);
        assert_eq!(database.wait(store.write(vec![Change::Added(hash())], rename)), Ok(1));
    };
    // Both have a connection.
    create(store);
    create(other);
    heard.lock().expect("unpoisoned").clear();
    let started = Instant::now();
    let mut first = store.write(vec![Change::User(ADA)], disable);
    // This process forgets at the commit, and not only at the answer.
    while heard.lock().expect("unpoisoned").is_empty() && started.elapsed() < Duration::from_secs(1) {
        thread::sleep(Duration::from_millis(1));
    }
    // Nothing is left to do for these. One says so with an error, after a write, and one writes something else.
    let mut again = store.write(vec![Change::User(ADA)], disable);
    let mut refused = other.write(Vec::new(), |connection| {
        connection.execute("UPDATE users SET name = 'B'", NONE).and(Err::<(), _>(StoreError::NotFound))
    });
    create(other);
    let mut late = other.write_reporting(Vec::new(), move |connection, _| {
        connection.execute("INSERT INTO clock VALUES (1, 7, 7) ON CONFLICT DO NOTHING", NONE)?;
        disable(connection)
    });
    // And one has only read.
    let mut known = other.wait_until_known();
    // Creations wait for nobody, and these were queued last.
    create(store);
    create(other);
    thread::sleep(Duration::from_millis(50));
    let early: Vec<_> = [&mut first, &mut again, &mut late].into_iter().map(|reply| reply.now_or_never()).collect();
    let refused_early = (&mut refused).now_or_never();
    let known_early = (&mut known).now_or_never();
    let is_forgotten = heard.lock().expect("unpoisoned").contains(&Change::User(ADA));
    if started.elapsed() > Duration::from_millis(900) {
        return false;
    }
    assert!(early.iter().all(Option::is_none) && refused_early.is_none(), "{early:?}, {refused_early:?}");
    assert!(known_early.is_none(), "{known_early:?}");
    assert!(is_forgotten);
    acknowledge(database);
    assert_eq!(database.wait(first), Ok(1));
    assert_eq!((database.wait(again), database.wait(late)), (Ok(0), Ok(0)));
    assert_eq!((database.wait(refused), database.wait(known)), (Err(StoreError::NotFound), Ok(())));
    true
}

#[test]
fn a_read_is_made_only_on_the_server_on_which_the_lease_is_renewed() {
    let Some(database) = TestDatabase::new() else { return };
    let store = database.with_one_reader(Access::Existing);
    let read = || database.wait(store.read(has_clock));
    assert_eq!(read(), Ok(false));
    // As if a lease were renewed on another server now. This one, to which the pool is connected, may be deposed.
    let here: i64 = database.read(STARTED);
    store.primary.renews_on(here + 1, || ());
    for _ in ["the old connection", "a new one"] {
        assert!(matches!(read(), Err(StoreError::NotMade(why)) if why.contains("another server")));
    }
    store.primary.renews_on(here, || ());
    assert_eq!(read(), Ok(false));
}

#[test]
fn a_renewal_at_which_the_server_warns_gives_no_lease() {
    let Some(database) = TestDatabase::new() else { return };
    let store = database.with_one_reader(Access::Server);
    let look_up = || database.wait(store.token_by_hash(&hash()));
    assert!(matches!(look_up(), Ok(None)));
    database.execute(
        "CREATE FUNCTION warn() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN RAISE WARNING 'the standby may not have it'; RETURN NULL; END $$;
         CREATE CONSTRAINT TRIGGER warns AFTER UPDATE ON nodes DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW EXECUTE FUNCTION warn()",
    );
    thread::sleep(Duration::from_secs(1));
    assert!(!store.is_coherent());
    assert!(matches!(look_up(), Err(StoreError::Unavailable(why)) if why.contains("no lease")));
    database.execute("DROP TRIGGER warns ON nodes");
    assert!(matches!(look_up(), Ok(None)));
}
