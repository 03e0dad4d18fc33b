//! SQL that deletes a user. Each function runs inside one transaction of its caller.

use super::{
    audit,
    connection::{Connection, named},
    environments, hand_over,
    headroom::Headroom,
    roles, row, sessions, users,
};
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
pub(crate) const TOKENS: &str = "SELECT id FROM tokens
     WHERE owner_id = :user_id AND environment_id IS NULL AND revoked_at IS NULL
       AND (expires_at IS NULL OR expires_at > :now)";

pub(crate) const ENVIRONMENTS: &str =
    "SELECT id, is_default FROM environments WHERE owner_id = :user_id ORDER BY created_at, id";

/// Deletes the user. If that is asked for, what they own is handed over first. The rows that refer to the user are deleted
/// with theirs (ON DELETE CASCADE). Adds everybody to `changes` who gets another current environment.
pub(crate) fn delete(
    connection: &dyn Connection,
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
    connection.execute("DELETE FROM users WHERE id = :id", named! {":id": id.uuid()})?;
    // After the last event of the user.
    audit::erasure::erase(connection, id)?;
    connection.owe_scrub()?;
    Ok(ended)
}

/// What the deletion would end, and what it would hand over.
pub(crate) fn preview(
    connection: &dyn Connection,
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
    let sessions: u32 = connection.one(
        "SELECT count(*) FROM sessions WHERE user_id = :user_id AND expires_at > :now",
        named! {":user_id": id.uuid(), ":now": now.unix()},
        |row| row.get(0),
    )?;
    ends.sessions = sessions.into();
    ends.handed_over = with_transfer.then_some(handed_over);
    Ok(ends)
}

fn live_tokens(connection: &dyn Connection, user: UserId, now: Timestamp) -> Result<Vec<TokenId>, StoreError> {
    connection.all(TOKENS, named! {":user_id": user.uuid(), ":now": now.unix()}, |row| {
        row::identifier(row, 0).map(TokenId::new)
    })
}

/// Each with whether it is the default one.
fn owned_environments(connection: &dyn Connection, user: UserId) -> Result<Vec<(EnvironmentId, bool)>, StoreError> {
    connection.all(ENVIRONMENTS, named! {":user_id": user.uuid()}, |row| {
        Ok((EnvironmentId::new(row::identifier(row, 0)?), row.get(1)?))
    })
}

/// Records a refusal. If its user was deleted meanwhile, the event gets no address and no detail, which may be a user agent,
/// because nothing would erase them later.
pub(crate) fn record_refusal(connection: &dyn Connection, refused: &Entry, by: &Attribution) -> Result<(), StoreError> {
    match refused.user {
        Some(user) if is_deleted(connection, user)? => {
            let refused = Entry { detail: None, ..refused.clone() };
            audit::record(connection, &audit::without_address(by), &refused)
        }
        _ => audit::record(connection, by, refused),
    }
}

fn is_deleted(connection: &dyn Connection, user: UserId) -> Result<bool, StoreError> {
    Ok(!connection.exists("SELECT 1 FROM users WHERE id = :id", named! {":id": user.uuid()})?)
}
