//! SQL on the quotas of tokens, of persons and of environments alike. Each function runs inside one transaction of its
//! caller.
//!
//! What is used is counted in the row of a family's first, which pruning leaves there as long as any of the family: a token
//! and its successor share one quota, also while both are good.

use rusqlite::{Connection, OptionalExtension, named_params};

use crate::{
    domain::{id::TokenId, usage_limits},
    store::StoreError,
};

/// Takes a lease of what is left.
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
