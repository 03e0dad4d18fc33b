//! The life of a node: panics, dead neighbours, its end, and servers that are not the primary any more.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, sleep},
    time::{Duration, Instant},
};

use super::{
    super::{PostgresStore, connection::WRITER_LOCK, primary::STARTED},
    *,
};
use crate::{
    domain::id::UserId,
    store::{
        Access, Change, CredentialSource, StoreError,
        sql::{
            connection::{Connection, NONE},
            engine::Engine,
        },
    },
};

const ADA: UserId = UserId::new(Uuid::from_u128(1));

impl TestDatabase {
    /// Makes a change that takes a right away. Returns how long it took.
    fn revoke(&self, store: &PostgresStore) -> Duration {
        let begun = Instant::now();
        let disable = |connection: &dyn Connection| connection.execute("UPDATE users SET disabled_at = 5", NONE);
        assert_eq!(self.runtime.block_on(store.write(vec![Change::User(ADA)], disable)), Ok(1));
        begun.elapsed()
    }
}

#[test]
fn a_renewal_that_panics_leaves_no_lease_and_begins_again() {
    let Some(database) = TestDatabase::new() else { return };
    let store = database.open(Access::Server);
    soon("it has a lease", || store.is_coherent());
    let panics = Arc::new(AtomicBool::new(true));
    let has_panicked = Arc::new(AtomicBool::new(false));
    store.observe(Box::new({
        let (panics, has_panicked) = (Arc::clone(&panics), Arc::clone(&has_panicked));
        move |_| {
            if panics.load(Ordering::SeqCst) {
                has_panicked.store(true, Ordering::SeqCst);
                panic!("on purpose");
            }
        }
    }));
    let command = database.open(Access::Existing);
    database.revoke(&command);
    soon("it hears of the change", || has_panicked.load(Ordering::SeqCst));
    // Longer than what was left of its lease.
    sleep(Duration::from_secs(1));
    assert!(!store.is_coherent(), "it has forgotten nothing");
    panics.store(false, Ordering::SeqCst);
    soon("it goes on", || store.is_coherent());
    let registered: i64 = database.read("SELECT count(*) FROM nodes");
    assert!(registered > 1, "it registers again");
}

#[test]
fn a_node_renews_its_lease_without_being_asked() {
    let Some(database) = TestDatabase::new() else { return };
    let _store = database.open(Access::Server);
    let renewal = || database.read::<Option<Uuid>>("SELECT (SELECT renewal FROM nodes)");
    soon("it registers", || renewal().is_some());
    // The first ones may be hinted at by the test of notifications.
    for _ in 0..6 {
        let last = renewal();
        soon("it renews", || renewal() != last);
    }
}

#[test]
fn a_revocation_that_has_waited_for_a_dead_node_leaves_it_gone() {
    let Some(database) = TestDatabase::new() else { return };
    let store = database.open(Access::Existing);
    for state in ["active", "fencing"] {
        let dead = format!(
            "INSERT INTO nodes (id, name, version, started_at, state) VALUES (gen_random_uuid(), 'dead', '1', 1, '{state}')"
        );
        // A machine that is too busy delays changes, too.
        let mut seen = Vec::new();
        let is_delayed_once = (0..5).any(|_| {
            database.execute(&dead);
            let (first, second) = (database.revoke(&store), database.revoke(&store));
            assert!(first >= Duration::from_secs(1), "a node that may answer was not waited for: {state}, {first:?}");
            seen.push((first, second));
            first < Duration::from_millis(1_500) && second < Duration::from_millis(500)
        });
        assert!(is_delayed_once, "{state}: {seen:?}");
        let left: i64 = database.read("SELECT count(*) FROM nodes WHERE state <> 'gone'");
        assert_eq!(left, 0);
    }
}

#[test]
fn a_node_that_ends_while_it_registers_is_gone_at_once() {
    let Some(database) = TestDatabase::new() else { return };
    // The registration takes as long as with a standby that is slow.
    database.execute(
        "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.7); RETURN NULL; END $$;
         CREATE TRIGGER waits AFTER INSERT ON nodes FOR EACH ROW EXECUTE FUNCTION wait()",
    );
    let sleeps = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()";
    let mut seen = Vec::new();
    // On a machine that is too busy, the registration ends before, or takes too long for the node to wait for it.
    for _ in 0..5 {
        database.execute("UPDATE nodes SET state = 'gone'; DELETE FROM nodes");
        let store = database.open(Access::Server);
        soon("it registers", || database.read::<i64>(sleeps) > 0);
        let had_lease = store.is_coherent();
        assert_eq!(database.runtime.block_on(store.close()), Ok(()));
        let states: Vec<String> = database.read("SELECT coalesce(array_agg(state), '{}') FROM nodes");
        if !had_lease && states == ["gone"] {
            return;
        }
        seen.push(states);
    }
    panic!("{seen:?}");
}

