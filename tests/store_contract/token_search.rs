//! Searches among the tokens of everybody: every filter and every order against a plain model.

use std::cmp::Ordering;

use patd::{
    domain::owner::Owner,
    store::{FoundToken, Period, Place, SortTime, States, TokenFilter, TokenSearchQuery},
};
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, TestRunner},
};

use super::{
    environments::{add_environment, token_of},
    service_accounts, *,
};

const TOKENS: i64 = 2000;
const NOW: i64 = 5000;

fn ability(text: &str) -> Ability {
    Ability::parse(text).unwrap()
}

fn metadata(pairs: &[(&str, &str)]) -> Metadata {
    let mut metadata = Metadata::default();
    pairs.iter().for_each(|(key, value)| metadata.insert(key, value).unwrap());
    metadata
}

/// Tokens of some users and environments, with settings that come in all combinations, more or less.
async fn add_tokens(store: &TestStore) -> (Vec<Owner>, Vec<EnvironmentId>) {
    let (mut owners, mut environments) = (Vec::new(), Vec::new());
    for n in 0..4 {
        let user = add(store, &format!("user{n}")).await;
        environments.push(add_environment(store, &user, "e").await);
        owners.push(Owner::User(user));
    }
    owners.push(Owner::ServiceAccount(service_accounts::add_account(store, "deployer", &[]).await));
    let new = |n: i64| {
        let mut new = match n % 5 {
            0 => token_of(&environments[(n % 4) as usize]),
            _ => new_token(owners[(n % 23 % 5) as usize].id(), "t"),
        };
        new.name = name(["deploy", "Deploy 2", "report"][(n % 3) as usize]);
        new.created_at = at(1000 + n);
        new.expires_at = (n % 7 != 0).then(|| at(2000 + 1000 * (n % 6)));
        let abilities =
            [&["*"][..], &["calls:read"], &["calls:*", "user:read"], &["admin:*"], &[]][(n % 11 % 5) as usize];
        new.abilities = Abilities::new(abilities.iter().map(|text| ability(text))).unwrap();
        new.is_canary = n % 13 == 0;
        let pairs =
            [&[][..], &[("team", "payments")], &[("team", "payments"), ("stage", "live")]][(n % 17 % 3) as usize];
        new.annotations = Annotations { description: None, metadata: metadata(pairs) }.boxed();
        new
    };
    let added = futures_util::future::join_all((0..TOKENS).map(async |n| {
        let new = new(n);
        let added = match new.environment {
            Some(_) => store.add_environment_token(new.owner, new, 10_000, by(1000)).await,
            None => store.add_token(new, 10_000, by(1000)).await,
        };
        added.unwrap()
    }))
    .await;
    let used = added.iter().filter(|token| token.number % 3 != 0);
    let uses = used.map(|token| (token.number, at(2000 + token.number % 50 * 60))).collect();
    store.record_uses(Uses { tokens: uses, sessions: Vec::new() }).await.unwrap();
    let revoked = added.iter().filter(|token| token.number % 19 == 0 && token.environment.is_none());
    futures_util::future::join_all(revoked.map(|token| store.revoke_token(token.owner, token.id, REASON, by(1500))))
        .await;
    (owners, environments.iter().map(|environment| environment.id).collect())
}

fn maybe<T: Clone + std::fmt::Debug + 'static>(values: Vec<T>) -> impl Strategy<Value = Option<T>> {
    proptest::option::weighted(0.25, proptest::sample::select(values))
}

fn time() -> impl Strategy<Value = Option<Timestamp>> {
    proptest::option::weighted(0.15, (900..8500_i64).prop_map(at))
}

fn period() -> impl Strategy<Value = Period> {
    (time(), time()).prop_map(|(from, before)| Period { from, before })
}

fn filter(owners: &[Owner], environments: &[EnvironmentId]) -> impl Strategy<Value = TokenFilter> {
    let owners = maybe(owners.iter().map(Owner::id).chain([UserId::new(Uuid::now_v7())]).collect());
    let places = maybe(environments.to_vec());
    let states = proptest::sample::select(vec![
        States::NotRevoked,
        States::All,
        States::Only(TokenState::Active),
        States::Only(TokenState::Expired),
        States::Only(TokenState::Revoked),
    ]);
    let names = maybe(vec!["deploy".to_owned(), "2".to_owned(), "x".to_owned()]);
    let abilities = maybe(["calls:read", "calls:write", "user:read", "admin:read", "*"].map(ability).to_vec());
    let pairs = maybe(vec![
        metadata(&[("team", "payments")]),
        metadata(&[("team", "payments"), ("stage", "live")]),
        metadata(&[("team", "web")]),
    ]);
    let flags = (maybe(vec![true, false]), maybe(vec![true, false]), maybe(vec![true, false]));
    let times = (period(), period(), period(), time(), time());
    ((owners, places, states, names, abilities, pairs), flags, times).prop_map(
        |(
            (owner, environment, states, name, ability, pairs),
            (of_service_account, of_environment, canary),
            (created, expires, last_used, unused_since, idle_since),
        )| TokenFilter {
            owner,
            environment,
            of_service_account,
            of_environment,
            states,
            idle_since,
            name,
            ability,
            created,
            expires,
            last_used,
            unused_since,
            metadata: pairs.unwrap_or_default(),
            canary,
        },
    )
}

