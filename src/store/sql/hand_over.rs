//! SQL that gives tokens and environments another owner. Each function runs inside one transaction of its caller.
//!
//! A token moves with its family, also its ended tokens: the quota is counted in the row of the first one, and the reuse of
//! an old secret ends the family of the same owner. The rows of a family keep their ids, so lineages stay as they are.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::{
    audit,
    connection::{Connection, Row, named},
    current_environments::leave_unseen,
    headroom::Headroom,
    owners, row,
};
use crate::{
    domain::{
        ability::ServerAbility,
        audit::Attribution,
        environment::Environment,
        events,
        id::{EnvironmentId, TokenId, UserId},
        owner::{HandedOver, Owner},
        time::Timestamp,
    },
    store::{Change, Conflict, HandOver, Selection, StoreError, invalidation},
};

/// Hands over everything that is selected. Adds all changes of cached records to `changes`.
pub(crate) fn hand_over(
    connection: &dyn Connection,
    hand_over: &HandOver,
    headroom: &Headroom,
    by: &Attribution,
    changes: &mut Vec<Change>,
) -> Result<HandedOver, StoreError> {
    let from = owners::by_id(connection, hand_over.from)?;
    let to = owners::by_id(connection, hand_over.to)?;
    if from.id() == to.id() {
        return Err(StoreError::Internal("something is handed over to its owner".into()));
    }
    if to.disabled_at().is_some() {
        return Err(StoreError::Conflict(Conflict::OwnerDisabled));
    }
    changes.extend(invalidation::user(from.id()));
    changes.extend(invalidation::user(to.id()));
    headroom.forget_of(to.id());
    headroom.forget_of(from.id());
    let tokens = hand_over_tokens(connection, hand_over, &from, &to, by)?;
    let environments = selected_environments(connection, hand_over)?;
    let owned = owners::count_environments(connection, to.id())?;
    if !environments.is_empty() && owned as usize + environments.len() > Environment::MAX_PER_OWNER as usize {
        return Err(StoreError::Conflict(Conflict::TooManyEnvironments));
    }
    for id in &environments {
        transfer(connection, *id, &from, &to, by, changes)?;
    }
    Ok(HandedOver { tokens, environments: u32::try_from(environments.len()).unwrap_or(u32::MAX) })
}

fn hand_over_tokens(
    connection: &dyn Connection,
    hand_over: &HandOver,
    from: &Owner,
    to: &Owner,
    by: &Attribution,
) -> Result<u32, StoreError> {
    let moved = match &hand_over.tokens {
        Selection::All => all_tokens(connection, from.id())?,
        Selection::These(ids) => families(connection, from.id(), ids)?,
    };
    let live: Vec<&FamilyMember> = moved.iter().filter(|token| token.is_live(by.at)).collect();
    // Also for a member, who can become an administrator later.
    if to.user().is_some()
        && let Some(token) = live.iter().find(|token| token.grants_admin)
    {
        return Err(StoreError::Conflict(Conflict::GrantsAdmin(token.id)));
    }
    let owned = owners::count_live_tokens(connection, to.id(), by.at)?;
    if !live.is_empty() && owned as usize + live.len() > hand_over.max_live_tokens as usize {
        return Err(StoreError::Conflict(Conflict::TooManyTokens));
    }
    for token in &moved {
        connection.execute_later(
            "UPDATE tokens SET owner_id = :to WHERE number = :number",
            named! {":number": token.number, ":to": to.id().uuid()},
        )?;
        connection
            .execute_later("DELETE FROM token_addresses WHERE token_id = :id", named! {":id": token.id.uuid()})?;
    }
    for token in &live {
        let (before, after) = events::token_handed_over(token.id, from, to);
        audit::record(connection, by, &before)?;
        audit::record(connection, by, &after)?;
    }
    Ok(u32::try_from(live.len()).unwrap_or(u32::MAX))
}

/// A personal token in any state.
struct FamilyMember {
    id: TokenId,
    number: i64,
    expires_at: Option<Timestamp>,
    is_revoked: bool,
    /// Whether it would have the power of an administrator if its owner had it.
    grants_admin: bool,
}

impl FamilyMember {
    /// id, number, expires_at, revoked_at IS NOT NULL, abilities
    fn read(row: &dyn Row) -> Result<Self, StoreError> {
        let abilities = row::abilities(row, 4)?;
        Ok(Self {
            id: TokenId::new(row::identifier(row, 0)?),
            number: row.get(1)?,
            expires_at: row.get::<Option<i64>>(2)?.map(Timestamp::from_unix),
            is_revoked: row.get(3)?,
            grants_admin: abilities.cover(ServerAbility::AdminRead.as_str()),
        })
    }

