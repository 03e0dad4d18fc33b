//! Why a request was not carried out, as it travels over the socket.

use serde::{Deserialize, Serialize};

use crate::{
    ops::{self, FieldError},
    store::StoreError,
};

/// Why a request was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Error {
    /// There is no user of this e-mail address or id.
    NoUser(String),
    /// There is no live token of this id; `None` where what was given is no id, which is not repeated: it may be a secret.
    NoToken(Option<String>),
    /// There is no environment of this id.
    NoEnvironment(String),
    /// It breaks rules.
    Invalid(Vec<Broken>),
    /// It cannot be done as things are; a sentence says why.
    Refused(String),
    /// It asked for no change, and could not be answered now.
    NotAnswered(String),
    /// It could not be done now, and nothing was changed.
    NotChanged(String),
    /// Nobody knows whether it was done.
    Unknown(String),
    /// A defect of this program.
    Defect(String),
    /// The server is of a release that does not understand this one. Nothing was changed.
    OtherRelease(String),
}

/// A rule that a field breaks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Broken {
    /// The field.
    pub field: String,
    /// A whole sentence.
    pub message: String,
}

impl From<Broken> for FieldError {
    fn from(Broken { field, message }: Broken) -> Self {
        Self { field, message }
    }
}

impl Error {
    /// The same for a request that asks for no change, of which nothing is in doubt.
    pub(super) fn of_question(self) -> Self {
        match self {
            Self::Unknown(why) | Self::NotChanged(why) => Self::NotAnswered(why),
            other => other,
        }
    }
}

impl From<Vec<FieldError>> for Error {
    fn from(violations: Vec<FieldError>) -> Self {
        let broken = |FieldError { field, message }| Broken { field, message };
        Self::Invalid(violations.into_iter().map(broken).collect())
    }
}

impl From<ops::Error> for Error {
    /// What is not found is named by whoever looked for it.
    fn from(error: ops::Error) -> Self {
        match error {
            ops::Error::Invalid(violations) => violations.into(),
            ops::Error::Store(StoreError::NotMade(why)) => {
                Self::NotChanged(format!("the database takes no change now ({why})"))
            }
            ops::Error::Store(StoreError::Unavailable(why)) => {
                Self::Unknown(format!("the database does not answer ({why})"))
            }
            ops::Error::Store(StoreError::Conflict(conflict)) => Self::Refused(conflict.to_string()),
            ops::Error::ClockUnreliable(fault) => Self::NotChanged(format!("the clock is unreliable: {fault}")),
            ops::Error::Busy | ops::Error::Exhausted(_) => Self::NotChanged(error.to_string()),
            other => Self::Defect(other.to_string()),
        }
    }
}
