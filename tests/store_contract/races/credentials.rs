//! Tokens and sessions are created from what ends at the same time.

use patd::store::Rotation;

use super::super::rotation::rotation;
use super::*;

/// How a token ends.
#[derive(Clone, Copy, Debug)]
enum Way {
    Revoke,
    Disable,
}

pub(super) async fn no_successor_survives_its_revocation(stores: &Pair, turn: Turn) {
    let ada = add(&stores[0], &turn.unique("ada")).await;
    for way in [Way::Revoke, Way::Disable] {
        for (is_by_itself, grace) in [(true, 0), (true, 5000), (false, 0), (false, 5000)] {
            let row = format!("{way:?}, by itself: {is_by_itself}, grace {grace}, turn {}", turn.0);
            let new = new_token(ada.id, "t");
            let old = stores[0].add_token(new.clone(), 1000, by(1000)).await.unwrap();
            assert_eq!(accepts(stores, &new.hash).await, BOTH, "{row}");
            let actor = if is_by_itself { Actor::token(&old) } else { Actor::CommandLine };
            let origin = RequestSource::without_request(actor);
            let request = Rotation { grace: Duration::from_secs(grace), end_on_first_use: false, ..rotation(&old) };
            let (hash, successor) = (request.hash, request.successor);
            let (ender, rotator) = (turn.which(stores), &stores[turn.0 % 2]);
            let answers = turn
                .at_once::<Result<Vec<TokenId>, StoreError>>(vec![
                    Box::pin(async {
                        let rotated = rotator.rotate_token(request, Attribution { origin, at: at(2000) }).await;
                        rotated.map(|rotated| vec![rotated.token.id])
                    }),
                    Box::pin(async {
                        let ended = match way {
                            Way::Revoke => ender.revoke_token(ada.id, old.id, REASON, by(2000)).await,
                            Way::Disable => {
                                ender.disable_token(ada.id, old.id, by(2000)).await.map(|(_, others)| others)
                            }
                        };
                        // The successors that it names.
                        ended.map(|others| others.changed.into_iter().chain(others.unchanged).collect())
                    }),
                ])
                .await;
            let (rotated, ended) = (&answers[0], &answers[1]);
            assert_eq!(accepts(stores, &new.hash).await, NEITHER, "{row}");
            let refusals = [NOT_FOUND, StoreError::Conflict(Conflict::SessionEnded)];
            match (made(&answers[..1], &refusals), is_by_itself) {
                // The token ended first.
                (0, _) => {
                    assert_eq!(ended, &Ok(Vec::new()), "{row}");
                    assert_eq!(accepts(stores, &hash).await, NEITHER, "{row}");
                }
                (_, true) => {
                    assert_eq!((rotated, ended), (&Ok(vec![successor]), &Ok(vec![successor])), "{row}");
                    assert_eq!(accepts(stores, &hash).await, NEITHER, "{row}");
                }
                // What its owner made stays valid, so the owner is told of it.
                (_, false) => {
                    let named = match grace {
                        0 => Err(StoreError::Conflict(Conflict::AlreadyRotated(Some(successor)))),
                        _ => Ok(vec![successor]),
                    };
                    assert_eq!((rotated, ended), (&Ok(vec![successor]), &named), "{row}");
                    assert_eq!(accepts(stores, &hash).await, BOTH, "{row}");
                }
            }
        }
    }
}

pub(super) async fn a_token_is_rotated_once(stores: &Pair, turn: Turn) {
    let ada = add(&stores[0], &turn.unique("ada")).await;
    for is_by_itself in [true, false] {
        let new = new_token(ada.id, "t");
        let old = stores[1].add_token(new, 1000, by(1000)).await.unwrap();
        let actor = if is_by_itself { Actor::token(&old) } else { Actor::CommandLine };
        let origin = RequestSource::without_request(actor);
        let requests: Vec<_> = (0..4).map(|_| rotation(&old)).collect();
        let changes = requests.iter().enumerate().map(|(number, request)| -> BoxFuture<'_, _> {
            let (request, by) = (request.clone(), Attribution { origin: origin.clone(), at: at(2000) });
            Box::pin(async move { stores[number % 2].rotate_token(request, by).await.map(|rotated| rotated.token.id) })
        });
        let answers = turn.at_once(changes.collect()).await;
        let successor = answers.iter().find_map(|answer| answer.as_ref().ok()).expect("the first rotation is made");
        let already = StoreError::Conflict(Conflict::AlreadyRotated(Some(*successor)));
        assert_eq!(made(&answers, &[already]), 1, "{answers:?}");
        for request in requests {
            let expected = if request.successor == *successor { BOTH } else { NEITHER };
            assert_eq!(accepts(stores, &request.hash).await, expected);
        }
    }
}

pub(super) async fn no_sign_in_with_the_old_password_survives_its_change(stores: &Pair, turn: Turn) {
    let ada = add(&stores[0], &turn.unique("ada")).await;
    let before = sign_in(&stores[0], &ada, 1, 9000).await;
    assert_eq!(knows(stores, &before).await, BOTH);
    let sessions: Vec<_> = (0..4).map(|_| session(&ada, 1, 9000)).collect();
    let mut changes: Vec<BoxFuture<'_, Result<(), StoreError>>> = Vec::new();
    for (at, session) in sessions.iter().enumerate() {
        let sign_in = SignIn { session: session.clone(), verified: password("old"), rehashed: None };
        changes.push(Box::pin(async move { stores[at % 2].sign_in(sign_in, by(2000)).await }));
    }
    let change = PasswordChange { verified: Some(password("old")), password: password("new") };
    changes.push(Box::pin(async { turn.which(stores).change_password(ada.id, change, by(2000)).await }));
    let answers = turn.at_once(changes).await;
    assert_eq!(answers[4], Ok(()));
    made(&answers[..4], &[CREDENTIALS_CHANGED]);
    for session in sessions.iter().chain([&before]) {
        assert_eq!(knows(stores, session).await, NEITHER);
    }
}

pub(super) async fn an_ended_session_creates_nothing(stores: &Pair, turn: Turn) {
    let ada = add(&stores[0], &turn.unique("ada")).await;
    let session = sign_in(&stores[0], &ada, 1, 9000).await;
    assert_eq!(knows(stores, &session).await, BOTH);
    let mut changes: Vec<BoxFuture<'_, Result<(), StoreError>>> = Vec::new();
    for number in 0..4 {
        let (token, by) = (new_token(ada.id, "t"), by_session(&session, 2000));
        changes.push(Box::pin(async move { stores[number % 2].add_token(token, 1000, by).await.map(drop) }));
    }
    changes.push(Box::pin(async { turn.which(stores).end_session(ada.id, session.session.id, by(2000)).await }));
    let answers = turn.at_once(changes).await;
    assert_eq!(answers[4], Ok(()));
    let made = made(&answers[..4], &[StoreError::Conflict(Conflict::SessionEnded)]);
    assert_eq!(expect_before(&trail(&stores[1], ada.id).await, "token.created", "session.ended"), made);
    assert_eq!(knows(stores, &session).await, NEITHER);
}
