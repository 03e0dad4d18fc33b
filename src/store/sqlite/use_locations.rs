//! SQL on the addresses from which tokens were used. Each function runs inside one transaction of its caller.

use std::net::AddrParseError;

use rusqlite::{Connection, named_params};

use super::row;
use crate::{
    domain::{
        id::TokenId,
        time::Timestamp,
        use_location::{UseLocation, UserAgent},
    },
    store::StoreError,
};

/// Stores use locations and deletes each token's oldest beyond the limit. A token that was deleted is skipped. A later time
/// is never replaced by an earlier one.
pub(super) fn record(connection: &Connection, locations: &[(TokenId, UseLocation)]) -> Result<(), StoreError> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO token_addresses (token_id, address, user_agent, last_used_at)
         SELECT id, :address, :user_agent, :at FROM tokens WHERE id = :id
         ON CONFLICT (token_id, address) DO UPDATE
             SET user_agent = excluded.user_agent, last_used_at = excluded.last_used_at
             WHERE excluded.last_used_at >= last_used_at",
    )?;
    let mut delete_oldest = connection.prepare_cached(
        "DELETE FROM token_addresses WHERE token_id = :id AND address IN
             (SELECT address FROM token_addresses WHERE token_id = :id
              ORDER BY last_used_at DESC, address LIMIT -1 OFFSET :kept)",
    )?;
    for (id, location) in locations {
        let id = id.uuid().into_bytes();
        insert.execute(named_params! {
            ":id": id,
            ":address": location.address.to_string(),
            ":user_agent": location.user_agent.as_ref().map(UserAgent::as_str),
            ":at": location.last_used_at.unix(),
        })?;
        delete_oldest.execute(named_params! {":id": id, ":kept": UseLocation::KEPT as i64})?;
    }
    Ok(())
}

pub(super) fn of(connection: &Connection, id: TokenId) -> Result<Vec<UseLocation>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT address, user_agent, last_used_at FROM token_addresses WHERE token_id = :id
         ORDER BY last_used_at DESC, address",
    )?;
    let rows = statement.query_map(named_params! {":id": id.uuid().into_bytes()}, |row| {
        let address = row.get_ref(0)?.as_str()?.parse();
        let user_agent = row.get_ref(1)?.as_str_or_null()?;
        Ok(UseLocation {
            address: address.map_err(|error: AddrParseError| row::conversion_error(0, error))?,
            user_agent: user_agent.and_then(UserAgent::clean),
            last_used_at: Timestamp::from_unix(row.get(2)?),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
