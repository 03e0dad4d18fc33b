//! The counts of uses are exact: between threads, over reloads of a record, failed writes, midnight and a shutdown.

use std::time::Duration;

use patd::{
    domain::{
        ability::Ability,
        token_usage::{Day, UsageKind},
    },
    ops::{
        Context,
        authorization::{self, RuleRequirement},
        state::{measurements::Via, uses::TURNS},
        verification::{self, Caller, Check},
    },
    store::{BatchSeries, Store},
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    harness::{Client, TestApp, block_on},
    outage::{Fault, Faulty, Switch},
};

const POLICY: &str = r#"
[[policies]]
name = "app"
rules = [
    { methods = ["GET"], paths = ["/calls/**"], abilities = ["calls:read"] },
    { paths = ["/calls/**"], abilities = ["calls:read", "calls:write"] },
    { paths = ["/me"], credentials = ["session"] },
]
"#;

struct UsedToken {
    secret: String,
    number: i64,
}

fn token(app: &TestApp, owner: &Client<'_>, abilities: &[&str]) -> UsedToken {
    let created = owner.create_token(json!({ "name": "t", "abilities": abilities }));
    let id = patd::domain::id::TokenId::parse(created["id"].as_str().unwrap()).unwrap();
    let number = block_on(app.ops.store.token(id)).unwrap().number;
    UsedToken { secret: created["token"].as_str().unwrap().to_owned(), number }
}

/// Checks a token against a rule of the only policy.
async fn check(ctx: &Context, secret: &str, rule: usize) -> bool {
    let policy = &ctx.rules.policies[0];
    let patd::domain::policy::Access::Credential { kinds, abilities } = &policy.rules()[rule].access else { panic!() };
    let requirement = RuleRequirement { kinds, abilities, counted: Some((policy, rule)) };
    authorization::authorize(ctx, secret, Caller::default(), requirement).await.is_ok()
}

async fn verify(ctx: &Context, secret: &str, ability: &str) {
    let abilities = vec![Ability::parse(ability).unwrap()];
    let check = Check { token: secret.to_owned(), abilities, caller: Caller::default() };
    verification::verify(ctx, Via::Verify, &check).await.unwrap();
}

/// The rows of a token, which a database returns in any order, sorted: day (from the first one on), kind, name, allowed, refused.
fn stored(store: &dyn Store, token: &UsedToken) -> Vec<(i64, UsageKind, String, u64, u64)> {
    let usage =
        block_on(store.usage_of(token.number, Day::MIN, BatchSeries { process: Uuid::nil(), part: 0 })).unwrap();
    let first = usage.counts.first().map_or(0, |count| count.day.number());
    let row = |count: patd::domain::token_usage::UsageCount| {
        let day = count.day.number() - first;
        (day, count.kind, count.name.into(), count.counts.allowed, count.counts.refused)
    };
    let mut rows: Vec<_> = usage.counts.into_iter().map(row).collect();
    rows.sort_by(|a, b| (a.0, a.1.as_str(), &a.2).cmp(&(b.0, b.1.as_str(), &b.2)));
    rows
}

fn ability(name: &str, allowed: u64, refused: u64) -> (i64, UsageKind, String, u64, u64) {
    (0, UsageKind::Ability, name.to_owned(), allowed, refused)
}

fn policy(allowed: u64, refused: u64) -> (i64, UsageKind, String, u64, u64) {
    (0, UsageKind::Policy, "app".to_owned(), allowed, refused)
}

fn app() -> TestApp {
    TestApp::with_file(POLICY, &[])
}

fn failing_app() -> (Switch, TestApp) {
    let (switch, wrap) = Faulty::switched();
    (switch, TestApp::with_file_and_store(POLICY, &[], wrap))
}

#[test]
fn a_million_checks_by_eight_threads_are_a_million_in_the_table() {
    const THREADS: u64 = 8;
    const EACH: u64 = 125_000;
    let app = app();
    let ada = app.sign_in("ada");
    let used = token(&app, &ada, &["calls:*"]);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| {
                    block_on(async {
                        for n in 0..EACH {
                            assert!(check(&app.ops, &used.secret, (n % 2) as usize).await);
                        }
                    });
                })
            })
            .collect();
        // Counts are collected and written, and the cached record is replaced, while they are counted.
        let mut renamed = 0;
        while threads.iter().any(|thread| !thread.is_finished()) {
            block_on(async {
                for _ in 0..TURNS {
                    app.ops.flush_some_uses().await.unwrap();
                }
            });
            renamed += 1;
            let path = format!("/api/v1/user/api-tokens/{}", block_on(id_of(&app, &used)));
            assert_eq!(ada.patch(&path, json!({ "name": format!("t{renamed}") })).status, 200);
        }
        assert!(renamed > 1);
    });
    block_on(app.ops.flush_uses()).unwrap();
    let (all, half) = (THREADS * EACH, THREADS * EACH / 2);
    assert_eq!(
        stored(&*app.ops.store, &used),
        [ability("calls:read", all, 0), ability("calls:write", half, 0), policy(all, 0)]
    );
}

