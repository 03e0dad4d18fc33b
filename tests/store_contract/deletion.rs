//! The deletion of users.

use patd::{domain::deletion::EndsWithUser, store::UserDeletion};

use super::*;

const BY_ADMIN: UserDeletion = UserDeletion { verified: None, transfer: None, last: LastAdmin::Stays };

async fn environment(store: &TestStore, owner: &User) -> EnvironmentId {
    let id = EnvironmentId::new(Uuid::now_v7());
    let environment = Environment { id, owner: owner.id, name: name("e"), is_default: false, created_at: at(1) };
    store.add_environment(environment, by(5)).await.unwrap();
    id
}

/// Each record is read before, so that a cache would hold it.
pub(super) async fn a_deleted_user_ends_with_everything_they_own(store: &TestStore) {
    let (ada, eve) = (add(store, "ada").await, add(store, "eve").await);
    let id = environment(store, &ada).await;
    let default = environment(store, &eve).await;
    store.set_member(ada.id, id, eve.id, MemberRole::Admin, by(5)).await.unwrap();
    store.set_member(eve.id, default, ada.id, MemberRole::Viewer, by(5)).await.unwrap();
    store.set_current_environment(eve.id, id, by(5)).await.unwrap();
    let (sessions, kept) =
        ([sign_in(store, &ada, 1, 9).await, sign_in(store, &ada, 2, 9).await], sign_in(store, &eve, 1, 9).await);
    let personal = new_token(ada.id, "personal");
    let of_environment = NewToken { environment: Some(id), ..new_token(ada.id, "environment") };
    let revoked = new_token(ada.id, "revoked");
    let other = new_token(eve.id, "other");
    for token in [&personal, &revoked, &other] {
        store.add_token(token.clone(), 10, by(5)).await.unwrap();
    }
    store.add_environment_token(eve.id, of_environment.clone(), 10, by(5)).await.unwrap();
    store.revoke_token(ada.id, revoked.id, REASON, by(5)).await.unwrap();
    let live = async || {
        let mut live = Vec::new();
        for hash in [personal.hash, of_environment.hash, revoked.hash, other.hash] {
            live.push(store.token_by_hash(&hash).await.unwrap().is_some());
        }
        for session in sessions.iter().chain([&kept]) {
            live.push(is_signed_in(store, session).await);
        }
        live
    };
    assert_eq!(live().await, [true; 7]);
    assert_eq!(store.session_by_hash(&kept.hash).await.unwrap().unwrap().user.current_environment, id);

    let ends = EndsWithUser { sessions: 2, tokens: 1, environments: 2, environment_tokens: 1, handed_over: None };
    assert_eq!(store.ends_with_user(ada.id, false, at(6)).await.unwrap(), ends);
    assert_eq!(store.delete_user(ada.id, BY_ADMIN, by(6)).await.unwrap(), ends);
    assert_eq!(live().await, [false, false, false, true, false, false, true]);
    assert_eq!(store.user(ada.id).await, Err(NOT_FOUND));
    assert_eq!(store.delete_user(ada.id, BY_ADMIN, by(7)).await, Err(NOT_FOUND));
    assert_eq!(store.ends_with_user(ada.id, false, at(7)).await, Err(NOT_FOUND));
    assert_eq!(store.environment(eve.id, id).await.unwrap_err(), NOT_FOUND);
    assert_eq!(store.members_of(eve.id, default).await.unwrap(), []);
    // She worked in an environment that is gone.
    let record = store.session_by_hash(&kept.hash).await.unwrap().unwrap();
    assert_eq!(record.user.current_environment, eve.current_environment);
    // Somebody else takes the address at once.
    store.add_user(User { email: ada.email, ..person("heir") }, password("new"), by(8)).await.unwrap();
}

pub(super) async fn a_deletion_keeps_what_happened_and_erases_from_where(store: &TestStore) {
    let ada = add(store, "ada").await;
    let address = "192.0.2.7".parse().unwrap();
    let origin = RequestSource { actor: Actor::Anonymous, address: Some(address), request_id: None, keyed: None };
    let from = Attribution { origin, at: at(5) };
    let token = new_token(ada.id, "ci");
    store.add_token(token.clone(), 10, from.clone()).await.unwrap();
    let change = ProfileChange { email: Some(Email::parse("new@example.com").unwrap()), ..ProfileChange::default() };
    store.change_profile(ada.id, change, from).await.unwrap();
    store.delete_user(ada.id, BY_ADMIN, by(6)).await.unwrap();
    let events = store.events_of(ada.id, None, 10).await.unwrap();
    let shown: Vec<_> = events.iter().map(|event| (event.entry.action, event.entry.detail.as_deref())).collect();
    assert_eq!(
        shown,
        [
            (Action::UserDeleted, None),
            (Action::TokenRevoked, Some("user_deleted")),
            (Action::EnvironmentDeleted, None),
            (Action::UserEmailChanged, None),
            (Action::TokenCreated, None),
            (Action::UserCreated, None),
        ]
    );
    assert!(events.iter().all(|event| event.by.origin.address.is_none()), "{events:?}");
    assert_eq!(events[1].entry.target, Target::PersonalAccessToken(token.id), "ids stay");
    while !store.scrub().await.unwrap() {}
}

pub(super) async fn a_deletion_needs_the_present_password_and_leaves_an_administrator(store: &TestStore) {
    let ada = add(store, "ada").await;
    let with = |text| UserDeletion { verified: Some(password(text)), transfer: None, last: LastAdmin::Stays };
    assert_eq!(store.delete_user(ada.id, with("stale"), by(5)).await, Err(CREDENTIALS_CHANGED));
    store.set_role(ada.id, UserRole::Admin, LastAdmin::Stays, by(5)).await.unwrap();
    let last = StoreError::Conflict(Conflict::LastAdmin);
    assert_eq!(store.delete_user(ada.id, with("old"), by(5)).await, Err(last));
    assert!(store.user(ada.id).await.is_ok());
    let may_go = UserDeletion { last: LastAdmin::MayGo, ..BY_ADMIN };
    store.delete_user(ada.id, may_go, by(6)).await.unwrap();
    let eve = add(store, "eve").await;
    store.delete_user(eve.id, with("old"), by(6)).await.unwrap();
}
