//! A copy of a database, here from one file to another: whole, interrupted and disturbed.

use std::{cell::Cell, collections::BTreeSet, fs};

use rusqlite::types::Value;

use super::*;
use crate::store::{
    Copied, CopyError, CopyProgress, CopySide,
    sql::{
        self,
        connection::{Kind, NONE},
        copy::{
            CopyEnd,
            tables::{EXCEPTIONS, TABLES},
        },
    },
};

/// A file with rows in every table.
pub(super) fn full(directory: &TempDir) -> PathBuf {
    let path = database(directory);
    drop(SqliteStore::open(&settings(&path), Access::Create).unwrap());
    settle(&path);
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch("PRAGMA foreign_keys = ON").unwrap();
    connection.execute_batch(include_str!("copy.sql")).unwrap();
    path
}

pub(super) fn end(path: &Path, access: Access) -> SqliteCopyEnd {
    SqliteCopyEnd::open(&settings(path), access).unwrap()
}

fn copy(source: &Path, target: &Path) -> Result<Copied, CopyError> {
    let (source, target) = (end(source, Access::CopySource), end(target, Access::CopyTarget));
    sql::copy::copy(&source, &target, &mut |_| {})
}

/// All rows of all tables, read without the code of the copy.
fn rows(path: &Path) -> Vec<(&'static str, Vec<String>)> {
    let connection = Connection::open(path).unwrap();
    let rows = |table: &str| {
        let mut statement = connection.prepare(&format!("SELECT * FROM {table}")).unwrap();
        let width = statement.column_count();
        let row = statement.query_map([], |row| (0..width).map(|at| row.get::<_, Value>(at)).collect());
        let mut rows: Vec<String> = row.unwrap().map(|row: Result<Vec<_>, _>| format!("{:?}", row.unwrap())).collect();
        rows.sort();
        rows
    };
    let names = TABLES.iter().map(|table| table.name).chain(["sqlite_sequence", "database_copy"]);
    names.map(|name| (name, rows(name))).collect()
}

/// Differences by table, because all rows would fill the screen.
fn differing(source: &Path, target: &Path) -> Vec<&'static str> {
    let (source, target) = (rows(source), rows(target));
    source.iter().zip(&target).filter(|(source, target)| source != target).map(|(source, _)| source.0).collect()
}

/// A database that fails after some transactions, as if the process had been killed, or that a node begins to use.
struct Interrupted<'e> {
    end: &'e SqliteCopyEnd,
    left: Cell<u32>,
    /// At which look a node uses it.
    node_at: Cell<Option<u32>>,
}

impl<'e> Interrupted<'e> {
    fn after(transactions: u32, end: &'e SqliteCopyEnd) -> Self {
        Self { end, left: Cell::new(transactions), node_at: Cell::new(None) }
    }
}

impl CopyEnd for Interrupted<'_> {
    const NUMBERS_WITHOUT_GAPS: bool = true;

    fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + Unpin + 'static,
        F: FnOnce(&dyn sql::connection::Connection) -> Result<T, StoreError> + Send + 'static,
    {
        self.end.read(work)
    }

    fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + Unpin + 'static,
        F: FnMut(&dyn sql::connection::Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let Some(left) = self.left.get().checked_sub(1) else {
            return Err(StoreError::NotMade("interrupted".to_owned()));
        };
        self.left.set(left);
        self.end.write(work)
    }

    fn last_number(connection: &dyn sql::connection::Connection, table: &str, column: &str) -> Result<i64, StoreError> {
        SqliteCopyEnd::last_number(connection, table, column)
    }

    fn number_after(
        connection: &dyn sql::connection::Connection,
        table: &str,
        column: &str,
        last: i64,
    ) -> Result<(), StoreError> {
        SqliteCopyEnd::number_after(connection, table, column, last)
    }

    fn active_node(&self) -> Result<Option<String>, StoreError> {
        let looks = self.node_at.get();
        self.node_at.set(looks.and_then(|looks| looks.checked_sub(1)));
        Ok((looks == Some(0)).then(|| "a node".to_owned()))
    }
}

