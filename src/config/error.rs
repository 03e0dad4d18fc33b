//! How a refused setting reads: the key, where it was written, what it is, what it must be.

use std::{fmt, io, path::PathBuf};

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingSource {
    /// Nowhere: it is the built-in default.
    Default,
    /// In the configuration file.
    File {
        /// The file.
        path: PathBuf,
        /// The line of its key, from 1.
        line: usize,
    },
    /// In this environment variable.
    Variable(String),
    /// In the file that this environment variable (`…_FILE`) names. Such a value may be a secret and is never shown.
    VariableFile(String),
    /// On the command line.
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

/// All that is wrong with the settings, so that nobody corrects one mistake only to be told the next; a line each.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct Mistakes(pub Vec<ConfigError>);

impl From<ConfigError> for Mistakes {
    fn from(only: ConfigError) -> Self {
        Self(vec![only])
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
    /// A section, a key or a variable that names no setting.
    #[error("{written} is not a setting{hint}; {known}")]
    Unknown {
        /// The key with its source, or the variable.
        written: String,
        /// The nearest spelling, as ", perhaps … is meant", or nothing.
        hint: String,
        /// What could stand in its place.
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
    /// A value of another type than the setting's, or outside its range.
    #[error("{key} ({origin}) is {found}; it must be {wanted}")]
    Refused {
        /// The dotted key.
        key: String,
        /// Where the value was written.
        origin: SettingSource,
        /// The value and its type; only the type where the value is not to be shown.
        found: String,
        /// What would be taken.
        wanted: String,
    },
    /// A defect: the compiled-in `config.toml` does not fit the program.
    #[error("the built-in settings do not fit this program ({0}); it was built wrongly")]
    Defect(String),
}
