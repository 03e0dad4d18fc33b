//! SQL on environments and their members. Each function runs inside one transaction of its caller and checks the role of
//! the user in it, so a role that was taken away meanwhile allows nothing.
//!
//! Every event of an environment is in its owner's audit trail. If another user did it, or it is about another user, it is
//! in that user's trail, too. The event of a user who did not act does not show the client's address.

use super::{
    audit::{self, without_address},
    connection::{Connection, named},
    current_environments::{leave, leave_unseen},
    environment_access::seen,
    owners, row, users,
};
use crate::{
    domain::{
        account::User,
        audit::{Attribution, Entry},
        authority::Authority,
        environment::{Environment, EnvironmentAccess, Member, MemberRole, Role},
        events::{self, TokenRef},
        id::{EnvironmentId, TokenId, UserId},
        text::Name,
        time::Timestamp,
    },
    store::{Change, Conflict, EnvironmentQuery, StoreError, invalidation},
};

/// Sorted without an index, since a user sees few environments.
const LIST: &str = "SELECT e.id, e.owner_id, e.name, e.is_default, e.created_at, CAST(NULL AS text) AS role,
            CAST(NULL AS text) AS service_account
     FROM environments e WHERE e.owner_id = :user_id AND (:before IS NULL OR e.id < :before)
     UNION ALL
     SELECT e.id, e.owner_id, e.name, e.is_default, e.created_at, m.role,
            (SELECT o.name FROM users o WHERE o.id = e.owner_id AND o.kind = 'service_account')
     FROM environment_members m JOIN environments e ON e.id = m.environment_id
     WHERE m.user_id = :user_id AND (:before IS NULL OR e.id < :before)
       AND NOT EXISTS (SELECT 1 FROM service_account_managers s
                       WHERE s.service_account_id = e.owner_id AND s.user_id = :user_id)
     UNION ALL
     SELECT e.id, e.owner_id, e.name, e.is_default, e.created_at, NULL,
            (SELECT o.name FROM users o WHERE o.id = e.owner_id)
     FROM service_account_managers s JOIN environments e ON e.owner_id = s.service_account_id
     WHERE s.user_id = :user_id AND (:before IS NULL OR e.id < :before)
     ORDER BY 1 DESC LIMIT :limit";

pub(crate) fn add(connection: &dyn Connection, environment: &Environment, by: &Attribution) -> Result<(), StoreError> {
    owners::expect_to_act_for(connection, environment.owner, by)?;
    users::expect_enabled(connection, environment.owner)?;
    let owned: u32 = connection.one(
        "SELECT count(*) FROM environments WHERE owner_id = :owner_id",
        named! {":owner_id": environment.owner.uuid()},
        |row| row.get(0),
    )?;
    if owned >= Environment::MAX_PER_OWNER {
        return Err(StoreError::Conflict(Conflict::TooManyEnvironments));
    }
    connection.execute(
        "INSERT INTO environments (id, owner_id, name, is_default, created_at)
             VALUES (:id, :owner_id, :name, :is_default, :created_at)",
        named! {
            ":id": environment.id.uuid(),
            ":owner_id": environment.owner.uuid(),
            ":name": environment.name.as_str(),
            ":is_default": environment.is_default,
            ":created_at": environment.created_at.unix(),
        },
    )?;
    audit::record(connection, by, &events::environment_created(environment.owner, environment.id))
}

/// The owner of an environment, without a check of rights.
pub(crate) fn owner(connection: &dyn Connection, id: EnvironmentId) -> Result<UserId, StoreError> {
    connection
        .optional("SELECT owner_id FROM environments WHERE id = :id", named! {":id": id.uuid()}, |row| {
            row::identifier(row, 0).map(UserId::new)
        })?
        .ok_or(StoreError::NotFound)
}

/// The environment, if the user has at least that role there.
pub(crate) fn expect_role(
    connection: &dyn Connection,
    user: UserId,
    id: EnvironmentId,
    least: Role,
) -> Result<EnvironmentAccess, StoreError> {
    let seen = seen(connection, user, id)?;
    if seen.role >= least { Ok(seen) } else { Err(StoreError::Conflict(Conflict::RoleRequired)) }
}

/// The owner of the environment. Fails unless the authority is an administrator's or includes at least this role.
pub(crate) fn expect_authority(
    connection: &dyn Connection,
    authority: Authority,
    id: EnvironmentId,
    least: Role,
) -> Result<UserId, StoreError> {
    match authority {
        Authority::User(user) => Ok(expect_role(connection, user, id, least)?.environment.owner),
        Authority::Administrator(_) => owner(connection, id),
    }
}

