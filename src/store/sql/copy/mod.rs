//! Copies all rows of a database into a new one of another kind.
//!
//! Nothing else uses the two databases meanwhile. Rows are read in the order of their key and written in transactions of some
//! hundred, so the largest key in the target tells how far an interrupted copy came. In the end, both databases are read
//! again, and each table is compared.
//!
//! A row in `database_copy` marks the target from the first transaction to the last. No server opens a database with that
//! row. It holds a digest of random values of the source, so that a second run knows whether it has the same source.
//!
//! A user and the environment that they work in refer to each other. So a user is first written with a placeholder, an
//! environment with the nil identifier, and gets the real one when all environments are there. The placeholder disappears
//! with the mark.

mod rows;
pub(crate) mod tables;

use uuid::Uuid;

use self::{
    rows::{Contents, Values},
    tables::{Peculiarity, TABLES, Table},
};
use super::connection::{Connection, NONE, Value, named, numbered};
use crate::store::{Copied, CopyError, CopyProgress, CopySide, StoreError};

/// One of the two databases. Its calls block.
pub(crate) trait CopyEnd {
    /// Whether no number is skipped, as by a transaction that was rolled back.
    const NUMBERS_WITHOUT_GAPS: bool;

    /// Runs a read.
    fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + Unpin + 'static,
        F: FnOnce(&dyn Connection) -> Result<T, StoreError> + Send + 'static;

    /// Runs a transaction. `work` may run twice.
    fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + Unpin + 'static,
        F: FnMut(&dyn Connection) -> Result<T, StoreError> + Send + 'static;

    /// The last number that the database has given to a row of a table, or 0.
    fn last_number(connection: &dyn Connection, table: &str, column: &str) -> Result<i64, StoreError>;

    /// Lets the database go on behind a number.
    fn number_after(connection: &dyn Connection, table: &str, column: &str, last: i64) -> Result<(), StoreError>;

    /// The name of a node that uses the database, if one does. A file needs no look: its locks keep others out.
    fn active_node(&self) -> Result<Option<String>, StoreError>;
}

/// Whether the database has the mark of a copy that has not ended.
pub(crate) fn is_unfinished(connection: &dyn Connection) -> Result<bool, StoreError> {
    connection.exists("SELECT 1 FROM database_copy", NONE)
}

/// Whether the database can be copied. Ask before the target is opened, because that creates one that is missing.
pub(crate) fn expect_complete_source(source: &impl CopyEnd) -> Result<(), CopyError> {
    expect_unused(source, CopySide::Source)?;
    source_identity(source).map(drop)
}

/// Copies everything, or goes on with a copy of the same source.
pub(crate) fn copy<S: CopyEnd, T: CopyEnd>(
    source: &S,
    target: &T,
    on_progress: &mut dyn FnMut(CopyProgress),
) -> Result<Copied, CopyError> {
    expect_stopped(source, target)?;
    let identity = source_identity(source)?;
    let was_resumed = begin(target, identity)?;
    let mut progress = Progress { done: 0, all: 0, report: on_progress };
    for table in TABLES {
        progress.all += 3 * counted(source, table);
    }
    for table in TABLES {
        copy_table(source, target, table, &mut progress)?;
    }
    for table in TABLES {
        match table.peculiarity {
            Peculiarity::Forward(column) => set_references(source, target, table, column)?,
            Peculiarity::Numbered => continue_numbers(source, target, table)?,
            _ => {}
        }
    }
    let mut rows = 0;
    for table in TABLES {
        rows += compare(source, target, table, &mut progress)?;
    }
    expect_stopped(source, target)?;
    target.write(finish).map_err(from_target)?;
    Ok(Copied { tables: TABLES.len(), rows, was_resumed })
}

struct Progress<'p> {
    done: u64,
    all: u64,
    report: &'p mut dyn FnMut(CopyProgress),
}

impl Progress<'_> {
    fn add(&mut self, rows: u64, table: &Table, is_comparing: bool) {
        self.done += rows;
        (self.report)(CopyProgress { done: self.done, all: self.all, table: table.name, is_comparing });
    }
}

