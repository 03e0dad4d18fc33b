use std::convert::Infallible;

use super::*;
use crate::domain::events::{self, TokenRef};

fn user(number: u128) -> UserId {
    UserId::new(Uuid::from_u128(number))
}

fn token(number: u128) -> TokenRef {
    TokenRef::personal(user(1), TokenId::new(Uuid::from_u128(number)))
}

fn environment() -> EnvironmentId {
    EnvironmentId::new(Uuid::from_u128(7))
}

fn event(seq: i64, entry: Entry) -> TrailEvent {
    TrailEvent { seq, at: Timestamp::from_unix(1_700_000_000 + seq), entry }
}

fn replayed(entries: impl IntoIterator<Item = Entry>) -> Replay {
    let mut replay = Replay::default();
    for (seq, entry) in entries.into_iter().enumerate() {
        replay.add(&event(seq as i64, entry));
    }
    replay
}

#[test]
fn what_took_rights_away_is_kept_with_its_reason() {
    let session = SessionId::new(Uuid::from_u128(5));
    let replay = replayed([
        token(10).revoked(RevocationReason::LeakReport),
        token(11).revoked_with(token(10).id, RevocationReason::ReuseDetected),
        token(12).revoked_with_owner(),
        token(13).replaced(token(14).id, false),
        token(13).revoked(RevocationReason::RevokedByOwner),
        token(15).disabled(),
        events::session_ended(user(1), session),
        events::password_changed(user(2)),
        events::password_link_created(user(3), false),
        events::password_link_created(user(4), true),
        events::role_changed(user(5), Role::Member),
        events::user_disabled(user(6)),
        events::user_deleted(user(8)),
        events::service_account_disabled(user(9)),
        events::service_account_deleted(user(10)),
        events::environment_deleted(user(1), environment()),
    ]);
    let reasons: Vec<_> = replay.ended_tokens.values().map(|(_, reason)| *reason).collect();
    use RevocationReason::{LeakReport, ReuseDetected, RevokedByOwner, Rotated};
    assert_eq!(reasons, [LeakReport, ReuseDetected, RevokedByOwner, Rotated]);
    assert_eq!(replay.ended_tokens[&token(13).id].0, Timestamp::from_unix(1_700_000_003), "the first end counts");
    assert_eq!(replay.disabled_tokens, BTreeSet::from([token(15).id]));
    assert_eq!(replay.ended_sessions, BTreeSet::from([session]));
    assert_eq!(replay.ended_passwords, BTreeSet::from([user(2), user(4)]));
    assert_eq!(replay.ended_password_links, BTreeSet::from([user(2), user(3), user(4)]));
    assert_eq!(replay.demoted_users, BTreeSet::from([user(5)]));
    assert_eq!(replay.disabled_users, BTreeSet::from([user(6)]));
    assert_eq!(replay.deleted_users, BTreeSet::from([user(8)]));
    assert_eq!(replay.disabled_service_accounts, BTreeSet::from([user(9)]));
    assert_eq!(replay.deleted_service_accounts, BTreeSet::from([user(10)]));
    assert_eq!(replay.deleted_environments, BTreeSet::from([environment()]));
    assert_eq!(replay.events, 16);
}

#[test]
fn what_was_given_back_does_not_end() {
    let replay = replayed([
        token(10).disabled(),
        token(10).enabled(),
        events::user_disabled(user(1)),
        events::user_enabled(user(1)),
        events::role_changed(user(1), Role::Member),
        events::role_changed(user(1), Role::Admin),
        events::service_account_disabled(user(2)),
        events::service_account_enabled(user(2)),
        events::manager_removed(user(2), user(1)).0,
        events::manager_added(user(2), user(1)).0,
        Entry::refused(Some(user(1)), Action::UserPasswordChanged, "wrong_password"),
    ]);
    assert_eq!(replay, Replay { events: 11, ..Replay::default() });
}