/// Copies until that many transactions have been written.
fn copy_part(source: &Path, target: &Path, transactions: u32) -> Result<Copied, CopyError> {
    let (source, target) = (end(source, Access::CopySource), end(target, Access::CopyTarget));
    let target = Interrupted::after(transactions, &target);
    sql::copy::copy(&source, &target, &mut |_| {})
}

/// How many transactions a copy takes.
fn transactions(source: &Path) -> u32 {
    let to = directory();
    let (source, target) = (end(source, Access::CopySource), end(&database(&to), Access::CopyTarget));
    let target = Interrupted::after(u32::MAX, &target);
    sql::copy::copy(&source, &target, &mut |_| {}).unwrap();
    u32::MAX - target.left.get()
}

#[test]
fn every_table_and_column_is_copied_or_an_exception_with_a_reason() {
    let directory = directory();
    let connection = Connection::open(made(&directory)).unwrap();
    let mut names = connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").unwrap();
    let names: BTreeSet<String> = names.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let postgres = include_str!("../../../../schema.postgres.sql");
    let in_postgres = |name: &str| postgres.contains(&format!("CREATE TABLE {name} ("));
    for name in names
        .iter()
        .map(String::as_str)
        .chain(postgres.lines().filter_map(|line| line.strip_prefix("CREATE TABLE ")?.strip_suffix(" (")))
    {
        let is_copied = TABLES.iter().any(|table| table.name == name);
        let is_exception = EXCEPTIONS.iter().any(|(exception, _)| *exception == name);
        assert!(is_copied != is_exception, "{name}: copy it, or say why not, and not both");
    }
    for (name, _) in EXCEPTIONS {
        assert!(names.contains(*name) || in_postgres(name), "{name} does not exist");
    }
    for table in TABLES {
        assert!(in_postgres(table.name), "{}", table.name);
        let info = format!("SELECT name, type, pk FROM pragma_table_info('{}') ORDER BY cid", table.name);
        let mut info = connection.prepare(&info).unwrap();
        let columns = info.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
        let columns: Vec<(String, String, i64)> = columns.unwrap().map(Result::unwrap).collect();
        let kind = |kind: Kind| match kind {
            Kind::Id | Kind::Bytes => "BLOB",
            Kind::Integer | Kind::Flag => "INTEGER",
            Kind::Text => "TEXT",
        };
        let found: Vec<_> = columns.iter().map(|(name, kind, _)| (&**name, &**kind)).collect();
        let listed: Vec<_> = table.columns.iter().map(|(name, of)| (*name, kind(*of))).collect();
        assert_eq!(listed, found, "{}", table.name);
        let mut key: Vec<_> = (0..columns.len()).filter(|at| columns[*at].2 > 0).collect();
        key.sort_by_key(|at| columns[*at].2);
        assert_eq!(table.key, key, "{}", table.name);
    }
}

#[test]
fn every_statement_of_a_copy_uses_the_key_and_sorts_nothing() {
    let directory = directory();
    let store = open(&directory);
    for table in TABLES {
        let plan = statements::plan(&store, &table.read_statement());
        assert!(plan.len() == 1 && plan[0].starts_with("SEARCH"), "{}: {plan:?}", table.name);
        let plan = statements::plan(&store, &table.last_statement());
        assert!(!plan.iter().any(|step| step.contains("TEMP B-TREE")), "{}: {plan:?}", table.name);
    }
}

