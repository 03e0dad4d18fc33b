//! Service accounts and their managers.

use super::reply::Reply;
use crate::domain::{
    annotations::Description,
    audit::Attribution,
    authority::Authority,
    id::UserId,
    owner::{ServiceAccount, ServiceAccountDetails},
    text::Name,
};

/// A service account to store.
#[derive(Clone, Debug)]
pub struct NewServiceAccount {
    /// The service account.
    pub account: ServiceAccount,
    /// What it is for.
    pub description: Option<Description>,
    /// The users who manage it, each once.
    pub managers: Vec<UserId>,
}

/// A change of a service account. A field that is `None` is not changed.
#[derive(Clone, Debug, Default)]
pub struct ServiceAccountChange {
    /// The new name.
    pub name: Option<Name>,
    /// The new description. `Some(None)` removes it.
    pub description: Option<Option<Description>>,
}

/// Which service accounts to list, newest first.
#[derive(Clone, Debug, Default)]
pub struct ServiceAccountQuery {
    /// Only those whose name or description contains this text. The caller case-folds it.
    pub search: Option<String>,
    /// Only those with a smaller id: the end of the previous page.
    pub before: Option<UserId>,
    /// How many at most.
    pub limit: u32,
}

/// Service accounts. Errors are as for [`Store`](super::Store); [`StoreError::NotFound`](super::StoreError::NotFound) is also
/// the answer to a user who does not manage the service account.
pub trait ServiceAccounts {
    /// Adds a service account. [`StoreError::NotFound`](super::StoreError::NotFound) if a manager is no user,
    /// [`Conflict::TooManyManagers`](super::Conflict::TooManyManagers).
    fn add_service_account(&self, new: NewServiceAccount, by: Attribution) -> Reply<'_, ServiceAccountDetails>;
    /// A service account. [`StoreError::NotFound`](super::StoreError::NotFound).
    fn service_account(&self, authority: Authority, id: UserId) -> Reply<'_, ServiceAccountDetails>;
    /// The service accounts that a user manages, or all of them for an administrator.
    fn service_accounts(
        &self,
        authority: Authority,
        query: ServiceAccountQuery,
    ) -> Reply<'_, Vec<ServiceAccountDetails>>;
    /// Changes a service account. [`StoreError::NotFound`](super::StoreError::NotFound).
    fn change_service_account(
        &self,
        authority: Authority,
        id: UserId,
        change: ServiceAccountChange,
        by: Attribution,
    ) -> Reply<'_, ServiceAccountDetails>;
    /// Disables a service account, so that its tokens are refused. A second call changes nothing.
    /// [`StoreError::NotFound`](super::StoreError::NotFound).
    fn disable_service_account(&self, id: UserId, by: Attribution) -> Reply<'_, ServiceAccountDetails>;
    /// Enables a service account. An enabled one is not changed. [`StoreError::NotFound`](super::StoreError::NotFound).
    fn enable_service_account(&self, id: UserId, by: Attribution) -> Reply<'_, ServiceAccountDetails>;
    /// Deletes a service account with its tokens and environments. [`StoreError::NotFound`](super::StoreError::NotFound).
    fn delete_service_account(&self, id: UserId, by: Attribution) -> Reply<'_, ()>;
    /// Makes a user a manager. One who is a manager is not changed. [`StoreError::NotFound`](super::StoreError::NotFound),
    /// [`Conflict::TooManyManagers`](super::Conflict::TooManyManagers).
    fn add_manager(&self, id: UserId, user: UserId, by: Attribution) -> Reply<'_, ServiceAccountDetails>;
    /// Removes a manager. [`StoreError::NotFound`](super::StoreError::NotFound).
    fn remove_manager(&self, id: UserId, user: UserId, by: Attribution) -> Reply<'_, ServiceAccountDetails>;
}
