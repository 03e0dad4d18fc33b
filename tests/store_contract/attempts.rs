//! Attempt counters, the latest known time, password hash parameters, and changes of the email address.

use patd::domain::{
    attempts::{Counter, CounterKey, CountersOf, Scope},
    events,
};

use super::*;

fn counter(scope: Scope, subject: u8, rests_at: i64) -> Counter {
    Counter { key: CounterKey { scope, subject: [subject; 16], origin: [0; 16] }, rests_at: at(rests_at) }
}

async fn saved_counters(store: &TestStore) -> Vec<Counter> {
    let mut counters = store.saved_attempts().await.unwrap().counters;
    counters.sort_by_key(|counter| (counter.rests_at, counter.key.subject));
    counters
}

pub(super) async fn attempt_counters_are_stored_until_they_are_at_rest(store: &TestStore) {
    assert_eq!(saved_counters(store).await, []);
    let every_scope: Vec<Counter> = Scope::ALL.iter().zip(1..).map(|(scope, n)| counter(*scope, 7, 100 + n)).collect();
    store.save_attempts(every_scope.clone()).await.unwrap();
    assert_eq!(saved_counters(store).await, every_scope);

    let later = counter(Scope::AccountFromNetwork, 7, 900);
    store.save_attempts(vec![later, counter(Scope::Account, 8, 50)]).await.unwrap();
    assert_eq!(saved_counters(store).await.len(), every_scope.len() + 1, "one is new, and one has a higher count");
    assert_eq!(saved_counters(store).await.last(), Some(&later));

    assert_eq!(store.delete_rested_attempts(at(49)).await, Ok(0));
    assert_eq!(store.delete_rested_attempts(at(102)).await, Ok(2));
    assert_eq!(store.delete_rested_attempts(at(899)).await, Ok(every_scope.len() as u64 - 2));
    assert_eq!(saved_counters(store).await, [later]);
}

pub(super) async fn attempt_counters_of_a_subject_or_an_origin_are_cleared_with_an_event(store: &TestStore) {
    let ada = add(store, "ada").await;
    let from = |scope, subject, origin, rests_at| Counter {
        key: CounterKey { scope, subject: [subject; 16], origin: [origin; 16] },
        rests_at: at(rests_at),
    };
    let all = [
        from(Scope::Account, 7, 0, 101),
        from(Scope::AccountFromNetwork, 7, 1, 102),
        from(Scope::AccountFromNetwork, 8, 1, 103),
        from(Scope::Network, 0, 1, 104),
        from(Scope::Network, 0, 2, 105),
    ];
    store.save_attempts(all.to_vec()).await.unwrap();
    let clear = async |counters: CountersOf, held| {
        let event = events::throttle_cleared(Some(ada.id), "account");
        let cleared = store.clear_attempts(vec![counters], held, event, by(50)).await;
        (cleared, store.events_of(ada.id, None, 9).await.unwrap().len())
    };
    let subject = CountersOf::Subject([7; 16]);
    assert_eq!(clear(subject, false).await, (Ok(2), 2));
    assert_eq!(saved_counters(store).await, all[2..]);
    assert_eq!(clear(subject, false).await, (Ok(0), 2), "nothing was held");
    assert_eq!(clear(subject, true).await, (Ok(0), 3), "something was, in memory");
    assert_eq!(clear(CountersOf::Origin([1; 16]), false).await, (Ok(2), 4));
    assert_eq!(saved_counters(store).await, all[4..]);
}

pub(super) async fn the_latest_time_is_the_recorded_time_or_that_of_a_later_event(store: &TestStore) {
    assert_eq!(store.latest_time().await, Ok(None), "a new database has none");
    let ada = add(store, "ada").await;
    let disable = async |at| store.disable_user(ada.id, LastAdmin::MayGo, by(at)).await.unwrap();
    let enable = async |at| store.enable_user(ada.id, by(at)).await.unwrap();
    disable(900).await;
    enable(70).await;
    assert_eq!(store.latest_time().await, Ok(Some(at(70))), "the event that was stored last is later");
    store.record_time(at(60)).await.unwrap();
    assert_eq!(store.latest_time().await, Ok(Some(at(60))), "earlier events do not count");
    disable(50).await;
    assert_eq!(store.latest_time().await, Ok(Some(at(60))));
    enable(80).await;
    assert_eq!(store.latest_time().await, Ok(Some(at(80))));
    store.record_time(at(90)).await.unwrap();
    assert_eq!(store.latest_time().await, Ok(Some(at(90))));
}

pub(super) async fn each_database_has_its_own_key(store: &TestStore) {
    let key = store.saved_attempts().await.unwrap().key;
    assert_eq!(store.saved_attempts().await.unwrap().key, key, "the key does not change");
    let directory = tempfile::tempdir().unwrap();
    let other = sqlite::open(directory.path(), Access::Create);
    assert_ne!(other.saved_attempts().await.unwrap().key, key);
}

pub(super) async fn password_hash_parameters_are_counted_in_a_sample(store: &TestStore) {
    assert_eq!(store.hash_parameters(10).await, Ok(Vec::new()));
    for (who, memory) in [("ada", 8), ("bob", 64), ("cleo", 8), ("dora", 32)] {
        let hash = PasswordHash::new(format!("$argon2id$v=19$m={memory},t=1,p=1$c2FsdHNhbHQ$b3V0cHV0"));
        let user = add(store, who).await;
        let change = PasswordChange { verified: None, password: hash };
        store.change_password(user.id, change, by(5)).await.unwrap();
    }
    let counted = |sample| async move {
        let mut counted = Vec::new();
        for (parameters, count) in store.hash_parameters(sample).await.unwrap() {
            counted.push((parameters.as_str().to_owned(), count));
        }
        counted.sort();
        counted
    };
    let with = |memory, count| (format!("$argon2id$v=19$m={memory},t=1,p=1"), count);
    assert_eq!(counted(10).await, [with(32, 1), with(64, 1), with(8, 2)]);
    assert_eq!(counted(2).await, [with(64, 1), with(8, 1)]);
}

pub(super) async fn an_email_change_fails_if_the_password_changed_since_it_was_checked(store: &TestStore) {
    let ada = add(store, "ada").await;
    let stored = store.credentials(ada.id).await.unwrap().password.unwrap();
    let change = |verified: &PasswordHash| ProfileChange {
        email: Some(email("new@example.com")),
        verified: Some(verified.clone()),
        ..ProfileChange::default()
    };
    let stale = store.change_profile(ada.id, change(&password("another")), by(5)).await;
    assert_eq!(stale, Err(CREDENTIALS_CHANGED));
    assert_eq!(store.user(ada.id).await.unwrap().email, ada.email);
    let changed = store.change_profile(ada.id, change(&stored), by(5)).await.unwrap();
    assert_eq!(changed.email, email("new@example.com"));
}

pub(super) async fn the_longest_email_addresses_fit_into_the_audit_trail(store: &TestStore) {
    let ada = add(store, "ada").await;
    let longest = |c: char| email(&format!("{}@{}", c.to_string().repeat(63), c.to_string().repeat(190)));
    for new in [longest('a'), longest('b')] {
        let change = ProfileChange { email: Some(new), ..ProfileChange::default() };
        store.change_profile(ada.id, change, by(5)).await.unwrap();
    }
    let last = store.events_of(ada.id, None, 1).await.unwrap().remove(0);
    assert_eq!(last.entry.action, Action::UserEmailChanged);
    assert_eq!(last.entry.detail.unwrap(), format!("{} -> {}", longest('a'), longest('b')));
}
