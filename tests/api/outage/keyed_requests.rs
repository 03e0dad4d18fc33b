//! The methods of requests with a key in the store that fails on purpose.

use patd::{
    domain::keyed_request::{MadeRequest, RequestDigest},
    store::KeyedRequests,
};

use super::*;

/// Look-ups of keys fail, and nothing else.
pub const KEYS_FAIL: u8 = 6;
/// The next look-up of a key works. Every later one fails.
pub const LATER_KEYS_FAIL: u8 = 7;

impl KeyedRequests for Faulty {
    fn made_request(&self, account: UserId, key: RequestDigest) -> Reply<'_, Option<MadeRequest>> {
        let reply = || self.backend.store.made_request(account, key);
        let works = self.mode.compare_exchange(LATER_KEYS_FAIL, KEYS_FAIL, Ordering::SeqCst, Ordering::SeqCst).is_ok();
        if works { reply() } else { self.unless(KEYS_FAIL, reply) }
    }

    fn prune_made_requests(&self, made_by: Timestamp) -> Reply<'_, u64> {
        self.unless(HOUSEKEEPING, || self.backend.store.prune_made_requests(made_by))
    }
}
