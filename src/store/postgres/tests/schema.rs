//! What the schema itself ensures, and its functions.

use super::TestDatabase;
use crate::domain::{ability::Ability, text::folded};

#[test]
fn an_audit_event_is_only_pruned_or_erased() {
    let Some(database) = TestDatabase::new() else { return };
    database.execute(
        "INSERT INTO audit_events (at, user_id, actor_kind, action, target_kind, outcome, address)
         VALUES (1, '00000000-0000-0000-0000-000000000001', 'system', 'a', 'user', 'success', '192.0.2.1')",
    );
    let refused = |sql: &str| assert!(database.try_execute(sql).is_err(), "{sql}");
    let erasing = |user: u32, change: &str| {
        format!(
            "BEGIN; INSERT INTO audit_erasure VALUES (1, '00000000-0000-0000-0000-00000000000{user}');
             UPDATE audit_events SET {change}; DELETE FROM audit_erasure; COMMIT"
        )
    };
    let digest = "decode(repeat('ab', 32), 'hex')";
    refused("DELETE FROM audit_events");
    refused("TRUNCATE audit_events");
    refused("UPDATE audit_events SET at = at");
    refused(&erasing(2, &format!("address = NULL, erased_address = {digest}")));
    refused(&erasing(1, &format!("address = NULL, erased_address = {digest}, at = 2")));
    refused(&erasing(1, "address = NULL"));
    refused(&erasing(1, &format!("erased_detail = {digest}")));
    database.execute(&erasing(1, &format!("address = NULL, erased_address = {digest}")));
    refused(&erasing(1, "erased_address = NULL"));
    let pruning = |before: u32| {
        format!(
            "BEGIN; INSERT INTO audit_pruning VALUES (1, {before}); DELETE FROM audit_events; DELETE FROM audit_pruning; COMMIT"
        )
    };
    refused(&pruning(1));
    database.execute(&pruning(2));
    assert_eq!(database.read::<i64>("SELECT count(*) FROM audit_events"), 0);
}

#[test]
fn a_seal_is_only_marked_as_pruned() {
    let Some(database) = TestDatabase::new() else { return };
    database.execute(
        "INSERT INTO audit_seals SELECT 1, 'events', 1, 1, 1, 5, 5, key, key FROM attempts_key;
         INSERT INTO audit_seals SELECT 2, 'pruning', 1, 1, 1, 5, 5, key, key FROM attempts_key",
    );
    let refused = |sql: &str| assert!(database.try_execute(sql).is_err(), "{sql}");
    let pruning = |before: u32, change: &str| {
        format!(
            "BEGIN; INSERT INTO audit_pruning VALUES (1, {before}); UPDATE audit_seals SET {change} WHERE number = 1;
             DELETE FROM audit_pruning; COMMIT"
        )
    };
    refused("DELETE FROM audit_seals");
    refused("TRUNCATE audit_seals");
    refused("UPDATE audit_seals SET pruned_by = 2 WHERE number = 1");
    refused(&pruning(5, "pruned_by = 2"));
    refused(&pruning(6, "pruned_by = 2, events = 2"));
    database.execute(&pruning(6, "pruned_by = 2"));
    refused(&pruning(6, "pruned_by = NULL"));
}

#[test]
fn a_node_that_was_fenced_stays_fenced_and_is_deleted_only_when_it_is_gone() {
    let Some(database) = TestDatabase::new() else { return };
    database.execute("INSERT INTO nodes (id, name, version, started_at) VALUES (gen_random_uuid(), 'a', '1', 1)");
    let refused = |sql: &str| assert!(database.try_execute(sql).is_err(), "{sql}");
    refused("DELETE FROM nodes");
    database.execute("UPDATE nodes SET state = 'fencing'");
    refused("DELETE FROM nodes");
    refused("UPDATE nodes SET state = 'active'");
    database.execute("UPDATE nodes SET state = 'gone'");
    refused("UPDATE nodes SET state = 'fencing'");
    database.execute("DELETE FROM nodes");
}

#[test]
fn names_are_folded_as_the_program_folds_them() {
    let Some(database) = TestDatabase::new() else { return };
    for name in
        ["CI Bot_1 [x]", "Straße", "STRASSE", "ΟΔΟΣ Οδός ς", "İstanbul ı", "ﬁ Ǆ ǅ ŉ", "Å Å ａＢ", "ДЖ ѓ", "µ ſ ẞ"]
    {
        let in_database = database.read::<String>(&format!("SELECT folded('{name}')"));
        assert_eq!(in_database, folded(name), "{name}");
    }
}

#[test]
fn abilities_cover_in_the_database_what_they_cover_in_the_program() {
    let Some(database) = TestDatabase::new() else { return };
    let abilities = [
        "*",
        "calls:*",
        "calls:read",
        "calls:read:*",
        "call",
        "admin",
        "admin:*",
        "admin:read",
        "tokens:*",
        "tokens:introspect",
        "a_c",
        "a.c",
    ];
    for held in abilities {
        for needed in abilities {
            let covers = Ability::parse(held).is_ok_and(|ability| ability.covers(needed));
            let in_database = database.read::<bool>(&format!("SELECT covers('x:y {held}', '{needed}')"));
            assert_eq!(in_database, covers, "{held} {needed}");
        }
    }
    assert!(!database.read::<bool>("SELECT covers('', 'x')"));
}

#[test]
fn metadata_include_keys_with_their_values() {
    let Some(database) = TestDatabase::new() else { return };
    let includes =
        |metadata: &str, wanted: &str| database.read::<bool>(&format!("SELECT has_metadata({metadata}, '{wanted}')"));
    let metadata = r#"'{"team":"Ünïcode","stage":"a\"b\\u0041"}'"#;
    assert!(includes(metadata, r#"{"team":"Ünïcode"}"#) && includes(metadata, r#"{"stage":"a\"b\\u0041"}"#));
    assert!(!includes(metadata, r#"{"team":"unicode"}"#) && !includes(metadata, r#"{"team":"Ünïcode","owner":"x"}"#));
    assert!(!includes("NULL", r#"{"team":"x"}"#));
}
