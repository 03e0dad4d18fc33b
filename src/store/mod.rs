//! What the product needs of its storage, in the product's own verbs.
//!
//! One method is one atomic change: it is on disk when it is answered `Ok`, or it did not happen, or (after
//! [`StoreError::Unavailable`]) nobody knows. No driver's type and no assumption of a single process shows here, so that
//! another database can stand behind it. Methods that look up by secret are called for every request: a store answers
//! them without leaving the thread where it can.

pub mod cached;
pub mod sqlite;

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use crate::domain::{
    account::{Email, PasswordHash, User, UserCredentials},
    audit::{By, Entry, Event},
    id::{SessionId, TokenId, UserId},
    secret::TokenHash,
    session::{NewSession, Session, SessionRecord},
    text::Name,
    time::Timestamp,
    token::{NewToken, RevocationReason, Token, TokenRecord, TokenState},
    use_origin::UseOrigin,
};

/// Why the store did not do what was asked. An outage is never absence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// There is no such row, or it is not the named owner's. Nothing changed.
    #[error("not found")]
    NotFound,
    /// A rule of the data forbids it. Nothing changed.
    #[error("conflict: {0}")]
    Conflict(Conflict),
    /// The store cannot answer now. A change may or may not have happened; a read tells nothing.
    #[error("store unavailable: {0}")]
    Unavailable(String),
    /// A defect: the store and this program disagree. Nothing changed.
    #[error("store defect: {0}")]
    Internal(String),
}

/// A rule that a change would break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// Another user has this address.
    #[error("the email address is taken")]
    EmailTaken,
    /// The owner has as many live tokens as are allowed.
    #[error("the owner has too many live tokens")]
    TooManyTokens,
    /// The session that acts has ended meanwhile.
    #[error("the session ended meanwhile")]
    SessionEnded,
    /// The password was changed, or the account disabled, since it was read.
    #[error("the credentials changed meanwhile")]
    CredentialsChanged,
}

/// An answer of the store, perhaps there already.
pub enum Reply<'a, T> {
    /// Answered in place; `None` once it was taken.
    Ready(Option<Result<T, StoreError>>),
    /// Still under way on another thread or host.
    Pending(Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>),
}

impl<T> Reply<'_, T> {
    /// An answer that is there already.
    pub const fn ready(result: Result<T, StoreError>) -> Self {
        Self::Ready(Some(result))
    }
}

impl<T: Unpin> Future for Reply<'_, T> {
    type Output = Result<T, StoreError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            Self::Ready(result) => Poll::Ready(result.take().expect("a reply is polled no more once it was ready")),
            Self::Pending(future) => future.as_mut().poll(cx),
        }
    }
}

/// A change to a user's profile; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct ProfileChange {
    /// The new name.
    pub name: Option<Name>,
    /// The new address.
    pub email: Option<Email>,
}

/// A change of a password, which ends the user's sessions but the one that acts.
#[derive(Clone, Debug)]
pub struct PasswordChange {
    /// The hash that the current password was checked against; `None` where an administrator asked for no password.
    /// If it is no longer the stored one: [`Conflict::CredentialsChanged`].
    pub verified: Option<PasswordHash>,
    /// The hash of the new password.
    pub password: PasswordHash,
}

/// A sign-in: a session for somebody whose password was checked.
#[derive(Clone, Debug)]
pub struct SignIn {
    /// The session to store.
    pub session: NewSession,
    /// The hash that the password was checked against. If it is no longer the stored one, or the account was disabled
    /// meanwhile: [`Conflict::CredentialsChanged`], and no session.
    pub verified: PasswordHash,
    /// The same password hashed with today's parameters, to replace the stored hash.
    pub rehashed: Option<PasswordHash>,
}

/// Which of an owner's tokens to list, newest first.
#[derive(Clone, Debug, Default)]
pub struct TokenQuery {
    /// Only those whose name holds this text, upper and lower case (of ASCII) alike.
    pub search: Option<String>,
    /// Only those in this state; `None` is all but the revoked.
    pub state: Option<TokenState>,
    /// Only those with a smaller row number: where the previous page ended.
    pub before: Option<i64>,
    /// At most so many.
    pub limit: u32,
}

/// Which of an owner's tokens a change is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenSelection {
    /// All of them.
    All,
    /// Those among these that are the owner's.
    These(Vec<TokenId>),
}

