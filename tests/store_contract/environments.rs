//! What every store must do with environments, their members and their tokens.

use super::*;

const ROLE_REQUIRED: StoreError = StoreError::Conflict(Conflict::RoleRequired);

pub(super) async fn add_environment(store: &TestStore, owner: &User, text: &str) -> Environment {
    let id = EnvironmentId::new(Uuid::now_v7());
    let environment = Environment { id, owner: owner.id, name: name(text), is_default: false, created_at: at(1000) };
    store.add_environment(environment.clone(), by(1000)).await.unwrap();
    environment
}

async fn share(store: &TestStore, environment: &Environment, with: &User, role: MemberRole) {
    store.set_member(environment.owner, environment.id, with.id, role, by(5)).await.unwrap();
}

pub(super) fn token_of(environment: &Environment) -> NewToken {
    let (hash, hint) = secret(CredentialKind::EnvironmentToken);
    let new = new_token(environment.owner, "ci");
    NewToken { environment: Some(environment.id), hash, hint, ..new }
}

async fn listed(store: &TestStore, user: &User) -> Vec<(String, Role)> {
    let query = EnvironmentQuery { before: None, limit: 100 };
    let list = store.environments_of(user.id, query).await.unwrap();
    list.into_iter().map(|access| (access.environment.name.to_string(), access.role)).collect()
}

/// The user's audit events without those about sessions, oldest first.
async fn events(store: &TestStore, user: &User) -> Vec<&'static str> {
    let mut events = store.events_of(user.id, None, 100).await.unwrap();
    events.reverse();
    events.iter().map(|event| event.entry.action.as_str()).filter(|action| !action.starts_with("session")).collect()
}

pub(super) async fn an_environment_is_seen_by_its_owner_and_its_members(store: &TestStore) {
    let (ada, bob, eve) = (add(store, "ada").await, add(store, "bob").await, add(store, "eve").await);
    let environment = add_environment(store, &ada, "e").await;
    share(store, &environment, &bob, MemberRole::Viewer).await;
    for (user, role) in [(&ada, Role::Owner), (&bob, Role::Viewer)] {
        let expected = EnvironmentAccess { environment: environment.clone(), role, service_account: None };
        assert_eq!(store.environment(user.id, environment.id).await, Ok(expected));
    }
    assert_eq!(store.environment(eve.id, environment.id).await, Err(NOT_FOUND));
    let default = store.environment(ada.id, ada.current_environment).await.unwrap();
    assert!(default.environment.is_default);
    assert_eq!(listed(store, &bob).await, [("e".into(), Role::Viewer), ("Default".into(), Role::Owner)]);
    share(store, &environment, &bob, MemberRole::Admin).await;
    assert_eq!(listed(store, &bob).await[0].1, Role::Admin);
    let members = store.members_of(ada.id, environment.id).await.unwrap();
    assert_eq!((members.len(), members[0].user, members[0].role), (1, bob.id, MemberRole::Admin));
    assert_eq!(members[0].name, bob.name);

    let query = EnvironmentQuery { before: Some(environment.id), limit: 100 };
    assert_eq!(store.environments_of(bob.id, query).await.unwrap().len(), 1);
    assert_eq!(store.environments_of(bob.id, EnvironmentQuery { before: None, limit: 1 }).await.unwrap().len(), 1);
    assert_eq!(store.set_current_environment(eve.id, environment.id, by(5)).await, Err(NOT_FOUND));
    let chosen = store.set_current_environment(bob.id, environment.id, by(5)).await.unwrap();
    assert_eq!(chosen, User { current_environment: environment.id, ..bob });
}

