//! Errors of the settings. Each names the key, where it was set, its value, and what it must be.

use std::{fmt, io, path::PathBuf};

/// Where the value of a setting comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingSource {
    /// The built-in default.
    Default,
    /// The configuration file.
    File {
        /// The file.
        path: PathBuf,
        /// The line of its key, from 1.
        line: usize,
    },
    /// This environment variable.
    Variable(String),
    /// The file that this environment variable (`…_FILE`) names. The value may be a secret, so messages never show it.
    VariableFile(String),
    /// The command line.
    Flag,
}

impl fmt::Display for SettingSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("the default"),
            Self::File { path, line } => write!(f, "{}, line {line}", path.display()),
            Self::Variable(name) | Self::VariableFile(name) => f.write_str(name),
            Self::Flag => f.write_str("the command line"),
        }
    }
}

/// Everything that is wrong with the settings, so that all of it can be corrected at once. One line for each error.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> Self {
        Self(vec![error])
    }
}

/// Why the settings cannot be used. The message is one sentence that names the key and its source.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The configuration file cannot be read.
    #[error("the configuration file {} cannot be read ({problem}); name another one or make it readable", path.display())]
    UnreadableFile {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        problem: io::Error,
    },
    /// The configuration file is not TOML.
    #[error("{} is not valid TOML: {problem}; correct that line", SettingSource::File { path: path.clone(), line: *line })]
    NotToml {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What the parser says.
        problem: String,
    },
    /// A section, a key or a variable that is not a setting.
    #[error("{written} is not a setting{hint}; {known}")]
    Unknown {
        /// The key with its source, or the variable.
        written: String,
        /// A similar name, as ", perhaps … is meant", or nothing.
        hint: String,
        /// The names that exist there.
        known: String,
    },
    /// A variable and its `_FILE` form are both set.
    #[error("{variable} and {variable}_FILE are both set; unset one of them")]
    SetTwice {
        /// The variable without `_FILE`.
        variable: String,
    },
    /// A variable that is not UTF-8.
    #[error("{variable} is not valid UTF-8; write its value in UTF-8 or unset it")]
    NotUnicode {
        /// The variable.
        variable: String,
    },
    /// The file that a `_FILE` variable names cannot be read.
    #[error("the file {} that {variable} names cannot be read ({problem}); name another one or make it readable", path.display())]
    UnreadableValue {
        /// The variable.
        variable: String,
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        problem: io::Error,
    },
    /// A value of the wrong type or outside the range of the setting.
    #[error("{key} ({set_in}) is {found}; it must be {wanted}")]
    Refused {
        /// The dotted key.
        key: String,
        /// Where the value comes from.
        set_in: SettingSource,
        /// The value and its type, or only the type if the value must not be shown.
        found: String,
        /// What is allowed.
        wanted: String,
    },
    /// A value whose content does not fit, as a part that uses it found out.
    #[error("{0}")]
    Unusable(String),
    /// A defect: the compiled-in `config.toml` does not match the settings.
    #[error("the built-in config.toml does not match this program ({0}); this is a defect of patd, please report it")]
    Defect(String),
}
