//! What may exist only so often is created at the same time.

use super::super::{
    environments::{add_environment, token_of},
    keyed_requests::{by_request, keyed},
};
use super::*;

pub(super) async fn creations_stop_at_the_limit(stores: &Pair, turn: Turn) {
    const LIMIT: u32 = 5;
    let ada = add(&stores[0], &turn.unique("ada")).await;
    let earlier = turn.0 % 4;
    for number in 0..earlier {
        stores[number % 2].add_token(new_token(ada.id, "t"), LIMIT, by(1000)).await.unwrap();
    }
    let creations = (0..8).map(|number| -> BoxFuture<'_, _> {
        let token = new_token(ada.id, "t");
        Box::pin(async move { stores[number % 2].add_token(token, LIMIT, by(2000)).await })
    });
    let answers = turn.at_once(creations.collect()).await;
    assert_eq!(made(&answers, &[TOO_MANY]) + earlier, LIMIT as usize, "{answers:?}");
    let tokens = stores[1].tokens_of(ada.id, all(), at(2000)).await.unwrap();
    assert_eq!(tokens.len(), LIMIT as usize);
    // What ends on one store makes room on the other.
    stores[0].revoke_token(ada.id, tokens[0].id, REASON, by(2000)).await.unwrap();
    for (store, expected) in [(1, 1), (0, 0)] {
        let again = stores[store].add_token(new_token(ada.id, "t"), LIMIT, by(2000)).await;
        assert_eq!(made(&[again], &[TOO_MANY]), expected);
    }
}

pub(super) async fn creations_in_an_environment_stop_at_its_limit(stores: &Pair, turn: Turn) {
    const LIMIT: u32 = 3;
    let ada = add(&stores[0], &turn.unique("ada")).await;
    let environment = add_environment(&stores[1], &ada, "e").await;
    let creations = (0..6).map(|number| -> BoxFuture<'_, _> {
        let token = token_of(&environment);
        Box::pin(async move { stores[number % 2].add_environment_token(token.owner, token, LIMIT, by(2000)).await })
    });
    let answers = turn.at_once(creations.collect()).await;
    assert_eq!(made(&answers, &[TOO_MANY]), LIMIT as usize, "{answers:?}");
}

pub(super) async fn reservations_stop_at_the_quota(stores: &Pair, turn: Turn) {
    let ada = add(&stores[0], &turn.unique("ada")).await;
    let limits = UsageLimits { quota: Some(20), ..UsageLimits::default() }.boxed();
    let new = NewToken { limits, ..new_token(ada.id, "t") };
    let token = stores[0].add_token(new, 1000, by(1000)).await.unwrap();
    let reservations = (0..30).map(|number| -> BoxFuture<'_, _> {
        let token = token.id;
        Box::pin(async move { stores[number % 2].reserve_uses(token).await.unwrap() })
    });
    let reserved = turn.at_once(reservations.collect()).await;
    assert_eq!(reserved.iter().sum::<u32>(), 20, "{reserved:?}");
    assert_eq!(stores[1].taken_uses(vec![token.id]).await.unwrap(), [(token.id, 20)]);
}

pub(super) async fn an_address_is_given_to_one_user(stores: &Pair, turn: Turn) {
    let bob = add(&stores[0], &turn.unique("bob")).await;
    let wanted = email(&format!("{}@example.com", turn.unique("ada")));
    let mut changes: Vec<BoxFuture<'_, Result<(), StoreError>>> = Vec::new();
    for number in 0..3 {
        let user = User { email: wanted.clone(), ..person("eve") };
        changes.push(Box::pin(async move { stores[number % 2].add_user(user, password("x"), by(2000)).await }));
    }
    let change = ProfileChange { name: None, email: Some(wanted.clone()), verified: None };
    changes.push(Box::pin(async { turn.which(stores).change_profile(bob.id, change, by(2000)).await.map(drop) }));
    let answers = turn.at_once(changes).await;
    assert_eq!(made(&answers, &[EMAIL_TAKEN]), 1, "{answers:?}");
    for store in stores {
        assert!(store.credentials_by_email(&wanted).await.unwrap().is_some());
    }
}

pub(super) async fn sixteen_equal_requests_make_one_token(stores: &Pair, turn: Turn) {
    let ada = add(&stores[0], &turn.unique("ada")).await;
    let creations = (0..16).map(|number| -> BoxFuture<'_, _> {
        let by = by_request(&keyed(&ada, "k"), 2000);
        let token = new_token(ada.id, "t");
        Box::pin(async move { stores[number % 2].add_token(token, 100, by).await })
    });
    let answers = turn.at_once(creations.collect()).await;
    assert_eq!(made(&answers, &[StoreError::Conflict(Conflict::MadeAlready)]), 1, "{answers:?}");
    for store in stores {
        assert_eq!(store.tokens_of(ada.id, all(), at(2000)).await.unwrap().len(), 1);
    }
}
