//! A connection that reads, on a thread that may wait for it.

use std::{
    collections::HashMap,
    ops::ControlFlow,
    sync::{Arc, Mutex, PoisonError},
};

use deadpool_postgres::Object;
use futures_util::{TryStreamExt, pin_mut};
use tokio::{runtime::Handle, time::timeout};
use tokio_postgres::{Row, types::Type};

use super::{
    dialect::{Translated, translate},
    error::{Stage, store_error},
    settings::TIME_LIMIT,
    value::declared,
};
use crate::store::{
    StoreError,
    sql::connection::{Connection, EachRow, Parameters, Value},
};

/// Statements that were translated before, by their text.
#[derive(Default)]
pub(super) struct Translations(Mutex<HashMap<Box<str>, Arc<Translated>>>);

impl Translations {
    pub(super) fn of(&self, statement: &str) -> Arc<Translated> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(translated) = known.get(statement) {
            return Arc::clone(translated);
        }
        let translated = Arc::new(translate(statement));
        known.insert(statement.into(), Arc::clone(&translated));
        translated
    }
}

/// The values in the order of the numbers in the translated statement, whose parameters have these names.
pub(super) fn in_order<'p>(
    sql: &str,
    names: &[String],
    parameters: Parameters<'p>,
) -> Result<Vec<&'p Value<'p>>, StoreError> {
    let value = |name: &String| {
        let found = match parameters {
            Parameters::Named(named) => named.iter().find(|(known, _)| known == name).map(|(_, value)| value),
            Parameters::Numbered(values) => numbered(name).and_then(|number| values.get(number - 1)),
        };
        found.ok_or_else(|| StoreError::Internal(format!("{name} has no value in: {sql}")))
    };
    names.iter().map(value).collect()
}

/// The number in `?1`.
fn numbered(name: &str) -> Option<usize> {
    name.strip_prefix('?')?.parse().ok().filter(|number| *number > 0)
}

/// Reads the rows of a translated statement whose parameter is a list of hashes. It takes one question, and no thread. The caller
/// limits its time.
pub(super) async fn read_by_hashes(client: &Object, text: &str, hashes: &[&[u8]]) -> Result<Vec<Row>, StoreError> {
    let statement = client.prepare_typed_cached(text, &[Type::BYTEA_ARRAY]).await.map_err(unanswered)?;
    client.query(&statement, &[&hashes]).await.map_err(unanswered)
}

/// Runs a translated statement without parameters, and throws its rows away. The caller limits its time.
pub(super) async fn read_nothing(client: &Object, text: &str) -> Result<(), StoreError> {
    let statement = client.prepare_cached(text).await.map_err(unanswered)?;
    client.query(&statement, &[]).await.map(drop).map_err(unanswered)
}

/// Takes a connection out of its pool if its read had no answer: that may still come, and the next read would wait for it.
pub(super) fn give_back<T>(client: Object, read: &Result<T, StoreError>) {
    if let Err(StoreError::Unavailable(_)) = read {
        drop(Object::take(client));
    }
}

/// A connection of the pool. Each statement sees what was committed before it began, unless a transaction was begun.
pub(super) struct ReadConnection {
    pub(super) client: Object,
    pub(super) runtime: Handle,
    pub(super) translations: Arc<Translations>,
}

/// A transaction that reads. Dropped before its end, as by a panic, or by a server that did not answer in time, it takes its
/// connection out of the pool: the next read on it would see the old snapshot.
pub(super) struct ReadTransaction(Option<ReadConnection>);

impl ReadTransaction {
    /// Runs `work` between `begin` and a rollback.
    pub(super) fn run<T>(
        connection: ReadConnection,
        begin: &str,
        work: impl FnOnce(&ReadConnection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut open = Self(Some(connection));
        let Some(connection) = &open.0 else { return Err(StoreError::Internal("no connection".to_owned())) };
        connection.batch(begin)?;
        let result = work(connection);
        connection.batch("ROLLBACK")?;
        open.0 = None;
        result
    }
}

impl Drop for ReadTransaction {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(Object::take(connection.client));
        }
    }
}

impl ReadConnection {
    /// Executes statements without parameters.
    pub(super) fn batch(&self, statements: &str) -> Result<(), StoreError> {
        self.runtime.block_on(async { limited(self.client.batch_execute(statements)).await })
    }
}

impl Connection for ReadConnection {
    fn execute(&self, sql: &str, _parameters: Parameters<'_>) -> Result<u64, StoreError> {
        Err(StoreError::Internal(format!("a connection that reads was to write: {sql}")))
    }

    fn insert_numbered(&self, _table: &str, sql: &str, _parameters: Parameters<'_>) -> Result<i64, StoreError> {
        Err(StoreError::Internal(format!("a connection that reads was to write: {sql}")))
    }

    fn each(&self, sql: &str, parameters: Parameters<'_>, each: EachRow<'_>) -> Result<(), StoreError> {
        let translated = self.translations.of(sql);
        let values = in_order(sql, &translated.parameters, parameters)?;
        let rows = self.runtime.block_on(async {
            let kinds: Vec<_> = values.iter().map(|value| declared(value.kind())).collect();
            let statement = limited(self.client.prepare_typed_cached(&translated.text, &kinds)).await?;
            limited(self.client.query_raw(&statement, values)).await
        })?;
        pin_mut!(rows);
        // `each` runs outside of the runtime: it may wait for the consumer of the rows, or run a statement.
        while let Some(row) = self.runtime.block_on(async { limited(rows.try_next()).await })? {
            if each(&row)? == ControlFlow::Break(()) {
                break;
            }
        }
        Ok(())
    }

    fn owe_scrub(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

async fn limited<T>(answer: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T, StoreError> {
    match timeout(TIME_LIMIT, answer).await {
        Ok(answer) => answer.map_err(unanswered),
        Err(_) => Err(StoreError::Unavailable("PostgreSQL did not answer within 2 s".to_owned())),
    }
}

fn unanswered(error: tokio_postgres::Error) -> StoreError {
    match store_error(&error, Stage::Work) {
        // A read changes nothing, so nobody asks whether it did.
        StoreError::NotMade(why) => StoreError::Unavailable(why),
        other => other,
    }
}
