//! Accounts as administrators see them, and password links.

use patd::{
    domain::{
        account_state::{Account, AccountState},
        password_link::{self, NewPasswordLink},
    },
    store::{AccountChange, AccountPlace, AccountQuery, UserOrder},
};

use super::*;

pub(super) fn link(expires_at: i64) -> NewPasswordLink {
    NewPasswordLink { hash: password_link::generate().unwrap().hash(), expires_at: at(expires_at) }
}

pub(super) async fn an_invited_user_sets_a_password_once_with_the_link(store: &TestStore) {
    let (eve, link) = (person("eve"), link(2000));
    store.invite_user(eve.clone(), link, by(1000)).await.unwrap();
    assert_eq!(store.credentials(eve.id).await.unwrap().password, None);
    let found = store.password_link(link.hash).await.unwrap().unwrap();
    assert_eq!((found.user, found.expires_at), (eve.clone(), at(2000)));

    // Neither an empty hash nor any other signs in.
    let sign_in = SignIn { session: session(&eve, 1000, 9000), verified: password("old"), rehashed: None };
    assert_eq!(store.sign_in(sign_in, by(1000)).await, Err(CREDENTIALS_CHANGED));

    let set = async |hash, seconds| store.set_password_by_link(hash, password("new"), by(seconds)).await;
    assert_eq!(set(secret(CredentialKind::Session).0, 1500).await, Err(NOT_FOUND));
    assert_eq!(set(link.hash, 2000).await, Err(NOT_FOUND), "expired");
    assert_eq!(store.credentials(eve.id).await.unwrap().password, None);
    set(link.hash, 1999).await.unwrap();
    assert_eq!(store.credentials(eve.id).await.unwrap().password, Some(password("new")));
    assert_eq!(set(link.hash, 1999).await, Err(NOT_FOUND), "used");
    assert_eq!(store.password_link(link.hash).await, Ok(None));

    let taken = person("eve");
    assert_eq!(store.invite_user(taken.clone(), self::link(2000), by(1000)).await, Err(EMAIL_TAKEN));
    assert_eq!(store.user(taken.id).await, Err(NOT_FOUND));
}

pub(super) async fn a_reset_ends_the_password_the_sessions_and_earlier_links(store: &TestStore) {
    let (ada, bob) = (add(store, "ada").await, add(store, "bob").await);
    let (ended, foreign) = (sign_in(store, &ada, 1, 9000).await, sign_in(store, &bob, 1, 9000).await);
    assert!(is_signed_in(store, &ended).await);
    let (first, second) = (link(5000), link(5000));
    let reset = store.reset_password(ada.id, first, LastAdmin::Stays, by(1000)).await.unwrap();
    assert_eq!(reset, Account { user: ada.clone(), state: AccountState::Invited });
    assert!(!is_signed_in(store, &ended).await && is_signed_in(store, &foreign).await);
    assert_eq!(store.credentials(ada.id).await.unwrap().password, None);
    store.reset_password(ada.id, second, LastAdmin::Stays, by(1001)).await.unwrap();
    assert_eq!(store.set_password_by_link(first.hash, password("x"), by(1002)).await, Err(NOT_FOUND));

    // Disabling ends the link for good. While the user is disabled, a new one does nothing, but it is not used up.
    let set = async |link: NewPasswordLink, at| store.set_password_by_link(link.hash, password("x"), by(at)).await;
    store.disable_user(ada.id, LastAdmin::Stays, by(1003)).await.unwrap();
    assert_eq!(store.password_link(second.hash).await, Ok(None));
    let third = link(5000);
    store.reset_password(ada.id, third, LastAdmin::Stays, by(1004)).await.unwrap();
    assert_eq!(set(third, 1004).await, Err(NOT_FOUND));
    store.enable_user(ada.id, by(1005)).await.unwrap();
    assert_eq!(set(second, 1006).await, Err(NOT_FOUND));
    set(third, 1006).await.unwrap();
    assert_eq!(store.reset_password(person("nobody").id, link(5000), LastAdmin::Stays, by(1000)).await, Err(NOT_FOUND));
}

