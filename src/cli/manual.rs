//! `patd manual`: the manual pages.

use std::path::PathBuf;

use clap::{Args, Command};

use super::{
    failure::Failure,
    terminal::{escaped, print_message},
};

#[derive(Debug, Args)]
pub(super) struct Manual {
    /// The directory to write to, such as /usr/local/share/man/man1
    #[arg(value_name = "DIRECTORY")]
    directory: PathBuf,
}

/// Writes the pages of the commands of `patd`.
pub(super) fn run(arguments: &Manual, patd: Command) -> Result<(), Failure> {
    let shown = escaped(&arguments.directory.display().to_string());
    clap_mangen::generate_to(patd, &arguments.directory)
        .map_err(|error| Failure::Unavailable(format!("{shown} cannot be written: {error}")))?;
    print_message(&format!("the manual pages are in {shown}"));
    Ok(())
}
