//! Which events the audit trail of every store must hold, and which it must not hold.

use super::*;

/// The user's trail, oldest first, each as "action of target: detail".
async fn trail(store: &TestStore, user: &User) -> Vec<String> {
    let mut events = store.events_of(user.id, None, 100).await.unwrap();
    events.reverse();
    let describe = |Event { entry, .. }: Event| {
        let detail = entry.detail.map_or_else(String::new, |detail| format!(": {detail}"));
        format!("{} of {}{detail}", entry.action.as_str(), entry.target.kind())
    };
    events.into_iter().map(describe).collect()
}

pub(super) async fn every_change_records_its_event(store: &TestStore) {
    let (ada, bob) = (add(store, "ada").await, add(store, "bob").await);
    let sessions =
        [sign_in(store, &ada, 1, 9).await, sign_in(store, &ada, 2, 9).await, sign_in(store, &ada, 3, 9).await];
    let token = add_token(store, &ada, "ci").await;
    store.change_token(ada.id, token.id, TokenChange::rename(name("deploy")), by(5)).await.unwrap();
    store.revoke_token(ada.id, token.id, RevocationReason::LeakReport, by(5)).await.unwrap();
    let change = ProfileChange { name: Some(name("Ada L")), email: Some(email("New@example.com")), verified: None };
    store.change_profile(ada.id, change, by(5)).await.unwrap();
    store.end_session(ada.id, sessions[0].session.id, by(5)).await.unwrap();
    store.end_other_sessions(ada.id, sessions[1].session.id, by(5)).await.unwrap();
    let change = PasswordChange { verified: None, password: password("new") };
    store.change_password(ada.id, change, by(5)).await.unwrap();
    store.disable_user(ada.id, LastAdmin::MayGo, by(5)).await.unwrap();
    store.enable_user(ada.id, by(5)).await.unwrap();
    assert_eq!(
        trail(store, &ada).await,
        [
            "user.created of user",
            "session.created of session",
            "session.created of session",
            "session.created of session",
            "token.created of personal_access_token",
            "token.renamed of personal_access_token",
            "token.revoked of personal_access_token: leaked",
            "user.updated of user: name",
            "user.email_changed of user: ada@example.com -> New@example.com",
            "session.ended of session",
            "session.ended of session",
            "user.password_changed of user",
            "session.ended of session",
            "user.disabled of user",
            "user.enabled of user",
        ]
    );
    assert_eq!(trail(store, &bob).await, ["user.created of user"]);

    store.set_role(ada.id, UserRole::Admin, LastAdmin::Stays, by(76)).await.unwrap();
    let acting = RequestSource {
        actor: Actor::token(&add_token(store, &ada, "admin").await),
        address: Some("2001:db8::1".parse().unwrap()),
        request_id: Some("a request".to_owned()),
        keyed: None,
    };
    let attribution = Attribution { origin: acting, at: at(77) };
    store.disable_user(bob.id, LastAdmin::MayGo, attribution.clone()).await.unwrap();
    let last = store.events_of(bob.id, None, 1).await.unwrap().remove(0);
    assert_eq!(last.by, attribution);
    assert_eq!(last.entry, Entry::done(bob.id, Action::UserDisabled, Target::User(bob.id)));
}