pub(super) async fn an_environment_is_renamed_shared_and_deleted_by_role(store: &TestStore) {
    let [ada, bob, eve, nobody] =
        [add(store, "ada").await, add(store, "bob").await, add(store, "eve").await, add(store, "nobody").await];
    let environment = add_environment(store, &ada, "e").await;
    let id = environment.id;
    share(store, &environment, &bob, MemberRole::Admin).await;
    share(store, &environment, &eve, MemberRole::Viewer).await;
    let role = MemberRole::Admin;
    for (user, may_rename, refusal) in
        [(&bob, true, ROLE_REQUIRED), (&eve, false, ROLE_REQUIRED), (&nobody, false, NOT_FOUND)]
    {
        let renamed = store.rename_environment(user.id, id, name("new"), by(5)).await;
        assert_eq!(renamed.map(drop), if may_rename { Ok(()) } else { Err(refusal.clone()) });
        let added = store.add_environment_token(user.id, token_of(&environment), 10, by(5)).await;
        assert_eq!(added.map(drop), if may_rename { Ok(()) } else { Err(refusal.clone()) });
        assert_eq!(store.set_member(user.id, id, nobody.id, role, by(5)).await.map(drop), Err(refusal.clone()));
        assert_eq!(store.remove_member(user.id, id, ada.id, by(5)).await, Err(refusal.clone()));
        assert_eq!(store.members_of(user.id, id).await.map(drop), Err(refusal.clone()));
        assert_eq!(store.delete_environment(user.id, id, by(5)).await, Err(refusal));
    }
    assert_eq!(store.environment(ada.id, id).await.unwrap().environment.name, name("new"));
    let with_oneself = store.set_member(ada.id, id, ada.id, role, by(5)).await;
    assert_eq!(with_oneself, Err(StoreError::Conflict(Conflict::OwnerIsNoMember)));
    let with_nobody = store.set_member(ada.id, id, UserId::new(Uuid::now_v7()), role, by(5)).await;
    assert_eq!(with_nobody, Err(NOT_FOUND));
    let default = store.delete_environment(ada.id, ada.current_environment, by(5)).await;
    assert_eq!(default, Err(StoreError::Conflict(Conflict::DefaultEnvironment)));
}

pub(super) async fn a_user_who_loses_an_environment_returns_to_the_default_one(store: &TestStore) {
    let (ada, bob) = (add(store, "ada").await, add(store, "bob").await);
    let environment = add_environment(store, &ada, "e").await;
    let id = environment.id;
    let sessions = [sign_in(store, &ada, 1, 9).await, sign_in(store, &bob, 1, 9).await];
    let mut bobs = new_token(bob.id, "bob's");
    bobs.expires_at = None;
    store.add_token(bobs.clone(), 9, by(1)).await.unwrap();
    // Through each session and token, because any of their records may be cached.
    let current = || async {
        let mut all = Vec::new();
        for session in &sessions {
            all.push(store.session_by_hash(&session.hash).await.unwrap().unwrap().user.current_environment);
        }
        all.push(store.token_by_hash(&bobs.hash).await.unwrap().unwrap().owner.user().unwrap().current_environment);
        all
    };
    let work = || async {
        share(store, &environment, &bob, MemberRole::Viewer).await;
        for user in [&ada, &bob] {
            store.set_current_environment(user.id, id, by(5)).await.unwrap();
        }
        assert_eq!(current().await, [id; 3]);
    };
    let (adas, bobs_own) = (ada.current_environment, bob.current_environment);
    work().await;
    store.remove_member(ada.id, id, bob.id, by(5)).await.unwrap();
    assert_eq!(current().await, [id, bobs_own, bobs_own]);
    work().await;
    store.remove_member(bob.id, id, bob.id, by(5)).await.unwrap();
    assert_eq!(current().await, [id, bobs_own, bobs_own]);
    assert_eq!(store.remove_member(bob.id, id, bob.id, by(5)).await, Err(NOT_FOUND));
    work().await;
    // A change in the same batch is not lost.
    let (deleted, added) = tokio::join!(
        store.delete_environment(ada.id, id, by(5)),
        store.add_token(new_token(bob.id, "beside"), 9, by(5))
    );
    assert_eq!((deleted, added.map(drop)), (Ok(()), Ok(())));
    assert_eq!(current().await, [adas, bobs_own, bobs_own]);
    assert_eq!(store.environment(bob.id, id).await, Err(NOT_FOUND));
}

pub(super) async fn deleting_an_environment_revokes_its_tokens(store: &TestStore) {
    let ada = add(store, "ada").await;
    let environment = add_environment(store, &ada, "e").await;
    let (new, mut expired) = (token_of(&environment), token_of(&environment));
    expired.expires_at = Some(at(2));
    for token in [&new, &expired] {
        store.add_environment_token(ada.id, token.clone(), 10, by(1)).await.unwrap();
        assert!(store.token_by_hash(&token.hash).await.unwrap().is_some());
    }
    store.delete_environment(ada.id, environment.id, by(5)).await.unwrap();
    for token in [&new, &expired] {
        assert!(store.token_by_hash(&token.hash).await.unwrap().is_none());
    }
    assert_eq!(store.delete_environment(ada.id, environment.id, by(5)).await, Err(NOT_FOUND));
    let created = "token.created";
    assert_eq!(
        events(store, &ada).await,
        ["user.created", "environment.created", created, created, "token.revoked", "environment.deleted"]
    );
}

