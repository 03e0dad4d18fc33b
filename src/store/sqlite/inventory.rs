//! SQL of the complete lists of users and tokens for an administrator. Each list is one statement on a separate connection.
//!
//! SQLite sorts the rows. It uses temporary files if there are many.

use std::mem;

use rusqlite::{Connection, Params, Row, named_params};

use super::{accounts, row};
use crate::{
    domain::{account::Role, account_state::AccountState, id::TokenId, time::Timestamp, token::TokenState},
    store::{EachToken, EachUser, StoreError, TokenInventory, TokenOrder, TokenRow, UserInventory, UserOrder, Whose},
};

/// How many rows the caller gets at once.
const BATCH: usize = 128;

/// When a token ends: at its expiry or when it becomes idle, whichever is first. `now - idle_since` is the idle lifetime.
macro_rules! ends_at {
    () => {
        "CASE WHEN :idle_since IS NULL THEN t.expires_at
              ELSE min(coalesce(t.expires_at, 253402300799),
                       coalesce(t.last_used_at, t.created_at) + :now - :idle_since) END"
    };
}

const TOKENS: &str =
    "SELECT t.id, t.number, t.owner_id, t.name, t.abilities, t.hint, t.created_at, t.expires_at, t.last_used_at,
            t.revoked_at, t.revoked_reason, t.environment_id, t.family_id, t.rotated_from, t.grace_ends_at,
            t.ends_on_first_use, t.disabled_at, t.ip_allowlist, t.requests_per_minute, t.quota, t.description,
            t.metadata, t.canary,
            u.email, u.name,
            CASE WHEN t.quota IS NULL THEN 0
                 ELSE coalesce((SELECT f.quota_used FROM tokens f WHERE f.id = t.family_id), 0) END,
            (SELECT c.id FROM tokens c WHERE c.family_id = t.family_id AND c.rotated_from = t.id
             ORDER BY c.number DESC LIMIT 1)
     FROM tokens t JOIN users u ON u.id = t.owner_id
     WHERE ";

const CONDITIONS: &str = concat!(
    " AND CASE :state
              WHEN 'active' THEN t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > :now)
                  AND (:idle_since IS NULL OR coalesce(t.last_used_at, t.created_at) > :idle_since)
              WHEN 'expired' THEN t.revoked_at IS NULL
                  AND (t.expires_at <= :now OR coalesce(t.last_used_at, t.created_at) <= :idle_since)
              WHEN 'revoked' THEN t.revoked_at IS NOT NULL
              ELSE t.revoked_at IS NULL
          END
      AND (:search IS NULL OR instr(folded(t.name), :search) > 0 OR instr(u.email_canonical, :search) > 0)
      AND (:metadata IS NULL OR has_metadata(t.metadata, :metadata))
      AND (:unused_since IS NULL OR coalesce(t.last_used_at, t.created_at) < :unused_since)
      AND (:ends_before IS NULL OR ",
    ends_at!(),
    " < :ends_before)
     ORDER BY "
);

/// The statement for a list. The order of creation needs no sort, because it is that of the table.
pub(super) fn token_statement(inventory: &TokenInventory) -> String {
    // Each condition uses the parameter `:whose`, so that all statements have the same parameters.
    let whose = match inventory.whose {
        Whose::All => ":whose IS NULL",
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
    [TOKENS, whose, CONDITIONS, order].concat()
}

pub(super) fn each_token(
    connection: &Connection,
    inventory: &TokenInventory,
    now: Timestamp,
    each: EachToken,
) -> Result<(), StoreError> {
    let whose = match inventory.whose {
        Whose::All => None,
        Whose::User(id) => Some(id.uuid().into_bytes()),
        Whose::Environment(id) => Some(id.uuid().into_bytes()),
    };
    let parameters = named_params! {
        ":whose": whose,
        ":state": inventory.state.map(|state| match state {
            TokenState::Active => "active",
            TokenState::Expired => "expired",
            TokenState::Revoked => "revoked",
        }),
        ":now": now.unix(),
        ":idle_since": inventory.idle_since.map(Timestamp::unix),
        ":search": inventory.search,
        ":metadata": row::metadata_text(&inventory.metadata),
        ":unused_since": inventory.unused_since.map(Timestamp::unix),
        ":ends_before": inventory.ends_before.map(Timestamp::unix),
    };
    let read = |row: &Row<'_>| {
        Ok(TokenRow {
            token: row::token(row)?,
            owner: row::owner_label(row, row::TOKEN_COLUMNS)?,
            quota_used: row.get(row::TOKEN_COLUMNS + 2)?,
            successor: row::optional_identifier(row, row::TOKEN_COLUMNS + 3)?.map(TokenId::new),
        })
    };
    pass_rows(connection, &token_statement(inventory), parameters, read, each)
}

pub(super) fn each_user(connection: &Connection, inventory: &UserInventory, each: EachUser) -> Result<(), StoreError> {
    let order = match (inventory.order, inventory.reversed) {
        (UserOrder::Created, false) => "id",
        (UserOrder::Created, true) => "id DESC",
        (UserOrder::Name, false) => "folded(name), id",
        (UserOrder::Name, true) => "folded(name) DESC, id DESC",
        (UserOrder::Email, false) => "email_canonical",
        (UserOrder::Email, true) => "email_canonical DESC",
    };
    let parameters = named_params! {
        ":search": inventory.search,
        ":role": inventory.role.map(Role::as_str),
        ":state": inventory.state.map(AccountState::as_str),
    };
    let statement = [accounts::ACCOUNT, "1", accounts::FILTERS, " ORDER BY ", order].concat();
    pass_rows(connection, &statement, parameters, row::account, each)
}

/// Passes the rows to `each` in batches, until it breaks.
fn pass_rows<T>(
    connection: &Connection,
    statement: &str,
    parameters: impl Params,
    read: fn(&Row<'_>) -> rusqlite::Result<T>,
    mut each: impl FnMut(Vec<T>) -> std::ops::ControlFlow<()>,
) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(statement)?;
    let mut rows = statement.query(parameters)?;
    let mut batch = Vec::with_capacity(BATCH);
    while let Some(row) = rows.next()? {
        batch.push(read(row)?);
        if batch.len() == BATCH && each(mem::replace(&mut batch, Vec::with_capacity(BATCH))).is_break() {
            return Ok(());
        }
    }
    if !batch.is_empty() {
        // This is the last batch, so it does not matter whether `each` breaks.
        let _ = each(batch);
    }
    Ok(())
}
