//! Attempts that the nodes count together, on the clock of the database. Each function runs inside one transaction of the writer, so
//! those of all nodes run one after the other.
//!
//! An attempt is counted before its outcome is known, and what does not count is taken back. So attempts on several nodes at once
//! cannot exceed a limit together.

use std::time::Duration;

use super::{connection::WriteConnection, statements::Parameter};
use crate::{
    domain::attempts::{AttemptRate, CounterKey, CountersOf, Digest, Scope},
    store::{AttemptAnswer, Counted, StoreError, sql::connection::is_unreadable},
};

const READ: &str = "SELECT database_time(), a.rests_at_micros
     FROM unnest(CAST(:scopes AS text[]), CAST(:subjects AS bytea[]), CAST(:origins AS bytea[]))
         WITH ORDINALITY AS wanted (scope, subject, origin, place)
     LEFT JOIN attempts a ON a.scope = wanted.scope AND a.subject = wanted.subject AND a.origin = wanted.origin
     ORDER BY wanted.place";

const COUNT: &str = "INSERT INTO attempts (scope, subject, origin, rests_at_micros)
     SELECT * FROM unnest(CAST(:scopes AS text[]), CAST(:subjects AS bytea[]), CAST(:origins AS bytea[]),
                          CAST(:rest AS bigint[]))
     ON CONFLICT (scope, subject, origin) DO UPDATE SET rests_at_micros = excluded.rests_at_micros";

/// Time that has passed since then is not taken back: it does not hold anything any more.
const TAKE_BACK: &str = "UPDATE attempts a
     SET rests_at_micros = a.rests_at_micros - greatest(0, least(counted.width, counted.rests_at - database_time()))
     FROM unnest(CAST(:scopes AS text[]), CAST(:subjects AS bytea[]), CAST(:origins AS bytea[]), CAST(:rest AS bigint[]),
                 CAST(:intervals AS bigint[])) AS counted (scope, subject, origin, rests_at, width)
     WHERE a.scope = counted.scope AND a.subject = counted.subject AND a.origin = counted.origin";

/// There are few rows, and this is rare.
const HELD: &str = "SELECT scope, subject, origin, rests_at_micros - database_time() FROM attempts
     WHERE rests_at_micros > database_time()
       AND (subject = ANY(CAST(:subjects AS bytea[])) OR origin = ANY(CAST(:origins AS bytea[])))";

/// Counts an attempt in all counters, or in none.
pub(super) fn count(
    connection: &WriteConnection,
    counters: &[(CounterKey, AttemptRate)],
) -> Result<AttemptAnswer, StoreError> {
    let keys = Keys::of(counters.iter().map(|(key, _)| key));
    let found = connection.run(READ, &keys.parameters())?.rows;
    if found.len() != counters.len() {
        return Err(StoreError::Internal("a counter was not read".to_owned()));
    }
    let mut counted = Vec::with_capacity(counters.len());
    let mut longest: Option<(i64, CounterKey, u32)> = None;
    for ((key, rate), row) in counters.iter().zip(&found) {
        let (now, rests_at): (i64, Option<i64>) = (row.get(0), row.get(1));
        let (interval, window) = (micros(rate.interval), micros(rate.window()));
        // More is left over from a clock that was ahead, or from another limit.
        let ahead = rests_at.map_or(0, |rests_at| rests_at.saturating_sub(now)).clamp(0, window);
        let wait = ahead + interval - window;
        if wait > longest.map_or(0, |(longest, ..)| longest) {
            longest = Some((wait, *key, rate.burst));
        }
        counted.push(Counted { key: *key, interval: rate.interval, rests_at: now + ahead + interval });
    }
    if let Some((wait, key, limit)) = longest {
        return Ok(AttemptAnswer::Exceeded { key, limit, wait: Duration::from_micros(wait.unsigned_abs()) });
    }
    let rest: Vec<i64> = counted.iter().map(|counted| counted.rests_at).collect();
    connection.run(COUNT, &[&keys.parameters()[..], &[(":rest", &rest)]].concat())?;
    Ok(AttemptAnswer::Counted(counted))
}

/// Takes back what was counted.
pub(super) fn take_back(connection: &WriteConnection, counted: &[Counted]) -> Result<(), StoreError> {
    let keys = Keys::of(counted.iter().map(|counted| &counted.key));
    let rest: Vec<i64> = counted.iter().map(|counted| counted.rests_at).collect();
    let intervals: Vec<i64> = counted.iter().map(|counted| micros(counted.interval)).collect();
    let parameters = [&keys.parameters()[..], &[(":rest", &rest), (":intervals", &intervals)]].concat();
    connection.run(TAKE_BACK, &parameters).map(drop)
}

/// The counters that are not at rest, and how long until they are.
pub(super) fn held(
    connection: &WriteConnection,
    wanted: &[CountersOf],
) -> Result<Vec<(CounterKey, Duration)>, StoreError> {
    let (mut subjects, mut origins) = (Vec::new(), Vec::new());
    for of in wanted {
        match of {
            CountersOf::Subject(subject) => subjects.push(subject.to_vec()),
            CountersOf::Origin(origin) => origins.push(origin.to_vec()),
        }
    }
    let rows = connection.run(HELD, &[(":subjects", &subjects), (":origins", &origins)])?.rows;
    let digest = |row: &tokio_postgres::Row, at: usize| -> Result<Digest, StoreError> {
        row.get::<_, &[u8]>(at).try_into().map_err(|_| is_unreadable(at))
    };
    let read = |row: &tokio_postgres::Row| {
        let scope = Scope::parse(row.get(0)).map_err(|_| is_unreadable(0))?;
        let key = CounterKey { scope, subject: digest(row, 1)?, origin: digest(row, 2)? };
        Ok((key, Duration::from_micros(row.get::<_, i64>(3).max(0).unsigned_abs())))
    };
    rows.iter().map(read).collect()
}

/// Keys of counters, as the statements take them.
struct Keys {
    scopes: Vec<&'static str>,
    subjects: Vec<Vec<u8>>,
    origins: Vec<Vec<u8>>,
}

impl Keys {
    fn of<'k>(keys: impl Iterator<Item = &'k CounterKey>) -> Self {
        let mut all = Self { scopes: Vec::new(), subjects: Vec::new(), origins: Vec::new() };
        for key in keys {
            all.scopes.push(key.scope.as_str());
            all.subjects.push(key.subject.to_vec());
            all.origins.push(key.origin.to_vec());
        }
        all
    }

    fn parameters(&self) -> [Parameter<'_>; 3] {
        [(":scopes", &self.scopes), (":subjects", &self.subjects), (":origins", &self.origins)]
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
