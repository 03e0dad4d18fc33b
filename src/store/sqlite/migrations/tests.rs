//! Upgrades from the older schema, and the state after a failed step.

use super::*;

/// The whole schema of version 6.
const V6: &str = include_str!("v6.sql");

fn memory() -> Connection {
    Connection::open_in_memory().unwrap()
}

fn at_version_6() -> Connection {
    let mut connection = memory();
    migrate_to(&mut connection, V6, &[]).unwrap();
    connection
}

/// Every object with its definition, and every column as SQLite understands it. Comments, white space and the quotes of a
/// renamed table are removed.
fn shape(connection: &Connection) -> Vec<String> {
    let list = |sql: &str| -> Vec<String> {
        let mut statement = connection.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    };
    let mut shape: Vec<String> =
        list("SELECT type || ' ' || name || ' ' || tbl_name || ' ' || coalesce(sql, '') FROM sqlite_schema ORDER BY 1")
            .iter()
            .map(|object| {
                let code = object.lines().map(|line| line.split("--").next().unwrap());
                code.flat_map(str::chars).filter(|c| !c.is_whitespace() && *c != '"').collect()
            })
            .collect();
    shape.sort();
    for table in list("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY 1") {
        shape.extend(list(&format!(
            "SELECT '{table} ' || cid || ' ' || name || ' ' || type || ' ' || \"notnull\" || ' '
                || coalesce(dflt_value, '-') || ' ' || pk || ' ' || hidden FROM pragma_table_xinfo('{table}')"
        )));
    }
    shape
}

#[test]
fn a_new_schema_equals_an_upgraded_one() {
    let mut fresh = memory();
    migrate(&mut fresh).unwrap();
    let mut upgraded = at_version_6();
    assert_eq!(user_version(&upgraded), Ok(6));
    migrate(&mut upgraded).unwrap();
    assert_eq!(shape(&fresh), shape(&upgraded));
    for connection in [fresh, upgraded] {
        assert_eq!(user_version(&connection), Ok(VERSION));
        assert_eq!(connection.query_row("PRAGMA foreign_keys", [], |row| row.get(0)), Ok(true));
        let id: i64 = connection.query_row("PRAGMA application_id", [], |row| row.get(0)).unwrap();
        assert_eq!(id, APPLICATION_ID);
    }
}

/// A user with a default environment, as a row of version 6.
const USER: &str = "PRAGMA foreign_keys = OFF;
     INSERT INTO users (id, name, email, email_canonical, password_hash, created_at, current_environment_id)
         VALUES (zeroblob(16), 'Ada', 'Ada@x', 'ada@x', '$argon2id$', 1, zeroblob(16));
     INSERT INTO environments (id, owner_id, name, is_default, created_at)
         VALUES (zeroblob(16), zeroblob(16), 'Default', 1, 1);";

#[test]
fn an_upgrade_keeps_the_rows() {
    let mut connection = at_version_6();
    connection.execute_batch(USER).unwrap();
    connection
        .execute_batch(
            "INSERT INTO sessions (id, user_id, hash, created_at, last_used_at, expires_at)
                 VALUES (zeroblob(16), zeroblob(16), zeroblob(32), 1, 1, 2);
             INSERT INTO tokens (id, owner_id, hash, hint, name, abilities, created_at, family_id)
                 VALUES (zeroblob(16), zeroblob(16), zeroblob(32), 'abcd', 'ci', '*', 1, zeroblob(16));",
        )
        .unwrap();
    migrate(&mut connection).unwrap();
    let kept: (String, i64, String, bool) = connection
        .query_row(
            "SELECT u.email, s.expires_at, t.name, t.lineage_id IS NULL
             FROM users u JOIN sessions s ON s.user_id = u.id JOIN tokens t ON t.owner_id = u.id",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
        )
        .unwrap();
    assert_eq!(kept, ("Ada@x".into(), 2, "ci".into(), true));
}

