//! Housekeeping and administrators seal the audit trail, and a verification counts what it finds.

use std::time::Duration;

use futures_util::future::join_all;
use patd::{
    domain::{
        audit::{Action, Attribution, Entry, RequestSource},
        seal::{Seal, SealReference},
    },
    ops::seals::{self, Checking, ExpectedSeal, Verification},
};

use crate::harness::{ADMINISTRATOR, TestApp, block_on};

/// A trail with one event, and no server that seals it meanwhile.
fn stopped(settings: &[(&'static str, &str)]) -> TestApp {
    let mut app = TestApp::with(settings);
    app.user("ada");
    app.stop_housekeeping();
    app
}

fn record(app: &TestApp, events: usize) {
    let by = Attribution { origin: RequestSource::COMMAND_LINE, at: app.ops.clock.now() };
    let refused = || Entry::refused(None, Action::SignInRefused, "unknown_user");
    let recorded = (0..events).map(|_| app.ops.store.record_refusal(refused(), by.clone()));
    block_on(join_all(recorded)).into_iter().for_each(Result::unwrap);
}

fn housekeeping(app: &TestApp) {
    block_on(app.ops.run_maintenance()).unwrap();
}

fn seal_all(app: &TestApp) -> Option<Seal> {
    block_on(seals::seal_all(&app.ops, ADMINISTRATOR)).unwrap()
}

fn verify(app: &TestApp, expected: Option<SealReference>) -> Verification {
    block_on(async {
        let mut checking = Checking::new(ADMINISTRATOR, expected);
        while checking.next(&app.ops).await.unwrap() {}
        checking.finish(&app.ops).await.unwrap()
    })
}

/// How many seals there are, how many events they have, and how many events have none.
fn counts(app: &TestApp) -> (u64, u64, u64) {
    let found = verify(app, None);
    assert!(found.is_intact() && found.faulty.is_empty());
    (found.seals, found.events, found.unsealed)
}

#[test]
fn housekeeping_seals_events_after_five_minutes_and_full_ranges_at_once() {
    let app = stopped(&[]);
    housekeeping(&app);
    app.advance(Duration::from_secs(299));
    housekeeping(&app);
    assert_eq!(counts(&app), (0, 0, 1));
    app.advance(Duration::from_secs(1));
    housekeeping(&app);
    assert_eq!(counts(&app), (1, 1, 0));
    record(&app, 1200);
    housekeeping(&app);
    assert_eq!(counts(&app), (3, 1001, 200));
    app.advance(Duration::from_secs(300));
    housekeeping(&app);
    assert_eq!(counts(&app), (4, 1201, 0));
}

#[test]
fn one_turn_of_housekeeping_adds_at_most_40_seals() {
    let app = stopped(&[]);
    for _ in 0..41 {
        record(&app, 500);
    }
    housekeeping(&app);
    assert_eq!(counts(&app), (40, 20_000, 501));
    housekeeping(&app);
    assert_eq!(counts(&app), (41, 20_500, 1));
}

#[test]
fn an_administrator_seals_everything_at_once() {
    let app = stopped(&[]);
    record(&app, 1200);
    let latest = seal_all(&app);
    assert_eq!(latest.as_ref().map(|seal| (seal.number, seal.events, seal.last)), Some((3, 201, 1201)));
    assert_eq!(counts(&app), (3, 1201, 0));
    assert_eq!(seal_all(&app), latest, "there is nothing new");
    assert_eq!(verify(&app, None).latest, latest);
}

#[test]
fn a_verification_counts_pruned_events_and_compares_the_expected_seal() {
    let app = stopped(&[("audit.prune_after", "10d")]);
    record(&app, 700);
    let old = seal_all(&app).unwrap();
    app.advance(Duration::from_secs(10 * 24 * 60 * 60));
    record(&app, 30);
    app.advance(Duration::from_secs(1));
    housekeeping(&app);
    let latest = seal_all(&app).unwrap();
    record(&app, 2);
    let expected = SealReference { number: old.number, digest: old.digest };
    let found = verify(&app, Some(expected));
    assert_eq!((found.events, found.pruned, found.unsealed), (30, 701, 2));
    assert_eq!(found.prunings.iter().map(|seal| seal.events).sum::<i64>(), 701);
    assert_eq!(found.seals, u64::try_from(latest.number).unwrap());
    assert_eq!((found.latest.as_ref(), found.expected), (Some(&latest), Some(ExpectedSeal::Found)));
    assert!(found.is_intact());
    for (number, outcome) in [(latest.number, ExpectedSeal::Differs), (latest.number + 1, ExpectedSeal::Missing)] {
        let found = verify(&app, Some(SealReference { number, ..expected }));
        assert_eq!((found.expected, found.is_intact()), (Some(outcome), false));
    }
}
