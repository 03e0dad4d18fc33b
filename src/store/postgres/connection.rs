//! The connection that writes. Its calls block, for it belongs to the thread of the writer.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    sync::Arc,
};

use futures_util::{TryStreamExt, pin_mut};
use tokio::{
    runtime::{Builder, Runtime},
    time::timeout,
};
use tokio_postgres::{
    Error, Row, Statement,
    types::{ToSql, Type},
};

use super::{
    connector::{Connector, Link},
    dialect::translate,
    error::{Stage, store_error},
    reading::in_order,
    settings::TIME_LIMIT,
    value::declared,
};
use crate::store::{
    StoreError,
    sql::{
        self,
        connection::{EachRow, Parameters, Value, is_unreadable},
    },
};

/// The number of the advisory lock that writers take: the letters `patdwrit`.
const WRITER_LOCK: i64 = 8_097_881_579_838_400_884;

/// The value of a parameter, with the parameter's name as it is in the statement (`:id`).
pub(super) type Parameter<'p> = (&'p str, &'p (dyn ToSql + Sync));

/// A connection with at most one transaction. Every call ends within [`TIME_LIMIT`].
pub(super) struct WriteConnection {
    link: Link,
    /// Its tasks run only while a call waits.
    runtime: Runtime,
    statements: RefCell<HashMap<String, Arc<Prepared>>>,
    /// The first error since the transaction began. After it, PostgreSQL only rolls back.
    failure: RefCell<Option<StoreError>>,
    written: Cell<u64>,
    is_lost: Cell<bool>,
    /// Whether the server did not answer in time.
    is_silent: Cell<bool>,
}

struct Prepared {
    statement: Statement,
    parameters: Vec<String>,
}

/// What a statement has returned.
pub(super) struct Answer {
    pub(super) rows: Vec<Row>,
    /// How many rows it read or wrote.
    pub(super) count: u64,
}

impl WriteConnection {
    pub(super) fn open(connector: &Connector) -> Result<Self, StoreError> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| StoreError::NotMade(format!("no connection to PostgreSQL: {error}")))?;
        let link = runtime.block_on(connector.connect())?;
        Ok(Self {
            link,
            runtime,
            statements: RefCell::default(),
            failure: RefCell::default(),
            written: Cell::new(0),
            is_lost: Cell::new(false),
            is_silent: Cell::new(false),
        })
    }

    /// Whether nothing more can be done with it.
    pub(super) fn is_lost(&self) -> bool {
        self.is_lost.get() || self.link.client.is_closed()
    }

    /// Whether it was lost because the server, or something on the way, has closed it.
    pub(super) fn was_closed(&self) -> bool {
        self.is_lost() && !self.is_silent.get()
    }

    /// Why the transaction cannot be committed any more.
    pub(super) fn failure(&self) -> Option<StoreError> {
        self.failure.borrow().clone()
    }

    /// How many rows the transaction has written.
    pub(super) fn written(&self) -> u64 {
        self.written.get()
    }

    /// Begins a transaction, and waits until those of other nodes have ended. If it fails, nothing has changed.
    pub(super) fn begin(&self) -> Result<(), StoreError> {
        self.failure.take();
        self.written.set(0);
        let begin = format!("BEGIN ISOLATION LEVEL READ COMMITTED; SELECT pg_advisory_xact_lock({WRITER_LOCK})");
        let begun = self.wait(Stage::Work, self.link.client.batch_execute(&begin));
        if begun.is_err() {
            self.roll_back();
        }
        begun
    }

    /// Runs a statement of the transaction.
    pub(super) fn run(&self, statement: &str, parameters: &[Parameter<'_>]) -> Result<Answer, StoreError> {
        let result = self.prepare(statement).and_then(|prepared| {
            let values = prepared.values(statement, parameters)?;
            self.ask(&prepared.statement, values)
        });
        self.note(statement, result)
    }

    fn ask(&self, statement: &Statement, values: Vec<&(dyn ToSql + Sync)>) -> Result<Answer, StoreError> {
        self.wait(Stage::Work, async {
            let rows = self.link.client.query_raw(statement, values).await?;
            pin_mut!(rows);
            let read = rows.as_mut().try_collect().await?;
            Ok(Answer { rows: read, count: rows.rows_affected().unwrap_or(0) })
        })
    }

    /// Notes what a statement has written, or that it has failed.
    fn note(&self, statement: &str, result: Result<Answer, StoreError>) -> Result<Answer, StoreError> {
        match &result {
            Ok(answer) if !statement.trim_start().starts_with("SELECT") => {
                self.written.set(self.written.get() + answer.count);
            }
            Ok(_) => {}
            Err(error) => {
                self.failure.borrow_mut().get_or_insert_with(|| error.clone());
            }
        }
        result
    }

    /// Commits. After an error, the outcome is unknown.
    ///
    /// A warning here means that the change may be on this server alone: somebody ended the wait for the synchronous standby. No
    /// time-out of the server ends that wait, because PostgreSQL would then report success.
    pub(super) fn commit(&self) -> Result<(), StoreError> {
        self.link.take_warning();
        let committed = self.wait(Stage::Commit, self.link.client.batch_execute("COMMIT"));
        if committed.is_err() {
            self.is_lost.set(true);
        }
        committed?;
        match self.link.take_warning() {
            true => Err(StoreError::Unavailable("PostgreSQL warned at the commit; the log has its message".into())),
            false => Ok(()),
        }
    }

    /// Ends a transaction without its changes. If even that fails, the connection is lost, and PostgreSQL rolls back.
    pub(super) fn roll_back(&self) {
        if !self.is_lost() && self.wait(Stage::Work, self.link.client.batch_execute("ROLLBACK")).is_err() {
            self.is_lost.set(true);
        }
    }

    fn prepare(&self, statement: &str) -> Result<Arc<Prepared>, StoreError> {
        if let Some(known) = self.statements.borrow().get(statement) {
            return Ok(Arc::clone(known));
        }
        let translated = translate(statement);
        let prepared = self.wait(Stage::Work, self.link.client.prepare(&translated.text))?;
        let prepared = Arc::new(Prepared { statement: prepared, parameters: translated.parameters });
        self.statements.borrow_mut().insert(statement.to_owned(), Arc::clone(&prepared));
        Ok(prepared)
    }

    /// Waits for an answer of the server. Without one, nobody knows what the connection does, so it is lost.
    fn wait<T>(&self, stage: Stage, answer: impl Future<Output = Result<T, Error>>) -> Result<T, StoreError> {
        match self.runtime.block_on(async { timeout(TIME_LIMIT, answer).await }) {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(store_error(&error, stage)),
            Err(_) => {
                self.is_lost.set(true);
                self.is_silent.set(true);
                let why = "PostgreSQL did not answer within 2 s".to_owned();
                Err(if stage == Stage::Work { StoreError::NotMade(why) } else { StoreError::Unavailable(why) })
            }
        }
    }
}

