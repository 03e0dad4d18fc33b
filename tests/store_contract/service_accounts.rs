//! What every store must do with service accounts, their managers and their tokens.

use super::{
    environments::{add_environment, token_of},
    rotation::{add_new, record, rotation},
    *,
};
use patd::{
    domain::{
        authority::{Administrator, Authority},
        owner::{Owner, ServiceAccount},
    },
    store::{NewServiceAccount, ServiceAccountChange, ServiceAccountQuery},
};

const ADMINISTRATOR: Authority = Authority::Administrator(Administrator::command_line());

pub(super) fn new_account(text: &str, managers: &[&User]) -> NewServiceAccount {
    let account =
        ServiceAccount { id: UserId::new(Uuid::now_v7()), name: name(text), created_at: at(1000), disabled_at: None };
    let managers = managers.iter().map(|manager| manager.id).collect();
    NewServiceAccount { account, description: None, managers }
}

pub(super) async fn add_account(store: &TestStore, text: &str, managers: &[&User]) -> ServiceAccount {
    let new = new_account(text, managers);
    store.add_service_account(new.clone(), by(1000)).await.unwrap();
    new.account
}

async fn trail(store: &TestStore, id: UserId) -> Vec<String> {
    let mut events = store.events_of(id, None, 100).await.unwrap();
    events.reverse();
    let entries = events.into_iter().map(|event| event.entry);
    let own = entries.filter(|entry| entry.action.as_str().starts_with("service_account"));
    own.map(|entry| format!("{} {}", entry.action.as_str(), entry.detail.unwrap_or_default()).trim_end().to_owned())
        .collect()
}

pub(super) async fn a_service_account_owns_tokens_and_its_state_counts_at_once(store: &TestStore) {
    let ada = add(store, "ada").await;
    let account = add_account(store, "ci", &[&ada]).await;
    let new = new_token(account.id, "t");
    let token = add_new(store, &new).await;
    assert_eq!(*record(store, &new.hash).await.owner, Owner::ServiceAccount(account.clone()));
    assert_eq!(store.owner(account.id).await, Ok(Owner::ServiceAccount(account.clone())));
    assert_eq!(store.user(account.id).await, Err(NOT_FOUND), "it is no user");
    assert_eq!(store.disable_user(account.id, LastAdmin::MayGo, by(5)).await.map(drop), Err(NOT_FOUND));
    assert_eq!(store.service_account(ADMINISTRATOR, ada.id).await.map(drop), Err(NOT_FOUND));

    for _ in 0..2 {
        store.disable_service_account(account.id, by(5)).await.unwrap();
        assert_eq!(record(store, &new.hash).await.owner.disabled_at(), Some(at(5)));
    }
    assert_eq!(store.add_token(new_token(account.id, "never"), 10, by(5)).await, Err(NOT_FOUND));
    assert_eq!(store.rotate_token(rotation(&token), by(5)).await.map(drop), Err(NOT_FOUND));
    for _ in 0..2 {
        store.enable_service_account(account.id, by(6)).await.unwrap();
        assert_eq!(record(store, &new.hash).await.owner.disabled_at(), None);
    }
    let request = rotation(&token);
    store.rotate_token(request.clone(), by(1500)).await.unwrap();
    assert_eq!(record(store, &request.hash).await.owner.id(), account.id);

    let change = ServiceAccountChange { name: Some(name("deploy")), ..ServiceAccountChange::default() };
    for _ in 0..2 {
        store.change_service_account(ADMINISTRATOR, account.id, change.clone(), by(7)).await.unwrap();
        assert_eq!(record(store, &new.hash).await.owner.name().as_str(), "deploy");
    }
    store.delete_service_account(account.id, by(8)).await.unwrap();
    assert_eq!(store.delete_service_account(account.id, by(8)).await, Err(NOT_FOUND));
    for hash in [&new.hash, &request.hash] {
        assert!(store.token_by_hash(hash).await.unwrap().is_none());
    }
    let expected =
        ["created", &format!("manager_added user {}", ada.id), "disabled", "enabled", "updated name", "deleted"];
    assert_eq!(trail(store, account.id).await, expected.map(|event| format!("service_account.{event}")));
    let added_and_removed = ["service_account.manager_added", "service_account.manager_removed"];
    assert_eq!(trail(store, ada.id).await, added_and_removed);
}

