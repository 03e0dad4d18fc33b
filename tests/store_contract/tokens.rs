//! Personal tokens: creation, limits, lists and revocation.

use super::*;

pub(super) async fn a_token_is_found_as_added(store: &TestStore) {
    let ada = add(store, "ada").await;
    let several = ["calls:read", "a", "user:read"].map(|text| Ability::parse(text).unwrap());
    let sets = [Abilities::full(), Abilities::new([]).unwrap(), Abilities::new(several).unwrap()];
    let allowlist = ["192.0.2.0/24", "2001:db8::1"].map(|text| Allowlist::parse_network(text).unwrap());
    let limits = [
        None,
        UsageLimits { quota: Some(u32::MAX), ..UsageLimits::default() }.boxed(),
        UsageLimits { allowlist: Allowlist::new(allowlist).unwrap(), requests_per_minute: Some(60), quota: None }
            .boxed(),
    ];
    let expiries = [None, Some(at(5000)), Some(at(1))];
    let annotations = [None, annotations(Some("what\nfor"), &[]), annotations(None, &[("b", "\"\\"), ("a", "")])];
    let settings = sets.into_iter().zip(expiries).zip(limits).zip(annotations);
    for (((abilities, expires_at), limits), annotations) in settings {
        let mut new = new_token(ada.id, "naïve 🦀 name");
        new.abilities = abilities.clone();
        new.expires_at = expires_at;
        new.limits = limits;
        new.is_canary = annotations.is_some();
        new.annotations = annotations;
        let token = store.add_token(new.clone(), 10, by(1000)).await.unwrap();
        let expected = Token {
            id: new.id,
            number: token.number,
            owner: ada.id,
            environment: None,
            name: new.name,
            abilities,
            hint: new.hint,
            created_at: new.created_at,
            expires_at,
            last_used_at: None,
            family: new.id,
            rotated_from: None,
            grace: None,
            disabled_at: None,
            revoked: None,
            limits: new.limits,
            annotations: new.annotations,
            is_canary: new.is_canary,
        };
        assert_eq!(token, expected);
        assert_eq!(store.token(token.id).await.unwrap(), expected);
        let record = store.token_by_hash(&new.hash).await.unwrap().unwrap();
        assert_eq!((&record.token, record.owner.user()), (&expected, Some(&ada)));
    }
    let (unknown, _) = secret(CredentialKind::PersonalAccessToken);
    assert!(store.token_by_hash(&unknown).await.unwrap().is_none());
    let unknown = TokenId::new(Uuid::now_v7());
    assert_eq!(store.token(unknown).await, Err(NOT_FOUND));
}

fn annotations(description: Option<&str>, pairs: &[(&str, &str)]) -> Option<Box<Annotations>> {
    let description = description.map(|text| Description::parse(text).unwrap());
    Annotations { description, metadata: metadata(pairs) }.boxed()
}

fn metadata(pairs: &[(&str, &str)]) -> Metadata {
    let mut metadata = Metadata::default();
    pairs.iter().for_each(|(key, value)| metadata.insert(key, value).unwrap());
    metadata
}

pub(super) async fn annotations_are_changed_one_by_one_and_searched(store: &TestStore) {
    let ada = add(store, "ada").await;
    let new = new_token(ada.id, "ci");
    store.add_token(new.clone(), 10, by(1000)).await.unwrap();
    let plain = add_token(store, &ada, "plain").await;
    let shown = async || {
        let record = store.token_by_hash(&new.hash).await.unwrap().unwrap();
        let stored = store.token(new.id).await.unwrap();
        assert_eq!((&record.token.name, &record.token.annotations), (&stored.name, &stored.annotations));
        (stored.name.to_string(), stored.annotations)
    };
    assert_eq!(shown().await, ("ci".to_owned(), None));
    let pairs = [("team", "payments"), ("stage", "live")];
    let changes = [
        (TokenChange { metadata: Some(metadata(&pairs)), ..TokenChange::default() }, annotations(None, &pairs)),
        (
            TokenChange { description: Some(Some(Description::parse("d").unwrap())), ..TokenChange::default() },
            annotations(Some("d"), &pairs),
        ),
        (TokenChange::rename(name("ci")), annotations(Some("d"), &pairs)),
        (TokenChange { description: Some(None), ..TokenChange::default() }, annotations(None, &pairs)),
    ];
    for (change, expected) in changes {
        let changed = store.change_token(ada.id, new.id, change, by(5)).await.unwrap();
        assert_eq!(changed.token.annotations, expected);
        assert_eq!(shown().await, ("ci".to_owned(), expected));
    }
    let found = async |pairs: &[(&str, &str)]| {
        names(store, &ada, TokenQuery { metadata: metadata(pairs), ..all() }, 1000).await
    };
    assert_eq!(found(&[]).await, ["plain", "ci"]);
    assert_eq!(found(&[("team", "payments")]).await, ["ci"]);
    assert_eq!(found(&pairs).await, ["ci"]);
    assert!(found(&[("team", "payment")]).await.is_empty());
    assert!(found(&[("team", "payments"), ("stage", "test")]).await.is_empty());
    let cleared = TokenChange { metadata: Some(Metadata::default()), ..TokenChange::default() };
    let cleared = store.change_token(ada.id, new.id, cleared, by(5)).await.unwrap();
    assert_eq!((cleared.token.annotations, shown().await.1), (None, None));
    assert_eq!(store.token(plain.id).await.unwrap(), plain);
}

