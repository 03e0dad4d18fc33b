//! SQL that deletes tokens long after their end. A read connection finds them, one part of the table at a time, so that the
//! writer spends time on the deletions only.

use std::ops::ControlFlow;

use super::{
    connection::{Connection, named},
    row,
};
use crate::{
    domain::{id::TokenId, time::Timestamp},
    store::{PruneBatch, RetentionCutoff, StoreError},
};

/// How many rows are read at once.
const MAX_READ: u32 = 5000;
/// How many rows one transaction deletes at most.
const MAX_DELETED: usize = 500;

macro_rules! has_ended {
    ($row:literal) => {
        concat!(
            "(coalesce(",
            $row,
            ".revoked_at <= :ended_by, FALSE) OR coalesce(",
            $row,
            ".expires_at <= :ended_by, FALSE))"
        )
    };
}

macro_rules! is_unused {
    ($row:literal) => {
        concat!("coalesce(coalesce(", $row, ".last_used_at, ", $row, ".created_at) <= :unused_since, FALSE)")
    };
}

macro_rules! has_successors {
    ($row:literal) => {
        concat!(
            "(",
            $row,
            ".rotated_from IS NULL AND EXISTS (
                SELECT 1 FROM tokens f WHERE f.family_id = ",
            $row,
            ".id AND f.rotated_from IS NOT NULL))"
        )
    };
}

/// Finds rows to delete. For each row, the statement reads at most two others of its family. Two kinds of row must stay:
///
/// - A successor whose predecessor has not ended as long ago. While this row exists, the predecessor cannot be rotated to
///   another successor. (It is not enough that the predecessor seems unused, because its latest use may not be on disk.)
/// - The first token of a family that has others. Its row counts the uses of the quota that the family shares.
pub(crate) const FIND: &str = concat!(
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
    has_successors!("t"),
    "
            ELSE FALSE END
     FROM tokens t WHERE t.number > :after ORDER BY t.number LIMIT :stretch"
);

pub(crate) fn find(connection: &dyn Connection, cutoff: RetentionCutoff, after: i64) -> Result<PruneBatch, StoreError> {
    let parameters = named! {
        ":after": after,
        ":ended_by": cutoff.ended_by.unix(),
        ":unused_since": cutoff.unused_since.map(Timestamp::unix),
        ":stretch": MAX_READ,
    };
    let (mut tokens, mut seen, mut last) = (Vec::new(), 0, after);
    connection.each(FIND, parameters, &mut |row| {
        seen += 1;
        last = row.get(0)?;
        if row.get(2)? {
            tokens.push((last, TokenId::new(row::identifier(row, 1)?)));
        }
        Ok(if tokens.len() == MAX_DELETED { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })?;
    let is_more = tokens.len() == MAX_DELETED || seen == MAX_READ;
    Ok(PruneBatch { tokens, next: is_more.then_some(last) })
}

/// Deletes a row that was found. A token that has ended stays so and is not rotated any more. But a token that was found
/// because it was unused may have been used or rotated since, so the statement checks again.
const DELETE: &str = concat!(
    "DELETE FROM tokens AS t WHERE t.number = :number AND (",
    has_ended!("t"),
    " OR ",
    is_unused!("t"),
    ") AND NOT ",
    has_successors!("t")
);

pub(crate) fn delete(
    connection: &dyn Connection,
    tokens: &[(i64, TokenId)],
    cutoff: RetentionCutoff,
) -> Result<u64, StoreError> {
    let mut deleted = 0;
    for (number, _) in tokens {
        deleted += connection.execute(
            DELETE,
            named! {
                ":number": *number,
                ":ended_by": cutoff.ended_by.unix(),
                ":unused_since": cutoff.unused_since.map(Timestamp::unix),
            },
        )?;
    }
    Ok(deleted)
}
