//! SQL on personal access tokens, and the SQL that they share with environment tokens. Each function runs inside one
//! transaction of its caller.
//!
//! Both kinds are rows of one table. A row with an `environment_id` is an environment token
//! ([`super::environment_tokens`]). Statements on personal access tokens must exclude these rows.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, named_params, params};
use uuid::Uuid;

use super::{audit, headroom::Headroom, lineage, owners, roles, row, shared::Shared, users};
use crate::{
    domain::{
        ability::Ability,
        annotations::Description,
        audit::Attribution,
        events::TokenRef,
        id::{EnvironmentId, TokenId, UserId},
        last_use::LastUse,
        page::Fill,
        secret::TokenHash,
        text::{self, Name},
        time::Timestamp,
        token::{NewToken, Token, TokenRecord, TokenState},
        use_counts::UseCounts,
        use_location::NotedLocation,
    },
    store::{ChangedToken, Conflict, StoreError, TokenChange, TokenQuery},
};

/// Runs for every request with a token that is not cached. It uses two unique indexes.
pub(super) const BY_HASH: &str =
    "SELECT t.id, t.number, t.owner_id, t.name, t.abilities, t.hint, t.created_at, t.expires_at, t.last_used_at,
            t.revoked_at, t.revoked_reason, t.environment_id, t.family_id, t.rotated_from, t.grace_ends_at,
            t.ends_on_first_use, t.disabled_at, t.ip_allowlist, t.requests_per_minute, t.quota, t.description,
            t.metadata, t.canary,
            u.id, u.name, u.email, u.created_at, u.disabled_at, u.current_environment_id, u.role, u.kind
     FROM tokens t JOIN users u ON u.id = t.owner_id
     WHERE t.hash = :hash";

/// Parameters by position, in the order of the columns. Looking up their names, here and for the audit event, would be a
/// twelfth of the writer's work for a creation.
pub(super) const INSERT: &str =
    "INSERT INTO tokens (id, owner_id, hash, hint, name, abilities, created_at, expires_at, environment_id, family_id,
                         rotated_from, ip_allowlist, requests_per_minute, quota, description, metadata, canary, created_by)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)";

/// Two ranges of one index instead of an OR, so that the cost does not grow with the number of expired tokens.
pub(super) const COUNT_LIVE: &str = "SELECT count(*) FROM (
         SELECT 1 FROM tokens
         WHERE owner_id = :owner_id AND revoked_at IS NULL AND environment_id IS NULL AND expires_at IS NULL
         UNION ALL
         SELECT 1 FROM tokens
         WHERE owner_id = :owner_id AND revoked_at IS NULL AND environment_id IS NULL AND expires_at > :now
         LIMIT :max_live
     )";

/// The search uses `instr`, not LIKE: `instr` has no wildcards and no limit of the pattern's length. Read connections
/// define the SQL function `folded` for case folding ([`super::connect`]). The caller must case-fold `:search`.
macro_rules! list {
    ($owner_condition:literal) => {
        concat!(
            "SELECT id, number, owner_id, name, abilities, hint, created_at, expires_at, last_used_at, revoked_at,
                    revoked_reason, environment_id, family_id, rotated_from, grace_ends_at, ends_on_first_use,
                    disabled_at, ip_allowlist, requests_per_minute, quota, description, metadata, canary
             FROM tokens
             WHERE ",
            $owner_condition,
            " AND number < :before
               AND CASE :state
                       WHEN 'active' THEN revoked_at IS NULL AND (expires_at IS NULL OR expires_at > :now)
                           AND (:idle_since IS NULL OR coalesce(last_used_at, created_at) > :idle_since)
                       WHEN 'expired' THEN revoked_at IS NULL
                           AND (expires_at <= :now OR coalesce(last_used_at, created_at) <= :idle_since)
                       WHEN 'revoked' THEN revoked_at IS NOT NULL
                       ELSE revoked_at IS NULL
                   END
               AND (:search IS NULL OR instr(folded(name), :search) > 0)
               AND (:metadata IS NULL OR has_metadata(metadata, :metadata))
             ORDER BY number DESC LIMIT :limit"
        )
    };
}

