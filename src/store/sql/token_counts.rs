//! SQL that counts tokens by kind and state.

use super::connection::{Connection, named};
use crate::{
    domain::{
        time::Timestamp,
        token_counts::{CountedState, EXPIRY_WINDOWS, TokenCounts},
    },
    store::{StoreError, TokenCountQuery},
};

/// One row for each kind and state, with the last row number that it has, and how many expire soon. Reads a part of the table.
pub(crate) const COUNT_SOME: &str = "SELECT is_of_environment, state, count(*), max(number),
        count(CASE WHEN expires_at <= :within_1 THEN 1 END), count(CASE WHEN expires_at <= :within_2 THEN 1 END),
        count(CASE WHEN expires_at <= :within_3 THEN 1 END)
     FROM (SELECT number, expires_at, environment_id IS NOT NULL AS is_of_environment,
               CASE WHEN revoked_at IS NOT NULL THEN 'revoked'
                    WHEN expires_at <= :now OR coalesce(last_used_at, created_at) <= :idle_since THEN 'expired'
                    WHEN disabled_at IS NOT NULL THEN 'disabled'
                    ELSE 'active' END AS state
           FROM tokens WHERE number > :after ORDER BY number LIMIT :limit) AS part
     GROUP BY is_of_environment, state";

pub(crate) fn count_some(
    connection: &dyn Connection,
    query: TokenCountQuery,
) -> Result<(TokenCounts, Option<i64>), StoreError> {
    let TokenCountQuery { after, limit, now, idle_since } = query;
    let [within_1, within_2, within_3] = EXPIRY_WINDOWS.map(|(_, window)| now.plus(window).unix());
    let parameters = named! {
        ":after": after, ":limit": limit, ":now": now.unix(), ":idle_since": idle_since.map(Timestamp::unix),
        ":within_1": within_1, ":within_2": within_2, ":within_3": within_3
    };
    let rows = connection.all(COUNT_SOME, parameters, |row| {
        let numbers = (row.get::<i64>(2)?, row.get::<i64>(3)?);
        let expiring = [row.get::<i64>(4)?, row.get::<i64>(5)?, row.get::<i64>(6)?];
        Ok((row.get::<bool>(0)?, row.text(1)?.to_owned(), numbers, expiring))
    })?;
    let (mut counts, mut read, mut last) = (TokenCounts::default(), 0, after);
    for (is_of_environment, state, (count, number), expiring) in rows {
        // In the order of `COUNTED_KINDS`.
        let kind = usize::from(is_of_environment);
        let Some(at) = CountedState::ALL.iter().position(|known| known.as_str() == state) else { continue };
        counts.by_state[kind][at] += count.unsigned_abs();
        if CountedState::ALL[at] == CountedState::Active {
            for (sum, more) in counts.expiring.iter_mut().zip(expiring) {
                *sum += more.unsigned_abs();
            }
        }
        read += count;
        last = last.max(number);
    }
    Ok((counts, (read >= i64::from(limit)).then_some(last)))
}
