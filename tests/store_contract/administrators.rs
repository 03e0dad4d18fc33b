//! What an administrator starts must not be finished after they have lost the role.

use super::{rotation::add_new, *};
use patd::{
    domain::{authority::Administrator, owner::ServiceAccount, password_link::NewPasswordLink},
    store::{AccountChange, HandOver, NewServiceAccount, ServiceAccountChange, Transfer, UserDeletion},
};

const COMMAND_LINE: Administrator = Administrator::command_line();

fn by_actor(actor: Actor) -> Attribution {
    Attribution { origin: RequestSource { actor, ..RequestSource::SYSTEM }, at: at(2000) }
}

fn link() -> NewPasswordLink {
    NewPasswordLink { hash: secret(CredentialKind::PersonalAccessToken).0, expires_at: at(9000) }
}

/// Tries everything that only an administrator may do. All of it gives the same error, or each change is made.
async fn outcomes(store: &TestStore, target: &User, by: &Attribution) -> Vec<(&'static str, Result<(), StoreError>)> {
    let (id, by) = (target.id, || by.clone());
    let owned = add_token(store, target, "t").await;
    let reserved = NewToken {
        abilities: Abilities::new([Ability::parse("tokens:introspect").unwrap()]).unwrap(),
        ..new_token(by().origin.actor.user().unwrap(), "reserved")
    };
    let heir = add(store, &format!("heir{}", Uuid::now_v7().simple())).await;
    let transfer = Transfer { to: heir.id, max_live_tokens: 1000 };
    let everything = HandOver::everything(id, transfer);
    let invited = person(&format!("new{}", Uuid::now_v7().simple()));
    let change = AccountChange { name: Some(name("changed")), ..AccountChange::default() };
    let account = |text| ServiceAccount {
        id: UserId::new(Uuid::now_v7()),
        name: name(text),
        created_at: at(1),
        disabled_at: None,
    };
    let machine = NewServiceAccount { account: account("machine"), description: None, managers: Vec::new() };
    let known = account("known");
    let new = NewServiceAccount { account: known.clone(), description: None, managers: Vec::new() };
    store.add_service_account(new, super::by(1)).await.unwrap();
    let rename = ServiceAccountChange { name: Some(name("changed")), description: None };
    let deletion = UserDeletion { verified: None, transfer: None, last: LastAdmin::Stays };
    vec![
        ("change", store.change_account(id, change, LastAdmin::Stays, by()).await.map(drop)),
        ("role", store.set_role(id, UserRole::Admin, LastAdmin::Stays, by()).await.map(drop)),
        ("disable", store.disable_user(id, LastAdmin::Stays, by()).await.map(drop)),
        ("enable", store.enable_user(id, by()).await.map(drop)),
        ("end sessions", store.end_sessions(id, by()).await.map(drop)),
        ("invite", store.invite_user(invited, link(), by()).await),
        ("reset", store.reset_password(id, link(), LastAdmin::Stays, by()).await.map(drop)),
        ("grant", store.add_token(reserved, 1000, by()).await.map(drop)),
        ("disable token", store.disable_token(id, owned.id, by()).await.map(drop)),
        ("revoke token", store.revoke_token(id, owned.id, REASON, by()).await.map(drop)),
        ("service account", store.add_service_account(machine.clone(), by()).await.map(drop)),
        ("managers", store.add_manager(known.id, id, by()).await.map(drop)),
        ("rename", store.change_service_account(COMMAND_LINE.into(), known.id, rename, by()).await.map(drop)),
        ("disable it", store.disable_service_account(known.id, by()).await.map(drop)),
        ("enable it", store.enable_service_account(known.id, by()).await.map(drop)),
        ("remove it", store.delete_service_account(known.id, by()).await.map(drop)),
        ("hand over", store.hand_over(everything, by()).await.map(drop)),
        ("hand over and disable", store.hand_over_and_disable(id, transfer, LastAdmin::Stays, by()).await.map(drop)),
        ("delete", store.delete_user(heir.id, deletion, by()).await.map(drop)),
    ]
}

pub(super) async fn a_change_of_an_administrator_who_lost_the_role_is_not_made(store: &TestStore) {
    let (root, admin) = (add(store, "root").await, add(store, "admin").await);
    let session = sign_in(store, &admin, 1, 9000).await;
    let token = add_token(store, &admin, "t").await;
    let actors = [Actor::session(&session.session), Actor::token(&token)];
    let required = StoreError::Conflict(Conflict::AdminRequired);
    let ended = StoreError::Conflict(Conflict::SessionEnded);
    for user in [&root, &admin] {
        store.set_role(user.id, UserRole::Admin, LastAdmin::Stays, by(1)).await.unwrap();
    }
    for actor in actors {
        let target = add(store, &format!("target{}", Uuid::now_v7().simple())).await;
        for (what, outcome) in outcomes(store, &target, &by_actor(actor)).await {
            assert_eq!(outcome, Ok(()), "{what}, by {actor:?}");
        }
    }

    store.set_role(admin.id, UserRole::Member, LastAdmin::Stays, by(2)).await.unwrap();
    let target = add(store, "target").await;
    let is_refused = |what: &str, outcome: Result<(), StoreError>| match what {
        // What is not theirs is as if it did not exist, also for the session of a member.
        "disable token" | "revoke token" => {
            assert!(outcome == Err(NOT_FOUND) || outcome == Err(required.clone()), "{what}: {outcome:?}");
        }
        _ => assert_eq!(outcome, Err(required.clone()), "{what}"),
    };
    for actor in actors {
        for (what, outcome) in outcomes(store, &target, &by_actor(actor)).await {
            is_refused(what, outcome);
        }
    }
    assert_eq!(store.user(target.id).await.unwrap(), target);
    assert!(
        store.tokens_of(target.id, TokenQuery { limit: 9, ..TokenQuery::default() }, at(2)).await.unwrap().len() == 2
    );

    // A token that has ended in the meantime, or is disabled.
    store.set_role(admin.id, UserRole::Admin, LastAdmin::Stays, by(3)).await.unwrap();
    let enabled = |by| store.enable_user(target.id, by);
    assert_eq!(enabled(by_actor(actors[1])).await.map(drop), Ok(()));
    store.disable_token(admin.id, token.id, by(3)).await.unwrap();
    assert_eq!(enabled(by_actor(actors[1])).await.map(drop), Err(ended.clone()));
    store.enable_token(admin.id, token.id, by(3)).await.unwrap();
    store.revoke_token(admin.id, token.id, REASON, by(3)).await.unwrap();
    let other = add_new(store, &new_token(admin.id, "other")).await;
    assert_eq!(enabled(by_actor(actors[1])).await.map(drop), Err(ended.clone()));
    store.disable_user(admin.id, LastAdmin::Stays, by(4)).await.unwrap();
    for actor in [Actor::token(&other), actors[0]] {
        assert_eq!(enabled(by_actor(actor)).await.map(drop), Err(ended.clone()), "{actor:?}");
    }
}
