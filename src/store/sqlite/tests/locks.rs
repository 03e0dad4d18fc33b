//! Which processes may have a database open at the same time, under the same name or different names.

use std::{
    fs::{self, File},
    sync::Barrier,
};

use super::*;
use crate::store::sqlite::locks::{Database, Sharing};

const SHORT: Duration = Duration::from_millis(50);

fn hard_link(path: &Path, name: &str) -> PathBuf {
    let link = path.with_file_name(name);
    fs::hard_link(path, &link).unwrap();
    link
}

#[test]
fn a_second_server_is_refused_under_a_hard_link() {
    let directory = directory();
    let store = open(&directory);
    let link = hard_link(&database(&directory), "link.db");
    let error = SqliteStore::open(&settings(&link), Access::Server).err().unwrap();
    assert!(matches!(error, OpenError::Served { .. }), "{error:?}");
    drop(store);
    drop(SqliteStore::open(&settings(&link), Access::Server).unwrap());
}

#[test]
fn a_tool_is_refused_under_a_name_with_another_log() {
    let directory = directory();
    let store = open(&directory);
    let link = hard_link(&database(&directory), "link.db");
    let elsewhere = super::directory();
    let far_link = elsewhere.path().join("patd.db");
    let linked = fs::hard_link(&link, &far_link).map(|()| far_link);
    for name in [Some(link), linked.ok()].into_iter().flatten() {
        for access in [Access::Existing, Access::Create] {
            let error = SqliteStore::open(&settings(&name), access).err().unwrap();
            assert!(matches!(error, OpenError::OtherName { .. }), "{error:?}");
        }
        assert!(!identity::beside(&name, "-wal").exists());
    }
    // The server's own name is accepted.
    let tool = SqliteStore::open(&settings(database(&directory)), Access::Existing).unwrap();
    wait(tool.add_user(person("ada"), password(), by())).unwrap();
    assert_eq!(wait(store.users(None, 9)).unwrap().len(), 1);
}

#[test]
fn closing_descriptors_and_connections_releases_no_lock() {
    let directory = directory();
    let path = database(&directory);
    let _store = open(&directory);
    drop(File::open(&path).unwrap());
    let connection = Connection::open(&path).unwrap();
    connection.query_row("SELECT count(*) FROM users", [], |_| Ok(())).unwrap();
    drop(connection);
    let error = SqliteStore::open(&settings(&path), Access::Server).err().unwrap();
    assert!(matches!(error, OpenError::Served { .. }), "{error:?}");
}

#[test]
fn the_lock_does_not_depend_on_files_beside_the_database() {
    let directory = directory();
    let path = database(&directory);
    let store = open(&directory);
    wait(store.add_user(person("ada"), password(), by())).unwrap();
    for entry in fs::read_dir(directory.path()).unwrap() {
        let other = entry.unwrap().path();
        if other != path && !other.to_str().unwrap().ends_with("-shm") {
            fs::remove_file(other).unwrap();
        }
    }
    let error = SqliteStore::open(&settings(&path), Access::Server).err().unwrap();
    assert!(matches!(error, OpenError::Served { .. }), "{error:?}");
}

#[test]
fn an_opening_waits_for_another_one_until_the_timeout() {
    let directory = directory();
    let path = made(&directory);
    let (first, second) = (Database::open(&path).unwrap(), Database::open(&path).unwrap());
    let opening = first.begin_opening(SHORT).unwrap();
    assert!(matches!(second.begin_opening(SHORT), Err(OpenError::Opening { .. })));
    let waiting = thread::spawn(move || second.begin_opening(Duration::from_secs(10)).map(|opening| opening.join()));
    thread::sleep(SHORT);
    assert!(!waiting.is_finished());
    drop(opening);
    assert_eq!(waiting.join().unwrap().unwrap().unwrap(), Sharing::Alone);
}

#[test]
fn a_process_knows_whether_others_have_the_database_open() {
    let directory = directory();
    let path = made(&directory);
    let join = || {
        let database = Database::open(&path).unwrap();
        let sharing = database.begin_opening(SHORT).unwrap().join().unwrap();
        (database, sharing)
    };
    let (first, sharing) = join();
    assert_eq!(sharing, Sharing::Alone);
    assert!(!first.is_open_elsewhere());
    let (second, sharing) = join();
    assert_eq!(sharing, Sharing::Shared);
    assert!(first.is_open_elsewhere() && second.is_open_elsewhere());
    assert!(!first.is_served_by_another().unwrap());
    second.serve().unwrap();
    assert!(first.is_served_by_another().unwrap() && !second.is_served_by_another().unwrap());
    drop(second);
    assert!(!first.is_open_elsewhere() && !first.is_served_by_another().unwrap());
}

#[test]
fn a_server_and_tools_can_create_a_database_at_the_same_time() {
    for _ in 0..30 {
        let directory = directory();
        let path = database(&directory);
        let start = Barrier::new(4);
        let create = |access| {
            start.wait();
            SqliteStore::open(&settings(&path), access).map(|store| wait(store.ready()).unwrap())
        };
        thread::scope(|scope| {
            let server = scope.spawn(|| create(Access::Server));
            let tools: Vec<_> = (0..3).map(|_| scope.spawn(|| create(Access::Create))).collect();
            server.join().unwrap().unwrap();
            for tool in tools {
                tool.join().unwrap().unwrap();
            }
        });
    }
}
