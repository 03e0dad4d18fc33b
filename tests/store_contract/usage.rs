//! The counts of what tokens did.

use patd::{
    domain::token_usage::{Counts, Day, OTHER_ABILITIES, UsageCount, UsageKind},
    store::{BatchSeries, UsageBatch},
};

use super::*;

fn count(day: i64, name: &str, allowed: u64, refused: u64) -> UsageCount {
    let counts = Counts { allowed, refused };
    UsageCount { day: Day::from_number(day), kind: UsageKind::Ability, name: name.into(), counts }
}

fn series(process: u128, part: u16) -> BatchSeries {
    BatchSeries { process: Uuid::from_u128(process), part }
}

fn batch(number: i64, counts: Vec<(i64, UsageCount)>) -> UsageBatch {
    UsageBatch { series: series(1, 7), number, counts, max_abilities: 2 }
}

async fn counted(store: &TestStore, token: &Token, first: i64) -> Vec<UsageCount> {
    store.usage_of(token.number, Day::from_number(first), series(1, 7)).await.unwrap().counts
}

pub(super) async fn the_counts_of_a_batch_are_added_once(store: &TestStore) {
    let ada = add(store, "ada").await;
    let (token, other) = (add_token(store, &ada, "a").await, add_token(store, &ada, "b").await);
    let first = batch(1, vec![(token.number, count(10, "x", 3, 1)), (other.number, count(10, "x", 1, 0))]);
    for _ in 0..3 {
        store.record_usage(first.clone()).await.unwrap();
    }
    assert_eq!(counted(store, &token, 0).await, [count(10, "x", 3, 1)]);
    // A deleted token is ignored.
    store
        .record_usage(batch(-2, vec![(9999, count(10, "x", 1, 0)), (token.number, count(10, "x", 2, 2))]))
        .await
        .unwrap();
    assert_eq!(counted(store, &token, 0).await, [count(10, "x", 5, 3)]);
    assert_eq!(counted(store, &other, 0).await, [count(10, "x", 1, 0)]);
    // The last batch of another part may have the same number.
    let again = batch(-3, vec![(other.number, count(10, "x", 1, 0))]);
    store.record_usage(UsageBatch { series: series(1, 0), ..again.clone() }).await.unwrap();
    store.record_usage(again).await.unwrap();
    assert_eq!(counted(store, &other, 0).await, [count(10, "x", 3, 0)]);
    let last_batch = async |part| store.usage_of(1, Day::MIN, series(1, part)).await.unwrap().last_batch;
    assert_eq!((last_batch(7).await, last_batch(8).await), (Some(-3), None));
}

pub(super) async fn each_process_repeats_its_last_batch_without_counting_twice(store: &TestStore) {
    let ada = add(store, "ada").await;
    let token = add_token(store, &ada, "a").await;
    let of = |process, number, allowed| UsageBatch {
        series: series(process, 7),
        ..batch(number, vec![(token.number, count(10, "x", allowed, 0))])
    };
    for (process, number, allowed) in [(1, 4, 1), (2, 4, 10), (1, 4, 1), (2, 4, 10), (1, 5, 100), (2, 4, 10)] {
        store.record_usage(of(process, number, allowed)).await.unwrap();
    }
    assert_eq!(counted(store, &token, 0).await, [count(10, "x", 111, 0)]);
    let last_batch = async |process| store.usage_of(1, Day::MIN, series(process, 7)).await.unwrap().last_batch;
    assert_eq!((last_batch(1).await, last_batch(2).await, last_batch(3).await), (Some(5), Some(4), None));
    // A process that wrote nothing since is forgotten when its counts are: those of the other still stand.
    store.record_usage(UsageBatch { counts: vec![(token.number, count(11, "x", 1, 0))], ..of(1, 6, 0) }).await.unwrap();
    assert_eq!(store.prune_usage(Day::from_number(11)).await, Ok(1));
    assert_eq!((last_batch(1).await, last_batch(2).await), (Some(6), None));
}

pub(super) async fn abilities_beyond_the_limit_are_counted_together(store: &TestStore) {
    let ada = add(store, "ada").await;
    let token = add_token(store, &ada, "a").await;
    let names =
        |day, names: &[&str]| names.iter().map(|name| (token.number, count(day, name, 1, 0))).collect::<Vec<_>>();
    store.record_usage(batch(1, names(10, &["a", "b", "c"]))).await.unwrap();
    store.record_usage(batch(2, names(11, &["b", "c", "d"]))).await.unwrap();
    let policy = UsageCount { kind: UsageKind::Policy, ..count(11, "c", 1, 0) };
    store.record_usage(batch(3, vec![(token.number, policy.clone())])).await.unwrap();
    let expected = [
        count(10, OTHER_ABILITIES, 1, 0),
        count(10, "a", 1, 0),
        count(10, "b", 1, 0),
        count(11, OTHER_ABILITIES, 2, 0),
        count(11, "b", 1, 0),
        policy,
    ];
    assert_eq!(counted(store, &token, 0).await, expected);
}

pub(super) async fn counts_of_old_days_are_left_out_and_pruned(store: &TestStore) {
    let ada = add(store, "ada").await;
    let token = add_token(store, &ada, "a").await;
    let days = (1..=4).map(|day| (token.number, count(day, "x", 1, 0))).collect();
    store.record_usage(batch(1, days)).await.unwrap();
    assert_eq!(counted(store, &token, 3).await, [count(3, "x", 1, 0), count(4, "x", 1, 0)]);
    assert_eq!(store.prune_usage(Day::from_number(3)).await, Ok(2));
    assert_eq!(store.prune_usage(Day::from_number(3)).await, Ok(0));
    assert_eq!(counted(store, &token, 0).await, [count(3, "x", 1, 0), count(4, "x", 1, 0)]);
}

pub(super) async fn the_start_of_the_counting_stays_until_it_is_switched_off(store: &TestStore) {
    let since = async || store.usage_of(1, Day::MIN, series(1, 0)).await.unwrap().counted_since;
    assert_eq!(since().await, None);
    store.set_usage_counting(Some(at(5))).await.unwrap();
    store.set_usage_counting(Some(at(9))).await.unwrap();
    assert_eq!(since().await, Some(at(5)));
    store.set_usage_counting(None).await.unwrap();
    assert_eq!(since().await, None);
    store.set_usage_counting(Some(at(20))).await.unwrap();
    assert_eq!(since().await, Some(at(20)));
}
