//! The write-ahead log: checkpoints run beside the writer, keep the log short, and do not look like a change.

use std::{
    fs,
    sync::atomic::{AtomicU32, Ordering},
};

use super::*;
use crate::store::sqlite::{
    checkpoint::{CheckpointResult, PASSIVE, RESTART, execute},
    checkpoints::CheckpointThresholds,
};

const PAGE: u64 = 4096 + 24;
/// Far more than one batch of [`flood`] adds.
pub(super) const SMALL: CheckpointThresholds =
    CheckpointThresholds { checkpoint_at: 64, remainder: 48, restart_at: 400 };

pub(super) fn open_within(directory: &TempDir, thresholds: CheckpointThresholds) -> SqliteStore {
    SqliteStore::open_within(&settings(database(directory)), Access::Server, thresholds).unwrap()
}

fn log_of(directory: &TempDir) -> PathBuf {
    identity::beside(&database(directory), "-wal")
}

fn pages(directory: &TempDir) -> u64 {
    fs::metadata(log_of(directory)).unwrap().len() / PAGE
}

/// How often the log was restarted. SQLite counts it in the header of the log.
fn restarts(directory: &TempDir) -> u32 {
    let log = fs::read(log_of(directory)).unwrap();
    log.get(12..16).map_or(0, |count| u32::from_be_bytes(count.try_into().unwrap()))
}

/// Makes `writes` writes while a few more are always queued. Returns the longest time between two answers.
pub(super) fn flood(store: &SqliteStore, writes: usize) -> Duration {
    let write = || {
        let user = person(&Uuid::now_v7().to_string());
        store.add_user(user, password(), by())
    };
    let mut waiting: std::collections::VecDeque<_> = (0..4).map(|_| write()).collect();
    let mut longest = Duration::ZERO;
    for _ in 0..writes {
        waiting.push_back(write());
        let start = Instant::now();
        wait(waiting.pop_front().unwrap()).unwrap();
        longest = longest.max(start.elapsed());
    }
    waiting.into_iter().for_each(|reply| wait(reply).unwrap());
    longest
}

#[test]
fn only_a_truncation_by_another_connection_changes_data_version() {
    let directory = directory();
    let path = made(&directory);
    let writer = connect::writer(&path, Duration::from_secs(1)).unwrap();
    let version = || -> i64 { writer.query_row("PRAGMA data_version", [], |row| row.get(0)).unwrap() };
    let write = || assert_eq!(writer.execute("UPDATE users SET name = name || 'x'", []), Ok(1));
    write();
    let before = version();
    let watch = Watch::new(&path).unwrap();
    let other = connect::checkpoints(&path, &watch).unwrap();
    let version_after = |connection, mode| {
        let CheckpointResult { busy, length, copied } = execute(connection, mode).unwrap();
        assert!(!busy && length == copied, "{mode}");
        version()
    };
    assert_eq!(version_after(&other, PASSIVE), before);
    write();
    write();
    assert_eq!(version_after(&writer, PASSIVE), before);
    write();
    assert_eq!(version_after(&writer, RESTART), before);
    write();
    write();
    assert_ne!(version_after(&other, "PRAGMA wal_checkpoint(TRUNCATE)"), before);
}

#[test]
fn checkpoints_do_not_invalidate_the_cache() {
    let directory = directory();
    for thresholds in [SMALL, CheckpointThresholds { checkpoint_at: 64, remainder: 0, restart_at: 65 }] {
        let store = open_within(&directory, thresholds);
        while !store.is_coherent() {
            thread::yield_now();
        }
        let notified = Arc::new(AtomicU32::new(0));
        let counter = Arc::clone(&notified);
        store.observe(Box::new(move |change| {
            if change == Change::Anything {
                counter.fetch_add(1, Ordering::SeqCst);
            }
        }));
        let before = restarts(&directory);
        flood(&store, 300);
        assert!(restarts(&directory) > before);
        assert_eq!(notified.load(Ordering::SeqCst), 0);
    }
}

#[test]
fn the_log_restarts_under_continuous_writes() {
    let directory = directory();
    let store = open_within(&directory, CheckpointThresholds { restart_at: u32::MAX, ..SMALL });
    flood(&store, 1000);
    assert!(restarts(&directory) > 2, "{}", restarts(&directory));
}

