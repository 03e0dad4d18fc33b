//! SQL on the quotas of tokens, personal and of environments. Each function runs inside one transaction of its caller.
//!
//! A token and its successors share one quota, also while several of them are valid. The uses are counted in the row of the
//! first token of the family. Pruning keeps that row as long as any other token of the family exists.

use crate::store::sql::connection::{Connection, named};
use crate::{
    domain::{id::TokenId, usage_limits},
    store::StoreError,
};

/// Reserves a lease out of the uses that are left, and returns its size. It is 0 if none are left.
pub(crate) fn reserve(connection: &dyn Connection, id: TokenId) -> Result<u32, StoreError> {
    let left: Option<u32> = connection.optional(
        "SELECT CASE WHEN first.quota_used < t.quota THEN t.quota - first.quota_used ELSE 0 END FROM tokens t JOIN tokens first ON first.id = t.family_id
             WHERE t.id = :id AND t.revoked_at IS NULL AND t.quota IS NOT NULL",
        named! {":id": id.uuid()},
        |row| row.get(0),
    )?;
    let lease = usage_limits::lease(left.ok_or(StoreError::NotFound)?);
    if lease > 0 {
        connection.execute(
            "UPDATE tokens SET quota_used = quota_used + :lease
                 WHERE id = (SELECT family_id FROM tokens WHERE id = :id)",
            named! {":id": id.uuid(), ":lease": lease},
        )?;
    }
    Ok(lease)
}

/// Gives back uses that were reserved and not spent.
pub(crate) fn give_back(connection: &dyn Connection, unused: &[(TokenId, u32)]) -> Result<(), StoreError> {
    for (id, unused) in unused {
        connection.execute_later(
            "UPDATE tokens SET quota_used = CASE WHEN quota_used > :unused THEN quota_used - :unused ELSE 0 END
         WHERE id = (SELECT family_id FROM tokens WHERE id = :id)",
            named! {":id": id.uuid(), ":unused": *unused},
        )?;
    }
    Ok(())
}

/// How many uses are taken from the quota of each token. Tokens without a quota are left out.
pub(crate) fn taken(connection: &dyn Connection, ids: &[TokenId]) -> Result<Vec<(TokenId, u32)>, StoreError> {
    let mut taken = Vec::new();
    for id in ids {
        let used = connection.optional(
            "SELECT first.quota_used FROM tokens t JOIN tokens first ON first.id = t.family_id
         WHERE t.id = :id AND t.quota IS NOT NULL",
            named! {":id": id.uuid()},
            |row| row.get(0),
        )?;
        taken.extend(used.map(|used| (*id, used)));
    }
    Ok(taken)
}
