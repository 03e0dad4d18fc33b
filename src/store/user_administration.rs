//! What administrators do with the accounts of users.

use super::{changes::LastAdmin, inventory::UserOrder, reply::Reply};
use crate::domain::{
    account::{Email, PasswordHash, Role, User},
    account_state::{Account, AccountDetails, AccountState},
    attempts::CountersOf,
    audit::{Attribution, Entry},
    id::UserId,
    password_link::{NewPasswordLink, PasswordLink},
    secret::TokenHash,
    text::Name,
    time::Timestamp,
};

/// Reads and changes of users by administrators. Errors are as for [`Store`](super::Store).
pub trait UserAdministration {
    /// The accounts of users, narrowed and paged.
    fn accounts(&self, query: AccountQuery) -> Reply<'_, Vec<Account>>;
    /// An account with what belongs to it at `now`. [`StoreError::NotFound`](super::StoreError::NotFound).
    fn account_details(&self, id: UserId, now: Timestamp) -> Reply<'_, AccountDetails>;
    /// Changes the named fields of an account, all or none. A new address ends an open password link.
    /// [`StoreError::NotFound`](super::StoreError::NotFound), [`Conflict::EmailTaken`](super::Conflict::EmailTaken),
    /// [`Conflict::LastAdmin`](super::Conflict::LastAdmin).
    fn change_account(&self, id: UserId, change: AccountChange, last: LastAdmin, by: Attribution)
    -> Reply<'_, Account>;
    /// Sets a user's role. The present role changes nothing. Users who see the environment that they had selected only as
    /// administrators get their default one when they lose the role. [`StoreError::NotFound`](super::StoreError::NotFound),
    /// [`Conflict::LastAdmin`](super::Conflict::LastAdmin).
    fn set_role(&self, id: UserId, role: Role, last: LastAdmin, by: Attribution) -> Reply<'_, User>;
    /// Disables a user, and ends their sessions and their password link. A second call changes nothing.
    /// [`StoreError::NotFound`](super::StoreError::NotFound), [`Conflict::LastAdmin`](super::Conflict::LastAdmin).
    fn disable_user(&self, id: UserId, last: LastAdmin, by: Attribution) -> Reply<'_, Account>;
    /// Enables a user. An enabled user is not changed. [`StoreError::NotFound`](super::StoreError::NotFound).
    fn enable_user(&self, id: UserId, by: Attribution) -> Reply<'_, Account>;
    /// Ends all sessions of a user. Returns how many. [`StoreError::NotFound`](super::StoreError::NotFound).
    fn end_sessions(&self, id: UserId, by: Attribution) -> Reply<'_, u64>;

    /// Adds a user without a password, and a link with which they can set one, like
    /// [`Store::add_user`](super::Store::add_user).
    fn invite_user(&self, user: User, link: NewPasswordLink, by: Attribution) -> Reply<'_, ()>;
    /// Removes a user's password, ends their sessions, and replaces their password link by this one.
    /// [`StoreError::NotFound`](super::StoreError::NotFound), [`Conflict::LastAdmin`](super::Conflict::LastAdmin).
    fn reset_password(&self, id: UserId, link: NewPasswordLink, last: LastAdmin, by: Attribution)
    -> Reply<'_, Account>;
    /// The password link with this secret, also an expired one. `None` if there is none.
    fn password_link(&self, hash: TokenHash) -> Reply<'_, Option<PasswordLink>>;
    /// Sets the password of the user with this link, removes the link and ends the user's sessions.
    /// [`StoreError::NotFound`](super::StoreError::NotFound) if the link is not usable at the time.
    fn set_password_by_link(&self, hash: TokenHash, password: PasswordHash, by: Attribution) -> Reply<'_, ()>;

    /// Deletes saved attempt counters. Returns how many. The event is recorded if there were any, or if `held` says that
    /// there were some in memory.
    fn clear_attempts(&self, counters: Vec<CountersOf>, held: bool, event: Entry, by: Attribution) -> Reply<'_, u64>;
}

/// Which accounts to list, in which order.
#[derive(Clone, Debug, Default)]
pub struct AccountQuery {
    /// Only those whose name or e-mail address contains this text. The caller case-folds it with
    /// [`folded`](crate::domain::text::folded).
    pub search: Option<String>,
    /// Only those with this role.
    pub role: Option<Role>,
    /// Only those in this state.
    pub state: Option<AccountState>,
    /// The order. Names are sorted without regard to the case of ASCII letters.
    pub order: UserOrder,
    /// Reverses the order.
    pub reversed: bool,
    /// Only those behind this place: the end of the previous page.
    pub after: Option<AccountPlace>,
    /// How many at most.
    pub limit: u32,
}

/// The place of an account in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountPlace {
    /// The name or the canonical address, by which the list is sorted. Empty in the order of creation.
    pub key: String,
    /// The user.
    pub id: UserId,
}

/// A change of an account by an administrator. A field that is `None` is not changed.
#[derive(Clone, Debug, Default)]
pub struct AccountChange {
    /// The new name.
    pub name: Option<Name>,
    /// The new address.
    pub email: Option<Email>,
    /// The new role.
    pub role: Option<Role>,
}
