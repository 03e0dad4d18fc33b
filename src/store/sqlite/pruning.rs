//! SQL that deletes tokens long after their end: found a stretch of the table at a time by a connection that reads, so
//! that the one that writes is held up by the deletions alone.

use rusqlite::{Connection, named_params};

use super::row;
use crate::{
    domain::{id::TokenId, time::Timestamp},
    store::{PruneBatch, RetentionCutoff, StoreError},
};

/// The rows that are looked at, and of these the rows that are deleted in one transaction.
const STRETCH: u32 = 5000;
const MOST: usize = 500;

macro_rules! has_ended {
    ($of:literal) => {
        concat!("(coalesce(", $of, ".revoked_at <= :ended_by, 0) OR coalesce(", $of, ".expires_at <= :ended_by, 0))")
    };
}

macro_rules! is_unused {
    ($of:literal) => {
        concat!("coalesce(coalesce(", $of, ".last_used_at, ", $of, ".created_at) <= :unused_since, 0)")
    };
}

macro_rules! has_others {
    ($of:literal) => {
        concat!(
            "(",
            $of,
            ".rotated_from IS NULL AND EXISTS (
                SELECT 1 FROM tokens f WHERE f.family_id = ",
            $of,
            ".id AND f.rotated_from IS NOT NULL))"
        )
    };
}

/// Each row that ended is judged by no more than two others, however large its family is. Two kinds stay:
///
/// - a successor, while what it replaces has not ended as long ago: that it was used, or that somebody revoked it, is why
///   no other takes its place. (That what it replaces seems unused proves nothing: a use may not be on disk.)
/// - the first of a family, while any other is there: its row counts what is used of the quota that they share.
pub(super) const FIND: &str = concat!(
    "SELECT t.number, t.id,
            CASE WHEN ",
    has_ended!("t"),
    " OR ",
    is_unused!("t"),
    " THEN
                NOT EXISTS (SELECT 1 FROM tokens p WHERE p.id = t.rotated_from AND NOT ",
    has_ended!("p"),
    ")
                AND NOT ",
    has_others!("t"),
    "
            ELSE 0 END
     FROM tokens t WHERE t.number > :after ORDER BY t.number LIMIT :stretch"
);

pub(super) fn find(connection: &Connection, long_ago: RetentionCutoff, after: i64) -> Result<PruneBatch, StoreError> {
    let mut statement = connection.prepare_cached(FIND)?;
    let mut rows = statement.query(named_params! {
        ":after": after,
        ":ended_by": long_ago.ended_by.unix(),
        ":unused_since": long_ago.unused_since.map(Timestamp::unix),
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
            return Ok(PruneBatch { tokens, next: Some(last) });
        }
    }
    Ok(PruneBatch { tokens, next: (seen == STRETCH).then_some(last) })
}

/// Deletes those that were found. What has ended stays ended and is rotated no more, but what is merely not used may have
/// been used or replaced since.
const DELETE: &str = concat!(
    "DELETE FROM tokens AS t WHERE t.number = :number AND (",
    has_ended!("t"),
    " OR ",
    is_unused!("t"),
    ") AND NOT ",
    has_others!("t")
);

pub(super) fn delete(
    connection: &Connection,
    tokens: &[(i64, TokenId)],
    long_ago: RetentionCutoff,
) -> Result<u64, StoreError> {
    let mut statement = connection.prepare_cached(DELETE)?;
    let mut deleted = 0;
    for (number, _) in tokens {
        deleted += statement.execute(named_params! {
            ":number": number,
            ":ended_by": long_ago.ended_by.unix(),
            ":unused_since": long_ago.unused_since.map(Timestamp::unix),
        })?;
    }
    Ok(deleted as u64)
}
