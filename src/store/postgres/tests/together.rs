//! What several stores on one database count and do together.

use uuid::Uuid;

use super::*;
use crate::{
    domain::token_usage::{Counts, Day, UsageCount, UsageKind},
    store::{Access, BatchSeries, UsageBatch, UsageRecords},
};

#[test]
fn two_nodes_repeat_their_last_batches_and_nothing_counts_twice() {
    let Some(database) = TestDatabase::new() else { return };
    let stores = [database.open(Access::Server), database.open(Access::Server)];
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
