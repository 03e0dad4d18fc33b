//! The `patd` binary: reads the command line, runs the command, and ends with its exit code.

use std::process::ExitCode;

use clap::Parser;
use patd::cli::CommandLine;

fn main() -> ExitCode {
    match CommandLine::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.report();
            ExitCode::from(failure.exit_code())
        }
    }
}