#[test]
fn an_upgrade_keeps_the_audit_trail_and_its_triggers() {
    let mut connection = at_version_6();
    let event = "INSERT INTO audit_events (at, actor_kind, action, target_kind, outcome)
                 VALUES (1, 'system', 'user.created', 'user', 'success')";
    connection.execute(event, []).unwrap();
    migrate(&mut connection).unwrap();
    assert!(connection.execute("DELETE FROM audit_events", []).is_err());
    assert_eq!(connection.query_row("SELECT count(*) FROM audit_events", [], |row| row.get(0)), Ok(1));
}

#[test]
fn an_upgrade_finds_who_acted_in_the_trail_of_another_user() {
    let mut connection = at_version_6();
    let member = "0000000000000000000000000000abcd";
    let by_member = format!("by user {}", uuid::Uuid::parse_str(member).unwrap());
    let events = [
        ("session", "revoked_by_owner, ".to_owned() + &by_member, member),
        ("session", by_member.clone(), member),
        ("session", "by user nobody..-....-....-....-............".to_owned(), ""),
        ("session", "rotated".to_owned(), ""),
        ("command_line", by_member, ""),
    ];
    for (actor, detail, _) in &events {
        let event = "INSERT INTO audit_events (at, user_id, actor_kind, action, target_kind, outcome, detail)
                     VALUES (1, zeroblob(16), ?1, 'token.revoked', 'user', 'success', ?2)";
        connection.execute(event, (actor, detail)).unwrap();
    }
    migrate(&mut connection).unwrap();
    let mut statement = connection.prepare("SELECT lower(hex(actor_user_id)) FROM audit_events ORDER BY seq").unwrap();
    let actors: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(actors, events.map(|(_, _, actor)| actor));
}

#[test]
fn an_edited_definition_keeps_its_other_checks() {
    let mut connection = at_version_6();
    let event = |actor, target| {
        format!(
            "INSERT INTO audit_events (at, actor_kind, action, target_kind, outcome)
             VALUES (1, '{actor}', 'user.created', '{target}', 'success')"
        )
    };
    connection.execute(&event("anonymous", "environment"), []).unwrap();
    let cookie = |connection: &Connection| connection.query_row("PRAGMA schema_version", [], |row| row.get(0));
    let before: i64 = cookie(&connection).unwrap();
    migrate(&mut connection).unwrap();
    assert!(cookie(&connection).unwrap() > before, "other connections must read the definitions again");
    assert_eq!(connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)), Ok("ok".to_owned()));
    for actor in ["session", "personal_access_token", "environment_token", "command_line", "anonymous", "system"] {
        connection.execute(&event(actor, "user"), []).unwrap();
    }
    for target in ["user", "session", "personal_access_token", "environment_token", "environment"] {
        connection.execute(&event("system", target), []).unwrap();
    }
    let unknown = [event("nobody", "user"), event("system", "nothing")];
    for event in unknown {
        let refused = connection.execute(&event, []).unwrap_err();
        assert!(refused.to_string().contains("CHECK"), "{refused}");
    }
}

/// The audit trail shows who made a successor, unless the event was pruned.
#[test]
fn an_upgrade_derives_lineages_from_the_audit_trail() {
    let mut connection = at_version_6();
    // The number of a token, that of its predecessor, and who made it according to the audit trail.
    let family = [
        (1, None, None),
        (2, Some(1), Some("personal_access_token")),
        (3, Some(2), Some("session")),
        (4, Some(3), Some("personal_access_token")),
        (5, Some(4), None),
        (7, Some(6), Some("personal_access_token")),
        (8, Some(7), Some("session")),
        (9, Some(8), None),
    ];
    let id = |number: i64| format!("unhex(printf('%032x', {number}))");
    connection.execute_batch(USER).unwrap();
    for (number, predecessor, maker) in family {
        let predecessor = predecessor.map_or("NULL".to_owned(), id);
        let token = format!(
            "INSERT INTO tokens (number, id, owner_id, hash, hint, name, abilities, created_at, family_id, rotated_from,
                                 revoked_at, revoked_reason)
             VALUES ({number}, {}, zeroblob(16), randomblob(32), 'abcd', 'ci', '*', 1, {}, {predecessor}, 1, 'rotated')",
            id(number),
            id(1)
        );
        connection.execute(&token, []).unwrap();
        let Some(maker) = maker else { continue };
        let made = format!(
            "INSERT INTO audit_events (at, user_id, actor_kind, actor_id, action, target_kind, target_id, outcome, detail)
             VALUES (1, zeroblob(16), '{maker}', zeroblob(16), 'token.created', 'personal_access_token', {}, 'success',
                     'rotation')",
            id(number)
        );
        connection.execute(&made, []).unwrap();
    }
    migrate(&mut connection).unwrap();
    let mut statement = connection
        .prepare(
            "SELECT t.number || ' with ' || l.number FROM tokens t JOIN tokens l ON l.id = coalesce(t.lineage_id, t.id)
             ORDER BY t.number",
        )
        .unwrap();
    let lineages: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let expected = ["1 with 1", "2 with 1", "3 with 3", "4 with 3", "5 with 3", "7 with 1", "8 with 8", "9 with 8"];
    assert_eq!(lineages, expected);
}

