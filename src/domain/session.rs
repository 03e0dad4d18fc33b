//! Sessions of signed-in users. Their tokens begin with `ses_`.

use super::{
    account::User,
    id::{SessionId, UserId},
    last_use::LastUse,
    secret::TokenHash,
    text::Name,
    time::Timestamp,
};

/// A session as it is stored. Ending a session deletes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The id.
    pub id: SessionId,
    /// The user.
    pub user: UserId,
    /// The name that the user gave the device at sign-in.
    pub device_name: Option<Name>,
    /// When the user signed in.
    pub created_at: Timestamp,
    /// The latest use in the store.
    pub last_used_at: Timestamp,
    /// When it expires, even if it is used.
    pub expires_at: Timestamp,
}

/// A session to store.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// The session. Its `last_used_at` is its `created_at`.
    pub session: Session,
    /// The hash of its secret.
    pub hash: TokenHash,
}

/// What a look-up by secret returns: a session and its user, from one read.
#[derive(Clone, Debug)]
pub struct SessionRecord {
    /// The session.
    pub session: Session,
    /// The user.
    pub user: User,
    /// The latest use, shared by all who hold this record.
    pub last_use: LastUse,
}
