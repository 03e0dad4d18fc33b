//! What every store must end together when a token ends: the token and what it made of itself, and nothing else.

use super::{
    environments::{add_environment, successor, token_of},
    rotation::{add_new, already_rotated, record, rotation},
    *,
};
use patd::store::{LeakReport, Rotation, Successors, TokenSelection};

/// A way in which somebody ends or stops a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Report,
    Revoke,
    Select,
    Disable,
}

const WAYS: [Way; 4] = [Way::Report, Way::Revoke, Way::Select, Way::Disable];

impl Way {
    /// Which others were changed with the token, as far as this way says so.
    async fn go(self, store: &TestStore, token: &Token) -> Result<Successors, StoreError> {
        let (owner, id) = (token.owner, token.id);
        match self {
            Self::Report => {
                let leaked = LeakReport { tokens: vec![id], presented: Some(1), ..LeakReport::default() };
                store.revoke_leaked(leaked, by(3000)).await.map(|()| Successors::default())
            }
            Self::Revoke => store.revoke_token(owner, id, REASON, by(3000)).await,
            Self::Select => {
                let selection = TokenSelection::These(vec![id]);
                store.revoke_tokens(owner, selection, REASON, by(3000)).await.map(|_| Successors::default())
            }
            Self::Disable => store.disable_token(owner, id, by(3000)).await.map(|(_, successors)| successors),
        }
    }

    fn tells(self) -> bool {
        matches!(self, Self::Revoke | Self::Disable)
    }

    /// What the trail says of a token that was changed, without and with a predecessor.
    fn event(self, predecessor: Option<&Token>) -> (Action, Option<String>) {
        let (action, reason) = match self {
            Self::Report => (Action::TokenRevoked, Some("leaked")),
            Self::Revoke | Self::Select => (Action::TokenRevoked, Some("revoked_by_owner")),
            Self::Disable => (Action::TokenDisabled, None),
        };
        let because = predecessor.map(|token| format!("with predecessor {}", token.id));
        let parts: Vec<String> = reason.map(str::to_owned).into_iter().chain(because).collect();
        (action, (!parts.is_empty()).then(|| parts.join(", ")))
    }
}

/// Who asks for a rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asks {
    Itself,
    Owner,
}

/// A token with its secret.
struct Held {
    token: Token,
    hash: TokenHash,
}

impl Held {
    async fn new(store: &TestStore, owner: &User) -> Self {
        let new = new_token(owner.id, "ci");
        Self { token: add_new(store, &new).await, hash: new.hash }
    }

    async fn try_rotate(&self, store: &TestStore, asks: Asks, grace: u64) -> Result<Self, StoreError> {
        let asked = Rotation { grace: Duration::from_secs(grace), ..rotation(&self.token) };
        let hash = asked.hash;
        let actor = match asks {
            Asks::Itself => Actor::PersonalAccessToken(self.token.id),
            Asks::Owner => Actor::CommandLine,
        };
        let by = Attribution { origin: RequestSource { actor, address: None, request_id: None }, at: at(2000) };
        Ok(Self { token: store.rotate_token(asked, by).await?.token, hash })
    }

    async fn rotate(&self, store: &TestStore, asks: Asks, grace: u64) -> Self {
        let made = self.try_rotate(store, asks, grace).await.unwrap();
        // So that a memory in front of the store has something to forget.
        assert!(made.is_good(store).await);
        made
    }

    async fn is_good(&self, store: &TestStore) -> bool {
        let token = &record(store, &self.hash).await.token;
        token.revoked.is_none() && token.disabled_at.is_none()
    }
}

async fn events_of(store: &TestStore, owner: &User, token: &Token) -> Vec<(Action, Option<String>)> {
    let mut events = store.events_of(owner.id, None, 100).await.unwrap();
    events.retain(|event| event.entry.target.id() == Some(token.id.uuid()) && event.by.at == at(3000));
    events.reverse();
    events.into_iter().map(|event| (event.entry.action, event.entry.detail.map(Into::into))).collect()
}

