//! Rotation: successors, their first use, and the revocation of families.

use super::*;
use patd::{
    domain::token::{Grace, TokenRecord},
    store::{Rotation, SuccessorEnd},
};

pub(super) const fn already_rotated(successor: &Token) -> StoreError {
    StoreError::Conflict(Conflict::AlreadyRotated(Some(successor.id)))
}

const OUTLIVES: StoreError = StoreError::Conflict(Conflict::OutlivesPredecessor);

/// A rotation with a grace period of one minute, which the first use ends.
pub(super) fn rotation(token: &Token) -> Rotation {
    let (hash, hint) = secret(CredentialKind::PersonalAccessToken);
    Rotation {
        abilities: None,
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

pub(super) async fn a_successor_has_the_rights_of_its_predecessor_and_expires_no_later(store: &TestStore) {
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
    assert_eq!(store.token(old.id).await.unwrap(), old, "the refused rotation changed nothing");

    let request = Rotation { end: SuccessorEnd::At(at(4000)), ..rotation(&old) };
    let successor = store.rotate_token(request.clone(), by(2000)).await.unwrap().token;
    let expected = Token {
        id: request.successor,
        number: successor.number,
        hint: request.hint,
        created_at: at(2000),
        expires_at: Some(at(4000)),
        rotated_from: Some(old.id),
        ..old.clone()
    };
    assert_eq!(successor, expected);
    assert!(successor.number > old.number && successor.family == old.id);
    assert_eq!(record(store, &request.hash).await.token, expected);
    let grace = Some(Grace { ends_at: at(2060), on_first_use: true });
    let replaced = Token { grace, expires_at: Some(at(2060)), ..old };
    assert_eq!(record(store, &new.hash).await.token, replaced);
}

pub(super) async fn a_grace_period_ends_no_later_than_the_token(store: &TestStore) {
    let ada = add(store, "ada").await;
    let mut new = new_token(ada.id, "ci");
    new.expires_at = Some(at(2030));
    let old = add_new(store, &new).await;
    let successor = store.rotate_token(rotation(&old), by(2000)).await.unwrap().token;
    let old = store.token(old.id).await.unwrap();
    assert_eq!((successor.expires_at, old.expires_at), (Some(at(2030)), Some(at(2030))));
    assert_eq!(old.grace, Some(Grace { ends_at: at(2030), on_first_use: true }));
    let at_once = Rotation { grace: Duration::ZERO, ..rotation(&successor) };
    store.rotate_token(at_once, by(2001)).await.unwrap();
    assert_eq!(reason(store, &new.hash).await, Some(RevocationReason::Rotated), "the predecessor ended at once");
    assert_eq!(store.token(successor.id).await, Err(NOT_FOUND));
}

pub(super) async fn only_a_valid_token_of_the_owner_can_be_rotated_and_only_once(store: &TestStore) {
    let (ada, bob) = (add(store, "ada").await, add(store, "bob").await);
    let mut new = new_token(ada.id, "ci");
    new.expires_at = Some(at(3000));
    let old = add_new(store, &new).await;
    let foreign = Rotation { owner: bob.id, ..rotation(&old) };
    assert_eq!(store.rotate_token(foreign, by(2000)).await, Err(NOT_FOUND));
    assert_eq!(store.rotate_token(rotation(&old), by(3000)).await, Err(NOT_FOUND), "expired");
    store.disable_user(ada.id, LastAdmin::MayGo, by(2000)).await.unwrap();
    assert_eq!(store.rotate_token(rotation(&old), by(2000)).await, Err(NOT_FOUND), "its owner is disabled");
    store.enable_user(ada.id, by(2000)).await.unwrap();
    let session = sign_in(store, &ada, 1, 9000).await;
    store.end_session(ada.id, session.session.id, by(7)).await.unwrap();
    let refused = store.rotate_token(rotation(&old), by_session(&session, 2000)).await;
    assert_eq!(refused, Err(StoreError::Conflict(Conflict::SessionEnded)));

    let all = join_all((0..20).map(|_| store.rotate_token(rotation(&old), by(2000)))).await;
    assert_eq!(all.iter().filter(|rotated| rotated.is_ok()).count(), 1);
    let successor = all.iter().find_map(|rotated| rotated.as_ref().ok()).unwrap();
    assert_eq!(all.iter().filter(|rotated| **rotated == Err(already_rotated(&successor.token))).count(), 19);
    store.revoke_token(ada.id, old.id, REASON, by(2001)).await.unwrap();
    assert_eq!(store.rotate_token(rotation(&old), by(2002)).await, Err(NOT_FOUND));
}

pub(super) async fn the_first_use_of_a_successor_ends_its_predecessor(store: &TestStore) {
    let ada = add(store, "ada").await;
    for on_first_use in [true, false] {
        let new = new_token(ada.id, "ci");
        let old = add_new(store, &new).await;
        let request = Rotation { end_on_first_use: on_first_use, ..rotation(&old) };
        let successor = store.rotate_token(request.clone(), by(2000)).await.unwrap().token;
        assert!(record(store, &request.hash).await.token.is_fresh_successor());
        store.record_first_use(successor.id, old.id, by(2001)).await.unwrap();
        let used = record(store, &request.hash).await;
        assert_eq!((used.token.last_used_at, used.token.is_fresh_successor()), (Some(at(2001)), false));
        let ended = on_first_use.then_some(RevocationReason::Rotated);
        assert_eq!(reason(store, &new.hash).await, ended);
        let again = Rotation { replace_unused: true, ..rotation(&old) };
        assert_eq!(store.rotate_token(again, by(2002)).await, Err(already_rotated(&successor)), "{on_first_use}");
        store.revoke_token(ada.id, successor.id, REASON, by(2003)).await.unwrap();
        assert_eq!(store.record_first_use(successor.id, old.id, by(2004)).await, Err(NOT_FOUND));
    }
}

pub(super) async fn an_unused_successor_can_be_replaced_by_one_that_expires_no_later(store: &TestStore) {
    let ada = add(store, "ada").await;
    let old = add_token(store, &ada, "ci").await;
    let first = Rotation { end: SuccessorEnd::At(at(4000)), ..rotation(&old) };
    store.rotate_token(first.clone(), by(2000)).await.unwrap();
    record(store, &first.hash).await;
    let again = || Rotation { replace_unused: true, grace: Duration::from_secs(600), ..rotation(&old) };
    let longer = Rotation { end: SuccessorEnd::At(at(4001)), ..again() };
    assert_eq!(store.rotate_token(longer, by(2001)).await, Err(OUTLIVES));
    assert_eq!(reason(store, &first.hash).await, None);
    let successor = store.rotate_token(again(), by(2001)).await.unwrap().token;
    assert_eq!(successor.expires_at, Some(at(4000)));
    assert_eq!(reason(store, &first.hash).await, Some(RevocationReason::Rotated));
    assert_eq!(store.record_first_use(first.successor, old.id, by(2002)).await, Err(NOT_FOUND));
    assert_eq!(store.token(old.id).await.unwrap().expires_at, Some(at(2060)), "the grace period is unchanged");
}

pub(super) async fn revoking_a_family_ends_all_its_tokens_and_no_others(store: &TestStore) {
    let (ada, bob) = (add(store, "ada").await, add(store, "bob").await);
    let new = new_token(ada.id, "ci");
    let old = add_new(store, &new).await;
    let request = rotation(&old);
    store.rotate_token(request.clone(), by(2000)).await.unwrap();
    let other = add_token(store, &ada, "other").await;
    record(store, &new.hash).await;
    record(store, &request.hash).await;

    assert_eq!(store.revoke_family(bob.id, old.family, old.id, false, by(2001)).await, Ok(0), "Bob does not own it");
    assert_eq!(store.revoke_family(ada.id, old.family, old.id, false, by(2001)).await, Ok(2));
    for hash in [&new.hash, &request.hash] {
        assert_eq!(reason(store, hash).await, Some(RevocationReason::ReuseDetected));
    }
    assert_eq!(store.token(other.id).await.unwrap(), other);
    let detected = async || {
        let events = store.events_of(ada.id, None, 100).await.unwrap();
        events.iter().filter(|event| event.entry.action == Action::TokenReuseDetected).count()
    };
    assert_eq!(detected().await, 1);
    assert_eq!(store.revoke_family(ada.id, old.family, old.id, false, by(2002)).await, Ok(0));
    assert_eq!(detected().await, 1, "a change without effect records no event");
    store.revoke_family(ada.id, old.family, old.id, true, by(2003)).await.unwrap();
    assert_eq!(detected().await, 2, "unless the event is required");
}

pub(super) async fn a_list_shows_idle_tokens_as_expired(store: &TestStore) {
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