/// Each condition alone, with the times of some tokens: those are at the border of a period.
fn single_filters(owners: &[Owner], environments: &[EnvironmentId]) -> Vec<TokenFilter> {
    let all = TokenFilter { states: States::All, ..TokenFilter::default() };
    let (from, before) = (|at| Period { from: Some(at), before: None }, |at| Period { from: None, before: Some(at) });
    let (created, expires, used) = (at(1500), at(4000), at(2000 + 10 * 60));
    let mut filters = vec![
        TokenFilter { owner: Some(owners[0].id()), ..all.clone() },
        TokenFilter { owner: Some(owners[4].id()), ..all.clone() },
        TokenFilter { environment: Some(environments[1]), ..all.clone() },
        TokenFilter { name: Some("deploy".to_owned()), ..all.clone() },
        TokenFilter { ability: Some(ability("calls:read")), ..all.clone() },
        TokenFilter { created: from(created), ..all.clone() },
        TokenFilter { created: before(created), ..all.clone() },
        TokenFilter { expires: from(expires), ..all.clone() },
        TokenFilter { expires: before(expires), ..all.clone() },
        TokenFilter { last_used: from(used), ..all.clone() },
        TokenFilter { last_used: before(used), ..all.clone() },
        // At the border of tokens that were used, and of those that were not.
        TokenFilter { unused_since: Some(used), ..all.clone() },
        TokenFilter { unused_since: Some(created), ..all.clone() },
        TokenFilter { metadata: metadata(&[("team", "payments")]), ..all.clone() },
    ];
    for is in [true, false] {
        filters.push(TokenFilter { of_service_account: Some(is), ..all.clone() });
        filters.push(TokenFilter { of_environment: Some(is), ..all.clone() });
        filters.push(TokenFilter { canary: Some(is), ..all.clone() });
    }
    // A token expires at the very moment of the search, and others became idle at this one.
    for idle_since in [None, Some(used), Some(created)] {
        for state in [TokenState::Active, TokenState::Expired, TokenState::Revoked] {
            filters.push(TokenFilter { states: States::Only(state), idle_since, ..TokenFilter::default() });
        }
        filters.push(TokenFilter { idle_since, ..TokenFilter::default() });
    }
    filters
}

/// What the filter says, in the plainest way.
fn accepts(filter: &TokenFilter, token: &Token, owner: &Owner) -> bool {
    let last = token.last_used_at.unwrap_or(token.created_at);
    let is_idle = filter.idle_since.is_some_and(|since| last <= since);
    let state = match token.revoked {
        Some(_) => TokenState::Revoked,
        None if token.has_expired(at(NOW)) || is_idle => TokenState::Expired,
        None => TokenState::Active,
    };
    let has_state = match filter.states {
        States::All => true,
        States::NotRevoked => state != TokenState::Revoked,
        States::Only(wanted) => state == wanted,
    };
    let has = |key: &str, value: &str| {
        token.annotations.as_ref().is_some_and(|annotations| annotations.metadata.get(key) == Some(value))
    };
    has_state
        && filter.owner.is_none_or(|owner| token.owner == owner)
        && filter.environment.is_none_or(|environment| token.environment == Some(environment))
        && filter.of_service_account.is_none_or(|is| owner.service_account().is_some() == is)
        && filter.of_environment.is_none_or(|is| token.environment.is_some() == is)
        && filter.name.as_ref().is_none_or(|part| token.name.as_str().to_lowercase().contains(part))
        && filter.ability.as_ref().is_none_or(|ability| token.abilities.cover(ability.as_str()))
        && filter.created.contains(Some(token.created_at))
        && filter.expires.contains(token.expires_at)
        && filter.last_used.contains(token.last_used_at)
        && filter.unused_since.is_none_or(|since| last < since)
        && filter.metadata.iter().all(|(key, value)| has(key, value))
        && filter.canary.is_none_or(|is| token.is_canary == is)
}

/// By the time, in the direction; tokens without it last.
fn order(sort: SortTime, descending: bool, one: &Token, other: &Token) -> Ordering {
    let directed = |order: Ordering| if descending { order.reverse() } else { order };
    let (a, b) = (Place::of(one, sort), Place::of(other, sort));
    let by_number = directed(a.number.cmp(&b.number));
    match (sort, a.time, b.time) {
        (SortTime::Created, _, _) | (_, None, None) => by_number,
        (_, Some(a), Some(b)) => directed(a.cmp(&b)).then(by_number),
        (_, Some(_), None) => Ordering::Less,
        (_, None, Some(_)) => Ordering::Greater,
    }
}