fn from_source(error: StoreError) -> CopyError {
    CopyError::Store(CopySide::Source, error)
}

fn from_target(error: StoreError) -> CopyError {
    CopyError::Store(CopySide::Target, error)
}

fn expect_stopped(source: &impl CopyEnd, target: &impl CopyEnd) -> Result<(), CopyError> {
    expect_unused(source, CopySide::Source)?;
    expect_unused(target, CopySide::Target)
}

fn expect_unused(end: &impl CopyEnd, side: CopySide) -> Result<(), CopyError> {
    match end.active_node().map_err(|error| CopyError::Store(side, error))? {
        Some(node) => Err(CopyError::InUse(side, node)),
        None => Ok(()),
    }
}

fn source_identity(source: &impl CopyEnd) -> Result<[u8; 32], CopyError> {
    source.read(identity).map_err(from_source)?.ok_or(CopyError::UnfinishedSource)
}

/// A digest of values that every new database draws at random. `None` for a database that is not complete.
fn identity(connection: &dyn Connection) -> Result<Option<[u8; 32]>, StoreError> {
    if is_unfinished(connection)? {
        return Ok(None);
    }
    let read = |sql| connection.one(sql, NONE, |row| row.get::<[u8; 32]>(0));
    let mut digest = blake3::Hasher::new_derive_key("patd 2026 source of a database copy");
    digest.update(&read("SELECT key FROM attempts_key")?);
    let salt = "SELECT salt FROM audit_salts WHERE user_id = :user_id";
    let nobody = named! {":user_id": Uuid::max()};
    digest.update(&connection.one(salt, nobody, |row| row.get::<[u8; 32]>(0))?);
    Ok(Some(*digest.finalize().as_bytes()))
}

/// Marks the target, unless it has the mark. Returns whether it had.
fn begin(target: &impl CopyEnd, identity: [u8; 32]) -> Result<bool, CopyError> {
    let begun = target.write(move |connection| {
        let marked = connection.optional("SELECT source FROM database_copy", NONE, |row| row.get::<[u8; 32]>(0))?;
        if let Some(source) = marked {
            return Ok(if source == identity { Ok(true) } else { Err(CopyError::OtherSource) });
        }
        for table in TABLES.iter().filter(|table| table.peculiarity != Peculiarity::Replaced) {
            if connection.exists(&format!("SELECT 1 FROM {} LIMIT 1", table.name), NONE)? {
                return Ok(Err(CopyError::NotEmpty(table.name)));
            }
        }
        for table in TABLES.iter().filter(|table| table.peculiarity == Peculiarity::Replaced) {
            connection.execute(&format!("DELETE FROM {}", table.name), NONE)?;
        }
        connection.execute("INSERT INTO database_copy (only_row, source) VALUES (1, ?1)", numbered![identity])?;
        connection.execute(
            "INSERT INTO users (id, name, created_at, kind) VALUES (?1, 'Placeholder of a copy', 0, 'service_account')",
            numbered![Uuid::nil()],
        )?;
        connection.execute(
            "INSERT INTO environments (id, owner_id, name, is_default, created_at)
             VALUES (?1, ?1, 'Placeholder of a copy', FALSE, 0)",
            numbered![Uuid::nil()],
        )?;
        Ok(Ok(false))
    });
    begun.map_err(from_target)?
}

/// Removes the placeholder and the mark.
fn finish(connection: &dyn Connection) -> Result<(), StoreError> {
    connection.execute("DELETE FROM environments WHERE id = ?1", numbered![Uuid::nil()])?;
    connection.execute("DELETE FROM users WHERE id = ?1", numbered![Uuid::nil()])?;
    connection.execute("DELETE FROM database_copy", NONE).map(drop)
}

/// How many rows a table has, for the progress alone. 0 if it takes too long to count them.
fn counted(end: &impl CopyEnd, table: &Table) -> u64 {
    let count = format!("SELECT count(*) FROM {}", table.name);
    end.read(move |connection| connection.one(&count, NONE, |row| row.get::<i64>(0))).map_or(0, i64::unsigned_abs)
}