pub(super) async fn a_link_ends_with_a_new_address_and_with_a_password_from_elsewhere(store: &TestStore) {
    let (eve, bob) = (person("eve"), person("bob"));
    let (links, spent) = ([link(5000), link(5000)], by(1002));
    for (user, link) in [&eve, &bob].into_iter().zip(links) {
        store.invite_user(user.clone(), link, by(1000)).await.unwrap();
    }
    let change = AccountChange { email: Some(email("right@example.com")), ..AccountChange::default() };
    store.change_account(eve.id, change, LastAdmin::Stays, by(1001)).await.unwrap();
    let change = PasswordChange { verified: None, password: password("new") };
    store.change_password(bob.id, change, by(1001)).await.unwrap();
    for link in links {
        assert_eq!(store.set_password_by_link(link.hash, password("x"), spent.clone()).await, Err(NOT_FOUND));
    }
    assert_eq!(store.credentials(bob.id).await.unwrap().password, Some(password("new")));
}

pub(super) async fn a_change_of_an_account_is_made_as_a_whole_or_not_at_all(store: &TestStore) {
    let (ada, bob) = (add(store, "ada").await, add(store, "bob").await);
    let to = |text: &str, role| AccountChange { name: Some(name(text)), email: Some(email(text)), role: Some(role) };
    let changed = store.change_account(ada.id, to("a@example.com", UserRole::Admin), LastAdmin::Stays, by(5)).await;
    let expected =
        User { name: name("a@example.com"), email: email("a@example.com"), role: UserRole::Admin, ..ada.clone() };
    assert_eq!(changed, Ok(Account { user: expected.clone(), state: AccountState::Active }));
    let demoted = store.change_account(ada.id, to("b@example.com", UserRole::Member), LastAdmin::Stays, by(6)).await;
    assert_eq!(demoted, Err(StoreError::Conflict(Conflict::LastAdmin)));
    assert_eq!(store.user(ada.id).await, Ok(expected));
    let taken = store.change_account(bob.id, to("A@example.com", UserRole::Admin), LastAdmin::Stays, by(6)).await;
    assert_eq!(taken, Err(EMAIL_TAKEN));
    assert_eq!(store.user(bob.id).await, Ok(bob));
}

pub(super) async fn an_administrator_without_a_password_does_not_replace_the_last_one(store: &TestStore) {
    let ada = add(store, "ada").await;
    store.set_role(ada.id, UserRole::Admin, LastAdmin::Stays, by(5)).await.unwrap();
    let (eve, link) = (User { role: UserRole::Admin, ..person("eve") }, link(5000));
    store.invite_user(eve, link, by(5)).await.unwrap();
    let disable = async |last| store.disable_user(ada.id, last, by(6)).await.map(|account| account.state);
    assert_eq!(disable(LastAdmin::Stays).await, Err(StoreError::Conflict(Conflict::LastAdmin)));
    assert_eq!(store.user(ada.id).await.unwrap().disabled_at, None);
    store.set_password_by_link(link.hash, password("new"), by(6)).await.unwrap();
    assert_eq!(disable(LastAdmin::Stays).await, Ok(AccountState::Disabled));
    let disabled = store.disable_user(ada.id, LastAdmin::Stays, by(7)).await.unwrap();
    assert_eq!(disabled.user.disabled_at, Some(at(6)), "a second time changes nothing");
}

