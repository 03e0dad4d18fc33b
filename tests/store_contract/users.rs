//! Users: their profiles, passwords and states.

use super::*;

pub(super) async fn a_user_is_found_as_added(store: &TestStore) {
    let mut ada = person("ada");
    ada.email = email("Ada@Example.COM");
    store.add_user(ada.clone(), password("old"), by(1000)).await.unwrap();
    assert_eq!(store.user(ada.id).await.unwrap(), ada);
    let by_id = store.credentials(ada.id).await.unwrap();
    let by_email = store.credentials_by_email(&email("ada@example.com")).await;
    for credentials in [by_id, by_email.unwrap().unwrap()] {
        assert_eq!(credentials.user, ada);
        assert_eq!(credentials.user.email.as_str(), "Ada@Example.COM");
        assert_eq!(credentials.password, Some(password("old")));
    }
}

pub(super) async fn an_unknown_user_is_not_found(store: &TestStore) {
    let nobody = person("nobody");
    let id = nobody.id;
    assert_eq!(store.user(id).await, Err(NOT_FOUND));
    assert_eq!(store.credentials(id).await.unwrap_err(), NOT_FOUND);
    let by_email = store.credentials_by_email(&nobody.email).await;
    assert!(by_email.unwrap().is_none());
    let change = ProfileChange { name: Some(name("x")), email: None, verified: None };
    assert_eq!(store.change_profile(id, change, by(5)).await, Err(NOT_FOUND));
    for verified in [None, Some(password("old"))] {
        let change = PasswordChange { verified, password: password("new") };
        assert_eq!(store.change_password(id, change, by(5)).await, Err(NOT_FOUND));
    }
    assert_eq!(store.disable_user(id, LastAdmin::MayGo, by(1)).await, Err(NOT_FOUND));
    assert_eq!(store.enable_user(id, by(6)).await, Err(NOT_FOUND));
    let sign_in = SignIn { session: session(&nobody, 1, 2), verified: password("old"), rehashed: None };
    assert_eq!(store.sign_in(sign_in, by(1)).await, Err(NOT_FOUND));
}

pub(super) async fn the_last_enabled_administrator_keeps_the_role(store: &TestStore) {
    let (ada, bob) = (add(store, "ada").await, add(store, "bob").await);
    let set = async |user: &User, role, last| store.set_role(user.id, role, last, by(5)).await;
    let last_admin = Err(StoreError::Conflict(Conflict::LastAdmin));
    let admin = User { role: UserRole::Admin, ..ada.clone() };
    assert_eq!(set(&ada, UserRole::Admin, LastAdmin::Stays).await, Ok(admin.clone()));
    assert_eq!(store.user(ada.id).await, Ok(admin));
    assert_eq!(set(&ada, UserRole::Member, LastAdmin::Stays).await, last_admin);

    // A disabled administrator is no help.
    set(&bob, UserRole::Admin, LastAdmin::Stays).await.unwrap();
    store.disable_user(bob.id, LastAdmin::MayGo, by(6)).await.unwrap();
    assert_eq!(set(&ada, UserRole::Member, LastAdmin::Stays).await, last_admin);
    set(&bob, UserRole::Member, LastAdmin::Stays).await.unwrap();
    set(&bob, UserRole::Admin, LastAdmin::Stays).await.unwrap();
    store.enable_user(bob.id, by(7)).await.unwrap();
    assert_eq!(set(&ada, UserRole::Member, LastAdmin::Stays).await, Ok(ada));
    assert_eq!(set(&bob, UserRole::Member, LastAdmin::Stays).await, last_admin);
    assert_eq!(set(&bob, UserRole::Member, LastAdmin::MayGo).await, Ok(bob));
    assert_eq!(set(&person("nobody"), UserRole::Admin, LastAdmin::Stays).await, Err(NOT_FOUND));
}

pub(super) async fn an_email_address_is_unique_in_every_spelling(store: &TestStore) {
    let ada = add(store, "ada").await;
    let mut other = person("other");
    other.email = email("ＡＤＡ@EXAMPLE.com");
    let added = store.add_user(other.clone(), password("x"), by(1000)).await;
    assert_eq!(added, Err(EMAIL_TAKEN));
    assert_eq!(store.user(other.id).await, Err(NOT_FOUND));

    let bob = add(store, "bob").await;
    let change = ProfileChange { name: Some(name("Robert")), email: Some(email("ADA@example.com")), verified: None };
    assert_eq!(store.change_profile(bob.id, change, by(5)).await, Err(EMAIL_TAKEN));
    assert_eq!(store.user(bob.id).await.unwrap(), bob);
    // A user may change the spelling of their own address.
    let respelled = ProfileChange { name: None, email: Some(email("ADA@example.com")), verified: None };
    let changed = store.change_profile(ada.id, respelled, by(5)).await.unwrap();
    assert_eq!(changed.email.as_str(), "ADA@example.com");
}

