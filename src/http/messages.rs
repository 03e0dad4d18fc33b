//! The sentences for errors of operations.

use std::borrow::Cow;

use crate::{
    domain::{path::AmbiguousPath, secret::CredentialKind},
    ops::{self, FieldError, StateConflict, authorization::PolicyRejection, verification::Rejection},
    store::StoreError,
};

/// For defects, of which a client learns nothing more.
pub(super) const SERVER_ERROR: &str = "Server Error";

/// The sentence for an error of an operation. Why a credential is not accepted is only in the log.
pub(super) fn operation_message(error: &ops::Error) -> Cow<'static, str> {
    use ops::Error as Ops;
    match error {
        Ops::Throttled(_) | Ops::Rejected(Rejection::RateLimited(_)) => "Too Many Attempts.".into(),
        Ops::Rejected(Rejection::QuotaExceeded) => "The quota of this token is used up.".into(),
        // Nothing was presented, so the hint tells nothing about a credential.
        Ops::Rejected(Rejection::Missing) => "Unauthenticated. Send Authorization: Bearer <token>.".into(),
        Ops::Rejected(_) | Ops::SignInRefused => "Unauthenticated.".into(),
        Ops::SessionRequired => "This needs a session: sign in, and send the session token instead.".into(),
        Ops::NotSelfRotating(CredentialKind::EnvironmentToken) => {
            "An environment token cannot rotate itself. A session with the role admin can replace it: POST \
             /api/v1/environments/{id}/tokens/{token_id}/regenerate."
                .into()
        }
        Ops::NotSelfRotating(_) => {
            "Only a personal access token can rotate itself. With a session, use POST /api/v1/user/api-tokens/{id}/rotate."
                .into()
        }
        Ops::MissingAbility(_) => "Invalid ability provided.".into(),
        Ops::AdminRequired => "Only an administrator may do this.".into(),
        Ops::RoleRequired => "Your role in this environment does not allow this.".into(),
        Ops::Conflict(StateConflict::DefaultEnvironment) => "A default environment cannot be deleted.".into(),
        Ops::Conflict(StateConflict::LastAdmin) => {
            "This is the last enabled administrator. Make another administrator first.".into()
        }
        Ops::Conflict(StateConflict::TokenExpired) => "The token has expired. Create a new one instead.".into(),
        Ops::Conflict(StateConflict::CanaryToken) => {
            "A canary token cannot be rotated. Create another canary token, and revoke this one.".into()
        }
        Ops::Conflict(StateConflict::OwnerDisabled) => "The account of this environment's owner is disabled.".into(),
        Ops::Policy(PolicyRejection::UnknownPolicy) => "There is no such policy.".into(),
        Ops::Policy(PolicyRejection::MalformedPath(AmbiguousPath::NotAbsolute)) => {
            "The path must begin with a slash.".into()
        }
        Ops::Policy(PolicyRejection::MalformedPath(why)) => format!("The path is not valid: it {why}.").into(),
        Ops::Policy(PolicyRejection::AmbiguousPath(why)) => format!("This path can be read in two ways: it {why}.").into(),
        Ops::Policy(PolicyRejection::NoRule) => "No rule of the policy matches this request.".into(),
        Ops::Policy(PolicyRejection::WrongKind) => "This kind of credential is not accepted here.".into(),
        Ops::AlreadyRotated(_) => "This token has already been rotated. Its successor stays.".into(),
        Ops::Replaced(_) => {
            "Rotation has already replaced this token, and its successor is valid. Nothing was changed. To revoke or \
             disable the successor, send the same request with its id."
                .into()
        }
        Ops::NotFound => "Not found.".into(),
        Ops::RegistrationClosed => {
            "Registration is switched off on this server. Ask its administrator for an account.".into()
        }
        Ops::Invalid(errors) => summary(errors).into(),
        Ops::Busy => "Too many sign-ins at once. Try again.".into(),
        Ops::ClockUnreliable(fault) => format!(
            "The server's clock is unreliable: {fault}. Until it is right, nothing is issued that carries a time. Nothing \
             was changed."
        )
        .into(),
        Ops::Exhausted(_) => "The server is short of memory or threads. Nothing was decided. Try again.".into(),
        Ops::Store(StoreError::NotMade(_)) => "The store is unavailable. Nothing was changed: try again.".into(),
        Ops::Store(StoreError::Unavailable(_)) => {
            "The store is unavailable. A change may or may not have happened.".into()
        }
        Ops::Store(_) | Ops::Internal(_) => SERVER_ERROR.into(),
        Ops::AfterRevocations { revoked, error } => {
            let tokens = if *revoked == 1 { "1 token was" } else { &format!("{revoked} tokens were") };
            format!("{} Before that, {tokens} revoked.", operation_message(error)).into()
        }
    }
}

fn summary(errors: &[FieldError]) -> String {
    let first = errors.first().map_or("The given data was invalid.", |first| &first.message);
    match errors.len() {
        0 | 1 => first.to_owned(),
        2 => format!("{first} (and 1 more error)"),
        many => format!("{first} (and {} more errors)", many - 1),
    }
}
