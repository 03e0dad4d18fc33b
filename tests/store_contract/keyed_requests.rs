//! Requests with an `Idempotency-Key`: what makes something makes it once for each key.

use super::{
    accounts::link,
    environments::{add_environment, successor, token_of},
    rotation::rotation,
    service_accounts::new_account,
    *,
};
use patd::{
    domain::keyed_request::{KeyOwner, KeyedRequest, MadeRequest, REMEMBERED_FOR},
    store::{Rotation, UserDeletion},
};

const MADE_ALREADY: StoreError = StoreError::Conflict(Conflict::MadeAlready);
const DAY: i64 = REMEMBERED_FOR.as_secs() as i64;

/// A request of the user with this key, which makes something with a new id.
pub(super) fn keyed(user: &User, key: &str) -> KeyedRequest {
    KeyedRequest::new(KeyOwner::User(user.id), key, "/path", b"{}", Uuid::now_v7())
}

pub(super) fn by_request(keyed: &KeyedRequest, seconds: i64) -> Attribution {
    let origin = RequestSource { keyed: Some(Box::new(keyed.clone())), ..RequestSource::COMMAND_LINE };
    Attribution { origin, at: at(seconds) }
}

async fn found(store: &TestStore, keyed: &KeyedRequest) -> Option<MadeRequest> {
    store.made_request(keyed.account, keyed.key).await.unwrap()
}

/// What makes something.
#[derive(Clone, Copy, Debug)]
enum Verb {
    AddToken,
    AddEnvironment,
    AddEnvironmentToken,
    RegenerateEnvironmentToken,
    RotateToken,
    ReplaceUnusedSuccessor,
    AddServiceAccount,
    InviteUser,
    ResetPassword,
}

const VERBS: [Verb; 9] = [
    Verb::AddToken,
    Verb::AddEnvironment,
    Verb::AddEnvironmentToken,
    Verb::RegenerateEnvironmentToken,
    Verb::RotateToken,
    Verb::ReplaceUnusedSuccessor,
    Verb::AddServiceAccount,
    Verb::InviteUser,
    Verb::ResetPassword,
];

/// What the verbs are about. What can be replaced only once is there for each turn.
struct Subjects {
    ada: User,
    environment: Environment,
    tokens: [Token; 3],
    environment_tokens: [Token; 3],
}

impl Subjects {
    async fn new(store: &TestStore) -> Self {
        let ada = add(store, "ada").await;
        let environment = add_environment(store, &ada, "e").await;
        let (mut tokens, mut environment_tokens) = (Vec::new(), Vec::new());
        for _ in 0..3 {
            tokens.push(add_token(store, &ada, "t").await);
            let token = token_of(&environment);
            environment_tokens.push(store.add_environment_token(ada.id, token, 100, by(1000)).await.unwrap());
        }
        let [tokens, environment_tokens] = [tokens, environment_tokens].map(|all| all.try_into().unwrap());
        Self { ada, environment, tokens, environment_tokens }
    }

    async fn make(&self, store: &TestStore, verb: Verb, turn: usize, by: Attribution) -> Result<(), StoreError> {
        let Self { ada, environment, .. } = self;
        match verb {
            Verb::AddToken => store.add_token(new_token(ada.id, "t"), 100, by).await.map(drop),
            Verb::AddEnvironment => {
                let id = EnvironmentId::new(Uuid::now_v7());
                let new = Environment { id, name: name("n"), is_default: false, ..environment.clone() };
                store.add_environment(new, by).await
            }
            Verb::AddEnvironmentToken => {
                store.add_environment_token(ada.id, token_of(environment), 100, by).await.map(drop)
            }
            Verb::RegenerateEnvironmentToken => {
                let id = self.environment_tokens[turn].id;
                store.regenerate_environment_token(ada.id, environment.id, id, successor(), by).await.map(drop)
            }
            Verb::RotateToken => store.rotate_token(rotation(&self.tokens[turn]), by).await.map(drop),
            Verb::ReplaceUnusedSuccessor => {
                let again = Rotation { replace_unused: true, ..rotation(&self.tokens[0]) };
                store.rotate_token(again, by).await.map(drop)
            }
            Verb::AddServiceAccount => store.add_service_account(new_account("machine", &[ada]), by).await.map(drop),
            Verb::InviteUser => store.invite_user(person(&format!("eve{turn}")), link(9000), by).await,
            Verb::ResetPassword => store.reset_password(ada.id, link(9000), LastAdmin::MayGo, by).await.map(drop),
        }
    }