pub(super) async fn a_token_ends_or_stops_with_what_it_made_of_itself(store: &TestStore) {
    let ada = add(store, "ada").await;
    for way in WAYS {
        for grace in [0, 5000] {
            for generations in 1..4 {
                let first = Held::new(store, &ada).await;
                let mut newest = first.rotate(store, Asks::Itself, grace).await;
                for _ in 1..generations {
                    newest = newest.rotate(store, Asks::Itself, grace).await;
                }
                let row = format!("{way:?} with a grace of {grace} after {generations}");
                let first_is_good = first.is_good(store).await;
                let done = way.go(store, &first.token).await.unwrap();
                assert!(!newest.is_good(store).await && !first.is_good(store).await, "{row}");
                if way.tells() {
                    assert_eq!((done.changed.last(), done.unchanged), (Some(&newest.token.id), None), "{row}");
                }
                assert_eq!(events_of(store, &ada, &newest.token).await, [way.event(Some(&first.token))], "{row}");
                let leaked = (way == Way::Report).then_some((Action::TokenLeaked, None));
                let own: Vec<_> = leaked.into_iter().chain(first_is_good.then(|| way.event(None))).collect();
                assert_eq!(events_of(store, &ada, &first.token).await, own, "{row}");
                let again = way.go(store, &first.token).await;
                match way {
                    Way::Revoke => assert_eq!(again, Err(NOT_FOUND), "{row}"),
                    _ => assert_eq!(again, Ok(Successors::default()), "{row}"),
                }
                assert_eq!(events_of(store, &ada, &newest.token).await.len(), 1, "{row}");
            }
        }
    }
}

pub(super) async fn a_token_that_ends_first_makes_nothing_of_itself(store: &TestStore) {
    let ada = add(store, "ada").await;
    for way in WAYS {
        let first = Held::new(store, &ada).await;
        assert_eq!(way.go(store, &first.token).await, Ok(Successors::default()));
        let late = first.try_rotate(store, Asks::Itself, 0).await;
        assert_eq!(late.map(|made| made.token), Err(NOT_FOUND), "{way:?}");
    }
}

pub(super) async fn a_successor_of_the_owner_is_named_and_left_alone(store: &TestStore) {
    let ada = add(store, "ada").await;
    for way in WAYS {
        // In its grace, the token itself ends, and the answer names the successor.
        let first = Held::new(store, &ada).await;
        let second = first.rotate(store, Asks::Owner, 5000).await;
        let third = second.rotate(store, Asks::Itself, 5000).await;
        let done = way.go(store, &first.token).await;
        assert!(second.is_good(store).await && third.is_good(store).await, "{way:?}");
        match way {
            // That the second was rotated has ended the first.
            Way::Revoke | Way::Disable => assert_eq!(done, Err(already_rotated(&second.token)), "{way:?}"),
            Way::Report | Way::Select => assert_eq!(done, Ok(Successors::default()), "{way:?}"),
        }

        let first = Held::new(store, &ada).await;
        let second = first.rotate(store, Asks::Itself, 5000).await;
        let third = second.rotate(store, Asks::Owner, 5000).await;
        let fourth = third.rotate(store, Asks::Itself, 5000).await;
        let done = way.go(store, &second.token).await;
        assert!(third.is_good(store).await && fourth.is_good(store).await, "{way:?}");
        if way.tells() {
            assert_eq!(done, Err(already_rotated(&third.token)), "{way:?}");
        }
        let done = way.go(store, &third.token).await.unwrap();
        assert!(!third.is_good(store).await && !fourth.is_good(store).await, "{way:?}");
        if way.tells() {
            assert_eq!(done, Successors { changed: vec![fourth.token.id], unchanged: None }, "{way:?}");
        }

        let first = Held::new(store, &ada).await;
        let second = first.rotate(store, Asks::Owner, 5000).await;
        let done = way.go(store, &first.token).await.unwrap();
        assert!(!first.is_good(store).await && second.is_good(store).await, "{way:?}");
        if way.tells() {
            assert_eq!(done, Successors { changed: vec![], unchanged: Some(second.token.id) }, "{way:?}");
        }
    }
    // One that has expired is not good, and nothing is left to be named.
    let first = Held::new(store, &ada).await;
    let end = patd::store::SuccessorEnd::At(at(3000));
    let short = Rotation { end, grace: Duration::ZERO, ..rotation(&first.token) };
    store.rotate_token(short, by(2000)).await.unwrap();
    for way in [Way::Revoke, Way::Disable] {
        assert_eq!(way.go(store, &first.token).await, Err(NOT_FOUND), "{way:?}");
    }
}

