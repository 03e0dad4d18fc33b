//! The `patd` binary: reads the command line, runs the command, and ends with its exit code.

use std::process::ExitCode;

use clap::Parser;
use patd::cli::CommandLine;

/// Faster than the system's where every request makes and drops a few dozen small things (`benches/run`).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match CommandLine::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.report();
            ExitCode::from(failure.exit_code())
        }
    }
}
