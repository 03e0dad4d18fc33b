//! Readiness: what a probe writes, and what it reports if the store cannot write.

use std::fs;

use super::*;
use crate::{
    domain::node::Readiness,
    store::sqlite::{health::HealthReport, log_index::LogIndex},
};

/// Runs the probe that is due after a failure, and returns its outcome.
fn probe(store: &SqliteStore) -> Result<(), StoreError> {
    store.health.record(Err(StoreError::Unavailable("on purpose".into())), 0);
    // The failure counts as current for a second.
    loop {
        match store.health.ask(|| false) {
            HealthReport::Latest(_) => thread::sleep(Duration::from_millis(50)),
            HealthReport::Pending(outcome, probe) => {
                store.writer.submit_probe(probe.unwrap()).unwrap();
                return outcome.blocking_recv().unwrap();
            }
        }
    }
}

fn file_pages(store: &SqliteStore) -> i64 {
    store.pool.get().unwrap().query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap()
}

#[test]
fn a_probe_writes_the_same_pages_again_and_again() {
    let directory = directory();
    let store = open(&directory);
    assert_eq!(wait(store.ready()), Ok(Readiness::Ready));
    assert_eq!(probe(&store), Ok(()));
    let before = file_pages(&store);
    let index = LogIndex::open(&identity::beside(&database(&directory), "-shm")).unwrap();
    let length = index.read().unwrap().log_size();
    assert_eq!(probe(&store), Ok(()));
    let grown = index.read().unwrap().log_size() - length;
    assert!(grown >= 64 * 4096, "a probe must write more than any everyday change: {grown}");
    assert_eq!(file_pages(&store), before);
}

#[test]
fn concurrent_health_checks_share_one_probe() {
    let directory = directory();
    let store = open(&directory);
    let asked: Vec<_> = (0..5).map(|_| store.health.ask(|| false)).collect();
    let probes = asked.iter().filter(|outcome| matches!(outcome, HealthReport::Pending(_, Some(_)))).count();
    assert_eq!(probes, 1);
    store.health.record(Ok(()), 1);
    for outcome in asked {
        let HealthReport::Pending(outcome, _) = outcome else { panic!("expected a pending outcome") };
        assert_eq!(outcome.blocking_recv(), Ok(Ok(())));
    }
    assert!(matches!(store.health.ask(|| false), HealthReport::Latest(Ok(()))));
}

#[test]
fn readiness_fails_at_once_after_a_failed_write() {
    let directory = directory();
    let store = open(&directory);
    assert_eq!(wait(store.ready()), Ok(Readiness::Ready));
    let failed = store.writer.submit(Vec::new(), |connection| Ok(connection.execute_batch("ROLLBACK")?));
    assert!(is_outage(&wait(failed)));
    assert!(is_outage(&wait(store.ready())));
}

#[test]
fn a_small_write_after_a_failure_does_not_restore_readiness() {
    let directory = directory();
    let store = open(&directory);
    store.health.record(Err(StoreError::Unavailable("on purpose".into())), 0);
    wait(store.add_user(person("ada"), password(), by())).unwrap();
    assert!(is_outage(&wait(store.ready())));
    assert_eq!(probe(&store), Ok(()));
    assert_eq!(wait(store.ready()), Ok(Readiness::Ready));
}

#[test]
fn a_violated_constraint_does_not_affect_readiness() {
    let directory = directory();
    let store = open(&directory);
    wait(store.add_user(person("ada"), password(), by())).unwrap();
    assert!(wait(store.add_user(person("ada"), password(), by())).is_err());
    assert_eq!(wait(store.ready()), Ok(Readiness::Ready));
}

#[test]
fn after_a_failed_sync_reads_work_and_the_next_start_checkpoints_the_whole_log() {
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
    assert_eq!(wait(store.ready()), Ok(Readiness::Ready));
    assert_eq!(wait(store.users(None, 9)), Ok(vec![user]));
    drop(store);
    settle(&database(&directory));
}