pub(super) async fn environment_tokens_are_separate_from_personal_ones(store: &TestStore) {
    let (ada, bob) = (add(store, "ada").await, add(store, "bob").await);
    let (environment, other) = (add_environment(store, &ada, "e").await, add_environment(store, &ada, "o").await);
    let (id, personal) = (environment.id, add_token(store, &ada, "personal").await);
    let new = token_of(&environment);
    let token = store.add_environment_token(ada.id, new.clone(), 1, by(1)).await.unwrap();
    assert_eq!((token.environment, token.owner, &token.name), (Some(id), ada.id, &new.name));
    let record = store.token_by_hash(&new.hash).await.unwrap().unwrap();
    assert_eq!((&record.token, record.owner.user()), (&token, Some(&ada)));
    assert_eq!(store.environment_token(ada.id, id, token.id).await, Ok(token.clone()));
    assert_eq!(store.environment_tokens(ada.id.into(), id, all(), at(1)).await, Ok(vec![token.clone()]));
    assert_eq!(names(store, &ada, all(), 1).await, ["personal"]);

    assert_eq!(store.token(token.id).await, Ok(token.clone()));
    assert_eq!(store.change_token(ada.id, token.id, TokenChange::rename(name("x")), by(5)).await, Err(NOT_FOUND));
    assert_eq!(store.revoke_token(ada.id, token.id, REASON, by(5)).await, Err(NOT_FOUND));
    assert_eq!(store.disable_token(ada.id, token.id, by(5)).await, Err(NOT_FOUND));
    assert_eq!(store.enable_token(ada.id, token.id, by(5)).await, Err(NOT_FOUND));
    assert_eq!(store.rotate_token(rotation::rotation(&token), by(5)).await, Err(NOT_FOUND));
    for (user, environment, id) in [(&ada, id, personal.id), (&ada, other.id, token.id), (&bob, id, token.id)] {
        let regenerated = store.regenerate_environment_token(user.id, environment, id, successor(), by(5)).await;
        assert_eq!(regenerated, Err(NOT_FOUND));
        assert_eq!(
            store.revoke_environment_token(user.id.into(), environment, id, REASON, by(5)).await,
            Err(NOT_FOUND)
        );
        assert_eq!(store.environment_token(user.id, environment, id).await, Err(NOT_FOUND));
    }
    assert_eq!(store.environment_tokens(bob.id.into(), id, all(), at(1)).await, Err(NOT_FOUND));

    store.revoke_environment_token(ada.id.into(), id, token.id, REASON, by(5)).await.unwrap();
    let record = store.token_by_hash(&new.hash).await.unwrap().unwrap();
    assert_eq!(record.token.revoked, Some(revoked(5)));
    assert_eq!(store.revoke_environment_token(ada.id.into(), id, token.id, REASON, by(5)).await, Err(NOT_FOUND));
    store.disable_user(ada.id, LastAdmin::MayGo, by(5)).await.unwrap();
    let added = store.add_environment_token(ada.id, token_of(&environment), 9, by(5)).await;
    assert_eq!(added, Err(StoreError::Conflict(Conflict::OwnerDisabled)));
}

pub(super) fn successor() -> Successor {
    let (hash, hint) = secret(CredentialKind::EnvironmentToken);
    Successor { id: TokenId::new(Uuid::now_v7()), hash, hint, abilities: None }
}

