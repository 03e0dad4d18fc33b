//! Errors as they are sent over the socket.

use serde::{Deserialize, Serialize};

use crate::{
    ops::{self, FieldError},
    store::StoreError,
};

/// Why a request failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Error {
    /// No user has this e-mail address or id.
    NoUser(String),
    /// No live token has this id. `None` if the text is not an id: it is not repeated, because it may be a secret.
    NoToken(Option<String>),
    /// No service account has this id.
    NoServiceAccount(String),
    /// No environment has this id.
    NoEnvironment(String),
    /// These fields are invalid.
    Invalid(Vec<InvalidField>),
    /// The present state does not allow it. The sentence says why.
    Refused(String),
    /// A read failed.
    NotAnswered(String),
    /// A change failed, and nothing was changed.
    NotChanged(String),
    /// A change may or may not have been made.
    Unknown(String),
    /// A defect of this program.
    Defect(String),
    /// The server is of a release that does not understand the request. Nothing was changed.
    OtherRelease(String),
}

/// A field that is invalid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvalidField {
    /// The field.
    pub field: String,
    /// A whole sentence.
    pub message: String,
}

impl From<InvalidField> for FieldError {
    fn from(InvalidField { field, message }: InvalidField) -> Self {
        Self { field, message }
    }
}

impl Error {
    /// The same error where it happened before the change was tried, for example while its subject was looked up.
    pub(super) fn before_change(self) -> Self {
        match self {
            Self::Unknown(why) => Self::NotChanged(why),
            other => other,
        }
    }

    /// Whether it says what the store holds: that something does not exist any more, for example. Then no other node may answer
    /// otherwise.
    pub(super) const fn is_about_state(&self) -> bool {
        matches!(
            self,
            Self::NoUser(_)
                | Self::NoToken(Some(_))
                | Self::NoServiceAccount(_)
                | Self::NoEnvironment(_)
                | Self::Invalid(_)
                | Self::Refused(_)
        )
    }

    /// The same error of a request that changes nothing.
    pub(super) fn for_read(self) -> Self {
        match self {
            Self::Unknown(why) | Self::NotChanged(why) => Self::NotAnswered(why),
            other => other,
        }
    }
}

impl From<Vec<FieldError>> for Error {
    fn from(errors: Vec<FieldError>) -> Self {
        let to_invalid = |FieldError { field, message }| InvalidField { field, message };
        Self::Invalid(errors.into_iter().map(to_invalid).collect())
    }
}

impl From<ops::Error> for Error {
    /// The caller maps [`ops::Error::NotFound`], because only it knows what was not found.
    fn from(error: ops::Error) -> Self {
        match error {
            ops::Error::Invalid(errors) => errors.into(),
            ops::Error::Store(StoreError::NotMade(why)) => {
                Self::NotChanged(format!("the database takes no change now ({why})"))
            }
            ops::Error::Store(StoreError::Unavailable(why)) => {
                Self::Unknown(format!("the database does not answer ({why})"))
            }
            ops::Error::Store(StoreError::Conflict(conflict)) => Self::Refused(conflict.to_string()),
            ops::Error::ClockUnreliable(fault) => Self::NotChanged(format!("the clock is unreliable: {fault}")),
            ops::Error::AfterRevocations { revoked, error } => {
                let after = |why| format!("{why}; before that, {revoked} tokens were revoked");
                match Self::from(*error) {
                    // Something was changed, so the error must not say that nothing was.
                    Self::Unknown(why) | Self::NotChanged(why) => Self::Unknown(after(why)),
                    Self::Refused(why) => Self::Refused(after(why)),
                    Self::Defect(why) => Self::Defect(after(why)),
                    other => other,
                }
            }
            ops::Error::Busy | ops::Error::Exhausted(_) => Self::NotChanged(error.to_string()),
            other => Self::Defect(other.to_string()),
        }
    }
}
