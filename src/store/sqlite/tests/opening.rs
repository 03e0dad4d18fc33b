//! Which files are opened and which are refused, and that a refused file is not changed.

use std::{
    collections::BTreeMap,
    env,
    fs::{self, OpenOptions},
    io::{self, BufRead, BufReader, Seek, SeekFrom, Write},
    os::unix::fs::{PermissionsExt, symlink},
    process::{Command, Stdio},
    sync::Barrier,
    time::SystemTime,
};

use super::*;

type Picture = BTreeMap<PathBuf, (Vec<u8>, SystemTime)>;

/// Every file in the directory, its bytes and when they last changed.
fn picture(directory: &Path) -> Picture {
    let entries = fs::read_dir(directory).unwrap();
    entries
        .map(|entry| {
            let path = entry.unwrap().path();
            let modified = fs::metadata(&path).unwrap().modified().unwrap();
            let bytes = fs::read(&path).unwrap();
            (path, (bytes, modified))
        })
        .collect()
}

/// Asserts that every kind of access is refused, and that nothing in the directory changes.
#[track_caller]
pub(super) fn refused(path: &Path, expected: fn(&OpenError) -> bool) {
    for access in [Access::Server, Access::Create, Access::Existing] {
        let before = picture(path.parent().unwrap());
        let error = SqliteStore::open(&settings(path), access).err().unwrap();
        assert!(expected(&error), "{access:?}: {error:?}");
        let message = error.to_string();
        assert!(message.contains(path.to_str().unwrap()), "{message}");
        assert!(before == picture(path.parent().unwrap()), "{error:?}");
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Overwrites one page (counted from 1) of a database whose pages have 4096 bytes.
fn overwrite(path: &Path, page: u64, with: &[u8]) {
    let mut file = OpenOptions::new().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start((page - 1) * 4096)).unwrap();
    file.write_all(with).unwrap();
}

pub(super) fn root_of(path: &Path, object: &str) -> u64 {
    Connection::open(path)
        .unwrap()
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = ?1", [object], |row| row.get::<_, i64>(0))
        .unwrap()
        .unsigned_abs()
}

#[test]
fn a_new_file_is_private_and_has_the_right_pragmas() {
    let directory = directory();
    let store = open(&directory);
    let path = database(&directory);
    for suffix in ["", "-wal", "-shm"] {
        assert_eq!(mode(&identity::beside(&path, suffix)), 0o600, "{suffix}");
    }
    let pragmas = wait(store.writer.submit(Vec::new(), |connection| {
        let number = |sql| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
        Ok([
            number("PRAGMA application_id")?,
            number("PRAGMA user_version")?,
            number("PRAGMA synchronous")?,
            number("PRAGMA foreign_keys")?,
            number("PRAGMA trusted_schema")?,
        ])
    }));
    assert_eq!(pragmas, Ok([0x7061_7464, schema::VERSION, 2, 1, 0]));
    let journal = store.pool.get().unwrap().query_row("PRAGMA journal_mode", [], |row| row.get::<_, String>(0));
    assert_eq!(journal.unwrap(), "wal");
    let written = store.pool.get().unwrap().execute("DELETE FROM users", []);
    assert!(written.is_err());
}

/// Set by .cargo/config.toml, which a build from another directory would not read.
#[test]
fn sqlite_shares_no_page_cache_and_counts_no_memory() {
    let directory = directory();
    let connection = open(&directory).pool.get().unwrap();
    let mut statement = connection.prepare("PRAGMA compile_options").unwrap();
    let options: Vec<String> = statement.raw_query().mapped(|row| row.get(0)).map(Result::unwrap).collect();
    let has = |option: &str| options.iter().any(|has| has == option);
    assert!(has("OMIT_SHARED_CACHE") && has("DEFAULT_MEMSTATUS=0"), "{options:?}");
    assert!(!has("ENABLE_MEMORY_MANAGEMENT"), "{options:?}");
}

#[test]
fn an_empty_file_counts_as_new() {
    let directory = directory();
    fs::write(database(&directory), "").unwrap();
    wait(open(&directory).ready()).unwrap();
}

#[test]
fn a_tool_refuses_a_missing_file_and_creates_none() {
    let directory = directory();
    let error = SqliteStore::open(&settings(database(&directory)), Access::Existing);
    assert!(matches!(error.err(), Some(OpenError::Missing { .. })));
    let nowhere = directory.path().join("nowhere/patd.db");
    let error = SqliteStore::open(&settings(nowhere), Access::Server);
    assert!(matches!(error.err(), Some(OpenError::Inaccessible { .. })));
    assert!(picture(directory.path()).is_empty());
}

#[test]
fn the_files_of_a_closed_or_killed_process_open_with_all_commits() {
    let directory = directory();
    let path = made(&directory);
    let user = person("bob");
    killed_after(&path, |connection| {
        // User and environment refer to each other, so that neither can be committed alone.
        let transaction = connection.unchecked_transaction().unwrap();
        users::add(&*transaction, &user, Some(&password()), &by()).unwrap();
        transaction.commit().unwrap();
    });
    assert!(fs::metadata(identity::beside(&path, "-wal")).unwrap().len() > 0);
    let store = open(&directory);
    assert_eq!(wait(store.user(user.id)), Ok(user));
    assert_eq!(wait(store.users(None, 9)).unwrap().len(), 2);
}

#[test]
fn an_older_file_is_upgraded() {
    let directory = directory();
    let connection = Connection::open(database(&directory)).unwrap();
    connection.execute_batch(include_str!("../migrations/v6.sql")).unwrap();
    connection
        .execute_batch(
            "PRAGMA user_version = 6; PRAGMA application_id = 0x70617464;
             BEGIN;
             INSERT INTO users
             VALUES (x'000102030405060708090a0b0c0d0e0f', 'Ada', 'Ada@x', 'ada@x', '$argon2id$', 1, NULL, zeroblob(16));
             INSERT INTO environments
             VALUES (zeroblob(16), x'000102030405060708090a0b0c0d0e0f', 'Default', 1, 1);
             COMMIT;",
        )
        .unwrap();
    drop(connection);
    let users = wait(open(&directory).users(None, 9)).unwrap();
    assert_eq!(users[0].email.as_str(), "Ada@x");
}

#[test]
fn a_file_that_is_not_a_database_is_refused_unchanged() {
    for content in ["hello".to_owned(), "hello ".repeat(2000), "SQLite format 3\0".to_owned()] {
        let directory = directory();
        fs::write(database(&directory), content).unwrap();
        refused(&database(&directory), |error| matches!(error, OpenError::NotADatabase { .. }));
    }
    let directory = directory();
    let path = made(&directory);
    overwrite(&path, 1, &[0; 16]);
    refused(&path, |error| matches!(error, OpenError::NotADatabase { .. }));
}

#[test]
fn a_directory_is_refused() {
    let directory = directory();
    fs::create_dir(database(&directory)).unwrap();
    let error = SqliteStore::open(&settings(database(&directory)), Access::Server);
    assert!(matches!(error.err(), Some(OpenError::Inaccessible { .. })));
}

#[test]
fn a_database_of_another_program_is_refused_unchanged() {
    let is_foreign: fn(&OpenError) -> bool = |error| matches!(error, OpenError::Foreign { .. });
    let foreign = "CREATE TABLE a (b); INSERT INTO a VALUES (randomblob(9000));";
    let at_rest = directory();
    let connection = Connection::open(database(&at_rest)).unwrap();
    connection.execute_batch(foreign).unwrap();
    drop(connection);
    refused(&database(&at_rest), is_foreign);

    let with_log = directory();
    killed_after(&database(&with_log), |connection| {
        let journal_mode = "PRAGMA journal_mode = WAL;";
        connection.execute_batch(journal_mode).unwrap();
        connection.execute_batch(foreign).unwrap();
    });
    assert!(identity::beside(&database(&with_log), "-wal").exists());
    refused(&database(&with_log), is_foreign);

    let with_journal = directory();
    killed_after(&database(&with_journal), |connection| {
        connection.execute_batch(foreign).unwrap();
        let spilled = "PRAGMA cache_size = 1; BEGIN; INSERT INTO a VALUES (randomblob(99000));";
        connection.execute_batch(spilled).unwrap();
    });
    assert!(identity::beside(&database(&with_journal), "-journal").exists());
    refused(&database(&with_journal), is_foreign);
}

#[test]
fn a_newer_file_is_refused_unchanged() {
    let is_newer: fn(&OpenError) -> bool =
        |error| matches!(error, OpenError::Newer { found, known, .. } if found > known);
    let at_rest = directory();
    let path = made(&at_rest);
    let connection = Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", schema::VERSION + 1).unwrap();
    drop(connection);
    refused(&path, is_newer);

    // The file itself has the old version. Only its log has the new one.
    let with_log = directory();
    let path = made(&with_log);
    killed_after(&path, |connection| {
        connection.pragma_update(None, "user_version", schema::VERSION + 1).unwrap();
    });
    assert!(identity::beside(&path, "-wal").exists());
    refused(&path, is_newer);
}

#[test]
fn a_damaged_file_is_refused_unchanged() {
    let is_corrupt: fn(&OpenError) -> bool = |error| matches!(error, OpenError::Corrupt { .. });
    let truncated = directory();
    let path = made(&truncated);
    let size = fs::metadata(&path).unwrap().len();
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(size - 4096).unwrap();
    refused(&path, is_corrupt);

    for object in ["tokens", "users", "sqlite_autoindex_tokens_2", "tokens_live_by_owner"] {
        let directory = directory();
        let path = made(&directory);
        overwrite(&path, root_of(&path, object), &[0; 4096]);
        refused(&path, is_corrupt);
    }

    // An index that lacks an entry: no page is damaged, but a look-up would fail.
    let inconsistent = directory();
    let path = made(&inconsistent);
    let empty_leaf = [10, 0, 0, 0, 0, 0x10, 0, 0];
    overwrite(&path, root_of(&path, "sqlite_autoindex_users_2"), &empty_leaf);
    refused(&path, is_corrupt);

    let hollow = directory();
    fs::write(database(&hollow), "").unwrap();
    fs::write(identity::beside(&database(&hollow), "-wal"), "changes").unwrap();
    refused(&database(&hollow), is_corrupt);
    fs::remove_file(database(&hollow)).unwrap();
    refused(&database(&hollow), is_corrupt);
}

#[test]
fn damage_at_a_root_page_is_found_in_a_large_file_too() {
    let directory = directory();
    let path = made(&directory);
    let connection = Connection::open(&path).unwrap();
    connection
        .execute_batch(
            "PRAGMA synchronous = OFF;
             WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 1800)
             INSERT INTO tokens (id, owner_id, hash, hint, name, abilities, created_at, family_id)
             SELECT randomblob(16), (SELECT id FROM users), randomblob(32), 'abcd', 'n', hex(zeroblob(5000)), 1,
                    zeroblob(16)
             FROM n;",
        )
        .unwrap();
    drop(connection);
    assert!(fs::metadata(&path).unwrap().len() > 16 << 20);
    drop(SqliteStore::open(&settings(&path), Access::Existing).unwrap());
    overwrite(&path, root_of(&path, "sessions_by_expiry"), &[0; 4096]);
    refused(&path, |error| matches!(error, OpenError::Corrupt { .. }));
}