/// The personal access tokens of a user.
pub(super) const LIST: &str = list!("owner_id = :whose AND environment_id IS NULL");
/// The tokens of an environment.
pub(super) const LIST_OF_ENVIRONMENT: &str = list!("environment_id = :whose");

pub(super) fn add(
    connection: &Connection,
    token: &NewToken,
    max_live: u32,
    headroom: &Headroom,
    by: &Attribution,
) -> Result<Token, StoreError> {
    if token.environment.is_some() {
        return Err(StoreError::Internal("an environment token was added as a personal access token".into()));
    }
    owners::expect_to_act_for(connection, token.owner, by)?;
    if token.abilities.iter().any(Ability::is_reserved) {
        roles::expect_admin(connection, by)?;
    }
    users::expect_enabled(connection, token.owner)?;
    if !headroom.take(token.owner, max_live) {
        let left = max_live.saturating_sub(count_live(connection, token, max_live)?);
        if left == 0 {
            return Err(StoreError::Conflict(Conflict::TooManyTokens));
        }
        headroom.record(token.owner, max_live, left - 1);
    }
    let token = insert(connection, token, by)?;
    audit::record(connection, by, &TokenRef::from(&token).created())?;
    Ok(token)
}

/// Inserts a token. If a session acts, its user is the one who created it.
pub(super) fn insert(connection: &Connection, token: &NewToken, by: &Attribution) -> Result<Token, StoreError> {
    let limits = token.limits.as_deref();
    let annotations = token.annotations.as_deref();
    connection.prepare_cached(INSERT)?.execute(params![
        token.id.uuid().into_bytes(),
        token.owner.uuid().into_bytes(),
        token.hash.as_bytes(),
        token.hint.to_string(),
        token.name.as_str(),
        row::abilities_text(&token.abilities),
        token.created_at.unix(),
        token.expires_at.map(Timestamp::unix),
        token.environment.map(|id| id.uuid().into_bytes()),
        token.family.uuid().into_bytes(),
        token.rotated_from.map(|id| id.uuid().into_bytes()),
        limits.and_then(|limits| row::networks_text(&limits.allowlist)),
        limits.and_then(|limits| limits.requests_per_minute),
        limits.and_then(|limits| limits.quota),
        annotations.and_then(|annotations| annotations.description.as_ref()).map(Description::as_str),
        annotations.and_then(|annotations| row::metadata_text(&annotations.metadata)),
        token.is_canary,
        by.session().and(by.origin.actor.user()).map(|user| user.uuid().into_bytes()),
    ])?;
    Ok(Token {
        id: token.id,
        number: connection.last_insert_rowid(),
        owner: token.owner,
        environment: token.environment,
        name: token.name.clone(),
        abilities: token.abilities.clone(),
        hint: token.hint,
        created_at: token.created_at,
        expires_at: token.expires_at,
        last_used_at: None,
        family: token.family,
        rotated_from: token.rotated_from,
        grace: None,
        disabled_at: None,
        revoked: None,
        limits: token.limits.clone(),
        annotations: token.annotations.clone(),
        is_canary: token.is_canary,
    })
}

fn count_live(connection: &Connection, token: &NewToken, max_live: u32) -> Result<u32, StoreError> {
    let live = connection.prepare_cached(COUNT_LIVE)?.query_row(
        named_params! {
            ":owner_id": token.owner.uuid().into_bytes(),
            ":now": token.created_at.unix(),
            ":max_live": max_live,
        },
        |row| row.get(0),
    )?;
    Ok(live)
}

