//! `patd token create`.

use std::time::Duration;

use clap::Args;

use super::metadata::{self, parse_pair};
use crate::{
    cli::{
        failure::Failure,
        global::GlobalOptions,
        limits::LimitOptions,
        output::{self, Format},
        terminal::{escaped, print_message},
        time::parse_duration,
    },
    control::{IssuedView, NewToken, Request},
    store::Access,
};

#[derive(Debug, Args)]
pub(in crate::cli) struct Create {
    /// The owner: e-mail address or id of a user, or id of a service account
    #[arg(long, visible_alias = "owner")]
    user: String,
    /// The name of the token
    #[arg(long)]
    name: String,
    /// What the token is for
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// A key and its value for programs, such as team=payments; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_pair)]
    metadata: Vec<(String, String)>,
    /// An ability of the token, such as calls:read; may be repeated [default: * (full access); required if
    /// tokens.require_abilities is set]
    #[arg(long = "ability", value_name = "ABILITY")]
    abilities: Vec<String>,
    /// Give the token no abilities: it only proves who its owner is
    #[arg(long, conflicts_with = "abilities")]
    no_abilities: bool,
    /// The lifetime of the token, such as 12h or 90d [default: tokens.default_lifetime]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    expires_in: Option<Duration>,
    /// Make it a canary token: it is refused everywhere, and each use is recorded in its owner's audit trail. Leave it
    /// where only a thief looks
    #[arg(long)]
    canary: bool,
    #[command(flatten)]
    limits: LimitOptions,
    #[command(flatten)]
    format: Format,
}

pub(super) fn run(options: &GlobalOptions, arguments: Create) -> Result<(), Failure> {
    let Create { user, name, description, metadata, abilities, no_abilities, expires_in, canary, limits, format } =
        arguments;
    let has_abilities_option = no_abilities || !abilities.is_empty();
    let request = Request::CreateToken(NewToken {
        user,
        name,
        abilities: has_abilities_option.then_some(abilities),
        expires_in: expires_in.map(|duration| duration.as_secs()),
        limits: limits.into_request(),
        description,
        metadata: metadata::pairs(metadata)?,
        canary,
    });
    let IssuedView { owner, issued } = options.execute(request, Access::Existing)?.single()?;
    let printed = match format.json {
        true => output::print_json(&issued),
        false => output::print(&issued.token),
    };
    let id = &issued.id;
    printed.map_err(|_| {
        Failure::Defect(format!("the token was created but cannot be printed; revoke it with: patd token revoke {id}"))
    })?;
    print_message(&format!("token {id} of {}; store it now, it cannot be shown again", escaped(&owner)));
    Ok(())
}
