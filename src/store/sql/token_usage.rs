//! SQL on the counts of what tokens did. Each function runs inside one transaction of its caller.

use super::{
    connection::{Connection, NONE, Row, named},
    row,
};
use crate::{
    domain::{
        time::Timestamp,
        token_usage::{Counts, Day, OTHER_ABILITIES, UsageCount, UsageKind},
    },
    store::{BatchSeries, StoreError, StoredUsage, UsageBatch},
};

pub(crate) const ADD: &str = "UPDATE token_usage SET allowed = allowed + :allowed, refused = refused + :refused
     WHERE token_number = :token AND day = :day AND kind = :kind AND name = :name";

/// The token may have been deleted since it was used.
const INSERT: &str = "INSERT INTO token_usage (token_number, day, kind, name, allowed, refused)
     SELECT number, CAST(:day AS bigint), :kind, :name, CAST(:allowed AS bigint), CAST(:refused AS bigint) FROM tokens WHERE number = :token
     ON CONFLICT (token_number, day, kind, name) DO UPDATE
         SET allowed = token_usage.allowed + excluded.allowed, refused = token_usage.refused + excluded.refused";

/// How many abilities of a token have a count, and whether this one has.
pub(crate) const NAMES: &str =
    "SELECT count(DISTINCT name), count(CASE WHEN name = :name THEN 1 END) > 0 FROM token_usage
     WHERE token_number = :token AND kind = 'ability' AND name <> :other";

pub(crate) const OF_TOKEN: &str = "SELECT day, kind, name, allowed, refused FROM token_usage
     WHERE token_number = :token AND day >= :first";

/// Adds the counts of a batch, unless it is the last that was added of its series.
pub(crate) fn record(connection: &dyn Connection, batch: &UsageBatch) -> Result<(), StoreError> {
    let Some(last_day) = batch.counts.iter().map(|(_, count)| count.day.number()).max() else { return Ok(()) };
    if last_batch(connection, batch.series)? == Some(batch.number) {
        return Ok(());
    }
    for (token, count) in &batch.counts {
        add(connection, *token, count, batch.max_abilities)?;
    }
    connection.execute(
        "INSERT INTO token_usage_batches (process_id, part, batch, last_day) VALUES (:process, :part, :batch, :last_day)
         ON CONFLICT (process_id, part) DO UPDATE SET batch = excluded.batch, last_day = excluded.last_day",
        named! {
            ":process": batch.series.process,
            ":part": batch.series.part,
            ":batch": batch.number,
            ":last_day": last_day,
        },
    )?;
    Ok(())
}

fn last_batch(connection: &dyn Connection, series: BatchSeries) -> Result<Option<i64>, StoreError> {
    let last = connection.optional(
        "SELECT batch FROM token_usage_batches WHERE process_id = :process AND part = :part",
        named! {":process": series.process, ":part": series.part},
        |row| row.get(0),
    )?;
    Ok(last)
}

fn add(connection: &dyn Connection, token: i64, count: &UsageCount, max_abilities: u32) -> Result<(), StoreError> {
    if execute(connection, ADD, token, count, &count.name)? > 0 {
        return Ok(());
    }
    let has_room = count.kind == UsageKind::Policy
        || &*count.name == OTHER_ABILITIES
        || has_room(connection, token, count, max_abilities)?;
    execute(connection, INSERT, token, count, if has_room { &count.name } else { OTHER_ABILITIES })?;
    Ok(())
}

/// Whether the ability is or may be counted by name. Asked once a day for each ability of a token.
fn has_room(
    connection: &dyn Connection,
    token: i64,
    count: &UsageCount,
    max_abilities: u32,
) -> Result<bool, StoreError> {
    let names = named! {":token": token, ":name": &*count.name, ":other": OTHER_ABILITIES};
    let read = |row: &dyn Row| Ok((row.get::<u32>(0)?, row.get::<bool>(1)?));
    let (known, is_known) = connection.one(NAMES, names, read)?;
    Ok(is_known || known < max_abilities)
}

fn execute(
    connection: &dyn Connection,
    sql: &str,
    token: i64,
    count: &UsageCount,
    name: &str,
) -> Result<u64, StoreError> {
    let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    connection.execute(
        sql,
        named! {
            ":token": token,
            ":day": count.day.number(),
            ":kind": count.kind.as_str(),
            ":name": name,
            ":allowed": number(count.counts.allowed),
            ":refused": number(count.counts.refused),
        },
    )
}

pub(crate) fn of_token(
    connection: &dyn Connection,
    token: i64,
    first: Day,
    series: BatchSeries,
) -> Result<StoredUsage, StoreError> {
    let rows = connection.all(OF_TOKEN, named! {":token": token, ":first": first.number()}, |row| {
        Ok(UsageCount {
            day: Day::from_number(row.get(0)?),
            kind: row::parsed(row, 1, UsageKind::parse)?,
            name: row.text(2)?.into(),
            counts: Counts { allowed: count(row, 3)?, refused: count(row, 4)? },
        })
    })?;
    let counts = rows;
    Ok(StoredUsage { counts, counted_since: counted_since(connection)?, last_batch: last_batch(connection, series)? })
}

fn count(row: &dyn Row, at: usize) -> Result<u64, StoreError> {
    row.get::<i64>(at).map(|count| u64::try_from(count).unwrap_or(0))
}

fn counted_since(connection: &dyn Connection) -> Result<Option<Timestamp>, StoreError> {
    let since: Option<i64> = connection.optional("SELECT since FROM token_usage_counting", NONE, |row| row.get(0))?;
    Ok(since.map(Timestamp::from_unix))
}

/// Starts the counting, unless it goes on, or ends it.
pub(crate) fn set_counting(connection: &dyn Connection, since: Option<Timestamp>) -> Result<(), StoreError> {
    match since {
        Some(since) => connection.execute(
            "INSERT INTO token_usage_counting (only_row, since) VALUES (1, :since) ON CONFLICT DO NOTHING",
            named! {":since": since.unix()},
        )?,
        None => connection.execute("DELETE FROM token_usage_counting", NONE)?,
    };
    Ok(())
}

/// How many rows one transaction deletes at most.
const MAX_DELETED: u32 = 500;

pub(crate) const PRUNE: &str = "DELETE FROM token_usage WHERE (token_number, day, kind, name) IN
     (SELECT token_number, day, kind, name FROM token_usage INDEXED BY token_usage_by_day WHERE day < :before LIMIT :most)";

/// Deletes some counts of days before this one, and forgets batches that hold no others. Such a batch may be added twice: its
/// counts are pruned again.
pub(crate) fn prune(connection: &dyn Connection, before: Day) -> Result<u64, StoreError> {
    connection
        .execute("DELETE FROM token_usage_batches WHERE last_day < :before", named! {":before": before.number()})?;
    let parameters = named! {":before": before.number(), ":most": MAX_DELETED};
    connection.execute(PRUNE, parameters)
}