#[test]
fn a_second_server_is_refused_by_every_name_of_the_file() {
    let directory = directory();
    let store = open(&directory);
    let alias = directory.path().join("alias");
    symlink(database(&directory), &alias).unwrap();
    let roundabout = directory.path().join("../").join(directory.path()).join("patd.db");
    for path in [database(&directory), alias.clone(), roundabout] {
        let second = SqliteStore::open(&settings(path), Access::Server);
        assert!(matches!(second.err(), Some(OpenError::Served { .. })));
    }
    let tool = SqliteStore::open(&settings(&alias), Access::Existing).unwrap();
    let user = person("bob");
    wait(tool.add_user(user.clone(), password(), by())).unwrap();
    drop(tool);
    assert_eq!(wait(store.user(user.id)), Ok(user));
    wait(store.ready()).unwrap();
    drop(store);
    drop(open(&directory));
}

#[test]
fn several_processes_may_create_the_same_file_at_once() {
    for _ in 0..10 {
        let directory = directory();
        let path = database(&directory);
        let start = Barrier::new(4);
        let create = || {
            start.wait();
            let store = SqliteStore::open(&settings(&path), Access::Create)?;
            let name = Uuid::now_v7().to_string();
            wait(store.add_user(person(&name), password(), by())).unwrap();
            Ok::<_, OpenError>(())
        };
        thread::scope(|scope| {
            let creators: Vec<_> = (0..4).map(|_| scope.spawn(create)).collect();
            for creator in creators {
                creator.join().unwrap().unwrap();
            }
        });
        assert_eq!(wait(open(&directory).users(None, 9)).unwrap().len(), 4);
    }
}