/// Credentials whose secrets were found where they should not be, whoever owns them.
#[derive(Clone, Debug, Default)]
pub struct Leaked {
    /// Tokens.
    pub tokens: Vec<TokenId>,
    /// Sessions.
    pub sessions: Vec<SessionId>,
}

/// Uses of tokens and sessions since the last report, each once with its latest time.
#[derive(Clone, Debug, Default)]
pub struct Uses {
    /// When tokens were last used, by their row numbers.
    pub tokens: Vec<(i64, Timestamp)>,
    /// When sessions were last used.
    pub sessions: Vec<(SessionId, Timestamp)>,
}

/// What a write may have changed of that which [`Store::token_by_hash`] and [`Store::session_by_hash`] answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// This secret stands for something now.
    Added(TokenHash),
    /// This token, or that it is there.
    Token(TokenId),
    /// This session, or that it is there.
    Session(SessionId),
    /// This user, or which sessions they have.
    User(UserId),
    /// Which sessions there are.
    Sessions,
    /// Anything: somebody else wrote.
    Anything,
}

/// Told of changes. It is called on the thread that writes, so it must not wait for anything.
pub type Observer = Box<dyn Fn(Change) + Send + Sync>;

/// The storage of users, sessions and tokens.
///
/// Every method may also answer [`StoreError::Unavailable`] or [`StoreError::Internal`]; only further errors are named.
///
/// Whatever is told [`By`] whom it is done leaves its event in the audit trail, in the same moment: both are on disk, or
/// neither is, and what changes nothing leaves none. Where a session acts that has ended meanwhile, it answers
/// [`Conflict::SessionEnded`], and nothing happens.
pub trait Store: Send + Sync + 'static {
    /// Whether the store can read and write at this moment.
    fn ready(&self) -> Reply<'_, ()>;

    /// Adds a user, and with them their environment "Default", which is their current one. [`Conflict::EmailTaken`] where the canonical address exists.
    fn add_user(&self, user: User, password: PasswordHash, by: By) -> Reply<'_, ()>;
    /// A user. [`StoreError::NotFound`].
    fn user(&self, id: UserId) -> Reply<'_, User>;
    /// A user with the hash of their password. [`StoreError::NotFound`].
    fn credentials(&self, id: UserId) -> Reply<'_, UserCredentials>;
    /// The same by canonical address; `None` where nobody has it.
    fn credentials_by_email(&self, email: &Email) -> Reply<'_, Option<UserCredentials>>;
    /// Up to `limit` users in the order of their ids (oldest first), from behind `after`.
    fn users(&self, after: Option<UserId>, limit: u32) -> Reply<'_, Vec<User>>;
    /// Changes name or address. [`StoreError::NotFound`], [`Conflict::EmailTaken`].
    fn change_profile(&self, id: UserId, change: ProfileChange, by: By) -> Reply<'_, User>;
    /// Changes a password and ends the user's sessions but the one that acts.
    /// [`StoreError::NotFound`], [`Conflict::CredentialsChanged`].
    fn change_password(&self, id: UserId, change: PasswordChange, by: By) -> Reply<'_, ()>;
    /// Disables a user from now on and ends their sessions; a second time changes nothing. [`StoreError::NotFound`].
    fn disable_user(&self, id: UserId, by: By) -> Reply<'_, User>;
    /// Enables a user; where they are enabled, nothing changes. [`StoreError::NotFound`].
    fn enable_user(&self, id: UserId, by: By) -> Reply<'_, User>;

    /// Signs somebody in. [`StoreError::NotFound`], [`Conflict::CredentialsChanged`].
    fn sign_in(&self, sign_in: SignIn, by: By) -> Reply<'_, ()>;
    /// The session with this secret and its user, whatever their state; `None` where there is none.
    fn session_by_hash(&self, hash: &TokenHash) -> Reply<'_, Option<Arc<SessionRecord>>>;
    /// The user's sessions that have not passed `expires_at` by `now`, newest first.
    fn sessions_of(&self, user: UserId, now: Timestamp) -> Reply<'_, Vec<Session>>;
    /// Ends a session of the user. [`StoreError::NotFound`].
    fn end_session(&self, user: UserId, id: SessionId, by: By) -> Reply<'_, ()>;
    /// Ends the user's sessions but `keep`; answers how many.
    fn end_other_sessions(&self, user: UserId, keep: SessionId, by: By) -> Reply<'_, u64>;

    /// Adds a token and gives it its number. [`StoreError::NotFound`] where the owner does not exist or is disabled,
    /// [`Conflict::TooManyTokens`] where the owner has `max_live` tokens that are neither revoked nor expired at its
    /// `created_at`.
    fn add_token(&self, token: NewToken, max_live: u32, by: By) -> Reply<'_, Token>;
    /// The token with this secret and its owner, whatever their state; `None` where there is none.
    fn token_by_hash(&self, hash: &TokenHash) -> Reply<'_, Option<Arc<TokenRecord>>>;
    /// A token that is not revoked, whoever owns it. [`StoreError::NotFound`].
    fn token(&self, id: TokenId) -> Reply<'_, Token>;
    /// The owner's tokens, narrowed and paged; states are judged at `now`.
    fn tokens_of(&self, owner: UserId, query: TokenQuery, now: Timestamp) -> Reply<'_, Vec<Token>>;
    /// Renames a token of the owner that is not revoked. [`StoreError::NotFound`].
    fn rename_token(&self, owner: UserId, id: TokenId, name: Name, by: By) -> Reply<'_, Token>;
    /// Revokes a token of the owner for good. [`StoreError::NotFound`], also the second time.
    fn revoke_token(&self, owner: UserId, id: TokenId, reason: RevocationReason, by: By) -> Reply<'_, ()>;

    /// Revokes those selected of the owner's tokens that are neither revoked nor expired, in one moment; answers how many.
    fn revoke_tokens(
        &self,
        owner: UserId,
        selection: TokenSelection,
        reason: RevocationReason,
        by: By,
    ) -> Reply<'_, u64>;
    /// Revokes the tokens and ends the sessions that were found where they should not be; what has ended is passed over.
    /// Where nothing is left to do, that somebody reported something is noted in nobody's trail: so it takes as long.
    fn revoke_leaked(&self, leaked: Leaked, by: By) -> Reply<'_, ()>;
    /// Disables a token of the owner that is not revoked; a second time changes nothing. [`StoreError::NotFound`].
    fn disable_token(&self, owner: UserId, id: TokenId, by: By) -> Reply<'_, Token>;
    /// Enables a token of the owner that is not revoked; where it is enabled, nothing changes. [`StoreError::NotFound`].
    fn enable_token(&self, owner: UserId, id: TokenId, by: By) -> Reply<'_, Token>;

    /// Takes uses of a token's quota, as many as [`limits::lease`](crate::domain::limits::lease) says of what is left;
    /// answers how many: none where it is used up. [`StoreError::NotFound`] where it is revoked, or has no quota.
    fn reserve_uses(&self, id: TokenId) -> Reply<'_, u32>;
    /// Gives back uses that were taken and not made.
    fn return_uses(&self, unused: Vec<(TokenId, u32)>) -> Reply<'_, ()>;
    /// How many uses of their quotas were taken, of those tokens among `ids` that have one.
    fn taken_uses(&self, ids: Vec<TokenId>) -> Reply<'_, Vec<(TokenId, u32)>>;

    /// Notes in the audit trail what was refused, and so changed nothing that would be noted by itself.
    fn record_refusal(&self, refused: Entry, by: By) -> Reply<'_, ()>;
    /// The events of the user's trail before `before`, newest first, at most `limit`.
    fn events_of(&self, user: UserId, before: Option<i64>, limit: u32) -> Reply<'_, Vec<Event>>;

    /// Notes uses; a time never moves back, what is gone is passed over.
    fn record_uses(&self, uses: Uses) -> Reply<'_, ()>;
    /// Notes from where tokens were used, and forgets all but the latest [`UseOrigin::KEPT`] of each; what is gone is
    /// passed over.
    fn record_origins(&self, origins: Vec<(TokenId, UseOrigin)>) -> Reply<'_, ()>;
    /// From where a token was used, the latest first.
    fn origins_of(&self, id: TokenId) -> Reply<'_, Vec<UseOrigin>>;
    /// Deletes the sessions that passed `expires_at` by `now`; answers how many. What has ended by itself leaves no event.
    fn prune_sessions(&self, now: Timestamp) -> Reply<'_, u64>;

    /// Has `observer` told of every [`Change`] from now on, once it can be read and before whoever asked for it is
    /// answered: also where it failed or nobody knows, and also where the caller has left. A change that did not happen
    /// may be told of. What others changed, past this store, is told of as soon as it is seen.
    fn observe(&self, observer: Observer);
    /// Whether the store answers now, and its observers were told of every change, by whomever, that is more than a
    /// tenth of a second old. Asked for every request. Where a store cannot know, it says no.
    fn vouches(&self) -> bool;
}
