//! The query plans of keyed requests.

use super::{statements::plan, *};
use crate::store::sql::keyed_requests;

#[test]
fn a_keyed_request_is_found_by_its_key_and_old_ones_by_their_time() {
    let directory = directory();
    let store = open(&directory);
    assert_eq!(
        plan(&store, keyed_requests::FIND),
        ["SEARCH keyed_requests USING PRIMARY KEY (account_id=? AND key=?)"]
    );
    assert_eq!(
        plan(&store, keyed_requests::PRUNE),
        [
            "SEARCH keyed_requests USING PRIMARY KEY (account_id=? AND key=?)",
            "LIST SUBQUERY 2",
            "SEARCH keyed_requests USING COVERING INDEX keyed_requests_by_time (made_at<?)"
        ]
    );
}
