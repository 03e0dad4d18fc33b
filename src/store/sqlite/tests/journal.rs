//! A rollback journal beside a database. SQLite uses one only while it turns WAL mode on.

use std::fs;

use super::{opening::refused, *};

/// Asserts that the database opens with the user that [`made`] created.
#[track_caller]
fn opens_whole(path: &Path) {
    let store = SqliteStore::open(&settings(path), Access::Server).unwrap();
    assert_eq!(wait(store.users(None, 9)).unwrap().len(), 1);
}

#[test]
fn a_rollback_journal_beside_a_log_is_refused() {
    let directory = directory();
    let path = made(&directory);
    // The journal of a crash while SQLite created another file. SQLite would empty the file with it.
    let elsewhere = super::directory();
    let new = Connection::open(database(&elsewhere)).unwrap();
    new.execute_batch("PRAGMA synchronous = FULL; PRAGMA cache_size = 1; BEGIN; CREATE TABLE a (b);").unwrap();
    new.execute_batch("INSERT INTO a VALUES (randomblob(99000));").unwrap();
    let journal = identity::beside(&path, "-journal");
    fs::copy(identity::beside(&database(&elsewhere), "-journal"), &journal).unwrap();
    refused(&path, |error| matches!(error, OpenError::Log(_)));
    let message = SqliteStore::open(&settings(&path), Access::Existing).err().unwrap().to_string();
    assert!(message.contains(journal.to_str().unwrap()), "{message}");
    fs::remove_file(&journal).unwrap();
    opens_whole(&path);
}

#[test]
fn a_start_that_is_killed_while_it_turns_wal_mode_on_is_completed_by_the_next() {
    let directory = directory();
    let path = made(&directory);
    let to_journal = |path: &Path| {
        let connection = Connection::open(path).unwrap();
        connection.query_row("PRAGMA journal_mode = DELETE", [], |row| row.get::<_, String>(0)).unwrap();
    };
    to_journal(&path);
    opens_whole(&path);
    to_journal(&path);
    let mut bytes = fs::read(&path).unwrap();
    // The journal that SQLite writes before it changes the first page, and that page.
    let size = u32::try_from(bytes.len() / 4096).unwrap();
    let mut journal = vec![0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7, 0, 0, 0, 1, 0, 0, 0, 0];
    journal.extend(size.to_be_bytes());
    journal.extend([0, 0, 2, 0, 0, 0, 16, 0]);
    journal.resize(512, 0);
    journal.extend([0, 0, 0, 1]);
    journal.extend(&bytes[..4096]);
    let checksum = (0..4096_usize).rev().skip(199).step_by(200).fold(0_u32, |sum, at| sum + u32::from(bytes[at]));
    journal.extend(checksum.to_be_bytes());
    fs::write(identity::beside(&path, "-journal"), journal).unwrap();
    bytes[18..20].copy_from_slice(&[2, 2]);
    fs::write(&path, bytes).unwrap();
    opens_whole(&path);
}
