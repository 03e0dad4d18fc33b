//! What several stores on one database count and do together.

use std::num::NonZeroU32;

use uuid::Uuid;

use super::*;
use crate::{
    domain::{
        attempts::{AttemptRate, CounterKey, CountersOf, Scope},
        id::TokenId,
        token_usage::{Counts, Day, UsageCount, UsageKind},
    },
    store::{
        Access, AttemptAnswer, AuditTrail, BatchSeries, Counted, CredentialSource, Nodes, Permits, SharedCounters,
        Store, UsageBatch, UsageRecords,
    },
};

impl TestDatabase {
    /// Moves the time of the database forward.
    fn advance(&self, by: Duration) {
        let micros = by.as_micros();
        self.execute(&format!(
            "DO $do$ DECLARE body text := pg_get_functiondef('database_time'::regproc); BEGIN
                 EXECUTE regexp_replace(body, 'RETURN ', 'RETURN {micros} + ');
             END $do$"
        ));
    }

    /// Servers that have a lease.
    fn nodes<const N: usize>(&self) -> [PostgresStore; N] {
        let nodes = std::array::from_fn(|_| self.open(Access::Server));
        soon("all have a lease", || nodes.iter().all(CredentialSource::is_coherent));
        nodes
    }

    fn does_housekeeping(&self, store: &PostgresStore) -> bool {
        self.runtime.block_on(Nodes::does_housekeeping(store)).expect("an answer")
    }

    fn permits(&self, store: &PostgresStore, per_minute: u32) -> Permits {
        let family = TokenId::new(Uuid::from_u128(7));
        self.runtime.block_on(store.take_permits(family, per_minute)).expect("an answer")
    }

    fn attempt(&self, store: &PostgresStore, counters: &[(CounterKey, AttemptRate)]) -> AttemptAnswer {
        self.runtime.block_on(store.count_attempt(counters.to_vec())).expect("an answer")
    }

    fn attempts_allowed(&self, stores: &[PostgresStore], counters: &[(CounterKey, AttemptRate)]) -> usize {
        let turns = stores.iter().cycle().take(100);
        turns.take_while(|store| matches!(self.attempt(store, counters), AttemptAnswer::Counted(_))).count()
    }
}

#[test]
fn two_nodes_repeat_their_last_batches_and_nothing_counts_twice() {
    let Some(database) = TestDatabase::new() else { return };
    let stores = database.nodes::<2>();
    database.execute(
        "INSERT INTO tokens (number, id, owner_id, hash, hint, name, abilities, created_at, family_id)
         VALUES (1, '00000000-0000-0000-0000-000000000003', '00000000-0000-0000-0000-000000000001', random_key(), 'abcd', 't',
                 '', 1, '00000000-0000-0000-0000-000000000003')",
    );
    let series = |node: usize| BatchSeries { process: Uuid::from_u128(node as u128), part: 0 };
    let batch = |node| {
        let counts = Counts { allowed: 1 + 9 * node as u64, refused: 0 };
        let count = UsageCount { day: Day::from_number(5), kind: UsageKind::Ability, name: "x".into(), counts };
        UsageBatch { series: series(node), number: 0, counts: vec![(1, count)], max_abilities: 9 }
    };
    for node in [0, 1, 0, 1] {
        database.runtime.block_on(stores[node].record_usage(batch(node))).expect("recorded");
    }
    for (node, store) in stores.iter().enumerate() {
        let usage = database.runtime.block_on(store.usage_of(1, Day::MIN, series(node))).expect("usage");
        assert_eq!(usage.counts.iter().map(|count| count.counts.allowed).collect::<Vec<_>>(), [11]);
        assert_eq!(usage.last_batch, Some(0));
    }
}

#[test]
fn one_node_does_the_housekeeping_and_another_takes_over_when_it_is_fenced_or_leaves() {
    let Some(database) = TestDatabase::new() else { return };
    let [first, second] = database.nodes();
    let command = database.open(Access::Existing);
    assert!(!database.does_housekeeping(&command), "it is no node");
    assert!(database.does_housekeeping(&first));
    for _ in 0..2 {
        assert!(!database.does_housekeeping(&second));
        assert!(database.does_housekeeping(&first), "it goes on");
    }
    // As the others do with a node that hangs or was killed.
    database.execute("UPDATE nodes SET state = 'fencing' WHERE id = (SELECT node_id FROM housekeeping)");
    assert!(database.does_housekeeping(&second));
    soon("the first one registers again", || {
        database.read::<i64>("SELECT count(*) FROM nodes WHERE state = 'active'") == 2
    });
    assert!(!database.does_housekeeping(&first));
    database.runtime.block_on(second.close()).expect("closed");
    assert!(database.does_housekeeping(&first));
}

