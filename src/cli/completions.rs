//! `patd completions`: what a shell needs to complete commands.

use std::io;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{CommandLine, failure::Failure};

#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
}

pub(super) fn run(arguments: &Completions) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut CommandLine::command(), "patd", &mut script);
    io::Write::write_all(&mut io::stdout().lock(), &script).map_err(Failure::Output)
}
