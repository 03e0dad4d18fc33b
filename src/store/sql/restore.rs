//! Ends in a restored database what had ended before it was restored. Nothing else uses the database meanwhile.

use std::collections::BTreeMap;

use super::{
    accounts,
    audit::{self, without_address},
    connection::{Connection, NONE, Row, named},
    copy::CopyEnd,
    current_environments::leave_unseen,
    deletion, environments,
    headroom::Headroom,
    password_links, roles, row, service_accounts, sessions,
};
use crate::{
    domain::{
        account::Role,
        audit::{Attribution, Entry, Event},
        environment::MemberRole,
        events::{self, TokenRef},
        id::{EnvironmentId, TokenId, UserId},
        replay::Replay,
        time::Timestamp,
        token::RevocationReason,
    },
    store::{LastAdmin, Restored, Restoring, StoreError, UserDeletion},
};

/// The last event.
pub(crate) fn last_event(connection: &dyn Connection) -> Result<Option<Event>, StoreError> {
    let last = "SELECT seq, at, user_id, actor_kind, actor_id, action, target_kind, target_id, address,
                       request_id, outcome, detail, actor_user_id
                FROM audit_events ORDER BY seq DESC LIMIT 1";
    connection.optional(last, NONE, row::event)
}

/// Ends everything in one transaction.
pub(crate) fn restore<E: CopyEnd>(end: &E, restoring: &Restoring, by: &Attribution) -> Result<Restored, StoreError> {
    let (restoring, by) = (restoring.clone(), by.clone());
    end.write(move |connection| {
        let last = last_event(connection)?.map_or(0, |event| event.seq);
        if let Some((_, end)) = &restoring.replay {
            // A reader that follows the trail never sees a number twice.
            let number = E::last_number(connection, "audit_events", "seq")?.max(*end);
            E::number_after(connection, "audit_events", "seq", number)?;
        }
        if let Some((replay, _)) = &restoring.replay {
            repeat(connection, replay, &by)?;
        }
        let sessions = match restoring.end_sessions {
            true => Some(end_all_sessions(connection, &by)?),
            false => None,
        };
        let expiring = match restoring.tokens_end_at {
            Some(at) => Some((expire(connection, at)?, at)),
            None => None,
        };
        let changes = changes_after(connection, last)?;
        let replayed = restoring.replay.as_ref().map(|(_, end)| *end);
        audit::record(connection, &by, &events::database_restored(last, replayed, sessions, expiring))?;
        Ok(Restored { changes, expiring: expiring.map_or(0, |(tokens, _)| tokens) })
    })
}

/// How many events of each kind there are after this one.
fn changes_after(connection: &dyn Connection, last: i64) -> Result<BTreeMap<String, u64>, StoreError> {
    let count = "SELECT action, count(*) FROM audit_events WHERE seq > :last GROUP BY action";
    let counted = connection
        .all(count, named! {":last": last}, |row| Ok((row.text(0)?.to_owned(), row.get::<i64>(1)?.unsigned_abs())))?;
    Ok(counted.into_iter().collect())
}

fn repeat(connection: &dyn Connection, replay: &Replay, by: &Attribution) -> Result<(), StoreError> {
    let nobody_caches = &mut Vec::new();
    for (token, (at, reason)) in &replay.ended_tokens {
        end_token(connection, *token, *at, *reason, by)?;
    }
    for token in &replay.disabled_tokens {
        disable_token(connection, *token, by)?;
    }
    for ((environment, member), role) in &replay.members {
        narrow_member(connection, *environment, *member, *role, by)?;
    }
    for (account, manager) in &replay.removed_managers {
        if_there(service_accounts::remove_manager(connection, *account, *manager, by, nobody_caches))?;
    }
    for session in &replay.ended_sessions {
        let delete = "DELETE FROM sessions WHERE id = :id RETURNING user_id";
        let user = connection.optional(delete, named! {":id": session.uuid()}, |row| row::identifier(row, 0))?;
        let ended = user.map(|user| events::session_ended(UserId::new(user), *session));
        record(connection, by, ended)?;
    }
    for user in &replay.ended_password_links {
        password_links::end(connection, *user)?;
    }
    for user in &replay.ended_passwords {
        end_password(connection, *user, by)?;
    }
    for user in &replay.demoted_users {
        if_there(roles::set(connection, *user, Role::Member, LastAdmin::MayGo, by, nobody_caches))?;
    }
    for user in &replay.disabled_users {
        if_there(accounts::disable(connection, *user, LastAdmin::MayGo, by))?;
    }
    for account in &replay.disabled_service_accounts {
        if_there(service_accounts::disable(connection, *account, by))?;
    }
    for environment in &replay.deleted_environments {
        delete_environment(connection, *environment, by)?;
    }
    for account in &replay.deleted_service_accounts {
        if_there(service_accounts::delete(connection, *account, by, nobody_caches))?;
    }
    for user in &replay.deleted_users {
        let deletion = UserDeletion { verified: None, transfer: None, last: LastAdmin::MayGo };
        if_there(deletion::delete(connection, *user, &deletion, &Headroom::default(), by, nobody_caches))?;
    }
    Ok(())
}

