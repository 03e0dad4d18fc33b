//! Statements that are sent together with a later one: their order, and what happens when one of them fails.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use super::{
    writer::{REFUSED, Rig},
    *,
};
use crate::store::{
    Reply, StoreError,
    sql::connection::{Connection, NONE, named},
};

fn insert_later(connection: &dyn Connection, number: i64) -> Result<(), StoreError> {
    connection.execute_later("INSERT INTO made VALUES (:number)", named! {":number": number})
}

fn count(connection: &dyn Connection) -> Result<i64, StoreError> {
    connection.one("SELECT count(*) FROM made", NONE, |row| row.get(0))
}

impl Rig {
    fn make_later(&self, number: i64) -> Reply<'static, ()> {
        self.submit(move |connection| insert_later(connection, number))
    }
}

fn is_duplicate(result: &Result<(), StoreError>) -> bool {
    matches!(result, Err(StoreError::Internal(why)) if why.contains("23505"))
}

#[test]
fn later_statements_run_in_their_order_before_the_next_one() {
    let Some(rig) = Rig::new() else { return };
    rig.database.execute("ALTER TABLE made ADD place bigint GENERATED ALWAYS AS IDENTITY");
    let counted = rig.submit(|connection| {
        for number in (0..100).rev() {
            insert_later(connection, number)?;
        }
        assert_eq!((count(connection)?, connection.written()), (100, 100));
        insert_later(connection, 100)
    });
    rig.wait(counted).expect("made");
    assert_eq!(rig.made().len(), 101);
    let ordered = "SELECT bool_and(number = 100 - place) FROM made WHERE number < 100";
    assert!(rig.database.read::<bool>(ordered));
}

#[test]
fn one_that_fails_at_the_commit_or_at_the_next_statement_undoes_its_job_and_no_other() {
    let Some(rig) = Rig::new() else { return };
    let results = rig.together(|| vec![rig.make_later(1), rig.make_later(2), rig.make_later(1), rig.make_later(3)]);
    assert!(is_duplicate(&results[2]), "{results:?}");
    assert_eq!((&results[..2], &results[3]), (&[Ok(()), Ok(())][..], &Ok(())));
    let results = rig.together(|| {
        // It ignores the error. The failure must not be reported to the next job, which did not cause it.
        let careless = rig.submit(|connection| {
            insert_later(connection, 4)?;
            insert_later(connection, 1)?;
            count(connection).map(drop).or(Ok(()))
        });
        let next = rig.submit(|connection| count(connection).map(drop));
        vec![careless, next, rig.make_later(5)]
    });
    assert!(is_duplicate(&results[0]), "{results:?}");
    assert_eq!(results[1..], [Ok(()), Ok(())]);
    assert_eq!(rig.made(), [1, 2, 3, 5]);
}

#[test]
fn a_refusal_after_a_later_statement_leaves_nothing() {
    let Some(rig) = Rig::new() else { return };
    let results = rig.together(|| {
        vec![
            rig.make_later(1),
            rig.submit(|connection| insert_later(connection, 2).and(Err(REFUSED))),
            rig.make_later(3),
        ]
    });
    assert_eq!(results, [Ok(()), Err(REFUSED), Ok(())]);
    assert_eq!(rig.made(), [1, 3]);
}

#[test]
fn what_cannot_be_sent_is_not_missing_from_a_transaction_that_is_committed() {
    let Some(rig) = Rig::new() else { return };
    rig.wait(rig.make_later(1)).expect("the statement is prepared for a number");
    let text = |connection: &WriteConnection| {
        insert_later(connection, 2)?;
        connection.execute_later("INSERT INTO made VALUES (:number)", named! {":number": "3"})?;
        insert_later(connection, 4)
    };
    let results = rig.together(|| vec![rig.submit(text), rig.make_later(5)]);
    assert!(matches!(&results[0], Err(StoreError::Internal(why)) if why.contains("parameter")), "{results:?}");
    assert_eq!((&results[1], rig.made()), (&Ok(()), vec![1, 5]));
}

