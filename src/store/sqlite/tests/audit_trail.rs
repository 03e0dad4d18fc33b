//! A change and its audit event are committed together, and the trail is append-only.

use super::*;
use crate::{
    domain::{
        audit::{Action, Actor, Entry},
        event_filter::EventFilter,
    },
    store::{AuditTrail, EventOrder, EventQuery},
};

fn count(store: &SqliteStore) -> i64 {
    let count =
        |connection: &Connection| Ok(connection.query_row("SELECT count(*) FROM audit_events", [], |row| row.get(0))?);
    wait(store.read_point(count)).unwrap()
}

/// An attribution whose event the schema refuses. It stands for any failure to write an event.
fn unwritable() -> Attribution {
    let origin = RequestSource { actor: Actor::System, address: None, request_id: Some("x".repeat(129)), keyed: None };
    Attribution { origin, at: Timestamp::from_unix(2) }
}

#[test]
fn a_leak_report_without_matches_is_recorded_without_a_user() {
    let directory = directory();
    let store = open(&directory);
    for presented in [None, Some(1000)] {
        wait(store.revoke_leaked(LeakReport { presented, ..LeakReport::default() }, by())).unwrap();
    }
    assert_eq!(count(&store), 1);
    let noted = "SELECT user_id IS NULL AND action = 'token.leaked' AND outcome = 'refused', detail FROM audit_events";
    let noted = wait(store.read_point(move |connection| {
        Ok(connection.query_row(noted, [], |row| Ok((row.get::<_, bool>(0)?, row.get::<_, String>(1)?)))?)
    }));
    assert_eq!(noted, Ok((true, "unknown, 1000 presented".to_owned())));
}

#[test]
fn an_event_can_be_neither_changed_nor_deleted() {
    let directory = directory();
    let store = open(&directory);
    wait(store.add_user(person("ada"), password(), by())).unwrap();
    for sql in ["UPDATE audit_events SET at = 0", "DELETE FROM audit_events", "DELETE FROM audit_events WHERE seq = 1"]
    {
        let done = wait(store.writer.submit(Vec::new(), move |connection| Ok(connection.execute(sql, [])?)));
        assert!(matches!(done, Err(StoreError::Internal(_))), "{sql}: {done:?}");
    }
    assert_eq!(count(&store), 1);
}

#[test]
fn pruning_deletes_only_old_events_and_other_deletions_stay_refused() {
    let directory = directory();
    let store = open(&directory);
    wait(store.add_user(person("ada"), password(), by())).unwrap();
    let delete = |before: i64| {
        wait(store.writer.submit(Vec::new(), move |connection| {
            connection.execute("INSERT INTO audit_pruning (only_row, before) VALUES (1, ?1)", [before])?;
            let deleted = connection.execute("DELETE FROM audit_events WHERE seq = 1", [])?;
            connection.execute("DELETE FROM audit_pruning", [])?;
            Ok(deleted)
        }))
    };
    let too_young = delete(by().at.unix());
    assert!(matches!(too_young, Err(StoreError::Internal(_))), "{too_young:?}");
    wait(store.add_user(person("eve"), password(), by())).unwrap();
    assert_eq!(delete(by().at.unix() + 1), Ok(1));
    let afterwards =
        wait(store.writer.submit(Vec::new(), |connection| Ok(connection.execute("DELETE FROM audit_events", [])?)));
    assert!(matches!(afterwards, Err(StoreError::Internal(_))), "{afterwards:?}");
    assert_eq!(count(&store), 1);
}