async fn id_of(app: &TestApp, token: &UsedToken) -> patd::domain::id::TokenId {
    let prefixes = &app.ops.rules.prefixes;
    let hash = patd::domain::secret::PresentedCredential::parse(&token.secret, prefixes).unwrap().hash;
    app.ops.credentials.token_by_hash(&hash).await.unwrap().unwrap().token.id
}

#[test]
fn what_was_counted_before_a_shutdown_is_on_disk_after_it() {
    let mut app = TestApp::with_file(POLICY, &[("server.trusted_proxies", "127.0.0.1/32")]);
    let ada = app.sign_in("ada");
    let used = token(&app, &ada, &["calls:read", "user:read"]);
    let client = app.bearer(&used.secret);
    for _ in 0..3 {
        assert_eq!(client.get("/api/user").status, 200);
        let target = [("X-Original-Method", "GET"), ("X-Original-URI", "/calls/1")];
        assert_eq!(client.send_with("GET", "/api/authz/auth-request/app", &target, &[]).status, 200);
    }
    app.stop();
    assert_eq!(stored(&*app.ops.store, &used), [ability("calls:read", 3, 0), ability("user:read", 3, 0), policy(3, 0)]);
}

#[test]
fn a_failed_write_loses_nothing_and_counts_nothing_twice() {
    let (switch, app) = failing_app();
    let ada = app.sign_in("ada");
    let used = token(&app, &ada, &["calls:read"]);
    let checks = |times| block_on(async { while_checking(&app.ops, &used.secret, times).await });
    checks(5);
    switch.fail_writes();
    assert!(block_on(app.ops.flush_uses()).is_err());
    checks(7);
    assert!(block_on(app.ops.flush_uses()).is_err());
    switch.heal();
    checks(11);
    block_on(app.ops.flush_uses()).unwrap();
    assert_eq!(stored(&*app.ops.store, &used), [ability("calls:read", 23, 0), policy(23, 0)]);
}

async fn while_checking(ctx: &Context, secret: &str, times: u64) {
    for _ in 0..times {
        assert!(check(ctx, secret, 0).await);
    }
}

#[test]
fn a_write_whose_outcome_was_unknown_is_not_added_twice() {
    let (switch, wrap) = Faulty::switched_to(Fault::AnswersLate);
    let app = TestApp::with_file_and_store(POLICY, &[], wrap);
    let ada = app.sign_in("ada");
    let used = token(&app, &ada, &["calls:read"]);
    block_on(async {
        // The time of the last use is written, so that only counts are left.
        while_checking(&app.ops, &used.secret, 1).await;
        app.ops.flush_uses().await.unwrap();
        while_checking(&app.ops, &used.secret, 4).await;
        switch.fail_writes();
        // The store makes the change and does not answer in time.
        let flush = tokio::time::timeout(Duration::from_millis(500), app.ops.flush_uses());
        assert!(flush.await.is_err());
        switch.heal();
        while_checking(&app.ops, &used.secret, 7).await;
        app.ops.flush_uses().await.unwrap();
        app.ops.flush_uses().await.unwrap();
    });
    assert_eq!(stored(&*app.ops.store, &used), [ability("calls:read", 12, 0), policy(12, 0)]);
}

#[test]
fn a_day_ends_at_midnight_of_the_clock() {
    let app = app();
    let ada = app.sign_in("ada");
    let used = token(&app, &ada, &["calls:read"]);
    block_on(async {
        while_checking(&app.ops, &used.secret, 2).await;
        app.advance(Duration::from_hours(5) - Duration::from_secs(1));
        while_checking(&app.ops, &used.secret, 3).await;
        app.advance(Duration::from_secs(1));
        while_checking(&app.ops, &used.secret, 4).await;
        app.ops.flush_uses().await.unwrap();
    });
    let by_day = |day, row: (i64, UsageKind, String, u64, u64)| (day, row.1, row.2, row.3, row.4);
    assert_eq!(
        stored(&*app.ops.store, &used),
        [
            by_day(0, ability("calls:read", 5, 0)),
            by_day(0, policy(5, 0)),
            by_day(1, ability("calls:read", 4, 0)),
            by_day(1, policy(4, 0))
        ]
    );
}

#[test]
fn at_most_as_many_abilities_as_configured_are_counted_by_name() {
    let app = TestApp::with_file(POLICY, &[("usage.max_abilities", "2")]);
    let ada = app.sign_in("ada");
    let used = token(&app, &ada, &["calls:*"]);
    let ask = |names: &[&str]| {
        block_on(async {
            for name in names {
                verify(&app.ops, &used.secret, name).await;
            }
        });
    };
    ask(&["calls:a", "calls:b", "calls:c", "calls:d", "agents:x"]);
    block_on(app.ops.flush_uses()).unwrap();
    ask(&["calls:e", "calls:b"]);
    block_on(app.ops.flush_uses()).unwrap();
    assert_eq!(
        stored(&*app.ops.store, &used),
        [ability("(other)", 3, 1), ability("calls:a", 1, 0), ability("calls:b", 2, 0)]
    );
}

