//! The connection that writes. Its calls block, for it belongs to the thread of the writer.

use std::{
    cell::{Cell, RefCell},
    sync::Arc,
};

use futures_util::future::join;
use tokio::{
    runtime::{Builder, Runtime},
    time::timeout,
};
use tokio_postgres::{
    Error, SimpleQueryMessage,
    types::{ToSql, Type},
};

use super::{
    answered::Answered,
    connector::{Connector, Link},
    dialect::translate,
    error::{Stage, store_error},
    numbers::Numbers,
    pipeline::{Answer, ask, send},
    primary::{Renewed, STARTED},
    reading::in_order,
    settings::TIME_LIMIT,
    statements::{Parameter, Prepared, Statements},
    trail_end::LAST_EVENT,
    unsent::{Outgoing, Unsent, runs},
    value::declared,
};
use crate::store::{
    StoreError,
    sql::{
        self,
        connection::{EachRow, Parameters, Value},
    },
};

/// The number of the advisory lock that writers take: the letters `patdwrit`.
pub(super) const WRITER_LOCK: i64 = 8_097_881_579_838_400_884;

/// How many statements wait to be sent with the next one.
const MAX_UNSENT: usize = 128;

/// A statement with its parameters.
pub(super) type Question<'q> = (&'q str, &'q [Parameter<'q>]);

/// A connection with at most one transaction. Every call ends within [`TIME_LIMIT`].
pub(super) struct WriteConnection {
    link: Link,
    /// Its tasks run only while a call waits.
    runtime: Runtime,
    /// What names the server.
    started: i64,
    statements: Statements,
    answered: Answered,
    /// Statements of the transaction whose answers nobody needs. They are sent before the next one.
    unsent: RefCell<Vec<Unsent>>,
    pub(super) numbers: Numbers,
    /// The first error since the transaction began. After it, PostgreSQL only rolls back.
    failure: RefCell<Option<StoreError>>,
    written: Cell<u64>,
    is_lost: Cell<bool>,
    /// Whether the server did not answer in time.
    is_silent: Cell<bool>,
}

