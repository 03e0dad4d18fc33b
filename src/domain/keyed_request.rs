//! Requests with an `Idempotency-Key`, which a client may send again until it has an answer, and which are made once.
//!
//! Only digests are kept. A body can hold names and addresses, which are easy to guess; its digest depends on the key, which
//! the client chooses and nobody else knows.

use std::time::Duration;

use uuid::Uuid;

use super::{
    id::{TokenId, UserId},
    time::Timestamp,
};

/// For how long a repeat is recognised.
pub const REMEMBERED_FOR: Duration = Duration::from_hours(24);

/// A digest of a key or of a request.
pub type RequestDigest = [u8; blake3::OUT_LEN];

/// Who chose a key. Equal keys of others do not meet it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyOwner {
    /// A user, by any of their sessions.
    User(UserId),
    /// A token that replaces itself, and its owner.
    Token(UserId, TokenId),
}

impl KeyOwner {
    const fn account(self) -> UserId {
        match self {
            Self::User(user) | Self::Token(user, _) => user,
        }
    }

    const fn id(self) -> Uuid {
        match self {
            Self::User(user) => user.uuid(),
            Self::Token(_, token) => token.uuid(),
        }
    }
}

/// A request with a key, and what it makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyedRequest {
    /// The account of the one who sent it.
    pub account: UserId,
    /// The digest of the key and its owner.
    pub key: RequestDigest,
    /// The digest of what was asked for.
    pub request: RequestDigest,
    /// The id of what it makes.
    pub made: Uuid,
}

impl KeyedRequest {
    /// A request to `path` with this body, which makes `made`.
    pub fn new(owner: KeyOwner, key: &str, path: &str, body: &[u8], made: Uuid) -> Self {
        let mut of_key = blake3::Hasher::new_derive_key("patd idempotency key v1");
        of_key.update(owner.id().as_bytes()).update(key.as_bytes());
        let mut secret = blake3::Hasher::new_derive_key("patd idempotency body key v1");
        secret.update(owner.id().as_bytes()).update(key.as_bytes());
        let mut of_request = blake3::Hasher::new_keyed(secret.finalize().as_bytes());
        // A path has no zero byte, so it does not run into the body.
        of_request.update(path.as_bytes()).update(&[0]).update(body);
        Self {
            account: owner.account(),
            key: *of_key.finalize().as_bytes(),
            request: *of_request.finalize().as_bytes(),
            made,
        }
    }
}

/// What is kept of a request that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MadeRequest {
    /// The digest of what was asked for.
    pub request: RequestDigest,
    /// The id of what it made.
    pub made: Uuid,
    /// When it was made.
    pub at: Timestamp,
}

impl MadeRequest {
    /// Whether a repeat is still recognised. Afterwards the key is free again.
    pub fn is_remembered(&self, now: Timestamp) -> bool {
        self.at > forgotten_by(now)
    }
}

/// Requests that were made at this time or earlier are forgotten.
pub fn forgotten_by(now: Timestamp) -> Timestamp {
    now.minus(REMEMBERED_FOR)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digests(owner: KeyOwner, key: &str, path: &str, body: &str) -> (RequestDigest, RequestDigest) {
        let request = KeyedRequest::new(owner, key, path, body.as_bytes(), Uuid::nil());
        (request.key, request.request)
    }

    #[test]
    fn each_part_of_a_request_tells_it_from_others() {
        let id = |number| Uuid::from_u128(number);
        let user = KeyOwner::User(UserId::new(id(1)));
        let (key, request) = digests(user, "k", "/a", "{}");
        assert_eq!(digests(user, "k", "/a", "{}"), (key, request));
        for other in [digests(user, "k", "/a", "{} "), digests(user, "k", "/a{", "}"), digests(user, "k", "/b", "{}")] {
            assert!(other.0 == key && other.1 != request, "{other:?}");
        }
        let token = KeyOwner::Token(UserId::new(id(1)), TokenId::new(id(2)));
        for owner in [KeyOwner::User(UserId::new(id(3))), token] {
            let other = digests(owner, "k", "/a", "{}");
            assert!(other.0 != key && other.1 != request, "{other:?}");
        }
        // What is stored of two keys does not show that their bodies are equal.
        let other = digests(user, "l", "/a", "{}");
        assert!(other.0 != key && other.1 != request);
    }
}
