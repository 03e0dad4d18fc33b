//! `patd config`: checks the settings.

use std::path::PathBuf;

use clap::Subcommand;

use super::{failure::Failure, global::GlobalOptions, output, terminal::escaped};
use crate::config::{Config, Sources};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Check the settings: exit code 0 if they are valid, 6 if not
    Check {
        /// Check only this file [default: everything that `patd serve` would use, including the environment]
        file: Option<PathBuf>,
    },
}

pub(super) fn run(options: &GlobalOptions, command: &Command) -> Result<(), Failure> {
    let Command::Check { file } = command;
    let sources = match file {
        Some(file) => Sources { file: Some(file.clone()), ..Sources::default() },
        None => options.sources()?,
    };
    let subject = match &sources.file {
        Some(file) => escaped(&file.display().to_string()),
        None => "the configuration (no file)".to_owned(),
    };
    Config::load(sources)?;
    output::print(&format!("{subject} is valid"))
}
