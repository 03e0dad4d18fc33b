//! Sessions: sign-in, lists and their end.

use super::*;

pub(super) async fn a_sign_in_stores_a_session_and_may_renew_the_hash(store: &TestStore) {
    let ada = add(store, "ada").await;
    let mut new = session(&ada, 1, 9);
    new.session.device_name = None;
    let sign_in = SignIn { session: new.clone(), verified: password("old"), rehashed: Some(password("stronger")) };
    store.sign_in(sign_in, by(1)).await.unwrap();
    let record = store.session_by_hash(&new.hash).await.unwrap().unwrap();
    assert_eq!(record.session, new.session);
    assert_eq!(record.user, ada);
    let stored = store.credentials(ada.id).await.unwrap().password;
    assert_eq!(stored, Some(password("stronger")));
    let (unknown, _) = secret(CredentialKind::Session);
    assert!(store.session_by_hash(&unknown).await.unwrap().is_none());
}

pub(super) async fn a_sign_in_on_a_stale_hash_or_a_disabled_account_conflicts(store: &TestStore) {
    let (ada, bob) = (add(store, "ada").await, add(store, "bob").await);
    store.disable_user(bob.id, LastAdmin::MayGo, by(5)).await.unwrap();
    for (user, verified) in [(&ada, "older"), (&bob, "old")] {
        let new = session(user, 1, 9);
        let sign_in =
            SignIn { session: new.clone(), verified: password(verified), rehashed: Some(password("stronger")) };
        assert_eq!(store.sign_in(sign_in, by(1)).await, Err(CREDENTIALS_CHANGED));
        assert!(!is_signed_in(store, &new).await);
        let stored = store.credentials(user.id).await.unwrap().password;
        assert_eq!(stored, Some(password("old")));
    }
}

pub(super) async fn sessions_are_listed_newest_first_without_the_ended(store: &TestStore) {
    let (ada, bob) = (add(store, "ada").await, add(store, "bob").await);
    let older = sign_in(store, &ada, 1, 11).await;
    let newer = sign_in(store, &ada, 2, 12).await;
    sign_in(store, &ada, 3, 10).await;
    sign_in(store, &bob, 4, 99).await;
    let listed = store.sessions_of(ada.id, SessionQuery { before: None, limit: 9 }, at(10)).await.unwrap();
    assert_eq!(listed, [newer.session.clone(), older.session.clone()]);
    let page = |before| store.sessions_of(ada.id, SessionQuery { before, limit: 1 }, at(10));
    assert_eq!(page(None).await.unwrap(), std::slice::from_ref(&newer.session));
    let behind = |session: &Session| Some((session.created_at, session.id));
    assert_eq!(page(behind(&newer.session)).await.unwrap(), std::slice::from_ref(&older.session));
    assert_eq!(page(behind(&older.session)).await.unwrap(), []);
}

pub(super) async fn only_its_user_can_end_a_session(store: &TestStore) {
    let (ada, bob) = (add(store, "ada").await, add(store, "bob").await);
    let session = sign_in(store, &ada, 1, 9).await;
    let id = session.session.id;
    assert_eq!(store.end_session(bob.id, id, by(7)).await, Err(NOT_FOUND));
    assert!(is_signed_in(store, &session).await);
    store.end_session(ada.id, id, by(7)).await.unwrap();
    assert!(!is_signed_in(store, &session).await);
    assert_eq!(store.end_session(ada.id, id, by(7)).await, Err(NOT_FOUND));
}

pub(super) async fn ending_the_other_sessions_answers_their_number(store: &TestStore) {
    let (ada, bob) = (add(store, "ada").await, add(store, "bob").await);
    let kept = sign_in(store, &ada, 1, 9).await;
    sign_in(store, &ada, 2, 9).await;
    sign_in(store, &ada, 3, 9).await;
    let foreign = sign_in(store, &bob, 4, 9).await;
    let end = || store.end_other_sessions(ada.id, kept.session.id, by(7));
    assert_eq!(end().await, Ok(2));
    assert_eq!(end().await, Ok(0));
    assert!(is_signed_in(store, &kept).await && is_signed_in(store, &foreign).await);
}

pub(super) async fn only_ended_sessions_are_pruned(store: &TestStore) {
    let ada = add(store, "ada").await;
    let ended = sign_in(store, &ada, 1, 10).await;
    let alive = sign_in(store, &ada, 1, 11).await;
    assert_eq!(store.prune_sessions(at(9)).await, Ok(0));
    assert_eq!(store.prune_sessions(at(10)).await, Ok(1));
    assert!(!is_signed_in(store, &ended).await);
    assert!(is_signed_in(store, &alive).await);
}
