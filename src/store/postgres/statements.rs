//! The statements that a connection which writes has prepared.

use std::{cell::RefCell, collections::HashMap, iter, sync::Arc};

use tokio_postgres::{Statement, types::ToSql};

use crate::store::StoreError;

/// How many statements are kept prepared. Beyond, all are prepared again: some texts depend on how many rows they are about.
const MAX_PREPARED: usize = 512;

/// The value of a parameter, with the parameter's name as it is in the statement (`:id`).
pub(super) type Parameter<'p> = (&'p str, &'p (dyn ToSql + Sync));

/// Statements by their text as it was before it was translated.
#[derive(Default)]
pub(super) struct Statements(RefCell<HashMap<String, Arc<Prepared>>>);

pub(super) struct Prepared {
    pub(super) statement: Statement,
    pub(super) parameters: Vec<String>,
    /// The text of a statement that does the same for several rows.
    pub(super) of_several: Option<String>,
}

impl Statements {
    pub(super) fn get(&self, sql: &str) -> Option<Arc<Prepared>> {
        self.0.borrow().get(sql).map(Arc::clone)
    }

    /// Keeps a statement that was prepared from `translated`.
    pub(super) fn keep(
        &self,
        sql: &str,
        translated: &str,
        statement: Statement,
        parameters: Vec<String>,
    ) -> Arc<Prepared> {
        let mut known = self.0.borrow_mut();
        if known.len() >= MAX_PREPARED {
            known.clear();
        }
        let of_several = of_several(translated, &statement);
        let prepared = Arc::new(Prepared { statement, parameters, of_several });
        known.insert(sql.to_owned(), Arc::clone(&prepared));
        prepared
    }
}

impl Prepared {
    /// The values in the order of their numbers. One without a value is a defect; a value without a parameter is not, as the
    /// planners of the two need different ones.
    pub(super) fn values<'p>(
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

/// A statement that inserts several rows as `insert` inserts one, in their order. `None` if `insert` does anything else, or gives a
/// column another value than a parameter. It is the same for any number of rows, so it is prepared once.
fn of_several(insert: &str, statement: &Statement) -> Option<String> {
    let (place, values) = insert.strip_prefix("INSERT INTO ")?.split_once(" VALUES ")?;
    let parameters: Vec<String> = (1..=statement.params().len()).map(|number| format!("${number}")).collect();
    if parameters.is_empty() || values.trim() != format!("({})", parameters.join(", ")) {
        return None;
    }
    let lists: Vec<String> = iter::zip(&parameters, statement.params())
        .map(|(parameter, kind)| format!("{parameter}::{}[]", kind.name()))
        .collect();
    Some(format!("INSERT INTO {place} SELECT * FROM unnest({})", lists.join(", ")))
}