pub(super) async fn what_came_before_a_token_or_beside_it_goes_on(store: &TestStore) {
    let (ada, bob) = (add(store, "ada").await, add(store, "bob").await);
    for way in WAYS {
        let (first, other) = (Held::new(store, &ada).await, Held::new(store, &ada).await);
        let second = first.rotate(store, Asks::Itself, 5000).await;
        let of_other = other.rotate(store, Asks::Itself, 5000).await;
        let foreign = Token { owner: bob.id, ..first.token.clone() };
        if way != Way::Report {
            let refused = way.go(store, &foreign).await;
            assert!(matches!(refused, Err(NOT_FOUND) | Ok(Successors { unchanged: None, .. })), "{refused:?}");
            assert!(first.is_good(store).await && second.is_good(store).await, "{way:?}");
        }
        way.go(store, &second.token).await.unwrap();
        assert!(first.is_good(store).await && !second.is_good(store).await, "{way:?}");
        assert!(other.is_good(store).await && of_other.is_good(store).await, "{way:?}");
    }
}

pub(super) async fn of_an_environments_token_its_successor_is_named(store: &TestStore) {
    let ada = add(store, "ada").await;
    let environment = add_environment(store, &ada, "e").await;
    let (id, new) = (environment.id, token_of(&environment));
    let old = store.add_environment_token(ada.id, new, 9, by(1000)).await.unwrap();
    let regenerate = async |old: &Token| {
        store.regenerate_environment_token(ada.id, id, old.id, successor(), by(2000)).await.unwrap().token
    };
    let second = regenerate(&old).await;
    let third = regenerate(&second).await;
    let revoke =
        async |token: &Token| store.revoke_environment_token(ada.id.into(), id, token.id, REASON, by(3000)).await;
    let leaked = LeakReport { tokens: vec![old.id], presented: Some(1), ..LeakReport::default() };
    store.revoke_leaked(leaked, by(3000)).await.unwrap();
    assert_eq!(revoke(&old).await, Err(already_rotated(&third)));
    assert_eq!(revoke(&third).await, Ok(()));
    assert_eq!(revoke(&old).await, Err(NOT_FOUND));
    assert_eq!(revoke(&third).await, Err(NOT_FOUND));
}

pub(super) async fn the_latest_successors_are_found_at_once(store: &TestStore) {
    let ada = add(store, "ada").await;
    let (first, alone) = (Held::new(store, &ada).await, Held::new(store, &ada).await);
    first.rotate(store, Asks::Itself, 5000).await;
    let again = Rotation { replace_unused: true, ..rotation(&first.token) };
    let second = store.rotate_token(again, by(2001)).await.unwrap().token;
    let third = store.rotate_token(rotation(&second), by(2002)).await.unwrap().token;
    let unknown = TokenId::new(Uuid::now_v7());
    let asked = vec![third.id, second.id, unknown, first.token.id, alone.token.id];
    let mut found = store.successors_of(asked).await.unwrap();
    found.sort_unstable_by_key(|(token, _)| token.uuid());
    let mut expected = [(first.token.id, second.id), (second.id, third.id)];
    expected.sort_unstable_by_key(|(token, _)| token.uuid());
    assert_eq!(found, expected);
    assert_eq!(store.successors_of(vec![]).await, Ok(vec![]));
}
