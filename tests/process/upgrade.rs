//! The first start upgrades a database of an older schema, also if it is killed at any point.

use std::fs;

use rusqlite::Connection as Database;

use crate::harness::Place;

/// The schema of version 6.
const V6: &str = include_str!("../../src/store/sqlite/migrations/v6.sql");
const VERSION: i64 = 8;

const TOKENS: u32 = 8_000;
/// How much the log grows between two rounds. In each round, the server is killed when the log has a certain size.
const STRIDE: u64 = 48 << 10;

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
fn older(place: &Place) -> Vec<Vec<String>> {
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

#[test]
fn an_older_database_survives_a_kill_at_any_point_of_its_upgrade() {
    let place = Place::new(&[]);
    let before = older(&place);
    let log = place.path("patd.db-wal");
    let mut killed = 0;
    for moment in 0.. {
        for suffix in ["-wal", "-shm"] {
            let _ = fs::remove_file(place.path(&format!("patd.db{suffix}")));
        }
        fs::copy(place.path("older.db"), place.path("patd.db")).unwrap();
        let at = moment * STRIDE;
        let reached =
            place.kill_when(&["serve"], "listening on", || fs::metadata(&log).is_ok_and(|log| log.len() > at));
        killed += u32::from(reached);

        // Dropping kills this server, too. The migration is on disk once it listens.
        drop(place.serve());
        let database = Database::open(place.path("patd.db")).unwrap();
        assert_eq!(
            rows(&database, "SELECT cast(user_version AS TEXT) FROM pragma_user_version"),
            [VERSION.to_string()]
        );
        assert_eq!(rows(&database, "SELECT integrity_check FROM pragma_integrity_check"), ["ok"]);
        assert_eq!(rows(&database, "SELECT \"table\" FROM pragma_foreign_key_check"), [""; 0]);
        assert!(kept(&database) == before, "killed with more than {at} bytes in the log");
        let homeless = "SELECT u.name FROM users u LEFT JOIN environments e
                        ON e.id = u.current_environment_id AND e.owner_id = u.id AND e.is_default = 1 WHERE e.id IS NULL";
        assert_eq!(rows(&database, homeless), [""; 0]);
        if !reached {
            break;
        }
    }
    assert!(killed >= 3, "the server was killed only {killed} times before the migration was done");
}
