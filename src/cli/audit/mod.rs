//! `patd audit`: the audit trails of everybody, and their seals.

mod conditions;
mod csv;
mod export;
mod follow;
mod list;
mod seals;

use clap::Subcommand;

use super::{failure::Failure, global::GlobalOptions, output::Format};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List events, newest first
    List(list::List),
    /// Write all events to a file or to stdout, oldest first
    ///
    /// The memory does not grow with the number of events. In CSV, an apostrophe is put before a cell that a spreadsheet
    /// would take for a formula.
    Export(export::Export),
    /// Print each event once, oldest first, and wait for new ones
    ///
    /// It ends on SIGTERM and SIGINT, and when its output is closed. With --json, each line is an object; `seq` is the
    /// cursor for --after. While the database is not available, it waits.
    Follow(follow::Follow),
    /// Seal all events up to now, and print the latest seal, to be kept in another place
    Seal(Format),
    /// Check that no sealed event was changed, removed or inserted
    ///
    /// Exits with 7 if one was, and names the range.
    Verify(seals::Verify),
}

pub(super) fn run(options: &GlobalOptions, command: Command) -> Result<(), Failure> {
    match command {
        Command::List(arguments) => list::run(options, arguments),
        Command::Export(arguments) => export::run(options, arguments),
        Command::Follow(arguments) => follow::run(options, arguments),
        Command::Seal(format) => seals::seal(options, format),
        Command::Verify(arguments) => seals::verify(options, arguments),
    }
}
