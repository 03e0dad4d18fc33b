//! Which attempts are throttled.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use futures_util::FutureExt;

use super::*;
use crate::domain::attempts::SavedAttempts;

fn settings() -> config::Throttle {
    config::Config::load(config::Sources::default()).unwrap().throttle
}

/// A throttle with the default limits: ten failures at once for an account from one network, a hundred for an account from
/// anywhere, fifty from one network.
fn throttle() -> Throttle {
    let now = Timestamp::from_unix(1_700_000_000);
    Throttle::new(&settings(), &Clock::new(move || now), [1; 32])
}

fn email(name: &str) -> Email {
    Email::parse(&format!("{name}@example.com")).unwrap()
}

/// How many of `attempts` failing sign-ins are allowed.
fn failures(throttle: &Throttle, client: &str, name: &str, attempts: u32) -> u32 {
    let allowed =
        (0..attempts).filter_map(|_| throttle.sign_in(client.parse().unwrap(), &email(name)).open_here().ok());
    allowed.filter_map(|attempt| attempt.end(&Err::<(), _>(Error::SignInRefused)).now_or_never()).count() as u32
}

fn is_allowed(throttle: &Throttle, client: &str, name: &str) -> bool {
    throttle.sign_in(client.parse().unwrap(), &email(name)).open_here().is_ok()
}

#[test]
fn guesses_from_one_network_do_not_lock_the_owner_out() {
    let throttle = throttle();
    assert_eq!(failures(&throttle, "192.0.2.1", "ada", 12), 10);
    assert!(!is_allowed(&throttle, "192.0.2.1", "ada"));
    assert!(is_allowed(&throttle, "192.0.2.2", "ada"), "from another network");
    assert!(is_allowed(&throttle, "192.0.2.1", "bob"), "for another account");
    assert!(!is_allowed(&throttle, "::ffff:192.0.2.1", "ada"), "a mapped address is its IPv4");
}

#[test]
fn what_is_held_agrees_with_what_is_allowed() {
    let throttle = throttle();
    let client = "192.0.2.1".parse().unwrap();
    let held = |throttle: &Throttle| throttle.shown(throttle.held_here(&throttle.of_account(&email("ada"), None)));
    assert_eq!(held(&throttle), []);
    for failed in 1..=10 {
        failures(&throttle, "192.0.2.1", "ada", 1);
        let first = held(&throttle)[0];
        assert_eq!((first.scope, first.left), (Scope::AccountFromNetwork, 10 - failed));
        assert_eq!(first.blocked_until.is_some(), failed == 10);
    }
    let refused = throttle.sign_in(client, &email("ada")).open_here().err().unwrap();
    assert_eq!(held(&throttle)[0].blocked_until, Some(refused.resets_at));
    // An attempt that is open takes a place.
    let open = throttle.sign_in("192.0.2.2".parse().unwrap(), &email("ada")).open_here().unwrap();
    let account = held(&throttle).into_iter().find(|held| held.scope == Scope::Account).unwrap();
    assert_eq!((account.limit, account.left), (100, 89));
    drop(open);
    // The counters of the address include those of the account from there.
    let scopes: Vec<_> =
        throttle.shown(throttle.held_here(&throttle.of_address(client))).iter().map(|held| held.scope).collect();
    assert_eq!(scopes, [Scope::AccountFromNetwork, Scope::Network]);
}

#[test]
fn cleared_counters_are_neither_held_nor_saved() {
    let throttle = throttle();
    failures(&throttle, "192.0.2.1", "ada", 10);
    failures(&throttle, "192.0.2.1", "bob", 10);
    let account = throttle.of_account(&email("ada"), None);
    throttle.counters.clear(|key| account.iter().any(|of| of.includes(key)));
    assert!(throttle.held_here(&account).is_empty() && is_allowed(&throttle, "192.0.2.1", "ada"));
    assert!(!is_allowed(&throttle, "192.0.2.1", "bob"));
    assert!(throttle.unsaved().iter().all(|(counter, _)| !account.iter().any(|of| of.includes(&counter.key))));
}

#[test]
fn many_networks_together_reach_the_limit_of_the_account() {
    let throttle = throttle();
    let allowed: u32 = (0..30).map(|n| failures(&throttle, &format!("192.0.2.{n}"), "ada", 12)).sum();
    assert_eq!(allowed, 100);
    assert!(!is_allowed(&throttle, "198.51.100.1", "ada"));
    assert!(is_allowed(&throttle, "198.51.100.1", "bob"));
}