#[test]
fn a_copy_has_every_row_and_goes_on_with_the_numbers() {
    let (from, to) = (directory(), directory());
    let (source, target) = (full(&from), database(&to));
    for (table, rows) in rows(&source) {
        assert!(rows.is_empty() == (table == "database_copy"), "{table} has rows that can be lost");
    }
    let mut last: Option<CopyProgress> = None;
    let ends = (end(&source, Access::CopySource), end(&target, Access::CopyTarget));
    let copied = sql::copy::copy(&ends.0, &ends.1, &mut |progress| {
        assert!(last.is_none_or(|last| last.done <= progress.done && last.all == progress.all));
        last = Some(progress);
    });
    drop(ends);
    let copied = copied.unwrap();
    assert!(last.is_some_and(|last| last.done == last.all && last.done == 3 * copied.rows), "{last:?}");
    assert_eq!((copied.tables, copied.was_resumed), (TABLES.len(), false));
    assert_eq!(differing(&source, &target), Vec::<&str>::new());
    settle(&target);
    let connection = Connection::open(&target).unwrap();
    let dangling: Option<String> = {
        let mut check = connection.prepare("PRAGMA foreign_key_check").unwrap();
        let mut rows = check.query([]).unwrap();
        rows.next().unwrap().map(|row| row.get(0).unwrap())
    };
    assert_eq!(dangling, None);
    drop(connection);
    // The last token and the last event of the source had the numbers 600 and 1950, and were deleted.
    let store = SqliteStore::open(&settings(&target), Access::Server).unwrap();
    let owner = UserId::new(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001));
    let token = wait(store.add_token(new_token(owner), 10_000, by())).unwrap();
    assert_eq!(token.number, 601);
}

/// Also tests that a copy which ended after its last row and before its end goes on.
#[test]
fn a_copy_that_was_interrupted_anywhere_goes_on_there() {
    let from = directory();
    let source = full(&from);
    let transactions = transactions(&source);
    assert!(transactions > TABLES.len() as u32 + 15, "{transactions}: each batch is a transaction");
    for arrived in (0..transactions).step_by(3).chain([transactions - 1]) {
        let to = directory();
        let target = database(&to);
        let failed = CopyError::Store(CopySide::Target, StoreError::NotMade("interrupted".to_owned()));
        assert_eq!(copy_part(&source, &target, arrived), Err(failed), "{arrived}");
        assert_eq!(copy(&source, &target).unwrap().was_resumed, arrived > 0);
        assert_eq!(differing(&source, &target), Vec::<&str>::new(), "{arrived}");
    }
}

#[test]
fn an_unfinished_copy_is_opened_by_nothing_but_the_same_copy() {
    let (from, other, to) = (directory(), directory(), directory());
    let (source, target) = (full(&from), database(&to));
    copy_part(&source, &target, 20).unwrap_err();
    for access in [Access::Server, Access::Create, Access::Existing] {
        let error = SqliteStore::open(&settings(&target), access).err().unwrap();
        assert!(error.to_string().contains("run the same `patd database copy` again"), "{error}");
    }
    let (other, unused) = (full(&other), other.path().join("unused.db"));
    assert_eq!(copy(&other, &target), Err(CopyError::OtherSource));
    assert_eq!(copy(&target, &unused), Err(CopyError::UnfinishedSource));
    copy(&source, &target).unwrap();
    drop(SqliteStore::open(&settings(&target), Access::Server).unwrap());
    assert_eq!(copy(&source, &target), Err(CopyError::NotEmpty("users")), "it has ended");
}

/// A process can be killed after a commit and before it has written the watermark.
#[test]
fn a_refused_start_leaves_the_log_of_a_killed_copy() {
    let (to, killed) = (directory(), directory());
    let (path, killed) = (database(&to), database(&killed));
    let running = end(&path, Access::CopyTarget);
    let mark = |source: &str| {
        let sql = format!("INSERT OR REPLACE INTO database_copy VALUES (1, {source})");
        running.write(move |connection| connection.execute(&sql, NONE)).unwrap();
    };
    mark("zeroblob(32)");
    let watermark = fs::read(identity::beside(&path, "-watermark")).unwrap();
    mark("randomblob(32)");
    for suffix in ["", "-wal"] {
        fs::copy(identity::beside(&path, suffix), identity::beside(&killed, suffix)).unwrap();
    }
    fs::write(identity::beside(&killed, "-watermark"), watermark).unwrap();
    let error = SqliteStore::open(&settings(&killed), Access::Existing).err().unwrap();
    assert!(matches!(error, OpenError::UnfinishedCopy { .. }), "{error}");
    drop(end(&killed, Access::CopyTarget));
}

