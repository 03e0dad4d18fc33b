//! What every store must do when something gets another owner.

use super::{
    environments::{add_environment, token_of},
    rotation::{add_new, record, rotation},
    *,
};
use patd::{
    domain::{
        owner::{HandedOver, Owned, OwnedItems},
        use_location::UseLocation,
    },
    store::{HandOver, Selection},
};

fn everything(from: &User, to: &User) -> HandOver {
    let (tokens, environments) = (Selection::All, Selection::All);
    HandOver { from: from.id, to: to.id, tokens, environments, max_live_tokens: 1000 }
}

/// The user's events about changed owners, oldest first.
async fn trail(store: &TestStore, user: &User) -> Vec<String> {
    let mut events = store.events_of(user.id, None, 100).await.unwrap();
    events.reverse();
    let entries = events.into_iter().map(|event| event.entry);
    let moved =
        entries.filter(|entry| [Action::TokenHandedOver, Action::EnvironmentTransferred].contains(&entry.action));
    moved.map(|entry| format!("{} {}", entry.action.as_str(), entry.detail.unwrap())).collect()
}

pub(super) async fn what_is_handed_over_keeps_its_secret_and_its_family(store: &TestStore) {
    let (ada, bob) = (add(store, "ada").await, add(store, "bob").await);
    let (old, other) = (new_token(ada.id, "ci"), new_token(ada.id, "other"));
    let first = add_new(store, &old).await;
    let kept = add_new(store, &other).await;
    let by_itself =
        Attribution { origin: RequestSource { actor: Actor::token(&first), ..RequestSource::SYSTEM }, at: at(2000) };
    let request = rotation(&first);
    let successor = store.rotate_token(request.clone(), by_itself).await.unwrap().token;
    let location = UseLocation { address: [192, 0, 2, 1].into(), user_agent: None, last_used_at: at(1) };
    store.record_locations(vec![(successor.id, location.clone()), (kept.id, location.clone())]).await.unwrap();
    for hash in [&old.hash, &request.hash, &other.hash] {
        assert_eq!(record(store, hash).await.owner.id(), ada.id);
    }

    // One token of a family moves all of it.
    let tokens = Selection::These(vec![successor.id]);
    let one = HandOver { tokens, environments: Selection::none(), ..everything(&ada, &bob) };
    let moved = store.hand_over(one.clone(), by(2001)).await;
    assert_eq!(moved, Ok(HandedOver { tokens: 2, environments: 0 }));
    for (hash, owner) in [(&old.hash, &bob), (&request.hash, &bob), (&other.hash, &ada)] {
        let record = record(store, hash).await;
        assert_eq!((record.owner.id(), record.token.owner, record.token.revoked), (owner.id, owner.id, None));
    }
    assert_eq!(store.locations_of(successor.id).await.unwrap(), []);
    assert_eq!(store.locations_of(kept.id).await.unwrap(), [location]);
    assert_eq!(trail(store, &ada).await, vec![format!("token.handed_over to user {}", bob.id); 2]);
    assert_eq!(trail(store, &bob).await, vec![format!("token.handed_over from user {}", ada.id); 2]);
    assert_eq!(store.hand_over(one, by(2001)).await, Err(NOT_FOUND), "it is not ada's any more");

    // The family and the lineage still belong together.
    let ended = store.revoke_token(bob.id, first.id, REASON, by(2002)).await.unwrap();
    assert_eq!(ended.changed, [successor.id]);
    assert!(record(store, &request.hash).await.token.revoked.is_some());
    // Ended tokens move as well, and are not counted.
    assert_eq!(store.hand_over(everything(&bob, &ada), by(2003)).await, Ok(HandedOver::default()));
    assert_eq!(record(store, &request.hash).await.token.owner, ada.id);
}

pub(super) async fn environments_are_handed_over_with_their_tokens(store: &TestStore) {
    let (ada, bob, eve) = (add(store, "ada").await, add(store, "bob").await, add(store, "eve").await);
    let environment = add_environment(store, &ada, "e").await;
    let token = token_of(&environment);
    store.add_environment_token(ada.id, token.clone(), 10, by(5)).await.unwrap();
    for member in [&bob, &eve] {
        store.set_member(ada.id, environment.id, member.id, MemberRole::Viewer, by(5)).await.unwrap();
    }
    for user in [&ada, &bob, &eve] {
        store.set_current_environment(user.id, environment.id, by(5)).await.unwrap();
    }
    assert_eq!(record(store, &token.hash).await.owner.id(), ada.id);

    let default = Selection::These(vec![ada.current_environment]);
    let refused = store.hand_over(HandOver { environments: default, ..everything(&ada, &bob) }, by(6)).await;
    assert_eq!(refused, Err(StoreError::Conflict(Conflict::DefaultEnvironment)));

    let moved = store.hand_over(everything(&ada, &bob), by(6)).await;
    assert_eq!(moved, Ok(HandedOver { tokens: 0, environments: 1 }), "the default environment stays");
    assert_eq!(record(store, &token.hash).await.owner.id(), bob.id);
    assert_eq!(store.environment(ada.id, environment.id).await.map(drop), Err(NOT_FOUND));
    assert_eq!(store.environment(bob.id, environment.id).await.unwrap().role, Role::Owner);
    let members = store.members_of(bob.id, environment.id).await.unwrap();
    assert_eq!(members.iter().map(|member| member.user).collect::<Vec<_>>(), [eve.id]);
    let current = async |user: &User| store.user(user.id).await.unwrap().current_environment;
    assert_eq!(current(&ada).await, ada.current_environment, "who does not see it any more leaves it");
    assert_eq!((current(&bob).await, current(&eve).await), (environment.id, environment.id));
    assert_eq!(trail(store, &ada).await, [format!("environment.transferred to user {}", bob.id)]);
    assert_eq!(trail(store, &bob).await, [format!("environment.transferred from user {}", ada.id)]);
}

