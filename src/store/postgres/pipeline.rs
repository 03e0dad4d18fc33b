//! Several statements on their way at once. The server answers them in the order in which they were sent, so a transaction waits
//! once for all of them.

use std::{future::poll_fn, pin::Pin, task::Poll};

use futures_util::{
    FutureExt, TryStreamExt,
    future::{LocalBoxFuture, MaybeDone, maybe_done},
    pin_mut,
};
use tokio_postgres::{Client, Error, Row, Statement, types::ToSql};

/// What a statement has returned.
pub(super) struct Answer {
    pub(super) rows: Vec<Row>,
    /// How many rows it read or wrote.
    pub(super) count: u64,
}

/// A statement that is sent when it is polled for the first time.
pub(super) type Asked<'a> = LocalBoxFuture<'a, Result<Answer, Error>>;

/// Statements that were sent.
pub(super) struct Sent<'a>(Vec<MaybeDone<Asked<'a>>>);

/// Asks a prepared statement with the values of its parameters.
pub(super) fn ask<'a>(client: &'a Client, statement: &'a Statement, values: Vec<&'a (dyn ToSql + Sync)>) -> Asked<'a> {
    Box::pin(async move {
        let rows = client.query_raw(statement, values).await?;
        pin_mut!(rows);
        let read = rows.as_mut().try_collect().await?;
        Ok(Answer { rows: read, count: rows.rows_affected().unwrap_or(0) })
    })
}

/// Sends the statements in their order. After an error, one of them was not sent, nor those behind it: a value cannot be converted,
/// or the connection is closed. A COMMIT must not be sent then.
pub(super) async fn send(statements: Vec<Asked<'_>>) -> Result<Sent<'_>, Error> {
    let mut sent = Vec::with_capacity(statements.len());
    for statement in statements {
        let mut statement = maybe_done(statement);
        poll_fn(|context| Poll::Ready(statement.poll_unpin(context).is_ready())).await;
        match statement {
            MaybeDone::Done(Err(error)) => return Err(error),
            sent_or_done => sent.push(sent_or_done),
        }
    }
    Ok(Sent(sent))
}

impl Sent<'_> {
    /// Waits for the answers. The error is that of the first statement that failed; PostgreSQL refuses those behind it.
    pub(super) async fn answers(self) -> Result<Vec<Answer>, Error> {
        let mut answers = Vec::with_capacity(self.0.len());
        for mut statement in self.0 {
            (&mut statement).await;
            if let Some(answer) = Pin::new(&mut statement).take_output() {
                answers.push(answer?);
            }
        }
        Ok(answers)
    }
}
