//! The owner of credentials is disabled or deleted while credentials are created.

use patd::store::UserDeletion;

use super::*;

/// Creations on both stores.
fn creations<'s>(
    stores: &'s Pair,
    new: &[NewToken],
    attribution: &Attribution,
) -> Vec<BoxFuture<'s, Result<(), StoreError>>> {
    let of = |(at, token): (usize, &NewToken)| -> BoxFuture<'s, _> {
        let (store, token, by) = (&stores[at % 2], token.clone(), attribution.clone());
        Box::pin(async move { store.add_token(token, 1000, by).await.map(drop) })
    };
    new.iter().enumerate().map(of).collect()
}

pub(super) async fn no_token_is_created_after_its_owner_was_disabled(stores: &Pair, turn: Turn) {
    let ada = add(&stores[0], &turn.unique("ada")).await;
    let new: Vec<_> = (0..5).map(|_| new_token(ada.id, "t")).collect();
    stores[0].add_token(new[0].clone(), 1000, by(1000)).await.unwrap();
    assert_eq!(accepts(stores, &new[0].hash).await, BOTH);
    let mut changes = creations(stores, &new[1..], &by(2000));
    changes
        .push(Box::pin(async { turn.which(stores).disable_user(ada.id, LastAdmin::Stays, by(2000)).await.map(drop) }));
    let answers = turn.at_once(changes).await;
    assert_eq!(answers[4], Ok(()));
    let made = made(&answers[..4], &[NOT_FOUND]);
    assert_eq!(expect_before(&trail(&stores[0], ada.id).await, "token.created", "user.disabled"), made + 1);
    assert_eq!(stores[1].tokens_of(ada.id, all(), at(2000)).await.unwrap().len(), made + 1);
    for token in &new {
        assert_eq!(accepts(stores, &token.hash).await, NEITHER);
    }
}

pub(super) async fn nothing_of_a_deleted_owner_is_valid(stores: &Pair, turn: Turn) {
    let ada = add(&stores[0], &turn.unique("ada")).await;
    let new: Vec<_> = (0..5).map(|_| new_token(ada.id, "t")).collect();
    stores[0].add_token(new[0].clone(), 1000, by(1000)).await.unwrap();
    let session = sign_in(&stores[1], &ada, 1, 9000).await;
    assert_eq!((accepts(stores, &new[0].hash).await, knows(stores, &session).await), (BOTH, BOTH));
    let mut changes = creations(stores, &new[1..], &by_session(&session, 2000));
    let deletion = UserDeletion { verified: None, transfer: None, last: LastAdmin::Stays };
    changes.push(Box::pin(async { turn.which(stores).delete_user(ada.id, deletion, by(2000)).await.map(drop) }));
    let answers = turn.at_once(changes).await;
    assert_eq!(answers[4], Ok(()));
    made(&answers[..4], &[NOT_FOUND, StoreError::Conflict(Conflict::SessionEnded)]);
    for token in &new {
        assert_eq!(accepts(stores, &token.hash).await, NEITHER);
    }
    assert_eq!(knows(stores, &session).await, NEITHER);
    assert_eq!(stores[1].tokens_of(ada.id, all(), at(2000)).await.unwrap(), []);
}

pub(super) async fn no_session_survives_a_sign_in_while_its_user_is_disabled(stores: &Pair, turn: Turn) {
    let ada = add(&stores[0], &turn.unique("ada")).await;
    let sessions: Vec<_> = (0..4).map(|_| session(&ada, 1, 9000)).collect();
    let mut changes: Vec<BoxFuture<'_, Result<(), StoreError>>> = Vec::new();
    for (at, session) in sessions.iter().enumerate() {
        let sign_in = SignIn { session: session.clone(), verified: password("old"), rehashed: None };
        changes.push(Box::pin(async move { stores[at % 2].sign_in(sign_in, by(2000)).await }));
    }
    changes
        .push(Box::pin(async { turn.which(stores).disable_user(ada.id, LastAdmin::Stays, by(2000)).await.map(drop) }));
    let answers = turn.at_once(changes).await;
    assert_eq!(answers[4], Ok(()));
    let made = made(&answers[..4], &[NOT_FOUND, CREDENTIALS_CHANGED]);
    assert_eq!(expect_before(&trail(&stores[1], ada.id).await, "session.created", "user.disabled"), made);
    for session in &sessions {
        assert_eq!(knows(stores, session).await, NEITHER);
    }
}