pub(super) async fn a_token_needs_an_enabled_owner(store: &TestStore) {
    let nobody = new_token(person("nobody").id, "ci");
    assert_eq!(store.add_token(nobody, 10, by(1000)).await, Err(NOT_FOUND));
    let ada = add(store, "ada").await;
    store.disable_user(ada.id, LastAdmin::MayGo, by(1)).await.unwrap();
    let disabled = new_token(ada.id, "ci");
    assert_eq!(store.add_token(disabled, 10, by(1000)).await, Err(NOT_FOUND));
}

pub(super) async fn only_live_tokens_count_towards_the_limit(store: &TestStore) {
    let (ada, bob) = (add(store, "ada").await, add(store, "bob").await);
    for expires_at in [1000, 1001] {
        let mut expiring = new_token(ada.id, "expiring");
        expiring.expires_at = Some(at(expires_at));
        store.add_token(expiring, 2, by(1000)).await.unwrap();
    }
    let third = || store.add_token(new_token(ada.id, "third"), 2, by(1000));
    let endless = third().await.unwrap();
    assert_eq!(third().await, Err(TOO_MANY));
    let foreign = store.add_token(new_token(bob.id, "bob's"), 2, by(1000)).await;
    foreign.unwrap();
    let revoked = store.revoke_token(ada.id, endless.id, REASON, by(1000)).await;
    revoked.unwrap();
    third().await.unwrap();
    assert_eq!(third().await, Err(TOO_MANY));
    let mut later = new_token(ada.id, "later");
    later.created_at = at(1001);
    store.add_token(later, 2, by(1000)).await.unwrap();
    let none_allowed = store.add_token(new_token(bob.id, "x"), 0, by(1000)).await;
    assert_eq!(none_allowed, Err(TOO_MANY));
}

