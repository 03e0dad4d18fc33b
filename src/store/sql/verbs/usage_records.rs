//! The methods of [`UsageRecords`].

use crate::{
    domain::{time::Timestamp, token_usage::Day},
    store::{
        BatchSeries, Reply, StoredUsage, UsageBatch, UsageRecords, invalidation,
        sql::{engine::Engine, token_usage},
    },
};

impl<E: Engine> UsageRecords for E {
    fn record_usage(&self, batch: UsageBatch) -> Reply<'_, ()> {
        self.write(invalidation::NOTHING, move |connection| token_usage::record(connection, &batch))
    }

    fn usage_of(&self, number: i64, first: Day, series: BatchSeries) -> Reply<'_, StoredUsage> {
        self.read_long(move |connection| token_usage::of_token(connection, number, first, series))
    }

    fn set_usage_counting(&self, since: Option<Timestamp>) -> Reply<'_, ()> {
        self.write(invalidation::NOTHING, move |connection| token_usage::set_counting(connection, since))
    }

    fn prune_usage(&self, before: Day) -> Reply<'_, u64> {
        self.write(invalidation::NOTHING, move |connection| token_usage::prune(connection, before))
    }
}
