//! The export has every column that is about a user, and the deletion erases every such column.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::{
    domain::export::ExportValue,
    store::{
        Export, ExportPosition,
        sql::export::{EXCEPTIONS, SECTIONS},
    },
};

/// The columns of all tables.
fn columns(connection: &Connection) -> BTreeMap<String, BTreeSet<String>> {
    let mut tables = connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").unwrap();
    let names = tables.query_map([], |row| row.get::<_, String>(0)).unwrap().map(Result::unwrap);
    let of = |table: &str| {
        let mut info = connection.prepare(&format!("PRAGMA table_info({table})")).unwrap();
        info.query_map([], |row| row.get(1)).unwrap().map(Result::unwrap).collect()
    };
    names.map(|table| (table.clone(), of(&table))).collect()
}

#[test]
fn every_column_is_exported_or_an_exception_with_a_reason() {
    let directory = directory();
    let path = made(&directory);
    let columns = columns(&Connection::open(path).unwrap());
    for (table, columns) in &columns {
        for column in columns {
            let is_exported = SECTIONS
                .iter()
                .any(|section| section.table == table && section.columns.iter().any(|(name, _)| name == column));
            let is_exception = EXCEPTIONS.iter().any(|(of, name, _)| of == table && (name == column || *name == "*"));
            assert!(is_exported != is_exception, "{table}.{column}: export it, or say why not, and not both");
        }
    }
    for (table, column, _) in EXCEPTIONS {
        assert!(columns[*table].contains(*column) || *column == "*", "{table}.{column} does not exist");
    }
}

/// The tables whose rows outlive their user, and what the deletion does with each column of a user's rows.
const OUTLIVE: &[(&str, &str, &str)] = &[
    ("audit_events", "seq", "a number"),
    ("audit_events", "at", "what happened stays"),
    ("audit_events", "user_id", "ids stay"),
    ("audit_events", "actor_kind", "what happened stays"),
    ("audit_events", "actor_id", "ids stay"),
    ("audit_events", "actor_user_id", "ids stay"),
    ("audit_events", "action", "what happened stays"),
    ("audit_events", "target_kind", "what happened stays"),
    ("audit_events", "target_id", "ids stay"),
    ("audit_events", "address", "erased"),
    ("audit_events", "request_id", "the id of a request, as in the log"),
    ("audit_events", "outcome", "what happened stays"),
    ("audit_events", "detail", "erased if it has an address or a user agent"),
    ("audit_events", "erased_address", "a digest whose salt is deleted"),
    ("audit_events", "erased_detail", "a digest whose salt is deleted"),
    ("audit_salts", "*", "deleted"),
    ("audit_seals", "*", "digests over events of everybody"),
    ("audit_erasure", "*", "has no rows outside of a transaction"),
    ("audit_pruning", "*", "has no rows outside of a transaction"),
    ("attempts", "*", "keyed hashes, deleted when the counter is at rest"),
    ("attempts_key", "*", "a random number"),
    ("log_binding", "*", "about the file"),
    ("owed_scrub", "*", "about the file"),
    ("write_probes", "*", "about the file"),
    ("clock", "*", "about the server"),
    ("database_copy", "*", "has no rows when a server runs"),
    ("token_usage_counting", "*", "about the server"),
    ("token_usage_batches", "*", "about the server"),
    ("sqlite_sequence", "*", "SQLite's counters"),
];

/// Rows that refer to a user, or to rows that do, are deleted with the user.
#[test]
fn every_column_is_deleted_with_the_user_or_has_a_reason_to_stay() {
    let directory = directory();
    let connection = Connection::open(made(&directory)).unwrap();
    let columns = columns(&connection);
    let mut deleted = BTreeSet::from(["users".to_owned()]);
    loop {
        let before = deleted.len();
        for table in columns.keys() {
            let mut keys = connection.prepare(&format!("PRAGMA foreign_key_list({table})")).unwrap();
            let cascades = keys
                .query_map([], |row| Ok((row.get::<_, String>("table")?, row.get::<_, String>("on_delete")?)))
                .unwrap()
                .map(Result::unwrap)
                .any(|(parent, on_delete)| deleted.contains(&parent) && on_delete == "CASCADE");
            if cascades {
                deleted.insert(table.clone());
            }
        }
        if deleted.len() == before {
            break;
        }
    }
    for (table, columns) in &columns {
        for column in columns {
            let stays = OUTLIVE.iter().any(|(of, name, _)| of == table && (name == column || *name == "*"));
            assert!(deleted.contains(table) != stays, "{table}.{column}: delete it with the user, or say why it stays");
        }
    }
}

/// A user with an open link has no session, so only an administrator can export it.
#[test]
fn an_open_password_link_is_exported_for_its_user_only() {
    let directory = directory();
    let store = open(&directory);
    let (ada, eve) = (person("ada"), person("eve"));
    for user in [&ada, &eve] {
        wait(store.add_user(user.clone(), password(), by())).unwrap();
    }
    let id = ada.id.uuid().into_bytes();
    let insert = "INSERT INTO password_links (user_id, hash, created_at, expires_at) VALUES (?1, randomblob(32), 5, 9)";
    wait(store.writer.submit(Vec::new(), move |connection| Ok(connection.execute(insert, [&id])?))).unwrap();
    let links = |user: &User| {
        let (mut rows, mut position) = (Vec::new(), ExportPosition::default());
        while let Some(batch) = wait(store.export(user.id, position)).unwrap() {
            if batch.section == "password_links" {
                rows.extend(batch.rows);
            }
            position = batch.next;
        }
        rows
    };
    let at = |seconds| ExportValue::Time(Timestamp::from_unix(seconds));
    let expected = vec![("user_id", ExportValue::Id(ada.id.uuid())), ("created_at", at(5)), ("expires_at", at(9))];
    assert_eq!((links(&ada), links(&eve)), (vec![expected], vec![]));
}

#[test]
fn every_section_uses_indexes_and_sorts_nothing() {
    let directory = directory();
    let store = open(&directory);
    for section in SECTIONS {
        let plan = statements::plan(&store, &section.sql());
        let is_slow = |step: &String| step.starts_with("SCAN") || step.contains("TEMP B-TREE");
        assert!(!plan.iter().any(is_slow), "{}: {plan:?}", section.name);
    }
}