pub(super) async fn each_environment_has_its_own_token_limit(store: &TestStore) {
    let ada = add(store, "ada").await;
    let (environment, other) = (add_environment(store, &ada, "e").await, add_environment(store, &ada, "o").await);
    let attempts = (0..50).map(|_| store.add_environment_token(ada.id, token_of(&environment), 10, by(1)));
    let answers = join_all(attempts).await;
    let (created, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!(created.len(), 10);
    assert!(refused.iter().all(|answer| *answer == Err(TOO_MANY)));
    store.add_environment_token(ada.id, token_of(&other), 1, by(1)).await.unwrap();
    store.add_token(new_token(ada.id, "personal"), 1, by(1)).await.unwrap();
    let first = created[0].as_ref().unwrap().id;
    store.revoke_environment_token(ada.id.into(), environment.id, first, REASON, by(5)).await.unwrap();
    let mut expired = token_of(&environment);
    expired.expires_at = Some(expired.created_at);
    store.add_environment_token(ada.id, expired, 10, by(1)).await.unwrap();
    store.add_environment_token(ada.id, token_of(&environment), 10, by(1)).await.unwrap();
    assert_eq!(store.add_environment_token(ada.id, token_of(&environment), 10, by(1)).await, Err(TOO_MANY));
}

pub(super) async fn a_regenerated_token_replaces_its_predecessor_at_once(store: &TestStore) {
    let ada = add(store, "ada").await;
    let environment = add_environment(store, &ada, "e").await;
    let id = environment.id;
    let mut new = token_of(&environment);
    new.abilities = Abilities::new([Ability::parse("calls:read").unwrap()]).unwrap();
    new.expires_at = Some(at(5000));
    new.limits = UsageLimits { quota: Some(7), ..UsageLimits::default() }.boxed();
    let old = store.add_environment_token(ada.id, new.clone(), 1, by(1)).await.unwrap();
    assert!(store.token_by_hash(&new.hash).await.unwrap().is_some());
    let next = successor();
    assert!(store.token_by_hash(&next.hash).await.unwrap().is_none());
    let token = store.regenerate_environment_token(ada.id, id, old.id, next.clone(), by(2000)).await.unwrap().token;
    let expected = Token {
        id: next.id,
        number: token.number,
        hint: next.hint,
        created_at: at(2000),
        rotated_from: Some(old.id),
        ..old.clone()
    };
    assert_eq!(token, expected);
    assert!(token.number > old.number);
    assert_eq!(store.token_by_hash(&next.hash).await.unwrap().unwrap().token, expected);
    let record = store.token_by_hash(&new.hash).await.unwrap().unwrap();
    let rotated = Revocation { at: at(2000), reason: RevocationReason::Rotated };
    assert_eq!(record.token.revoked, Some(rotated));
    let again = store.regenerate_environment_token(ada.id, id, old.id, successor(), by(2000)).await;
    assert_eq!(again, Err(NOT_FOUND));
    let late = store.regenerate_environment_token(ada.id, id, token.id, successor(), by(5000)).await;
    assert_eq!(late, Err(StoreError::Conflict(Conflict::TokenExpired)));
    assert_eq!(store.environment_tokens(ada.id.into(), id, all(), at(2000)).await, Ok(vec![expected]));
}

pub(super) async fn an_ended_session_cannot_change_an_environment(store: &TestStore) {
    let (ada, bob) = (add(store, "ada").await, add(store, "bob").await);
    let environment = add_environment(store, &ada, "e").await;
    let id = environment.id;
    let token = store.add_environment_token(ada.id, token_of(&environment), 9, by(1)).await.unwrap();
    let session = sign_in(store, &ada, 1, 9).await;
    store.end_session(ada.id, session.session.id, by_session(&session, 2)).await.unwrap();
    let (before, now) = (events(store, &ada).await, || by_session(&session, 3));
    let ended = Err(StoreError::Conflict(Conflict::SessionEnded));
    let role = MemberRole::Admin;
    let other = Environment { id: EnvironmentId::new(Uuid::now_v7()), ..environment.clone() };
    assert_eq!(store.add_environment(other, now()).await, ended);
    assert_eq!(store.set_current_environment(ada.id, id, now()).await.map(drop), ended);
    assert_eq!(store.rename_environment(ada.id, id, name("never"), now()).await.map(drop), ended);
    assert_eq!(store.set_member(ada.id, id, bob.id, role, now()).await.map(drop), ended);
    assert_eq!(store.remove_member(ada.id, id, bob.id, now()).await, ended);
    assert_eq!(store.delete_environment(ada.id, id, now()).await, ended);
    assert_eq!(store.add_environment_token(ada.id, token_of(&environment), 9, now()).await.map(drop), ended);
    let regenerated = store.regenerate_environment_token(ada.id, id, token.id, successor(), now()).await;
    assert_eq!(regenerated.map(drop), ended);
    assert_eq!(store.revoke_environment_token(ada.id.into(), id, token.id, REASON, now()).await, ended);
    assert_eq!(events(store, &ada).await, before);
}

pub(super) async fn an_environment_change_without_effect_records_no_event(store: &TestStore) {
    let (ada, bob) = (add(store, "ada").await, add(store, "bob").await);
    let environment = add_environment(store, &ada, "e").await;
    let id = environment.id;
    share(store, &environment, &bob, MemberRole::Viewer).await;
    let before = (events(store, &ada).await, events(store, &bob).await);
    share(store, &environment, &bob, MemberRole::Viewer).await;
    store.rename_environment(ada.id, id, environment.name.clone(), by(5)).await.unwrap();
    store.set_current_environment(ada.id, ada.current_environment, by(5)).await.unwrap();
    assert_eq!(store.rename_environment(bob.id, id, name("x"), by(5)).await.map(drop), Err(ROLE_REQUIRED));
    assert_eq!(store.add_environment_token(ada.id, token_of(&environment), 0, by(5)).await, Err(TOO_MANY));
    assert_eq!((events(store, &ada).await, events(store, &bob).await), before);
}