#[test]
fn more_rules_than_a_record_has_counters_are_counted_too() {
    let rules: String = (0..9).map(|n| format!(r#"{{ paths = ["/{n}"], abilities = ["calls:{n}"] }},"#)).collect();
    let app = TestApp::with_file(&format!("[[policies]]\nname = \"app\"\nrules = [{rules}]"), &[]);
    let ada = app.sign_in("ada");
    let used = token(&app, &ada, &["*"]);
    block_on(async {
        for _ in 0..2 {
            for rule in 0..9 {
                assert!(check(&app.ops, &used.secret, rule).await);
            }
        }
        app.ops.flush_uses().await.unwrap();
    });
    let mut expected: Vec<_> = (0..9).map(|n| ability(&format!("calls:{n}"), 2, 0)).collect();
    expected.push(policy(18, 0));
    assert_eq!(stored(&*app.ops.store, &used), expected);
}

#[test]
fn a_token_that_is_deleted_meanwhile_does_not_stop_the_counts_of_others() {
    let app = app();
    let ada = app.sign_in("ada");
    let environment =
        ada.post("/api/v1/environments", json!({ "name": "e" })).body["data"]["id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/environments/{environment}");
    let created = ada.post(&format!("{path}/tokens"), json!({ "name": "t", "abilities": ["calls:read"] }));
    let deleted = created.body["data"]["token"].as_str().unwrap();
    let used = token(&app, &ada, &["calls:read"]);
    block_on(async {
        while_checking(&app.ops, deleted, 2).await;
        while_checking(&app.ops, &used.secret, 3).await;
    });
    assert_eq!(ada.delete(&path).status, 200);
    block_on(app.ops.flush_uses()).unwrap();
    assert_eq!(stored(&*app.ops.store, &used), [ability("calls:read", 3, 0), policy(3, 0)]);
}

#[test]
fn counts_are_deleted_after_the_days_that_are_kept() {
    let app = TestApp::with_file(POLICY, &[("usage.keep_days", "3")]);
    let ada = app.sign_in("ada");
    let used = token(&app, &ada, &["calls:read"]);
    let day = || {
        block_on(async {
            check(&app.ops, &used.secret, 0).await;
            app.ops.flush_uses().await.unwrap();
            app.ops.run_maintenance().await.unwrap();
        });
        stored(&*app.ops.store, &used).len() / 2
    };
    // Small steps: a larger one is a jump of the clock, after which nothing is deleted.
    let mut kept = vec![day()];
    for _ in 0..4 {
        app.advance(Duration::from_hours(24));
        kept.push(day());
    }
    assert_eq!(kept, [1, 2, 3, 3, 3]);
}

#[test]
fn the_switch_turns_all_counts_off() {
    let app = TestApp::with_file(POLICY, &[("usage.enabled", "false")]);
    let ada = app.sign_in("ada");
    let used = token(&app, &ada, &["calls:read"]);
    block_on(async {
        check(&app.ops, &used.secret, 0).await;
        check(&app.ops, &used.secret, 1).await;
        verify(&app.ops, &used.secret, "calls:read").await;
        app.ops.flush_uses().await.unwrap();
    });
    assert_eq!(stored(&*app.ops.store, &used), []);
    let path = format!("/api/v1/user/api-tokens/{}", block_on(id_of(&app, &used)));
    assert_eq!(ada.get(&path).body["data"]["abilities_unused"], Value::Null);
    assert_eq!(ada.get(&format!("{path}/usage")).body["data"]["counted_since"], Value::Null);
}

#[test]
fn memory_for_names_that_requests_invent_is_bounded() {
    let app = TestApp::with_file(POLICY, &[("usage.max_abilities", "1000")]);
    let ada = app.sign_in("ada");
    let tokens: Vec<UsedToken> = (0..60).map(|_| token(&app, &ada, &["*"])).collect();
    block_on(async {
        for used in &tokens {
            for n in 0..1000 {
                verify(&app.ops, &used.secret, &format!("a:{n}")).await;
            }
        }
        app.ops.flush_uses().await.unwrap();
    });
    let kept: usize = tokens.iter().map(|used| stored(&*app.ops.store, used).len()).sum();
    assert_eq!(kept, 50_000);
    // Once they are written, there is room again.
    let last = &tokens[59];
    block_on(async {
        verify(&app.ops, &last.secret, "a:999").await;
        app.ops.flush_uses().await.unwrap();
    });
    assert_eq!(stored(&*app.ops.store, last).len(), 1);
}
