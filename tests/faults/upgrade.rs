//! The first start upgrades a database of an older schema, also if it is killed at any point.

use std::fs;

use rusqlite::Connection as Database;

use crate::{rig::Rig, table::Row};

/// The schema of version 6.
const V6: &str = include_str!("../../src/store/sqlite/migrations/v6.sql");
const VERSION: i64 = 9;

const TOKENS: u32 = 500;
/// How many writes are between two rounds.
const STRIDE: usize = 11;

/// The rows of version 6.
const KEPT: [&str; 4] = [
    "SELECT hex(id) || name || email || email_canonical || password_hash || created_at || coalesce(disabled_at, '-')
     FROM users ORDER BY id",
    "SELECT hex(id) || hex(user_id) || hex(hash) || coalesce(device_name, '-') || created_at || last_used_at || expires_at
     FROM sessions ORDER BY id",
    "SELECT number || hex(id) || hex(owner_id) || hex(hash) || hint || name || abilities || created_at
            || coalesce(expires_at, '-') || coalesce(last_used_at, '-') || coalesce(revoked_at, '-')
     FROM tokens ORDER BY number",
    "SELECT cast(seq AS TEXT) FROM sqlite_sequence WHERE name = 'tokens'",
];

fn rows(database: &Database, sql: &str) -> Vec<String> {
    let mut statement = database.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

fn kept(database: &Database) -> Vec<Vec<String>> {
    KEPT.iter().map(|sql| rows(database, sql)).collect()
}

/// Creates a database with seven users and tokens in every state. The newest tokens were deleted.
fn older(place: &crate::harness::Place) -> Vec<Vec<String>> {
    let database = Database::open(place.path("older.db")).unwrap();
    database.execute_batch(V6).unwrap();
    database
        .execute_batch(&format!(
            "PRAGMA user_version = 6; PRAGMA application_id = 0x70617464;
             BEGIN;
             WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 7)
             INSERT INTO users (id, name, email, email_canonical, password_hash, created_at, disabled_at,
                                current_environment_id)
             SELECT randomblob(16), 'n', n || '@x', n || '@x', '$argon2id$', 1700000000 + n, nullif(n, 3), randomblob(16)
             FROM n;
             INSERT INTO environments (id, owner_id, name, is_default, created_at)
             SELECT current_environment_id, id, 'Default', 1, 1 FROM users;
             INSERT INTO sessions SELECT randomblob(16), id, randomblob(32), NULL, 1, 1, 9999999999 FROM users;
             WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {TOKENS})
             INSERT INTO tokens (id, owner_id, hash, hint, name, abilities, created_at, expires_at, last_used_at, revoked_at,
                                 revoked_reason, family_id)
             SELECT randomblob(16), (SELECT id FROM users WHERE email = (n % 7 + 1) || '@x'), randomblob(32), 'abcd',
                    'token ' || n, 'calls:read user:read', n, iif(n % 3 = 0, 9999999999, NULL), nullif(n % 2, 0),
                    iif(n % 5 = 0, n, NULL), iif(n % 5 = 0, 'revoked_by_owner', NULL), randomblob(16)
             FROM n;
             UPDATE tokens SET rotated_from = (SELECT p.id FROM tokens p WHERE p.number = tokens.number - 1),
                               family_id = (SELECT p.family_id FROM tokens p WHERE p.number = tokens.number - 1)
             WHERE number % 2 = 0;
             DELETE FROM tokens WHERE number > {TOKENS} - 10;
             COMMIT;"
        ))
        .unwrap();
    kept(&database)
}

pub fn killed(row: &Row) {
    row.expect_words("does not answer before the upgrade is done");
    assert!(!row.heals());
    let rig = Rig::without_database(&[]);
    let before = older(&rig.place);
    let syncs = (1..).take_while(|number| is_killed(&rig, &before, &format!("kill-sync {number}"))).count();
    let calls =
        (1..).step_by(STRIDE).take_while(|number| is_killed(&rig, &before, &format!("kill-call {number}"))).count();
    assert!(syncs >= 3 && calls >= 10, "killed only {syncs} times at a sync and {calls} times at a write");
}

/// Kills the first start at this moment and starts again. Returns whether the start reached it.
fn is_killed(rig: &Rig, before: &[Vec<String>], moment: &str) -> bool {
    for suffix in ["-wal", "-shm", "-watermark"] {
        let _ = fs::remove_file(rig.path(&format!("patd.db{suffix}")));
    }
    fs::copy(rig.path("older.db"), rig.path("patd.db")).unwrap();
    rig.switch_on("countdown", moment);
    // If it is not killed, dropping it ends it.
    drop(rig.place.try_serve());
    let is_killed = !rig.path("countdown").exists();
    let _ = fs::remove_file(rig.path("countdown"));

    // Dropping kills this server, too. The migration is on disk once it listens.
    drop(rig.place.serve());
    let database = Database::open(rig.path("patd.db")).unwrap();
    assert_eq!(rows(&database, "SELECT cast(user_version AS TEXT) FROM pragma_user_version"), [VERSION.to_string()]);
    assert_eq!(rows(&database, "SELECT integrity_check FROM pragma_integrity_check"), ["ok"]);
    assert_eq!(rows(&database, "SELECT \"table\" FROM pragma_foreign_key_check"), [""; 0]);
    assert!(kept(&database) == before, "{moment}");
    let homeless = "SELECT u.name FROM users u LEFT JOIN environments e
                    ON e.id = u.current_environment_id AND e.owner_id = u.id AND e.is_default = 1 WHERE e.id IS NULL";
    assert_eq!(rows(&database, homeless), [""; 0]);
    is_killed
}
