//! Requests with an `Idempotency-Key`, as they were made.

use super::reply::Reply;
use crate::domain::{
    id::UserId,
    keyed_request::{MadeRequest, RequestDigest},
    time::Timestamp,
};

/// The requests that were made with a key.
///
/// A verb that makes something notes its request in the transaction of the change, if the
/// [`keyed`](crate::domain::audit::RequestSource::keyed) request of its attribution is given. It fails with
/// [`Conflict::MadeAlready`](super::Conflict::MadeAlready), and changes nothing, if a request with this key is remembered. The
/// verbs are `add_token`, `add_environment_token`, `regenerate_environment_token`, `rotate_token`, `add_environment`,
/// `add_service_account`, `invite_user` and `reset_password`; others ignore the key.
pub trait KeyedRequests {
    /// What the request with this key has made, however long ago. `None` if there was none, or if it was pruned.
    fn made_request(&self, account: UserId, key: RequestDigest) -> Reply<'_, Option<MadeRequest>>;
    /// Deletes the oldest of the requests that were made at `made_by` or earlier, as many as one change may delete. Returns how
    /// many. It leaves no event.
    fn prune_made_requests(&self, made_by: Timestamp) -> Reply<'_, u64>;
}
