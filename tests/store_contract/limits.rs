//! Quotas, use locations, and the ways to revoke or disable tokens.

use super::*;
use patd::{
    domain::use_location::{UseLocation, UserAgent},
    store::{LeakReport, TokenSelection},
};

const NONE: u32 = 0;

async fn add_limited(store: &TestStore, owner: &User, quota: Option<u32>) -> Token {
    let limits = UsageLimits { quota, ..UsageLimits::default() }.boxed();
    store.add_token(NewToken { limits, ..new_token(owner.id, "limited") }, 1000, by(1000)).await.unwrap()
}

async fn events(store: &TestStore, user: &User) -> Vec<Entry> {
    let events = store.events_of(user.id, None, 100).await.unwrap();
    let entries = events.into_iter().map(|event| event.entry);
    entries
        .filter(|entry| ![Action::UserCreated, Action::TokenCreated, Action::SessionCreated].contains(&entry.action))
        .collect()
}

pub(super) async fn uses_can_be_reserved_until_the_quota_is_exhausted(store: &TestStore) {
    let ada = add(store, "ada").await;
    let (token, plain) = (add_limited(store, &ada, Some(20)).await, add_token(store, &ada, "plain").await);
    assert_eq!(store.reserve_uses(token.id).await, Ok(2), "an eighth");
    assert_eq!(store.taken_uses(vec![token.id, plain.id]).await.unwrap(), [(token.id, 2)]);
    let mut reserved = 2;
    for _ in 0..100 {
        reserved += store.reserve_uses(token.id).await.unwrap();
    }
    assert_eq!((reserved, store.reserve_uses(token.id).await), (20, Ok(NONE)));
    store.return_uses(vec![(token.id, 3), (plain.id, 7), (TokenId::new(Uuid::now_v7()), 1)]).await.unwrap();
    assert_eq!(store.taken_uses(vec![token.id]).await.unwrap(), [(token.id, 17)]);
    store.return_uses(vec![(token.id, 1000)]).await.unwrap();
    assert_eq!(store.taken_uses(vec![token.id]).await.unwrap(), [(token.id, 0)], "the count never falls below zero");
    assert_eq!(store.reserve_uses(plain.id).await, Err(NOT_FOUND));
    store.revoke_token(ada.id, token.id, REASON, by(5)).await.unwrap();
    assert_eq!(store.reserve_uses(token.id).await, Err(NOT_FOUND));
}

pub(super) async fn concurrent_reservations_never_exceed_the_quota(store: &TestStore) {
    let ada = add(store, "ada").await;
    let token = add_limited(store, &ada, Some(1000)).await;
    let reserved = join_all((0..300).map(|_| store.reserve_uses(token.id))).await;
    assert_eq!(reserved.into_iter().map(Result::unwrap).sum::<u32>(), 1000);
}

pub(super) async fn only_the_owner_can_disable_and_enable_a_token(store: &TestStore) {
    let (ada, bob) = (add(store, "ada").await, add(store, "bob").await);
    let new = new_token(ada.id, "t");
    let (id, hash) = (new.id, new.hash);
    store.add_token(new, 1000, by(1000)).await.unwrap();
    let disabled_at = async || store.token_by_hash(&hash).await.unwrap().unwrap().token.disabled_at;
    assert_eq!((store.disable_token(bob.id, id, by(5)).await, disabled_at().await), (Err(NOT_FOUND), None));
    let (disabled, _) = store.disable_token(ada.id, id, by(5)).await.unwrap();
    assert_eq!((disabled.token.disabled_at, disabled_at().await), (Some(at(5)), Some(at(5))));
    assert_eq!(store.disable_token(ada.id, id, by(6)).await.unwrap().0, disabled);
    assert_eq!(store.enable_token(bob.id, id, by(7)).await, Err(NOT_FOUND));
    assert_eq!(disabled_at().await, Some(at(5)));
    for _ in 0..2 {
        assert_eq!(store.enable_token(ada.id, id, by(7)).await.unwrap().token.disabled_at, None);
        assert_eq!(disabled_at().await, None);
    }
    let target = Target::PersonalAccessToken(id);
    let expected = [Action::TokenEnabled, Action::TokenDisabled].map(|action| Entry::done(ada.id, action, target));
    assert_eq!(events(store, &ada).await, expected);
    store.revoke_token(ada.id, id, REASON, by(8)).await.unwrap();
    assert_eq!(store.disable_token(ada.id, id, by(9)).await, Err(NOT_FOUND));
    assert_eq!(store.enable_token(ada.id, id, by(9)).await, Err(NOT_FOUND));
}

