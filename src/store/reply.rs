//! The answer of a store, and its errors.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use crate::domain::id::TokenId;

/// Why a call of the store failed. An outage is never reported as [`Self::NotFound`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// There is no such row, or it is not the named owner's. Nothing changed.
    #[error("not found")]
    NotFound,
    /// A rule of the data forbids it. Nothing changed.
    #[error("conflict: {0}")]
    Conflict(Conflict),
    /// The store cannot make the change now, and has not made it: another process has the write lock, for example.
    #[error("store unavailable, nothing changed: {0}")]
    NotMade(String),
    /// The store cannot answer now. A change may or may not have been made.
    #[error("store unavailable: {0}")]
    Unavailable(String),
    /// A defect of this program or of the stored data. Nothing changed.
    #[error("store defect: {0}")]
    Internal(String),
}

impl StoreError {
    /// The error of an operation of several changes, of which at least one was made before this error.
    pub fn after_partial_change(self) -> Self {
        match self {
            Self::NotMade(why) => Self::Unavailable(why),
            other => other,
        }
    }
}

/// A rule that a change would break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// Another user has this address.
    #[error("the email address is taken")]
    EmailTaken,
    /// The owner, or the environment, has as many live tokens as are allowed.
    #[error("the owner has too many live tokens")]
    TooManyTokens,
    /// The user is a member of the environment, but not in the role that the change needs.
    #[error("the role in the environment does not allow it")]
    RoleRequired,
    /// The environment is its owner's default one.
    #[error("a default environment cannot be deleted")]
    DefaultEnvironment,
    /// The token could do what its new owner may do as an administrator, and others have its secret.
    #[error("the token would have the power of an administrator")]
    GrantsAdmin(TokenId),
    /// The owner of an environment cannot also be a member of it.
    #[error("the owner cannot be a member")]
    OwnerIsNoMember,
    /// The owner has as many environments as are allowed.
    #[error("the owner has too many environments")]
    TooManyEnvironments,
    /// The environment is shared with as many people as are allowed.
    #[error("the environment has too many members")]
    TooManyMembers,
    /// The service account has as many managers as are allowed.
    #[error("the service account has too many managers")]
    TooManyManagers,
    /// The user is the last enabled administrator.
    #[error("the last administrator stays")]
    LastAdmin,
    /// The token has expired.
    #[error("the token has expired")]
    TokenExpired,
    /// It is a canary token, and those are not rotated.
    #[error("a canary token is not rotated")]
    CanaryToken,
    /// The account of the environment's owner is disabled.
    #[error("the environment's owner is disabled")]
    OwnerDisabled,
    /// The session or the administrator's token that made the change ended before the change ran.
    #[error("the session has ended")]
    SessionEnded,
    /// The user who made the change as an administrator lost the role before the change ran.
    #[error("the user is no longer an administrator")]
    AdminRequired,
    /// A request with this `Idempotency-Key` was made before.
    #[error("a request with this key was made before")]
    MadeAlready,
    /// The password was changed, or the account disabled, since it was read.
    #[error("the credentials have changed since they were read")]
    CredentialsChanged,
    /// The token already has a successor, which is kept. The id is that of the first valid later token, or else of the
    /// latest, if it is known.
    #[error("the token was already rotated")]
    AlreadyRotated(Option<TokenId>),
    /// The successor would last longer than the token that it replaces.
    #[error("the successor would outlive the token that it replaces")]
    OutlivesPredecessor,
    /// The successor would have an ability that the token which it replaces does not cover.
    #[error("the successor would have more abilities than the token that it replaces")]
    WidensAbilities,
}

/// An answer, ready or pending.
pub enum Reply<'a, T, E = StoreError> {
    /// Answered on the calling thread. `None` after the answer was taken.
    Ready(Option<Result<T, E>>),
    /// Another thread will answer.
    Pending(Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'a>>),
}

impl<'a, T, E> Reply<'a, T, E> {
    /// An answer that is ready.
    pub const fn ready(result: Result<T, E>) -> Self {
        Self::Ready(Some(result))
    }

    /// Passes the answer to `next`, at once if it is ready.
    pub fn then<U, F>(self, next: impl FnOnce(Result<T, E>) -> Reply<'a, U, F> + Send + 'a) -> Reply<'a, U, F>
    where
        T: Unpin + Send + 'a,
        E: Unpin + Send + 'a,
        U: Unpin + Send,
        F: Unpin + Send,
    {
        match self {
            Self::Ready(result) => next(result.expect(TAKEN_ONCE)),
            pending => Reply::Pending(Box::pin(async move { next(pending.await).await })),
        }
    }
}

impl<T: Unpin, E: Unpin> Future for Reply<'_, T, E> {
    type Output = Result<T, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            Self::Ready(result) => Poll::Ready(result.take().expect(TAKEN_ONCE)),
            Self::Pending(future) => future.as_mut().poll(cx),
        }
    }
}

const TAKEN_ONCE: &str = "a reply must not be polled after it has answered";
