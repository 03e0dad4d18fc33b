//! Searches among the tokens of everybody, for administrators.

use super::{changes::ChangedToken, reply::Reply};
use crate::domain::{
    ability::Ability,
    annotations::Metadata,
    audit::Attribution,
    id::{EnvironmentId, TokenId, UserId},
    owner::Owner,
    time::Timestamp,
    token::{Token, TokenState},
};

/// What administrators do with the tokens of everybody. Errors are as for [`Store`](super::Store).
pub trait TokenAdministration {
    /// One page of the tokens that the filter accepts. States are judged at `now`. The list ends early behind the token that
    /// a page of [`domain::page`](crate::domain::page) does not hold any more.
    fn find_tokens(&self, search: TokenSearchQuery, now: Timestamp) -> Reply<'_, Vec<FoundToken>>;
    /// Disables a token of an environment that is not revoked; a second time changes nothing.
    /// [`StoreError::NotFound`](super::StoreError::NotFound).
    fn disable_environment_token(&self, id: TokenId, by: Attribution) -> Reply<'_, ChangedToken>;
    /// Enables a token of an environment that is not revoked; where it is enabled, nothing changes.
    /// [`StoreError::NotFound`](super::StoreError::NotFound).
    fn enable_environment_token(&self, id: TokenId, by: Attribution) -> Reply<'_, ChangedToken>;
    /// Waits until no server accepts any more what earlier reads have shown as revoked, changed or gone. Another server may
    /// have made that change, and its own answer may still wait for others. Call it before an answer that tells somebody who
    /// revokes that there is nothing to revoke, unless the answer is that of a change.
    fn wait_until_known(&self) -> Reply<'_, ()>;
}

/// Which tokens. All conditions must hold. Unwritten uses do not count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenFilter {
    /// Only tokens of this user or service account, and of the environments that it owns.
    pub owner: Option<UserId>,
    /// Only tokens of this environment.
    pub environment: Option<EnvironmentId>,
    /// Only tokens whose owner is a service account, or only others.
    pub of_service_account: Option<bool>,
    /// Only tokens of environments, or only personal access tokens.
    pub of_environment: Option<bool>,
    /// In which state.
    pub states: States,
    /// Tokens that were not used after this time count as expired. `None` if unused tokens do not end.
    pub idle_since: Option<Timestamp>,
    /// Only tokens whose name contains this text. The caller case-folds it.
    pub name: Option<String>,
    /// Only tokens whose abilities cover this one.
    pub ability: Option<Ability>,
    /// When they were created.
    pub created: Period,
    /// When they expire. A token without an expiry is in no limited period.
    pub expires: Period,
    /// When they were last used. A token that was never used is in no limited period.
    pub last_used: Period,
    /// Only tokens that were created before this time and not used since.
    pub unused_since: Option<Timestamp>,
    /// Only tokens that have all these keys with these values.
    pub metadata: Metadata,
    /// Only canary tokens, or only others.
    pub canary: Option<bool>,
}

/// The states that a filter accepts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum States {
    /// All except the revoked ones.
    #[default]
    NotRevoked,
    /// All.
    All,
    /// This one.
    Only(TokenState),
}

/// A period of time, without an end where it is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Period {
    /// The first moment of it.
    pub from: Option<Timestamp>,
    /// The first moment after it.
    pub before: Option<Timestamp>,
}

impl Period {
    /// Whether it has a beginning or an end.
    pub const fn is_limited(self) -> bool {
        self.from.is_some() || self.before.is_some()
    }

    /// Whether `at` is in it.
    pub fn contains(self, at: Option<Timestamp>) -> bool {
        match at {
            None => !self.is_limited(),
            Some(at) => self.from.is_none_or(|from| at >= from) && self.before.is_none_or(|before| at < before),
        }
    }
}

/// A page of a search.
#[derive(Clone, Debug)]
pub struct TokenSearchQuery {
    /// Which tokens.
    pub filter: TokenFilter,
    /// The time by which they are sorted. Tokens without it come last, in both directions.
    pub sort: SortTime,
    /// Whether the latest comes first. Tokens with the same time, or without it, are in the order of their numbers, in the
    /// same direction.
    pub descending: bool,
    /// The place of the last token of the previous page.
    pub after: Option<Place>,
    /// How many at most.
    pub limit: u32,
}

/// The time by which tokens are sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SortTime {
    /// When they were created. (Their numbers have this order.)
    #[default]
    Created,
    /// When they expire.
    Expires,
    /// When they were last used.
    LastUsed,
}

/// The place of a token in a sorted list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The time by which the list is sorted.
    pub time: Option<Timestamp>,
    /// The row number.
    pub number: i64,
}

impl Place {
    /// The place of a token as it is stored.
    pub const fn of(token: &Token, sort: SortTime) -> Self {
        let time = match sort {
            SortTime::Created => Some(token.created_at),
            SortTime::Expires => token.expires_at,
            SortTime::LastUsed => token.last_used_at,
        };
        Self { time, number: token.number }
    }
}

/// A token as an administrator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundToken {
    /// The token.
    pub token: Token,
    /// Its owner. For a token of an environment, the owner of the environment.
    pub owner: Owner,
    /// How many uses of its quota are taken. The family shares the quota.
    pub quota_used: u32,
    /// Its latest successor, in any state.
    pub successor: Option<TokenId>,
    /// The later token of its lineage that is not revoked. A revocation of the token ends it, too.
    pub same_hands: Option<TokenId>,
}