pub(super) async fn only_managers_and_administrators_act_for_a_service_account(store: &TestStore) {
    let (ada, bob, root) = (add(store, "ada").await, add(store, "bob").await, add(store, "root").await);
    store.set_role(root.id, UserRole::Admin, LastAdmin::Stays, by(1)).await.unwrap();
    let account = add_account(store, "ci", &[&ada]).await;
    add_account(store, "other", &[]).await;
    let sessions = [sign_in(store, &ada, 1, 9000).await, sign_in(store, &bob, 1, 9000).await];
    let managers = async || store.service_account(ADMINISTRATOR, account.id).await.unwrap().managers.len();
    for (user, session, may) in [(&ada, &sessions[0], true), (&bob, &sessions[1], false)] {
        assert_eq!(store.manages(user.id, account.id).await, Ok(may));
        let authority = Authority::User(user.id);
        let query = ServiceAccountQuery { limit: 10, ..ServiceAccountQuery::default() };
        assert_eq!(store.service_accounts(authority, query).await.unwrap().len(), usize::from(may));
        assert_eq!(store.service_account(authority, account.id).await.is_ok(), may);
        let change = ServiceAccountChange { name: Some(name("new")), ..ServiceAccountChange::default() };
        assert_eq!(store.change_service_account(authority, account.id, change, by(5)).await.is_ok(), may);
        let added = store.add_token(new_token(account.id, "t"), 10, by_session(session, 5)).await;
        assert_eq!(added.is_ok(), may);
    }
    let added =
        async |owner, session| store.add_token(new_token(owner, "t"), 10, by_session(session, 5)).await.map(drop);
    let as_root = sign_in(store, &root, 1, 9000).await;
    assert_eq!(added(account.id, &as_root).await, Ok(()));
    assert_eq!(added(UserId::new(Uuid::from_u128(7)), &as_root).await, Err(NOT_FOUND));
    store.disable_service_account(account.id, by(5)).await.unwrap();
    assert_eq!(added(account.id, &sessions[0]).await, Err(NOT_FOUND));
    store.enable_service_account(account.id, by(5)).await.unwrap();
    assert_eq!(added(account.id, &sessions[0]).await, Ok(()));
    store.end_session(root.id, as_root.session.id, by(5)).await.unwrap();
    assert_eq!(added(account.id, &as_root).await, Err(StoreError::Conflict(Conflict::SessionEnded)));

    assert_eq!(store.manages(root.id, account.id).await, Ok(true));
    assert_eq!(store.manages(root.id, ada.id).await, Ok(false), "an administrator stands for no other user");

    assert_eq!(store.add_manager(account.id, account.id, by(5)).await.map(drop), Err(NOT_FOUND));
    for _ in 0..2 {
        store.add_manager(account.id, bob.id, by(5)).await.unwrap();
        assert_eq!(managers().await, 2);
    }
    store.remove_manager(account.id, ada.id, by(6)).await.unwrap();
    assert_eq!(store.remove_manager(account.id, ada.id, by(6)).await.map(drop), Err(NOT_FOUND));
    let refused = store.add_token(new_token(account.id, "t"), 10, by_session(&sessions[0], 7)).await;
    assert_eq!(refused, Err(NOT_FOUND), "the manager was removed while the request was under way");
    let mut others = Vec::new();
    for n in 0..ServiceAccount::MAX_MANAGERS {
        let user = add(store, &format!("user{n}")).await;
        others.push(store.add_manager(account.id, user.id, by(5)).await);
    }
    let full = StoreError::Conflict(Conflict::TooManyManagers);
    assert_eq!(others.into_iter().filter(|added| added.as_ref().err() == Some(&full)).count(), 1);
}

pub(super) async fn managers_have_the_rights_of_the_owner_in_environments_of_a_service_account(store: &TestStore) {
    let (ada, bob) = (add(store, "ada").await, add(store, "bob").await);
    let account = add_account(store, "ci", &[&ada]).await;
    let as_owner = User { id: account.id, ..person("unused") };
    let environment = add_environment(store, &as_owner, "e").await;
    let token = token_of(&environment);
    store.add_environment_token(ada.id, token.clone(), 10, by(5)).await.unwrap();
    assert_eq!(record(store, &token.hash).await.owner.id(), account.id);
    assert_eq!(store.environment(ada.id, environment.id).await.unwrap().role, Role::Owner);
    let names = async |user: UserId| {
        let query = EnvironmentQuery { before: None, limit: 10 };
        let listed = store.environments_of(user, query).await.unwrap().into_iter();
        let listed: Vec<Option<Name>> = listed.map(|access| access.service_account).collect();
        (listed, store.environment(user, environment.id).await.map(|access| access.service_account))
    };
    assert_eq!(names(ada.id).await, (vec![Some(name("ci")), None], Ok(Some(name("ci")))));
    let query = EnvironmentQuery { before: None, limit: 10 };
    assert_eq!(store.environments_of(ada.id, query).await.unwrap().len(), 2);
    store.set_member(ada.id, environment.id, bob.id, MemberRole::Viewer, by(5)).await.unwrap();
    assert_eq!(names(bob.id).await, (vec![Some(name("ci")), None], Ok(Some(name("ci")))), "a member");
    // A manager who is also a member is listed once, as the owner.
    store.set_member(ada.id, environment.id, ada.id, MemberRole::Viewer, by(5)).await.unwrap();
    assert_eq!(store.environments_of(ada.id, query).await.unwrap().len(), 2);
    store.remove_member(ada.id, environment.id, ada.id, by(5)).await.unwrap();
    store.set_current_environment(ada.id, environment.id, by(5)).await.unwrap();

    store.remove_manager(account.id, ada.id, by(6)).await.unwrap();
    assert_eq!(store.environment(ada.id, environment.id).await.map(drop), Err(NOT_FOUND));
    assert_eq!(store.environments_of(ada.id, query).await.unwrap().len(), 1);
    assert_eq!(store.user(ada.id).await.unwrap().current_environment, ada.current_environment);
    assert_eq!(store.environment(bob.id, environment.id).await.unwrap().role, Role::Viewer);

    // An administrator has them while they have the role. What they see as a member stays selected.
    let root = add(store, "root").await;
    let selected = async || {
        store.set_role(root.id, UserRole::Admin, LastAdmin::MayGo, by(7)).await.unwrap();
        store.set_current_environment(root.id, environment.id, by(7)).await.unwrap();
        store.set_role(root.id, UserRole::Member, LastAdmin::MayGo, by(7)).await.unwrap().current_environment
    };
    assert_eq!(selected().await, root.current_environment);
    store.set_member(account.id, environment.id, root.id, MemberRole::Viewer, by(7)).await.unwrap();
    assert_eq!(selected().await, environment.id);
    store.delete_service_account(account.id, by(8)).await.unwrap();
    assert!(store.token_by_hash(&token.hash).await.unwrap().is_none());
    assert_eq!(store.environment(bob.id, environment.id).await.map(drop), Err(NOT_FOUND));
}