pub(crate) fn list(
    connection: &dyn Connection,
    user: UserId,
    query: EnvironmentQuery,
) -> Result<Vec<EnvironmentAccess>, StoreError> {
    connection.all(
        LIST,
        named! {
            ":user_id": user.uuid(),
            ":before": query.before.map(|id| id.uuid()),
            ":limit": query.limit,
        },
        row::environment_access,
    )
}

pub(crate) fn choose(
    connection: &dyn Connection,
    user: UserId,
    id: EnvironmentId,
    by: &Attribution,
) -> Result<User, StoreError> {
    seen(connection, user, id)?;
    let chosen = connection.optional(
        "UPDATE users SET current_environment_id = :environment_id
             WHERE id = :id AND current_environment_id <> :environment_id
             RETURNING id, name, email, created_at, disabled_at, current_environment_id, role",
        named! {":id": user.uuid(), ":environment_id": id.uuid()},
        |row| row::user(row, 0),
    )?;
    let Some(chosen) = chosen else { return users::by_id(connection, user) };
    audit::record(connection, by, &events::current_environment_changed(user))?;
    Ok(chosen)
}

pub(crate) fn rename(
    connection: &dyn Connection,
    user: UserId,
    id: EnvironmentId,
    name: &Name,
    by: &Attribution,
) -> Result<EnvironmentAccess, StoreError> {
    let mut seen = expect_role(connection, user, id, Role::Admin)?;
    if seen.environment.name == *name {
        return Ok(seen);
    }
    connection.execute(
        "UPDATE environments SET name = :name WHERE id = :id",
        named! {":id": id.uuid(), ":name": name.as_str()},
    )?;
    seen.environment.name = name.clone();
    record(connection, by, user, events::environment_renamed(seen.environment.owner, id))?;
    Ok(seen)
}

/// Adds to `changes` everybody who gets another current environment, and the owner, whose tokens are deleted.
pub(crate) fn delete(
    connection: &dyn Connection,
    user: UserId,
    id: EnvironmentId,
    by: &Attribution,
    changes: &mut Vec<Change>,
) -> Result<(), StoreError> {
    let owner = expect_role(connection, user, id, Role::Owner)?.environment;
    if owner.is_default {
        return Err(StoreError::Conflict(Conflict::DefaultEnvironment));
    }
    end(connection, id, (owner.owner, user), true, by, changes).map(drop)
}

/// Deletes an environment of `owner` on behalf of `actor`. Adds everybody to `changes` who gets another current environment,
/// and the owner. If the owner is deleted, too, only members get another one. Returns how many tokens were valid.
pub(crate) fn end(
    connection: &dyn Connection,
    id: EnvironmentId,
    (owner, actor): (UserId, UserId),
    owner_stays: bool,
    by: &Attribution,
    changes: &mut Vec<Change>,
) -> Result<u64, StoreError> {
    // Also for the tokens of the environment, which are deleted with it.
    changes.extend(invalidation::user(owner));
    // The rows of its tokens are deleted with it. The trail keeps that each was revoked.
    let tokens = live_tokens(connection, id, by.at)?;
    for token in &tokens {
        let token = TokenRef { id: *token, owner, environment: Some(id) };
        audit::record(connection, by, &token.revoked_with_environment())?;
    }
    let by_without_address = without_address(by);
    let members = member_ids(connection, id)?;
    for member in &members {
        audit::record(connection, &by_without_address, &events::environment_unshared(owner, id, *member).1)?;
    }
    // Before the environment is deleted, because a current environment must exist at the end of the transaction.
    if owner_stays {
        leave(connection, id, None, Some(actor), by, changes)?;
    } else {
        for member in members {
            leave(connection, id, Some(member), Some(actor), by, changes)?;
        }
    }
    connection.execute("DELETE FROM environments WHERE id = :id", named! {":id": id.uuid()})?;
    record(connection, by, actor, events::environment_deleted(owner, id))?;
    Ok(tokens.len() as u64)
}

/// The valid tokens of an environment.
pub(crate) fn live_tokens(
    connection: &dyn Connection,
    id: EnvironmentId,
    now: Timestamp,
) -> Result<Vec<TokenId>, StoreError> {
    connection.all(
        "SELECT id FROM tokens
         WHERE environment_id = :id AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > :now)
         ORDER BY number",
        named! {":id": id.uuid(), ":now": now.unix()},
        |row| row::identifier(row, 0).map(TokenId::new),
    )
}

