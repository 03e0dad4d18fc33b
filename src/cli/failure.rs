//! Why a command did not do what was asked, and the exit code that says so.

use std::io;

use super::output;
use crate::{
    config::{ConfigError, ConfigErrors},
    control,
    ops::{self, FieldError},
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
    Configuration(ConfigErrors),
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
            Self::Configuration(ConfigErrors(errors)) => errors.iter().map(ToString::to_string).collect(),
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

impl From<ConfigErrors> for Failure {
    fn from(errors: ConfigErrors) -> Self {
        Self::Configuration(errors)
    }
}

impl From<Vec<FieldError>> for Failure {
    fn from(violations: Vec<FieldError>) -> Self {
        Self::Refused(violations.into_iter().map(as_typed).collect())
    }
}

/// The sentence in the terms of the command line: it names the flag and not the API's field.
fn as_typed(violation: FieldError) -> String {
    let FieldError { field, message } = violation;
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

impl From<control::Error> for Failure {
    fn from(error: control::Error) -> Self {
        match error {
            control::Error::NoUser(who) => {
                Self::NotFound(format!("there is no user {}; patd user list shows all", output::escaped(&who)))
            }
            control::Error::NoToken(id) => {
                let which = id.map_or_else(|| "such an id".to_owned(), |id| format!("the id {}", output::escaped(&id)));
                Self::NotFound(format!("there is no live token with {which}; patd token list shows their ids"))
            }
            control::Error::NoEnvironment(id) => {
                Self::NotFound(format!("there is no environment with the id {}", output::escaped(&id)))
            }
            control::Error::Invalid(broken) => broken.into_iter().map(FieldError::from).collect::<Vec<_>>().into(),
            control::Error::Refused(sentence) => Self::Refused(vec![sentence]),
            control::Error::NotAnswered(why) => Self::Unavailable(why),
            control::Error::NotChanged(why) => Self::Unavailable(format!("{why}; nothing was changed")),
            control::Error::Unknown(why) => {
                Self::Unavailable(format!("{why}; what was asked may or may not have happened"))
            }
            control::Error::Defect(sentence) => Self::Defect(sentence),
            control::Error::OtherRelease(release) => Self::Unavailable(format!(
                "the database is served by patd {}, which does not understand this command of patd {}: use the command \
                 of that release, or restart the server with this one",
                output::escaped(&release),
                env!("CARGO_PKG_VERSION")
            )),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl From<ops::Error> for Failure {
    fn from(error: ops::Error) -> Self {
        control::Error::from(error).into()
    }
}