pub(super) fn by_hash(
    connection: &Connection,
    hash: &TokenHash,
    shared: &Shared,
) -> Result<Option<Arc<TokenRecord>>, StoreError> {
    let found = connection
        .prepare_cached(BY_HASH)?
        .query_row(named_params! {":hash": hash.as_bytes()}, |row| {
            let token = row::token_with(row, shared.abilities(row, row::TOKEN_ABILITIES)?)?;
            let last_use = LastUse::new(token.last_used_at);
            let owner = shared.owner(row, row::TOKEN_COLUMNS)?;
            let (noted_location, use_counts) = (NotedLocation::default(), UseCounts::default());
            Ok(Arc::new(TokenRecord { token, owner, last_use, noted_location, use_counts }))
        })
        .optional()?;
    Ok(found)
}

/// A personal access token that is not revoked.
pub(super) fn by_id(connection: &Connection, id: TokenId) -> Result<Token, StoreError> {
    let token = any_by_id(connection, id)?;
    if token.environment.is_some() { Err(StoreError::NotFound) } else { Ok(token) }
}

/// A token of either kind that is not revoked.
pub(super) fn any_by_id(connection: &Connection, id: TokenId) -> Result<Token, StoreError> {
    connection
        .prepare_cached(
            "SELECT id, number, owner_id, name, abilities, hint, created_at, expires_at, last_used_at, revoked_at,
                    revoked_reason, environment_id, family_id, rotated_from, grace_ends_at, ends_on_first_use,
                    disabled_at, ip_allowlist, requests_per_minute, quota, description, metadata, canary
             FROM tokens WHERE id = :id AND revoked_at IS NULL",
        )?
        .query_row(named_params! {":id": id.uuid().into_bytes()}, row::token)
        .optional()?
        .ok_or(StoreError::NotFound)
}

/// A token of either kind, revoked or not.
pub(super) fn in_any_state(connection: &Connection, id: TokenId) -> Result<Token, StoreError> {
    connection
        .prepare_cached(
            "SELECT id, number, owner_id, name, abilities, hint, created_at, expires_at, last_used_at, revoked_at,
                    revoked_reason, environment_id, family_id, rotated_from, grace_ends_at, ends_on_first_use,
                    disabled_at, ip_allowlist, requests_per_minute, quota, description, metadata, canary
             FROM tokens WHERE id = :id",
        )?
        .query_row(named_params! {":id": id.uuid().into_bytes()}, row::token)
        .optional()?
        .ok_or(StoreError::NotFound)
}

/// The tokens that `statement` lists. It is [`LIST`] or [`LIST_OF_ENVIRONMENT`], and `owner` the user or environment.
pub(super) fn list(
    connection: &Connection,
    statement: &str,
    owner: Uuid,
    query: &TokenQuery,
    now: Timestamp,
) -> Result<Vec<Token>, StoreError> {
    let mut statement = connection.prepare_cached(statement)?;
    let state = query.state.map(|state| match state {
        TokenState::Active => "active",
        TokenState::Expired => "expired",
        TokenState::Revoked => "revoked",
    });
    let rows = statement.query_map(
        named_params! {
            ":whose": owner.into_bytes(),
            ":before": query.before.unwrap_or(i64::MAX),
            ":state": state,
            ":now": now.unix(),
            ":idle_since": query.idle_since.map(Timestamp::unix),
            ":search": query.search.as_deref().map(text::folded),
            ":metadata": row::metadata_text(&query.metadata),
            ":limit": query.limit,
        },
        row::token,
    )?;
    // Stops after the first token that does not fit on the page. That token shows that there is another page.
    let (mut tokens, mut fill) = (Vec::new(), Fill::default());
    for token in rows {
        let token = token?;
        let fits = fill.takes(token.listed_size());
        tokens.push(token);
        if !fits {
            break;
        }
    }
    Ok(tokens)
}