fn member_ids(connection: &dyn Connection, id: EnvironmentId) -> Result<Vec<UserId>, StoreError> {
    connection.all(
        "SELECT user_id FROM environment_members WHERE environment_id = :id",
        named! {":id": id.uuid()},
        |row| row::identifier(row, 0).map(UserId::new),
    )
}

pub(crate) fn members(connection: &dyn Connection, user: UserId, id: EnvironmentId) -> Result<Vec<Member>, StoreError> {
    expect_role(connection, user, id, Role::Owner)?;
    connection.all(
        "SELECT m.user_id, u.name, m.role, m.created_at
         FROM environment_members m JOIN users u ON u.id = m.user_id
         WHERE m.environment_id = :id ORDER BY m.created_at, m.user_id",
        named! {":id": id.uuid()},
        row::member,
    )
}

fn member(connection: &dyn Connection, id: EnvironmentId, user: UserId) -> Result<Option<Member>, StoreError> {
    connection.optional(
        "SELECT m.user_id, u.name, m.role, m.created_at
             FROM environment_members m JOIN users u ON u.id = m.user_id
             WHERE m.environment_id = :id AND m.user_id = :user_id",
        named! {":id": id.uuid(), ":user_id": user.uuid()},
        row::member,
    )
}

pub(crate) fn share(
    connection: &dyn Connection,
    user: UserId,
    id: EnvironmentId,
    with: UserId,
    role: MemberRole,
    by: &Attribution,
) -> Result<Member, StoreError> {
    let owner = expect_role(connection, user, id, Role::Owner)?.environment.owner;
    if with == owner {
        return Err(StoreError::Conflict(Conflict::OwnerIsNoMember));
    }
    let person = users::by_id(connection, with)?;
    let known = member(connection, id, with)?;
    if let Some(member) = known.clone().filter(|member| member.role == role) {
        return Ok(member);
    }
    if known.is_none() && member_ids(connection, id)?.len() >= Environment::MAX_MEMBERS as usize {
        return Err(StoreError::Conflict(Conflict::TooManyMembers));
    }
    connection.execute(
        "INSERT INTO environment_members (environment_id, user_id, role, created_at)
             VALUES (:environment_id, :user_id, :role, :created_at)
             ON CONFLICT (environment_id, user_id) DO UPDATE SET role = excluded.role",
        named! {
            ":environment_id": id.uuid(),
            ":user_id": with.uuid(),
            ":role": role.as_str(),
            ":created_at": by.at.unix(),
        },
    )?;
    let (for_owner, for_member) = events::environment_shared(owner, id, with, role);
    audit::record(connection, by, &for_owner)?;
    audit::record(connection, &without_address(by), &for_member)?;
    Ok(Member { user: with, name: person.name, role, created_at: known.map_or(by.at, |member| member.created_at) })
}

pub(crate) fn unshare(
    connection: &dyn Connection,
    user: UserId,
    id: EnvironmentId,
    with: UserId,
    by: &Attribution,
) -> Result<(), StoreError> {
    // Any member may leave.
    let least = if with == user { Role::Viewer } else { Role::Owner };
    let owner = expect_role(connection, user, id, least)?.environment.owner;
    let removed = connection.execute(
        "DELETE FROM environment_members WHERE environment_id = :id AND user_id = :user_id",
        named! {":id": id.uuid(), ":user_id": with.uuid()},
    )?;
    if removed == 0 {
        return Err(StoreError::NotFound);
    }
    leave_unseen(connection, id, Some(user), by, &mut Vec::new())?;
    let (for_owner, for_member) = events::environment_unshared(owner, id, with);
    let by_for_member = if with == user { by } else { &without_address(by) };
    audit::record(connection, by, &for_owner)?;
    audit::record(connection, by_for_member, &for_member)
}

/// Records what `actor` did in the owner's environment: in the owner's trail, and in the actor's if that is another user.
pub(crate) fn record(
    connection: &dyn Connection,
    by: &Attribution,
    actor: UserId,
    entry: Entry,
) -> Result<(), StoreError> {
    let (for_owner, own) = events::in_environment(entry, actor);
    audit::record(connection, by, &for_owner)?;
    own.map_or(Ok(()), |own| audit::record(connection, by, &own))
}
