//! A log is replayed only into the file that it was written for, and only if it is undamaged.

use std::fs::{self, File, OpenOptions};

use super::{
    log::{SMALL, flood, open_within},
    opening::{refused, root_of},
    *,
};
use crate::store::sqlite::{
    checkpoint::{CheckpointResult, PASSIVE, execute},
    log_index::LogIndex,
};

/// The files that a killed process leaves.
const FILES: [&str; 3] = ["", "-wal", "-watermark"];
const FRAME: u64 = 4096 + 24;

/// Copies the files of an open database, as if its process were killed. Nothing may be written meanwhile.
fn killed(from: &Path) -> TempDir {
    let directory = directory();
    copy(from, &database(&directory), &FILES);
    directory
}

fn copy(from: &Path, to: &Path, suffixes: &[&str]) {
    for suffix in suffixes {
        let (from, to) = (identity::beside(from, suffix), identity::beside(to, suffix));
        match from.exists() {
            true => drop(fs::copy(from, to).unwrap()),
            false => drop(fs::remove_file(to)),
        }
    }
}

fn add(store: &SqliteStore, name: &str) {
    wait(store.add_user(person(name), password(), by())).unwrap();
}

fn names(store: &SqliteStore) -> Vec<String> {
    wait(store.users(None, 10_000)).unwrap().into_iter().map(|user| user.name.to_string()).collect()
}

fn log_of(path: &Path) -> PathBuf {
    identity::beside(path, "-wal")
}

fn log_length(path: &Path) -> u64 {
    fs::metadata(log_of(path)).unwrap().len()
}

#[track_caller]
fn refused_for_its_log(path: &Path, expected: &str) {
    refused(path, |error| matches!(error, OpenError::Log(_)));
    let message = SqliteStore::open(&settings(path), Access::Server).err().unwrap().to_string();
    assert!(message.contains(log_of(path).to_str().unwrap()) && message.contains(expected), "{message}");
}

#[track_caller]
fn opens_with(path: &Path, expected: &[&str]) {
    let store = SqliteStore::open(&settings(path), Access::Server).unwrap();
    assert_eq!(names(&store), expected);
}

#[test]
fn an_older_copy_beside_a_later_log_is_refused() {
    let directory = directory();
    let path = made(&directory);
    let backup = killed(&path);
    let store = open(&directory);
    add(&store, "bob");
    let later = killed(&path);
    copy(&database(&backup), &database(&later), &[""]);
    refused_for_its_log(&database(&later), "generation");

    // The remedy: without the log, the copy is valid.
    fs::remove_file(log_of(&database(&later))).unwrap();
    opens_with(&database(&later), &["ada"]);
}

#[test]
fn a_copy_beside_the_log_of_any_later_run_is_refused() {
    let directory = directory();
    let path = made(&directory);
    let mut copies = vec![killed(&path)];
    for run in 0..4 {
        let store = SqliteStore::open(&settings(&path), [Access::Server, Access::Existing][run % 2]).unwrap();
        add(&store, &format!("user{run}"));
        let crashed = killed(&path);
        for backup in &copies {
            let mixed = killed(&database(&crashed));
            copy(&database(backup), &database(&mixed), &[""]);
            refused_for_its_log(&database(&mixed), "generation");
        }
        drop(store);
        copies.push(killed(&path));
    }
}

#[test]
fn the_log_of_another_database_is_refused() {
    let (first, second) = (directory(), directory());
    let path = made(&first);
    let other = open(&second);
    add(&other, "eve");
    copy(&database(&second), &path, &["-wal"]);
    refused_for_its_log(&path, "another database");
}

#[test]
fn a_truncated_file_is_refused_beside_its_log() {
    let directory = directory();
    let path = made(&directory);
    let store = open(&directory);
    add(&store, "bob");
    for length in [0, 1, 16, 100, 4095, 4096, 8192] {
        let cut_off = killed(&path);
        File::options().write(true).open(database(&cut_off)).unwrap().set_len(length).unwrap();
        refused(&database(&cut_off), |error| matches!(error, OpenError::Log(_) | OpenError::Corrupt { .. }));
    }
}

#[test]
fn the_files_of_a_killed_process_open_with_all_acknowledged_changes() {
    let directory = directory();
    let path = database(&directory);
    let store = open_within(&directory, SMALL);
    let mut expected = Vec::new();
    for number in 0..120 {
        let name = format!("user{number}");
        add(&store, &name);
        expected.push(name);
        if number % 10 == 0 {
            let reader = Connection::open(&path).unwrap();
            if number % 20 == 0 {
                // Because of the reader, a checkpoint copies only a part of the log.
                reader.execute_batch("BEGIN; SELECT count(*) FROM users;").unwrap();
                add(&store, &format!("reader{number}"));
                expected.push(format!("reader{number}"));
            }
            execute(&Connection::open(&path).unwrap(), PASSIVE).unwrap();
            let crashed = killed(&path);
            drop(reader);
            let recovered = open(&crashed);
            assert_eq!(names(&recovered), expected);
            // The same after another change and another crash.
            add(&recovered, "later");
            let crashed_again = killed(&database(&crashed));
            assert_eq!(names(&open(&crashed_again)).len(), expected.len() + 1);
        }
    }
}

