//! What every store must do about rotation: successors, their first use, and the end of families.

use super::*;
use patd::{
    domain::token::{Grace, TokenRecord},
    store::{Rotation, SuccessorEnd},
};

pub(super) const fn already_rotated(successor: &Token) -> StoreError {
    StoreError::Conflict(Conflict::AlreadyRotated(Some(successor.id)))
}

const OUTLIVES: StoreError = StoreError::Conflict(Conflict::OutlivesPredecessor);

/// The replacement of a token with a minute of grace, which the first use ends.
pub(super) fn rotation(token: &Token) -> Rotation {
    let (hash, hint) = secret(CredentialKind::PersonalAccessToken);
    Rotation {
        owner: token.owner,
        token: token.id,
        rotated_from: token.rotated_from,
        successor: TokenId::new(Uuid::now_v7()),
        hash,
        hint,
        end: SuccessorEnd::WithPredecessor,
        grace: Duration::from_secs(60),
        end_on_first_use: true,
        replace_unused: false,
    }
}

pub(super) async fn add_new(store: &TestStore, new: &NewToken) -> Token {
    store.add_token(new.clone(), 1000, by(1000)).await.unwrap()
}

pub(super) async fn record(store: &TestStore, hash: &TokenHash) -> Arc<TokenRecord> {
    store.token_by_hash(hash).await.unwrap().unwrap()
}

async fn reason(store: &TestStore, hash: &TokenHash) -> Option<RevocationReason> {
    record(store, hash).await.token.revoked.map(|revoked| revoked.reason)
}

pub(super) async fn a_successor_is_like_what_it_replaces_and_lasts_no_longer(store: &TestStore) {
    let ada = add(store, "ada").await;
    let mut new = new_token(ada.id, "ci");
    new.abilities = Abilities::new([Ability::parse("calls:read").unwrap()]).unwrap();
    new.expires_at = Some(at(5000));
    new.limits = UsageLimits { quota: Some(7), ..UsageLimits::default() }.boxed();
    let old = add_new(store, &new).await;
    record(store, &new.hash).await;

    for end in [SuccessorEnd::At(at(5001)), SuccessorEnd::Never] {
        let longer = Rotation { end, ..rotation(&old) };
        assert_eq!(store.rotate_token(longer, by(2000)).await, Err(OUTLIVES), "{end:?}");
    }
    assert_eq!(store.token(old.id).await.unwrap(), old, "which changed nothing");

    let asked = Rotation { end: SuccessorEnd::At(at(4000)), ..rotation(&old) };
    let made = store.rotate_token(asked.clone(), by(2000)).await.unwrap().token;
    let expected = Token {
        id: asked.successor,
        number: made.number,
        hint: asked.hint,
        created_at: at(2000),
        expires_at: Some(at(4000)),
        rotated_from: Some(old.id),
        ..old.clone()
    };
    assert_eq!(made, expected);
    assert!(made.number > old.number && made.family == old.id);
    assert_eq!(record(store, &asked.hash).await.token, expected);
    let grace = Some(Grace { ends_at: at(2060), on_first_use: true });
    let replaced = Token { grace, expires_at: Some(at(2060)), ..old };
    assert_eq!(record(store, &new.hash).await.token, replaced);
}

pub(super) async fn a_grace_ends_no_later_than_the_token(store: &TestStore) {
    let ada = add(store, "ada").await;
    let mut new = new_token(ada.id, "ci");
    new.expires_at = Some(at(2030));
    let old = add_new(store, &new).await;
    let made = store.rotate_token(rotation(&old), by(2000)).await.unwrap().token;
    let old = store.token(old.id).await.unwrap();
    assert_eq!((made.expires_at, old.expires_at), (Some(at(2030)), Some(at(2030))));
    assert_eq!(old.grace, Some(Grace { ends_at: at(2030), on_first_use: true }));
    let at_once = Rotation { grace: Duration::ZERO, ..rotation(&made) };
    store.rotate_token(at_once, by(2001)).await.unwrap();
    assert_eq!(reason(store, &new.hash).await, Some(RevocationReason::Rotated), "the one before the last");
    assert_eq!(store.token(made.id).await, Err(NOT_FOUND));
}

pub(super) async fn only_a_good_token_of_the_owner_is_rotated_and_once(store: &TestStore) {
    let (ada, bob) = (add(store, "ada").await, add(store, "bob").await);
    let mut new = new_token(ada.id, "ci");
    new.expires_at = Some(at(3000));
    let old = add_new(store, &new).await;
    let foreign = Rotation { owner: bob.id, ..rotation(&old) };
    assert_eq!(store.rotate_token(foreign, by(2000)).await, Err(NOT_FOUND));
    assert_eq!(store.rotate_token(rotation(&old), by(3000)).await, Err(NOT_FOUND), "expired");
    store.disable_user(ada.id, by(2000)).await.unwrap();
    assert_eq!(store.rotate_token(rotation(&old), by(2000)).await, Err(NOT_FOUND), "its owner is disabled");
    store.enable_user(ada.id, by(2000)).await.unwrap();
    let session = sign_in(store, &ada, 1, 9000).await;
    store.end_session(ada.id, session.session.id, by(7)).await.unwrap();
    let refused = store.rotate_token(rotation(&old), by_session(&session, 2000)).await;
    assert_eq!(refused, Err(StoreError::Conflict(Conflict::SessionEnded)));

    let all = join_all((0..20).map(|_| store.rotate_token(rotation(&old), by(2000)))).await;
    assert_eq!(all.iter().filter(|rotated| rotated.is_ok()).count(), 1);
    let made = all.iter().find_map(|rotated| rotated.as_ref().ok()).unwrap();
    assert_eq!(all.iter().filter(|rotated| **rotated == Err(already_rotated(&made.token))).count(), 19);
    store.revoke_token(ada.id, old.id, REASON, by(2001)).await.unwrap();
    assert_eq!(store.rotate_token(rotation(&old), by(2002)).await, Err(NOT_FOUND));
}

