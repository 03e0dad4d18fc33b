//! SQL on the counts of what tokens did. Each function runs inside one transaction of its caller.

use rusqlite::{CachedStatement, Connection, OptionalExtension, named_params};

use super::row;
use crate::{
    domain::{
        time::Timestamp,
        token_usage::{Counts, Day, OTHER_ABILITIES, UsageCount, UsageKind},
    },
    store::{StoreError, StoredUsage, UsageBatch},
};

pub(super) const ADD: &str = "UPDATE token_usage SET allowed = allowed + :allowed, refused = refused + :refused
     WHERE token_number = :token AND day = :day AND kind = :kind AND name = :name";

/// The token may have been deleted since it was used.
const INSERT: &str = "INSERT INTO token_usage (token_number, day, kind, name, allowed, refused)
     SELECT number, :day, :kind, :name, :allowed, :refused FROM tokens WHERE number = :token
     ON CONFLICT DO UPDATE SET allowed = allowed + excluded.allowed, refused = refused + excluded.refused";

/// How many abilities of a token have a count, and whether this one has.
pub(super) const NAMES: &str = "SELECT count(DISTINCT name), coalesce(max(name = :name), 0) FROM token_usage
     WHERE token_number = :token AND kind = 'ability' AND name <> :other";

pub(super) const OF_TOKEN: &str = "SELECT day, kind, name, allowed, refused FROM token_usage
     WHERE token_number = :token AND day >= :first";

/// Adds the counts of a batch, unless it is the last that was added of its part.
pub(super) fn record(connection: &Connection, batch: &UsageBatch) -> Result<(), StoreError> {
    if last_batch(connection, batch.part)? == Some(batch.number) {
        return Ok(());
    }
    let mut statements = Statements {
        add: connection.prepare_cached(ADD)?,
        insert: connection.prepare_cached(INSERT)?,
        names: connection.prepare_cached(NAMES)?,
        max_abilities: batch.max_abilities,
    };
    for (token, count) in &batch.counts {
        statements.record(*token, count)?;
    }
    connection
        .prepare_cached("REPLACE INTO token_usage_batches (part, batch) VALUES (:part, :batch)")?
        .execute(named_params! {":part": batch.part, ":batch": batch.number})?;
    Ok(())
}

fn last_batch(connection: &Connection, part: u16) -> Result<Option<i64>, StoreError> {
    let last = connection
        .prepare_cached("SELECT batch FROM token_usage_batches WHERE part = :part")?
        .query_row(named_params! {":part": part}, |row| row.get(0))
        .optional()?;
    Ok(last)
}

struct Statements<'c> {
    add: CachedStatement<'c>,
    insert: CachedStatement<'c>,
    names: CachedStatement<'c>,
    max_abilities: u32,
}

impl Statements<'_> {
    fn record(&mut self, token: i64, count: &UsageCount) -> Result<(), StoreError> {
        if execute(&mut self.add, token, count, &count.name)? > 0 {
            return Ok(());
        }
        let has_room =
            count.kind == UsageKind::Policy || &*count.name == OTHER_ABILITIES || self.has_room(token, count)?;
        execute(&mut self.insert, token, count, if has_room { &count.name } else { OTHER_ABILITIES })?;
        Ok(())
    }

    /// Whether the ability is or may be counted by name. Asked once a day for each ability of a token.
    fn has_room(&mut self, token: i64, count: &UsageCount) -> Result<bool, StoreError> {
        let names = named_params! {":token": token, ":name": &*count.name, ":other": OTHER_ABILITIES};
        let (known, is_known): (u32, bool) = self.names.query_row(names, |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(is_known || known < self.max_abilities)
    }
}

fn execute(
    statement: &mut CachedStatement<'_>,
    token: i64,
    count: &UsageCount,
    name: &str,
) -> Result<usize, StoreError> {
    let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let changed = statement.execute(named_params! {
        ":token": token,
        ":day": count.day.number(),
        ":kind": count.kind.as_str(),
        ":name": name,
        ":allowed": number(count.counts.allowed),
        ":refused": number(count.counts.refused),
    })?;
    Ok(changed)
}

pub(super) fn of_token(connection: &Connection, token: i64, first: Day, part: u16) -> Result<StoredUsage, StoreError> {
    let mut statement = connection.prepare_cached(OF_TOKEN)?;
    let rows = statement.query_map(named_params! {":token": token, ":first": first.number()}, |row| {
        Ok(UsageCount {
            day: Day::from_number(row.get(0)?),
            kind: row::parsed(row, 1, UsageKind::parse)?,
            name: row.get(2)?,
            counts: Counts { allowed: count(row, 3)?, refused: count(row, 4)? },
        })
    })?;
    let counts = rows.collect::<Result<_, _>>()?;
    Ok(StoredUsage { counts, counted_since: counted_since(connection)?, last_batch: last_batch(connection, part)? })
}

fn count(row: &rusqlite::Row<'_>, at: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(at).map(|count| u64::try_from(count).unwrap_or(0))
}

fn counted_since(connection: &Connection) -> Result<Option<Timestamp>, StoreError> {
    let since: Option<i64> = connection
        .prepare_cached("SELECT since FROM token_usage_counting")?
        .query_row([], |row| row.get(0))
        .optional()?;
    Ok(since.map(Timestamp::from_unix))
}

/// Starts the counting, unless it goes on, or ends it.
pub(super) fn set_counting(connection: &Connection, since: Option<Timestamp>) -> Result<(), StoreError> {
    match since {
        Some(since) => connection
            .prepare_cached("INSERT OR IGNORE INTO token_usage_counting (only_row, since) VALUES (1, :since)")?
            .execute(named_params! {":since": since.unix()})?,
        None => connection.prepare_cached("DELETE FROM token_usage_counting")?.execute([])?,
    };
    Ok(())
}

/// How many rows one transaction deletes at most.
const MAX_DELETED: u32 = 500;

pub(super) const PRUNE: &str = "DELETE FROM token_usage WHERE (token_number, day, kind, name) IN
     (SELECT token_number, day, kind, name FROM token_usage INDEXED BY token_usage_by_day WHERE day < :before LIMIT :most)";

/// Deletes some counts of days before this one.
pub(super) fn prune(connection: &Connection, before: Day) -> Result<u64, StoreError> {
    let parameters = named_params! {":before": before.number(), ":most": MAX_DELETED};
    Ok(connection.prepare_cached(PRUNE)?.execute(parameters)? as u64)
}