/// A linear congruential generator: the same flips in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// A killed database with a log of several transactions, followed by frames of an earlier log. Returns the length of the
/// log, too.
fn with_a_long_log() -> (TempDir, u64) {
    let directory = directory();
    let path = made(&directory);
    let store = open(&directory);
    flood(&store, 40);
    let whole = log_length(&path);
    let all = execute(&Connection::open(&path).unwrap(), PASSIVE).unwrap();
    assert_eq!(all.length, all.copied);
    for name in ["b", "c", "d", "e", "f", "g"] {
        add(&store, name);
    }
    let CheckpointResult { length, copied, .. } = checkpoint_nothing(&path);
    assert!(copied == 0 && length > 12, "{length} {copied}");
    let end = 32 + u64::from(length) * FRAME;
    assert!(end < whole);
    (killed(&path), end)
}

/// The state of the log, from SQLite.
fn checkpoint_nothing(path: &Path) -> CheckpointResult {
    execute(&Connection::open(path).unwrap(), "PRAGMA wal_checkpoint(NOOP)").unwrap()
}

fn flip(path: &Path, bit: u64) {
    use std::os::unix::fs::FileExt;
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, bit / 8).unwrap();
    byte[0] ^= 1 << (bit % 8);
    file.write_all_at(&byte, bit / 8).unwrap();
}

#[test]
fn a_log_with_a_flipped_bit_is_refused() {
    let (crashed, end) = with_a_long_log();
    let path = database(&crashed);
    let mut random = Random(7);
    // A bit in each byte of the log's header and of the headers of the first and last frames, and many others.
    let heads = [0..32, 32..56, end - FRAME..end - FRAME + 24].into_iter().flatten();
    let others = std::iter::repeat_with(|| random.below(end)).take(300);
    for byte in heads.chain(others) {
        let bit = byte * 8 + byte % 8;
        flip(&log_of(&path), bit);
        let error = SqliteStore::open(&settings(&path), Access::Server).err();
        assert!(matches!(error, Some(OpenError::Log(_))), "byte {byte}: {error:?}");
        flip(&log_of(&path), bit);
    }
    // Frames of an earlier log follow the end. Damage in them is harmless.
    let whole = log_length(&path);
    for _ in 0..5 {
        let copy = killed(&path);
        flip(&log_of(&database(&copy)), (end + random.below(whole - end)) * 8);
        assert_eq!(names(&open(&copy)).len(), 1 + 44 + 6);
    }
    assert_eq!(names(&open(&crashed)).len(), 1 + 44 + 6);
}

#[test]
fn damage_before_the_last_transaction_is_detected_without_the_watermark() {
    let (crashed, end) = with_a_long_log();
    let path = database(&crashed);
    fs::remove_file(identity::beside(&path, "-watermark")).unwrap();
    let mut last = end - FRAME;
    // Finds the first frame of the last transaction. Only the last frame of a transaction has a size.
    let bytes = fs::read(log_of(&path)).unwrap();
    let size = |at: u64| bytes[usize::try_from(at).unwrap() + 4..][..4] != [0; 4];
    while !size(last - FRAME) {
        last -= FRAME;
    }
    let mut random = Random(11);
    for _ in 0..200 {
        let bit = random.below(last * 8);
        flip(&log_of(&path), bit);
        let error = SqliteStore::open(&settings(&path), Access::Server).err();
        assert!(matches!(error, Some(OpenError::Log(_))), "bit {bit} of byte {}: {error:?}", bit / 8);
        flip(&log_of(&path), bit);
    }
}

#[test]
fn a_log_that_lacks_acknowledged_frames_is_refused() {
    let (crashed, end) = with_a_long_log();
    let path = database(&crashed);
    let whole = fs::read(log_of(&path)).unwrap();
    let end = usize::try_from(end).unwrap();
    let frame = usize::try_from(FRAME).unwrap();
    let mut lengths: Vec<_> = (0..).map(|frames| 32 + frames * frame).take_while(|length| *length < end).collect();
    lengths.extend([0, 1, 31, end - 1, end - frame / 2]);
    for length in lengths {
        fs::write(log_of(&path), &whole[..length]).unwrap();
        refused_for_its_log(&path, "acknowledged changes");
    }
    fs::remove_file(log_of(&path)).unwrap();
    refused_for_its_log(&path, "is missing");
    fs::write(log_of(&path), &whole[..end]).unwrap();
    assert_eq!(names(&open(&crashed)).len(), 1 + 44 + 6);
}

#[test]
fn a_file_without_its_log_opens_once_the_watermark_is_removed() {
    let directory = directory();
    let path = made(&directory);
    let store = open(&directory);
    add(&store, "bob");
    let crashed = killed(&path);
    let path = database(&crashed);
    fs::remove_file(log_of(&path)).unwrap();
    refused_for_its_log(&path, "move -watermark away");
    fs::remove_file(identity::beside(&path, "-watermark")).unwrap();
    opens_with(&path, &["ada"]);
}

