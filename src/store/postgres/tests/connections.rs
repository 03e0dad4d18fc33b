//! Connections: how long they wait, what they encrypt, and which host they use.

use std::{
    env,
    net::TcpListener,
    path::PathBuf,
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use super::*;
use crate::store::StoreError;
use crate::store::postgres::readers::Readers;

/// The limit, and some time for a busy machine.
const IN_TIME: Duration = Duration::from_secs(4);

fn open(settings: &PostgresSettings) -> Result<WriteConnection, StoreError> {
    WriteConnection::open(&Connector::new(settings).expect("sound settings"))
}

fn is_not_made<T>(result: Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::NotMade(_)))
}

#[test]
fn a_server_that_is_not_there_or_does_not_answer_is_waited_for_only_so_long() {
    let Some(database) = TestDatabase::new() else { return };
    // It accepts connections, and never says anything.
    let mute = TcpListener::bind("127.0.0.1:0").expect("a port");
    let mute = mute.local_addr().expect("bound").port();
    for port in [1, mute] {
        let url = format!("postgres://patd@127.0.0.1:{port}/patd");
        let settings = PostgresSettings { max_readers: 1, ..PostgresSettings::new(url) };
        let started = Instant::now();
        assert!(is_not_made(open(&settings).map(drop)), "{port}");
        let readers =
            Readers::new(&Connector::new(&settings).expect("sound settings"), &Arc::default(), 1).expect("a pool");
        assert!(is_not_made(database.runtime.block_on(readers.get()).map(drop)), "{port}");
        assert!(started.elapsed() < 2 * IN_TIME, "{port}: {:?}", started.elapsed());
    }
}

#[test]
fn the_first_host_that_accepts_writes_is_used() {
    let Some(database) = TestDatabase::new() else { return };
    let (_, place) = database.url.split_once('@').expect("a user");
    let (host, name) = place.split_once('/').expect("a name");
    let url = format!("postgres://patd@127.0.0.1:1,{host}/{name}");
    let settings = PostgresSettings { max_readers: 1, ..PostgresSettings::new(url) };
    open(&settings).expect("the second host");
    // No transaction of this database may write by itself, as on a standby.
    database.execute(&format!("ALTER DATABASE {name} SET default_transaction_read_only = on"));
    assert!(is_not_made(open(&settings).map(drop)));
}

#[test]
fn an_encrypted_connection_is_made_only_to_a_server_whose_certificate_is_trusted() {
    let Some(database) = TestDatabase::new() else { return };
    let ca = PathBuf::from(env::var("PATD_TEST_POSTGRES_CA").expect("tests/postgres names its certificate"));
    let settings = |options: &str, ca_file: Option<PathBuf>| PostgresSettings { ca_file, ..database.settings(options) };
    let encrypted = open(&settings("?sslmode=require", Some(ca.clone()))).expect("trusted");
    encrypted.begin().expect("begun");
    let is_encrypted = encrypted.run("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()", &[]).expect("read");
    assert!(is_encrypted.rows[0].get::<_, bool>(0));
    // The server's own certificate has not signed itself, and those of the system have not signed it either.
    let other = ca.with_file_name("server.crt");
    assert!(is_not_made(open(&settings("?sslmode=verify-full", Some(other))).map(drop)));
    let system = Connector::new(&settings("?sslmode=require", None));
    assert!(system.is_err() || is_not_made(WriteConnection::open(&system.expect("checked")).map(drop)));
    // The certificate names the address 127.0.0.1 alone.
    let elsewhere = PostgresSettings { url: database.url.replace("127.0.0.1", "localhost"), ..settings("", Some(ca)) };
    open(&elsewhere).expect("without encryption");
    let elsewhere = PostgresSettings { url: format!("{}?sslmode=require", elsewhere.url), ..elsewhere };
    assert!(is_not_made(open(&elsewhere).map(drop)));
}