impl WriteConnection {
    pub(super) fn open(connector: &Connector) -> Result<Self, StoreError> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| StoreError::NotMade(format!("no connection to PostgreSQL: {error}")))?;
        let (link, started) = runtime.block_on(async {
            let link = connector.connect().await?;
            let started = timeout(TIME_LIMIT, link.client.query_one(STARTED, &[])).await;
            let late = |_| StoreError::NotMade("PostgreSQL did not answer within 2 s".to_owned());
            let started = started.map_err(late)?.map_err(|error| store_error(&error, Stage::Work))?;
            Ok::<_, StoreError>((link, started.get(0)))
        })?;
        Ok(Self {
            link,
            runtime,
            started,
            statements: Statements::default(),
            answered: Answered::default(),
            unsent: RefCell::default(),
            numbers: Numbers::default(),
            failure: RefCell::default(),
            written: Cell::new(0),
            is_lost: Cell::new(false),
            is_silent: Cell::new(false),
        })
    }

    /// Whether it is to this server, if there is one that it must be to.
    pub(super) fn is_at(&self, place: Option<Renewed>) -> bool {
        place.is_none_or(|place| place.started == self.started)
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

    /// How many rows the transaction has written. A statement that was not sent yet counts as one.
    pub(super) fn written(&self) -> u64 {
        self.written.get()
    }

    /// Begins a transaction, and waits until those of other nodes have ended. Returns the number of the last event of the audit
    /// trail. If it fails, nothing has changed.
    pub(super) fn begin(&self) -> Result<i64, StoreError> {
        self.unsent.take();
        self.answered.forget();
        self.numbers.begin();
        self.failure.take();
        self.written.set(0);
        // Each of them sees what was committed before it began: the last one, everything that other writers have committed.
        let begin =
            format!("BEGIN ISOLATION LEVEL READ COMMITTED; SELECT pg_advisory_xact_lock({WRITER_LOCK}); {LAST_EVENT}");
        let begun = self.wait(Stage::Work, self.link.client.simple_query(&begin)).and_then(|messages| {
            let rows = messages.iter().filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => row.get(0),
                _ => None,
            });
            let last = rows.last().and_then(|number| number.parse().ok());
            last.ok_or_else(|| StoreError::Internal("the number of an event is unreadable".to_owned()))
        });
        if begun.is_err() {
            self.roll_back();
        }
        begun
    }

    /// Runs a statement of the transaction.
    pub(super) fn run(&self, statement: &str, parameters: &[Parameter<'_>]) -> Result<Answer, StoreError> {
        let result = self.prepare(statement).and_then(|prepared| {
            let values = prepared.values(statement, parameters)?;
            self.ask(&prepared, values)
        });
        self.note(statement, result)
    }

    /// Sends a statement, behind those that were not sent yet, and waits for its answer.
    fn ask(&self, prepared: &Prepared, values: Vec<&(dyn ToSql + Sync)>) -> Result<Answer, StoreError> {
        let outgoing = self.outgoing()?;
        let mut statements: Vec<_> = outgoing.iter().map(|one| one.ask(&self.link.client)).collect();
        statements.push(ask(&self.link.client, &prepared.statement, values));
        let answers = self.wait(Stage::Work, async { send(statements).await?.answers().await });
        answers?.pop().ok_or_else(|| StoreError::Internal("a statement has no answer".to_owned()))
    }

    /// The statements that were not sent yet.
    fn outgoing(&self) -> Result<Vec<Outgoing>, StoreError> {
        let prepare = |(prepared, rows): (Arc<Prepared>, Vec<_>)| {
            let statement = match &prepared.of_several {
                Some(text) if rows.len() > 1 => self.prepare(text)?.statement.clone(),
                _ => prepared.statement.clone(),
            };
            Ok(Outgoing::new(statement, rows))
        };
        runs(self.unsent.take()).into_iter().map(prepare).collect()
    }

    /// Notes what a statement has written, or that it has failed.
    fn note(&self, statement: &str, result: Result<Answer, StoreError>) -> Result<Answer, StoreError> {
        self.answered.note(statement);
        match &result {
            Ok(answer) if !statement.trim_start().starts_with("SELECT") => {
                self.written.set(self.written.get() + answer.count);
            }
            Ok(_) => {}
            Err(error) => self.note_failure(error),
        }
        result
    }

    fn note_failure(&self, error: &StoreError) {
        self.failure.borrow_mut().get_or_insert_with(|| error.clone());
    }

    /// Sends the last statements of the transaction and the COMMIT, together with what was not sent yet. Returns the answers to the
    /// last statements. After an error, the outcome is unknown, unless [`Self::failure`] says why nothing was made.
    ///
    /// That the COMMIT is on its way before the answers to the statements are known does no harm: if one of them fails, PostgreSQL
    /// rolls back instead. Only one that is not sent at all would be missing unnoticed, so then there is no COMMIT.
    ///
    /// A warning here means that the change may be on this server alone: somebody ended the wait for the synchronous standby. No
    /// time-out of the server ends that wait, because PostgreSQL would then report success.
    pub(super) fn commit(&self, last: &[Question<'_>]) -> Result<Vec<Answer>, StoreError> {
        let prepared: Result<Vec<_>, _> = last.iter().map(|(statement, _)| self.prepare(statement)).collect();
        let prepared = prepared.map_err(|error| self.give_up(error))?;
        let outgoing = self.outgoing().map_err(|error| self.give_up(error))?;
        let mut statements: Vec<_> = outgoing.iter().map(|one| one.ask(&self.link.client)).collect();
        for (prepared, (statement, parameters)) in prepared.iter().zip(last) {
            let values = prepared.values(statement, parameters).map_err(|error| self.give_up(error))?;
            statements.push(ask(&self.link.client, &prepared.statement, values));
        }
        self.link.take_warning();
        let ended = self.wait(Stage::Commit, async {
            let sent = match send(statements).await {
                Ok(sent) => sent,
                Err(error) => return Ok(Ended::NotSent(error)),
            };
            match join(sent.answers(), self.link.client.batch_execute("COMMIT")).await {
                (Ok(answers), committed) => committed.map(|()| Ended::Committed(answers)),
                // PostgreSQL has refused a statement, so it has not committed.
                (Err(error), committed) if error.as_db_error().is_some() => {
                    Ok(Ended::RolledBack(error, committed.is_ok()))
                }
                (Err(error), _) => Err(error),
            }
        });
        match ended {
            Ok(Ended::Committed(mut answers)) if !self.link.take_warning() => Ok(answers.split_off(outgoing.len())),
            Ok(Ended::Committed(_)) => {
                Err(StoreError::Unavailable("PostgreSQL warned at the commit; the log has its message".into()))
            }
            Ok(Ended::RolledBack(error, is_answered)) => {
                let error = store_error(&error, Stage::Work);
                self.note_failure(&error);
                self.is_lost.set(!is_answered);
                Err(error)
            }
            Ok(Ended::NotSent(error)) => Err(self.give_up(store_error(&error, Stage::Work))),
            Err(error) => {
                self.is_lost.set(true);
                Err(error)
            }
        }
    }

    /// Rolls back, because the transaction failed before its COMMIT was sent.
    fn give_up(&self, error: StoreError) -> StoreError {
        self.note_failure(&error);
        self.roll_back();
        error
    }

    /// Ends a transaction without its changes. If even that fails, the connection is lost, and PostgreSQL rolls back.
    pub(super) fn roll_back(&self) {
        self.unsent.take();
        if !self.is_lost() && self.wait(Stage::Work, self.link.client.batch_execute("ROLLBACK")).is_err() {
            self.is_lost.set(true);
        }
    }

    fn prepare(&self, statement: &str) -> Result<Arc<Prepared>, StoreError> {
        if let Some(known) = self.statements.get(statement) {
            return Ok(known);
        }
        let translated = translate(statement);
        let prepared = self.wait(Stage::Work, self.link.client.prepare(&translated.text))?;
        Ok(self.statements.keep(statement, &translated.text, prepared, translated.parameters))
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

/// How a transaction ended.
enum Ended {
    Committed(Vec<Answer>),
    /// A statement failed. The flag is whether the server has answered the COMMIT, too.
    RolledBack(Error, bool),
    /// A statement could not be sent, and the COMMIT was not.
    NotSent(Error),
}

impl sql::connection::Connection for WriteConnection {
    fn execute(&self, sql: &str, parameters: Parameters<'_>) -> Result<u64, StoreError> {
        Ok(self.run_translated(sql, parameters)?.count)
    }

    fn execute_later(&self, sql: &str, parameters: Parameters<'_>) -> Result<(), StoreError> {
        if self.unsent.borrow().len() >= MAX_UNSENT {
            return self.execute(sql, parameters).map(drop);
        }
        let (prepared, values) = match self.prepare_for(sql, parameters) {
            Ok((prepared, values)) => (prepared, values.into_iter().map(|value| value.clone().into_owned()).collect()),
            Err(error) => {
                self.note_failure(&error);
                return Err(error);
            }
        };
        self.answered.note(sql);
        self.unsent.borrow_mut().push(Unsent::new(sql, prepared, values));
        self.written.set(self.written.get() + 1);
        Ok(())
    }

    fn insert_numbered(&self, table: &str, sql: &str, parameters: Parameters<'_>) -> Result<i64, StoreError> {
        let number = self.numbers.next(self, table)?;
        let Parameters::Numbered([Value::Null(_), others @ ..]) = parameters else {
            return Err(StoreError::Internal(format!("the first parameter is not the number in: {sql}")));
        };
        let values: Vec<Value<'_>> = [Value::Integer(number)].into_iter().chain(others.iter().cloned()).collect();
        self.execute_later(sql, Parameters::Numbered(&values))?;
        Ok(number)
    }

    fn each(&self, sql: &str, parameters: Parameters<'_>, each: EachRow<'_>) -> Result<(), StoreError> {
        for row in &self.run_translated(sql, parameters)?.rows {
            if each(row)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn remembered_flag(&self, sql: &str, parameters: Parameters<'_>) -> Result<Option<bool>, StoreError> {
        if let Some(answer) = self.answered.get(sql, parameters) {
            return Ok(answer);
        }
        let connection: &dyn sql::connection::Connection = self;
        let answer = connection.optional(sql, parameters, |row| row.get(0))?;
        self.answered.remember(sql, parameters, answer);
        Ok(answer)
    }

    fn owe_scrub(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

impl WriteConnection {
    fn run_translated(&self, sql: &str, parameters: Parameters<'_>) -> Result<Answer, StoreError> {
        let result = self.prepare_for(sql, parameters).and_then(|(prepared, values)| {
            let values: Vec<&(dyn ToSql + Sync)> = values.into_iter().map(|value| value as _).collect();
            self.ask(&prepared, values)
        });
        self.note(sql, result)
    }

    /// The statement with the values in the order of its numbers.
    fn prepare_for<'p>(
        &self,
        sql: &str,
        parameters: Parameters<'p>,
    ) -> Result<(Arc<Prepared>, Vec<&'p Value<'p>>), StoreError> {
        if let Some(known) = self.statements.get(sql) {
            let values = in_order(sql, &known.parameters, parameters)?;
            return Ok((known, values));
        }
        let translated = translate(sql);
        let values = in_order(sql, &translated.parameters, parameters)?;
        let kinds: Vec<Type> = values.iter().map(|value| declared(value.kind())).collect();
        let statement = self.wait(Stage::Work, self.link.client.prepare_typed(&translated.text, &kinds))?;
        Ok((self.statements.keep(sql, &translated.text, statement, translated.parameters), values))
    }
}
