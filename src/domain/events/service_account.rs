//! The events of service accounts, in their own trails.

use crate::domain::{
    audit::{Action, Entry, Target},
    id::{TokenId, UserId},
};

/// A service account was added.
pub const fn service_account_created(id: UserId) -> Entry {
    of_service_account(id, Action::ServiceAccountCreated)
}

/// A service account got another name, another description, or both: `what` says which.
pub fn service_account_updated(id: UserId, what: &'static str) -> Entry {
    of_service_account(id, Action::ServiceAccountUpdated).with(what)
}

/// A service account was disabled.
pub const fn service_account_disabled(id: UserId) -> Entry {
    of_service_account(id, Action::ServiceAccountDisabled)
}

/// A service account was enabled.
pub const fn service_account_enabled(id: UserId) -> Entry {
    of_service_account(id, Action::ServiceAccountEnabled)
}

/// A service account was deleted.
pub const fn service_account_deleted(id: UserId) -> Entry {
    of_service_account(id, Action::ServiceAccountDeleted)
}

/// A personal token was revoked because the service account that owned it was deleted.
pub fn revoked_with_service_account(id: UserId, token: TokenId) -> Entry {
    Entry::done(id, Action::TokenRevoked, Target::PersonalAccessToken(token)).with("service_account_deleted")
}

/// A user became a manager: the event in the trail of the service account, and the one in the user's.
pub fn manager_added(id: UserId, manager: UserId) -> (Entry, Entry) {
    of_manager(id, manager, Action::ServiceAccountManagerAdded)
}

/// A user is no longer a manager: the event in the trail of the service account, and the one in the user's.
pub fn manager_removed(id: UserId, manager: UserId) -> (Entry, Entry) {
    of_manager(id, manager, Action::ServiceAccountManagerRemoved)
}

fn of_manager(id: UserId, manager: UserId, action: Action) -> (Entry, Entry) {
    let for_account = of_service_account(id, action).with(format!("user {manager}"));
    (for_account, Entry::done(manager, action, Target::ServiceAccount(id)))
}

const fn of_service_account(id: UserId, action: Action) -> Entry {
    Entry::done(id, action, Target::ServiceAccount(id))
}