#[test]
fn a_target_with_rows_is_refused_and_not_changed() {
    let (from, to) = (directory(), directory());
    let (source, target) = (full(&from), made(&to));
    let before = rows(&target);
    assert_eq!(copy(&source, &target), Err(CopyError::NotEmpty("users")));
    assert!(rows(&target) == before);
    let missing = from.path().join("missing.db");
    assert!(matches!(SqliteCopyEnd::open(&settings(&missing), Access::CopySource), Err(OpenError::Missing { .. })));
    assert!(!fs::exists(missing).unwrap());
}

#[test]
fn a_difference_is_found_and_names_its_table() {
    let from = directory();
    let source = full(&from);
    let transactions = transactions(&source);
    for (table, change, rows) in [
        ("users", "UPDATE users SET name = 'Eve' WHERE email = 'u9@example.com'", (452, 452)),
        ("tokens", "UPDATE tokens SET revoked_at = NULL, revoked_reason = NULL WHERE number = 16", (250, 250)),
        ("token_addresses", "DELETE FROM token_addresses WHERE address = '10.0.0.8'", (250, 247)),
        ("attempts_key", "UPDATE attempts_key SET key = zeroblob(32)", (1, 1)),
    ] {
        let to = directory();
        let target = database(&to);
        // The last transaction removes the mark.
        copy_part(&source, &target, transactions - 1).unwrap_err();
        settle(&target);
        Connection::open(&target).unwrap().execute_batch(change).unwrap();
        let differs = CopyError::Differs { table, source_rows: rows.0, target_rows: rows.1 };
        assert_eq!(copy(&source, &target), Err(differs));
        let error = SqliteStore::open(&settings(&target), Access::Server).err().unwrap();
        assert!(matches!(error, OpenError::UnfinishedCopy { .. }), "{error}");
    }
}

#[test]
fn a_node_that_uses_one_of_the_two_is_noticed_before_the_copy_and_after_it() {
    let from = directory();
    let source = full(&from);
    for look in [0, 1] {
        for side in [CopySide::Source, CopySide::Target] {
            let to = directory();
            let target = database(&to);
            let ends = (end(&source, Access::CopySource), end(&target, Access::CopyTarget));
            let (source, copied) = (Interrupted::after(u32::MAX, &ends.0), Interrupted::after(u32::MAX, &ends.1));
            let used = if side == CopySide::Source { &source } else { &copied };
            used.node_at.set(Some(look));
            let refused = sql::copy::copy(&source, &copied, &mut |_| {});
            assert_eq!(refused, Err(CopyError::InUse(side, "a node".to_owned())), "{look}");
            assert_eq!(ends.1.read(sql::copy::is_unfinished), Ok(look > 0), "until it has ended, nothing may open it");
        }
    }
}

#[test]
fn a_copy_keeps_everybody_else_out_and_waits_for_nobody() {
    let directory = directory();
    let path = full(&directory);
    for access in [Access::CopySource, Access::CopyTarget] {
        let end = end(&path, access);
        assert!(matches!(SqliteStore::open(&settings(&path), Access::Server), Err(OpenError::Served { .. })));
        let other = Database::open(&path).unwrap();
        assert!(matches!(other.begin_opening(Duration::ZERO), Err(OpenError::Opening { .. })));
        drop((end, other));
        settle(&path);
        let server = SqliteStore::open(&settings(&path), Access::Server).unwrap();
        assert!(matches!(SqliteCopyEnd::open(&settings(&path), access), Err(OpenError::Served { .. })));
        drop(server);
        let tool = SqliteStore::open(&settings(&path), Access::Existing).unwrap();
        assert!(matches!(SqliteCopyEnd::open(&settings(&path), access), Err(OpenError::OpenElsewhere { .. })));
        drop(tool);
    }
}
