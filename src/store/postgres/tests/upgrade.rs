//! Upgrades from the older schema.

use std::thread;

use super::{PostgresStore, TestDatabase};
use crate::store::{Access, postgres::OpenError};

/// The whole schema of version 8.
const V8: &str = include_str!("../migrations/v8.sql");

/// Every column, constraint, index, trigger and function.
const SHAPE: &str = "SELECT string_agg(line, E'\\n' ORDER BY line) FROM (
         SELECT format('%s %s %s %s %s %s', table_name, column_name, data_type, is_nullable, column_default,
                       collation_name) AS line
         FROM information_schema.columns WHERE table_schema = 'public'
         UNION ALL SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid)
         FROM pg_constraint WHERE connamespace = 'public'::regnamespace
         UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
         UNION ALL SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
         UNION ALL SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
     ) AS lines";

const VERSION: &str = "SELECT version FROM schema_version";

fn refusal(database: &TestDatabase) -> OpenError {
    PostgresStore::open(&database.settings(""), Access::Server).err().expect("it is refused")
}

#[test]
fn nodes_that_start_together_upgrade_once_and_the_result_equals_a_new_schema() {
    let (Some(fresh), Some(old)) = (TestDatabase::new(), TestDatabase::with_schema(V8)) else { return };
    assert_ne!(fresh.read::<String>(SHAPE), old.read::<String>(SHAPE));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| drop(old.open(Access::Server)));
        }
    });
    assert_eq!(fresh.read::<String>(SHAPE), old.read::<String>(SHAPE));
    assert_eq!(fresh.read::<i32>(VERSION), old.read::<i32>(VERSION));
    assert_eq!(old.read::<String>("SELECT name FROM users"), "Ada");
}

#[test]
fn a_command_upgrades_as_well() {
    let Some(old) = TestDatabase::with_schema(V8) else { return };
    drop(old.open(Access::Existing));
    assert_eq!(old.read::<i32>(VERSION), 9);
}

#[test]
fn a_schema_that_is_newer_or_too_old_is_refused_unchanged() {
    let Some(database) = TestDatabase::with_schema(V8) else { return };
    let before = database.read::<String>(SHAPE);
    database.execute("UPDATE schema_version SET version = 10");
    let newer = refusal(&database);
    assert!(matches!(newer, OpenError::Newer { found: 10 }), "{newer}");
    database.execute("UPDATE schema_version SET version = 7");
    let older = refusal(&database);
    assert!(matches!(older, OpenError::TooOld { found: 7 }), "{older}");
    assert_eq!(older.to_string(), "the database has the schema 7, and this release upgrades from schema 8 on");
    assert_eq!((database.read::<String>(SHAPE), database.read::<i32>(VERSION)), (before, 7));
}

#[test]
fn an_unfinished_copy_is_not_upgraded_by_a_server() {
    let Some(database) = TestDatabase::with_schema(V8) else { return };
    database.execute("INSERT INTO database_copy SELECT 1, key FROM attempts_key");
    let refused = refusal(&database);
    assert!(matches!(refused, OpenError::UnfinishedCopy), "{refused}");
    assert_eq!(database.read::<i32>(VERSION), 8);
}