pub(super) async fn a_hundred_creations_at_once_stop_at_the_limit(store: &TestStore) {
    let ada = add(store, "ada").await;
    let attempts = (0..100).map(|n| store.add_token(new_token(ada.id, &format!("t{n}")), 10, by(1000)));
    let answers = join_all(attempts).await;
    let (created, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!(created.len(), 10);
    assert!(refused.iter().all(|answer| *answer == Err(TOO_MANY)));
    let numbers: HashSet<i64> = created.iter().flatten().map(|token| token.number).collect();
    assert_eq!(numbers.len(), 10);
    assert_eq!(names(store, &ada, all(), 1000).await.len(), 10);
}

pub(super) async fn token_numbers_are_never_reused(store: &TestStore) {
    let ada = add(store, "ada").await;
    let first = add_token(store, &ada, "first").await;
    store.revoke_token(ada.id, first.id, REASON, by(1)).await.unwrap();
    let second = add_token(store, &ada, "second").await;
    assert!(second.number > first.number);
}

pub(super) async fn a_revoked_token_stays_revoked(store: &TestStore) {
    let ada = add(store, "ada").await;
    let new = new_token(ada.id, "ci");
    let (id, hash) = (new.id, new.hash);
    store.add_token(new, 10, by(1000)).await.unwrap();
    store.revoke_token(ada.id, id, REASON, by(5)).await.unwrap();
    assert_eq!(store.revoke_token(ada.id, id, REASON, by(6)).await, Err(NOT_FOUND));
    assert_eq!(store.token(id).await, Err(NOT_FOUND));
    let renamed = store.change_token(ada.id, id, TokenChange::rename(name("other")), by(5)).await;
    assert_eq!(renamed, Err(NOT_FOUND));
    let record = store.token_by_hash(&hash).await.unwrap().unwrap();
    assert_eq!(record.token.revoked, Some(revoked(5)));
    assert_eq!(record.token.name, name("ci"));
}

pub(super) async fn only_the_owner_can_change_a_token(store: &TestStore) {
    let (ada, bob) = (add(store, "ada").await, add(store, "bob").await);
    let mut token = add_token(store, &ada, "ci").await;
    let stolen = store.change_token(bob.id, token.id, TokenChange::rename(name("mine")), by(5)).await;
    assert_eq!(stolen, Err(NOT_FOUND));
    let revoked = store.revoke_token(bob.id, token.id, REASON, by(5)).await;
    assert_eq!(revoked, Err(NOT_FOUND));
    assert_eq!(store.token(token.id).await.unwrap(), token);
    let renamed = store.change_token(ada.id, token.id, TokenChange::rename(name("deploy")), by(5)).await;
    token.name = name("deploy");
    assert_eq!(renamed.unwrap().token, token);
    assert_eq!(store.token(token.id).await.unwrap(), token);
    assert!(names(store, &bob, all(), 1000).await.is_empty());
}

pub(super) async fn the_list_can_be_filtered_by_state(store: &TestStore) {
    let ada = add(store, "ada").await;
    let mut expiring = new_token(ada.id, "expiring");
    expiring.expires_at = Some(at(2000));
    store.add_token(expiring, 10, by(1000)).await.unwrap();
    add_token(store, &ada, "endless").await;
    let ended = add_token(store, &ada, "revoked").await;
    store.revoke_token(ada.id, ended.id, REASON, by(5)).await.unwrap();
    let mut both = new_token(ada.id, "revoked and expired");
    both.expires_at = Some(at(1500));
    let both = store.add_token(both, 10, by(1000)).await.unwrap();
    store.revoke_token(ada.id, both.id, REASON, by(5)).await.unwrap();
    let by_state = async |state, now| {
        let query = TokenQuery { state, ..all() };
        names(store, &ada, query, now).await
    };
    let ended = ["revoked and expired", "revoked"];
    assert_eq!(by_state(None, 2000).await, ["endless", "expiring"]);
    let active = Some(TokenState::Active);
    assert_eq!(by_state(active, 1999).await, ["endless", "expiring"]);
    assert_eq!(by_state(active, 2000).await, ["endless"]);
    let expired = Some(TokenState::Expired);
    assert!(by_state(expired, 1999).await.is_empty());
    assert_eq!(by_state(expired, 2000).await, ["expiring"]);
    assert_eq!(by_state(Some(TokenState::Revoked), 2000).await, ended);
}

pub(super) async fn the_list_is_paged_newest_first(store: &TestStore) {
    let (ada, bob) = (add(store, "ada").await, add(store, "bob").await);
    let mut added = Vec::new();
    for n in 0..5 {
        added.push(add_token(store, &ada, &format!("t{n}")).await);
        add_token(store, &bob, "other").await;
    }
    added.reverse();
    let mut query = TokenQuery { limit: 2, ..all() };
    let mut listed: Vec<Token> = Vec::new();
    for _ in 0..9 {
        let page = store.tokens_of(ada.id, query.clone(), at(1000)).await;
        let page = page.unwrap();
        assert!(page.len() <= 2);
        let Some(last) = page.last() else { break };
        query.before = Some(last.number);
        listed.extend(page);
    }
    assert_eq!(listed, added);
}

pub(super) async fn a_search_takes_every_character_literally(store: &TestStore) {
    let ada = add(store, "ada").await;
    for name in ["Deploy", "100%", "100 of 100", "a_b", "axb", r"c:\d", "ÄRGER"] {
        add_token(store, &ada, name).await;
    }
    let search = async |text: &str| {
        let query = TokenQuery { search: Some(text.to_owned()), ..all() };
        names(store, &ada, query, 1000).await
    };
    assert_eq!(search("dePLO").await, ["Deploy"]);
    assert_eq!(search("0%").await, ["100%"]);
    assert_eq!(search("_").await, ["a_b"]);
    assert_eq!(search("a_b").await, ["a_b"]);
    assert_eq!(search(r"\").await, [r"c:\d"]);
    assert_eq!(search("Ärg").await, ["ÄRGER"]);
    assert_eq!(search("ärger").await, ["ÄRGER"]);
    assert_eq!(search("").await.len(), 7);
    for nothing in ["y%", "\0", "y\0", &"x".repeat(60_000)] {
        assert!(search(nothing).await.is_empty());
    }
}

pub(super) async fn the_time_of_last_use_never_moves_back(store: &TestStore) {
    let ada = add(store, "ada").await;
    let token = add_token(store, &ada, "ci").await;
    let session = sign_in(store, &ada, 100, 999).await;
    for (noted, expected) in [(200, 200), (150, 200), (201, 201)] {
        let ended = Uuid::now_v7();
        let uses = Uses {
            tokens: vec![(i64::MAX, at(noted)), (token.number, at(noted))],
            sessions: vec![(SessionId::new(ended), at(noted)), (session.session.id, at(noted))],
        };
        store.record_uses(uses).await.unwrap();
        let stored = store.token(token.id).await.unwrap();
        assert_eq!(stored.last_used_at, Some(at(expected)));
        let stored = store.session_by_hash(&session.hash).await.unwrap();
        assert_eq!(stored.unwrap().session.last_used_at, at(expected));
    }
    store.record_uses(Uses::default()).await.unwrap();
}
