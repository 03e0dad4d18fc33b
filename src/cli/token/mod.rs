//! `patd token`: tokens by the administrator's hand, of any user and of any environment.

mod create;
mod list;

use clap::{Args, Subcommand};

use super::{Failure, Shared, output, user};
use crate::{
    domain::{
        audit::Origin,
        id::TokenId,
        text::shell_word,
        token::{Token, TokenState},
    },
    ops::{
        self, Context, environment_tokens,
        revocation::{self, Bulk},
        tokens,
    },
    server,
    store::{Successors, sqlite::Access},
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a personal token and print it, this once
    Create(create::Create),
    /// List tokens, personal ones and those of environments, newest first
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
    let ctx = shared.open(Access::Existing)?;
    server::block_on(async move {
        match command {
            Command::Create(arguments) => create::create(&ctx, &arguments).await,
            Command::List(arguments) => list::list(&ctx, &arguments).await,
            Command::Revoke(Revoke { id: Some(id), .. }) => revoke(&ctx, &id).await,
            Command::Revoke(Revoke { environment: Some(id), .. }) => revoke_all_of_environment(&ctx, &id).await,
            Command::Revoke(Revoke { user, .. }) => revoke_all(&ctx, &user.unwrap_or_default()).await,
            Command::Disable { id } => {
                let token = find_personal(&ctx, &id).await?;
                let disabled = revocation::disable(&ctx, token.owner, token.id, Origin::COMMAND_LINE).await;
                let (_, successors) = disabled.map_err(|error| refused(error, token.id))?;
                said(&token, &successors, "disabled");
                Ok(())
            }
            Command::Enable { id } => {
                let token = find_personal(&ctx, &id).await?;
                let enabled = revocation::enable(&ctx, token.owner, token.id, Origin::COMMAND_LINE).await;
                enabled.map_err(|error| refused(error, token.id))?;
                said(&token, &Successors::default(), "enabled");
                Ok(())
            }
        }
    })
}

async fn revoke(ctx: &Context, text: &str) -> Result<(), Failure> {
    let token = find(ctx, text).await?;
    let revoked = tokens::revoke_any(ctx, &token, Origin::COMMAND_LINE).await;
    let successors = revoked.map_err(|error| refused(error, token.id))?;
    said(&token, &successors, "revoked");
    Ok(())
}

async fn revoke_all(ctx: &Context, who: &str) -> Result<(), Failure> {
    let owner = user::find(ctx, who).await?;
    let revoked = revocation::revoke_many(ctx, owner.id, Bulk::All, Origin::COMMAND_LINE).await?;
    said_how_many(&output::escaped(owner.email.as_str()), revoked);
    let left = list::all_of(ctx, &owner, Some(TokenState::Active)).await?.len();
    if left > 0 {
        let whose = shell_word(owner.email.as_str());
        output::note(&format!(
            "good as before: {left} of their environments' tokens; patd token list --user {whose} shows them, and \
             patd token revoke --all --environment ID ends those of one"
        ));
    }
    Ok(())
}

async fn revoke_all_of_environment(ctx: &Context, text: &str) -> Result<(), Failure> {
    let (owner, environment) = list::find_environment(ctx, text).await?;
    let revoked = environment_tokens::revoke_all(ctx, owner.id, environment, Origin::COMMAND_LINE).await?;
    said_how_many(&format!("environment {environment}"), revoked);
    Ok(())
}

fn said_how_many(whose: &str, revoked: u64) {
    output::note(&format!("{whose}: {revoked} {} revoked", if revoked == 1 { "token is" } else { "tokens are" }));
}

/// The text is not shown where it is no identifier: it may be the token itself, pasted by mistake.
async fn find(ctx: &Context, text: &str) -> Result<Token, Failure> {
    let id = TokenId::parse(text).ok_or_else(|| missing("such an id"))?;
    tokens::find(ctx, id).await.map_err(|error| refused(error, id))
}

/// The same where only a personal token will do.
async fn find_personal(ctx: &Context, text: &str) -> Result<Token, Failure> {
    let token = find(ctx, text).await?;
    match token.environment {
        None => Ok(token),
        Some(_) => Err(Failure::Refused(vec![format!(
            "{} is an environment's token, which is revoked or good; patd token revoke ends it",
            token.id
        )])),
    }
}

fn refused(error: ops::Error, id: TokenId) -> Failure {
    match error {
        ops::Error::NotFound => missing(&format!("the id {id}")),
        ops::Error::Replaced(successor) => Failure::Refused(vec![format!(
            "{id} was replaced by {successor}, which is good, and nothing was changed; name that id instead if it is to end"
        )]),
        other => other.into(),
    }
}

fn missing(which: &str) -> Failure {
    Failure::NotFound(format!("there is no live token with {which}; patd token list shows their ids"))
}

fn said(token: &Token, successors: &Successors, what: &str) {
    output::note(&format!("{} is {what}", output::escaped(token.name.as_str())));
    for successor in &successors.changed {
        output::note(&format!("{successor}, which it made by rotating itself, is {what} with it"));
    }
    if let Some(successor) = successors.unchanged {
        output::note(&format!("good as before: {successor}, which its owner made to replace it"));
    }
}
