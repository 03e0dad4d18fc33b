//! `patd token rotate`.

use std::time::Duration;

use clap::Args;

use crate::{
    cli::{
        failure::Failure,
        global::GlobalOptions,
        output::{self, Format},
        terminal::{escaped, print_message},
        time::parse_duration,
    },
    control::{IssuedView, Request, TokenRotation},
    store::Access,
};

#[derive(Debug, Args)]
pub(in crate::cli) struct Rotate {
    /// The id of the token, as `patd token list` shows it
    id: String,
    /// An ability of the new token; may be repeated. Each must be covered by the old token [default: all that it has]
    #[arg(long = "ability", alias = "abilities", value_name = "ABILITY", value_delimiter = ',')]
    abilities: Vec<String>,
    /// Give the new token no abilities
    #[arg(long, conflicts_with = "abilities")]
    no_abilities: bool,
    /// How long the old secret stays valid, such as 10m or 0s, unless the new one is used earlier [default: rotation.grace]
    #[arg(long, value_name = "DURATION", value_parser = parse_keep)]
    keep: Option<Duration>,
    #[command(flatten)]
    format: Format,
}

/// A duration, which may be zero here.
fn parse_keep(text: &str) -> Result<Duration, &'static str> {
    if matches!(text, "0" | "0s") { Ok(Duration::ZERO) } else { parse_duration(text) }
}

pub(super) fn run(options: &GlobalOptions, arguments: Rotate) -> Result<(), Failure> {
    let Rotate { id, abilities, no_abilities, keep, format } = arguments;
    let has_abilities_option = no_abilities || !abilities.is_empty();
    let request = Request::RotateToken(TokenRotation {
        id: id.clone(),
        abilities: has_abilities_option.then_some(abilities),
        keep: keep.map(|keep| keep.as_secs()),
    });
    let IssuedView { owner, issued } = options.execute(request, Access::Existing)?.single()?;
    let printed = match format.json {
        true => output::print_json(&issued),
        false => output::print(&issued.token),
    };
    let new = &issued.id;
    printed.map_err(|_| {
        Failure::Defect(format!("the token was rotated but cannot be printed; revoke it with: patd token revoke {new}"))
    })?;
    print_message(&format!("token {new} of {} replaces {id}; store it now, it cannot be shown again", escaped(&owner)));
    Ok(())
}