pub(super) async fn the_first_use_of_a_successor_ends_what_it_replaces(store: &TestStore) {
    let ada = add(store, "ada").await;
    for on_first_use in [true, false] {
        let new = new_token(ada.id, "ci");
        let old = add_new(store, &new).await;
        let asked = Rotation { end_on_first_use: on_first_use, ..rotation(&old) };
        let made = store.rotate_token(asked.clone(), by(2000)).await.unwrap().token;
        assert!(record(store, &asked.hash).await.token.is_fresh_successor());
        store.record_first_use(made.id, old.id, by(2001)).await.unwrap();
        let used = record(store, &asked.hash).await;
        assert_eq!((used.token.last_used_at, used.token.is_fresh_successor()), (Some(at(2001)), false));
        let ended = on_first_use.then_some(RevocationReason::Rotated);
        assert_eq!(reason(store, &new.hash).await, ended);
        let again = Rotation { replace_unused: true, ..rotation(&old) };
        assert_eq!(store.rotate_token(again, by(2002)).await, Err(already_rotated(&made)), "{on_first_use}");
        store.revoke_token(ada.id, made.id, REASON, by(2003)).await.unwrap();
        assert_eq!(store.record_first_use(made.id, old.id, by(2004)).await, Err(NOT_FOUND));
    }
}

pub(super) async fn an_unused_successor_gives_way_to_one_that_lasts_no_longer(store: &TestStore) {
    let ada = add(store, "ada").await;
    let old = add_token(store, &ada, "ci").await;
    let first = Rotation { end: SuccessorEnd::At(at(4000)), ..rotation(&old) };
    store.rotate_token(first.clone(), by(2000)).await.unwrap();
    record(store, &first.hash).await;
    let again = || Rotation { replace_unused: true, grace: Duration::from_secs(600), ..rotation(&old) };
    let longer = Rotation { end: SuccessorEnd::At(at(4001)), ..again() };
    assert_eq!(store.rotate_token(longer, by(2001)).await, Err(OUTLIVES));
    assert_eq!(reason(store, &first.hash).await, None);
    let made = store.rotate_token(again(), by(2001)).await.unwrap().token;
    assert_eq!(made.expires_at, Some(at(4000)));
    assert_eq!(reason(store, &first.hash).await, Some(RevocationReason::Rotated));
    assert_eq!(store.record_first_use(first.successor, old.id, by(2002)).await, Err(NOT_FOUND));
    assert_eq!(store.token(old.id).await.unwrap().expires_at, Some(at(2060)), "the grace stays");
}

pub(super) async fn a_family_ends_together_and_no_other_with_it(store: &TestStore) {
    let (ada, bob) = (add(store, "ada").await, add(store, "bob").await);
    let new = new_token(ada.id, "ci");
    let old = add_new(store, &new).await;
    let asked = rotation(&old);
    store.rotate_token(asked.clone(), by(2000)).await.unwrap();
    let other = add_token(store, &ada, "other").await;
    record(store, &new.hash).await;
    record(store, &asked.hash).await;

    assert_eq!(store.revoke_family(bob.id, old.family, old.id, false, by(2001)).await, Ok(0), "not the owner's");
    assert_eq!(store.revoke_family(ada.id, old.family, old.id, false, by(2001)).await, Ok(2));
    for hash in [&new.hash, &asked.hash] {
        assert_eq!(reason(store, hash).await, Some(RevocationReason::ReuseDetected));
    }
    assert_eq!(store.token(other.id).await.unwrap(), other);
    let detected = async || {
        let events = store.events_of(ada.id, None, 100).await.unwrap();
        events.iter().filter(|event| event.entry.action == Action::TokenReuseDetected).count()
    };
    assert_eq!(detected().await, 1);
    assert_eq!(store.revoke_family(ada.id, old.family, old.id, false, by(2002)).await, Ok(0));
    assert_eq!(detected().await, 1, "what changes nothing leaves no event");
    store.revoke_family(ada.id, old.family, old.id, true, by(2003)).await.unwrap();
    assert_eq!(detected().await, 2, "unless it is to be noted");
}

pub(super) async fn a_list_counts_the_idle_as_expired(store: &TestStore) {
    let ada = add(store, "ada").await;
    let used = add_token(store, &ada, "used").await;
    add_token(store, &ada, "unused").await;
    store.record_uses(Uses { tokens: vec![(used.number, at(1500))], sessions: Vec::new() }).await.unwrap();
    let list = async |state, idle_since: i64| {
        let query = TokenQuery { state: Some(state), idle_since: Some(at(idle_since)), ..all() };
        names(store, &ada, query, 2000).await
    };
    assert_eq!(list(TokenState::Active, 999).await, ["unused", "used"]);
    assert_eq!(list(TokenState::Active, 1000).await, ["used"]);
    assert_eq!(list(TokenState::Expired, 1000).await, ["unused"]);
    assert_eq!(list(TokenState::Expired, 1500).await, ["unused", "used"]);
}
