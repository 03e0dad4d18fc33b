//! SQL of the complete lists of users and tokens for an administrator. Each list is one statement on a separate connection.
//!
//! SQLite sorts the rows. It uses temporary files if there are many.

use std::{mem, ops::ControlFlow};

use super::{
    accounts,
    connection::{Connection, Parameters, Row, Value, named},
    row, token_search,
};
use crate::{
    domain::{account::Role, account_state::AccountState, time::Timestamp},
    store::{EachToken, EachUser, StoreError, TokenInventory, TokenOrder, UserInventory, UserOrder, Whose},
};

/// How many rows the caller gets at once.
const BATCH: usize = 128;

/// When a token ends: at its expiry or when it becomes idle, whichever is first. `now - idle_since` is the idle lifetime.
macro_rules! ends_at {
    () => {
        "CASE WHEN :idle_since IS NULL
                  OR t.expires_at < coalesce(t.last_used_at, t.created_at) + :now - :idle_since
              THEN t.expires_at ELSE coalesce(t.last_used_at, t.created_at) + :now - :idle_since END"
    };
}

const SEARCH: &str = concat!(
    " AND (:search IS NULL OR instr(folded(t.name), :search) > 0 OR instr(u.email_canonical, :search) > 0)
      AND (:ends_before IS NULL OR ",
    ends_at!(),
    " < :ends_before)
     ORDER BY "
);

/// The statement for a list. The order of creation needs no sort, because it is that of the table.
pub(crate) fn token_statement(inventory: &TokenInventory) -> String {
    // Each condition uses the parameter `:whose`, so that all statements have the same parameters.
    let whose = match inventory.whose {
        Whose::All => "CAST(:whose AS uuid) IS NULL",
        Whose::User(_) => "t.owner_id = :whose",
        Whose::Environment(_) => "t.environment_id = :whose",
    };
    let order = match (inventory.order, inventory.reversed) {
        (TokenOrder::Created, false) => "t.number DESC",
        (TokenOrder::Created, true) => "t.number",
        (TokenOrder::Name, false) => "folded(t.name), t.number",
        (TokenOrder::Name, true) => "folded(t.name) DESC, t.number DESC",
        (TokenOrder::User, false) => "u.email_canonical, t.number",
        (TokenOrder::User, true) => "u.email_canonical DESC, t.number DESC",
        (TokenOrder::LastUsed, false) => "t.last_used_at DESC NULLS LAST, t.number DESC",
        (TokenOrder::LastUsed, true) => "t.last_used_at NULLS FIRST, t.number",
        (TokenOrder::Expires, false) => concat!(ends_at!(), " NULLS LAST, t.number DESC"),
        (TokenOrder::Expires, true) => concat!(ends_at!(), " DESC NULLS FIRST, t.number"),
    };
    [token_search::COLUMNS, "JOIN users u ON u.id = t.owner_id WHERE ", whose, token_search::FILTER, SEARCH, order]
        .concat()
}

pub(crate) fn each_token(
    connection: &dyn Connection,
    inventory: &TokenInventory,
    now: Timestamp,
    each: EachToken,
) -> Result<(), StoreError> {
    let whose = match inventory.whose {
        Whose::All => None,
        Whose::User(id) => Some(id.uuid()),
        Whose::Environment(id) => Some(id.uuid()),
    };
    let mut parameters = token_search::filter_parameters(&inventory.filter, now);
    parameters.push((":whose", Value::from(whose)));
    parameters.push((":search", Value::from(inventory.search.as_deref())));
    parameters.push((":ends_before", Value::from(inventory.ends_before.map(Timestamp::unix))));
    pass_rows(connection, &token_statement(inventory), Parameters::Named(&parameters), token_search::found, each)
}

pub(crate) fn each_user(
    connection: &dyn Connection,
    inventory: &UserInventory,
    each: EachUser,
) -> Result<(), StoreError> {
    let order = match (inventory.order, inventory.reversed) {
        (UserOrder::Created, false) => "id",
        (UserOrder::Created, true) => "id DESC",
        (UserOrder::Name, false) => "folded(name), id",
        (UserOrder::Name, true) => "folded(name) DESC, id DESC",
        (UserOrder::Email, false) => "email_canonical",
        (UserOrder::Email, true) => "email_canonical DESC",
    };
    let parameters = named! {
        ":search": inventory.search.as_deref(),
        ":role": inventory.role.map(Role::as_str),
        ":state": inventory.state.map(AccountState::as_str),
    };
    let statement = [accounts::ACCOUNT, "TRUE", accounts::FILTERS, " ORDER BY ", order].concat();
    pass_rows(connection, &statement, parameters, row::account, each)
}

/// Passes the rows to `each` in batches, until it breaks.
fn pass_rows<T>(
    connection: &dyn Connection,
    statement: &str,
    parameters: Parameters<'_>,
    read: fn(&dyn Row) -> Result<T, StoreError>,
    mut each: impl FnMut(Vec<T>) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    let mut batch = Vec::with_capacity(BATCH);
    connection.each(statement, parameters, &mut |row| {
        batch.push(read(row)?);
        Ok(match batch.len() == BATCH {
            true => each(mem::replace(&mut batch, Vec::with_capacity(BATCH))),
            false => ControlFlow::Continue(()),
        })
    })?;
    if !batch.is_empty() {
        // This is the last batch, so it does not matter whether `each` breaks.
        let _ = each(batch);
    }
    Ok(())
}