pub(super) async fn a_refused_hand_over_changes_nothing(store: &TestStore) {
    let (ada, bob, root) = (add(store, "ada").await, add(store, "bob").await, add(store, "root").await);
    store.set_role(root.id, UserRole::Admin, LastAdmin::Stays, by(1)).await.unwrap();
    let powerful = NewToken {
        abilities: Abilities::new([Ability::parse("admin:*").unwrap()]).unwrap(),
        ..new_token(ada.id, "powerful")
    };
    let (plain, powerful) = (add_token(store, &ada, "plain").await, add_new(store, &powerful).await);
    add_environment(store, &ada, "e").await;
    add_token(store, &bob, "own").await;

    let tokens = Selection::These(vec![plain.id]);
    let too_many = HandOver { tokens, max_live_tokens: 1, ..everything(&ada, &bob) };
    assert_eq!(store.hand_over(too_many, by(5)).await, Err(TOO_MANY));
    // A member can become an administrator later.
    for to in [&root, &bob] {
        let refused = store.hand_over(everything(&ada, to), by(5)).await;
        assert_eq!(refused, Err(StoreError::Conflict(Conflict::GrantsAdmin(powerful.id))));
    }
    let foreign = Selection::These(vec![plain.id, TokenId::new(Uuid::now_v7())]);
    assert_eq!(store.hand_over(HandOver { tokens: foreign, ..everything(&ada, &bob) }, by(5)).await, Err(NOT_FOUND));
    let nobody = person("nobody");
    assert_eq!(store.hand_over(everything(&ada, &nobody), by(5)).await, Err(NOT_FOUND));
    assert_eq!(store.hand_over(everything(&nobody, &ada), by(5)).await, Err(NOT_FOUND));
    store.disable_user(bob.id, LastAdmin::MayGo, by(5)).await.unwrap();
    let disabled = store.hand_over(everything(&ada, &bob), by(5)).await;
    assert_eq!(disabled, Err(StoreError::Conflict(Conflict::OwnerDisabled)));

    let owned = store.owned_by(ada.id, at(5), 1).await.unwrap();
    let Owned { tokens, environments, service_accounts } = owned;
    assert_eq!(tokens, OwnedItems { count: 2, first: vec![(powerful.id, name("powerful"))] });
    assert_eq!((environments.count, environments.first[0].1.as_str()), (2, "e"));
    assert_eq!(service_accounts, OwnedItems { count: 0, first: Vec::new() });
    assert_eq!(trail(store, &ada).await, Vec::<String>::new());
    assert_eq!(store.owned_by(nobody.id, at(5), 1).await, Err(NOT_FOUND));
}

pub(super) async fn a_session_changes_only_what_its_user_owns_or_manages(store: &TestStore) {
    let (ada, bob) = (add(store, "ada").await, add(store, "bob").await);
    let token = add_token(store, &ada, "t").await;
    let session = sign_in(store, &bob, 1, 9000).await;
    let bobs = || by_session(&session, 5);
    assert_eq!(store.add_token(new_token(ada.id, "never"), 10, bobs()).await, Err(NOT_FOUND));
    assert_eq!(
        store.change_token(ada.id, token.id, TokenChange::rename(name("never")), bobs()).await.map(drop),
        Err(NOT_FOUND)
    );
    assert_eq!(store.revoke_token(ada.id, token.id, REASON, bobs()).await, Err(NOT_FOUND));
    assert_eq!(store.disable_token(ada.id, token.id, bobs()).await.map(drop), Err(NOT_FOUND));
    assert_eq!(store.enable_token(ada.id, token.id, bobs()).await.map(drop), Err(NOT_FOUND));
    assert_eq!(store.rotate_token(rotation(&token), bobs()).await.map(drop), Err(NOT_FOUND));
    let all = patd::store::TokenSelection::All;
    assert_eq!(store.revoke_tokens(ada.id, all, REASON, bobs()).await, Err(NOT_FOUND));
    let id = EnvironmentId::new(Uuid::now_v7());
    let environment = Environment { id, owner: ada.id, name: name("never"), is_default: false, created_at: at(5) };
    assert_eq!(store.add_environment(environment, bobs()).await, Err(NOT_FOUND));
    assert_eq!(store.token(token.id).await.unwrap(), token);
    assert!(store.manages(ada.id, ada.id).await.unwrap() && !store.manages(bob.id, ada.id).await.unwrap());
    // An administrator ends the tokens of others.
    store.set_role(bob.id, UserRole::Admin, LastAdmin::Stays, by(1)).await.unwrap();
    store.revoke_token(ada.id, token.id, REASON, bobs()).await.unwrap();
    assert!(!store.manages(bob.id, ada.id).await.unwrap(), "and does not stand for them");
}
