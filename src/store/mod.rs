//! The storage of the product, as a trait in the terms of the product.
//!
//! Each method is one atomic change. After `Ok` it is on disk. After an error nothing has changed, except after
//! [`StoreError::Unavailable`], when nobody knows. No type of a driver and no assumption of a single process appears here, so
//! that another database can implement it. The look-ups of credentials, which every request needs, are a trait of their own:
//! [`Credentials`].

mod access;
mod audit_trail;
pub mod cache;
mod changes;
mod cluster;
mod copy;
mod credentials;
mod environment_administration;
mod erasure;
mod export;
mod invalidation;
mod inventory;
mod jobs;
mod keyed_requests;
mod lookups;
mod measurements;
mod nodes;
mod ownership;
pub mod postgres;
mod queries;
mod reply;
mod restoring;
mod rotation;
mod service_accounts;
mod shared_counters;
pub(crate) mod sql;
pub mod sqlite;
mod token_counting;
mod token_histories;
mod token_search;
mod usage_records;
mod user_administration;

use std::sync::Arc;

pub use self::{
    access::Access,
    audit_trail::{AuditTrail, EventOrder, EventQuery, SealChecks, SealPlan, SealPosition},
    changes::{
        ChangedToken, LastAdmin, LeakReport, PasswordChange, ProfileChange, PruneBatch, RetentionCutoff, SignIn,
        TokenChange, Uses,
    },
    copy::{Copied, CopyError, CopyProgress, CopySide},
    credentials::{Change, CredentialSource, Credentials, Observer},
    environment_administration::{EnvironmentAdministration, OwnedEnvironmentQuery},
    erasure::{Erasure, UserDeletion},
    export::{Export, ExportBatch, ExportPosition},
    inventory::{EachToken, EachUser, TokenInventory, TokenOrder, UserInventory, UserOrder, Whose},
    keyed_requests::KeyedRequests,
    lookups::{CacheReport, LookupResult},
    measurements::{Measured, StoreKind, StoreMeasurements},
    nodes::Nodes,
    ownership::{HandOver, Ownership, Selection, Transfer},
    queries::{EnvironmentQuery, SessionQuery, TokenQuery, TokenSelection},
    reply::{Conflict, Reply, StoreError},
    restoring::{Restored, Restoring},
    rotation::{Rotation, Successors},
    service_accounts::{NewServiceAccount, ServiceAccountChange, ServiceAccountQuery, ServiceAccounts},
    shared_counters::{AttemptAnswer, Counted, Permits, SharedCounters},
    token_counting::{TokenCountQuery, TokenCounting},
    token_histories::TokenHistories,
    token_search::{FoundToken, Period, Place, SortTime, States, TokenAdministration, TokenFilter, TokenSearchQuery},
    usage_records::{BatchSeries, StoredUsage, UsageBatch, UsageRecords},
    user_administration::{AccountChange, AccountPlace, AccountQuery, UserAdministration},
};
pub use crate::domain::rotation::SuccessorEnd;
use crate::domain::{
    account::{Email, HashParameters, PasswordHash, User, UserCredentials},
    attempts::{Counter, SavedAttempts},
    audit::Attribution,
    authority::Authority,
    environment::{Environment, EnvironmentAccess, Member, MemberRole, Successor},
    id::{EnvironmentId, SessionId, TokenId, UserId},
    node::Readiness,
    session::Session,
    text::Name,
    time::Timestamp,
    token::{NewToken, RevocationReason, Token},
    use_location::UseLocation,
};