#[test]
fn a_change_fails_if_its_event_cannot_be_written() {
    let directory = directory();
    let store = open(&directory);
    let (ada, eve) = (person("ada"), person("eve"));
    wait(store.add_user(ada.clone(), password(), by())).unwrap();
    let new = new_token(ada.id);
    let token = wait(store.add_token(new.clone(), 9, by())).unwrap();
    let before = count(&store);

    let is_defect =
        |result: Result<(), StoreError>| assert!(matches!(result, Err(StoreError::Internal(_))), "{result:?}");
    is_defect(wait(store.add_user(eve.clone(), password(), unwritable())));
    is_defect(wait(store.disable_user(ada.id, LastAdmin::MayGo, unwritable())).map(drop));
    let change = PasswordChange { verified: None, password: PasswordHash::new("$argon2id$new".to_owned()) };
    is_defect(wait(store.change_password(ada.id, change, unwritable())));
    let change = ProfileChange { name: Some(eve.name), ..ProfileChange::default() };
    is_defect(wait(store.change_profile(ada.id, change, unwritable())).map(drop));
    is_defect(wait(store.add_token(new_token(ada.id), 9, unwritable())).map(drop));
    is_defect(wait(store.revoke_token(ada.id, token.id, RevocationReason::LeakReport, unwritable())).map(drop));

    assert_eq!(count(&store), before);
    assert_eq!(wait(store.user(eve.id)), Err(StoreError::NotFound));
    let stored = wait(store.credentials(ada.id)).unwrap();
    assert_eq!((stored.user, stored.password), (ada.clone(), Some(password())));
    let list = TokenQuery { limit: 9, ..TokenQuery::default() };
    assert_eq!(wait(store.tokens_of(ada.id, list, Timestamp::from_unix(1))).unwrap(), [token]);
}

#[test]
fn events_of_everybody_are_limited_by_number_time_address_and_count() {
    let directory = directory();
    let store = open(&directory);
    for seconds in [10, 11, 12] {
        // An address as a socket for both versions of IP reports it.
        let origin = RequestSource {
            actor: Actor::System,
            address: Some("::ffff:192.0.2.7".parse().unwrap()),
            request_id: None,
            keyed: None,
        };
        let by = Attribution { origin, at: Timestamp::from_unix(seconds) };
        wait(store.record_refusal(Entry::refused(None, Action::SignInRefused, "unknown_user"), by)).unwrap();
    }
    let oldest_first = EventQuery {
        filter: EventFilter::default(),
        order: EventOrder::OldestFirst,
        after: None,
        before: None,
        limit: 9,
    };
    let seqs = |query: EventQuery| wait(store.events(query)).unwrap().iter().map(|event| event.seq).collect::<Vec<_>>();
    let filtered = |filter| seqs(EventQuery { filter, ..oldest_first.clone() });
    let at = |seconds| Some(Timestamp::from_unix(seconds));
    assert_eq!(filtered(EventFilter { from: at(11), ..EventFilter::default() }), [2, 3], "from this time on");
    assert_eq!(filtered(EventFilter { until: at(11), ..EventFilter::default() }), [1], "before this time");
    let network = |text: &str| EventFilter { address: Some(text.parse().unwrap()), ..EventFilter::default() };
    assert_eq!(filtered(network("192.0.2.0/24")), [1, 2, 3]);
    assert_eq!(filtered(network("198.51.100.0/24")), [0; 0]);
    assert_eq!(seqs(EventQuery { after: Some(1), ..oldest_first.clone() }), [2, 3]);
    assert_eq!(seqs(EventQuery { before: Some(3), ..oldest_first.clone() }), [1, 2]);
    assert_eq!(seqs(EventQuery { limit: 2, ..oldest_first.clone() }), [1, 2]);
    assert_eq!(seqs(EventQuery { order: EventOrder::NewestFirst, limit: 2, ..oldest_first.clone() }), [3, 2]);
}

#[test]
fn a_trail_is_read_by_its_index() {
    let directory = directory();
    let store = open(&directory);
    assert_eq!(
        statements::plan(&store, audit::LIST),
        ["SEARCH audit_events USING INDEX audit_events_by_user (user_id=? AND seq<?)"]
    );
}

#[test]
fn an_event_outlives_its_user() {
    let directory = directory();
    let store = open(&directory);
    let ada = person("ada");
    wait(store.add_user(ada.clone(), password(), by())).unwrap();
    wait(store.writer.submit(Vec::new(), |connection| Ok(connection.execute("DELETE FROM users", [])?))).unwrap();
    let events = wait(store.events_of(ada.id, None, 9)).unwrap();
    assert_eq!(events[0].entry.action, Action::UserCreated);
    let environments = "SELECT count(*) FROM environments";
    let left: i64 =
        wait(store.read_point(|connection| Ok(connection.query_row(environments, [], |row| row.get(0))?))).unwrap();
    assert_eq!(left, 0);
}
