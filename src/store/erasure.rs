//! The deletion of users, and the erasure of their personal data.

use super::{changes::LastAdmin, ownership::Transfer, reply::Reply};
use crate::domain::{account::PasswordHash, audit::Attribution, deletion::EndsWithUser, id::UserId, time::Timestamp};

/// How a user is deleted.
#[derive(Clone, Debug)]
pub struct UserDeletion {
    /// The hash that the current password was checked against; `None` if an administrator deletes the user. If it is no
    /// longer the stored one: [`Conflict::CredentialsChanged`](super::Conflict::CredentialsChanged).
    pub verified: Option<PasswordHash>,
    /// Who gets what the user owns, before the rest ends with the user. `None`: all of it ends.
    pub transfer: Option<Transfer>,
    /// Whether the last enabled administrator may be deleted.
    pub last: LastAdmin,
}

/// The deletion of users. Errors are as for [`Store`](super::Store).
pub trait Erasure {
    /// Deletes a user with what they own, and erases their personal data in all records that are kept. The audit trail keeps
    /// ids and what happened. [`StoreError::NotFound`](super::StoreError::NotFound),
    /// [`Conflict::LastAdmin`](super::Conflict::LastAdmin),
    /// [`Conflict::CredentialsChanged`](super::Conflict::CredentialsChanged); with a transfer, also the errors of
    /// [`Ownership::hand_over`](super::Ownership::hand_over).
    fn delete_user(&self, id: UserId, deletion: UserDeletion, by: Attribution) -> Reply<'_, EndsWithUser>;
    /// What the deletion of the user would end, and, with a transfer, what it would hand over.
    /// [`StoreError::NotFound`](super::StoreError::NotFound).
    fn ends_with_user(&self, id: UserId, with_transfer: bool, now: Timestamp) -> Reply<'_, EndsWithUser>;
    /// Overwrites some of the bytes that deleted users left in the files of the store. Returns `true` if
    /// everything is overwritten, or if another connection prevents the rest.
    fn scrub(&self) -> Reply<'_, bool>;
}