#[test]
fn a_connection_that_is_lost_before_the_commit_is_answered_leaves_the_outcome_open() {
    let Some(rig) = Rig::new() else { return };
    // The statement is answered, and then the COMMIT is not.
    rig.database.execute(
        "CREATE FUNCTION end_connection() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;
         CREATE CONSTRAINT TRIGGER ends AFTER INSERT ON made DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW WHEN (NEW.number = 7) EXECUTE FUNCTION end_connection()",
    );
    let unknown = rig.wait(rig.make_later(7));
    assert!(matches!(unknown, Err(StoreError::Unavailable(_))), "{unknown:?}");
    // Here the statement itself is not answered, so nothing was made.
    let ended = rig.wait(rig.submit(|connection| {
        connection.execute_later("SELECT pg_terminate_backend(pg_backend_pid())", NONE)?;
        insert_later(connection, 8)
    }));
    assert!(matches!(ended, Err(StoreError::NotMade(_))), "{ended:?}");
    rig.wait(rig.make_later(9)).expect("made");
    assert_eq!(rig.made(), [9]);
}

/// Passes connections on to the server. When it is cut, it still passes on what the client sends, but no answers, and then closes
/// the client's side.
fn start_proxy(server: String, is_cut: Arc<AtomicBool>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.expect("a connection");
            let mut server = TcpStream::connect(&server).expect("a server");
            server.set_read_timeout(Some(Duration::from_millis(200))).expect("set");
            let (mut from, mut to) = (client.try_clone().expect("cloned"), server.try_clone().expect("cloned"));
            thread::spawn(move || io::copy(&mut from, &mut to));
            let is_cut = Arc::clone(&is_cut);
            thread::spawn(move || {
                let mut buffer = [0; 4096];
                loop {
                    match server.read(&mut buffer) {
                        Ok(0) => break,
                        Ok(_) if is_cut.load(Ordering::SeqCst) => {}
                        Ok(count) => client.write_all(&buffer[..count]).expect("sent"),
                        Err(_) if is_cut.load(Ordering::SeqCst) => break,
                        Err(_) => {}
                    }
                }
                // The client may have closed it.
                let _ = client.shutdown(Shutdown::Both);
            });
        }
    });
    address
}

#[test]
fn a_connection_that_is_cut_before_any_answer_leaves_the_outcome_open() {
    let is_cut = Arc::new(AtomicBool::new(false));
    let through_proxy = |database: &TestDatabase, _: &str| {
        let server = database.url.split(['@', '/']).nth(3).expect("a host").to_owned();
        let proxy = start_proxy(server.clone(), Arc::clone(&is_cut));
        PostgresSettings::new(database.url.replace(&server, &proxy.to_string()))
    };
    let Some(rig) = Rig::reached_as(through_proxy) else { return };
    rig.wait(rig.make_later(1)).expect("all statements are prepared");
    let cut = Arc::clone(&is_cut);
    let unknown = rig.wait(rig.submit(move |connection| {
        insert_later(connection, 2)?;
        cut.store(true, Ordering::SeqCst);
        Ok(())
    }));
    assert!(matches!(unknown, Err(StoreError::Unavailable(_))), "{unknown:?}");
    assert_eq!(rig.made(), [1, 2], "it was made, although nobody has heard of it");
    is_cut.store(false, Ordering::SeqCst);
    rig.wait(rig.make_later(3)).expect("made on another connection");
}

#[test]
fn statements_of_many_texts_do_not_stay_prepared() {
    let Some(database) = TestDatabase::new() else { return };
    let connection = database.write_connection();
    connection.begin().expect("begun");
    for number in 0..600 {
        connection.run(&format!("SELECT {number}"), &[]).expect("selected");
    }
    let prepared = connection.run("SELECT count(*) FROM pg_prepared_statements", &[]).expect("counted");
    let prepared: i64 = prepared.rows[0].get(0);
    assert!((1..=512).contains(&prepared), "{prepared}");
}