#[test]
fn a_write_is_made_only_on_the_server_on_which_the_lease_is_renewed() {
    let Some(database) = TestDatabase::new() else { return };
    let store = database.open(Access::Server);
    soon("it has a lease", || store.is_coherent());
    let write = || database.runtime.block_on(store.write(Vec::new(), |connection| connection.exists("SELECT 1", NONE)));
    assert_eq!(write(), Ok(true));
    let here: i64 = database.read(STARTED);
    store.primary.renews_on(here + 1, || ());
    for _ in ["the old connection", "a new one"] {
        assert!(matches!(write(), Err(StoreError::NotMade(why)) if why.contains("another server")));
    }
    store.primary.renews_on(here, || ());
    assert_eq!(write(), Ok(true));
}

#[test]
fn a_write_that_waits_while_its_lease_ends_is_made_under_the_next_one_or_not_at_all() {
    let Some(database) = TestDatabase::new() else { return };
    let store = database.open(Access::Server);
    soon("it has a lease", || store.is_coherent());
    let here: i64 = database.read(STARTED);
    let write_while_the_lease_is_on = |servers: &[i64]| {
        database.runtime.block_on(async {
            let other = client_at(&database.url).await;
            let lock = format!("BEGIN; SELECT pg_advisory_xact_lock({WRITER_LOCK})");
            other.batch_execute(&lock).await.expect("locked");
            let written = store.write(Vec::new(), |connection| connection.exists("SELECT 1", NONE));
            let waits = "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
                         WHERE l.locktype = 'advisory' AND NOT l.granted AND d.datname = current_database()";
            while other.query_one(waits, &[]).await.expect("read").get::<_, i64>(0) == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            servers.iter().for_each(|server| store.primary.renews_on(*server, || ()));
            other.batch_execute("ROLLBACK").await.expect("unlocked");
            written.await
        })
    };
    assert_eq!(write_while_the_lease_is_on(&[here + 1, here]), Ok(true));
    let written = write_while_the_lease_is_on(&[here + 1]);
    assert!(matches!(&written, Err(StoreError::NotMade(why)) if why.contains("another server")), "{written:?}");
}

/// Passes everything on to a server, until it is to be mute: then nothing goes through it any more, and nobody is told.
struct Relay {
    address: SocketAddr,
    is_mute: Arc<AtomicBool>,
}

impl Relay {
    fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let is_mute = Arc::new(AtomicBool::new(false));
        let mute = Arc::clone(&is_mute);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let server = TcpStream::connect(&server).expect("a server");
                let both = [(&client, &server), (&server, &client)];
                for (from, to) in both.map(|(from, to)| (from.try_clone(), to.try_clone())) {
                    let (from, to, mute) = (from.expect("open"), to.expect("open"), Arc::clone(&mute));
                    thread::spawn(move || pass(from, to, &mute));
                }
            }
        });
        Self { address, is_mute }
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, is_mute: &AtomicBool) {
    let mut buffer = [0; 8192];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        if !is_mute.load(Ordering::SeqCst) && to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

#[test]
fn a_node_whose_first_host_takes_no_renewal_any_more_goes_on_with_the_next() {
    let Some(database) = TestDatabase::new() else { return };
    let (_, place) = database.url.split_once('@').expect("a user");
    let (host, name) = place.split_once('/').expect("a name");
    let relay = Relay::to(host.to_owned());
    let url = format!("postgres://patd@{},{host}/{name}", relay.address);
    let store = PostgresStore::open(&PostgresSettings::new(url), Access::Server).expect("a store");
    soon("it has a lease", || store.is_coherent());
    relay.is_mute.store(true, Ordering::SeqCst);
    soon("its lease ends", || !store.is_coherent());
    soon("it has one of the next host", || store.is_coherent());
    // All its other connections follow.
    let exists = |connection: &dyn Connection| connection.exists("SELECT 1", NONE);
    soon("it reads", || database.runtime.block_on(store.read(exists)) == Ok(true));
    soon("it writes", || database.runtime.block_on(store.write(Vec::new(), exists)) == Ok(true));
}