    /// All that the verbs can change.
    async fn state(&self, store: &TestStore) -> [usize; 5] {
        let (id, query) = (self.ada.id, EnvironmentQuery { before: None, limit: 100 });
        let tokens = store.environment_tokens(id.into(), self.environment.id, all(), at(2000)).await.unwrap();
        [
            store.tokens_of(id, all(), at(2000)).await.unwrap().len(),
            tokens.len(),
            store.environments_of(id, query).await.unwrap().len(),
            store.users(None, 100).await.unwrap().len(),
            store.events_of(id, None, 100).await.unwrap().len(),
        ]
    }
}

pub(super) async fn each_verb_that_makes_something_makes_it_once_for_a_key(store: &TestStore) {
    let subjects = Subjects::new(store).await;
    for verb in VERBS {
        let request = keyed(&subjects.ada, &format!("{verb:?}"));
        assert_eq!(found(store, &request).await, None, "{verb:?}");
        subjects.make(store, verb, 0, by_request(&request, 2000)).await.unwrap();
        let made = MadeRequest { request: request.request, made: request.made, at: at(2000) };
        assert_eq!(found(store, &request).await, Some(made), "{verb:?}");
        let before = subjects.state(store).await;
        // Only the key forbids it.
        let again = KeyedRequest { made: Uuid::now_v7(), ..request.clone() };
        let refused = subjects.make(store, verb, 1, by_request(&again, 2000)).await;
        assert_eq!(refused, Err(MADE_ALREADY), "{verb:?}");
        assert_eq!((subjects.state(store).await, found(store, &request).await), (before, Some(made)), "{verb:?}");
        subjects.make(store, verb, 2, by(2000)).await.unwrap();
        assert_ne!(subjects.state(store).await, before, "{verb:?}");
    }
}

pub(super) async fn a_key_is_its_owners_and_free_again_after_a_day(store: &TestStore) {
    let (ada, bob) = (add(store, "ada").await, add(store, "bob").await);
    let add_with = async |user: &User, request: &KeyedRequest, seconds| {
        store.add_token(new_token(user.id, "t"), 100, by_request(request, seconds)).await.map(drop)
    };
    let first = keyed(&ada, "k");
    // What fails leaves the key free.
    let refused = store.add_token(new_token(ada.id, "t"), 0, by_request(&first, 1000)).await;
    assert_eq!((refused.map(drop), found(store, &first).await), (Err(TOO_MANY), None));
    add_with(&ada, &first, 1000).await.unwrap();
    add_with(&bob, &keyed(&bob, "k"), 1000).await.unwrap();
    add_with(&ada, &keyed(&ada, "l"), 1000).await.unwrap();

    let second = keyed(&ada, "k");
    assert_eq!(add_with(&ada, &second, 1000 + DAY - 1).await, Err(MADE_ALREADY));
    assert!(found(store, &first).await.unwrap().is_remembered(at(1000 + DAY - 1)));
    assert!(!found(store, &first).await.unwrap().is_remembered(at(1000 + DAY)));
    add_with(&ada, &second, 1000 + DAY).await.unwrap();
    assert_eq!(found(store, &second).await.unwrap().made, second.made);
    assert_eq!(add_with(&ada, &keyed(&ada, "k"), 1000 + DAY).await, Err(MADE_ALREADY));

    assert_eq!(store.prune_made_requests(at(999)).await, Ok(0));
    assert_eq!(store.prune_made_requests(at(1000)).await, Ok(2));
    assert_eq!(found(store, &keyed(&bob, "k")).await, None);
    let deletion = UserDeletion { verified: None, transfer: None, last: LastAdmin::MayGo };
    store.delete_user(ada.id, deletion, by(2000)).await.unwrap();
    assert_eq!(found(store, &second).await, None, "the keys of a deleted user are deleted");
}