/// Writes the rows that have not arrived.
fn copy_table(
    source: &impl CopyEnd,
    target: &impl CopyEnd,
    table: &'static Table,
    progress: &mut Progress<'_>,
) -> Result<(), CopyError> {
    let mut after = target.read(move |connection| rows::last_key(connection, table)).map_err(from_target)?;
    if after != table.start() {
        progress.add(counted(target, table), table, false);
    }
    loop {
        let mut batch = read_batch(source, table, after)?;
        let Some(last) = batch.last() else { return Ok(()) };
        after = table.key_of(last);
        let rows = batch.len();
        if let Peculiarity::Forward(column) = table.peculiarity {
            for reference in batch.iter_mut().map(|row| &mut row[column]) {
                if matches!(reference, Value::Id(_)) {
                    *reference = Value::Id(Uuid::nil());
                }
            }
        }
        target.write(move |connection| rows::insert(connection, table, &batch, "")).map_err(from_target)?;
        progress.add(rows as u64, table, false);
        if rows < table.batch {
            return Ok(());
        }
    }
}

fn read_batch(source: &impl CopyEnd, table: &'static Table, after: Values) -> Result<Vec<Values>, CopyError> {
    source.read(move |connection| rows::read(connection, table, &after)).map_err(from_source)
}

/// Replaces the placeholder in a column by what the source has.
fn set_references(
    source: &impl CopyEnd,
    target: &impl CopyEnd,
    table: &'static Table,
    column: usize,
) -> Result<(), CopyError> {
    let name = table.columns[column].0;
    let first = format!("SELECT 1 FROM {} WHERE {name} = ?1 LIMIT 1", table.name);
    let is_open = move |connection: &dyn Connection| connection.exists(&first, numbered![Uuid::nil()]);
    let update = format!("ON CONFLICT (id) DO UPDATE SET {name} = excluded.{name}");
    let mut after = table.start();
    while target.read(is_open.clone()).map_err(from_target)? {
        let batch = read_batch(source, table, after)?;
        let Some(last) = batch.last() else { return Ok(()) };
        after = table.key_of(last);
        let update = update.clone();
        target.write(move |connection| rows::insert(connection, table, &batch, &update)).map_err(from_target)?;
    }
    Ok(())
}

/// Numbers that the source gave to rows which it deleted are not given again.
fn continue_numbers<S: CopyEnd, T: CopyEnd>(source: &S, target: &T, table: &'static Table) -> Result<(), CopyError> {
    let column = table.columns[table.key[0]].0;
    let last = source.read(move |connection| S::last_number(connection, table.name, column)).map_err(from_source)?;
    if last > 0 {
        target.write(move |connection| T::number_after(connection, table.name, column, last)).map_err(from_target)?;
    }
    Ok(())
}

/// Compares what the two have. Returns how many rows that is.
fn compare(
    source: &impl CopyEnd,
    target: &impl CopyEnd,
    table: &'static Table,
    progress: &mut Progress<'_>,
) -> Result<u64, CopyError> {
    let source = contents(source, table, progress).map_err(from_source)?;
    let target = contents(target, table, progress).map_err(from_target)?;
    match source.is_equal(&target) {
        true => Ok(source.rows),
        false => Err(CopyError::Differs { table: table.name, source_rows: source.rows, target_rows: target.rows }),
    }
}

fn contents(end: &impl CopyEnd, table: &'static Table, progress: &mut Progress<'_>) -> Result<Contents, StoreError> {
    let mut contents = Contents::new(table);
    let mut after = table.start();
    loop {
        let (mut more, from) = (contents.clone(), after);
        let (read, last) = end.read(move |connection| {
            let last = more.add_batch(connection, table, &from)?;
            Ok((more, last))
        })?;
        progress.add(read.rows - contents.rows, table, true);
        contents = read;
        match last {
            Some(last) => after = last,
            None => return Ok(contents),
        }
    }
}