/// A row that is not there was created after the backup, or had ended in it.
fn if_there<T>(changed: Result<T, StoreError>) -> Result<(), StoreError> {
    match changed {
        Ok(_) | Err(StoreError::NotFound) => Ok(()),
        Err(error) => Err(error),
    }
}

/// owner_id, environment_id
fn token_ref(row: &dyn Row, id: TokenId) -> Result<TokenRef, StoreError> {
    let environment = row.id(1)?.map(EnvironmentId::new);
    Ok(TokenRef { id, owner: UserId::new(row::identifier(row, 0)?), environment })
}

fn end_token(
    connection: &dyn Connection,
    id: TokenId,
    at: Timestamp,
    reason: RevocationReason,
    by: &Attribution,
) -> Result<(), StoreError> {
    let ended = connection.optional(
        "UPDATE tokens SET revoked_at = :at, revoked_reason = :reason WHERE id = :id AND revoked_at IS NULL
         RETURNING owner_id, environment_id",
        named! {":id": id.uuid(), ":at": at.unix(), ":reason": reason.as_str()},
        |row| token_ref(row, id),
    )?;
    record(connection, by, ended.map(|token| token.revoked(reason)))
}

fn disable_token(connection: &dyn Connection, id: TokenId, by: &Attribution) -> Result<(), StoreError> {
    let disabled = connection.optional(
        "UPDATE tokens SET disabled_at = :at WHERE id = :id AND revoked_at IS NULL AND disabled_at IS NULL
         RETURNING owner_id, environment_id",
        named! {":id": id.uuid(), ":at": by.at.unix()},
        |row| token_ref(row, id),
    )?;
    record(connection, by, disabled.map(TokenRef::disabled))
}

fn record(connection: &dyn Connection, by: &Attribution, entry: Option<Entry>) -> Result<(), StoreError> {
    match &entry {
        Some(entry) => audit::record(connection, by, entry),
        None => Ok(()),
    }
}

/// Removes the member, or gives a member a narrower role. A wider role is not given back.
fn narrow_member(
    connection: &dyn Connection,
    environment: EnvironmentId,
    member: UserId,
    role: Option<MemberRole>,
    by: &Attribution,
) -> Result<(), StoreError> {
    let parameters = named! {":environment_id": environment.uuid(), ":user_id": member.uuid()};
    let changed = match role {
        Some(MemberRole::Admin) => return Ok(()),
        Some(MemberRole::Viewer) => connection.execute(
            "UPDATE environment_members SET role = 'viewer'
             WHERE environment_id = :environment_id AND user_id = :user_id AND role = 'admin'",
            parameters,
        )?,
        None => connection.execute(
            "DELETE FROM environment_members WHERE environment_id = :environment_id AND user_id = :user_id",
            parameters,
        )?,
    };
    if changed == 0 {
        return Ok(());
    }
    let owner = connection.one(
        "SELECT owner_id FROM environments WHERE id = :id",
        named! {":id": environment.uuid()},
        |row| row::identifier(row, 0).map(UserId::new),
    )?;
    let (for_owner, for_member) = match role {
        Some(role) => events::environment_shared(owner, environment, member, role),
        None => {
            leave_unseen(connection, environment, None, by, &mut Vec::new())?;
            events::environment_unshared(owner, environment, member)
        }
    };
    audit::record(connection, by, &for_owner)?;
    audit::record(connection, &without_address(by), &for_member)
}

/// The new password is not known, and the old one may be the one that was stolen.
fn end_password(connection: &dyn Connection, user: UserId, by: &Attribution) -> Result<(), StoreError> {
    let ended = connection.execute(
        "UPDATE users SET password_hash = NULL WHERE id = :id AND password_hash IS NOT NULL",
        named! {":id": user.uuid()},
    )?;
    if ended == 0 {
        return Ok(());
    }
    audit::record(connection, by, &events::password_ended_by_restore(user))?;
    sessions::end_all(connection, user, None, by).map(drop)
}

/// A default environment ends only with its owner.
fn delete_environment(connection: &dyn Connection, id: EnvironmentId, by: &Attribution) -> Result<(), StoreError> {
    let owner = connection.optional(
        "SELECT owner_id FROM environments WHERE id = :id AND NOT is_default",
        named! {":id": id.uuid()},
        |row| row::identifier(row, 0).map(UserId::new),
    )?;
    let Some(owner) = owner else { return Ok(()) };
    environments::end(connection, id, (owner, owner), true, by, &mut Vec::new()).map(drop)
}

fn end_all_sessions(connection: &dyn Connection, by: &Attribution) -> Result<u64, StoreError> {
    let users = connection
        .all("SELECT DISTINCT user_id FROM sessions", NONE, |row| row::identifier(row, 0).map(UserId::new))?;
    users.into_iter().map(|user| sessions::end_all(connection, user, None, by)).sum()
}

/// Lets every valid token end then, unless it ends before.
fn expire(connection: &dyn Connection, end: Timestamp) -> Result<u64, StoreError> {
    connection.execute(
        "UPDATE tokens SET expires_at = :end WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > :end)",
        named! {":end": end.unix()},
    )
}