#[test]
fn a_killed_server_keeps_what_it_acknowledged_and_releases_its_lock() {
    const VICTIM: &str = "PATD_TEST_VICTIM";
    if let Some(path) = env::var_os(VICTIM) {
        let store = SqliteStore::open(&settings(path), Access::Server).unwrap();
        for n in 0.. {
            wait(store.add_user(person(&format!("user{n}")), password(), by())).unwrap();
            writeln!(io::stdout(), "acknowledged user{n}").unwrap();
        }
    }
    let directory = directory();
    let name = "a_killed_server_keeps_what_it_acknowledged_and_releases_its_lock";
    let (_, module) = module_path!().split_once("::").unwrap();
    let mut victim = Command::new(env::current_exe().unwrap())
        .args(["--exact", &format!("{module}::{name}"), "--nocapture"])
        .env(VICTIM, database(&directory))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(victim.stdout.take().unwrap()).lines();
    let mut acknowledged = lines.filter_map(|line| {
        let line = line.ok()?;
        let (_, name) = line.split_once("acknowledged ")?;
        Some(name.to_owned())
    });
    let mut names: Vec<String> = acknowledged.by_ref().take(50).collect();
    let second = SqliteStore::open(&settings(database(&directory)), Access::Server);
    assert!(matches!(second.err(), Some(OpenError::Served { .. })));
    victim.kill().unwrap();
    victim.wait().unwrap();
    names.extend(acknowledged);
    let users = wait(open(&directory).users(None, u32::MAX)).unwrap();
    assert!(names.len() >= 50);
    for name in names {
        assert!(users.iter().any(|user| user.name.as_str() == name), "{name}");
    }
}

#[test]
fn refusing_a_second_server_does_not_disturb_the_first() {
    let directory = directory();
    let store = open(&directory);
    for _ in 0..3 {
        let second = SqliteStore::open(&settings(database(&directory)), Access::Server);
        assert!(second.is_err());
        wait(store.add_user(person(&Uuid::now_v7().to_string()), password(), by())).unwrap();
    }
    wait(store.ready()).unwrap();
    assert_eq!(wait(store.users(None, 9)).unwrap().len(), 3);
}

#[test]
fn a_path_with_awkward_characters_is_one_file() {
    let directory = directory();
    let path = directory.path().join("a b?mode=memory#%41&é.db");
    drop(SqliteStore::open(&settings(&path), Access::Server).unwrap());
    // From here on, the inspection uses the name in a URI. A wrongly encoded name would lead to another file.
    settle(&path);
    drop(SqliteStore::open(&settings(&path), Access::Existing).unwrap());
    settle(&path);
    overwrite(&path, 1, &[0; 16]);
    refused(&path, |error| matches!(error, OpenError::NotADatabase { .. }));
}
