//! SQL that deletes tokens long after their end: found a stretch of the table at a time by a connection that reads, so
//! that the one that writes is held up by the deletions alone.

use rusqlite::{Connection, named_params};

use super::{SqliteStore, row};
use crate::{
    domain::{id::TokenId, time::Timestamp},
    store::{Change, Pruned, StoreError},
};

/// The rows that are looked at, and of these the rows that are deleted in one transaction.
const STRETCH: u32 = 5000;
const MOST: usize = 500;

pub(super) async fn prune(store: &SqliteStore, ended_by: Timestamp, after: i64) -> Result<Pruned, StoreError> {
    let Found { tokens, next } = store.read_long(move |connection| find(connection, ended_by, after)).await?;
    if tokens.is_empty() {
        return Ok(Pruned { rows: 0, next });
    }
    let of = tokens.iter().map(|(_, id)| Change::Token(*id)).collect();
    let rows = store.write(of, move |connection| delete(connection, &tokens, ended_by)).await?;
    Ok(Pruned { rows, next })
}

/// What can be deleted, and the last row that was looked at; `None` is the end of the table.
struct Found {
    tokens: Vec<(i64, TokenId)>,
    next: Option<i64>,
}

/// Each row that ended is judged by no more than two others, however large its family is. Two kinds stay:
///
/// - a successor, while what it replaces has not ended as long ago: that it was used, or that somebody revoked it, is why
///   no other takes its place;
/// - the first of a family, while any other is there: its row counts what is used of the quota that they share.
pub(super) const FIND: &str = "SELECT t.number, t.id,
            CASE WHEN coalesce(t.revoked_at <= :ended_by, 0) OR coalesce(t.expires_at <= :ended_by, 0) THEN
                t.environment_id IS NULL
                AND NOT EXISTS (
                    SELECT 1 FROM tokens p WHERE p.id = t.rotated_from
                        AND NOT (coalesce(p.revoked_at <= :ended_by, 0) OR coalesce(p.expires_at <= :ended_by, 0)))
                AND NOT (t.rotated_from IS NULL AND EXISTS (
                    SELECT 1 FROM tokens f WHERE f.family_id = t.id AND f.rotated_from IS NOT NULL))
            ELSE 0 END
     FROM tokens t WHERE t.number > :after ORDER BY t.number LIMIT :stretch";

fn find(connection: &Connection, ended_by: Timestamp, after: i64) -> Result<Found, StoreError> {
    let mut statement = connection.prepare_cached(FIND)?;
    let mut rows = statement.query(named_params! {
        ":after": after,
        ":ended_by": ended_by.unix(),
        ":stretch": STRETCH,
    })?;
    let (mut tokens, mut seen, mut last) = (Vec::new(), 0, after);
    while let Some(row) = rows.next()? {
        seen += 1;
        last = row.get(0)?;
        if row.get(2)? {
            tokens.push((last, TokenId::new(row::identifier(row, 1)?)));
        }
        if tokens.len() == MOST {
            return Ok(Found { tokens, next: Some(last) });
        }
    }
    Ok(Found { tokens, next: (seen == STRETCH).then_some(last) })
}

/// Deletes those that were found. What has ended stays ended and is rotated no more: so what could be deleted when it was
/// found can be still.
fn delete(connection: &Connection, tokens: &[(i64, TokenId)], ended_by: Timestamp) -> Result<u64, StoreError> {
    let mut statement = connection.prepare_cached(
        "DELETE FROM tokens WHERE number = :number AND (revoked_at <= :ended_by OR expires_at <= :ended_by)",
    )?;
    let mut deleted = 0;
    for (number, _) in tokens {
        deleted += statement.execute(named_params! {":number": number, ":ended_by": ended_by.unix()})?;
    }
    Ok(deleted as u64)
}
