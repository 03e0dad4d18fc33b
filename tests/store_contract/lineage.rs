//! Revoking or disabling a token must also affect the later tokens of its lineage, and no others.

use super::{
    environments::{add_environment, successor, token_of},
    rotation::{add_new, already_rotated, record, rotation},
    *,
};
use patd::store::{LeakReport, Rotation, Successors, TokenSelection};

/// A way to revoke or disable a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Report,
    Revoke,
    Select,
    Disable,
}

const WAYS: [Way; 4] = [Way::Report, Way::Revoke, Way::Select, Way::Disable];

impl Way {
    /// Returns the successors that were changed too, if this way reports them.
    async fn apply(self, store: &TestStore, token: &Token) -> Result<Successors, StoreError> {
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

    fn reports_successors(self) -> bool {
        matches!(self, Self::Revoke | Self::Disable)
    }

    /// The expected audit event of a changed token, or of a successor that was changed with its predecessor.
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

/// Who requests a rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Requester {
    Itself,
    Owner,
}

/// A token with its secret.
struct TestToken {
    token: Token,
    hash: TokenHash,
}

impl TestToken {
    async fn new(store: &TestStore, owner: &User) -> Self {
        let new = new_token(owner.id, "ci");
        Self { token: add_new(store, &new).await, hash: new.hash }
    }

    async fn try_rotate(&self, store: &TestStore, requester: Requester, grace: u64) -> Result<Self, StoreError> {
        let request = Rotation { grace: Duration::from_secs(grace), ..rotation(&self.token) };
        let hash = request.hash;
        let actor = match requester {
            Requester::Itself => Actor::token(&self.token),
            Requester::Owner => Actor::CommandLine,
        };
        let by = Attribution { origin: RequestSource::without_request(actor), at: at(2000) };
        Ok(Self { token: store.rotate_token(request, by).await?.token, hash })
    }

    async fn rotate(&self, store: &TestStore, requester: Requester, grace: u64) -> Self {
        let rotated = self.try_rotate(store, requester, grace).await.unwrap();
        // This read fills a cache in front of the store.
        assert!(rotated.is_valid(store).await);
        rotated
    }