#[test]
fn one_network_reaches_its_own_limit_over_many_accounts() {
    let throttle = throttle();
    let allowed: u32 = (0..100).map(|n| failures(&throttle, "192.0.2.1", &format!("user{n}"), 1)).sum();
    assert_eq!(allowed, 50);
    assert!(is_allowed(&throttle, "192.0.2.2", "user99"));
}

#[test]
fn changing_networks_within_an_ipv6_site_does_not_avoid_the_limit() {
    let throttle = throttle();
    let inside = |n: u32| format!("2001:db8:1:{n:x}::1");
    assert_eq!(failures(&throttle, &inside(1), "ada", 12), 10, "a network of 64 bits is one address");
    assert_eq!(failures(&throttle, "2001:db8:1:1:ffff::2", "ada", 12), 0);
    let allowed: u32 = (2..1000).map(|n| failures(&throttle, &inside(n), "ada", 2)).sum();
    assert_eq!(allowed, 10, "the site has twice the limit");
    assert!(is_allowed(&throttle, "2001:db8:2::1", "ada"), "another site");

    let throttle = self::throttle();
    let allowed: u32 = (0..1000).map(|n| failures(&throttle, &inside(n), &format!("user{n}"), 1)).sum();
    assert_eq!(allowed, 100, "and over many accounts");
}

#[test]
fn undecided_and_successful_attempts_do_not_count_as_failures() {
    let throttle = throttle();
    let attempt = || throttle.sign_in("192.0.2.1".parse().unwrap(), &email("ada")).open_here().unwrap();
    for _ in 0..200 {
        attempt().end(&Err::<(), _>(Error::Busy)).now_or_never();
        attempt().end(&Err::<(), _>(Error::Exhausted("memory"))).now_or_never();
        attempt()
            .end(&Err::<(), _>(Error::Store(crate::store::StoreError::Unavailable("on purpose".into()))))
            .now_or_never();
        attempt().end(&Ok(())).now_or_never();
        // Dropped before its work began.
        drop(attempt());
    }
    assert_eq!(failures(&throttle, "192.0.2.1", "ada", 12), 10);
}

#[test]
fn disconnecting_before_the_answer_counts_as_a_failure() {
    let throttle = throttle();
    for _ in 0..10 {
        let mut attempt = throttle.sign_in("192.0.2.1".parse().unwrap(), &email("ada")).open_here().unwrap();
        attempt.begin();
        drop(attempt);
    }
    assert!(!is_allowed(&throttle, "192.0.2.1", "ada"));
}

#[test]
fn simultaneous_guesses_are_limited_like_sequential_ones() {
    let throttle = throttle();
    let open: Vec<_> = (0..30)
        .filter_map(|_| throttle.sign_in("192.0.2.1".parse().unwrap(), &email("ada")).open_here().ok())
        .collect();
    assert_eq!(open.len(), 10);
}

#[test]
fn successful_sign_ins_are_limited_by_account() {
    let throttle = throttle();
    let attempt =
        |n: u32, name: &str| throttle.sign_in(IpAddr::from([192, 0, 2, (n % 250) as u8]), &email(name)).open_here();
    let allowed = (0..2000)
        .filter_map(|n| attempt(n, "ada").ok())
        .filter_map(|attempt| attempt.end(&Ok(())).now_or_never())
        .count();
    assert_eq!(allowed, 1000);
    assert!(attempt(1, "bob").is_ok());
}

#[test]
fn a_signed_in_user_is_limited_by_session_and_user_only() {
    let throttle = throttle();
    let user = UserId::new(uuid::Uuid::from_u128(1));
    let session = |n: u128| SessionId::new(uuid::Uuid::from_u128(n));
    for n in 0..20 {
        failures(&throttle, &format!("192.0.2.{n}"), "ada", 20);
    }
    let fail = |n: u128| {
        throttle
            .confirmation(session(n), user)
            .open_here()
            .map(|open| open.end(&Err::<(), _>(Error::NotFound)).now_or_never())
    };
    assert_eq!((0..20).filter(|_| fail(1).is_ok()).count(), 10, "failures of strangers do not count");
    assert_eq!(
        (2..100).map(|n| (0..20).filter(|_| fail(n).is_ok()).count()).sum::<usize>(),
        90,
        "the limit of the user over many sessions"
    );
    let other = UserId::new(uuid::Uuid::from_u128(2));
    assert!(throttle.confirmation(session(999), other).open_here().is_ok());

    let change =
        |n: u128| throttle.address_change(session(n), other).open_here().map(|open| open.end(&Ok(())).now_or_never());
    assert_eq!((0..40).filter(|_| change(1000).is_ok()).count(), 10, "a successful change counts as well");
}

