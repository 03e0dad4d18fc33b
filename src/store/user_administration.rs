//! What administrators do with the accounts of users.

use super::{changes::LastAdmin, reply::Reply};
use crate::domain::{
    account::{Role, User},
    audit::Attribution,
    id::UserId,
};

/// Changes of users by administrators. Errors are as for [`Store`](super::Store).
pub trait UserAdministration {
    /// Sets a user's role. The present role changes nothing. [`StoreError::NotFound`](super::StoreError::NotFound),
    /// [`Conflict::LastAdmin`](super::Conflict::LastAdmin).
    fn set_role(&self, id: UserId, role: Role, last: LastAdmin, by: Attribution) -> Reply<'_, User>;
}
