//! SQL on the quotas of tokens, personal and of environments. Each function runs inside one transaction of its caller.
//!
//! A token and its successors share one quota, also while several of them are valid. The uses are counted in the row of the
//! first token of the family. Pruning keeps that row as long as any other token of the family exists.

use rusqlite::{Connection, OptionalExtension, named_params};

use crate::{
    domain::{id::TokenId, usage_limits},
    store::StoreError,
};

/// Reserves a lease out of the uses that are left, and returns its size. It is 0 if none are left.
pub(super) fn reserve(connection: &Connection, id: TokenId) -> Result<u32, StoreError> {
    let left: Option<u32> = connection
        .prepare_cached(
            "SELECT max(t.quota - first.quota_used, 0) FROM tokens t JOIN tokens first ON first.id = t.family_id
             WHERE t.id = :id AND t.revoked_at IS NULL AND t.quota IS NOT NULL",
        )?
        .query_row(named_params! {":id": id.uuid().into_bytes()}, |row| row.get(0))
        .optional()?;
    let lease = usage_limits::lease(left.ok_or(StoreError::NotFound)?);
    if lease > 0 {
        connection
            .prepare_cached(
                "UPDATE tokens SET quota_used = quota_used + :lease
                 WHERE id = (SELECT family_id FROM tokens WHERE id = :id)",
            )?
            .execute(named_params! {":id": id.uuid().into_bytes(), ":lease": lease})?;
    }
    Ok(lease)
}

/// Gives back uses that were reserved and not spent.
pub(super) fn give_back(connection: &Connection, unused: &[(TokenId, u32)]) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(
        "UPDATE tokens SET quota_used = max(quota_used - :unused, 0)
         WHERE id = (SELECT family_id FROM tokens WHERE id = :id)",
    )?;
    for (id, unused) in unused {
        statement.execute(named_params! {":id": id.uuid().into_bytes(), ":unused": unused})?;
    }
    Ok(())
}

/// How many uses are taken from the quota of each token. Tokens without a quota are left out.
pub(super) fn taken(connection: &Connection, ids: &[TokenId]) -> Result<Vec<(TokenId, u32)>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT first.quota_used FROM tokens t JOIN tokens first ON first.id = t.family_id
         WHERE t.id = :id AND t.quota IS NOT NULL",
    )?;
    let mut taken = Vec::new();
    for id in ids {
        let used = statement.query_row(named_params! {":id": id.uuid().into_bytes()}, |row| row.get(0)).optional()?;
        taken.extend(used.map(|used| (*id, used)));
    }
    Ok(taken)
}
