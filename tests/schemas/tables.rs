//! The tables of a schema, as each database describes them.

use std::collections::BTreeMap;

use rusqlite::{Connection, Row};

use crate::server::TestDatabase;

#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    pub(crate) columns: Vec<Column>,
    pub(crate) primary_key: Vec<String>,
    /// The columns of each UNIQUE.
    pub(crate) unique: Vec<Vec<String>>,
    /// Column, table and column that it refers to, and what happens on deletion.
    pub(crate) references: Vec<[String; 4]>,
    pub(crate) indexes: Vec<Index>,
    pub(crate) triggers: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Column {
    pub(crate) name: String,
    /// The type, in the words of the database.
    pub(crate) kind: String,
    pub(crate) is_nullable: bool,
    pub(crate) default: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Index {
    pub(crate) name: String,
    pub(crate) columns: Vec<String>,
    pub(crate) is_unique: bool,
    pub(crate) is_partial: bool,
}

pub(crate) fn of_sqlite(schema: &str) -> rusqlite::Result<BTreeMap<String, Table>> {
    let connection = Connection::open_in_memory()?;
    connection.execute_batch(schema)?;
    let tables = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name <> ?1";
    let names = rows(&connection, tables, "", |row| row.get(0))?;
    names.into_iter().map(|name: String| Ok((name.clone(), table_of_sqlite(&connection, &name)?))).collect()
}

fn table_of_sqlite(connection: &Connection, name: &str) -> rusqlite::Result<Table> {
    let columns = "SELECT name, type, NOT (\"notnull\" OR pk > 0), dflt_value FROM pragma_table_info(?1)";
    let mut table = Table {
        columns: rows(connection, columns, name, |row| {
            Ok(Column { name: row.get(0)?, kind: row.get(1)?, is_nullable: row.get(2)?, default: row.get(3)? })
        })?,
        ..Table::default()
    };
    let key = "SELECT name FROM pragma_table_info(?1) WHERE pk > 0 ORDER BY pk";
    table.primary_key = rows(connection, key, name, |row| row.get(0))?;
    let indexes = "SELECT name, \"unique\", partial, origin FROM pragma_index_list(?1)";
    // An expression has no name. Its text is in the statement that made the index.
    let of_index = "SELECT coalesce(name, (SELECT substr(sql, instr(sql, '(') + 1) FROM sqlite_schema WHERE name = ?1))
         FROM pragma_index_xinfo(?1) WHERE key ORDER BY seqno";
    for (mut index, origin) in rows(connection, indexes, name, |row| {
        let index = Index { name: row.get(0)?, columns: Vec::new(), is_unique: row.get(1)?, is_partial: row.get(2)? };
        Ok((index, row.get::<_, String>(3)?))
    })? {
        index.columns = rows(connection, of_index, &index.name, |row| row.get(0).map(first_column))?;
        match origin.as_str() {
            "c" => table.indexes.push(index),
            "u" => table.unique.push(index.columns),
            _ => {}
        }
    }
    let references = "SELECT \"from\", \"table\", \"to\", on_delete FROM pragma_foreign_key_list(?1)";
    table.references =
        rows(connection, references, name, |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?]))?;
    let triggers = "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ?1";
    table.triggers = rows(connection, triggers, name, |row| row.get(0))?;
    table.sort();
    Ok(table)
}

/// `lower(name)` of the text `lower(name), id) WHERE …`. A name alone stays as it is.
fn first_column(text: String) -> String {
    text.split(", ").next().unwrap_or_default().to_owned()
}

fn rows<T>(
    connection: &Connection,
    sql: &str,
    name: &str,
    read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    connection.prepare(sql)?.query_map([name], read)?.collect()
}

pub(crate) fn of_postgres(database: &TestDatabase) -> BTreeMap<String, Table> {
    let mut tables: BTreeMap<String, Table> = BTreeMap::new();
    let is_table = "c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace";
    // A number that the table gives is no default in SQLite's words.
    let columns = format!(
        "SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity <> '',
                coalesce(pg_get_expr(d.adbin, d.adrelid), '')
         FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
         LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum WHERE {is_table}"
    );
    for [table, name, kind, not_null, is_identity, default] in database.query(&columns) {
        let default = (is_identity == "f" && !default.is_empty()).then(|| match default.as_str() {
            "false" => "0".to_owned(),
            other => other.replace("::text", ""),
        });
        let column = Column { name, kind, is_nullable: not_null == "f", default };
        tables.entry(table).or_default().columns.push(column);
    }
    let keys = format!(
        "SELECT c.relname, k.contype, array_to_string(ARRAY(SELECT attname FROM unnest(k.conkey) WITH ORDINALITY n(number, place)
                JOIN pg_attribute ON attrelid = c.oid AND attnum = n.number ORDER BY n.place), ','),
                coalesce(k.confrelid::regclass::text, ''),
                coalesce((SELECT attname FROM pg_attribute WHERE attrelid = k.confrelid AND attnum = k.confkey[1]), ''),
                CASE k.confdeltype WHEN 'c' THEN 'CASCADE' ELSE 'NO ACTION' END
         FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid WHERE k.contype IN ('p', 'u', 'f') AND {is_table}"
    );
    for [table, kind, columns, to_table, to_column, on_delete] in database.query(&keys) {
        let table = tables.entry(table).or_default();
        let names = columns.split(',').map(str::to_owned).collect();
        match kind.as_str() {
            "p" => table.primary_key = names,
            "u" => table.unique.push(names),
            _ => table.references.push([columns, to_table, to_column, on_delete]),
        }
    }
    let indexes = format!(
        "SELECT c.relname, x.relname, i.indisunique, i.indpred IS NOT NULL,
                (SELECT string_agg(pg_get_indexdef(i.indexrelid, n, true), ',' ORDER BY n)
                 FROM generate_series(1, i.indnkeyatts) n)
         FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_class x ON x.oid = i.indexrelid
         WHERE NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = i.indexrelid AND contype IN ('p', 'u')) AND {is_table}"
    );
    for [table, name, unique, partial, columns] in database.query(&indexes) {
        tables.entry(table).or_default().indexes.push(Index {
            name,
            columns: columns.split(',').map(str::to_owned).collect(),
            is_unique: unique == "t",
            is_partial: partial == "t",
        });
    }
    let triggers = format!(
        "SELECT c.relname, t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
         WHERE NOT t.tgisinternal AND {is_table}"
    );
    for [table, name] in database.query(&triggers) {
        tables.entry(table).or_default().triggers.push(name);
    }
    tables.values_mut().for_each(Table::sort);
    tables
}

impl Table {
    fn sort(&mut self) {
        self.columns.sort();
        self.unique.sort();
        self.references.sort();
        self.indexes.sort();
        self.triggers.sort();
    }
}
