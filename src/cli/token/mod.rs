//! `patd token`: tokens by the administrator's hand, of any user and of any environment.

mod create;
mod list;

use clap::{Args, Subcommand};

use super::{Failure, Shared, output};
use crate::{
    control::{ChangedTokenView, Request, RevokedView, WhoseTokens},
    domain::text::shell_word,
    store::sqlite::Access,
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a personal token and print it, this once
    Create(create::Create),
    /// List tokens, personal ones and those of environments, newest first
    ///
    /// The table fits the terminal: long names and addresses are cut. In a pipe they are whole. --wide and --json show
    /// everything, --json as one object a line.
    List(list::List),
    /// Revoke a token, or all personal ones of a user, or all of an environment, at once and for good
    Revoke(Revoke),
    /// Disable a personal token: it is refused until it is enabled
    Disable {
        /// The token's id, as `patd token list` shows it
        id: String,
    },
    /// Enable a personal token
    Enable {
        /// The token's id, as `patd token list` shows it
        id: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct Revoke {
    /// The token's id, as `patd token list` shows it
    #[arg(required_unless_present = "all")]
    id: Option<String>,
    /// Whose personal tokens: e-mail address or id
    #[arg(long, requires = "all", group = "whose")]
    user: Option<String>,
    /// Which environment's tokens: its id
    #[arg(long, value_name = "ID", requires = "all", group = "whose")]
    environment: Option<String>,
    /// All personal tokens of that user, or all of that environment, that are neither revoked nor expired
    #[arg(long, requires = "whose", conflicts_with = "id")]
    all: bool,
}

pub(super) fn run(shared: &Shared, command: Command) -> Result<(), Failure> {
    let (request, done) = match command {
        Command::Create(arguments) => return create::run(shared, arguments),
        Command::List(arguments) => return list::run(shared, arguments),
        Command::Revoke(Revoke { id: None, user, environment, .. }) => {
            return match environment {
                Some(id) => revoke_all(shared, &WhoseTokens::Environment(id)),
                None => revoke_all(shared, &WhoseTokens::User(user.unwrap_or_default())),
            };
        }
        Command::Revoke(Revoke { id: Some(id), .. }) => (Request::RevokeToken(id), "revoked"),
        Command::Disable { id } => (Request::DisableToken(id), "disabled"),
        Command::Enable { id } => (Request::EnableToken(id), "enabled"),
    };
    let token: ChangedTokenView = shared.ask(request, Access::Existing)?.single()?;
    output::note(&format!("{} is {done}", output::escaped(&token.name)));
    for successor in &token.with_successors {
        output::note(&format!("{successor}, which it made by rotating itself, is {done} with it"));
    }
    if let Some(successor) = &token.unchanged_successor {
        output::note(&format!("good as before: {successor}, which its owner made to replace it"));
    }
    Ok(())
}

fn revoke_all(shared: &Shared, whose: &WhoseTokens) -> Result<(), Failure> {
    let answer = shared.ask(Request::RevokeTokens(whose.clone()), Access::Existing)?;
    let RevokedView { user_email, revoked, left } = answer.single()?;
    let subject = match (&user_email, whose) {
        (Some(email), _) => email.clone(),
        (None, WhoseTokens::User(id) | WhoseTokens::Environment(id)) => format!("environment {id}"),
    };
    let tokens = if revoked == 1 { "token is" } else { "tokens are" };
    output::note(&format!("{}: {revoked} {tokens} revoked", output::escaped(&subject)));
    if left > 0 {
        let user = shell_word(&subject);
        output::note(&format!(
            "good as before: {left} of their environments' tokens; patd token list --user {user} shows them, and \
             patd token revoke --all --environment ID ends those of one"
        ));
    }
    Ok(())
}
