//! The numbers of new rows. They are taken from a sequence for several rows at once, so that not every row waits for its own.

use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, VecDeque},
};

use crate::store::{
    StoreError,
    sql::connection::{Connection, named},
};

/// Numbers that one transaction has taken. Those that it does not give are never given: a transaction that begins later takes
/// larger ones, and the numbers are in the order of the commits.
#[derive(Default)]
pub(super) struct Numbers {
    taken: RefCell<HashMap<String, VecDeque<i64>>>,
    expected: Cell<u32>,
}

impl Numbers {
    /// A transaction begins.
    pub(super) fn begin(&self) {
        self.taken.take();
        self.expected.set(0);
    }

    /// It will probably insert that many rows into a table.
    pub(super) fn expect(&self, rows: usize) {
        self.expected.set(u32::try_from(rows).unwrap_or(u32::MAX));
    }

    /// The next number of the column `number` of a table.
    pub(super) fn next(&self, connection: &dyn Connection, table: &str) -> Result<i64, StoreError> {
        let known = self.taken.borrow_mut().get_mut(table).and_then(VecDeque::pop_front);
        if let Some(number) = known {
            return Ok(number);
        }
        let taken = connection.all(
            "SELECT nextval(pg_get_serial_sequence(:table, 'number')) FROM generate_series(1, :count)",
            named! {":table": table, ":count": self.expected.get().max(1)},
            |row| row.get::<i64>(0),
        )?;
        let mut numbers = VecDeque::from(taken);
        let first = numbers.pop_front();
        self.taken.borrow_mut().insert(table.to_owned(), numbers);
        first.ok_or_else(|| StoreError::Internal("a sequence gave no number".to_owned()))
    }
}
