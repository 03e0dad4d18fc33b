//! SQL on personal access tokens, and the SQL that they share with environment tokens. Each function runs inside one
//! transaction of its caller.
//!
//! Both kinds are rows of one table. A row with an `environment_id` is an environment token
//! ([`super::environment_tokens`]). Statements on personal access tokens must exclude these rows.

use std::{ops::ControlFlow, sync::Arc};

use uuid::Uuid;

use super::{
    audit,
    connection::{Connection, Row, named, numbered},
    headroom::Headroom,
    lineage, owners, roles, row,
    shared::Shared,
};
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
pub(crate) const BY_HASH: &str =
    "SELECT t.id, t.number, t.owner_id, t.name, t.abilities, t.hint, t.created_at, t.expires_at, t.last_used_at,
            t.revoked_at, t.revoked_reason, t.environment_id, t.family_id, t.rotated_from, t.grace_ends_at,
            t.ends_on_first_use, t.disabled_at, t.ip_allowlist, t.requests_per_minute, t.quota, t.description,
            t.metadata, t.canary,
            u.id, u.name, u.email, u.created_at, u.disabled_at, u.current_environment_id, u.role, u.kind
     FROM tokens t JOIN users u ON u.id = t.owner_id
     WHERE t.hash = :hash";

/// Parameters by position, in the order of the columns. Looking up their names, here and for the audit event, would be a
/// twelfth of the writer's work for a creation.
pub(crate) const INSERT: &str =
    "INSERT INTO tokens (number, id, owner_id, hash, hint, name, abilities, created_at, expires_at, environment_id,
                         family_id, rotated_from, ip_allowlist, requests_per_minute, quota, description, metadata, canary,
                         created_by)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)";

/// Two ranges of one index instead of an OR, so that the cost does not grow with the number of expired tokens.
pub(crate) const COUNT_LIVE: &str = "SELECT count(*) FROM (
         SELECT 1 FROM tokens
         WHERE owner_id = :owner_id AND revoked_at IS NULL AND environment_id IS NULL AND expires_at IS NULL
         UNION ALL
         SELECT 1 FROM tokens
         WHERE owner_id = :owner_id AND revoked_at IS NULL AND environment_id IS NULL AND expires_at > :now
         LIMIT :max_live
     ) AS live";

/// The search uses `instr`, not LIKE: `instr` has no wildcards and no limit of the pattern's length. Each database has the
/// function `folded`. The caller must case-fold `:search`.
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
pub(crate) const LIST: &str = list!("owner_id = :whose AND environment_id IS NULL");
/// The tokens of an environment.
pub(crate) const LIST_OF_ENVIRONMENT: &str = list!("environment_id = :whose");

