//! Users who are disabled or deleted, and what they own gets another owner in the same change.

use super::{
    environments::{add_environment, token_of},
    rotation::{add_new, record},
    *,
};
use patd::{
    domain::{deletion::EndsWithUser, owner::HandedOver, use_location::UseLocation},
    store::{Transfer, UserDeletion},
};

const LAST_ADMIN: StoreError = StoreError::Conflict(Conflict::LastAdmin);

fn to(user: &User) -> Transfer {
    Transfer { to: user.id, max_live_tokens: 10 }
}

pub(super) async fn a_deletion_hands_over_first_and_ends_only_the_rest(store: &TestStore) {
    let (ada, bob) = (add(store, "ada").await, add(store, "bob").await);
    let session = sign_in(store, &ada, 1, 9).await;
    let personal = new_token(ada.id, "personal");
    let id = add_new(store, &personal).await.id;
    let location = UseLocation { address: [192, 0, 2, 1].into(), user_agent: None, last_used_at: at(1) };
    store.record_locations(vec![(id, location)]).await.unwrap();
    let prod = add_environment(store, &ada, "prod").await;
    let default = Environment { id: ada.current_environment, ..prod.clone() };
    let (kept, ended) = (token_of(&prod), token_of(&default));
    for token in [&kept, &ended] {
        store.add_environment_token(ada.id, token.clone(), 10, by(5)).await.unwrap();
    }
    // Each is read before, so that a cache holds it.
    for hash in [&personal.hash, &kept.hash, &ended.hash] {
        assert_eq!(record(store, hash).await.owner.id(), ada.id);
    }
    assert!(is_signed_in(store, &session).await);

    let refused = [(Transfer { max_live_tokens: 0, ..to(&bob) }, TOO_MANY), (to(&person("nobody")), NOT_FOUND)];
    for (transfer, error) in refused {
        let how = UserDeletion { verified: None, transfer: Some(transfer), last: LastAdmin::Stays };
        assert_eq!(store.delete_user(ada.id, how, by(6)).await, Err(error));
        assert!(store.user(ada.id).await.is_ok() && is_signed_in(store, &session).await);
        assert_eq!(record(store, &personal.hash).await.owner.id(), ada.id);
    }

    let handed_over = Some(HandedOver { tokens: 1, environments: 1 });
    let ends = EndsWithUser { sessions: 1, tokens: 0, environments: 1, environment_tokens: 1, handed_over };
    assert_eq!(store.ends_with_user(ada.id, true, at(6)).await, Ok(ends));
    let how = UserDeletion { verified: None, transfer: Some(to(&bob)), last: LastAdmin::Stays };
    assert_eq!(store.delete_user(ada.id, how, by(6)).await, Ok(ends));
    for hash in [&personal.hash, &kept.hash] {
        let record = record(store, hash).await;
        assert_eq!((record.owner.id(), record.token.owner, record.token.revoked), (bob.id, bob.id, None));
    }
    assert!(store.token_by_hash(&ended.hash).await.unwrap().is_none(), "the default environment ends with the user");
    assert_eq!(store.environment(bob.id, prod.id).await.unwrap().role, Role::Owner);
    assert!(!is_signed_in(store, &session).await);
    assert_eq!(store.user(ada.id).await, Err(NOT_FOUND));
    assert_eq!(store.locations_of(id).await, Ok(vec![]), "where the deleted user was");
}

pub(super) async fn a_user_is_disabled_and_hands_over_in_one_change_or_not_at_all(store: &TestStore) {
    let (ada, bob) = (add(store, "ada").await, add(store, "bob").await);
    let token = new_token(ada.id, "t");
    add_new(store, &token).await;
    let environment = add_environment(store, &ada, "prod").await;
    let owner = async || record(store, &token.hash).await.owner.clone();
    assert_eq!(owner().await.id(), ada.id);
    store.set_role(ada.id, UserRole::Admin, LastAdmin::Stays, by(5)).await.unwrap();
    let disable = async |last| store.hand_over_and_disable(ada.id, to(&bob), last, by(6)).await;
    assert_eq!(disable(LastAdmin::Stays).await, Err(LAST_ADMIN));
    assert_eq!(owner().await.id(), ada.id, "neither of both");
    let (account, handed_over) = disable(LastAdmin::MayGo).await.unwrap();
    assert_eq!((account.user.disabled_at, handed_over), (Some(at(6)), HandedOver { tokens: 1, environments: 1 }));
    assert_eq!((owner().await.id(), owner().await.disabled_at()), (bob.id, None));
    assert_eq!(store.environment(bob.id, environment.id).await.unwrap().role, Role::Owner);
    let (_, again) = disable(LastAdmin::MayGo).await.unwrap();
    assert_eq!(again, HandedOver::default(), "there is nothing left");
    let nobody = person("nobody").id;
    let refused = store.hand_over_and_disable(nobody, to(&bob), LastAdmin::MayGo, by(6)).await;
    assert_eq!(refused.map(drop), Err(NOT_FOUND));
}
