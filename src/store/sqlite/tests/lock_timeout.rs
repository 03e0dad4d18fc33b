//! Writes while another process has the write lock: each has its own timeout, and a refused write has changed nothing.

use std::{
    thread,
    time::{Duration, Instant},
};

use super::*;

const TIMEOUT: Duration = Duration::from_secs(2);

fn open_with_timeout(directory: &TempDir) -> SqliteStore {
    let settings = SqliteSettings { busy_timeout: TIMEOUT, ..settings(database(directory)) };
    SqliteStore::open(&settings, Access::Server).unwrap()
}

/// Takes the write lock with another connection.
fn lock(directory: &TempDir) -> Connection {
    let other = Connection::open(database(directory)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    other
}

#[test]
fn each_write_times_out_by_itself_and_changes_nothing() {
    let directory = directory();
    let store = open_with_timeout(&directory);
    wait(store.add_user(person("first"), password(), by())).unwrap();
    let other = lock(&directory);
    thread::scope(|scope| {
        let write = |name: &'static str, delay: Duration| {
            let store = &store;
            scope.spawn(move || {
                thread::sleep(delay);
                let queued_at = Instant::now();
                (wait(store.add_user(person(name), password(), by())), queued_at.elapsed())
            })
        };
        let writes = [write("ada", Duration::ZERO), write("bob", TIMEOUT / 10), write("eve", TIMEOUT / 2)];
        for write in writes {
            let (outcome, time) = write.join().unwrap();
            assert!(matches!(outcome, Err(StoreError::NotMade(_))), "{outcome:?}");
            assert!(time >= TIMEOUT * 9 / 10 && time < TIMEOUT * 3 / 2, "{time:?}");
        }
    });
    drop(other);
    assert_eq!(wait(store.users(None, 10)).unwrap().len(), 1);
    wait(store.add_user(person("ada"), password(), by())).unwrap();
}

#[test]
fn a_write_that_still_waits_succeeds_once_the_lock_is_free() {
    let directory = directory();
    let store = open_with_timeout(&directory);
    wait(store.add_user(person("first"), password(), by())).unwrap();
    let other = lock(&directory);
    thread::scope(|scope| {
        let late = scope.spawn(|| {
            thread::sleep(TIMEOUT / 2);
            wait(store.add_user(person("late"), password(), by()))
        });
        let early = wait(store.add_user(person("early"), password(), by()));
        assert!(matches!(early, Err(StoreError::NotMade(_))), "{early:?}");
        drop(other);
        assert_eq!(late.join().unwrap(), Ok(()));
    });
    assert_eq!(wait(store.users(None, 10)).unwrap().len(), 2);
}

#[test]
fn closing_waits_for_queued_writes() {
    let directory = directory();
    let store = open_with_timeout(&directory);
    let other = lock(&directory);
    let waiting = store.add_user(person("ada"), password(), by());
    let closed = store.close();
    drop(other);
    assert_eq!((wait(waiting), wait(closed)), (Ok(()), Ok(())));
}
