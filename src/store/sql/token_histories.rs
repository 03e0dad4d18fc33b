//! SQL on the histories of tokens. Each function runs inside one transaction of its caller.

use super::{
    connection::{Connection, named},
    row,
};
use crate::{
    domain::{
        audit::Event,
        id::{TokenId, UserId},
        text::Name,
        time::Timestamp,
        token::{Revocation, RevocationReason},
        token_report::{Creator, FamilyMember, TokenHistory},
    },
    store::StoreError,
};

const TOKEN: &str = "SELECT t.owner_id, t.family_id, t.created_by, u.name
     FROM tokens t LEFT JOIN users u ON u.id = t.created_by WHERE t.id = :id";

/// The first token of a family is found by its id. The others are in an index. A family is a few tokens, so its sort costs
/// little.
pub(crate) const FAMILY: &str =
    "SELECT id, rotated_from, created_at, expires_at, last_used_at, disabled_at, revoked_at, revoked_reason
     FROM tokens WHERE number IN (
         SELECT number FROM tokens WHERE id = :family_id
         UNION ALL
         SELECT number FROM tokens INDEXED BY tokens_by_family
         WHERE family_id = :family_id AND rotated_from IS NOT NULL
     )
     ORDER BY number DESC LIMIT :limit";

/// The events of a token in the trail of a user.
macro_rules! events {
    ($condition:literal, $order:literal) => {
        concat!(
            "SELECT seq, at, user_id, actor_kind, actor_id, action, target_kind, target_id, address, request_id,
                    outcome, detail, actor_user_id
             FROM audit_events INDEXED BY audit_events_by_user
             WHERE user_id = :user_id AND ",
            $condition,
            " ORDER BY seq ",
            $order,
            " LIMIT :limit"
        )
    };
}

pub(crate) const EVENTS: &str = events!("(target_id = :id OR actor_id = :id)", "DESC");
pub(crate) const CREATION: &str = events!("target_id = :id AND action = 'token.created'", "DESC");

struct Subject {
    owner: UserId,
    family: TokenId,
    creator: Option<Creator>,
}

pub(crate) fn of_token(connection: &dyn Connection, id: TokenId, limit: u32) -> Result<TokenHistory, StoreError> {
    let subject = find(connection, id)?.ok_or(StoreError::NotFound)?;
    // A token of an environment that somebody else made, or that got another owner, has events in the trail of both.
    let creator = subject.creator.as_ref().map(|creator| creator.id).filter(|creator| *creator != subject.owner);
    let mut events = events_of(connection, EVENTS, subject.owner, id, limit)?;
    let mut creation = events_of(connection, CREATION, subject.owner, id, 1)?;
    if creation.is_empty()
        && let Some(creator) = creator
    {
        creation = events_of(connection, CREATION, creator, id, 1)?;
        events.extend(events_of(connection, EVENTS, creator, id, limit)?);
        events.sort_by_key(|event| std::cmp::Reverse(event.seq));
        events.truncate(limit as usize);
    }
    Ok(TokenHistory {
        creator: subject.creator,
        creation: creation.pop(),
        family: family(connection, subject.family, limit)?,
        events,
    })
}

fn find(connection: &dyn Connection, id: TokenId) -> Result<Option<Subject>, StoreError> {
    let found = connection.optional(TOKEN, named! {":id": id.uuid()}, |row| {
        let creator = row::optional_identifier(row, 2)?.map(UserId::new);
        let name: Option<String> = row.get(3)?;
        let name = name.map(|_| row::parsed(row, 3, Name::parse_stored)).transpose()?;
        Ok(Subject {
            owner: UserId::new(row::identifier(row, 0)?),
            family: TokenId::new(row::identifier(row, 1)?),
            creator: creator.map(|id| Creator { id, name }),
        })
    })?;
    Ok(found)
}

fn family(connection: &dyn Connection, family: TokenId, limit: u32) -> Result<Vec<FamilyMember>, StoreError> {
    let parameters = named! {":family_id": family.uuid(), ":limit": limit};
    connection.all(FAMILY, parameters, |row| {
        let revoked = row::optional_time(row, 6)?;
        let revocation = |at: Timestamp| -> Result<Revocation, StoreError> {
            Ok(Revocation { at, reason: row::parsed(row, 7, RevocationReason::parse)? })
        };
        Ok(FamilyMember {
            id: TokenId::new(row::identifier(row, 0)?),
            rotated_from: row::optional_identifier(row, 1)?.map(TokenId::new),
            created_at: row::time(row, 2)?,
            expires_at: row::optional_time(row, 3)?,
            last_used_at: row::optional_time(row, 4)?,
            disabled_at: row::optional_time(row, 5)?,
            revoked: revoked.map(revocation).transpose()?,
        })
    })
}

fn events_of(
    connection: &dyn Connection,
    statement: &str,
    user: UserId,
    id: TokenId,
    limit: u32,
) -> Result<Vec<Event>, StoreError> {
    let parameters = named! {":user_id": user.uuid(), ":id": id.uuid(), ":limit": limit};
    connection.all(statement, parameters, row::event)
}