/// Changes a personal token of the owner.
pub(super) fn change_personal(
    connection: &Connection,
    owner: UserId,
    id: TokenId,
    change: &TokenChange,
    by: &Attribution,
) -> Result<ChangedToken, StoreError> {
    owners::expect_to_act_for(connection, owner, by)?;
    let changed = self::change(connection, owner, None, id, change)?;
    for event in TokenRef::from(&changed.token).changed(change.name.is_some(), &change.annotations()) {
        audit::record(connection, by, &event)?;
    }
    Ok(changed)
}

/// Changes a personal token, or a token of `environment`, whose owner is `owner`. The caller records the events.
pub(super) fn change(
    connection: &Connection,
    owner: UserId,
    environment: Option<EnvironmentId>,
    id: TokenId,
    change: &TokenChange,
) -> Result<ChangedToken, StoreError> {
    let token = connection
        .prepare_cached(
            "UPDATE tokens SET name = coalesce(:name, name),
                               description = iif(:sets_description, :description, description),
                               metadata = iif(:sets_metadata, :metadata, metadata)
             WHERE id = :id AND owner_id = :owner_id AND environment_id IS :environment_id AND revoked_at IS NULL
             RETURNING id, number, owner_id, name, abilities, hint, created_at, expires_at, last_used_at, revoked_at,
                       revoked_reason, environment_id, family_id, rotated_from, grace_ends_at, ends_on_first_use,
                       disabled_at, ip_allowlist, requests_per_minute, quota, description, metadata, canary",
        )?
        .query_row(
            named_params! {
                ":id": id.uuid().into_bytes(),
                ":owner_id": owner.uuid().into_bytes(),
                ":environment_id": environment.map(|id| id.uuid().into_bytes()),
                ":name": change.name.as_ref().map(Name::as_str),
                ":sets_description": change.description.is_some(),
                ":description": change.description.as_ref().and_then(Option::as_ref).map(Description::as_str),
                ":sets_metadata": change.metadata.is_some(),
                ":metadata": change.metadata.as_ref().and_then(row::metadata_text),
            },
            row::token,
        )
        .optional()?
        .ok_or(StoreError::NotFound)?;
    changed(connection, token)
}

/// Adds the used quota and the successor, which answers show with a token.
pub(super) fn changed(connection: &Connection, token: Token) -> Result<ChangedToken, StoreError> {
    let has_quota = token.limits.as_ref().is_some_and(|limits| limits.quota.is_some());
    let quota_used = match has_quota {
        true => connection
            .prepare_cached("SELECT quota_used FROM tokens WHERE id = :family_id")?
            .query_row(named_params! {":family_id": token.family.uuid().into_bytes()}, |row| row.get(0))?,
        false => 0,
    };
    let successor = match token.is_replaced() {
        true => lineage::successors(connection, &[token.id])?.first().map(|(_, successor)| *successor),
        false => None,
    };
    Ok(ChangedToken { token, quota_used, successor })
}

pub(super) fn last_use(connection: &Connection, number: i64) -> Result<Option<Timestamp>, StoreError> {
    let at: Option<Option<i64>> = connection
        .prepare_cached("SELECT last_used_at FROM tokens WHERE number = :number")?
        .query_row(named_params! {":number": number}, |row| row.get(0))
        .optional()?;
    Ok(at.ok_or(StoreError::NotFound)?.map(Timestamp::from_unix))
}

/// Finds the row by its number. It writes the table and the index of last uses, and no other index. A time that is not
/// later than the stored one writes nothing.
pub(super) const RECORD_USE: &str = "UPDATE tokens SET last_used_at = :at
     WHERE number = :number AND (last_used_at IS NULL OR last_used_at < :at)";

pub(super) fn record_uses(connection: &Connection, uses: &[(i64, Timestamp)]) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(RECORD_USE)?;
    for (number, at) in uses {
        statement.execute(named_params! {":number": number, ":at": at.unix()})?;
    }
    Ok(())
}
