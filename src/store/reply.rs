//! What a store answers, and why it did not do what was asked.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use crate::domain::id::TokenId;

/// Why the store did not do what was asked. An outage is never absence.
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
    /// The store cannot answer now. A change may or may not have happened; a read tells nothing.
    #[error("store unavailable: {0}")]
    Unavailable(String),
    /// A defect: the store and this program disagree. Nothing changed.
    #[error("store defect: {0}")]
    Internal(String),
}

impl StoreError {
    /// The same for something of which a part was done before.
    pub fn after_a_part(self) -> Self {
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
    /// Who acts is a member of the environment, but not with the role that this needs.
    #[error("the role in the environment does not allow it")]
    RoleRequired,
    /// The environment is its owner's default one.
    #[error("a default environment stays")]
    DefaultEnvironment,
    /// An owner would be a member of their own environment.
    #[error("the owner is no member")]
    OwnerIsNoMember,
    /// The owner has as many environments as are allowed.
    #[error("the owner has too many environments")]
    TooManyEnvironments,
    /// The environment is shared with as many people as are allowed.
    #[error("the environment has too many members")]
    TooManyMembers,
    /// The token is past its expiry.
    #[error("the token is past its expiry")]
    TokenExpired,
    /// The account of the environment's owner is disabled.
    #[error("the environment's owner is disabled")]
    OwnerDisabled,
    /// The session that acts has ended meanwhile.
    #[error("the session ended meanwhile")]
    SessionEnded,
    /// The password was changed, or the account disabled, since it was read.
    #[error("the credentials changed meanwhile")]
    CredentialsChanged,
    /// The token was replaced by a successor, which stays. It names the first good one, or else the latest.
    #[error("the token was rotated before")]
    AlreadyRotated(Option<TokenId>),
    /// The successor would last longer than the token that it replaces.
    #[error("the successor would outlive the token that it replaces")]
    OutlivesPredecessor,
}

/// An answer, perhaps there already.
pub enum Reply<'a, T, E = StoreError> {
    /// Answered in place; `None` once it was taken.
    Ready(Option<Result<T, E>>),
    /// Still under way on another thread or host.
    Pending(Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'a>>),
}

impl<'a, T, E> Reply<'a, T, E> {
    /// An answer that is there already.
    pub const fn ready(result: Result<T, E>) -> Self {
        Self::Ready(Some(result))
    }

    /// What `next` makes of the answer: at once, if it is there already.
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

const TAKEN_ONCE: &str = "a reply is taken once";
