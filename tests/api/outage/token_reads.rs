//! The methods of histories, counts and measurements in the store that fails on purpose.

use patd::{
    domain::{token_counts::TokenCounts, token_report::TokenHistory},
    store::{Measured, StoreKind, StoreMeasurements, TokenCountQuery, TokenCounting, TokenHistories},
};

use super::*;

delegate! {
    TokenHistories:
    READS_FAIL {
        fn token_history(&self, id: TokenId, limit: u32) -> TokenHistory;
    }
}

delegate! {
    TokenCounting:
    READS_FAIL {
        fn count_some_tokens(&self, query: TokenCountQuery) -> (TokenCounts, Option<i64>);
    }
}

delegate! {
    UsageRecords:
    READS_FAIL {
        fn usage_of(&self, number: i64, first: Day, series: BatchSeries) -> StoredUsage;
    }
    HOUSEKEEPING {
        fn record_usage(&self, batch: UsageBatch) -> ();
        fn set_usage_counting(&self, since: Option<Timestamp>) -> ();
        fn prune_usage(&self, before: Day) -> u64;
    }
}

impl Measured for Faulty {
    fn measurements(&self) -> &StoreMeasurements {
        self.backend.store.measurements()
    }

    fn kind(&self) -> StoreKind {
        self.backend.store.kind()
    }
}
