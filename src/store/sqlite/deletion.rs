//! SQL that deletes a user. Each function runs inside one transaction of its caller.

use rusqlite::{Connection, named_params};

use super::{audit, environments, hand_over, headroom::Headroom, roles, row, scrub, sessions, users};
use crate::{
    domain::{
        audit::{Attribution, Entry},
        deletion::EndsWithUser,
        events::{self, TokenRef},
        id::{EnvironmentId, TokenId, UserId},
        owner::HandedOver,
        time::Timestamp,
    },
    store::{Change, HandOver, StoreError, UserDeletion, invalidation},
};

/// Reads the index of live tokens.
pub(super) const TOKENS: &str = "SELECT id FROM tokens
     WHERE owner_id = :user_id AND environment_id IS NULL AND revoked_at IS NULL
       AND (expires_at IS NULL OR expires_at > :now)";

pub(super) const ENVIRONMENTS: &str =
    "SELECT id, is_default FROM environments WHERE owner_id = :user_id ORDER BY created_at, id";

/// Deletes the user, after what they own was handed over if that is asked for. The rows that refer to the user are deleted with theirs (ON DELETE CASCADE). Adds everybody to
/// `changes` who gets another current environment.
pub(super) fn delete(
    connection: &Connection,
    id: UserId,
    deletion: &UserDeletion,
    headroom: &Headroom,
    by: &Attribution,
    changes: &mut Vec<Change>,
) -> Result<EndsWithUser, StoreError> {
    changes.extend(invalidation::user(id));
    if let Some(verified) = &deletion.verified {
        users::expect_credentials(connection, id, verified)?;
    }
    let user = users::by_id(connection, id)?;
    roles::expect_other_admin(connection, &user, deletion.last)?;
    let mut ended = EndsWithUser::default();
    if let Some(transfer) = deletion.transfer {
        let everything = HandOver::everything(id, transfer);
        ended.handed_over = Some(hand_over::hand_over(connection, &everything, headroom, by, changes)?);
    }
    for (environment, _) in owned_environments(connection, id)? {
        ended.environment_tokens += environments::end(connection, environment, (id, id), false, by, changes)?;
        ended.environments += 1;
    }
    for token in live_tokens(connection, id, by.at)? {
        audit::record(connection, by, &TokenRef::personal(id, token).revoked_with_owner())?;
        ended.tokens += 1;
    }
    ended.sessions = sessions::end_all(connection, id, None, by)?;
    audit::record(connection, by, &events::user_deleted(id))?;
    connection
        .prepare_cached("DELETE FROM users WHERE id = :id")?
        .execute(named_params! {":id": id.uuid().into_bytes()})?;
    // After the last event of the user.
    audit::erasure::erase(connection, id)?;
    scrub::owe(connection)?;
    Ok(ended)
}

/// What the deletion would end, and what it would hand over.
pub(super) fn preview(
    connection: &Connection,
    id: UserId,
    with_transfer: bool,
    now: Timestamp,
) -> Result<EndsWithUser, StoreError> {
    users::by_id(connection, id)?;
    let (mut ends, mut handed_over) = (EndsWithUser::default(), HandedOver::default());
    let tokens = live_tokens(connection, id, now)?.len();
    match with_transfer {
        true => handed_over.tokens = u32::try_from(tokens).unwrap_or(u32::MAX),
        false => ends.tokens = tokens as u64,
    }
    for (environment, is_default) in owned_environments(connection, id)? {
        if with_transfer && !is_default {
            handed_over.environments += 1;
            continue;
        }
        ends.environment_tokens += environments::live_tokens(connection, environment, now)?.len() as u64;
        ends.environments += 1;
    }
    let sessions: u32 = connection
        .prepare_cached("SELECT count(*) FROM sessions WHERE user_id = :user_id AND expires_at > :now")?
        .query_row(named_params! {":user_id": id.uuid().into_bytes(), ":now": now.unix()}, |row| row.get(0))?;
    ends.sessions = sessions.into();
    ends.handed_over = with_transfer.then_some(handed_over);
    Ok(ends)
}

fn live_tokens(connection: &Connection, user: UserId, now: Timestamp) -> Result<Vec<TokenId>, StoreError> {
    let mut statement = connection.prepare_cached(TOKENS)?;
    let rows = statement
        .query_map(named_params! {":user_id": user.uuid().into_bytes(), ":now": now.unix()}, |row| {
            row::identifier(row, 0).map(TokenId::new)
        })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Each with whether it is the default one.
fn owned_environments(connection: &Connection, user: UserId) -> Result<Vec<(EnvironmentId, bool)>, StoreError> {
    let mut statement = connection.prepare_cached(ENVIRONMENTS)?;
    let rows = statement.query_map(named_params! {":user_id": user.uuid().into_bytes()}, |row| {
        Ok((EnvironmentId::new(row::identifier(row, 0)?), row.get(1)?))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Records a refusal. If its user was deleted meanwhile, the event gets no address and no detail, which may be a user agent,
/// because nothing would erase them later.
pub(super) fn record_refusal(connection: &Connection, refused: &Entry, by: &Attribution) -> Result<(), StoreError> {
    match refused.user {
        Some(user) if is_deleted(connection, user)? => {
            let refused = Entry { detail: None, ..refused.clone() };
            audit::record(connection, &audit::without_address(by), &refused)
        }
        _ => audit::record(connection, by, refused),
    }
}

fn is_deleted(connection: &Connection, user: UserId) -> Result<bool, StoreError> {
    let mut statement = connection.prepare_cached("SELECT 1 FROM users WHERE id = :id")?;
    Ok(!statement.exists(named_params! {":id": user.uuid().into_bytes()})?)
}
