//! Lookups of tokens and sessions by their secret. They are separate from the rest of the store, so that a cache can answer
//! them.

use std::sync::Arc;

use super::{lookups::CacheReport, reply::Reply};
use crate::domain::{
    id::{SessionId, TokenId, UserId},
    secret::TokenHash,
    session::SessionRecord,
    token::TokenRecord,
};

/// Finds credentials by the hash of their secret, in any state of the credential and its user.
///
/// It answers on the calling thread where it can. An outage is an error, never `None`.
pub trait Credentials: Send + Sync + 'static {
    /// The token with this secret, and its owner. `None` if there is no such token.
    fn token_by_hash(&self, hash: &TokenHash) -> Reply<'_, Option<Arc<TokenRecord>>>;
    /// The session with this secret, and its user. `None` if there is no such session.
    fn session_by_hash(&self, hash: &TokenHash) -> Reply<'_, Option<Arc<SessionRecord>>>;
    /// How the cache in front of them does, for metrics. `None` without a cache.
    fn cache_report(&self) -> Option<CacheReport> {
        None
    }
}

/// Credentials that report their changes, so that a cache in front of them stays exact.
pub trait CredentialSource: Credentials {
    /// Calls `observer` for each [`Change`] from now on. The call comes after the change can be read, and before its
    /// caller gets an answer, even if the caller has gone. It also comes for a write that failed or whose outcome is
    /// unknown. Changes that another process made are reported when they are detected.
    fn observe(&self, observer: Observer);
    /// Whether reads work now, and the observers know every change, by any process, that is older than a tenth of a
    /// second. Called for every request. A source that cannot know answers `false`.
    fn is_coherent(&self) -> bool;
}

/// A change that may change the result of a lookup by secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A token or session with this secret was added.
    Added(TokenHash),
    /// This token was changed or deleted.
    Token(TokenId),
    /// This session was changed or deleted.
    Session(SessionId),
    /// This user was changed, or any of their tokens and sessions.
    User(UserId),
    /// Any session was deleted.
    Sessions,
    /// Anything may have changed: another process wrote.
    Anything,
}

/// Called for each change, on the thread that writes: it must not block.
pub type Observer = Box<dyn Fn(Change) + Send + Sync>;