    async fn is_valid(&self, store: &TestStore) -> bool {
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

/// The selection was made before the rotation.
pub(super) async fn a_revocation_by_ability_includes_successors_that_the_owner_made_meanwhile(store: &TestStore) {
    let ada = add(store, "ada").await;
    let ability = |text: &str| Ability::parse(text).unwrap();
    for grace in [0, 5000] {
        for (kept, covers) in [("*", true), ("calls:*", true), ("calls:read", false)] {
            let old = TestToken::new(store, &ada).await;
            let abilities = Some(Abilities::new([ability(kept)]).unwrap());
            let request = Rotation { grace: Duration::from_secs(grace), abilities, ..rotation(&old.token) };
            let hash = request.hash;
            let new = TestToken { token: store.rotate_token(request, by(2000)).await.unwrap().token, hash };
            let unrelated = TestToken::new(store, &ada).await;
            let selection = TokenSelection::Covering(vec![old.token.id], ability("calls:write"));
            let revoked = store.revoke_tokens(ada.id, selection, REASON, by(3000)).await;
            assert_eq!(revoked, Ok(u64::from(grace > 0) + u64::from(covers)), "{kept}, {grace}");
            assert!(!old.is_valid(store).await && unrelated.is_valid(store).await);
            assert_eq!(new.is_valid(store).await, !covers, "{kept}, {grace}");
        }
    }
}

pub(super) async fn revoking_or_disabling_a_token_includes_its_lineage(store: &TestStore) {
    let ada = add(store, "ada").await;
    for way in WAYS {
        for grace in [0, 5000] {
            for generations in 1..4 {
                let first = TestToken::new(store, &ada).await;
                let mut newest = first.rotate(store, Requester::Itself, grace).await;
                for _ in 1..generations {
                    newest = newest.rotate(store, Requester::Itself, grace).await;
                }
                let row = format!("{way:?} with a grace of {grace} s, {generations} rotations");
                let first_is_valid = first.is_valid(store).await;
                let done = way.apply(store, &first.token).await.unwrap();
                assert!(!newest.is_valid(store).await && !first.is_valid(store).await, "{row}");
                if way.reports_successors() {
                    assert_eq!((done.changed.last(), done.unchanged), (Some(&newest.token.id), None), "{row}");
                }
                assert_eq!(events_of(store, &ada, &newest.token).await, [way.event(Some(&first.token))], "{row}");
                let leaked = (way == Way::Report).then_some((Action::TokenLeaked, None));
                let own: Vec<_> = leaked.into_iter().chain(first_is_valid.then(|| way.event(None))).collect();
                assert_eq!(events_of(store, &ada, &first.token).await, own, "{row}");
                let again = way.apply(store, &first.token).await;
                match way {
                    Way::Revoke => assert_eq!(again, Err(NOT_FOUND), "{row}"),
                    _ => assert_eq!(again, Ok(Successors::default()), "{row}"),
                }
                assert_eq!(events_of(store, &ada, &newest.token).await.len(), 1, "{row}");
            }
        }
    }
}

pub(super) async fn a_revoked_or_disabled_token_cannot_rotate_itself(store: &TestStore) {
    let ada = add(store, "ada").await;
    for way in WAYS {
        let first = TestToken::new(store, &ada).await;
        assert_eq!(way.apply(store, &first.token).await, Ok(Successors::default()));
        let late = first.try_rotate(store, Requester::Itself, 0).await;
        assert_eq!(late.map(|successor| successor.token), Err(NOT_FOUND), "{way:?}");
    }
}

pub(super) async fn a_successor_made_by_the_owner_is_named_and_unchanged(store: &TestStore) {
    let ada = add(store, "ada").await;
    for way in WAYS {
        // During its grace period, only the token itself ends. The answer names the successor.
        let first = TestToken::new(store, &ada).await;
        let second = first.rotate(store, Requester::Owner, 5000).await;
        let third = second.rotate(store, Requester::Itself, 5000).await;
        let done = way.apply(store, &first.token).await;
        assert!(second.is_valid(store).await && third.is_valid(store).await, "{way:?}");
        match way {
            // The rotation of the second token has already ended the first.
            Way::Revoke | Way::Disable => assert_eq!(done, Err(already_rotated(&second.token)), "{way:?}"),
            Way::Report | Way::Select => assert_eq!(done, Ok(Successors::default()), "{way:?}"),
        }

        let first = TestToken::new(store, &ada).await;
        let second = first.rotate(store, Requester::Itself, 5000).await;
        let third = second.rotate(store, Requester::Owner, 5000).await;
        let fourth = third.rotate(store, Requester::Itself, 5000).await;
        let done = way.apply(store, &second.token).await;
        assert!(third.is_valid(store).await && fourth.is_valid(store).await, "{way:?}");
        if way.reports_successors() {
            assert_eq!(done, Err(already_rotated(&third.token)), "{way:?}");
        }
        let done = way.apply(store, &third.token).await.unwrap();
        assert!(!third.is_valid(store).await && !fourth.is_valid(store).await, "{way:?}");
        if way.reports_successors() {
            assert_eq!(done, Successors { changed: vec![fourth.token.id], unchanged: None }, "{way:?}");
        }

        let first = TestToken::new(store, &ada).await;
        let second = first.rotate(store, Requester::Owner, 5000).await;
        let done = way.apply(store, &first.token).await.unwrap();
        assert!(!first.is_valid(store).await && second.is_valid(store).await, "{way:?}");
        if way.reports_successors() {
            assert_eq!(done, Successors { changed: vec![], unchanged: Some(second.token.id) }, "{way:?}");
        }
    }
    // An expired successor is not valid, so it is not named.
    let first = TestToken::new(store, &ada).await;
    let end = patd::store::SuccessorEnd::At(at(3000));
    let short = Rotation { end, grace: Duration::ZERO, ..rotation(&first.token) };
    store.rotate_token(short, by(2000)).await.unwrap();
    for way in [Way::Revoke, Way::Disable] {
        assert_eq!(way.apply(store, &first.token).await, Err(NOT_FOUND), "{way:?}");
    }
}

pub(super) async fn predecessors_and_unrelated_tokens_stay_valid(store: &TestStore) {
    let (ada, bob) = (add(store, "ada").await, add(store, "bob").await);
    for way in WAYS {
        let (first, other) = (TestToken::new(store, &ada).await, TestToken::new(store, &ada).await);
        let second = first.rotate(store, Requester::Itself, 5000).await;
        let of_other = other.rotate(store, Requester::Itself, 5000).await;
        let foreign = Token { owner: bob.id, ..first.token.clone() };
        if way != Way::Report {
            let refused = way.apply(store, &foreign).await;
            assert!(matches!(refused, Err(NOT_FOUND) | Ok(Successors { unchanged: None, .. })), "{refused:?}");
            assert!(first.is_valid(store).await && second.is_valid(store).await, "{way:?}");
        }
        way.apply(store, &second.token).await.unwrap();
        assert!(first.is_valid(store).await && !second.is_valid(store).await, "{way:?}");
        assert!(other.is_valid(store).await && of_other.is_valid(store).await, "{way:?}");
    }
}

pub(super) async fn revoking_a_regenerated_token_names_its_successor(store: &TestStore) {
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

pub(super) async fn the_latest_successors_of_many_tokens_are_found_in_one_query(store: &TestStore) {
    let ada = add(store, "ada").await;
    let (first, alone) = (TestToken::new(store, &ada).await, TestToken::new(store, &ada).await);
    first.rotate(store, Requester::Itself, 5000).await;
    let again = Rotation { replace_unused: true, ..rotation(&first.token) };
    let second = store.rotate_token(again, by(2001)).await.unwrap().token;
    let third = store.rotate_token(rotation(&second), by(2002)).await.unwrap().token;
    let unknown = TokenId::new(Uuid::now_v7());
    let requested = vec![third.id, second.id, unknown, first.token.id, alone.token.id];
    let mut found = store.successors_of(requested).await.unwrap();
    found.sort_unstable_by_key(|(token, _)| token.uuid());
    let mut expected = [(first.token.id, second.id), (second.id, third.id)];
    expected.sort_unstable_by_key(|(token, _)| token.uuid());
    assert_eq!(found, expected);
    assert_eq!(store.successors_of(vec![]).await, Ok(vec![]));
}