pub(super) async fn the_sessions_of_one_user_end_together_and_are_counted(store: &TestStore) {
    let (ada, bob) = (add(store, "ada").await, add(store, "bob").await);
    let sessions = [sign_in(store, &ada, 1, 9000).await, sign_in(store, &ada, 2, 9000).await];
    let foreign = sign_in(store, &bob, 1, 9000).await;
    add_token(store, &ada, "ci").await;
    let details = store.account_details(ada.id, at(5)).await.unwrap();
    assert_eq!((details.sessions, details.tokens, details.environments), (2, 1, 1));
    assert!(details.last_sign_in_at.is_some());
    assert_eq!(store.end_sessions(ada.id, by(6)).await, Ok(2));
    for session in &sessions {
        assert!(!is_signed_in(store, session).await);
    }
    assert!(is_signed_in(store, &foreign).await);
    assert_eq!(store.end_sessions(ada.id, by(6)).await, Ok(0));
    let details = store.account_details(ada.id, at(5)).await.unwrap();
    assert_eq!(details.sessions, 0);
    assert!(details.last_sign_in_at.is_some(), "the audit trail knows it");
    let nobody = person("nobody").id;
    assert_eq!(store.end_sessions(nobody, by(6)).await, Err(NOT_FOUND));
    assert_eq!(store.account_details(nobody, at(5)).await, Err(NOT_FOUND));
}

/// Compares each filter and order, page by page, with a plain filter and sort of all accounts.
pub(super) async fn lists_of_accounts_agree_with_a_plain_model(store: &TestStore) {
    let names = ["Zoë", "ada", "Ada", "bob", "Bob", "eve", "Éva", "mallory", "ada", "Oscar"];
    let mut all = Vec::new();
    for n in 0..60 {
        let role = if n % 7 == 0 { UserRole::Admin } else { UserRole::Member };
        let text = format!("{}{}@example.com", ["u", "x"][n % 2], (n * 37) % 100);
        let user = User { name: name(names[n % names.len()]), email: email(&text), role, ..person("x") };
        match n % 3 {
            0 => store.invite_user(user.clone(), link(5000), by(1000)).await.unwrap(),
            _ => store.add_user(user.clone(), password("old"), by(1000)).await.unwrap(),
        }
        let state = if n % 3 == 0 { AccountState::Invited } else { AccountState::Active };
        let account = match n % 5 {
            0 => store.disable_user(user.id, LastAdmin::MayGo, by(5)).await.unwrap(),
            _ => Account { user, state },
        };
        all.push(account);
    }
    let orders = [UserOrder::Created, UserOrder::Name, UserOrder::Email];
    let key = |order, account: &Account| match order {
        UserOrder::Created => String::new(),
        UserOrder::Name => account.user.name.as_str().to_ascii_lowercase(),
        UserOrder::Email => account.user.email.canonical().to_owned(),
    };
    let states = [None, Some(AccountState::Active), Some(AccountState::Disabled), Some(AccountState::Invited)];
    for (order, reversed) in orders.into_iter().flat_map(|order| [(order, false), (order, true)]) {
        for (role, state) in [None, Some(UserRole::Admin), Some(UserRole::Member)]
            .into_iter()
            .zip(states)
            .chain([(None, states[3]), (Some(UserRole::Admin), states[1])])
        {
            for search in [None, Some("ada"), Some("x1"), Some("zoë"), Some("%")] {
                let matches = |account: &&Account| {
                    let folded = patd::domain::text::folded(account.user.name.as_str());
                    role.is_none_or(|role| account.user.role == role)
                        && state.is_none_or(|state| account.state == state)
                        && search
                            .is_none_or(|text| folded.contains(text) || account.user.email.canonical().contains(text))
                };
                let mut expected: Vec<Account> = all.iter().filter(matches).cloned().collect();
                expected.sort_by_key(|account| (key(order, account), account.user.id));
                if reversed {
                    expected.reverse();
                }
                let mut listed = Vec::new();
                let mut after = None;
                loop {
                    let search = search.map(str::to_owned);
                    let query = AccountQuery { search, role, state, order, reversed, after, limit: 7 };
                    let page = store.accounts(query).await.unwrap();
                    let Some(last) = page.last() else { break };
                    let key = match order {
                        UserOrder::Created => String::new(),
                        UserOrder::Name => last.user.name.to_string(),
                        UserOrder::Email => last.user.email.canonical().to_owned(),
                    };
                    after = Some(AccountPlace { key, id: last.user.id });
                    listed.extend(page);
                }
                assert_eq!(listed, expected, "{order:?} {reversed} {role:?} {state:?} {search:?}");
            }
        }
    }
}
