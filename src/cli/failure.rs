//! Why a command did not do what was asked, and the exit code that says so.

use std::io;

use super::output;
use crate::{
    config::{ConfigError, Mistakes},
    ops::{self, Violation},
    store::StoreError,
};

/// Why a command ended before it was done. Each message is a sentence for whoever typed the command.
#[derive(Debug)]
pub enum Failure {
    /// Something that should not happen.
    Defect(String),
    /// The output could not be written.
    Output(io::Error),
    /// The command makes no sense as it was typed.
    Usage(String),
    /// The user or token does not exist.
    NotFound(String),
    /// Rules forbid it; a sentence each.
    Refused(Vec<String>),
    /// The database or the address cannot be had now.
    Unavailable(String),
    /// The settings cannot be used.
    Configuration(Mistakes),
}

impl Failure {
    /// The exit code, as `patd --help` lists them. A reader who has seen enough is no failure.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Output(_) if self.is_quiet() => 0,
            Self::Defect(_) | Self::Output(_) => 1,
            Self::Usage(_) => 2,
            Self::NotFound(_) => 3,
            Self::Refused(_) => 4,
            Self::Unavailable(_) => 5,
            Self::Configuration(_) => 6,
        }
    }

    /// Tells it on stderr.
    pub fn report(&self) {
        if self.is_quiet() {
            return;
        }
        for sentence in self.sentences() {
            output::note(&format!("patd: {sentence}"));
        }
    }

    fn is_quiet(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    fn sentences(&self) -> Vec<String> {
        match self {
            Self::Refused(sentences) => sentences.clone(),
            Self::Output(error) => vec![format!("the output cannot be written: {error}")],
            Self::Configuration(Mistakes(mistakes)) => mistakes.iter().map(ToString::to_string).collect(),
            Self::Defect(sentence) | Self::Usage(sentence) | Self::NotFound(sentence) | Self::Unavailable(sentence) => {
                vec![sentence.clone()]
            }
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Configuration(error.into())
    }
}

impl From<Mistakes> for Failure {
    fn from(mistakes: Mistakes) -> Self {
        Self::Configuration(mistakes)
    }
}

impl From<Vec<Violation>> for Failure {
    fn from(violations: Vec<Violation>) -> Self {
        Self::Refused(violations.into_iter().map(as_typed).collect())
    }
}

/// The sentence in the terms of the command line: it names the flag and not the API's field.
fn as_typed(violation: Violation) -> String {
    let Violation { field, message } = violation;
    let Some(predicate) = message.strip_prefix(&format!("The {field} field ")) else { return message };
    let (name, place) = field.split_once('.').unwrap_or((&field, ""));
    let flag = match name {
        "abilities" => "--ability",
        "email" => "--email",
        "expires_at" | "expires_in_days" => "--expires-in",
        "ip_allowlist" => "--allow-ip",
        "name" => "--name",
        "password" => "the password",
        _ => return message,
    };
    match place.parse::<usize>() {
        Ok(place) => format!("{flag} number {} {predicate}", place + 1),
        Err(_) => format!("{flag} {predicate}"),
    }
}

impl From<ops::Error> for Failure {
    fn from(error: ops::Error) -> Self {
        match error {
            ops::Error::Invalid(violations) => violations.into(),
            ops::Error::NotFound => Self::NotFound("there is no such user or token".into()),
            ops::Error::Store(StoreError::Unavailable(why)) => Self::Unavailable(format!(
                "the database does not answer ({why}); what was asked may or may not have happened"
            )),
            ops::Error::Store(StoreError::Conflict(conflict)) => Self::Refused(vec![conflict.to_string()]),
            ops::Error::Busy | ops::Error::Exhausted(_) => Self::Unavailable(error.to_string()),
            other => Self::Defect(other.to_string()),
        }
    }
}
