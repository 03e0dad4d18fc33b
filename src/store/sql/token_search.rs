//! SQL of searches among the tokens of everybody. Each page names the index that has its order.

use std::ops::ControlFlow;

use super::{
    connection::{Connection, Parameters, Row, Value},
    row,
};
use crate::{
    domain::{ability::Ability, id::TokenId, page::Fill, time::Timestamp, token::TokenState},
    store::{FoundToken, Period, Place, SortTime, States, StoreError, TokenFilter, TokenSearchQuery},
};

/// The columns of [`found`]. The last one needs no order: a family has at most two tokens that are not revoked.
pub(crate) const COLUMNS: &str =
    "SELECT t.id, t.number, t.owner_id, t.name, t.abilities, t.hint, t.created_at, t.expires_at, t.last_used_at,
            t.revoked_at, t.revoked_reason, t.environment_id, t.family_id, t.rotated_from, t.grace_ends_at,
            t.ends_on_first_use, t.disabled_at, t.ip_allowlist, t.requests_per_minute, t.quota, t.description,
            t.metadata, t.canary,
            u.id, u.name, u.email, u.created_at, u.disabled_at, u.current_environment_id, u.role, u.kind,
            CASE WHEN t.quota IS NULL THEN 0
                 ELSE coalesce((SELECT f.quota_used FROM tokens f WHERE f.id = t.family_id), 0) END,
            (SELECT c.id FROM tokens c WHERE c.family_id = t.family_id AND c.rotated_from = t.id
             ORDER BY c.number DESC LIMIT 1),
            (SELECT l.id FROM tokens l INDEXED BY tokens_live_successor
             WHERE l.family_id = t.family_id AND l.rotated_from IS NOT NULL AND l.revoked_at IS NULL
               AND l.number > t.number AND l.lineage_id = coalesce(t.lineage_id, t.id))
     FROM tokens t ";

/// The columns of an owner.
const OWNER_COLUMNS: usize = 8;

/// The conditions of a [`TokenFilter`] on a token `t` and its owner `u`, for any statement that has both.
pub(crate) const FILTER: &str = " AND (:owner IS NULL OR t.owner_id = :owner)
      AND (:environment IS NULL OR t.environment_id = :environment)
      AND (:of_service_account IS NULL OR (u.kind = 'service_account') = :of_service_account)
      AND (:of_environment IS NULL OR (t.environment_id IS NOT NULL) = :of_environment)
      AND CASE :state
              WHEN 'active' THEN t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > :now)
                  AND (:idle_since IS NULL OR coalesce(t.last_used_at, t.created_at) > :idle_since)
              WHEN 'expired' THEN t.revoked_at IS NULL
                  AND (t.expires_at <= :now OR coalesce(t.last_used_at, t.created_at) <= :idle_since)
              WHEN 'revoked' THEN t.revoked_at IS NOT NULL
              WHEN 'all' THEN TRUE
              ELSE t.revoked_at IS NULL
          END
      AND (:name IS NULL OR instr(folded(t.name), :name) > 0)
      AND (:ability IS NULL OR covers(t.abilities, :ability))
      AND (:created_from IS NULL OR t.created_at >= :created_from)
      AND (:created_before IS NULL OR t.created_at < :created_before)
      AND (:expires_from IS NULL OR t.expires_at >= :expires_from)
      AND (:expires_before IS NULL OR t.expires_at < :expires_before)
      AND (:last_used_from IS NULL OR t.last_used_at >= :last_used_from)
      AND (:last_used_before IS NULL OR t.last_used_at < :last_used_before)
      AND (:unused_since IS NULL OR coalesce(t.last_used_at, t.created_at) < :unused_since)
      AND (:metadata IS NULL OR has_metadata(t.metadata, :metadata))
      AND (:canary IS NULL OR t.canary = :canary) ";

/// The parameters of [`FILTER`].
pub(crate) fn filter_parameters(filter: &TokenFilter, now: Timestamp) -> Vec<(&'static str, Value<'_>)> {
    let time = |at: Option<Timestamp>| Value::from(at.map(Timestamp::unix));
    let state = match filter.states {
        States::NotRevoked => None,
        States::All => Some("all"),
        States::Only(TokenState::Active) => Some("active"),
        States::Only(TokenState::Expired) => Some("expired"),
        States::Only(TokenState::Revoked) => Some("revoked"),
    };
    vec![
        (":owner", Value::from(filter.owner.map(|id| id.uuid()))),
        (":environment", Value::from(filter.environment.map(|id| id.uuid()))),
        (":of_service_account", Value::from(filter.of_service_account)),
        (":of_environment", Value::from(filter.of_environment)),
        (":state", Value::from(state)),
        (":now", Value::from(now.unix())),
        (":idle_since", time(filter.idle_since)),
        (":name", Value::from(filter.name.as_deref())),
        (":ability", Value::from(filter.ability.as_ref().map(|ability| ability.as_str()))),
        (":created_from", time(filter.created.from)),
        (":created_before", time(filter.created.before)),
        (":expires_from", time(filter.expires.from)),
        (":expires_before", time(filter.expires.before)),
        (":last_used_from", time(filter.last_used.from)),
        (":last_used_before", time(filter.last_used.before)),
        (":unused_since", time(filter.unused_since)),
        (":metadata", Value::from(row::metadata_text(&filter.metadata))),
        (":canary", Value::from(filter.canary)),
    ]
}

/// Whether the words of the column `abilities` cover `needed`.
pub(crate) fn covers(abilities: &str, needed: &str) -> bool {
    abilities.split_terminator(' ').any(|word| Ability::parse(word).is_ok_and(|ability| ability.covers(needed)))
}

