//! Loads the settings from their sources.

use std::{env, ffi::OsString, num::NonZeroUsize, path::PathBuf, thread};

use super::{
    checks,
    error::{ConfigError, ConfigErrors},
    layers::{Layers, VARIABLE_PREFIX},
    settings::Config,
};

pub(super) const DEFAULTS: &str = include_str!("../../config.toml");

/// Where settings come from. [`Sources::default`] means the defaults alone.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The configuration file. It must exist.
    pub file: Option<PathBuf>,
    /// Environment variables with their values. Only names that begin with `PATD__` are read.
    pub environment: Vec<(String, String)>,
    /// Values from the command line by dotted key, such as `server.bind`, written as in the environment.
    pub flags: Vec<(&'static str, String)>,
}

impl Sources {
    /// The given file and the `PATD__` variables of this process, without flags. Fails if a value is not UTF-8.
    pub fn from_process(file: Option<PathBuf>) -> Result<Self, ConfigError> {
        Ok(Self { file, environment: patd_variables(env::vars_os())?, flags: Vec::new() })
    }
}

impl Config {
    /// Merges the sources and checks the result. Flags win over the environment, the environment over the file, the file
    /// over the defaults.
    pub fn load(sources: Sources) -> Result<Self, ConfigErrors> {
        let mut layers = Layers::new(DEFAULTS)?;
        if let Some(path) = &sources.file {
            layers.add_file(path)?;
        }
        layers.add_environment(&sources.environment);
        layers.add_flags(&sources.flags);
        Self::of(layers)
    }

    /// The settings of a file with this text, and of environment variables.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn from_text(text: &str, environment: &[(String, String)]) -> Result<Self, ConfigErrors> {
        let mut layers = Layers::new(DEFAULTS)?;
        layers.add_text(std::path::Path::new("config.toml"), text)?;
        layers.add_environment(environment);
        Self::of(layers)
    }

    fn of(mut layers: Layers) -> Result<Self, ConfigErrors> {
        let mut config: Self = layers.deserialize()?;
        checks::check(&config, &mut layers);
        config.policies = layers.finish()?;
        config.resolve_zeros(thread::available_parallelism().map_or(1, NonZeroUsize::get));
        Ok(config)
    }

    /// Replaces each 0 that means "as many as fit the number of cores".
    pub(super) fn resolve_zeros(&mut self, cores: usize) {
        let or = |value: usize, derived| if value == 0 { derived } else { value };
        self.server.workers = or(self.server.workers, cores);
        self.passwords.concurrent_hashes = or(self.passwords.concurrent_hashes, cores);
        if self.database.readers == 0 {
            self.database.readers = u32::try_from(cores * 2 + 2).unwrap_or(u32::MAX);
        }
    }
}

pub(super) fn patd_variables(
    all: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Vec<(String, String)>, ConfigError> {
    all.map(|(name, value)| (name.to_string_lossy().into_owned(), value))
        .filter(|(name, _)| name.starts_with(VARIABLE_PREFIX))
        .map(|(variable, value)| match value.into_string() {
            Ok(value) => Ok((variable, value)),
            Err(_) => Err(ConfigError::NotUnicode { variable }),
        })
        .collect()
}
