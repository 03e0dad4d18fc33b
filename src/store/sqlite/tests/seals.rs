//! The seals of the audit trail: what breaks them, and what does not.

use super::*;
use crate::{
    domain::{
        audit::{Action, Actor, Entry},
        seal::{CheckedSeal, Seal, SealFault, SealKind},
    },
    store::{AuditTrail, SealPlan, SealPosition},
};

const NOW: i64 = 1_000_000;

fn record(store: &SqliteStore, user: Option<UserId>, seconds: i64) {
    let origin = RequestSource {
        actor: Actor::Anonymous,
        address: Some("192.0.2.7".parse().unwrap()),
        request_id: Some("a request".to_owned()),
        keyed: None,
    };
    let by = Attribution { origin, at: Timestamp::from_unix(seconds) };
    wait(store.record_refusal(Entry::refused(user, Action::SignInRefused, "wrong_password"), by)).unwrap();
}

fn plan(max_events: u32, open_since: i64) -> SealPlan {
    SealPlan { max_events, open_since: Timestamp::from_unix(open_since), now: Timestamp::from_unix(NOW) }
}

/// Seals everything, four events each.
fn seal_all(store: &SqliteStore) {
    while wait(store.seal_events(plan(4, NOW))).unwrap().is_some() {}
}

/// A store with a user and eleven more events in seals of four.
fn sealed(directory: &tempfile::TempDir) -> (SqliteStore, User) {
    let store = open(directory);
    let ada = person("ada");
    wait(store.add_user(ada.clone(), password(), by())).unwrap();
    for n in 0..11 {
        record(&store, (n % 2 == 0).then_some(ada.id), 10 + n);
    }
    seal_all(&store);
    assert_eq!(check(&store), []);
    (store, ada)
}

fn checked(store: &SqliteStore) -> Vec<CheckedSeal> {
    let (mut all, mut position) = (Vec::new(), SealPosition::START);
    loop {
        let checks = wait(store.check_seals(position, 2)).unwrap();
        if checks.checked.is_empty() {
            return all;
        }
        position = checks.position;
        all.extend(checks.checked);
    }
}

/// The number and the faults of each seal that has some.
fn check(store: &SqliteStore) -> Vec<(i64, Vec<SealFault>)> {
    let faulty = checked(store).into_iter().filter(|checked| !checked.faults.is_empty());
    faulty.map(|checked| (checked.seal.number, checked.faults)).collect()
}

/// What somebody can do who may write to the file.
fn tamper(store: &SqliteStore, sql: impl Into<String>) {
    let sql = sql.into();
    let without_triggers = "DROP TRIGGER IF EXISTS audit_events_are_not_changed;
        DROP TRIGGER IF EXISTS audit_events_are_not_deleted; DROP TRIGGER IF EXISTS audit_seals_are_not_changed;
        DROP TRIGGER IF EXISTS audit_seals_are_not_deleted;";
    wait(
        store
            .writer
            .submit(Vec::new(), move |connection| Ok(connection.execute_batch(&format!("{without_triggers}{sql}"))?)),
    )
    .unwrap();
}

