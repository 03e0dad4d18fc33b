//! What a user or a service account owns, and how it gets another owner.

use super::{changes::LastAdmin, reply::Reply};
use crate::domain::{
    account_state::Account,
    audit::Attribution,
    environment::EnvironmentAccess,
    id::{EnvironmentId, TokenId, UserId},
    owner::{HandedOver, Owned, Owner},
    time::Timestamp,
};

/// Which of an owner's things are handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection<Id> {
    /// All of them.
    All,
    /// These.
    These(Vec<Id>),
}

impl<Id> Selection<Id> {
    /// None of them.
    pub const fn none() -> Self {
        Self::These(Vec::new())
    }
}

/// Personal tokens and environments that get another owner, all in one change.
///
/// A token moves with its whole family, ended tokens included, so that a reuse or a leak of an old secret still ends the
/// family. Secrets stay valid. From then on, the token stands for the new owner. The addresses from which it was used are
/// deleted. A default environment is never handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandOver {
    /// The owner.
    pub from: UserId,
    /// The new owner: a user or a service account.
    pub to: UserId,
    /// Which personal tokens.
    pub tokens: Selection<TokenId>,
    /// Which environments, with their tokens.
    pub environments: Selection<EnvironmentId>,
    /// How many live personal tokens the new owner may have.
    pub max_live_tokens: u32,
}

/// Everything that a user owns gets another owner, in the change that disables or deletes the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// The new owner: a user or a service account.
    pub to: UserId,
    /// How many live personal tokens the new owner may have.
    pub max_live_tokens: u32,
}

impl HandOver {
    /// Hands over everything that `from` owns, except the default environment.
    pub const fn everything(from: UserId, transfer: Transfer) -> Self {
        let Transfer { to, max_live_tokens } = transfer;
        Self { from, to, tokens: Selection::All, environments: Selection::All, max_live_tokens }
    }
}

/// Owners, and what they own. Errors are as for [`Store`](super::Store).
///
/// Every change of a personal token on behalf of a session checks in its transaction that the session's user is the owner,
/// manages the service account that owns it, or is an administrator. Otherwise it fails with
/// [`StoreError::NotFound`](super::StoreError::NotFound).
pub trait Ownership {
    /// The user or service account with this id. [`StoreError::NotFound`](super::StoreError::NotFound).
    fn owner(&self, id: UserId) -> Reply<'_, Owner>;
    /// Whether the user may act for this owner: themselves, or a service account that they manage. An administrator manages
    /// every service account.
    fn manages(&self, user: UserId, owner: UserId) -> Reply<'_, bool>;
    /// Like [`Store::environment`](super::Store::environment), but the role of an administrator does not count.
    fn environment_without_role(&self, user: UserId, id: EnvironmentId) -> Reply<'_, EnvironmentAccess>;
    /// What a user or service account owns at `now`, with the first `limit` items of each kind.
    /// [`StoreError::NotFound`](super::StoreError::NotFound).
    fn owned_by(&self, owner: UserId, now: Timestamp, limit: u32) -> Reply<'_, Owned>;
    /// Hands over. [`StoreError::NotFound`](super::StoreError::NotFound) if an owner does not exist, or something is not
    /// `from`'s; [`Conflict::OwnerDisabled`](super::Conflict::OwnerDisabled) if the new owner is disabled;
    /// [`Conflict::TooManyTokens`](super::Conflict::TooManyTokens) and
    /// [`Conflict::TooManyEnvironments`](super::Conflict::TooManyEnvironments) if the new owner would have too many;
    /// [`Conflict::DefaultEnvironment`](super::Conflict::DefaultEnvironment);
    /// [`Conflict::GrantsAdmin`](super::Conflict::GrantsAdmin).
    fn hand_over(&self, hand_over: HandOver, by: Attribution) -> Reply<'_, HandedOver>;
    /// Hands over everything that the user owns, like [`Self::hand_over`], and disables the user, like
    /// [`UserAdministration::disable_user`](super::UserAdministration::disable_user): both or nothing.
    fn hand_over_and_disable(
        &self,
        user: UserId,
        transfer: Transfer,
        last: LastAdmin,
        by: Attribution,
    ) -> Reply<'_, (Account, HandedOver)>;
}