pub(super) async fn a_change_without_effect_records_no_event(store: &TestStore) {
    let (ada, bob) = (add(store, "ada").await, add(store, "bob").await);
    let token = add_token(store, &ada, "ci").await;
    let before = (trail(store, &ada).await, trail(store, &bob).await);

    let duplicate = store.add_user(User { id: UserId::new(Uuid::now_v7()), ..ada.clone() }, password("x"), by(5)).await;
    assert_eq!(duplicate, Err(EMAIL_TAKEN));
    let change = ProfileChange { name: Some(name("Robert")), email: Some(ada.email.clone()), verified: None };
    assert_eq!(store.change_profile(bob.id, change, by(5)).await, Err(EMAIL_TAKEN));
    let same = ProfileChange { name: Some(ada.name.clone()), email: Some(ada.email.clone()), verified: None };
    store.change_profile(ada.id, same, by(5)).await.unwrap();
    store.change_profile(ada.id, ProfileChange::default(), by(5)).await.unwrap();
    let change = PasswordChange { verified: Some(password("older")), password: password("new") };
    assert_eq!(store.change_password(ada.id, change, by(5)).await, Err(CREDENTIALS_CHANGED));
    let sign_in = SignIn { session: session(&ada, 1, 9), verified: password("older"), rehashed: None };
    assert_eq!(store.sign_in(sign_in, by(5)).await, Err(CREDENTIALS_CHANGED));
    store.enable_user(ada.id, by(5)).await.unwrap();
    let nothing = SessionId::new(Uuid::now_v7());
    assert_eq!(store.end_session(ada.id, nothing, by(5)).await, Err(NOT_FOUND));
    assert_eq!(store.end_other_sessions(ada.id, nothing, by(5)).await, Ok(0));
    assert_eq!(store.add_token(new_token(ada.id, "x"), 1, by(1000)).await, Err(TOO_MANY));
    assert_eq!(store.change_token(bob.id, token.id, TokenChange::rename(name("mine")), by(5)).await, Err(NOT_FOUND));
    assert_eq!(store.revoke_token(bob.id, token.id, REASON, by(5)).await, Err(NOT_FOUND));
    store.record_uses(Uses { tokens: vec![(token.number, at(9))], sessions: Vec::new() }).await.unwrap();
    store.prune_sessions(at(9)).await.unwrap();
    assert_eq!((trail(store, &ada).await, trail(store, &bob).await), before);

    store.disable_user(ada.id, LastAdmin::MayGo, by(5)).await.unwrap();
    let once = trail(store, &ada).await;
    store.disable_user(ada.id, LastAdmin::MayGo, by(6)).await.unwrap();
    assert_eq!(trail(store, &ada).await, once);
}

pub(super) async fn a_refused_sign_in_is_recorded_with_its_user_or_without_one(store: &TestStore) {
    let ada = add(store, "ada").await;
    let refused = |user| Entry::refused(user, Action::SignInRefused, "why");
    store.record_refusal(refused(Some(ada.id)), by(5)).await.unwrap();
    store.record_refusal(refused(None), by(6)).await.unwrap();
    let events = store.events_of(ada.id, None, 9).await.unwrap();
    assert_eq!(events.len(), 2, "the other has no user");
    assert_eq!((events[0].entry.outcome, events[0].entry.target), (Outcome::Refused, Target::User(ada.id)));
    assert_eq!(events[0].by.at, at(5));
}

pub(super) async fn an_ended_session_cannot_make_changes(store: &TestStore) {
    let ada = add(store, "ada").await;
    let token = add_token(store, &ada, "ci").await;
    let (ended, kept) = (sign_in(store, &ada, 1, 9).await, sign_in(store, &ada, 1, 9).await);
    store.end_session(ada.id, ended.session.id, by_session(&ended, 2)).await.unwrap();
    let (before, now) = (trail(store, &ada).await, || by_session(&ended, 3));
    let ended = Err(StoreError::Conflict(Conflict::SessionEnded));
    let change = ProfileChange { name: Some(name("never")), email: None, verified: None };
    assert_eq!(store.change_profile(ada.id, change, now()).await.map(drop), ended);
    let change = PasswordChange { verified: Some(password("old")), password: password("never") };
    assert_eq!(store.change_password(ada.id, change, now()).await, ended);
    assert_eq!(store.end_session(ada.id, kept.session.id, now()).await, ended);
    assert_eq!(store.end_other_sessions(ada.id, kept.session.id, now()).await.map(drop), ended);
    assert_eq!(store.add_token(new_token(ada.id, "never"), 10, now()).await.map(drop), ended);
    assert_eq!(store.change_token(ada.id, token.id, TokenChange::rename(name("never")), now()).await.map(drop), ended);
    assert_eq!(store.revoke_token(ada.id, token.id, REASON, now()).await.map(drop), ended);
    assert_eq!(trail(store, &ada).await, before);
    assert_eq!(store.user(ada.id).await.unwrap(), ada);
    assert_eq!(store.token(token.id).await.unwrap(), token);
    assert!(is_signed_in(store, &kept).await);
}

pub(super) async fn events_are_paged_newest_first(store: &TestStore) {
    let (ada, bob) = (add(store, "ada").await, add(store, "bob").await);
    for n in 0..4 {
        add_token(store, &ada, &format!("t{n}")).await;
        add_token(store, &bob, "other").await;
    }
    let (mut events, mut before) = (Vec::new(), None);
    for _ in 0..9 {
        let page = store.events_of(ada.id, before, 2).await.unwrap();
        assert!(page.len() <= 2);
        let Some(last) = page.last() else { break };
        before = Some(last.seq);
        events.extend(page);
    }
    assert_eq!(events.len(), 5);
    assert!(events.is_sorted_by(|newer, older| newer.seq > older.seq));
    assert_eq!(events[4].entry.action, Action::UserCreated);
}