#[test]
fn transactions_of_two_nodes_run_one_after_another_and_see_what_the_one_before_has_changed() {
    let Some(database) = TestDatabase::new() else { return };
    let (first, second) = (database.write_connection(), database.write_connection());
    first.begin().expect("begun");
    first.run("INSERT INTO clock VALUES (1, 7, 7)", &[]).expect("inserted");
    let (begun, waiting) = mpsc::channel();
    let latest = thread::scope(|scope| {
        let second = scope.spawn(move || {
            begun.send(()).expect("awaited");
            second.begin().expect("begun after the first");
            second.run("SELECT latest_time FROM clock", &[]).expect("read").rows[0].get::<_, i64>(0)
        });
        waiting.recv().expect("started");
        thread::sleep(Duration::from_millis(200));
        assert!(!second.is_finished());
        first.commit(&[]).expect("committed");
        second.join().expect("read")
    });
    assert_eq!(latest, 7);
}

#[test]
fn another_writer_that_does_not_go_on_is_waited_for_only_so_long_and_then_loses_its_transaction() {
    let Some(database) = TestDatabase::new() else { return };
    let (stopped, other) = (database.write_connection(), database.write_connection());
    stopped.begin().expect("begun");
    stopped.run("INSERT INTO clock VALUES (1, 7, 7)", &[]).expect("inserted");
    // After a second, PostgreSQL ends the transaction that does nothing.
    let started = Instant::now();
    other.begin().expect("begun when the first was ended");
    assert!(started.elapsed() < IN_TIME);
    assert_eq!(other.run("SELECT 1 FROM clock", &[]).expect("read").rows.len(), 0);
    assert!(matches!(stopped.commit(&[]), Err(StoreError::Unavailable(_))));
    assert!(stopped.is_lost());
    other.roll_back();
    // One that works on keeps the lock.
    let busy = database.write_connection();
    busy.begin().expect("begun");
    let refused = thread::scope(|scope| {
        let waiter = scope.spawn(move || other.begin());
        while !waiter.is_finished() {
            busy.run("SELECT pg_sleep(0.1)", &[]).expect("slept");
        }
        waiter.join().expect("ended")
    });
    assert!(is_not_made(refused));
}

#[test]
fn a_statement_that_takes_too_long_is_ended_and_the_connection_can_still_be_used() {
    let Some(database) = TestDatabase::new() else { return };
    let connection = database.write_connection();
    connection.begin().expect("begun");
    let started = Instant::now();
    assert!(is_not_made(connection.run("SELECT pg_sleep(60)", &[])));
    assert!(started.elapsed() < IN_TIME && is_not_made(connection.failure().map_or(Ok(()), Err)));
    assert!(is_not_made(connection.run("SELECT 1", &[])), "the transaction has failed");
    connection.roll_back();
    assert!(!connection.is_lost());
    connection.begin().expect("begun");
    connection.run("SELECT 1", &[]).expect("read");
    assert_eq!(connection.failure(), None);
}

#[test]
fn a_commit_at_which_the_server_warns_is_not_reported_as_made() {
    let Some(database) = TestDatabase::new() else { return };
    database.execute(
        "CREATE FUNCTION warn() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN RAISE WARNING 'the standby may not have it'; RETURN NULL; END $$;
         CREATE CONSTRAINT TRIGGER warns AFTER INSERT ON clock DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW EXECUTE FUNCTION warn()",
    );
    let connection = database.write_connection();
    connection.begin().expect("begun");
    connection.run("INSERT INTO clock VALUES (1, 7, 7)", &[]).expect("inserted");
    assert!(matches!(connection.commit(&[]), Err(StoreError::Unavailable(_))));
    connection.begin().expect("begun");
    connection.commit(&[]).expect("without a warning");
}

#[test]
fn statements_get_their_values_by_name() {
    let Some(database) = TestDatabase::new() else { return };
    let connection = database.write_connection();
    connection.begin().expect("begun");
    let insert = "INSERT INTO clock (only_row, latest_time, last_event) VALUES (1, :at, :more)";
    let answer =
        connection.run(insert, &[(":more", &42_i64), (":unused", &1_i64), (":at", &40_i64)]).expect("inserted");
    assert_eq!((answer.count, answer.rows.len()), (1, 0));
    let answer = connection.run("SELECT last_event FROM clock INDEXED BY clock_pkey", &[]).expect("read");
    assert_eq!((answer.count, answer.rows[0].get::<_, i64>(0)), (1, 42));
    assert!(matches!(connection.run(insert, &[(":at", &1_i64)]), Err(StoreError::Internal(_))));
}
