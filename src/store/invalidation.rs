//! Which cached records each change invalidates: one function for each method of [`Store`](super::Store) that writes.
//!
//! Every backend reports exactly these changes ([`CredentialSource::observe`](super::CredentialSource::observe)). If a
//! change is missing here, the cache goes on accepting a credential that was revoked. If one is superfluous, it costs a
//! look-up.

use super::{Change, Rotation, Uses};
use crate::domain::{
    id::{SessionId, TokenId, UserId},
    secret::TokenHash,
};

/// For changes of what no cached record holds: environments and members, quotas, audit events, attempts, and use
/// locations. Also for a new user, because no secret of theirs exists yet.
pub(super) const NOTHING: Vec<Change> = Vec::new();

/// For a change of the user's name, address, password, state or current environment, and for a change of any number of
/// their tokens or sessions.
pub(super) fn user(id: UserId) -> Vec<Change> {
    vec![Change::User(id)]
}

/// For a new session or token. The cache may hold that there is none with this secret.
pub(super) fn added(hash: TokenHash) -> Vec<Change> {
    vec![Change::Added(hash)]
}

/// For a session that ends.
pub(super) fn session(id: SessionId) -> Vec<Change> {
    vec![Change::Session(id)]
}

/// For one token that is renamed, gets other annotations, is revoked, disabled or enabled.
pub(super) fn token(id: TokenId) -> Vec<Change> {
    vec![Change::Token(id)]
}

/// For the rotation of a personal token.
pub(super) fn rotation(rotation: &Rotation) -> Vec<Change> {
    let mut changes = vec![Change::Added(rotation.hash), Change::Token(rotation.token)];
    // It ends: at most two tokens of a family are valid at a time.
    changes.extend(rotation.rotated_from.map(Change::Token));
    if rotation.replace_unused {
        // Which successor is revoked is known only in the transaction.
        changes.push(Change::User(rotation.owner));
    }
    changes
}

/// For a token of an environment that is replaced by a successor with this secret.
pub(super) fn regeneration(id: TokenId, successor: TokenHash) -> Vec<Change> {
    vec![Change::Token(id), Change::Added(successor)]
}

/// For the first use of a successor, which may end its predecessor.
pub(super) fn first_use(successor: TokenId, rotated_from: TokenId) -> Vec<Change> {
    vec![Change::Token(successor), Change::Token(rotated_from)]
}

/// For tokens that are deleted.
pub(super) fn tokens(deleted: &[(i64, TokenId)]) -> Vec<Change> {
    deleted.iter().map(|(_, id)| Change::Token(*id)).collect()
}

/// For uses that are written. Whether a session is idle is decided by its record. The last use of a token is only shown
/// in lists, and lists are not cached.
pub(super) fn uses(uses: &Uses) -> Vec<Change> {
    uses.sessions.iter().map(|(id, _)| Change::Session(*id)).collect()
}

/// For expired sessions that are deleted, however many.
pub(super) fn expired_sessions() -> Vec<Change> {
    vec![Change::Sessions]
}
