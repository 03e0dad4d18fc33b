//! The rules of the store, in transactions of PostgreSQL.

use std::time::Duration;

use super::*;
use crate::{
    domain::{
        ability::Abilities,
        audit::{Actor, Attribution, RequestSource},
        id::{TokenId, UserId},
        rotation::SuccessorEnd,
        secret::{CredentialKind, Plaintext, Prefixes},
        text::Name,
        time::Timestamp,
        token::{NewToken, RevocationReason, Token},
    },
    store::{
        ChangedToken, Conflict, Rotation, StoreError,
        sql::{connection::Connection, headroom::Headroom, revocation, rotation, tokens},
    },
};

pub(super) const OWNER: UserId = UserId::new(Uuid::from_u128(1));

pub(super) fn by() -> Attribution {
    let origin = RequestSource::without_request(Actor::CommandLine);
    Attribution { origin, at: Timestamp::from_unix(100) }
}

pub(super) fn token() -> NewToken {
    let prefixes = Prefixes::new("ses_", "pat_", "talq_").expect("different prefixes");
    let secret = Plaintext::generate(CredentialKind::PersonalAccessToken, &prefixes).expect("random bytes");
    let id = TokenId::new(Uuid::new_v4());
    NewToken {
        id,
        owner: OWNER,
        environment: None,
        name: Name::parse("ci").expect("a name"),
        abilities: Abilities::full(),
        hash: secret.hash(),
        hint: secret.hint(),
        created_at: Timestamp::from_unix(100),
        expires_at: None,
        family: id,
        rotated_from: None,
        limits: None,
        annotations: None,
        is_canary: false,
    }
}

/// A transaction of its own for each change. What is refused is rolled back.
fn change<T>(
    connection: &WriteConnection,
    rule: impl FnOnce(&dyn Connection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    connection.begin()?;
    let result = rule(connection);
    match &result {
        Ok(_) => drop(connection.commit(&[])?),
        Err(_) => connection.roll_back(),
    }
    result
}

fn add(connection: &WriteConnection, max_live: u32) -> Result<Token, StoreError> {
    change(connection, |connection| tokens::add(connection, &token(), max_live, &Headroom::default(), &by()))
}

fn rotate(connection: &WriteConnection, id: TokenId) -> Result<ChangedToken, StoreError> {
    let successor = token();
    let rotation = Rotation {
        owner: OWNER,
        token: id,
        rotated_from: None,
        successor: successor.id,
        hash: successor.hash,
        hint: successor.hint,
        abilities: None,
        end: SuccessorEnd::WithPredecessor,
        grace: Duration::ZERO,
        end_on_first_use: false,
        replace_unused: false,
    };
    change(connection, |connection| rotation::rotate(connection, &rotation, &Headroom::default(), &by()))
}

#[test]
fn tokens_are_added_up_to_the_limit_rotated_once_and_revoked() {
    let Some(database) = TestDatabase::new() else { return };
    let connection = database.write_connection();
    let added = add(&connection, 2).expect("added");
    assert_eq!((added.number, added.owner), (1, OWNER));
    let rotated = rotate(&connection, added.id).expect("rotated").token;
    assert_eq!((rotated.number, rotated.rotated_from, rotated.family), (2, Some(added.id), added.id));
    let again = rotate(&connection, added.id).map(drop);
    assert_eq!(again, Err(StoreError::Conflict(Conflict::AlreadyRotated(Some(rotated.id)))));
    add(&connection, 2).expect("added");
    assert_eq!(add(&connection, 2).map(drop), Err(StoreError::Conflict(Conflict::TooManyTokens)));
    let reason = RevocationReason::RevokedByOwner;
    change(&connection, |connection| revocation::revoke(connection, OWNER, rotated.id, reason, &by(), &mut Vec::new()))
        .expect("revoked");
    add(&connection, 2).expect("there is room again");
    let actions = "SELECT string_agg(action, ' ' ORDER BY seq) FROM audit_events";
    let created = "token.created";
    assert_eq!(database.read::<String>(actions).matches(created).count(), 4);
    database.execute("UPDATE users SET disabled_at = 1");
    assert_eq!(add(&connection, 9).map(drop), Err(StoreError::NotFound));
}

#[test]
fn nodes_that_create_at_the_same_time_stop_at_the_limit_and_only_one_rotates() {
    let Some(database) = TestDatabase::new() else { return };
    let old = add(&database.write_connection(), 9).expect("added").id;
    let on_each_node = |work: &(dyn Fn(&WriteConnection) -> u32 + Sync)| -> u32 {
        let connections = (0..4).map(|_| database.write_connection());
        std::thread::scope(|scope| {
            let nodes: Vec<_> = connections.map(|connection| scope.spawn(move || work(&connection))).collect();
            nodes.into_iter().map(|node| node.join().expect("ended")).sum()
        })
    };
    assert_eq!(on_each_node(&|node| (0..5).filter(|_| add(node, 8).is_ok()).count() as u32), 7);
    assert_eq!(on_each_node(&|node| rotate(node, old).is_ok().into()), 1);
    let is_ordered = "SELECT bool_and(place = seq - first) FROM (
         SELECT seq, min(seq) OVER () AS first, row_number() OVER (ORDER BY xmin::text::bigint, seq) - 1 AS place
         FROM audit_events) events";
    assert!(database.read::<bool>(is_ordered), "events are numbered in the order of the transactions");
}
