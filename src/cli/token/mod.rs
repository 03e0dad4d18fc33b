//! `patd token`: creates, lists, disables and revokes tokens of any user and environment, as an administrator.

mod change;
mod create;
mod filter;
mod list;
mod metadata;
mod report;
mod revoke;
mod rotate;
mod usage;

use clap::Subcommand;

use super::{failure::Failure, global::GlobalOptions};
use crate::control::Request;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Create a personal access token and print it; it cannot be shown again
    Create(create::Create),
    /// List personal access tokens and environment tokens, newest first
    ///
    /// In a terminal, long names and addresses are shortened. --wide and --json show them in full.
    List(Box<list::List>),
    /// Revoke a token, all personal access tokens of a user, all tokens of an environment, or all that filters find; this
    /// cannot be undone
    Revoke(Box<revoke::Revoke>),
    /// Show all that is known about a token: for when its secret has leaked
    Report(report::Report),
    /// Replace a token by a new one with the same or fewer abilities, and print it
    Rotate(rotate::Rotate),
    /// Show what a token did and which of its abilities it never used
    Usage(usage::Usage),
    /// Disable a token: it is refused until it is enabled
    Disable {
        /// The id of the token, as `patd token list` shows it
        id: String,
    },
    /// Enable a token that was disabled
    Enable {
        /// The id of the token, as `patd token list` shows it
        id: String,
    },
}

pub(super) fn run(options: &GlobalOptions, command: Command) -> Result<(), Failure> {
    match command {
        Command::Create(arguments) => create::run(options, arguments),
        Command::List(arguments) => list::run(options, *arguments),
        Command::Revoke(arguments) => revoke::run(options, *arguments),
        Command::Report(arguments) => report::run(options, arguments),
        Command::Rotate(arguments) => rotate::run(options, arguments),
        Command::Usage(arguments) => usage::run(options, arguments),
        Command::Disable { id } => change::run(options, Request::DisableToken(id), "disabled"),
        Command::Enable { id } => change::run(options, Request::EnableToken(id), "enabled"),
    }
}
