//! An open store: batches, queues, a lost file, a full disk.

use std::{
    fs,
    sync::{
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
};

use futures_util::FutureExt;

use super::*;
use crate::domain::node::Readiness;

/// Holds the writer until the returned sender is dropped, so that all jobs submitted meanwhile become one batch.
pub(super) fn gate(store: &SqliteStore) -> (mpsc::Sender<()>, Reply<'_, ()>) {
    let (opened, held) = mpsc::channel();
    let (open, opens) = mpsc::channel::<()>();
    let reply = store.writer.submit(Vec::new(), move |_| {
        let _ = opened.send(());
        let _ = opens.recv();
        Ok(())
    });
    held.recv().unwrap();
    (open, reply)
}

fn add(store: &SqliteStore, name: &str) -> Reply<'static, ()> {
    let user = person(name);
    store.writer.submit(Vec::new(), move |connection| users::add(connection, &user, Some(&password()), &by()))
}

fn count(store: &SqliteStore) -> usize {
    wait(store.users(None, 1000)).unwrap().len()
}

/// Waits for a condition that another thread fulfils.
#[track_caller]
fn eventually(mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(10), "the condition was never fulfilled");
        thread::yield_now();
    }
}

#[test]
fn a_failed_or_panicking_write_does_not_affect_the_rest_of_its_batch() {
    let directory = directory();
    let store = open(&directory);
    let (open, gate) = gate(&store);
    let first = add(&store, "first");
    let failed: Reply<'_, ()> = store.writer.submit(Vec::new(), |connection| {
        users::add(connection, &person("failed"), Some(&password()), &by())?;
        Err(StoreError::NotFound)
    });
    let panicked: Reply<'_, ()> = store.writer.submit(Vec::new(), |connection| {
        users::add(connection, &person("panicked"), Some(&password()), &by())?;
        panic!("on purpose")
    });
    let last = add(&store, "last");
    drop(open);
    assert_eq!(wait(gate), Ok(()));
    assert_eq!(wait(first), Ok(()));
    assert_eq!(wait(failed), Err(StoreError::NotFound));
    assert!(matches!(wait(panicked), Err(StoreError::Internal(_))));
    assert_eq!(wait(last), Ok(()));
    assert_eq!(count(&store), 2);
}

#[test]
fn only_a_write_that_fails_after_a_change_makes_its_batch_run_again() {
    let directory = directory();
    let store = open(&directory);
    for (changes_first, runs_expected) in [(false, 1), (true, 2)] {
        let (open, _gate) = gate(&store);
        let runs = Arc::new(AtomicUsize::new(0));
        let (counted, user) = (Arc::clone(&runs), person(&format!("other-{changes_first}")));
        let other = store.writer.submit(Vec::new(), move |connection| {
            counted.fetch_add(1, Ordering::SeqCst);
            users::add(connection, &user, Some(&password()), &by())
        });
        let refused: Reply<'_, ()> = store.writer.submit(Vec::new(), move |connection| {
            if changes_first {
                users::add(connection, &person("rolled-back"), Some(&password()), &by())?;
            }
            Err(StoreError::NotFound)
        });
        drop(open);
        assert_eq!(wait(other), Ok(()));
        assert_eq!(wait(refused), Err(StoreError::NotFound));
        assert_eq!(runs.load(Ordering::SeqCst), runs_expected);
    }
    assert_eq!(count(&store), 2);
}

#[test]
fn nothing_is_answered_or_visible_before_the_commit() {
    let directory = directory();
    let store = open(&directory);
    let (open, _gate) = gate(&store);
    let mut first = add(&store, "first");
    let (reached, first_has_run) = mpsc::channel();
    let (go_on, waits) = mpsc::channel::<()>();
    let second = store.writer.submit(Vec::new(), move |_| {
        let _ = reached.send(());
        let _ = waits.recv();
        Ok(())
    });
    drop(open);
    first_has_run.recv().unwrap();
    assert!((&mut first).now_or_never().is_none());
    assert_eq!(count(&store), 0);
    drop(go_on);
    assert_eq!(wait(first), Ok(()));
    assert_eq!(count(&store), 1);
    assert_eq!(wait(second), Ok(()));
}

#[test]
fn a_write_whose_caller_has_gone_is_skipped() {
    let directory = directory();
    let store = open(&directory);
    let (open, _gate) = gate(&store);
    drop(add(&store, "abandoned"));
    let kept = add(&store, "kept");
    drop(open);
    wait(kept).unwrap();
    assert_eq!(count(&store), 1);
}