#[test]
fn an_ipv6_network_is_one_client_and_a_mapped_address_is_its_ipv4() {
    let network = |text: &str| network(text.parse().unwrap()).to_string();
    assert_eq!(network("2001:db8:1:2:3:4:5:6"), network("2001:db8:1:2::1"));
    assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
    assert_eq!(network("::ffff:192.0.2.1"), "192.0.2.1");
    let site = |text: &str| site(text.parse().unwrap()).map(|site| site.to_string());
    assert_eq!(site("2001:db8:1:2:3:4:5:6"), site("2001:db8:1:ffff::1"));
    assert_ne!(site("2001:db8:1:2::1"), site("2001:db8:2:2::1"));
    assert_eq!(site("::ffff:192.0.2.1"), None);
}

/// A clock whose time and uptime the test moves.
fn clock(time: &Arc<AtomicI64>, uptime: &Arc<AtomicI64>) -> Clock {
    let (time, uptime) = (Arc::clone(time), Arc::clone(uptime));
    Clock::with_uptime(
        move || Timestamp::from_unix(time.load(Ordering::SeqCst)),
        move || Duration::from_secs(uptime.load(Ordering::SeqCst).unsigned_abs()),
    )
}

fn unsaved(throttle: &Throttle) -> SavedAttempts {
    let counters = throttle.unsaved().into_iter().map(|(counter, _)| counter).collect();
    SavedAttempts { key: *throttle.key.read().unwrap(), counters }
}

#[test]
fn a_restart_keeps_the_counters_even_if_the_clock_was_moved() {
    const MINUTE: i64 = 60;
    let (time, uptime) = (Arc::new(AtomicI64::new(1_700_000_000)), Arc::new(AtomicI64::new(5000)));
    let before = Throttle::new(&settings(), &clock(&time, &uptime), [9; 32]);
    assert_eq!(failures(&before, "192.0.2.1", "ada", 12), 10);
    let saved = unsaved(&before);
    assert_eq!(saved.counters.len(), 3);

    let restarted = |moved: i64| {
        let time = Arc::new(AtomicI64::new(1_700_000_000 + moved));
        let uptime = Arc::new(AtomicI64::new(0));
        let after = Throttle::new(&settings(), &clock(&time, &uptime), [3; 32]);
        after.restore(saved.clone());
        (after, uptime)
    };
    let retry_after = |throttle: &Throttle| {
        let throttled = throttle.sign_in("192.0.2.1".parse().unwrap(), &email("ada")).open_here().err();
        throttled.map(|throttled| throttled.retry_after.as_secs())
    };
    // At once, after five seconds, and after the window of two minutes.
    assert_eq!(retry_after(&restarted(0).0), Some(12));
    assert_eq!(retry_after(&restarted(5).0), Some(7));
    assert_eq!(retry_after(&restarted(2 * MINUTE).0), None);
    assert_eq!(failures(&restarted(MINUTE).0, "192.0.2.1", "ada", 12), 5, "half of the window is over");

    // If the clock was set back by a year, the wait is at most the window. If it was set ahead, there is none.
    let year = 365 * 24 * 60 * MINUTE;
    let (after, uptime) = restarted(-year);
    assert_eq!(retry_after(&after), Some(12));
    uptime.fetch_add(2 * MINUTE, Ordering::SeqCst);
    assert_eq!(failures(&after, "192.0.2.1", "ada", 12), 10, "all of it is over after the window");
    assert_eq!(retry_after(&restarted(year).0), None);
}

#[test]
fn saved_digests_depend_on_the_key() {
    let digests = |key| {
        let throttle = Throttle::new(&settings(), &Clock::system(), key);
        failures(&throttle, "192.0.2.1", "ada", 1);
        let mut digests: Vec<_> = unsaved(&throttle).counters.iter().map(|counter| counter.key.subject).collect();
        digests.sort_unstable();
        digests
    };
    assert_eq!(digests([1; 32]), digests([1; 32]));
    assert_ne!(digests([1; 32]), digests([2; 32]));
}