#[test]
fn the_writer_restarts_a_log_that_the_thread_does_not_keep_short() {
    let directory = directory();
    // The thread is never woken.
    let store = open_within(&directory, CheckpointThresholds { checkpoint_at: 64, remainder: 0, restart_at: 64 });
    flood(&store, 500);
    assert!(pages(&directory) < 64 + 64, "{} pages", pages(&directory));
    assert!(restarts(&directory) > 2);
}

#[test]
fn a_reader_of_the_logs_beginning_delays_writes_only_briefly_and_the_log_restarts_after_it() {
    let directory = directory();
    let store = open_within(&directory, SMALL);
    flood(&store, 1);
    let reader = Connection::open(database(&directory)).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM users;").unwrap();
    let before = restarts(&directory);
    while pages(&directory) < 2 * u64::from(SMALL.restart_at) {
        let longest = flood(&store, 50);
        assert!(longest < Duration::from_secs(2), "{longest:?}");
    }
    assert_eq!(restarts(&directory), before);

    drop(reader);
    flood(&store, 300);
    assert!(restarts(&directory) > before);
}

#[test]
fn a_long_log_of_a_killed_process_is_checkpointed() {
    let directory = directory();
    let path = made(&directory);
    killed_after(&path, |connection| {
        connection.execute_batch("PRAGMA wal_autocheckpoint = 0;").unwrap();
        for number in 0..SMALL.restart_at {
            connection.execute("UPDATE users SET name = ?", [number.to_string()]).unwrap();
        }
    });
    assert!(pages(&directory) >= u64::from(SMALL.restart_at));
    let before = restarts(&directory);
    let store = open_within(&directory, SMALL);
    flood(&store, 50);
    assert!(restarts(&directory) > before);
    assert_eq!(wait(store.users(None, 1000)).unwrap().len(), 1 + 54);
}

#[test]
fn a_failed_transaction_requests_a_checkpoint_so_that_the_next_one_needs_no_space() {
    let directory = directory();
    let store = open(&directory);
    flood(&store, 5);
    let before = restarts(&directory);
    let start = Instant::now();
    while restarts(&directory) == before {
        assert!(start.elapsed() < Duration::from_secs(10), "the log was never restarted");
        let failed = store.writer.submit(Vec::new(), |connection| Ok(connection.execute_batch("ROLLBACK")?));
        assert!(is_outage(&wait(failed)));
        // Gives the checkpoint thread time to run.
        thread::sleep(Duration::from_millis(20));
        flood(&store, 1);
    }
}

#[test]
fn closing_checkpoints_the_log_although_others_have_the_database_open() {
    let directory = directory();
    let reader = || {
        let reader = Connection::open(database(&directory)).unwrap();
        reader.query_row("SELECT count(*) FROM users", [], |_| Ok(())).unwrap();
        reader
    };
    let store = open(&directory);
    let _reader = reader();
    flood(&store, 3);
    assert!(pages(&directory) > 0);
    drop(store);
    assert_eq!(fs::metadata(log_of(&directory)).unwrap().len(), 0);

    // The same while a reference to the store still exists, as on the threads of a server.
    let store = open(&directory);
    flood(&store, 3);
    let (open, gate) = running::gate(&store);
    let queued = store.add_user(person("queued"), password(), by());
    drop(open);
    assert_eq!(wait(store.close()), Ok(()));
    assert_eq!((wait(gate), wait(queued)), (Ok(()), Ok(())));
    assert_eq!(fs::metadata(log_of(&directory)).unwrap().len(), 0);
    assert!(is_outage(&wait(store.add_user(person("late"), password(), by()))));
    assert_eq!(wait(store.close()), Ok(()));
}

#[test]
fn a_tool_leaves_the_log_of_a_server_alone() {
    let directory = directory();
    let server = open(&directory);
    // The log must become longer than the one that created the database, because it reuses that file.
    flood(&server, 50);
    let before = fs::metadata(log_of(&directory)).unwrap().len();
    let tool = SqliteStore::open(&settings(database(&directory)), Access::Existing).unwrap();
    wait(tool.add_user(person("ada"), password(), by())).unwrap();
    drop(tool);
    assert!(fs::metadata(log_of(&directory)).unwrap().len() > before);
}
