//! `schema.sql` and `schema.postgres.sql` describe the same tables. PostgreSQL itself is asked about its schema; without a
//! server only the texts are compared. `tests/run` provides one, and so does `tests/postgres cargo test --test schemas`.

mod conditions;
mod server;
mod tables;

use std::collections::BTreeMap;

use self::{
    server::TestDatabase,
    tables::{Column, Index, Table},
};

const SQLITE: &str = include_str!("../../schema.sql");
const POSTGRES: &str = include_str!("../../schema.postgres.sql");

/// About the file alone: its log, the probe of its disk, and the scrub of its pages.
const ONLY_SQLITE: [&str; 3] = ["log_binding", "owed_scrub", "write_probes"];

/// About several nodes, and the version that SQLite keeps in the head of the file.
const ONLY_POSTGRES: [&str; 6] =
    ["change_counter", "changes", "housekeeping", "nodes", "rate_permits", "schema_version"];

/// The tables that both have, as SQLite and as PostgreSQL describe them.
fn shared_tables(database: &TestDatabase) -> (BTreeMap<String, Table>, BTreeMap<String, Table>) {
    let (mut sqlite, mut postgres) =
        (tables::of_sqlite(SQLITE).expect("a sound schema"), tables::of_postgres(database));
    for (tables, own) in [(&mut sqlite, ONLY_SQLITE.as_slice()), (&mut postgres, ONLY_POSTGRES.as_slice())] {
        for table in own {
            assert!(tables.remove(*table).is_some(), "{table} is there");
        }
    }
    assert!(sqlite.len() > 15, "the tables were found: {:?}", sqlite.keys());
    (sqlite, postgres)
}

#[test]
fn both_schemas_have_the_same_tables_and_columns() {
    let Some(database) = TestDatabase::new(POSTGRES) else { return };
    let (sqlite, postgres) = shared_tables(&database);
    let columns = |tables: &BTreeMap<String, Table>| -> Vec<(String, Vec<Column>)> {
        tables.iter().map(|(name, table)| (name.clone(), table.columns.clone())).collect()
    };
    // SQLite has no identifiers and flags, so its conditions tell them from other bytes and integers.
    let kinds = conditions::column_kinds(SQLITE);
    for (name, columns) in columns(&postgres) {
        for column in columns {
            let kind = kinds.get(&(name.clone(), column.name.clone())).map(String::as_str);
            let expected = match column.kind.as_str() {
                "uuid" => "identifier",
                "bytea" => "bytes",
                "boolean" => "flag",
                "bigint" | "integer" => "integer",
                other => other,
            };
            assert_eq!(kind, Some(expected), "{name}.{}", column.name);
        }
    }
    let without_kinds = |tables: Vec<(String, Vec<Column>)>| -> Vec<(String, Vec<Column>)> {
        let forget = |column: Column| Column { kind: String::new(), ..column };
        tables.into_iter().map(|(name, columns)| (name, columns.into_iter().map(forget).collect())).collect()
    };
    assert_eq!(without_kinds(columns(&postgres)), without_kinds(columns(&sqlite)));
}

#[test]
fn both_schemas_have_the_same_keys() {
    let Some(database) = TestDatabase::new(POSTGRES) else { return };
    let (sqlite, postgres) = shared_tables(&database);
    let keys = |tables: BTreeMap<String, Table>| -> Vec<_> {
        tables.into_iter().map(|(name, table)| (name, table.primary_key, table.unique, table.references)).collect()
    };
    assert_eq!(keys(postgres), keys(sqlite));
}

#[test]
fn both_schemas_have_the_same_indexes_and_triggers() {
    let Some(database) = TestDatabase::new(POSTGRES) else { return };
    let (sqlite, postgres) = shared_tables(&database);
    for (name, table) in &sqlite {
        let found = &postgres[name];
        let names = |indexes: &[Index]| indexes.iter().map(|index| index.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&found.indexes), names(&table.indexes), "{name}");
        for (found, index) in found.indexes.iter().zip(&table.indexes) {
            assert_eq!((found.is_unique, found.is_partial), (index.is_unique, index.is_partial), "{}", index.name);
            // SQLite reads columns of the condition from the index, so some indexes have them at their end.
            assert!(index.columns.starts_with(&found.columns), "{}: {:?}", index.name, found.columns);
        }
        // PostgreSQL also knows TRUNCATE.
        let missing: Vec<_> = table.triggers.iter().filter(|name| !found.triggers.contains(name)).collect();
        assert!(missing.is_empty(), "{name}: {missing:?}");
    }
}

#[test]
fn both_schemas_check_the_same_conditions() {
    let (mut sqlite, mut postgres) = (conditions::of_sqlite(SQLITE), conditions::of_postgres(POSTGRES));
    sqlite.retain(|(table, _)| !ONLY_SQLITE.contains(&table.as_str()));
    postgres.retain(|(table, _)| !ONLY_POSTGRES.contains(&table.as_str()));
    assert!(sqlite.len() > 50, "the conditions were found: {sqlite:?}");
    let missing: Vec<_> = sqlite.difference(&postgres).collect();
    let added: Vec<_> = postgres.difference(&sqlite).collect();
    assert!(missing.is_empty() && added.is_empty(), "missing: {missing:#?}\nadded: {added:#?}");
}