/// A part of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    /// The tokens that have the time by which the list is sorted.
    WithTime,
    /// The tokens that do not have it. They come last.
    WithoutTime,
}

/// The statement for a section of a search. The tokens of one owner or environment are found by their index and sorted by
/// SQLite; there are few of them. All others are read in the order of an index, or of the table.
pub(crate) fn statement(search: &TokenSearchQuery, section: Section) -> String {
    let column = match search.sort {
        SortTime::Created => None,
        SortTime::Expires => Some("t.expires_at"),
        SortTime::LastUsed => Some("t.last_used_at"),
    };
    let timed = column.filter(|_| section == Section::WithTime);
    let index = match (search.filter.environment, search.filter.owner, search.sort) {
        (Some(_), _, _) => "INDEXED BY tokens_by_environment",
        (None, Some(_), _) => "INDEXED BY tokens_by_owner",
        (None, None, SortTime::Expires) if timed.is_some() => "INDEXED BY tokens_by_expiry",
        (None, None, SortTime::LastUsed) if timed.is_some() => "INDEXED BY tokens_by_last_use",
        (None, None, _) => "NOT INDEXED",
    };
    let scope = match (search.filter.environment, search.filter.owner) {
        (Some(_), _) => "t.environment_id = :environment",
        (None, Some(_)) => "t.owner_id = :owner",
        (None, None) => "true",
    };
    let (after, direction) = if search.descending { ("<", "DESC") } else { (">", "ASC") };
    let (place, order) = match (column, timed) {
        (_, Some(column)) => (
            // The second condition lets the index stop at the end of the period.
            format!(
                "{column} IS NOT NULL AND ({column}, t.number) {after} (:after_time, :after_number) \
                 AND {column} {} :last_time",
                if search.descending { ">=" } else { "<=" }
            ),
            format!("{column} {direction}, t.number {direction}"),
        ),
        (Some(column), None) => {
            (format!("{column} IS NULL AND t.number {after} :after_number"), format!("t.number {direction}"))
        }
        (None, None) => (format!("t.number {after} :after_number"), format!("t.number {direction}")),
    };
    format!(
        "{COLUMNS}{index} CROSS JOIN users u ON u.id = t.owner_id WHERE {scope} AND {place}{FILTER}ORDER BY {order} LIMIT :limit"
    )
}

pub(crate) fn find(
    connection: &dyn Connection,
    search: &TokenSearchQuery,
    now: Timestamp,
) -> Result<Vec<FoundToken>, StoreError> {
    let (mut found, mut fill) = (Vec::new(), Fill::default());
    let period = match search.sort {
        SortTime::Created => Period::default(),
        SortTime::Expires => search.filter.expires,
        SortTime::LastUsed => search.filter.last_used,
    };
    let starts_without_time = search.after.is_some_and(|after| after.time.is_none());
    let mut is_full = false;
    if !starts_without_time {
        is_full = read(connection, search, Section::WithTime, now, &mut found, &mut fill)?;
    }
    // Tokens without the time are in no limited period.
    if !is_full && search.sort != SortTime::Created && !period.is_limited() {
        read(connection, search, Section::WithoutTime, now, &mut found, &mut fill)?;
    }
    Ok(found)
}

/// [`COLUMNS`]
pub(crate) fn found(row: &dyn Row) -> Result<FoundToken, StoreError> {
    let at = row::TOKEN_COLUMNS;
    Ok(FoundToken {
        token: row::token(row)?,
        owner: row::owner(row, at)?,
        quota_used: row.get(at + OWNER_COLUMNS)?,
        successor: row::optional_identifier(row, at + OWNER_COLUMNS + 1)?.map(TokenId::new),
        same_hands: row::optional_identifier(row, at + OWNER_COLUMNS + 2)?.map(TokenId::new),
    })
}

/// Adds the tokens of a section. Returns whether the page is full.
fn read(
    connection: &dyn Connection,
    search: &TokenSearchQuery,
    section: Section,
    now: Timestamp,
    found: &mut Vec<FoundToken>,
    fill: &mut Fill,
) -> Result<bool, StoreError> {
    let is_timed = section == Section::WithTime && search.sort != SortTime::Created;
    let mut parameters = filter_parameters(&search.filter, now);
    let (first_number, first_time) = if search.descending { (i64::MAX, i64::MAX) } else { (i64::MIN, i64::MIN) };
    let after = search.after.filter(|after| section == Section::WithTime || after.time.is_none());
    parameters.push((":after_number", Value::from(after.map_or(first_number, |Place { number, .. }| number))));
    parameters.push((":limit", Value::from(i64::from(search.limit) - i64::try_from(found.len()).unwrap_or(i64::MAX))));
    if is_timed {
        let period = if search.sort == SortTime::Expires { search.filter.expires } else { search.filter.last_used };
        let unix = |at: Option<Timestamp>| at.map(Timestamp::unix);
        let (first, last) = match search.descending {
            // The number is the largest, so the tokens of that very second are read as well. FILTER drops them.
            true => (unix(period.before), unix(period.from).unwrap_or(i64::MIN)),
            false => (unix(period.from), unix(period.before).unwrap_or(i64::MAX)),
        };
        let after_time = after.and_then(|after| unix(after.time)).or(first).unwrap_or(first_time);
        parameters.push((":after_time", Value::from(after_time)));
        parameters.push((":last_time", Value::from(last)));
    }
    let mut is_full = false;
    connection.each(&statement(search, section), Parameters::Named(&parameters), &mut |row| {
        let token = self::found(row)?;
        is_full = !fill.takes(token.token.listed_size());
        found.push(token);
        Ok(if is_full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })?;
    Ok(is_full || found.len() >= search.limit as usize)
}
