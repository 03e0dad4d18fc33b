//! The personal data of a user is erased from the audit trail, and nothing else changes.

use super::*;
use crate::domain::audit::{Action, Actor, Entry, Target};

const ADDRESS: &str = "192.0.2.7";

fn from_address(actor: Actor) -> Attribution {
    let origin = RequestSource {
        actor,
        address: Some(ADDRESS.parse().unwrap()),
        request_id: Some("one".to_owned()),
        keyed: None,
    };
    Attribution { origin, at: Timestamp::from_unix(3) }
}

fn erase(store: &SqliteStore, user: UserId) {
    wait(store.writer.submit(Vec::new(), move |connection| audit::erasure::erase(connection, user))).unwrap();
}

/// All events: action, address, detail, and whether there are digests of an address and of a detail.
fn events(store: &SqliteStore) -> Vec<String> {
    let read = |connection: &Connection| {
        let mut statement = connection.prepare(
            "SELECT action || ', ' || coalesce(address, '-') || ', ' || coalesce(detail, '-') || ', '
                 || (erased_address IS NOT NULL) || (erased_detail IS NOT NULL) FROM audit_events ORDER BY seq",
        )?;
        let rows = statement.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<Result<Vec<String>, _>>()?)
    };
    wait(store.read_point(read)).unwrap()
}

fn salts(store: &SqliteStore) -> i64 {
    let count = "SELECT count(*) FROM audit_salts";
    wait(store.read_point(|connection| Ok(connection.query_row(count, [], |row| row.get(0))?))).unwrap()
}

/// Two users and their events: two of a refused sign-in, one of each in the trail of the other.
fn two_users(store: &SqliteStore) -> (User, User) {
    let (ada, eve) = (person("ada"), person("eve"));
    for user in [&ada, &eve] {
        wait(store.add_user(user.clone(), password(), by())).unwrap();
    }
    let record = |entry: Entry, by| wait(store.record_refusal(entry, by)).unwrap();
    let change = ProfileChange { email: Some(Email::parse("new@x.org").unwrap()), ..ProfileChange::default() };
    wait(store.change_profile(ada.id, change, from_address(Actor::CommandLine))).unwrap();
    record(Entry::refused(Some(ada.id), Action::SignInRefused, "wrong_password"), from_address(Actor::Anonymous));
    record(Entry::refused(None, Action::SignInRefused, "unknown_user"), from_address(Actor::Anonymous));
    record(
        Entry::done(eve.id, Action::UserDisabled, Target::User(eve.id)),
        from_address(Actor::personal_access_token(TokenId::new(Uuid::now_v7()), ada.id)),
    );
    record(
        Entry::done(ada.id, Action::UserDisabled, Target::User(ada.id)),
        from_address(Actor::personal_access_token(TokenId::new(Uuid::now_v7()), eve.id)),
    );
    (ada, eve)
}

#[test]
fn addresses_and_e_mail_addresses_of_a_user_are_replaced_by_digests_and_what_happened_stays() {
    let directory = directory();
    let store = open(&directory);
    let (ada, _) = two_users(&store);
    assert_eq!(salts(&store), 3);
    erase(&store, ada.id);
    assert_eq!(
        events(&store),
        [
            "user.created, -, -, 00",
            "user.created, -, -, 00",
            "user.email_changed, -, -, 11",
            "sign_in.refused, -, wrong_password, 10",
            "sign_in.refused, 192.0.2.7, unknown_user, 00",
            // By Ada's token in the trail of the other user, and the other way round.
            "user.disabled, -, -, 10",
            "user.disabled, 192.0.2.7, -, 00",
        ]
    );
    assert_eq!(salts(&store), 2, "the salt would allow to find the address by trying all of them");
    let listed = wait(store.events_of(ada.id, None, 9)).unwrap();
    assert_eq!(listed.len(), 4);
    assert_eq!(listed[1].by.origin.address, None);

    let before = events(&store);
    erase(&store, ada.id);
    assert_eq!(events(&store), before);
    let late = Entry::refused(Some(ada.id), Action::SignInRefused, "late");
    wait(store.record_refusal(late, from_address(Actor::Anonymous))).unwrap();
    erase(&store, ada.id);
    assert_eq!(events(&store).last().unwrap(), "sign_in.refused, -, late, 10");
}

#[test]
fn an_erasure_changes_only_events_of_its_user_and_only_their_personal_data() {
    let directory = directory();
    let store = open(&directory);
    let (ada, eve) = two_users(&store);
    let refused = |user: UserId, change: &'static str| {
        let id = user.uuid().into_bytes();
        let changed = wait(store.writer.submit(Vec::new(), move |connection| {
            connection.execute("INSERT INTO audit_erasure (only_row, user_id) VALUES (1, ?1)", [&id])?;
            let changed = connection.execute(&format!("UPDATE audit_events SET {change} WHERE seq = 4"), [])?;
            connection.execute("DELETE FROM audit_erasure", [])?;
            Ok(changed)
        }));
        assert!(matches!(changed, Err(StoreError::Internal(_))), "{change}: {changed:?}");
    };
    for change in [
        "at = 0",
        "seq = 99",
        "user_id = NULL",
        "actor_kind = 'system'",
        "actor_id = randomblob(16)",
        "action = 'token.revoked'",
        "target_kind = 'session'",
        "target_id = NULL",
        "request_id = NULL",
        "outcome = 'success'",
        "actor_user_id = randomblob(16)",
        "address = '192.0.2.8'",
        "address = NULL",
        "erased_address = randomblob(32)",
        "detail = 'right_password'",
        "detail = NULL",
        "address = NULL, erased_address = randomblob(32), detail = NULL",
    ] {
        refused(ada.id, change);
    }
    refused(eve.id, "address = NULL, erased_address = randomblob(32)");
    assert_eq!(events(&store)[3], "sign_in.refused, 192.0.2.7, wrong_password, 00");
    erase(&store, ada.id);
    refused(ada.id, "erased_address = randomblob(32)");
    refused(ada.id, "erased_address = NULL, address = '192.0.2.8'");
}

#[test]
fn an_erasure_finds_the_events_by_indexes() {
    let directory = directory();
    let store = open(&directory);
    assert_eq!(
        statements::plan(&store, audit::erasure::OWN_TRAIL),
        ["SEARCH audit_events USING INDEX audit_events_by_user (user_id=?)"]
    );
    assert_eq!(
        statements::plan(&store, audit::erasure::OTHER_TRAILS),
        ["SEARCH audit_events USING INDEX audit_events_by_other_actor (actor_user_id=?)"]
    );
}