/// The storage of users, sessions, environments and tokens.
///
/// Every method can also fail with [`StoreError::NotMade`], [`StoreError::Unavailable`] or [`StoreError::Internal`]. The
/// comments name only further errors.
///
/// A method that takes an [`Attribution`] records its audit event in the same transaction. A call that changes nothing
/// records none. If a session acts that has ended meanwhile, the call fails with [`Conflict::SessionEnded`].
///
/// The traits that it includes hold further methods, by noun, under the same rules.
pub trait Store:
    AuditTrail
    + EnvironmentAdministration
    + Erasure
    + Export
    + KeyedRequests
    + Measured
    + Nodes
    + Ownership
    + ServiceAccounts
    + TokenAdministration
    + TokenCounting
    + TokenHistories
    + UsageRecords
    + UserAdministration
    + Send
    + Sync
    + 'static
{
    /// Whether the store can read and write at this moment. An error if it cannot, other than for lack of a lease.
    fn ready(&self) -> Reply<'_, Readiness>;

    /// Adds a user, and with them their environment "Default", which is their current one. [`Conflict::EmailTaken`] where
    /// the canonical address exists.
    fn add_user(&self, user: User, password: PasswordHash, by: Attribution) -> Reply<'_, ()>;
    /// A user. [`StoreError::NotFound`].
    fn user(&self, id: UserId) -> Reply<'_, User>;
    /// A user with the hash of their password. [`StoreError::NotFound`].
    fn credentials(&self, id: UserId) -> Reply<'_, UserCredentials>;
    /// The same by canonical address. `None` if no user has it.
    fn credentials_by_email(&self, email: &Email) -> Reply<'_, Option<UserCredentials>>;
    /// With which parameters the passwords of users were hashed, and of how many each: of the first `sample` users in the
    /// order of their canonical addresses.
    fn hash_parameters(&self, sample: u32) -> Reply<'_, Vec<(HashParameters, u64)>>;
    /// Up to `limit` users in the order of their ids (oldest first), from behind `after`.
    fn users(&self, after: Option<UserId>, limit: u32) -> Reply<'_, Vec<User>>;
    /// Reads all matching users in one read and passes them to `each` in batches. The memory it takes does not depend on
    /// their number, and it uses no connection of other reads.
    fn each_user(&self, inventory: UserInventory, each: EachUser) -> Reply<'_, ()>;
    /// Changes name or address. [`StoreError::NotFound`], [`Conflict::EmailTaken`], [`Conflict::CredentialsChanged`].
    fn change_profile(&self, id: UserId, change: ProfileChange, by: Attribution) -> Reply<'_, User>;
    /// Changes a password and ends the user's sessions but the one that acts.
    /// [`StoreError::NotFound`], [`Conflict::CredentialsChanged`].
    fn change_password(&self, id: UserId, change: PasswordChange, by: Attribution) -> Reply<'_, ()>;

    /// Signs a user in. [`StoreError::NotFound`], [`Conflict::CredentialsChanged`].
    fn sign_in(&self, sign_in: SignIn, by: Attribution) -> Reply<'_, ()>;
    /// The user's sessions that have not passed `expires_at` by `now`, paged.
    fn sessions_of(&self, user: UserId, query: SessionQuery, now: Timestamp) -> Reply<'_, Vec<Session>>;
    /// Ends a session of the user. [`StoreError::NotFound`].
    fn end_session(&self, user: UserId, id: SessionId, by: Attribution) -> Reply<'_, ()>;
    /// Ends the user's sessions except `keep`. Returns how many.
    fn end_other_sessions(&self, user: UserId, keep: SessionId, by: Attribution) -> Reply<'_, u64>;

    /// Adds an environment. [`StoreError::NotFound`] where the owner does not exist or is disabled,
    /// [`Conflict::TooManyEnvironments`].
    fn add_environment(&self, environment: Environment, by: Attribution) -> Reply<'_, ()>;
    /// The owner of an environment, without a check of rights. [`StoreError::NotFound`].
    fn environment_owner(&self, id: EnvironmentId) -> Reply<'_, UserId>;
    /// An environment as the user sees it. [`StoreError::NotFound`] if they do not see it.
    fn environment(&self, user: UserId, id: EnvironmentId) -> Reply<'_, EnvironmentAccess>;
    /// The environments that the user owns or is a member of.
    fn environments_of(&self, user: UserId, query: EnvironmentQuery) -> Reply<'_, Vec<EnvironmentAccess>>;
    /// Makes an environment that the user sees their current one. [`StoreError::NotFound`].
    fn set_current_environment(&self, user: UserId, id: EnvironmentId, by: Attribution) -> Reply<'_, User>;
    /// Renames an environment, as an admin or the owner. [`StoreError::NotFound`], [`Conflict::RoleRequired`].
    fn rename_environment(
        &self,
        user: UserId,
        id: EnvironmentId,
        name: Name,
        by: Attribution,
    ) -> Reply<'_, EnvironmentAccess>;
    /// Deletes an environment and its tokens, as the owner. Users who had selected it get their default one.
    /// [`StoreError::NotFound`], [`Conflict::RoleRequired`], [`Conflict::DefaultEnvironment`].
    fn delete_environment(&self, user: UserId, id: EnvironmentId, by: Attribution) -> Reply<'_, ()>;
    /// The members of an environment, oldest first. Only for its owner.
    /// [`StoreError::NotFound`], [`Conflict::RoleRequired`].
    fn members_of(&self, user: UserId, id: EnvironmentId) -> Reply<'_, Vec<Member>>;
    /// Shares an environment with somebody, or gives them another role, as the owner. [`StoreError::NotFound`] where the
    /// user does not see the environment or nobody is `with`, [`Conflict::RoleRequired`], [`Conflict::OwnerIsNoMember`],
    /// [`Conflict::TooManyMembers`].
    fn set_member(
        &self,
        user: UserId,
        id: EnvironmentId,
        with: UserId,
        role: MemberRole,
        by: Attribution,
    ) -> Reply<'_, Member>;
    /// Shares an environment no more with `with`, as the owner or as `with` themselves, who is back in their default one
    /// if they worked in it. [`StoreError::NotFound`], [`Conflict::RoleRequired`].
    fn remove_member(&self, user: UserId, id: EnvironmentId, with: UserId, by: Attribution) -> Reply<'_, ()>;

    /// Adds a token of an environment, as an admin or the owner. Its `environment` says which, and its `owner` is that
    /// one's. [`StoreError::NotFound`], [`Conflict::RoleRequired`], [`Conflict::OwnerDisabled`], and
    /// [`Conflict::TooManyTokens`] where the environment has `max_live` live tokens.
    fn add_environment_token(&self, user: UserId, token: NewToken, max_live: u32, by: Attribution) -> Reply<'_, Token>;
    /// A token of an environment that the user sees, also one that is revoked. [`StoreError::NotFound`].
    fn environment_token(&self, user: UserId, environment: EnvironmentId, id: TokenId) -> Reply<'_, Token>;
    /// The tokens of an environment that the user sees, like [`Store::tokens_of`]. [`StoreError::NotFound`].
    fn environment_tokens(
        &self,
        authority: Authority,
        environment: EnvironmentId,
        query: TokenQuery,
        now: Timestamp,
    ) -> Reply<'_, Vec<Token>>;
    /// Puts a successor in the place of a token, which is revoked, as an admin or the owner of its environment.
    /// [`StoreError::NotFound`], [`Conflict::RoleRequired`], [`Conflict::OwnerDisabled`], [`Conflict::TokenExpired`].
    fn regenerate_environment_token(
        &self,
        user: UserId,
        environment: EnvironmentId,
        id: TokenId,
        successor: Successor,
        by: Attribution,
    ) -> Reply<'_, ChangedToken>;
    /// Changes name and annotations of a token that is not revoked, as an admin or the owner of its environment.
    /// [`StoreError::NotFound`], [`Conflict::RoleRequired`].
    fn change_environment_token(
        &self,
        user: UserId,
        environment: EnvironmentId,
        id: TokenId,
        change: TokenChange,
        by: Attribution,
    ) -> Reply<'_, ChangedToken>;
    /// Revokes a token for good, as an admin or the owner of its environment. [`StoreError::NotFound`], also the second
    /// time, [`Conflict::RoleRequired`], and [`Conflict::AlreadyRotated`] where it was regenerated and what took its
    /// place is good.
    fn revoke_environment_token(
        &self,
        authority: Authority,
        environment: EnvironmentId,
        id: TokenId,
        reason: RevocationReason,
        by: Attribution,
    ) -> Reply<'_, ()>;

    /// Adds a personal token and gives it its number. [`StoreError::NotFound`] where the owner does not exist or is disabled,
    /// [`Conflict::TooManyTokens`] where the owner has `max_live` tokens that are neither revoked nor expired at its
    /// `created_at`.
    fn add_token(&self, token: NewToken, max_live: u32, by: Attribution) -> Reply<'_, Token>;
    /// A token of any kind that is not revoked, without a check of rights. [`StoreError::NotFound`].
    fn token(&self, id: TokenId) -> Reply<'_, Token>;
    /// The same, also if it is revoked. [`StoreError::NotFound`].
    fn token_in_any_state(&self, id: TokenId) -> Reply<'_, Token>;
    /// When the token with this row number was last used, of whatever kind it is. [`StoreError::NotFound`].
    fn last_use_of(&self, number: i64) -> Reply<'_, Option<Timestamp>>;
    /// The owner's personal tokens, narrowed and paged; states are judged at `now`. The list ends early behind the token
    /// that a page of [`domain::page`](crate::domain::page) does not hold any more.
    fn tokens_of(&self, owner: UserId, query: TokenQuery, now: Timestamp) -> Reply<'_, Vec<Token>>;
    /// Reads all tokens that are asked for, of persons and of environments, like [`Store::each_user`]; states are judged at
    /// `now`.
    fn each_token(&self, inventory: TokenInventory, now: Timestamp, each: EachToken) -> Reply<'_, ()>;
    /// Changes name and annotations of a personal token of the owner that is not revoked. [`StoreError::NotFound`].
    fn change_token(&self, owner: UserId, id: TokenId, change: TokenChange, by: Attribution)
    -> Reply<'_, ChangedToken>;
    /// Revokes a personal token of the owner for good, and its successors as [`Successors`] says, also where rotation has
    /// ended the token itself. [`StoreError::NotFound`] where nothing of that is left, so also the second time, and
    /// [`Conflict::AlreadyRotated`] where rotation has ended the token and only a successor that the owner made is good.
    fn revoke_token(
        &self,
        owner: UserId,
        id: TokenId,
        reason: RevocationReason,
        by: Attribution,
    ) -> Reply<'_, Successors>;
    /// The latest successor of each of those tokens that has one, whatever their states.
    fn successors_of(&self, ids: Vec<TokenId>) -> Reply<'_, Vec<(TokenId, TokenId)>>;

    /// Replaces a token by a successor that lasts no longer. If the token itself acts, the successor is of its lineage
    /// ([`Successors`]). [`StoreError::NotFound`] where it is not the owner's, or is not good at the time, or the owner is
    /// disabled; [`Conflict::AlreadyRotated`], also where rotation has ended it and a successor is good;
    /// [`Conflict::OutlivesPredecessor`], [`Conflict::WidensAbilities`].
    fn rotate_token(&self, rotation: Rotation, by: Attribution) -> Reply<'_, ChangedToken>;
    /// Notes the first use of a successor, and ends the token that it replaces where the first use does.
    /// [`StoreError::NotFound`] where it is revoked.
    fn record_first_use(&self, successor: TokenId, rotated_from: TokenId, by: Attribution) -> Reply<'_, ()>;
    /// Revokes every token of the owner that is of the family, since the secret of `reused` was seen after rotation had
    /// ended it; answers how many. That it was seen is noted if `note` says so or any was revoked.
    fn revoke_family(
        &self,
        owner: UserId,
        family: TokenId,
        reused: TokenId,
        note: bool,
        by: Attribution,
    ) -> Reply<'_, u64>;
    /// Finds some of the tokens, of persons and of environments, that ended long ago, behind the row number `after`. A
    /// successor counts only where what it replaces ended as long ago, by more than not being used, and the first of a
    /// family only where no other is there.
    fn ended_tokens(&self, long_ago: RetentionCutoff, after: i64) -> Reply<'_, PruneBatch>;
    /// Deletes those of the tokens that were found so and still count; answers how many. It leaves no event.
    fn prune_tokens(&self, tokens: Vec<(i64, TokenId)>, long_ago: RetentionCutoff) -> Reply<'_, u64>;
    /// Revokes those selected of the owner's tokens that are neither revoked nor expired, in one moment, and the successors
    /// of those that are named, as [`Successors`] says; answers how many.
    fn revoke_tokens(
        &self,
        owner: UserId,
        selection: TokenSelection,
        reason: RevocationReason,
        by: Attribution,
    ) -> Reply<'_, u64>;
    /// Revokes the reported tokens and ends the reported sessions, and revokes successors of the tokens as
    /// [`Successors`] says, also those of a token that has ended. Does nothing to what has ended already. If nothing is
    /// revoked, it records the number of presented secrets in no user's trail, so that it takes as long.
    fn revoke_leaked(&self, leaked: LeakReport, by: Attribution) -> Reply<'_, ()>;
    /// Disables a token of the owner that is not revoked, and its successors as [`Successors`] says, also where rotation
    /// has ended the token itself; a second time changes nothing. Errors as of [`Store::revoke_token`].
    fn disable_token(&self, owner: UserId, id: TokenId, by: Attribution) -> Reply<'_, (ChangedToken, Successors)>;
    /// Enables a token of the owner that is not revoked; where it is enabled, nothing changes. [`StoreError::NotFound`].
    fn enable_token(&self, owner: UserId, id: TokenId, by: Attribution) -> Reply<'_, ChangedToken>;

    /// Takes uses of a token's quota, as many as [`limits::lease`](crate::domain::usage_limits::lease) says of what is left;
    /// answers how many: none where it is used up. [`StoreError::NotFound`] where it is revoked, or has no quota.
    fn reserve_uses(&self, id: TokenId) -> Reply<'_, u32>;
    /// Returns reserved uses that were not spent.
    fn return_uses(&self, unused: Vec<(TokenId, u32)>) -> Reply<'_, ()>;
    /// How many uses of their quotas are reserved or spent, for those of the tokens that have a quota.
    fn taken_uses(&self, ids: Vec<TokenId>) -> Reply<'_, Vec<(TokenId, u32)>>;

    /// The saved attempt counters, and the key of their digests.
    fn saved_attempts(&self) -> Reply<'_, SavedAttempts>;
    /// Saves attempt counters. Each replaces its saved value. It records no event.
    fn save_attempts(&self, counters: Vec<Counter>) -> Reply<'_, ()>;
    /// Deletes the counters that were at rest by then. Returns how many.
    fn delete_rested_attempts(&self, rested_by: Timestamp) -> Reply<'_, u64>;

    /// The latest time that the store knows to have been: the one that was recorded last, or that of a later event. `None`
    /// where there is neither.
    fn latest_time(&self) -> Reply<'_, Option<Timestamp>>;
    /// Records that it is `now`. Earlier events no longer count for [`Store::latest_time`], so that a wrong time in one of
    /// them does no harm. It leaves no event.
    fn record_time(&self, now: Timestamp) -> Reply<'_, ()>;

    /// Records uses. A time never moves back. Deleted tokens and sessions are ignored.
    fn record_uses(&self, uses: Uses) -> Reply<'_, ()>;
    /// Notes from where tokens were used, and forgets all but the latest [`UseLocation::KEPT`] of each; what is gone is
    /// passed over.
    fn record_locations(&self, origins: Vec<(TokenId, UseLocation)>) -> Reply<'_, ()>;
    /// The use locations of a token, latest first.
    fn locations_of(&self, id: TokenId) -> Reply<'_, Vec<UseLocation>>;
    /// Deletes the sessions that passed `expires_at` by `now`; answers how many. What has ended by itself leaves no event.
    fn prune_sessions(&self, now: Timestamp) -> Reply<'_, u64>;

    /// Completes the queued writes, checkpoints all of them into the database file, and refuses later writes. For the end of
    /// a process. Dropping a store does the same.
    fn close(&self) -> Reply<'_, ()>;
}

/// One open database.
#[derive(Clone)]
pub struct Database {
    /// Everything but the look-ups of credentials.
    pub store: Arc<dyn Store>,
    /// The look-ups of credentials.
    pub credentials: Arc<dyn CredentialSource>,
}

impl Database {
    /// Of any implementation of the store.
    pub fn new<S: Store + CredentialSource>(store: Arc<S>) -> Self {
        Self { store: Arc::<S>::clone(&store), credentials: store }
    }

    /// A backend without a cache.
    pub fn uncached(self) -> Backend {
        Backend { store: self.store, credentials: self.credentials }
    }
}

/// The store, and the look-ups of credentials, which a cache may answer.
#[derive(Clone)]
pub struct Backend {
    /// Everything but the look-ups of credentials.
    pub store: Arc<dyn Store>,
    /// The look-ups of credentials.
    pub credentials: Arc<dyn Credentials>,
}

impl Backend {
    /// A backend without a cache.
    pub fn new<S: Store + Credentials>(store: Arc<S>) -> Self {
        Self { store: Arc::<S>::clone(&store), credentials: store }
    }
}