#[test]
fn an_upgraded_schema_cannot_be_edited() {
    let mut connection = at_version_6();
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true).unwrap();
    migrate(&mut connection).unwrap();
    connection.execute_batch("PRAGMA writable_schema = ON").unwrap();
    assert!(connection.execute("UPDATE sqlite_schema SET sql = ''", []).is_err());
}

#[test]
fn a_step_that_leaves_a_dangling_reference_is_rolled_back() {
    let mut connection = at_version_6();
    let steps = ["INSERT INTO sessions VALUES (zeroblob(16), zeroblob(16), zeroblob(32), NULL, 1, 1, 2)"];
    let refused = migrate_to(&mut connection, SCHEMA, &steps);
    assert!(matches!(refused, Err(MigrationError::Dangling(table)) if table == "sessions"));
    assert_eq!(user_version(&connection), Ok(6));
    migrate(&mut connection).unwrap();
}

#[test]
fn a_failed_step_is_rolled_back() {
    let mut connection = at_version_6();
    let before = shape(&connection);
    let steps = ["CREATE TABLE extra (n INTEGER) STRICT; DROP TABLE sessions; SELECT * FROM nowhere;"];
    assert!(migrate_to(&mut connection, SCHEMA, &steps).is_err());
    assert_eq!(shape(&connection), before);
    assert_eq!(user_version(&connection), Ok(6));
    migrate(&mut connection).unwrap();
}

#[test]
fn a_step_that_fails_while_it_edits_the_schema_leaves_it_protected() {
    let mut connection = at_version_6();
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true).unwrap();
    let steps = ["PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, '16', '17'); nonsense"];
    assert!(migrate_to(&mut connection, SCHEMA, &steps).is_err());
    assert_eq!(connection.query_row("PRAGMA writable_schema", [], |row| row.get(0)), Ok(false));
    assert_eq!(connection.db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE), Ok(true));
    assert!(connection.execute_batch(USER).is_ok(), "a definition was edited");
}

#[test]
fn a_failed_creation_leaves_no_objects() {
    let mut connection = memory();
    assert!(migrate_to(&mut connection, "CREATE TABLE a (b); nonsense", STEPS).is_err());
    assert!(shape(&connection).is_empty());
    assert_eq!(user_version(&connection), Ok(0));
}

#[test]
fn a_newer_database_is_refused() {
    let mut connection = memory();
    migrate(&mut connection).unwrap();
    let known = &STEPS[..STEPS.len() - 1];
    assert!(matches!(migrate_to(&mut connection, SCHEMA, known), Err(MigrationError::Newer(VERSION))));
}

#[test]
fn a_database_from_before_the_first_release_is_refused_and_not_changed() {
    for version in 1..OLDEST {
        let mut connection = at_version_6();
        connection.pragma_update(None, "user_version", version).unwrap();
        let before = shape(&connection);
        assert!(matches!(migrate(&mut connection), Err(MigrationError::TooOld(found)) if found == version));
        assert_eq!((shape(&connection), user_version(&connection)), (before, Ok(version)));
    }
}
