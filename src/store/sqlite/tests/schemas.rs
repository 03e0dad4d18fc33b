//! Releases that differ in their schema, on one file.

use std::fs::{self, File};

use super::*;

/// A file of version 6.
fn older(directory: &TempDir) -> PathBuf {
    let path = database(directory);
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch(include_str!("../migrations/v6.sql")).unwrap();
    connection.execute_batch("PRAGMA user_version = 6; PRAGMA application_id = 0x70617464;").unwrap();
    path
}

fn version(path: &Path) -> i64 {
    Connection::open(path).unwrap().query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap()
}

#[test]
fn a_tool_does_not_upgrade_a_file_that_a_server_has_open() {
    let directory = directory();
    let path = older(&directory);
    let before = fs::read(&path).unwrap();
    let refused = |access| {
        let error = SqliteStore::open(&settings(&path), access).err().unwrap();
        assert!(matches!(error, OpenError::InUse { found: 6, known: schema::VERSION, .. }), "{error:?}");
        assert!(error.to_string().contains("stop the server"), "{error}");
        assert!(fs::read(&path).unwrap() == before);
    };
    // A server that locks the database itself.
    let server = Database::open(&path).unwrap();
    server.serve().unwrap();
    refused(Access::Create);
    refused(Access::Existing);
    drop(server);
    // A server of a release before version 7, which locks a file beside it.
    let older = File::create(identity::beside(&path, ".lock")).unwrap();
    older.try_lock().unwrap();
    refused(Access::Server);
    refused(Access::Create);
    refused(Access::Existing);
    drop(older);
    drop(SqliteStore::open(&settings(&path), Access::Existing).unwrap());
    assert_eq!(version(&path), schema::VERSION);
    assert!(!identity::beside(&path, ".lock").exists(), "the upgrade removes the old lock file");
    drop(open(&directory));
}

#[test]
fn a_tool_works_beside_a_server_of_its_release_and_upgrades_an_unused_file() {
    let (served, at_rest) = (directory(), directory());
    let _server = open(&served);
    drop(SqliteStore::open(&settings(database(&served)), Access::Existing).unwrap());
    let path = older(&at_rest);
    drop(SqliteStore::open(&settings(&path), Access::Existing).unwrap());
    assert_eq!(version(&path), schema::VERSION);
}

#[test]
fn a_server_whose_file_was_upgraded_refuses_reads_and_writes() {
    let directory = directory();
    let store = open(&directory);
    let ada = person("ada");
    wait(store.add_user(ada.clone(), password(), by())).unwrap();
    let newer = Connection::open(database(&directory)).unwrap();
    newer.pragma_update(None, "user_version", schema::VERSION + 1).unwrap();
    let written = wait(store.add_user(person("eve"), password(), by()));
    assert!(is_outage(&written), "{written:?}");
    let read = wait(store.user(ada.id));
    assert!(is_outage(&read) && is_outage(&wait(store.ready())), "{read:?}");
    assert!(!store.is_coherent());
    let users: i64 = newer.query_row("SELECT count(*) FROM users", [], |row| row.get(0)).unwrap();
    assert_eq!(users, 1);
    // An idle server detects it, too.
    let (idle, start) = (super::directory(), Instant::now());
    let store = open(&idle);
    Connection::open(database(&idle)).unwrap().pragma_update(None, "user_version", schema::VERSION + 1).unwrap();
    while !is_outage(&wait(store.users(None, 1))) {
        assert!(start.elapsed() < Duration::from_secs(10), "the server never detected the upgrade");
        thread::yield_now();
    }
}

#[test]
fn a_file_from_before_the_first_release_is_refused_unchanged_with_a_remedy() {
    let directory = directory();
    let path = older(&directory);
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 5).unwrap();
    let before = fs::read(&path).unwrap();
    for access in [Access::Server, Access::Create, Access::Existing] {
        let error = SqliteStore::open(&settings(&path), access).err().unwrap();
        assert!(matches!(error, OpenError::TooOld { found: 5, oldest: 6, .. }), "{error:?}");
        assert!(error.to_string().contains("open it once with a build that has schema 6"), "{error}");
        assert!(fs::read(&path).unwrap() == before);
    }
}
