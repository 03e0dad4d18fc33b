//! The methods of requests with a key in the store that fails on purpose.

use patd::{
    domain::keyed_request::{MadeRequest, RequestDigest},
    store::KeyedRequests,
};

use super::*;

delegate! {
    KeyedRequests:
    READS_FAIL {
        fn made_request(&self, account: UserId, key: RequestDigest) -> Option<MadeRequest>;
    }
    HOUSEKEEPING {
        fn prune_made_requests(&self, made_by: Timestamp) -> u64;
    }
}
