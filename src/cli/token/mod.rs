//! `patd token`: creates, lists, disables and revokes tokens of any user and environment, as an administrator.

mod create;
mod list;
mod metadata;
mod report;
mod rotate;
mod usage;

use clap::{Args, Subcommand};

use super::{
    failure::Failure,
    global::GlobalOptions,
    terminal::{escaped, print_message},
};
use crate::{
    control::{ChangedTokenView, Request, RevokedView, WhoseTokens},
    domain::text::shell_word,
    store::sqlite::Access,
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Create a personal access token and print it; it cannot be shown again
    Create(create::Create),
    /// List personal access tokens and environment tokens, newest first
    ///
    /// In a terminal, long names and addresses are shortened. --wide and --json show them in full.
    List(list::List),
    /// Revoke a token, all personal access tokens of a user, or all tokens of an environment; this cannot be undone
    Revoke(Revoke),
    /// Show all that is known about a token: for when its secret has leaked
    Report(report::Report),
    /// Replace a token by a new one with the same or fewer abilities, and print it
    Rotate(rotate::Rotate),
    /// Show what a token did and which of its abilities it never used
    Usage(usage::Usage),
    /// Disable a personal access token: it is refused until it is enabled
    Disable {
        /// The id of the token, as `patd token list` shows it
        id: String,
    },
    /// Enable a personal access token that was disabled
    Enable {
        /// The id of the token, as `patd token list` shows it
        id: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct Revoke {
    /// The id of the token, as `patd token list` shows it
    #[arg(required_unless_present = "all")]
    id: Option<String>,
    /// With --all: the user whose personal access tokens are revoked, by e-mail address or id
    #[arg(long, requires = "all", group = "whose")]
    user: Option<String>,
    /// With --all: the environment whose tokens are revoked, by id
    #[arg(long, value_name = "ID", requires = "all", group = "whose")]
    environment: Option<String>,
    /// Revoke all active tokens of the user or environment
    #[arg(long, requires = "whose", conflicts_with = "id")]
    all: bool,
}

pub(super) fn run(options: &GlobalOptions, command: Command) -> Result<(), Failure> {
    let (request, outcome) = match command {
        Command::Create(arguments) => return create::run(options, arguments),
        Command::List(arguments) => return list::run(options, arguments),
        Command::Report(arguments) => return report::run(options, arguments),
        Command::Rotate(arguments) => return rotate::run(options, arguments),
        Command::Usage(arguments) => return usage::run(options, arguments),
        Command::Revoke(Revoke { id: None, user, environment, .. }) => {
            return match environment {
                Some(id) => revoke_all(options, &WhoseTokens::Environment(id)),
                None => revoke_all(options, &WhoseTokens::User(user.unwrap_or_default())),
            };
        }
        Command::Revoke(Revoke { id: Some(id), .. }) => (Request::RevokeToken(id), "revoked"),
        Command::Disable { id } => (Request::DisableToken(id), "disabled"),
        Command::Enable { id } => (Request::EnableToken(id), "enabled"),
    };
    let token: ChangedTokenView = options.execute(request, Access::Existing)?.single()?;
    print_message(&format!("{} is {outcome}", escaped(&token.name)));
    for successor in &token.with_successors {
        print_message(&format!("its successor {successor}, made by self-rotation, is also {outcome}"));
    }
    if let Some(successor) = &token.unchanged_successor {
        print_message(&format!("unchanged: its successor {successor}, which its owner made"));
    }
    Ok(())
}

fn revoke_all(options: &GlobalOptions, whose: &WhoseTokens) -> Result<(), Failure> {
    let answer = options.execute(Request::RevokeTokens(whose.clone()), Access::Existing)?;
    let RevokedView { user_email, revoked, left } = answer.single()?;
    let subject = match (&user_email, whose) {
        (Some(email), _) => email.clone(),
        (None, WhoseTokens::User(id) | WhoseTokens::Environment(id)) => format!("environment {id}"),
    };
    let tokens = if revoked == 1 { "token is" } else { "tokens are" };
    print_message(&format!("{}: {revoked} {tokens} revoked", escaped(&subject)));
    if left != Some(0) {
        let user = shell_word(&subject);
        let count = left.map_or_else(|| "the".to_owned(), |left| left.to_string());
        print_message(&format!(
            "unchanged: {count} tokens of their environments; list them with: patd token list --user {user}; revoke those of \
             one environment with: patd token revoke --all --environment ID"
        ));
    }
    Ok(())
}