/// The number and the faults of each seal that has some.
type Faults<'f> = &'f [(i64, &'f [SealFault])];

#[test]
fn each_kind_of_tampering_is_found_and_names_the_range() {
    let insert = "INSERT INTO audit_events (seq, at, actor_kind, action, target_kind, outcome)
                  VALUES (-7, 5, 'system', 'user.created', 'user', 'success')";
    let cases: [(&str, Faults<'_>); 18] = [
        ("UPDATE audit_events SET at = 9 WHERE seq = 6", &[(2, &[SealFault::EventsChanged])]),
        ("UPDATE audit_events SET address = '192.0.2.8' WHERE seq = 6", &[(2, &[SealFault::EventsChanged])]),
        ("UPDATE audit_events SET detail = 'unknown_user' WHERE seq = 12", &[(3, &[SealFault::EventsChanged])]),
        ("UPDATE audit_events SET outcome = 'refused' WHERE seq = 1", &[(1, &[SealFault::EventsChanged])]),
        (
            "UPDATE audit_events SET address = NULL, erased_address = zeroblob(32) WHERE seq = 6",
            &[(2, &[SealFault::EventsChanged])],
        ),
        ("UPDATE audit_events SET actor_user_id = zeroblob(16) WHERE seq = 6", &[(2, &[SealFault::EventsChanged])]),
        ("DELETE FROM audit_events WHERE seq IN (5, 6)", &[(2, &[SealFault::EventsMissing(2)])]),
        ("DELETE FROM audit_events WHERE seq <= 4", &[(1, &[SealFault::EventsMissing(4)])]),
        (insert, &[(1, &[SealFault::EventsInserted(1)])]),
        // Moved to the next range.
        ("UPDATE audit_events SET seq = 99 WHERE seq = 8", &[(2, &[SealFault::EventsMissing(1)])]),
        ("UPDATE audit_seals SET sealed_at = 5 WHERE number = 2", &[(2, &[SealFault::SealChanged])]),
        (
            "UPDATE audit_seals SET events = 3 WHERE number = 2",
            &[(2, &[SealFault::SealChanged, SealFault::EventsInserted(1)])],
        ),
        ("UPDATE audit_seals SET digest = zeroblob(32) WHERE number = 3", &[(3, &[SealFault::SealChanged])]),
        (
            "UPDATE audit_seals SET content = zeroblob(32) WHERE number = 2",
            &[(2, &[SealFault::SealChanged, SealFault::EventsChanged])],
        ),
        // Its end says nothing about the beginning of the next range.
        (
            "UPDATE audit_seals SET last_seq = 6 WHERE number = 1",
            &[(1, &[SealFault::SealChanged, SealFault::EventsInserted(2)])],
        ),
        ("DELETE FROM audit_seals WHERE number = 2", &[(3, &[SealFault::SealsMissing(1)])]),
        (
            "DELETE FROM audit_events WHERE seq IN (5, 6, 7, 8); UPDATE audit_seals SET pruned_by = 3 WHERE number = 2",
            &[(2, &[SealFault::PruningNotRecorded])],
        ),
        // A replacement with as many events.
        (
            "UPDATE audit_events SET seq = 100 WHERE seq = 5; UPDATE audit_events SET seq = 5 WHERE seq = 9;
             UPDATE audit_events SET seq = 9 WHERE seq = 100",
            &[(2, &[SealFault::EventsChanged]), (3, &[SealFault::EventsChanged])],
        ),
    ];
    for (sql, expected) in cases {
        let directory = directory();
        let (store, _) = sealed(&directory);
        tamper(&store, sql);
        let expected: Vec<_> = expected.iter().map(|(number, faults)| (*number, faults.to_vec())).collect();
        assert_eq!(check(&store), expected, "{sql}");
    }
}

#[test]
fn every_column_of_an_event_is_sealed() {
    let changes = [
        ("seq", "seq = -seq"),
        ("at", "at = at + 1"),
        ("user_id", "user_id = randomblob(16)"),
        ("actor_kind", "actor_kind = 'system'"),
        ("actor_id", "actor_id = randomblob(16)"),
        ("action", "action = 'sign_in.refused2'"),
        ("target_kind", "target_kind = 'session'"),
        ("target_id", "target_id = randomblob(16)"),
        ("address", "address = NULL"),
        ("request_id", "request_id = 'another'"),
        ("outcome", "outcome = 'success'"),
        ("detail", "detail = NULL"),
        ("actor_user_id", "actor_user_id = randomblob(16)"),
        ("erased_address", "address = NULL, erased_address = randomblob(32)"),
        ("erased_detail", "detail = NULL, erased_detail = randomblob(32)"),
    ];
    for (column, change) in changes {
        let directory = directory();
        let (store, ada) = sealed(&directory);
        // A user decides which salt an address and a detail get, so that a change would show without being sealed itself.
        let bare = Entry { detail: None, ..Entry::refused(Some(ada.id), Action::SignInRefused, "") };
        wait(store.record_refusal(bare, by())).unwrap();
        seal_all(&store);
        let (seq, seal) = if ["user_id", "actor_user_id"].contains(&column) { (13, 4) } else { (6, 2) };
        tamper(&store, format!("UPDATE audit_events SET {change} WHERE seq = {seq}"));
        let found = check(&store);
        let fault = if column == "seq" { SealFault::EventsMissing(1) } else { SealFault::EventsChanged };
        assert!(found.contains(&(seal, vec![fault])), "{column}: {found:?}");
    }
    let directory = directory();
    let connection = Connection::open(made(&directory)).unwrap();
    let mut info = connection.prepare("SELECT name FROM pragma_table_info('audit_events')").unwrap();
    let columns: Vec<String> = info.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(columns, changes.map(|(column, _)| column));
}

#[test]
fn an_event_that_moves_within_its_range_is_found() {
    let directory = directory();
    let store = open(&directory);
    for _ in 0..3 {
        let bare = Entry { detail: None, ..Entry::refused(None, Action::SignInRefused, "") };
        wait(store.record_refusal(bare, by())).unwrap();
    }
    // Databases leave numbers out.
    tamper(&store, "DELETE FROM audit_events WHERE seq = 2");
    seal_all(&store);
    assert_eq!(check(&store), []);
    tamper(&store, "UPDATE audit_events SET seq = 2 WHERE seq = 1");
    assert_eq!(check(&store), [(1, vec![SealFault::EventsChanged])]);
}

#[test]
fn a_range_is_closed_when_it_is_full_or_old() {
    let directory = directory();
    let store = open(&directory);
    let sealed =
        |plan| wait(store.seal_events(plan)).unwrap().map(|seal| (seal.number, seal.first, seal.last, seal.events));
    assert_eq!(sealed(plan(4, NOW)), None);
    for seconds in [100, 101, 102] {
        record(&store, None, seconds);
    }
    assert_eq!(sealed(plan(4, 99)), None, "its first event is younger");
    assert_eq!(sealed(plan(2, 99)), Some((1, 1, 2, 2)), "it is full");
    assert_eq!(sealed(plan(2, 99)), None);
    assert_eq!(sealed(plan(2, 102)), Some((2, 3, 3, 1)));
    assert_eq!(sealed(plan(2, NOW)), None);
    record(&store, None, NOW + 5);
    assert_eq!(sealed(plan(2, 0)), Some((3, 4, 4, 1)), "a time in the future does not keep it open");
    assert_eq!(wait(store.count_unsealed()), Ok(0));
    record(&store, None, 1);
    assert_eq!(wait(store.count_unsealed()), Ok(1));
    assert_eq!(check(&store), []);
    let latest = wait(store.latest_seal()).unwrap().unwrap();
    assert_eq!((latest.number, latest.kind), (3, SealKind::Events));
}

#[test]
fn an_erasure_before_or_after_the_seal_keeps_it_valid() {
    let directory = directory();
    let (store, ada) = sealed(&directory);
    let eve = person("eve");
    wait(store.add_user(eve.clone(), password(), by())).unwrap();
    let change = ProfileChange { email: Some(Email::parse("new@x.org").unwrap()), ..ProfileChange::default() };
    wait(store.change_profile(ada.id, change, by())).unwrap();
    let erase = |user: UserId| {
        wait(store.writer.submit(Vec::new(), move |connection| audit::erasure::erase(connection, user))).unwrap();
    };
    record(&store, Some(ada.id), 50);
    // The last events are not sealed yet.
    erase(ada.id);
    assert_eq!(check(&store), []);
    seal_all(&store);
    assert_eq!(check(&store), []);
    // The events of an erased user that are written later use the shared salt.
    for n in 0..3 {
        record(&store, Some(ada.id), 60 + n);
        record(&store, Some(eve.id), 60 + n);
    }
    seal_all(&store);
    assert_eq!(check(&store), []);
    erase(eve.id);
    erase(ada.id);
    assert_eq!(check(&store), []);
    tamper(&store, "UPDATE audit_events SET erased_address = zeroblob(32) WHERE seq = 2");
    assert_eq!(check(&store), [(1, vec![SealFault::EventsChanged])]);
}

fn prune(store: &SqliteStore, before: i64) -> u64 {
    let mut pruned = 0;
    loop {
        match wait(store.prune_events(Timestamp::from_unix(before), Timestamp::from_unix(NOW))).unwrap() {
            0 => return pruned,
            some => pruned += some,
        }
    }
}

#[test]
fn pruning_deletes_whole_ranges_and_is_recorded_in_the_chain() {
    let directory = directory();
    let (store, ada) = sealed(&directory);
    assert_eq!(prune(&store, 12), 0, "a range is pruned when all its events are old");
    // The events of the first two ranges are from the seconds 2 and 10 to 16.
    assert_eq!(prune(&store, 17), 8);
    assert_eq!(prune(&store, 17), 0);
    let pruned_by: Vec<Option<i64>> = checked(&store).iter().map(|checked| checked.pruned_by).collect();
    assert_eq!(pruned_by, [Some(4), Some(4), None, None]);
    let latest = wait(store.latest_seal()).unwrap().unwrap();
    assert_eq!((latest.kind, latest.first, latest.last, latest.events), (SealKind::Pruning, 1, 8, 8));
    assert_eq!(latest.latest_at, Timestamp::from_unix(16));
    assert_eq!(check(&store), []);
    record(&store, Some(ada.id), 30);
    seal_all(&store);
    assert_eq!(prune(&store, NOW), 5);
    assert_eq!(check(&store), []);
}

#[test]
fn the_latest_time_of_a_range_counts_if_the_clock_went_back() {
    let directory = directory();
    let store = open(&directory);
    for seconds in [30, 20] {
        record(&store, None, seconds);
    }
    seal_all(&store);
    let latest = wait(store.latest_seal()).unwrap().unwrap();
    assert_eq!((latest.events, latest.latest_at), (2, Timestamp::from_unix(30)));
    assert_eq!((prune(&store, 25), prune(&store, 31)), (0, 2));
}

#[test]
fn one_pruning_deletes_at_most_500_events() {
    let directory = directory();
    let store = open(&directory);
    let insert = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 600)
                  INSERT INTO audit_events (at, actor_kind, action, target_kind, outcome)
                  SELECT i, 'system', 'user.created', 'user', 'success' FROM n";
    wait(store.writer.submit(Vec::new(), move |connection| Ok(connection.execute(insert, [])?))).unwrap();
    while wait(store.seal_events(plan(200, NOW))).unwrap().is_some() {}
    let once = || wait(store.prune_events(Timestamp::from_unix(NOW), Timestamp::from_unix(NOW))).unwrap();
    assert_eq!([once(), once(), once()], [400, 200, 0]);
    assert_eq!(check(&store), []);
}

#[test]
fn a_seal_that_another_process_was_faster_to_add_is_not_stored() {
    let directory = directory();
    let (store, _) = sealed(&directory);
    let latest = wait(store.latest_seal()).unwrap().unwrap();
    let add =
        |seal: Seal| wait(store.writer.submit(Vec::new(), move |connection| audit::seals::add(connection, &seal)));
    let next = Seal { number: latest.number + 1, first: latest.last + 1, last: latest.last + 1, ..latest.clone() };
    assert_eq!(add(latest.clone()), Ok(false), "its number is taken");
    assert_eq!(add(next.clone().after(Some(&latest.content))), Ok(false), "it does not follow the latest");
    let later = Seal { number: next.number + 1, ..next.clone() };
    assert_eq!(add(later.after(Some(&latest.digest))), Ok(false), "a number is left out");
    assert_eq!(wait(store.latest_seal()).unwrap(), Some(latest.clone()));
    assert_eq!(add(next.after(Some(&latest.digest))), Ok(true));
}

#[test]
fn what_looks_like_pruning_but_was_done_by_hand_is_found() {
    let cases: [(&str, i64, SealFault); 5] = [
        ("DELETE FROM audit_events WHERE seq BETWEEN 9 AND 12", 3, SealFault::EventsMissing(4)),
        (
            "DELETE FROM audit_events WHERE seq BETWEEN 9 AND 12; UPDATE audit_seals SET pruned_by = 4 WHERE number = 3",
            4,
            SealFault::PruningChanged,
        ),
        ("UPDATE audit_seals SET pruned_by = 5 WHERE number = 1", 1, SealFault::PruningNotRecorded),
        ("UPDATE audit_seals SET pruned_by = NULL WHERE number = 1", 1, SealFault::EventsMissing(4)),
        (
            "INSERT INTO audit_events (seq, at, actor_kind, action, target_kind, outcome)
             VALUES (3, 5, 'system', 'user.created', 'user', 'success')",
            1,
            SealFault::EventsInserted(1),
        ),
    ];
    for (sql, number, fault) in cases {
        let directory = directory();
        let (store, _) = sealed(&directory);
        prune(&store, 17);
        record(&store, None, 20);
        seal_all(&store);
        assert_eq!(check(&store), []);
        tamper(&store, sql);
        let found = check(&store);
        assert!(found.iter().any(|(at, faults)| *at == number && faults.contains(&fault)), "{sql}: {found:?}");
    }
}

#[test]
fn a_seal_cannot_be_changed_or_deleted() {
    let directory = directory();
    let (store, _) = sealed(&directory);
    for sql in [
        "DELETE FROM audit_seals",
        "UPDATE audit_seals SET digest = zeroblob(32)",
        "UPDATE audit_seals SET pruned_by = 1",
        "INSERT INTO audit_pruning (only_row, before) VALUES (1, 99); UPDATE audit_seals SET events = 1 WHERE number = 1",
        "INSERT INTO audit_pruning (only_row, before) VALUES (1, 3); UPDATE audit_seals SET pruned_by = 3 WHERE number = 1",
    ] {
        let done = wait(store.writer.submit(Vec::new(), move |connection| Ok(connection.execute_batch(sql)?)));
        assert!(matches!(done, Err(StoreError::Internal(_))), "{sql}: {done:?}");
    }
    assert_eq!(check(&store), []);
}

#[test]
fn seals_and_their_events_are_read_by_indexes() {
    let directory = directory();
    let store = open(&directory);
    use crate::store::sql::audit::{pruning, seals};
    let by_key = "SEARCH audit_seals USING INTEGER PRIMARY KEY (rowid>?)";
    assert_eq!(statements::plan(&store, seals::LATEST), ["SCAN audit_seals"], "backwards, one row");
    assert_eq!(statements::plan(&store, seals::LAST_SEALED), ["SCAN audit_seals"], "backwards, to the first match");
    assert_eq!(statements::plan(&store, seals::AFTER), [by_key]);
    assert_eq!(
        statements::plan(&store, seals::PRUNED_BY),
        ["SEARCH audit_seals USING INDEX audit_seals_by_pruning (pruned_by=?)"]
    );
    assert_eq!(
        statements::plan(&store, pruning::OLD),
        ["SEARCH audit_seals USING INDEX audit_seals_to_prune (latest_at<?)"]
    );
    assert_eq!(
        statements::plan(&store, seals::EVENTS),
        [
            "SEARCH s USING PRIMARY KEY (user_id=?)",
            "SEARCH e USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)",
            "SEARCH a USING PRIMARY KEY (user_id=?) LEFT-JOIN",
            "SEARCH d USING PRIMARY KEY (user_id=?) LEFT-JOIN",
        ]
    );
}
