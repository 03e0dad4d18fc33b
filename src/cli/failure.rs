//! Why a command failed: the message on stderr and the exit code.

use std::{fmt, io};

use super::terminal::{escaped, print_message};
use crate::{
    compose::OpenError,
    config::{ConfigError, ConfigErrors},
    control,
    domain::finding::Verdict,
    ops::{self, FieldError},
    store::postgres,
};

/// Why a command failed. Each text is a message for the user of the command line.
#[derive(Debug)]
pub enum Failure {
    /// A defect of patd.
    Defect(String),
    /// The output could not be written.
    Output(io::Error),
    /// The command line is wrong.
    Usage(String),
    /// The user, token, environment or service account does not exist.
    NotFound(String),
    /// One message for each rule that was broken.
    Refused(Vec<String>),
    /// The database or the address to listen on cannot be used now.
    Unavailable(String),
    /// The audit trail does not fit its seals: one message for each range.
    Tampered(Vec<String>),
    /// The settings have errors.
    Configuration(ConfigErrors),
    /// An examination has found something. It was printed.
    Examined(Verdict),
}

impl Failure {
    /// The exit code, as `patd --help` lists them. It is 0 if the reader of the output closed the pipe.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Output(_) if self.is_closed_pipe() => 0,
            Self::Defect(_) | Self::Output(_) => 1,
            Self::Usage(_) => 2,
            Self::NotFound(_) => 3,
            Self::Refused(_) => 4,
            Self::Unavailable(_) => 5,
            Self::Configuration(_) => 6,
            Self::Tampered(_) => 7,
            Self::Examined(Verdict::Good) => 0,
            Self::Examined(Verdict::Warning) => 1,
            Self::Examined(Verdict::Bad) => 2,
        }
    }

    /// Prints the messages on stderr.
    pub fn report(&self) {
        if self.is_closed_pipe() {
            return;
        }
        for message in self.messages() {
            print_message(&format!("patd: {message}"));
        }
    }

    fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    fn messages(&self) -> Vec<String> {
        match self {
            Self::Refused(messages) | Self::Tampered(messages) => messages.clone(),
            Self::Examined(_) => Vec::new(),
            Self::Output(error) => vec![format!("the output cannot be written: {error}")],
            Self::Configuration(ConfigErrors(errors)) => errors.iter().map(ToString::to_string).collect(),
            Self::Defect(message) | Self::Usage(message) | Self::NotFound(message) | Self::Unavailable(message) => {
                vec![message.clone()]
            }
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.messages().join("; "))
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
        Self::Refused(violations.into_iter().map(with_flag).collect())
    }
}

/// The message with the name of the flag instead of the field of the API.
fn with_flag(violation: FieldError) -> String {
    let FieldError { field, message } = violation;
    let Some(predicate) = message.strip_prefix(&format!("The {field} field ")) else { return message };
    let (name, index) = field.split_once('.').unwrap_or((&field, ""));
    let flag = match name {
        "abilities" => "--ability",
        "action" => "--action",
        "address" => "--address",
        "outcome" => "--outcome",
        "email" => "--email",
        "expires_at" | "expires_in_days" => "--expires-in",
        "ip_allowlist" => "--allow-ip",
        "name" => "--name",
        "managers" => "--manager",
        "to" => "--to",
        "transfer_to" => "--transfer-to",
        "tokens" => "--token",
        "environments" => "--environment",
        "password" => "the password",
        _ => return message,
    };
    match index.parse::<usize>() {
        Ok(index) => format!("{flag} number {} {predicate}", index + 1),
        Err(_) => format!("{flag} {predicate}"),
    }
}

impl From<control::Error> for Failure {
    fn from(error: control::Error) -> Self {
        match error {
            control::Error::NoUser(user) => {
                Self::NotFound(format!("there is no user {}; list all users with: patd user list", escaped(&user)))
            }
            control::Error::NoToken(id) => {
                let which = id.map_or_else(|| "such an id".to_owned(), |id| format!("the id {}", escaped(&id)));
                Self::NotFound(format!("there is no active token with {which}; list the tokens with: patd token list"))
            }
            control::Error::NoServiceAccount(id) => Self::NotFound(format!(
                "there is no service account with the id {}; list them with: patd service-account list",
                escaped(&id)
            )),
            control::Error::NoEnvironment(id) => {
                let id = escaped(&id);
                Self::NotFound(format!(
                    "there is no environment with the id {id}; list them with: patd environment list"
                ))
            }
            control::Error::Invalid(fields) => fields.into_iter().map(FieldError::from).collect::<Vec<_>>().into(),
            control::Error::Refused(message) => Self::Refused(vec![message]),
            control::Error::NotAnswered(why) => Self::Unavailable(why),
            control::Error::NotChanged(why) => Self::Unavailable(format!("{why}; nothing was changed")),
            control::Error::Unknown(why) => {
                Self::Unavailable(format!("{why}; it is unknown whether the change was made"))
            }
            control::Error::Defect(message) => Self::Defect(message),
            control::Error::OtherRelease(release) => Self::Unavailable(format!(
                "the server of this database is patd {}, which does not understand this command of patd {}: use the patd \
                 command of that release, or restart the server with this release",
                escaped(&release),
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

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Postgres(postgres::OpenError::Settings(message)) => ConfigError::Unusable(message).into(),
            other => Self::Unavailable(other.to_string()),
        }
    }
}

impl From<ops::Error> for Failure {
    fn from(error: ops::Error) -> Self {
        control::Error::from(error).into()
    }
}