#[test]
fn if_sqlite_rolls_a_transaction_back_all_its_writes_fail() {
    let directory = directory();
    let store = open(&directory);
    let (open, gate) = gate(&store);
    let before = add(&store, "before");
    let culprit = store.writer.submit(Vec::new(), |connection| {
        connection.execute_batch("ROLLBACK")?;
        Ok(())
    });
    let after = add(&store, "after");
    drop(open);
    assert_eq!(wait(gate), Ok(()));
    assert!(is_outage(&wait(before)));
    assert!(is_outage(&wait(culprit)));
    assert!(is_outage(&wait(after)));
    assert_eq!(count(&store), 0);
    wait(add(&store, "next")).unwrap();
}

#[test]
fn if_a_commit_fails_all_its_writes_fail() {
    let directory = directory();
    let store = open(&directory);
    let (open, gate) = gate(&store);
    let first = add(&store, "first");
    let refused: Reply<'_, ()> = store.writer.submit(Vec::new(), |_| Err(StoreError::NotFound));
    let culprit = store.writer.submit(Vec::new(), |connection| {
        connection.execute_batch(
            "PRAGMA defer_foreign_keys = ON;
             INSERT INTO sessions VALUES (zeroblob(16), zeroblob(16), zeroblob(32), NULL, 1, 1, 2);",
        )?;
        Ok(())
    });
    drop(open);
    assert_eq!(wait(gate), Ok(()));
    assert!(is_outage(&wait(first)));
    assert!(is_outage(&wait(refused)));
    assert!(is_outage(&wait(culprit)));
    assert_eq!(count(&store), 0);
    wait(add(&store, "next")).unwrap();
}

#[test]
fn the_writer_survives_a_panic_outside_a_write() {
    struct PanicsWhenDropped;
    impl Drop for PanicsWhenDropped {
        fn drop(&mut self) {
            panic!("on purpose");
        }
    }
    let directory = directory();
    let store = open(&directory);
    let (reached, runs) = mpsc::channel();
    let (go_on, waits) = mpsc::channel::<()>();
    let abandoned = store.writer.submit(Vec::new(), move |_| {
        let _ = reached.send(());
        let _ = waits.recv();
        Ok(PanicsWhenDropped)
    });
    runs.recv().unwrap();
    drop(abandoned);
    let waiting = add(&store, "waiting");
    drop(go_on);
    assert_eq!(wait(waiting), Ok(()));
    assert_eq!(wait(store.ready()), Ok(Readiness::Ready));
}

#[test]
fn a_full_queue_refuses_at_once() {
    let directory = directory();
    let settings = SqliteSettings { write_queue: 1, ..settings(database(&directory)) };
    let store = SqliteStore::open(&settings, Access::Server).unwrap();
    let (open, _gate) = gate(&store);
    let waiting = add(&store, "waiting");
    let refused = add(&store, "refused").now_or_never().unwrap();
    assert!(is_outage(&refused));
    drop(open);
    wait(waiting).unwrap();
    wait(add(&store, "later")).unwrap();
}

#[test]
fn dropping_the_store_completes_queued_writes() {
    let directory = directory();
    let store = open(&directory);
    let (open, _) = gate(&store);
    let queued: Vec<_> = (0..20).map(|n| add(&store, &format!("u{n}"))).collect();
    let dropping = thread::spawn(move || drop(store));
    drop(open);
    dropping.join().unwrap();
    for reply in queued {
        assert_eq!(wait(reply), Ok(()));
    }
    assert_eq!(count(&self::open(&directory)), 20);
}

#[test]
fn a_read_waits_for_a_connection_no_longer_than_the_timeout() {
    let directory = directory();
    let settings =
        SqliteSettings { readers: 1, pool_timeout: Duration::from_millis(100), ..settings(database(&directory)) };
    let store = SqliteStore::open(&settings, Access::Server).unwrap();
    let user = person("ada");
    wait(store.add_user(user.clone(), password(), by())).unwrap();
    let (taken, _long) = (store.pool.get().unwrap(), store.long_readers.get().unwrap());
    let start = Instant::now();
    assert!(is_outage(&wait(store.user(user.id))));
    assert!(is_outage(&wait(store.users(None, 1))));
    assert!(is_outage(&wait(store.ready())));
    assert!(start.elapsed() < Duration::from_secs(2));
    let waiting = store.user(user.id);
    drop(taken);
    assert_eq!(wait(waiting), Ok(user));
}

#[test]
fn long_reads_leave_the_point_reads_their_connections() {
    let directory = directory();
    let settings = SqliteSettings { pool_timeout: Duration::from_millis(100), ..settings(database(&directory)) };
    let store = SqliteStore::open(&settings, Access::Server).unwrap();
    let user = person("ada");
    wait(store.add_user(user.clone(), password(), by())).unwrap();
    let _lists = store.long_readers.get().unwrap();
    assert!(is_outage(&wait(store.users(None, 1))));
    assert_eq!(wait(store.user(user.id)), Ok(user));
}

