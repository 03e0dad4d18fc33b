//! Reads and writes rows of any table, in the order of its key.

use std::ops::ControlFlow;

use uuid::Uuid;

use super::tables::{Peculiarity, Table};
use crate::store::{
    StoreError,
    sql::connection::{Connection, Kind, NONE, Parameters, Row, Value},
};

/// A row, or the key of one.
pub(super) type Values = Vec<Value<'static>>;

/// How many rows a table has, and a digest over them in the order of their key.
#[derive(Clone, Debug)]
pub(super) struct Contents {
    pub(super) rows: u64,
    digest: blake3::Hasher,
}

impl Contents {
    pub(super) fn new(table: &Table) -> Self {
        let mut digest = blake3::Hasher::new_derive_key("patd 2026 rows of a table");
        digest.update(table.name.as_bytes());
        Self { rows: 0, digest }
    }

    fn add(&mut self, row: &Values) {
        self.rows += 1;
        for value in row {
            let number;
            let (kind, bytes): (u8, &[u8]) = match value {
                Value::Null(_) => (0, &[]),
                Value::Integer(value) => {
                    number = value.to_le_bytes();
                    (1, &number)
                }
                Value::Flag(false) => (2, &[0]),
                Value::Flag(true) => (2, &[1]),
                Value::Text(text) => (3, text.as_bytes()),
                Value::Bytes(bytes) => (4, bytes),
                Value::Id(id) => (5, id.as_bytes()),
            };
            self.digest.update(&[kind]).update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
        }
    }

    pub(super) fn is_equal(&self, other: &Self) -> bool {
        self.rows == other.rows && self.digest.finalize() == other.digest.finalize()
    }

    /// Adds the rows behind `after`, at most one batch. Returns the key of the last, or `None` if there are no more.
    pub(super) fn add_batch(
        &mut self,
        connection: &dyn Connection,
        table: &Table,
        after: &Values,
    ) -> Result<Option<Values>, StoreError> {
        let rows = read(connection, table, after)?;
        rows.iter().for_each(|row| self.add(row));
        Ok(rows.last().map(|row| table.key_of(row)))
    }
}

impl Table {
    /// The key that comes before all others. No row has it: there is no empty address, scope or name.
    pub(super) fn start(&self) -> Values {
        let first = |at: &usize| match self.columns[*at].1 {
            Kind::Id => Value::Id(Uuid::nil()),
            Kind::Integer if self.peculiarity == Peculiarity::Descending => Value::Integer(i64::MAX),
            Kind::Integer | Kind::Flag => Value::Integer(i64::MIN),
            Kind::Text => Value::Text("".into()),
            Kind::Bytes => Value::Bytes(Vec::new().into()),
        };
        self.key.iter().map(first).collect()
    }

    pub(super) fn key_of(&self, row: &Values) -> Values {
        self.key.iter().map(|at| row[*at].clone()).collect()
    }

    /// `ORDER BY` with the key, forwards or backwards.
    fn order(&self, is_backwards: bool) -> String {
        let direction = if (self.peculiarity == Peculiarity::Descending) == is_backwards { "" } else { " DESC" };
        let key = self.key.iter().map(|at| format!("{}{direction}", self.columns[*at].0));
        format!("ORDER BY {}", key.collect::<Vec<_>>().join(", "))
    }

    fn names(&self, columns: impl Iterator<Item = usize>) -> String {
        columns.map(|at| self.columns[at].0).collect::<Vec<_>>().join(", ")
    }

    fn all_names(&self) -> String {
        self.names(0..self.columns.len())
    }

    fn key_names(&self) -> String {
        self.names(self.key.iter().copied())
    }

    /// Reads a batch behind a key.
    pub(in crate::store) fn read_statement(&self) -> String {
        let compares = if self.peculiarity == Peculiarity::Descending { "<" } else { ">" };
        let after: Vec<String> = (1..=self.key.len()).map(|number| format!("?{number}")).collect();
        format!(
            "SELECT {} FROM {} WHERE ({}) {compares} ({}) {} LIMIT {}",
            self.all_names(),
            self.name,
            self.key_names(),
            after.join(", "),
            self.order(false),
            self.batch
        )
    }

    /// Reads the last key.
    pub(in crate::store) fn last_statement(&self) -> String {
        format!("SELECT {} FROM {} {} LIMIT 1", self.key_names(), self.name, self.order(true))
    }

    fn insert_statement(&self, rows: usize, otherwise: &str) -> String {
        let width = self.columns.len();
        let row = |row: usize| {
            let values: Vec<String> = (1..=width).map(|column| format!("?{}", row * width + column)).collect();
            format!("({})", values.join(", "))
        };
        let rows: Vec<String> = (0..rows).map(row).collect();
        format!("INSERT INTO {} ({}) VALUES {} {otherwise}", self.name, self.all_names(), rows.join(", "))
    }
}

/// The rows behind `after`, at most one batch.
pub(super) fn read(connection: &dyn Connection, table: &Table, after: &Values) -> Result<Vec<Values>, StoreError> {
    let mut rows = Vec::new();
    connection.each(&table.read_statement(), Parameters::Numbered(after), &mut |row| {
        let values = table.columns.iter().enumerate().map(|(at, (_, kind))| value(row, at, *kind));
        rows.push(values.collect::<Result<_, _>>()?);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(rows)
}

/// The key of the last row, or the one before all others.
pub(super) fn last_key(connection: &dyn Connection, table: &Table) -> Result<Values, StoreError> {
    let key =
        |row: &dyn Row| table.key.iter().enumerate().map(|(at, of)| value(row, at, table.columns[*of].1)).collect();
    let last = connection.optional(&table.last_statement(), NONE, key)?;
    Ok(last.unwrap_or_else(|| table.start()))
}

/// Inserts rows, all at once. `otherwise` says what happens where a row exists.
pub(super) fn insert(
    connection: &dyn Connection,
    table: &Table,
    rows: &[Values],
    otherwise: &str,
) -> Result<(), StoreError> {
    let values: Values = rows.iter().flatten().cloned().collect();
    connection.execute(&table.insert_statement(rows.len(), otherwise), Parameters::Numbered(&values)).map(drop)
}

fn value(row: &dyn Row, at: usize, kind: Kind) -> Result<Value<'static>, StoreError> {
    Ok(match kind {
        Kind::Id => row.id(at)?.into(),
        Kind::Integer => row.integer(at)?.into(),
        Kind::Flag => row.flag(at)?.into(),
        Kind::Text => row.optional_text(at)?.map(str::to_owned).into(),
        Kind::Bytes => row.bytes(at)?.map_or(Value::Null(Kind::Bytes), |bytes| Value::Bytes(bytes.to_vec().into())),
    })
}