pub(super) async fn many_tokens_are_revoked_in_one_change(store: &TestStore) {
    let (ada, bob) = (add(store, "ada").await, add(store, "bob").await);
    let (one, two) = (add_token(store, &ada, "one").await, add_token(store, &ada, "two").await);
    let foreign = add_token(store, &bob, "foreign").await;
    let ends = NewToken { expires_at: Some(at(2000)), ..new_token(ada.id, "ends") };
    let over = store.add_token(ends, 1000, by(1000)).await.unwrap();
    let these = TokenSelection::These(vec![one.id, foreign.id, one.id, over.id]);
    assert_eq!(store.revoke_tokens(ada.id, these, REASON, by(2000)).await, Ok(1));
    assert_eq!(names(store, &ada, all(), 2000).await, ["ends", "two"]);
    assert_eq!(store.revoke_tokens(ada.id, TokenSelection::All, REASON, by(1999)).await, Ok(2));
    assert_eq!(store.revoke_tokens(ada.id, TokenSelection::All, REASON, by(1999)).await, Ok(0));
    assert_eq!(names(store, &bob, all(), 2000).await, ["foreign"]);
    let revoked: HashSet<_> = events(store, &ada).await.into_iter().map(|entry| entry.target.id().unwrap()).collect();
    assert_eq!(revoked, [one.id, two.id, over.id].map(TokenId::uuid).into());
    assert_eq!(events(store, &ada).await.len(), 3);
}

pub(super) async fn leaked_credentials_are_revoked_and_recorded_with_their_owners(store: &TestStore) {
    let (ada, bob) = (add(store, "ada").await, add(store, "bob").await);
    let new = new_token(ada.id, "t");
    let (id, hash) = (new.id, new.hash);
    store.add_token(new, 1000, by(1000)).await.unwrap();
    let session = sign_in(store, &bob, 1, 9).await;
    assert!(store.token_by_hash(&hash).await.unwrap().is_some() && is_signed_in(store, &session).await);
    let tokens = vec![id, TokenId::new(Uuid::now_v7())];
    let leaked = LeakReport { tokens, sessions: vec![session.session.id], presented: Some(9) };
    for _ in 0..2 {
        store.revoke_leaked(leaked.clone(), by(5)).await.unwrap();
        let found = store.token_by_hash(&hash).await.unwrap().unwrap();
        assert_eq!(found.token.revoked, Some(Revocation { at: at(5), reason: RevocationReason::LeakReport }));
        assert!(!is_signed_in(store, &session).await);
    }
    let expected = |user: &User, ended, target| {
        [Entry::done(user.id, ended, target).with("leaked"), Entry::done(user.id, Action::TokenLeaked, target)]
    };
    assert_eq!(events(store, &ada).await, expected(&ada, Action::TokenRevoked, Target::PersonalAccessToken(id)));
    let ended = expected(&bob, Action::SessionEnded, Target::Session(session.session.id));
    assert_eq!(events(store, &bob).await, ended);
}

pub(super) async fn the_latest_five_addresses_of_a_token_are_kept(store: &TestStore) {
    let ada = add(store, "ada").await;
    let (token, other) = (add_token(store, &ada, "t").await, add_token(store, &ada, "other").await);
    let origin = |last: u8, agent: &str, seconds| UseLocation {
        address: [192, 0, 2, last].into(),
        user_agent: UserAgent::clean(agent),
        last_used_at: at(seconds),
    };
    let unknown = TokenId::new(Uuid::now_v7());
    let used = (1..=6).map(|n| (token.id, origin(n, "a", i64::from(n))));
    store.record_locations(used.chain([(unknown, origin(1, "", 1))]).collect()).await.unwrap();
    let latest = [origin(6, "a", 6), origin(5, "a", 5), origin(4, "a", 4), origin(3, "a", 3), origin(2, "a", 2)];
    assert_eq!(store.locations_of(token.id).await.unwrap(), latest);
    assert_eq!(store.locations_of(other.id).await.unwrap(), []);
    // The same address again with another agent, and an older time.
    let again = vec![(token.id, origin(3, "b", 7)), (token.id, origin(6, "late", 1)), (token.id, origin(9, "a", 1))];
    store.record_locations(again).await.unwrap();
    let latest = [origin(3, "b", 7), origin(6, "a", 6), origin(5, "a", 5), origin(4, "a", 4), origin(2, "a", 2)];
    assert_eq!(store.locations_of(token.id).await.unwrap(), latest);
}