    fn is_live(&self, now: Timestamp) -> bool {
        !self.is_revoked && self.expires_at.is_none_or(|end| !end.has_passed(now))
    }
}

/// All personal tokens of an owner, in any state.
pub(crate) const OF_OWNER: &str = "SELECT id, number, expires_at, revoked_at IS NOT NULL, abilities FROM tokens
     WHERE owner_id = :owner_id AND environment_id IS NULL ORDER BY number";

fn all_tokens(connection: &dyn Connection, owner: UserId) -> Result<Vec<FamilyMember>, StoreError> {
    connection.all(OF_OWNER, named! {":owner_id": owner.uuid()}, FamilyMember::read)
}

/// The tokens of a family in any state: its first token by its id, the others by an index.
pub(crate) const OF_FAMILY: &str = "SELECT id, number, expires_at, revoked_at IS NOT NULL, abilities FROM tokens
     WHERE id = :family_id
     UNION ALL
     SELECT id, number, expires_at, revoked_at IS NOT NULL, abilities FROM tokens
     WHERE family_id = :family_id AND rotated_from IS NOT NULL";

/// The families of these personal tokens of the owner.
fn families(connection: &dyn Connection, owner: UserId, ids: &[TokenId]) -> Result<Vec<FamilyMember>, StoreError> {
    let mut families = BTreeSet::<Uuid>::new();
    for id in ids {
        let parameters = named! {":id": id.uuid(), ":owner_id": owner.uuid()};
        let family = connection.optional(
            "SELECT family_id FROM tokens WHERE id = :id AND owner_id = :owner_id AND environment_id IS NULL",
            parameters,
            |row| row::identifier(row, 0),
        )?;
        families.insert(family.ok_or(StoreError::NotFound)?);
    }
    let mut members = Vec::new();
    for family in families {
        members.extend(connection.all(OF_FAMILY, named! {":family_id": family}, FamilyMember::read)?);
    }
    Ok(members)
}

fn selected_environments(connection: &dyn Connection, hand_over: &HandOver) -> Result<Vec<EnvironmentId>, StoreError> {
    match &hand_over.environments {
        Selection::All => connection.all(
            "SELECT id FROM environments WHERE owner_id = :owner_id AND NOT is_default ORDER BY created_at, id",
            named! {":owner_id": hand_over.from.uuid()},
            |row| row::identifier(row, 0).map(EnvironmentId::new),
        ),
        Selection::These(ids) => {
            let distinct: BTreeSet<Uuid> = ids.iter().map(|id| id.uuid()).collect();
            Ok(distinct.into_iter().map(EnvironmentId::new).collect())
        }
    }
}

/// Gives one environment of `from`, with its tokens, to `to`. The members keep their roles, except the new owner, who is no
/// longer a member. Users who had selected the environment and do not see it any more get their default one.
pub(crate) fn transfer(
    connection: &dyn Connection,
    id: EnvironmentId,
    from: &Owner,
    to: &Owner,
    by: &Attribution,
    changes: &mut Vec<Change>,
) -> Result<(), StoreError> {
    let is_default: bool = connection
        .optional(
            "SELECT is_default FROM environments WHERE id = :id AND owner_id = :from",
            named! {":id": id.uuid(), ":from": from.id().uuid()},
            |row| row.get(0),
        )?
        .ok_or(StoreError::NotFound)?;
    if is_default {
        return Err(StoreError::Conflict(Conflict::DefaultEnvironment));
    }
    let both = named! {":id": id.uuid(), ":to": to.id().uuid()};
    for sql in [
        "UPDATE environments SET owner_id = :to WHERE id = :id",
        "UPDATE tokens SET owner_id = :to WHERE environment_id = :id",
        "DELETE FROM environment_members WHERE environment_id = :id AND user_id = :to",
    ] {
        connection.execute(sql, both)?;
    }
    connection.execute(
        "DELETE FROM token_addresses WHERE token_id IN (SELECT t.id FROM tokens t WHERE t.environment_id = :id)",
        named! {":id": id.uuid()},
    )?;
    leave_unseen(connection, id, None, by, changes)?;
    let (before, after) = events::environment_transferred(id, from, to);
    audit::record(connection, by, &before)?;
    audit::record(connection, by, &after)
}
