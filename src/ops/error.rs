//! The error type of all operations.

use super::{
    clock::ClockFault,
    rejection::{PolicyRejection, Rejection, Throttled},
};
use crate::{
    domain::{ability::Ability, id::TokenId, secret::CredentialKind},
    store::{Conflict, StoreError},
};

/// Why an operation failed. Nothing was changed, except where [`StoreError::Unavailable`] leaves it open and where
/// [`Self::AfterRevocations`] says so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The credential is not accepted. Clients see the same answer for nearly all of the reasons.
    #[error("denied: {0}")]
    Rejected(#[from] Rejection),
    /// The e-mail address and the password do not belong to an account that may sign in.
    #[error("sign-in refused")]
    SignInRefused,
    /// The credential is accepted, but this operation needs a session.
    #[error("a session is required")]
    SessionRequired,
    /// Only a personal access token can rotate itself. This credential is of another kind.
    #[error("a {} does not replace itself", .0.as_str())]
    NotSelfRotating(CredentialKind),
    /// The token lacks at least one of these abilities. All of them are needed.
    #[error("the token lacks an ability: {} needed", join(.0))]
    MissingAbility(Vec<Ability>),
    /// The policy rejects the request for every credential.
    #[error("policy: {0}")]
    Policy(#[from] PolicyRejection),
    /// The user's role in the environment does not allow the operation.
    #[error("the role in the environment does not allow it")]
    RoleRequired,
    /// Only an administrator may do this, and the user is not one.
    #[error("an administrator is required")]
    AdminRequired,
    /// The token cannot be rotated because it has a successor that stays valid. Its id is given if it is known.
    #[error("rotated already")]
    AlreadyRotated(Option<TokenId>),
    /// Nothing was revoked or disabled: rotation has ended the token, and this successor, which the owner made, is valid.
    #[error("replaced by {0}")]
    Replaced(TokenId),
    /// The item does not exist or belongs to another user.
    #[error("not found")]
    NotFound,
    /// The present state does not allow the change.
    #[error("conflict: {0}")]
    Conflict(#[from] StateConflict),
    /// The configuration does not allow registration.
    #[error("registration is switched off")]
    RegistrationClosed,
    /// These fields are invalid.
    #[error("{}", list(.0))]
    Invalid(Vec<FieldError>),
    /// Too many attempts.
    #[error("too many attempts")]
    Throttled(Throttled),
    /// Too many passwords are waiting to be hashed. Nothing was decided.
    #[error("too many passwords are being checked at once")]
    Busy,
    /// The clock cannot be relied on, so nothing is issued that carries a time. Nothing was changed.
    #[error("the clock is unreliable")]
    ClockUnreliable(ClockFault),
    /// The operating system refused this resource. Nothing was decided.
    #[error("the system gives no more {0}")]
    Exhausted(&'static str),
    /// Tokens were revoked in several changes, and some were made before this error.
    #[error("{error}, after {revoked} tokens were revoked")]
    AfterRevocations {
        /// How many tokens were revoked.
        revoked: u64,
        /// Why the rest was not.
        error: Box<Error>,
    },
    /// The store failed. Nothing was decided.
    #[error(transparent)]
    Store(StoreError),
    /// A defect: the operating system gave no randomness, or a stored hash cannot be read.
    #[error("defect: {0}")]
    Internal(String),
}

impl Error {
    /// This error, of an operation that has revoked so many tokens before it.
    pub(super) fn after_revocations(self, revoked: u64) -> Self {
        if revoked == 0 {
            return self;
        }
        let error = match self {
            Self::Store(error) => Self::Store(error.after_partial_change()),
            other => other,
        };
        Self::AfterRevocations { revoked, error: Box::new(error) }
    }
}

/// Why the present state does not allow a change that the caller has the right to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.code())]
pub enum StateConflict {
    /// A default environment cannot be deleted while its owner's account exists.
    DefaultEnvironment,
    /// The user is the last enabled administrator.
    LastAdmin,
    /// The token has expired, and its successor would have the same expiry.
    TokenExpired,
    /// A canary token is not rotated or regenerated.
    CanaryToken,
    /// The account of the environment's owner is disabled, so a new token of the environment would be refused.
    OwnerDisabled,
}

impl StateConflict {
    /// The code in answers and logs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::DefaultEnvironment => "default_environment",
            Self::LastAdmin => "last_admin",
            Self::TokenExpired => "token_expired",
            Self::CanaryToken => "canary_token",
            Self::OwnerDisabled => "owner_disabled",
        }
    }
}

/// A field of a request that is invalid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// The field as the API names it: `name`, `abilities.0`.
    pub field: String,
    /// A whole sentence: "The name field is required."
    pub message: String,
}

impl FieldError {
    /// An error with the message `The FIELD field PREDICATE`.
    pub fn new(field: impl Into<String>, predicate: impl std::fmt::Display) -> Self {
        let field = field.into();
        Self { message: format!("The {field} field {predicate}"), field }
    }
}

impl From<FieldError> for Error {
    fn from(error: FieldError) -> Self {
        Self::Invalid(vec![error])
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound => Self::NotFound,
            // The session was valid when the request started and has ended since. The answer is that of an ended session.
            StoreError::Conflict(Conflict::SessionEnded) => Rejection::Unknown.into(),
            StoreError::Conflict(Conflict::AdminRequired) => Self::AdminRequired,
            StoreError::Conflict(Conflict::RoleRequired) => Self::RoleRequired,
            StoreError::Conflict(Conflict::DefaultEnvironment) => StateConflict::DefaultEnvironment.into(),
            StoreError::Conflict(Conflict::LastAdmin) => StateConflict::LastAdmin.into(),
            StoreError::Conflict(Conflict::TokenExpired) => StateConflict::TokenExpired.into(),
            StoreError::Conflict(Conflict::CanaryToken) => StateConflict::CanaryToken.into(),
            StoreError::Conflict(Conflict::OwnerDisabled) => StateConflict::OwnerDisabled.into(),
            // The caller looks up what was made. It finds nothing only if that was forgotten at this moment.
            StoreError::Conflict(Conflict::MadeAlready) => {
                Self::Store(StoreError::NotMade("a request with the same key was made".into()))
            }
            StoreError::Conflict(Conflict::AlreadyRotated(successor)) => Self::AlreadyRotated(successor),
            other => Self::Store(other),
        }
    }
}

impl From<getrandom::Error> for Error {
    fn from(error: getrandom::Error) -> Self {
        Self::Internal(format!("no randomness: {error}"))
    }
}

fn join(abilities: &[Ability]) -> String {
    abilities.iter().map(Ability::as_str).collect::<Vec<_>>().join(" ")
}

fn list(errors: &[FieldError]) -> String {
    let messages: Vec<&str> = errors.iter().map(|error| &*error.message).collect();
    messages.join(" ")
}
