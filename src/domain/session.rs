//! Sessions: a signed-in person, by a `ses_` token.

use super::{
    account::User,
    id::{SessionId, UserId},
    last_use::LastUse,
    secret::TokenHash,
    text::Name,
    time::Timestamp,
};

/// A session as it is stored. A session that was ended is no longer there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its identifier.
    pub id: SessionId,
    /// Whom it signs in.
    pub user: UserId,
    /// What the person called the device at sign-in.
    pub device_name: Option<Name>,
    /// When the person signed in.
    pub created_at: Timestamp,
    /// When it was last used, as far as that is on disk.
    pub last_used_at: Timestamp,
    /// When it ends, however much it is used.
    pub expires_at: Timestamp,
}

/// A session to be stored.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// The session; its `last_used_at` is its `created_at`.
    pub session: Session,
    /// The hash of its secret.
    pub hash: TokenHash,
}

/// What a look-up by secret finds: the session and the person behind it, read in one moment.
#[derive(Clone, Debug)]
pub struct SessionRecord {
    /// The session.
    pub session: Session,
    /// The person.
    pub user: User,
    /// Its latest use that those who share this record know of.
    pub last_use: LastUse,
}
