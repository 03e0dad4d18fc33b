//! A power is taken away while it is used.

use super::super::environments::{add_environment, token_of};
use super::*;

const ADMIN_REQUIRED: StoreError = StoreError::Conflict(Conflict::AdminRequired);
const ROLE_REQUIRED: StoreError = StoreError::Conflict(Conflict::RoleRequired);

pub(super) async fn an_administrator_who_loses_the_role_grants_nothing(stores: &Pair, turn: Turn) {
    let ada = add(&stores[0], &turn.unique("ada")).await;
    stores[0].set_role(ada.id, UserRole::Admin, LastAdmin::Stays, by(1000)).await.unwrap();
    let session = sign_in(&stores[1], &ada, 1, 9000).await;
    let reserved = |text: &str| NewToken {
        abilities: Abilities::new([Ability::parse("tokens:introspect").unwrap()]).unwrap(),
        ..new_token(ada.id, text)
    };
    let new: Vec<_> = (0..4).map(|_| reserved("t")).collect();
    let mut changes: Vec<BoxFuture<'_, Result<(), StoreError>>> = Vec::new();
    for (at, token) in new.iter().enumerate() {
        let (token, by) = (token.clone(), by_session(&session, 2000));
        changes.push(Box::pin(async move { stores[at % 2].add_token(token, 1000, by).await.map(drop) }));
    }
    changes.push(Box::pin(async {
        turn.which(stores).set_role(ada.id, UserRole::Member, LastAdmin::MayGo, by(2000)).await.map(drop)
    }));
    let answers = turn.at_once(changes).await;
    assert_eq!(answers[4], Ok(()));
    let made = made(&answers[..4], &[ADMIN_REQUIRED]);
    assert_eq!(expect_before(&trail(&stores[1], ada.id).await, "token.created", "user.role_changed"), made);
    for (token, _) in new.iter().zip(&answers).filter(|(_, answer)| answer.is_ok()) {
        for store in stores {
            let record = store.token_by_hash(&token.hash).await.unwrap().unwrap();
            assert_eq!(record.owner.user().unwrap().role, UserRole::Member);
        }
    }
}

pub(super) async fn a_member_who_loses_the_role_creates_nothing(stores: &Pair, turn: Turn) {
    let (ada, bob) = (add(&stores[0], &turn.unique("ada")).await, add(&stores[0], &turn.unique("bob")).await);
    let environment = add_environment(&stores[0], &ada, "e").await;
    stores[0].set_member(ada.id, environment.id, bob.id, MemberRole::Admin, by(1000)).await.unwrap();
    let session = sign_in(&stores[1], &bob, 1, 9000).await;
    let (id, is_removed) = (environment.id, turn.0.is_multiple_of(2));
    let mut changes: Vec<BoxFuture<'_, Result<(), StoreError>>> = Vec::new();
    for number in 0..4 {
        let (token, by) = (token_of(&environment), by_session(&session, 2000));
        changes.push(Box::pin(async move {
            stores[number % 2].add_environment_token(bob.id, token, 1000, by).await.map(drop)
        }));
    }
    changes.push(Box::pin(async {
        match is_removed {
            true => turn.which(stores).remove_member(ada.id, id, bob.id, by(2000)).await,
            false => turn.which(stores).set_member(ada.id, id, bob.id, MemberRole::Viewer, by(2000)).await.map(drop),
        }
    }));
    let answers = turn.at_once(changes).await;
    assert_eq!(answers[4], Ok(()));
    let made = made(&answers[..4], &[if is_removed { NOT_FOUND } else { ROLE_REQUIRED }]);
    let end = if is_removed { "environment.unshared" } else { "environment.shared" };
    assert_eq!(expect_before(&trail(&stores[1], ada.id).await, "token.created", end), made);
}

pub(super) async fn one_administrator_stays(stores: &Pair, turn: Turn) {
    let (ada, bob) = (add(&stores[0], &turn.unique("ada")).await, add(&stores[1], &turn.unique("bob")).await);
    for user in [&ada, &bob] {
        stores[0].set_role(user.id, UserRole::Admin, LastAdmin::Stays, by(1000)).await.unwrap();
    }
    let answers = turn
        .at_once::<Result<(), StoreError>>(vec![
            Box::pin(async {
                stores[0].set_role(ada.id, UserRole::Member, LastAdmin::Stays, by(2000)).await.map(drop)
            }),
            Box::pin(async { stores[1].disable_user(bob.id, LastAdmin::Stays, by(2000)).await.map(drop) }),
        ])
        .await;
    assert_eq!(made(&answers, &[StoreError::Conflict(Conflict::LastAdmin)]), 1, "{answers:?}");
    // No administrator is left for the next turn.
    stores[0].set_role(ada.id, UserRole::Member, LastAdmin::MayGo, by(3000)).await.unwrap();
    stores[0].set_role(bob.id, UserRole::Member, LastAdmin::MayGo, by(3000)).await.unwrap();
}

pub(super) async fn nothing_is_created_in_a_deleted_environment(stores: &Pair, turn: Turn) {
    let ada = add(&stores[0], &turn.unique("ada")).await;
    let environment = add_environment(&stores[0], &ada, "e").await;
    let new: Vec<_> = (0..5).map(|_| token_of(&environment)).collect();
    stores[1].add_environment_token(ada.id, new[0].clone(), 1000, by(1000)).await.unwrap();
    assert_eq!(accepts(stores, &new[0].hash).await, BOTH);
    let mut changes: Vec<BoxFuture<'_, Result<(), StoreError>>> = Vec::new();
    for (at, token) in new[1..].iter().enumerate() {
        let token = token.clone();
        changes.push(Box::pin(async move {
            stores[at % 2].add_environment_token(token.owner, token, 1000, by(2000)).await.map(drop)
        }));
    }
    changes.push(Box::pin(async { turn.which(stores).delete_environment(ada.id, environment.id, by(2000)).await }));
    let answers = turn.at_once(changes).await;
    assert_eq!(answers[4], Ok(()));
    made(&answers[..4], &[NOT_FOUND]);
    for token in &new {
        assert_eq!(accepts(stores, &token.hash).await, NEITHER);
    }
}
