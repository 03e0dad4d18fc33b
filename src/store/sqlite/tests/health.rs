//! Readiness: what a probe writes, and what it says of a store that takes no writes.

use std::fs;

use super::*;
use crate::store::sqlite::{health::Told, log_index::LogIndex};

/// Makes the probe that is due after a failure, and waits for what it comes to.
fn probe(store: &SqliteStore) -> Result<(), StoreError> {
    store.health.note(Err(StoreError::Unavailable("on purpose".into())), 0);
    // The failure is fresh for a second.
    loop {
        match store.health.ask(|| false) {
            Told::Outcome(_) => thread::sleep(Duration::from_millis(50)),
            Told::Next(told, probe) => {
                store.writer.submit_probe(probe.unwrap()).unwrap();
                return told.blocking_recv().unwrap();
            }
        }
    }
}

fn pages_of_the_file(store: &SqliteStore) -> i64 {
    store.pool.get().unwrap().query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap()
}

#[test]
fn a_probe_writes_the_same_pages_again_and_again() {
    let directory = directory();
    let store = open(&directory);
    assert_eq!(wait(store.ready()), Ok(()));
    assert_eq!(probe(&store), Ok(()));
    let before = pages_of_the_file(&store);
    let index = LogIndex::open(&identity::beside(&database(&directory), "-shm")).unwrap();
    let length = index.read().unwrap().log_size();
    assert_eq!(probe(&store), Ok(()));
    let grown = index.read().unwrap().log_size() - length;
    assert!(grown >= 64 * 4096, "it needs more room than any everyday change: {grown}");
    assert_eq!(pages_of_the_file(&store), before);
}

#[test]
fn those_who_ask_at_once_learn_from_one_probe() {
    let directory = directory();
    let store = open(&directory);
    let asked: Vec<_> = (0..5).map(|_| store.health.ask(|| false)).collect();
    let probes = asked.iter().filter(|told| matches!(told, Told::Next(_, Some(_)))).count();
    assert_eq!(probes, 1);
    store.health.note(Ok(()), 1);
    for told in asked {
        let Told::Next(told, _) = told else { panic!("nothing was known") };
        assert_eq!(told.blocking_recv(), Ok(Ok(())));
    }
    assert!(matches!(store.health.ask(|| false), Told::Outcome(Ok(()))));
}

#[test]
fn a_write_that_fails_is_known_at_once() {
    let directory = directory();
    let store = open(&directory);
    assert_eq!(wait(store.ready()), Ok(()));
    let failed = store.write(Vec::new(), |connection| Ok(connection.execute_batch("ROLLBACK")?));
    assert!(is_outage(&wait(failed)));
    assert!(is_outage(&wait(store.ready())));
}

#[test]
fn a_small_write_that_succeeds_after_a_failure_proves_nothing() {
    let directory = directory();
    let store = open(&directory);
    store.health.note(Err(StoreError::Unavailable("on purpose".into())), 0);
    wait(store.add_user(person("ada"), password(), by())).unwrap();
    assert!(is_outage(&wait(store.ready())));
    assert_eq!(probe(&store), Ok(()));
    assert_eq!(wait(store.ready()), Ok(()));
}

#[test]
fn a_refusal_by_the_rules_of_the_data_is_no_failure_of_the_store() {
    let directory = directory();
    let store = open(&directory);
    wait(store.add_user(person("ada"), password(), by())).unwrap();
    assert!(wait(store.add_user(person("ada"), password(), by())).is_err());
    assert_eq!(wait(store.ready()), Ok(()));
}

#[test]
fn after_a_failed_sync_reads_go_on_and_the_next_start_folds_all_of_the_log() {
    let directory = directory();
    let user = person("ada");
    {
        let store = open(&directory);
        wait(store.add_user(user.clone(), password(), by())).unwrap();
        store.watch.stop_writing(&"on purpose");
        assert!(is_outage(&wait(store.add_user(person("bob"), password(), by()))));
        assert!(is_outage(&wait(store.ready())));
        assert_eq!(wait(store.user(user.id)).as_ref(), Ok(&user));
    }
    assert!(fs::metadata(identity::beside(&database(&directory), "-wal")).unwrap().len() > 0);
    let store = open(&directory);
    assert_eq!(wait(store.ready()), Ok(()));
    assert_eq!(wait(store.users(None, 9)), Ok(vec![user]));
    drop(store);
    settle(&database(&directory));
}
