//! The events of things that get another owner: one in the trail of each owner.

use crate::domain::{
    audit::{Action, Entry, Target},
    id::{EnvironmentId, TokenId},
    owner::Owner,
};

/// A personal token got another owner.
pub fn token_handed_over(token: TokenId, from: &Owner, to: &Owner) -> (Entry, Entry) {
    changed_owner(Action::TokenHandedOver, Target::PersonalAccessToken(token), from, to)
}

/// An environment got another owner.
pub fn environment_transferred(environment: EnvironmentId, from: &Owner, to: &Owner) -> (Entry, Entry) {
    changed_owner(Action::EnvironmentTransferred, Target::Environment(environment), from, to)
}

fn changed_owner(action: Action, target: Target, from: &Owner, to: &Owner) -> (Entry, Entry) {
    let before = Entry::done(from.id(), action, target).with(format!("to {} {}", to.kind(), to.id()));
    let after = Entry::done(to.id(), action, target).with(format!("from {} {}", from.kind(), from.id()));
    (before, after)
}