/// Adds a personal access token. It fails if a session acts that has ended, perhaps during this request.
pub(crate) fn add(
    connection: &dyn Connection,
    token: &NewToken,
    max_live: u32,
    headroom: &Headroom,
    by: &Attribution,
) -> Result<Token, StoreError> {
    if token.environment.is_some() {
        return Err(StoreError::Internal("an environment token was added as a personal access token".into()));
    }
    owners::expect_to_add_for(connection, token.owner, by)?;
    if token.abilities.iter().any(Ability::is_reserved) {
        roles::expect_admin(connection, by)?;
    }
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
pub(crate) fn insert(connection: &dyn Connection, token: &NewToken, by: &Attribution) -> Result<Token, StoreError> {
    let limits = token.limits.as_deref();
    let annotations = token.annotations.as_deref();
    let number = connection.insert_numbered(
        "tokens",
        INSERT,
        numbered![
            None::<i64>,
            token.id.uuid(),
            token.owner.uuid(),
            token.hash.as_bytes(),
            token.hint.to_string(),
            token.name.as_str(),
            row::abilities_text(&token.abilities),
            token.created_at.unix(),
            token.expires_at.map(Timestamp::unix),
            token.environment.map(|id| id.uuid()),
            token.family.uuid(),
            token.rotated_from.map(|id| id.uuid()),
            limits.and_then(|limits| row::networks_text(&limits.allowlist)),
            limits.and_then(|limits| limits.requests_per_minute),
            limits.and_then(|limits| limits.quota),
            annotations.and_then(|annotations| annotations.description.as_ref()).map(Description::as_str),
            annotations.and_then(|annotations| row::metadata_text(&annotations.metadata)),
            token.is_canary,
            by.session().and(by.origin.actor.user()).map(|user| user.uuid()),
        ],
    )?;
    Ok(Token {
        id: token.id,
        number,
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

fn count_live(connection: &dyn Connection, token: &NewToken, max_live: u32) -> Result<u32, StoreError> {
    let live = connection.one(
        COUNT_LIVE,
        named! {
            ":owner_id": token.owner.uuid(),
            ":now": token.created_at.unix(),
            ":max_live": max_live,
        },
        |row| row.get(0),
    )?;
    Ok(live)
}

pub(crate) fn by_hash(
    connection: &dyn Connection,
    hash: &TokenHash,
    shared: &Shared,
) -> Result<Option<Arc<TokenRecord>>, StoreError> {
    connection.optional(BY_HASH, named! {":hash": hash.as_bytes()}, |row| record(row, shared))
}

/// Reads a row of [`BY_HASH`].
pub(crate) fn record(row: &dyn Row, shared: &Shared) -> Result<Arc<TokenRecord>, StoreError> {
    let token = row::token_with(row, shared.abilities(row, row::TOKEN_ABILITIES)?)?;
    let last_use = LastUse::new(token.last_used_at);
    let owner = shared.owner(row, row::TOKEN_COLUMNS)?;
    let (noted_location, use_counts) = (NotedLocation::default(), UseCounts::default());
    Ok(Arc::new(TokenRecord { token, owner, last_use, noted_location, use_counts }))
}

/// A personal access token that is not revoked.
pub(crate) fn by_id(connection: &dyn Connection, id: TokenId) -> Result<Token, StoreError> {
    let token = any_by_id(connection, id)?;
    if token.environment.is_some() { Err(StoreError::NotFound) } else { Ok(token) }
}

/// A token of either kind that is not revoked.
pub(crate) fn any_by_id(connection: &dyn Connection, id: TokenId) -> Result<Token, StoreError> {
    connection
        .optional(
            "SELECT id, number, owner_id, name, abilities, hint, created_at, expires_at, last_used_at, revoked_at,
                    revoked_reason, environment_id, family_id, rotated_from, grace_ends_at, ends_on_first_use,
                    disabled_at, ip_allowlist, requests_per_minute, quota, description, metadata, canary
             FROM tokens WHERE id = :id AND revoked_at IS NULL",
            named! {":id": id.uuid()},
            row::token,
        )?
        .ok_or(StoreError::NotFound)
}

/// A token of either kind, revoked or not.
pub(crate) fn in_any_state(connection: &dyn Connection, id: TokenId) -> Result<Token, StoreError> {
    connection
        .optional(
            "SELECT id, number, owner_id, name, abilities, hint, created_at, expires_at, last_used_at, revoked_at,
                    revoked_reason, environment_id, family_id, rotated_from, grace_ends_at, ends_on_first_use,
                    disabled_at, ip_allowlist, requests_per_minute, quota, description, metadata, canary
             FROM tokens WHERE id = :id",
            named! {":id": id.uuid()},
            row::token,
        )?
        .ok_or(StoreError::NotFound)
}

/// The tokens that `statement` lists. It is [`LIST`] or [`LIST_OF_ENVIRONMENT`], and `owner` the user or environment.
pub(crate) fn list(
    connection: &dyn Connection,
    statement: &str,
    owner: Uuid,
    query: &TokenQuery,
    now: Timestamp,
) -> Result<Vec<Token>, StoreError> {
    let state = query.state.map(|state| match state {
        TokenState::Active => "active",
        TokenState::Expired => "expired",
        TokenState::Revoked => "revoked",
    });
    let metadata = row::metadata_text(&query.metadata);
    let parameters = named! {
        ":whose": owner,
        ":before": query.before.unwrap_or(i64::MAX),
        ":state": state,
        ":now": now.unix(),
        ":idle_since": query.idle_since.map(Timestamp::unix),
        ":search": query.search.as_deref().map(text::folded),
        ":metadata": metadata,
        ":limit": query.limit,
    };
    // Stops after the first token that does not fit on the page. That token shows that there is another page.
    let (mut tokens, mut fill) = (Vec::new(), Fill::default());
    connection.each(statement, parameters, &mut |row| {
        let token = row::token(row)?;
        let fits = fill.takes(token.listed_size());
        tokens.push(token);
        Ok(if fits { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    })?;
    Ok(tokens)
}

/// Changes a personal token of the owner.
pub(crate) fn change_personal(
    connection: &dyn Connection,
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
pub(crate) fn change(
    connection: &dyn Connection,
    owner: UserId,
    environment: Option<EnvironmentId>,
    id: TokenId,
    change: &TokenChange,
) -> Result<ChangedToken, StoreError> {
    let token = connection
        .optional(
            "UPDATE tokens SET name = coalesce(:name, name),
                               description = CASE WHEN :sets_description THEN :description ELSE description END,
                               metadata = CASE WHEN :sets_metadata THEN :metadata ELSE metadata END
             WHERE id = :id AND owner_id = :owner_id AND environment_id IS NOT DISTINCT FROM :environment_id AND revoked_at IS NULL
             RETURNING id, number, owner_id, name, abilities, hint, created_at, expires_at, last_used_at, revoked_at,
                       revoked_reason, environment_id, family_id, rotated_from, grace_ends_at, ends_on_first_use,
                       disabled_at, ip_allowlist, requests_per_minute, quota, description, metadata, canary",
            named! {
                ":id": id.uuid(),
                ":owner_id": owner.uuid(),
                ":environment_id": environment.map(|id| id.uuid()),
                ":name": change.name.as_ref().map(Name::as_str),
                ":sets_description": change.description.is_some(),
                ":description": change.description.as_ref().and_then(Option::as_ref).map(Description::as_str),
                ":sets_metadata": change.metadata.is_some(),
                ":metadata": change.metadata.as_ref().and_then(row::metadata_text),
            },
            row::token,
        )?
        .ok_or(StoreError::NotFound)?;
    changed(connection, token)
}

/// Adds the used quota and the successor, which answers show with a token.
pub(crate) fn changed(connection: &dyn Connection, token: Token) -> Result<ChangedToken, StoreError> {
    let has_quota = token.limits.as_ref().is_some_and(|limits| limits.quota.is_some());
    let quota_used = match has_quota {
        true => connection.one(
            "SELECT quota_used FROM tokens WHERE id = :family_id",
            named! {":family_id": token.family.uuid()},
            |row| row.get(0),
        )?,
        false => 0,
    };
    let successor = match token.is_replaced() {
        true => lineage::successors(connection, &[token.id])?.first().map(|(_, successor)| *successor),
        false => None,
    };
    Ok(ChangedToken { token, quota_used, successor })
}

pub(crate) fn last_use(connection: &dyn Connection, number: i64) -> Result<Option<Timestamp>, StoreError> {
    let at: Option<Option<i64>> = connection.optional(
        "SELECT last_used_at FROM tokens WHERE number = :number",
        named! {":number": number},
        |row| row.get(0),
    )?;
    Ok(at.ok_or(StoreError::NotFound)?.map(Timestamp::from_unix))
}

/// Finds the row by its number. It writes the table and the index of last uses, and no other index. A time that is not
/// later than the stored one writes nothing.
pub(crate) const RECORD_USE: &str = "UPDATE tokens SET last_used_at = :at
     WHERE number = :number AND (last_used_at IS NULL OR last_used_at < :at)";

pub(crate) fn record_uses(connection: &dyn Connection, uses: &[(i64, Timestamp)]) -> Result<(), StoreError> {
    for (number, at) in uses {
        connection.execute_later(RECORD_USE, named! {":number": *number, ":at": at.unix()})?;
    }
    Ok(())
}