pub(super) async fn a_profile_change_affects_only_the_named_fields(store: &TestStore) {
    let mut ada = add(store, "ada").await;
    let change = ProfileChange { name: Some(name("Ada L")), email: None, verified: None };
    ada.name = name("Ada L");
    assert_eq!(store.change_profile(ada.id, change, by(5)).await.unwrap(), ada);
    let change = ProfileChange { name: None, email: Some(email("new@example.com")), verified: None };
    let before = std::mem::replace(&mut ada.email, email("new@example.com"));
    assert_eq!(store.change_profile(ada.id, change, by(5)).await.unwrap(), ada);
    assert_eq!(store.user(ada.id).await.unwrap(), ada);
    let by_old = store.credentials_by_email(&before).await.unwrap();
    assert!(by_old.is_none());
    let by_new = store.credentials_by_email(&ada.email).await.unwrap();
    assert_eq!(by_new.unwrap().user, ada);
    let nothing = store.change_profile(ada.id, ProfileChange::default(), by(5)).await;
    assert_eq!(nothing.unwrap(), ada);
}

pub(super) async fn users_are_paged_in_the_order_of_their_ids(store: &TestStore) {
    let mut added = Vec::new();
    for text in ["c", "a", "b"] {
        added.push(add(store, text).await);
    }
    added.sort_by_key(|user| user.id);
    let first = store.users(None, 2).await.unwrap();
    assert_eq!(first, added[..2]);
    let second = store.users(Some(first[1].id), 2).await.unwrap();
    assert_eq!(second, added[2..]);
    assert!(store.users(Some(added[2].id), 2).await.unwrap().is_empty());
    assert!(store.users(None, 0).await.unwrap().is_empty());
}

pub(super) async fn a_password_change_keeps_one_session_and_ends_the_others(store: &TestStore) {
    let (ada, bob) = (add(store, "ada").await, add(store, "bob").await);
    let kept = sign_in(store, &ada, 1, 9).await;
    let ended = sign_in(store, &ada, 2, 9).await;
    let foreign = sign_in(store, &bob, 3, 9).await;
    let change = PasswordChange { verified: Some(password("old")), password: password("new") };
    store.change_password(ada.id, change, by_session(&kept, 5)).await.unwrap();
    assert!(is_signed_in(store, &kept).await);
    assert!(!is_signed_in(store, &ended).await);
    assert!(is_signed_in(store, &foreign).await);
    let stored = store.credentials(ada.id).await.unwrap().password;
    assert_eq!(stored, Some(password("new")));
}

pub(super) async fn a_password_change_on_a_stale_hash_conflicts(store: &TestStore) {
    let ada = add(store, "ada").await;
    let session = sign_in(store, &ada, 1, 9).await;
    let change = |verified| PasswordChange { verified: Some(password(verified)), password: password("new") };
    let changed = store.change_password(ada.id, change("older"), by(5)).await;
    assert_eq!(changed, Err(CREDENTIALS_CHANGED));
    assert!(is_signed_in(store, &session).await);
    let stored = store.credentials(ada.id).await.unwrap().password;
    assert_eq!(stored, Some(password("old")));

    // The user was disabled while the hash was computed.
    store.disable_user(ada.id, LastAdmin::MayGo, by(5)).await.unwrap();
    let changed = store.change_password(ada.id, change("old"), by(5)).await;
    assert_eq!(changed, Err(CREDENTIALS_CHANGED));
}

pub(super) async fn an_administrator_changes_a_password_without_the_old_one(store: &TestStore) {
    let ada = add(store, "ada").await;
    let session = sign_in(store, &ada, 1, 9).await;
    let change = |text| PasswordChange { verified: None, password: password(text) };
    store.change_password(ada.id, change("new"), by(5)).await.unwrap();
    assert!(!is_signed_in(store, &session).await);
    store.disable_user(ada.id, LastAdmin::MayGo, by(5)).await.unwrap();
    store.change_password(ada.id, change("newer"), by(5)).await.unwrap();
    let stored = store.credentials(ada.id).await.unwrap();
    assert_eq!(stored.password, Some(password("newer")));
    assert_eq!(stored.user.disabled_at, Some(at(5)));
}

pub(super) async fn disabling_a_user_ends_the_sessions_and_records_the_time(store: &TestStore) {
    let (ada, bob) = (add(store, "ada").await, add(store, "bob").await);
    let session = sign_in(store, &ada, 1, 9).await;
    let foreign = sign_in(store, &bob, 1, 9).await;
    let new = new_token(ada.id, "ci");
    let hash = new.hash;
    store.add_token(new, 10, by(1000)).await.unwrap();
    let disabled = store.disable_user(ada.id, LastAdmin::MayGo, by(5)).await.unwrap();
    assert_eq!(disabled.user.disabled_at, Some(at(5)));
    assert!(!is_signed_in(store, &session).await);
    assert!(is_signed_in(store, &foreign).await);
    let record = store.token_by_hash(&hash).await.unwrap().unwrap();
    assert_eq!(record.owner.disabled_at(), Some(at(5)));
    let again = store.disable_user(ada.id, LastAdmin::MayGo, by(7)).await.unwrap();
    assert_eq!(again.user.disabled_at, Some(at(5)));
    assert_eq!(store.enable_user(ada.id, by(6)).await.unwrap().user, ada);
    assert_eq!(store.enable_user(ada.id, by(6)).await.unwrap().user, ada);
    assert_eq!(store.user(ada.id).await.unwrap(), ada);
}
