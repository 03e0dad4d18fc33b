//! The methods of [`KeyedRequests`].

use crate::{
    domain::{
        id::UserId,
        keyed_request::{MadeRequest, RequestDigest},
        time::Timestamp,
    },
    store::{
        KeyedRequests, Reply, invalidation,
        sql::{engine::Engine, keyed_requests},
    },
};

impl<E: Engine> KeyedRequests for E {
    fn made_request(&self, account: UserId, key: RequestDigest) -> Reply<'_, Option<MadeRequest>> {
        self.read(move |connection| keyed_requests::find(connection, account, &key))
    }

    fn prune_made_requests(&self, made_by: Timestamp) -> Reply<'_, u64> {
        self.write(invalidation::NOTHING, move |connection| keyed_requests::prune(connection, made_by))
    }
}
