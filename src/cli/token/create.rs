//! `patd token create`.

use std::time::Duration;

use clap::Args;

use crate::{
    cli::{Failure, Shared, limits::LimitFlags, output, time::parse_duration, user::Format},
    control::{IssuedView, NewToken, Request},
    store::sqlite::Access,
};

#[derive(Debug, Args)]
pub(in crate::cli) struct Create {
    /// Whose it will be: e-mail address or id
    #[arg(long)]
    user: String,
    /// What it is called
    #[arg(long)]
    name: String,
    /// What it may do, for example calls:read; may be repeated [default: *, full access, unless tokens.require_abilities]
    #[arg(long = "ability", value_name = "ABILITY")]
    abilities: Vec<String>,
    /// Let it prove who its owner is, and do nothing
    #[arg(long, conflicts_with = "abilities")]
    no_abilities: bool,
    /// When it ends, for example 12h or 90d [default: as tokens.default_lifetime says, else never]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    expires_in: Option<Duration>,
    #[command(flatten)]
    limits: LimitFlags,
    #[command(flatten)]
    format: Format,
}

pub(super) fn run(shared: &Shared, arguments: Create) -> Result<(), Failure> {
    let Create { user, name, abilities, no_abilities, expires_in, limits, format } = arguments;
    let is_said = no_abilities || !abilities.is_empty();
    let request = Request::CreateToken(NewToken {
        user,
        name,
        abilities: is_said.then_some(abilities),
        expires_in: expires_in.map(|duration| duration.as_secs()),
        limits: limits.into_request(),
    });
    let IssuedView { user_email, issued } = shared.ask(request, Access::Existing)?.single()?;
    let printed = match format.json {
        true => output::print_json(&issued),
        false => output::print(&issued.token),
    };
    let id = &issued.id;
    printed.map_err(|_| {
        let way_out = format!("patd token revoke {id}");
        Failure::Defect(format!("the token was made but cannot be printed; {way_out} takes it back"))
    })?;
    output::note(&format!("the token {id} of {} is shown this once; keep it", output::escaped(&user_email)));
    Ok(())
}
