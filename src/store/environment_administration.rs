//! The environments of everybody, for administrators.

use super::reply::Reply;
use crate::domain::{
    audit::Attribution,
    environment::OwnedEnvironment,
    id::{EnvironmentId, UserId},
    time::Timestamp,
};

/// Which environments to list, newest first.
#[derive(Clone, Debug, Default)]
pub struct OwnedEnvironmentQuery {
    /// Only those of this user or service account.
    pub owner: Option<UserId>,
    /// Only those whose name contains this text. The caller case-folds it.
    pub search: Option<String>,
    /// Only those after the one with this creation time and id: the end of the previous page.
    pub before: Option<(Timestamp, EnvironmentId)>,
    /// How many at most.
    pub limit: u32,
}

/// What administrators do with environments. Errors are as for [`Store`](super::Store).
pub trait EnvironmentAdministration {
    /// An environment with its owner, without a check of rights. [`StoreError::NotFound`](super::StoreError::NotFound).
    fn owned_environment(&self, id: EnvironmentId) -> Reply<'_, OwnedEnvironment>;
    /// The environments of everybody.
    fn owned_environments(&self, query: OwnedEnvironmentQuery) -> Reply<'_, Vec<OwnedEnvironment>>;
    /// Gives an environment, with its tokens, to another owner. The members keep their roles, and the new owner is no longer
    /// one. [`StoreError::NotFound`](super::StoreError::NotFound),
    /// [`Conflict::DefaultEnvironment`](super::Conflict::DefaultEnvironment),
    /// [`Conflict::OwnerDisabled`](super::Conflict::OwnerDisabled),
    /// [`Conflict::TooManyEnvironments`](super::Conflict::TooManyEnvironments).
    fn transfer_environment(&self, id: EnvironmentId, to: UserId, by: Attribution) -> Reply<'_, OwnedEnvironment>;
}