#[test]
fn a_file_opens_without_a_log_that_another_program_checkpointed() {
    let (crashed, _) = with_a_long_log();
    settle(&database(&crashed));
    assert!(!log_of(&database(&crashed)).exists());
    assert_eq!(names(&open(&crashed)).len(), 1 + 44 + 6);
}

#[test]
fn the_watermark_of_another_state_or_a_damaged_one_is_ignored() {
    let directory = directory();
    let path = made(&directory);
    let backup = killed(&path);
    let store = open(&directory);
    add(&store, "bob");
    let crashed = killed(&path);
    let path = database(&crashed);
    copy(&database(&backup), &path, &["", "-wal"]);
    assert!(identity::beside(&path, "-watermark").exists());
    opens_with(&path, &["ada"]);
    // A watermark that a power cut damaged.
    let torn = killed(&database(&directory));
    let path = database(&torn);
    flip(&identity::beside(&path, "-watermark"), 300);
    opens_with(&path, &["ada", "bob"]);
}

#[test]
fn a_log_of_another_program_is_checked_in_full() {
    let directory = directory();
    let path = made(&directory);
    killed_after(&path, |connection| assert_eq!(connection.execute("UPDATE users SET name = 'eve'", []), Ok(1)));
    assert!(log_length(&path) > 0);
    opens_with(&path, &["eve"]);

    // An index with another address than its row, which only the full check finds.
    let directory = super::directory();
    let path = made(&directory);
    let root = root_of(&path, "sqlite_autoindex_users_2");
    let start = usize::try_from((root - 1) * 4096).unwrap();
    let mut bytes = fs::read(&path).unwrap();
    let address = b"ada@example.com";
    let at = bytes[start..][..4096].windows(address.len()).position(|window| window == address).unwrap();
    bytes[start + at] = b'b';
    fs::write(&path, bytes).unwrap();
    drop(SqliteStore::open(&settings(&path), Access::Existing).unwrap());
    killed_after(&path, |connection| assert_eq!(connection.execute("UPDATE users SET created_at = 7", []), Ok(1)));
    refused(&path, |error| matches!(error, OpenError::Corrupt { .. }));
}

#[test]
fn each_log_begins_with_the_row_no_matter_which_process_checkpoints() {
    let directory = directory();
    let path = database(&directory);
    let store = open_within(&directory, SMALL);
    let tool = SqliteStore::open(&settings(&path), Access::Existing).unwrap();
    let outsider = Connection::open(&path).unwrap();
    let mut nonces = std::collections::BTreeSet::new();
    for number in 0..200 {
        let writer = if number % 7 == 0 { &tool } else { &store };
        add(writer, &format!("user{number}"));
        if number % 3 == 0 {
            execute(&outsider, PASSIVE).unwrap();
        }
        let found = crate::store::sqlite::binding::scan::first_binding(&log_of(&path));
        let (is_first, nonce) = found.unwrap_or_else(|| panic!("no row after user{number}"));
        assert!(is_first, "user{number}");
        nonces.insert(nonce);
    }
    assert!(nonces.len() > 60, "{} logs", nonces.len());
}

#[test]
fn the_shared_memory_agrees_with_sqlite() {
    let directory = directory();
    let path = database(&directory);
    let store = open(&directory);
    let index = LogIndex::open(&identity::beside(&path, "-shm")).unwrap();
    let state = || {
        let CheckpointResult { length, copied, .. } = checkpoint_nothing(&path);
        let index = index.read().unwrap();
        assert_eq!((index.frames, index.checkpointed), (length, copied));
        (length, copied)
    };
    flood(&store, 3);
    let (length, copied) = state();
    assert!(length > 0 && copied == 0);
    execute(&Connection::open(&path).unwrap(), PASSIVE).unwrap();
    assert_eq!(state(), (length, length));
    add(&store, "ada");
    let (shorter, copied) = state();
    assert!(shorter < length && copied == 0);
    drop(store);
}

#[test]
fn if_a_part_of_the_log_is_in_the_file_the_error_does_not_offer_to_drop_the_log() {
    let directory = directory();
    let path = database(&directory);
    let store = open(&directory);
    add(&store, "ada");
    let reader = Connection::open(&path).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM users;").unwrap();
    add(&store, "bob");
    let CheckpointResult { length, copied, .. } = execute(&Connection::open(&path).unwrap(), PASSIVE).unwrap();
    assert!(0 < copied && copied < length);
    let crashed = killed(&path);
    let path = database(&crashed);
    let whole = fs::read(log_of(&path)).unwrap();
    fs::write(log_of(&path), &whole[..whole.len() - 9]).unwrap();
    refused_for_its_log(&path, "part of the log is in it already");
    flip(&log_of(&path), 32 * 8 + 1);
    refused_for_its_log(&path, "part of the log is in it already");
    fs::remove_file(log_of(&path)).unwrap();
    refused_for_its_log(&path, "are not all in");
    fs::write(log_of(&path), whole).unwrap();
    opens_with(&path, &["ada", "bob"]);
}
