//! All that is known about a token.

use super::{
    audit::Event,
    id::{TokenId, UserId},
    owner::Owner,
    policy::Rule,
    text::Name,
    time::Timestamp,
    token::{Revocation, Token},
    token_usage::TokenUsage,
    use_location::UseLocation,
};

/// All that is known about a token.
#[derive(Clone, Debug)]
pub struct TokenReport {
    /// The token.
    pub token: Token,
    /// How many uses of its quota are left. `None` if it has no quota.
    pub quota_left: Option<u32>,
    /// Its latest successor.
    pub successor: Option<TokenId>,
    /// The owner. For an environment token, the owner of the environment.
    pub owner: Owner,
    /// Where it comes from and what happened to it.
    pub history: TokenHistory,
    /// What it did.
    pub usage: TokenUsage,
    /// The addresses that used it, latest first.
    pub locations: Vec<UseLocation>,
    /// The rules that it satisfies and has not used.
    pub unused_rules: Vec<UnusedRule>,
}

/// A rule that a token satisfies and has not used.
#[derive(Clone, Debug)]
pub struct UnusedRule {
    /// The name of the policy.
    pub policy: String,
    /// The index in the policy.
    pub index: usize,
    /// The rule.
    pub rule: Rule,
}

/// Where a token comes from and what happened to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenHistory {
    /// The user who created it. `None` for the command line, for a token that another token made by rotation, and for tokens
    /// of a time when this was not recorded.
    pub creator: Option<Creator>,
    /// The event of its creation. `None` if it was pruned.
    pub creation: Option<Event>,
    /// The tokens of its family, latest first, itself included.
    pub family: Vec<FamilyMember>,
    /// The events about it and those in which it acted, latest first.
    pub events: Vec<Event>,
}

impl TokenHistory {
    /// Without the client addresses of events in the trails of users other than `owner`, who does not see those trails.
    #[must_use]
    pub fn without_addresses_of_others(mut self, owner: UserId) -> Self {
        for event in self.creation.iter_mut().chain(&mut self.events) {
            if event.entry.user != Some(owner) {
                event.by.origin.address = None;
            }
        }
        self
    }
}

/// The user who created a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Creator {
    /// The id.
    pub id: UserId,
    /// The name. `None` if the user was deleted.
    pub name: Option<Name>,
}

/// A token of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FamilyMember {
    /// The id.
    pub id: TokenId,
    /// The token that it replaced.
    pub rotated_from: Option<TokenId>,
    /// When it was created.
    pub created_at: Timestamp,
    /// The expiry.
    pub expires_at: Option<Timestamp>,
    /// The latest use in the store.
    pub last_used_at: Option<Timestamp>,
    /// Since when it is disabled.
    pub disabled_at: Option<Timestamp>,
    /// The revocation, if it was revoked.
    pub revoked: Option<Revocation>,
}