impl Prepared {
    /// The values in the order of their numbers. One without a value is a defect; a value without a parameter is not, as the
    /// planners of the two need different ones.
    fn values<'p>(
        &self,
        statement: &str,
        parameters: &[Parameter<'p>],
    ) -> Result<Vec<&'p (dyn ToSql + Sync)>, StoreError> {
        let value = |name: &String| {
            let found = parameters.iter().find(|(known, _)| known == name).map(|(_, value)| *value);
            found.ok_or_else(|| StoreError::Internal(format!("{name} has no value in: {statement}")))
        };
        self.parameters.iter().map(value).collect()
    }
}

impl sql::connection::Connection for WriteConnection {
    fn execute(&self, sql: &str, parameters: Parameters<'_>) -> Result<u64, StoreError> {
        Ok(self.run_translated(sql, parameters)?.count)
    }

    fn insert_numbered(&self, sql: &str, parameters: Parameters<'_>) -> Result<i64, StoreError> {
        let inserted = self.run_translated(&[sql, " RETURNING number"].concat(), parameters)?;
        let row = inserted.rows.first().ok_or_else(|| StoreError::Internal("an insert returned no row".to_owned()))?;
        row.try_get(0).map_err(|_| is_unreadable(0))
    }

    fn each(&self, sql: &str, parameters: Parameters<'_>, each: EachRow<'_>) -> Result<(), StoreError> {
        for row in &self.run_translated(sql, parameters)?.rows {
            if each(row)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn owe_scrub(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

impl WriteConnection {
    fn run_translated(&self, sql: &str, parameters: Parameters<'_>) -> Result<Answer, StoreError> {
        let result = self.prepare_for(sql, parameters).and_then(|(prepared, values)| {
            let values: Vec<&(dyn ToSql + Sync)> = values.into_iter().map(|value| value as _).collect();
            self.ask(&prepared.statement, values)
        });
        self.note(sql, result)
    }

    /// The statement with the values in the order of its numbers.
    fn prepare_for<'p>(
        &self,
        sql: &str,
        parameters: Parameters<'p>,
    ) -> Result<(Arc<Prepared>, Vec<&'p Value<'p>>), StoreError> {
        if let Some(known) = self.statements.borrow().get(sql) {
            return Ok((Arc::clone(known), in_order(sql, &known.parameters, parameters)?));
        }
        let translated = translate(sql);
        let values = in_order(sql, &translated.parameters, parameters)?;
        let kinds: Vec<Type> = values.iter().map(|value| declared(value.kind())).collect();
        let statement = self.wait(Stage::Work, self.link.client.prepare_typed(&translated.text, &kinds))?;
        let prepared = Arc::new(Prepared { statement, parameters: translated.parameters });
        self.statements.borrow_mut().insert(sql.to_owned(), Arc::clone(&prepared));
        Ok((prepared, values))
    }
}