#[test]
fn two_nodes_that_both_do_the_housekeeping_seal_and_prune_each_event_once() {
    let Some(database) = TestDatabase::new() else { return };
    let nodes = database.nodes::<2>();
    database.execute(
        "INSERT INTO audit_events (at, actor_kind, action, target_kind, outcome)
         SELECT n, 'system', 'token.created', 'personal_access_token', 'success' FROM generate_series(1, 40) n",
    );
    let at = crate::domain::time::Timestamp::from_unix;
    let plan = crate::store::SealPlan { max_events: 10, open_since: at(100), now: at(200) };
    database.runtime.block_on(async {
        // If both compute the same seal, one of them adds it.
        for _ in 0..6 {
            let (one, other) = tokio::join!(nodes[0].seal_events(plan), nodes[1].seal_events(plan));
            one.and(other).expect("sealed");
        }
        let (one, other) = tokio::join!(nodes[0].prune_events(at(30), at(300)), nodes[1].prune_events(at(30), at(300)));
        one.and(other).expect("pruned");
    });
    let sealed: i64 = database.read("SELECT sum(events)::bigint FROM audit_seals WHERE kind = 'events'");
    let pruned: i64 = database.read("SELECT coalesce(sum(events), 0)::bigint FROM audit_seals WHERE kind = 'pruning'");
    let left: i64 = database.read("SELECT count(*) FROM audit_events");
    assert_eq!((sealed, pruned, left), (40, 20, 20));
}

#[test]
fn permits_of_all_nodes_add_up_to_the_limit_and_come_back_with_the_time() {
    let Some(database) = TestDatabase::new() else { return };
    let nodes = database.nodes::<3>();
    let taken = || -> u32 {
        nodes.iter().cycle().map(|node| database.permits(node, 60).count).take_while(|count| *count > 0).sum()
    };
    // One more comes back each second.
    let begun = Instant::now();
    let first = taken();
    assert!((60..=61 + begun.elapsed().as_secs() as u32).contains(&first), "{first}");
    let refused = database.permits(&nodes[0], 60);
    assert!(refused.count == 0 && refused.rests_in > Duration::from_secs(59), "{refused:?}");
    database.advance(Duration::from_secs(10));
    let begun = Instant::now();
    let second = taken();
    assert!((10..=12 + begun.elapsed().as_secs() as u32).contains(&second), "{second}");
    database.advance(Duration::from_secs(3600));
    assert_eq!(database.permits(&nodes[2], 60).count, 3, "a block, and not more");
    assert_eq!(database.permits(&nodes[1], 1).count, 0, "a lower limit holds at once");
}

fn counter(scope: Scope, subject: u8, burst: u32) -> (CounterKey, AttemptRate) {
    let [burst, per_minute] = [burst, 2].map(|number| NonZeroU32::new(number).expect("positive"));
    (CounterKey { scope, subject: [subject; 16], origin: [0; 16] }, AttemptRate::new(burst, per_minute))
}

#[test]
fn attempts_on_several_nodes_add_up_and_one_that_is_refused_counts_nowhere() {
    let Some(database) = TestDatabase::new() else { return };
    let nodes = database.nodes::<3>();
    let (narrow, wide) = (counter(Scope::Account, 1, 4), counter(Scope::Network, 2, 9));
    assert_eq!(database.attempts_allowed(&nodes, &[wide, narrow]), 4);
    let AttemptAnswer::Exceeded { key, limit, wait } = database.attempt(&nodes[1], &[wide, narrow]) else {
        panic!("allowed")
    };
    assert_eq!((key, limit), (narrow.0, 4));
    assert!((1..=30).contains(&wait.as_secs()), "{wait:?}");
    // Four of the nine are counted, and the refused ones are not.
    assert_eq!(database.attempts_allowed(&nodes, &[wide]), 5);
    let held = |of: CountersOf| database.runtime.block_on(nodes[2].held_attempts(vec![of])).expect("an answer");
    assert_eq!(held(CountersOf::Subject([1; 16])).iter().map(|(key, _)| *key).collect::<Vec<_>>(), [narrow.0]);
    assert_eq!(held(CountersOf::Subject([3; 16])), []);
    database.advance(Duration::from_secs(30));
    assert_eq!(database.attempts_allowed(&nodes, &[narrow]), 1, "one more after each interval");
    database.advance(Duration::from_secs(3600));
    database.runtime.block_on(nodes[0].delete_rested_counters()).expect("deleted");
    assert_eq!(database.read::<i64>("SELECT count(*) FROM attempts"), 0);
}

#[test]
fn what_is_taken_back_does_not_count_and_takes_nothing_from_others() {
    let Some(database) = TestDatabase::new() else { return };
    let [first, second] = database.nodes();
    let one = counter(Scope::Account, 1, 2);
    let counted = |store| match database.attempt(store, &[one]) {
        AttemptAnswer::Counted(counted) => counted,
        refused => panic!("{refused:?}"),
    };
    let take_back = |store: &PostgresStore, what: Vec<Counted>| {
        database.runtime.block_on(store.take_back(what)).expect("taken back");
    };
    for _ in 0..20 {
        let attempt = counted(&first);
        take_back(&second, attempt);
    }
    // An attempt that stays open for long is forgotten with the time, and what others counted since then stays.
    let long = counted(&first);
    database.advance(Duration::from_secs(60));
    counted(&first);
    counted(&second);
    take_back(&first, long);
    assert!(matches!(database.attempt(&second, &[one]), AttemptAnswer::Exceeded { .. }));
}
