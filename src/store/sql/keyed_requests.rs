//! SQL on requests with an `Idempotency-Key`. Each function runs inside one transaction of its caller.

use super::{
    connection::{Connection, named},
    row,
};
use crate::{
    domain::{
        audit::Attribution,
        id::UserId,
        keyed_request::{self, MadeRequest, RequestDigest},
        time::Timestamp,
    },
    store::{Conflict, StoreError},
};

/// Runs `work`, which makes something, and notes the request of `by` if it has a key. Fails if one with this key is
/// remembered; then the transaction takes back what `work` did.
pub(crate) fn once<T>(
    connection: &dyn Connection,
    by: &Attribution,
    work: impl FnOnce() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let made = work()?;
    note(connection, by)?;
    Ok(made)
}

fn note(connection: &dyn Connection, by: &Attribution) -> Result<(), StoreError> {
    let Some(keyed) = &by.origin.keyed else { return Ok(()) };
    let noted = connection.execute(
        "INSERT INTO keyed_requests (account_id, key, request, made_id, made_at)
             VALUES (:account_id, :key, :request, :made_id, :made_at)
             ON CONFLICT (account_id, key) DO UPDATE
             SET request = excluded.request, made_id = excluded.made_id, made_at = excluded.made_at
             WHERE keyed_requests.made_at <= :forgotten_by",
        named! {
            ":account_id": keyed.account.uuid(),
            ":key": &keyed.key,
            ":request": &keyed.request,
            ":made_id": keyed.made,
            ":made_at": by.at.unix(),
            ":forgotten_by": keyed_request::forgotten_by(by.at).unix(),
        },
    )?;
    match noted {
        0 => Err(StoreError::Conflict(Conflict::MadeAlready)),
        _ => Ok(()),
    }
}

/// Uses the primary key.
pub(crate) const FIND: &str =
    "SELECT request, made_id, made_at FROM keyed_requests WHERE account_id = :account_id AND key = :key";

pub(crate) fn find(
    connection: &dyn Connection,
    account: UserId,
    key: &RequestDigest,
) -> Result<Option<MadeRequest>, StoreError> {
    connection.optional(FIND, named! {":account_id": account.uuid(), ":key": key}, |row| {
        Ok(MadeRequest { request: row.get(0)?, made: row::identifier(row, 1)?, at: row::time(row, 2)? })
    })
}

/// How many are deleted in one transaction, so that it does not keep others waiting.
const BATCH: u32 = 10_000;

/// Reads the index on the time.
pub(crate) const PRUNE: &str = "DELETE FROM keyed_requests WHERE (account_id, key) IN (
         SELECT account_id, key FROM keyed_requests WHERE made_at <= :made_by ORDER BY made_at LIMIT :batch
     )";

pub(crate) fn prune(connection: &dyn Connection, made_by: Timestamp) -> Result<u64, StoreError> {
    connection.execute(PRUNE, named! {":made_by": made_by.unix(), ":batch": BATCH})
}