/// All pages of a search.
async fn pages(store: &TestStore, query: TokenSearchQuery) -> Vec<FoundToken> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = store.find_tokens(TokenSearchQuery { after, ..query.clone() }, at(NOW)).await.unwrap();
        assert!(page.len() <= query.limit as usize);
        let Some(last) = page.last() else { return all };
        after = Some(Place::of(&last.token, query.sort));
        all.extend(page);
        assert!(all.len() <= TOKENS as usize, "a page repeats another");
    }
}

pub(super) async fn searches_of_tokens_agree_with_a_plain_model(store: &TestStore) {
    let (owners, environments) = add_tokens(store).await;
    let everything = TokenSearchQuery {
        filter: TokenFilter { states: States::All, ..TokenFilter::default() },
        sort: SortTime::Created,
        descending: false,
        after: None,
        limit: 1000,
    };
    let known = pages(store, everything).await;
    assert_eq!(known.len(), TOKENS as usize);
    for found in &known {
        let owner = owners.iter().find(|owner| owner.id() == found.token.owner);
        let token = store.token_in_any_state(found.token.id).await;
        assert_eq!((Some(&found.owner), token.as_ref()), (owner, Ok(&found.token)));
    }
    for filter in single_filters(&owners, &environments) {
        let query = TokenSearchQuery { filter, sort: SortTime::Created, descending: false, after: None, limit: 1000 };
        let found: Vec<TokenId> = pages(store, query.clone()).await.iter().map(|found| found.token.id).collect();
        let accepted = known.iter().filter(|known| accepts(&query.filter, &known.token, &known.owner));
        let expected: Vec<TokenId> = accepted.map(|known| known.token.id).collect();
        assert!(found == expected, "{} instead of {} with {query:?}", found.len(), expected.len());
        assert!(!found.is_empty() && found.len() < known.len(), "it separates nothing: {query:?}");
    }
    let sorts = proptest::sample::select(vec![SortTime::Created, SortTime::Expires, SortTime::LastUsed]);
    let queries = (filter(&owners, &environments), sorts, any::<bool>(), 1..700_u32);
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
    let mut nonempty = 0;
    for _ in 0..150 {
        let (filter, sort, descending, limit) = queries.new_tree(&mut runner).unwrap().current();
        let query = TokenSearchQuery { filter, sort, descending, after: None, limit };
        let found: Vec<TokenId> = pages(store, query.clone()).await.iter().map(|found| found.token.id).collect();
        let mut expected: Vec<&Token> = known
            .iter()
            .filter(|known| accepts(&query.filter, &known.token, &known.owner))
            .map(|known| &known.token)
            .collect();
        expected.sort_by(|one, other| order(sort, descending, one, other));
        let expected: Vec<TokenId> = expected.iter().map(|token| token.id).collect();
        assert!(found == expected, "{} instead of {} with {query:?}", found.len(), expected.len());
        nonempty += usize::from(!found.is_empty());
    }
    assert!(nonempty > 20, "only {nonempty} searches find anything");
}

pub(super) async fn an_administrator_disables_and_enables_a_token_of_an_environment(store: &TestStore) {
    let ada = add(store, "ada").await;
    let environment = add_environment(store, &ada, "e").await;
    let new = token_of(&environment);
    store.add_environment_token(ada.id, new.clone(), 10, by(1000)).await.unwrap();
    let personal = add_token(store, &ada, "personal").await;
    let disabled = async || store.token_by_hash(&new.hash).await.unwrap().unwrap().token.disabled_at;
    assert_eq!(disabled().await, None);
    for _ in 0..2 {
        let changed = store.disable_environment_token(new.id, by(5)).await.unwrap();
        assert_eq!((changed.token.disabled_at, disabled().await), (Some(at(5)), Some(at(5))));
    }
    for _ in 0..2 {
        let changed = store.enable_environment_token(new.id, by(6)).await.unwrap();
        assert_eq!((changed.token.disabled_at, disabled().await), (None, None));
    }
    assert_eq!(store.disable_environment_token(personal.id, by(7)).await, Err(NOT_FOUND));
    assert_eq!(store.enable_environment_token(personal.id, by(7)).await, Err(NOT_FOUND));
    let events = store.events_of(ada.id, None, 4).await.unwrap();
    let actions: Vec<&str> = events.iter().map(|event| event.entry.action.as_str()).collect();
    assert_eq!(actions, ["token.enabled", "token.disabled", "token.created", "token.created"], "once each");
}
