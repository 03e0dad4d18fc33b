//! Prunes old events, whole sealed ranges at a time, and records it in the chain of seals.

use blake3::Hash;

use super::seals;
use crate::store::sql::connection::{Connection, NONE, named};
use crate::{
    domain::{
        seal::{Seal, SealKind, digest_pruned},
        time::Timestamp,
    },
    store::StoreError,
};

/// How many events one transaction deletes at most. A single seal may have more.
const MAX_DELETED: i64 = 500;
/// How many seals one transaction marks at most.
const MAX_SEALS: u32 = 200;

/// The seals whose events are all from before that time.
pub(crate) const OLD: &str = "SELECT number, first_seq, last_seq, events, latest_at, digest
     FROM audit_seals INDEXED BY audit_seals_to_prune
     WHERE kind = 'events' AND pruned_by IS NULL AND latest_at < :before ORDER BY latest_at, number LIMIT :limit";

struct Range {
    number: i64,
    first: i64,
    last: i64,
    events: i64,
    latest_at: i64,
    digest: Hash,
}

/// Whether there is anything to prune.
pub(crate) fn is_due(connection: &dyn Connection, before: Timestamp) -> Result<bool, StoreError> {
    Ok(!find(connection, before, 1)?.is_empty())
}

fn find(connection: &dyn Connection, before: Timestamp, limit: u32) -> Result<Vec<Range>, StoreError> {
    connection.all(OLD, named! {":before": before.unix(), ":limit": limit}, |row| {
        Ok(Range {
            number: row.get(0)?,
            first: row.get(1)?,
            last: row.get(2)?,
            events: row.get(3)?,
            latest_at: row.get(4)?,
            digest: Hash::from_bytes(row.get(5)?),
        })
    })
}

/// Deletes the events of some seals from before that time, marks the seals, and adds a seal that records it. Returns how many
/// events were deleted. The triggers refuse any other deletion. They permit these only while the table `audit_pruning` holds
/// that time, and this row is deleted before the transaction ends.
pub(crate) fn prune(connection: &dyn Connection, before: Timestamp, now: Timestamp) -> Result<u64, StoreError> {
    let mut left = MAX_DELETED;
    let mut ranges = find(connection, before, MAX_SEALS)?;
    let fitting = ranges.iter().take_while(|range| {
        left -= range.events;
        left >= 0
    });
    let count = fitting.count().max(1);
    ranges.truncate(count);
    ranges.sort_by_key(|range| range.number);
    let (Some(latest), Some(first), Some(last), Some(latest_at)) = (
        seals::latest(connection)?,
        ranges.iter().map(|range| range.first).min(),
        ranges.iter().map(|range| range.last).max(),
        ranges.iter().map(|range| range.latest_at).max(),
    ) else {
        return Ok(0);
    };
    let pruned: Vec<(i64, Hash)> = ranges.iter().map(|range| (range.number, range.digest)).collect();
    let content = digest_pruned(&pruned);
    let seal = Seal {
        number: latest.number + 1,
        kind: SealKind::Pruning,
        first,
        last,
        events: ranges.iter().map(|range| range.events).sum(),
        latest_at: Timestamp::from_unix(latest_at),
        sealed_at: now,
        content,
        digest: content,
    };
    let seal = seal.after(Some(&latest.digest));
    seals::insert(connection, &seal)?;
    connection.execute(
        "INSERT INTO audit_pruning (only_row, before) VALUES (1, :before)",
        named! {":before": before.unix()},
    )?;
    let mut deleted = 0;
    for range in &ranges {
        deleted += connection.execute(
            "DELETE FROM audit_events WHERE seq BETWEEN :first AND :last",
            named! {":first": range.first, ":last": range.last},
        )?;
        connection.execute(
            "UPDATE audit_seals SET pruned_by = :pruning WHERE number = :number",
            named! {":pruning": seal.number, ":number": range.number},
        )?;
    }
    connection.execute("DELETE FROM audit_pruning", NONE)?;
    Ok(deleted)
}
