//! What a transaction was answered about who may do something, so that not every creation asks the same.
//!
//! Nobody else writes while the transaction has the lock of writers. So an answer holds until the transaction itself changes
//! something that it may be about. A question about tokens or events must not be remembered, because adding those forgets nothing.

use std::cell::RefCell;

use crate::store::sql::{
    audit,
    connection::{Parameters, Value},
    tokens,
};

/// How many answers are remembered.
const MAX_ANSWERS: usize = 64;

/// The answers of one transaction.
#[derive(Default)]
pub(super) struct Answered(RefCell<Vec<(Question, Option<bool>)>>);

/// A statement with its parameters.
#[derive(PartialEq)]
struct Question {
    sql: String,
    values: Vec<(String, Value<'static>)>,
}

impl Answered {
    /// The answer to a question that was asked before.
    pub(super) fn get(&self, sql: &str, parameters: Parameters<'_>) -> Option<Option<bool>> {
        let asked = self.0.borrow();
        asked.iter().find(|(question, _)| question.is(sql, parameters)).map(|(_, answer)| *answer)
    }

    pub(super) fn remember(&self, sql: &str, parameters: Parameters<'_>, answer: Option<bool>) {
        let mut asked = self.0.borrow_mut();
        if asked.len() < MAX_ANSWERS {
            asked.push((Question::new(sql, parameters), answer));
        }
    }

    /// A statement is run, or will be before the next one.
    pub(super) fn note(&self, sql: &str) {
        let changes_no_right = sql == tokens::INSERT || sql == audit::INSERT || sql.trim_start().starts_with("SELECT");
        if !changes_no_right {
            self.forget();
        }
    }

    /// A transaction begins.
    pub(super) fn forget(&self) {
        self.0.borrow_mut().clear();
    }
}

impl Question {
    fn new(sql: &str, parameters: Parameters<'_>) -> Self {
        let values = named(parameters).map(|(name, value)| (name.to_owned(), value.clone().into_owned()));
        Self { sql: sql.to_owned(), values: values.collect() }
    }

    fn is(&self, sql: &str, parameters: Parameters<'_>) -> bool {
        self.sql == sql && named(parameters).eq(self.values.iter().map(|(name, value)| (name.as_str(), value)))
    }
}

/// The values with their names. Those that are in the order of their numbers have none.
fn named<'p>(parameters: Parameters<'p>) -> impl Iterator<Item = (&'p str, &'p Value<'p>)> {
    let (with_names, without) = match parameters {
        Parameters::Named(values) => (values, &[][..]),
        Parameters::Numbered(values) => (&[][..], values),
    };
    with_names.iter().map(|(name, value)| (*name, value)).chain(without.iter().map(|value| ("", value)))
}