#[test]
fn headroom_that_another_process_used_is_not_used_again() {
    let directory = directory();
    let (server, tool) =
        (open(&directory), SqliteStore::open(&settings(database(&directory)), Access::Existing).unwrap());
    let user = person("ada");
    wait(server.add_user(user.clone(), password(), by())).unwrap();
    let add = |store: &SqliteStore| wait(store.add_token(new_token(user.id), 3, by()));
    let first = add(&server).unwrap();
    add(&tool).unwrap();
    add(&tool).unwrap();
    assert_eq!(add(&server), Err(StoreError::Conflict(Conflict::TooManyTokens)));
    wait(server.revoke_token(user.id, first.id, RevocationReason::RevokedByOwner, by())).unwrap();
    add(&server).unwrap();
    assert_eq!(add(&tool), Err(StoreError::Conflict(Conflict::TooManyTokens)));
}

#[test]
fn a_lost_file_is_neither_read_nor_written_until_it_is_back() {
    for suffix in ["", "-wal", "-shm"] {
        let directory = directory();
        let store = open(&directory);
        let user = person("ada");
        wait(store.add_user(user.clone(), password(), by())).unwrap();
        let path = identity::beside(&database(&directory), suffix);
        let elsewhere = identity::beside(&path, ".moved");
        fs::rename(&path, &elsewhere).unwrap();
        assert!(is_outage(&wait(store.ready())), "{suffix}");
        assert!(is_outage(&wait(add(&store, "lost"))), "{suffix}");
        assert!(is_outage(&wait(store.user(user.id))), "{suffix}");
        assert!(is_outage(&wait(store.users(None, 1))), "{suffix}");

        // A copy with the same name and contents is still another file.
        fs::copy(&elsewhere, &path).unwrap();
        assert!(is_outage(&wait(store.ready())), "{suffix}");
        assert!(is_outage(&wait(add(&store, "lost"))), "{suffix}");

        fs::rename(&elsewhere, &path).unwrap();
        eventually(|| wait(store.ready()) == Ok(Readiness::Ready));
        assert_eq!(wait(store.user(user.id)), Ok(user));
        wait(add(&store, "back")).unwrap();
        assert_eq!(count(&store), 2);
    }
}

#[test]
fn reads_fail_soon_after_the_file_is_lost() {
    let directory = directory();
    let store = open(&directory);
    let user = person("ada");
    wait(store.add_user(user.clone(), password(), by())).unwrap();
    let elsewhere = directory.path().join("moved");
    fs::rename(database(&directory), &elsewhere).unwrap();
    eventually(|| is_outage(&wait(store.user(user.id))));
    fs::rename(&elsewhere, database(&directory)).unwrap();
    eventually(|| wait(store.user(user.id)).is_ok());
}

#[test]
fn a_transaction_fails_if_the_file_is_lost_meanwhile() {
    let directory = directory();
    let store = open(&directory);
    let (path, elsewhere) = (database(&directory), directory.path().join("moved"));
    let moved = store.writer.submit(Vec::new(), move |connection| {
        users::add(connection, &person("lost"), Some(&password()), &by())?;
        fs::rename(&path, &elsewhere).unwrap();
        Ok(())
    });
    assert!(is_outage(&wait(moved)));
}

#[test]
fn on_a_full_disk_writes_fail_reads_work_and_writes_work_again_later() {
    let directory = directory();
    let store = open(&directory);
    let user = person("ada");
    wait(store.add_user(user.clone(), password(), by())).unwrap();
    let allow_pages = |pages: i64| {
        wait(store.writer.submit(Vec::new(), move |connection| {
            connection.pragma_update(None, "max_page_count", pages)?;
            Ok(())
        }))
        .unwrap();
    };
    allow_pages(1);
    let mut written = 0;
    let refusal = loop {
        match wait(add(&store, &format!("user{written}"))) {
            Ok(()) => written += 1,
            refusal => break refusal,
        }
        assert!(written < 10_000);
    };
    assert!(is_outage(&refusal), "{refusal:?}");
    assert_eq!(wait(store.user(user.id)), Ok(user));
    assert_eq!(count(&store), written + 1);
    allow_pages(100_000);
    wait(add(&store, "later")).unwrap();
    assert_eq!(count(&store), written + 2);
}

#[test]
fn the_log_stays_bounded_while_others_read() {
    let directory = directory();
    let store = open(&directory);
    let user = person("ada");
    wait(store.add_user(user.clone(), password(), by())).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    wait(store.user(user.id)).unwrap();
                }
            });
        }
        for n in 0..60 {
            let batch: Vec<_> = (0..100).map(|m| add(&store, &format!("u{n}x{m}"))).collect();
            for reply in batch {
                wait(reply).unwrap();
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    let size = fs::metadata(identity::beside(&database(&directory), "-wal")).unwrap().len();
    assert!(size < 16 << 20, "{size}");
}
