//! SQL on the addresses from which tokens were used. Each function runs inside one transaction of its caller.

use std::net::AddrParseError;

use super::{
    connection::{Connection, named},
    row,
};
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
pub(crate) fn record(connection: &dyn Connection, locations: &[(TokenId, UseLocation)]) -> Result<(), StoreError> {
    for (id, location) in locations {
        let id = id.uuid();
        connection.execute_later(
            "INSERT INTO token_addresses (token_id, address, user_agent, last_used_at)
         SELECT id, :address, :user_agent, CAST(:at AS bigint) FROM tokens WHERE id = :id
         ON CONFLICT (token_id, address) DO UPDATE
             SET user_agent = excluded.user_agent, last_used_at = excluded.last_used_at
             WHERE excluded.last_used_at >= token_addresses.last_used_at",
            named! {
                ":id": id,
                ":address": location.address.to_string(),
                ":user_agent": location.user_agent.as_ref().map(UserAgent::as_str),
                ":at": location.last_used_at.unix(),
            },
        )?;
        connection.execute_later(
            "DELETE FROM token_addresses WHERE token_id = :id AND address IN
             (SELECT address FROM token_addresses WHERE token_id = :id
              ORDER BY last_used_at DESC, address LIMIT 1000000 OFFSET :kept)",
            named! {":id": id, ":kept": UseLocation::KEPT as i64},
        )?;
    }
    Ok(())
}

pub(crate) fn of(connection: &dyn Connection, id: TokenId) -> Result<Vec<UseLocation>, StoreError> {
    connection.all(
        "SELECT address, user_agent, last_used_at FROM token_addresses WHERE token_id = :id
         ORDER BY last_used_at DESC, address",
        named! {":id": id.uuid()},
        |row| {
            let address = row.text(0)?.parse();
            let user_agent = row.optional_text(1)?;
            Ok(UseLocation {
                address: address.map_err(|error: AddrParseError| row::conversion_error(0, error))?,
                user_agent: user_agent.and_then(UserAgent::clean),
                last_used_at: Timestamp::from_unix(row.get(2)?),
            })
        },
    )
}
