//! Statements of a transaction whose answers are not needed: they wait, and are sent with the next one.
//!
//! Rows that wait for the same table are inserted by one statement. The server answers each statement with a message of its own,
//! which this process reads with a system call of its own, and that costs more than the row.

use std::{iter, sync::Arc};

use tokio_postgres::{Client, Statement, types::ToSql};

use super::{
    pipeline::{Asked, ask},
    statements::Prepared,
};
use crate::store::sql::{audit, connection::Value};

/// A statement that waits.
pub(super) struct Unsent {
    prepared: Arc<Prepared>,
    values: Vec<Value<'static>>,
    is_event: bool,
}

/// One that waits no more, for one row or for several.
pub(super) struct Outgoing {
    statement: Statement,
    /// The values of each parameter, one for each row.
    columns: Vec<Vec<Value<'static>>>,
}

impl Unsent {
    /// The statement `sql`, which was prepared.
    pub(super) fn new(sql: &str, prepared: Arc<Prepared>, values: Vec<Value<'static>>) -> Self {
        Self { prepared, values, is_event: sql == audit::INSERT }
    }
}

/// Statements that follow one another and differ only in their values, if they insert a row each. Events come last: they refer to
/// nothing and nothing refers to them, and their own order is kept.
pub(super) fn runs(unsent: Vec<Unsent>) -> Vec<(Arc<Prepared>, Vec<Vec<Value<'static>>>)> {
    let (events, others): (Vec<_>, Vec<_>) = unsent.into_iter().partition(|one| one.is_event);
    let mut runs: Vec<(Arc<Prepared>, Vec<Vec<Value<'static>>>)> = Vec::new();
    for Unsent { prepared, values, .. } in others.into_iter().chain(events) {
        match runs.last_mut() {
            Some((last, rows)) if Arc::ptr_eq(last, &prepared) && prepared.of_several.is_some() => rows.push(values),
            _ => runs.push((prepared, vec![values])),
        }
    }
    runs
}

impl Outgoing {
    /// `statement` takes a list of values for each parameter if there are several rows, and otherwise a value.
    pub(super) fn new(statement: Statement, rows: Vec<Vec<Value<'static>>>) -> Self {
        let mut columns: Vec<Vec<_>> = Vec::new();
        for row in rows {
            columns.resize_with(row.len(), Vec::new);
            iter::zip(&mut columns, row).for_each(|(column, value)| column.push(value));
        }
        Self { statement, columns }
    }

    pub(super) fn ask<'a>(&'a self, client: &'a Client) -> Asked<'a> {
        let parameter = |column: &'a Vec<Value<'static>>| -> &'a (dyn ToSql + Sync) {
            match column.as_slice() {
                [value] => value,
                _ => column,
            }
        };
        ask(client, &self.statement, self.columns.iter().map(parameter).collect())
    }
}
