//! `patd config`: whether the settings are sound.

use std::path::PathBuf;

use clap::Subcommand;

use super::{Failure, Shared, output};
use crate::config::{Config, Sources};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Say whether the settings are sound: exit code 0 or 6
    Check {
        /// Check this file alone [default: all that `patd serve` would use, the environment included]
        file: Option<PathBuf>,
    },
}

pub(super) fn run(shared: &Shared, command: &Command) -> Result<(), Failure> {
    let Command::Check { file } = command;
    let sources = match file {
        Some(file) => Sources { file: Some(file.clone()), ..Sources::default() },
        None => shared.sources()?,
    };
    let subject = match &sources.file {
        Some(file) => output::escaped(&file.display().to_string()),
        None => "the configuration (no file)".to_owned(),
    };
    Config::load(sources)?;
    output::print(&format!("{subject} is sound"))
}