#[test]
fn members_and_managers_are_found_in_every_trail() {
    let (owner, member, other) = (user(1), user(2), user(3));
    let shared = |role| events::environment_shared(owner, environment(), member, role);
    let unshared = events::environment_unshared(owner, environment(), member);
    let by_other = |entry| {
        let (for_owner, own) = events::in_environment(entry, other);
        [Some(for_owner), own].into_iter().flatten()
    };
    let of_member = BTreeMap::from([((environment(), member), Some(MemberRole::Viewer))]);
    for entries in [vec![shared(MemberRole::Viewer).0], vec![shared(MemberRole::Viewer).1]] {
        assert_eq!(replayed(entries).members, of_member);
    }
    assert_eq!(replayed(by_other(shared(MemberRole::Viewer).0)).members, of_member);
    let removed = BTreeMap::from([((environment(), member), None)]);
    for entries in [vec![unshared.0.clone()], vec![unshared.1.clone()]] {
        assert_eq!(replayed(entries).members, removed);
    }
    assert_eq!(replayed(by_other(unshared.0)).members, removed);
    let managers = BTreeSet::from([(user(9), member)]);
    let (for_account, for_user) = events::manager_removed(user(9), member);
    for entry in [for_account, for_user] {
        assert_eq!(replayed([entry]).removed_managers, managers);
    }
}

fn trail(seqs: &[i64]) -> impl Iterator<Item = Result<TrailEvent, Infallible>> {
    seqs.iter().map(|seq| Ok(event(*seq, token(*seq as u128).revoked(RevocationReason::RevokedByOwner))))
}

fn last(seq: i64) -> TrailEvent {
    event(seq, token(seq as u128).revoked(RevocationReason::RevokedByOwner))
}

#[test]
fn only_events_after_the_backup_are_repeated() {
    let (replay, end) = read(trail(&[3, 4, 5, 6]), Some(&last(4)), true).unwrap();
    assert_eq!((replay.ended_tokens.len(), end), (2, 6));
    assert!(!replay.ended_tokens.contains_key(&token(4).id));
    let (replay, end) = read(trail(&[4]), Some(&last(4)), true).unwrap();
    assert_eq!((replay, end), (Replay::default(), 4));
    let (replay, _) = read(trail(&[1, 2]), None, true).unwrap();
    assert_eq!(replay.events, 2);
}

#[test]
fn a_trail_that_does_not_continue_the_backup_is_refused() {
    let refused = |seqs: &[i64], last: TrailEvent| read(trail(seqs), Some(&last), true).unwrap_err();
    assert_eq!(refused(&[1, 2], last(4)), TrailError::Early { end: Some(2), last: 4 });
    assert_eq!(refused(&[], last(4)), TrailError::Early { end: None, last: 4 });
    assert_eq!(refused(&[5, 6], last(4)), TrailError::Late { first: 5, last: 4 });
    assert_eq!(refused(&[3, 5], last(4)), TrailError::Late { first: 5, last: 4 });
    assert_eq!(refused(&[4, 5, 7], last(4)), TrailError::Gap { after: 5, next: 7 });
    assert_eq!(refused(&[4, 5, 5], last(4)), TrailError::Unordered { seq: 5 });
    let elsewhere = TrailEvent { at: Timestamp::from_unix(1), ..last(4) };
    assert_eq!(refused(&[4, 5], elsewhere), TrailError::Other { seq: 4 });
    let of_other_token = TrailEvent { entry: token(99).revoked(RevocationReason::RevokedByOwner), ..last(4) };
    assert_eq!(refused(&[4, 5], of_other_token), TrailError::Other { seq: 4 });
}

#[test]
fn gaps_count_only_after_the_backup_and_only_where_every_number_is_given() {
    assert!(read(trail(&[1, 4, 5]), Some(&last(4)), true).is_ok());
    assert!(read(trail(&[4, 6]), Some(&last(4)), false).is_ok());
}
