//! `patd token create`.

use std::time::Duration;

use clap::Args;
use serde::Serialize;

use crate::{
    cli::{
        Failure,
        limits::{LimitFlags, LimitsView},
        output,
        user::{self, Format},
    },
    domain::{
        ability::{Abilities, Ability},
        audit::Origin,
        limits::Limits,
        text::Name,
        token::IssuedToken,
    },
    ops::{
        Context, Violation,
        limits::QuotasLeft,
        tokens::{self, Expiry, TokenRequest},
    },
};

/// As long as the API allows: a hundred years.
const LONGEST: Duration = Duration::from_secs(36_500 * 24 * 60 * 60);

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

/// What the API answers to the same request, but for the `N|` of the token.
#[derive(Serialize)]
struct IssuedTokenView {
    id: String,
    name: String,
    abilities: Vec<String>,
    token: String,
    created_at: String,
    expires_at: Option<String>,
    hint: String,
    #[serde(flatten)]
    limits: LimitsView,
}

impl From<IssuedToken> for IssuedTokenView {
    fn from(IssuedToken { token, plaintext }: IssuedToken) -> Self {
        Self {
            limits: LimitsView::new(&token, &QuotasLeft::default()),
            id: token.id.to_string(),
            name: token.name.to_string(),
            abilities: token.abilities.iter().map(ToString::to_string).collect(),
            token: plaintext.expose_unnumbered().to_owned(),
            created_at: token.created_at.to_string(),
            expires_at: token.expires_at.map(|at| at.to_string()),
            hint: token.hint.to_string(),
        }
    }
}

pub(super) async fn create(ctx: &Context, arguments: &Create) -> Result<(), Failure> {
    let (name, abilities, limits) = judge(arguments)?;
    let owner = user::find(ctx, &arguments.user).await?;
    let email = output::escaped(owner.email.as_str());
    if owner.disabled_at.is_some() {
        let sentence = format!("{email} is disabled; patd user enable comes first");
        return Err(Failure::Refused(vec![sentence]));
    }
    let request = TokenRequest {
        owner: owner.id,
        name,
        abilities,
        expiry: arguments.expires_in.map_or(Expiry::Default, Expiry::After),
        limits,
    };
    let issued = IssuedTokenView::from(tokens::create(ctx, request, Origin::COMMAND_LINE).await?);
    let id = issued.id.clone();
    let printed = match arguments.format.json {
        true => output::print_json(&issued),
        false => output::print(&issued.token),
    };
    printed.map_err(|_| {
        let way_out = format!("patd token revoke {id}");
        Failure::Defect(format!("the token was made but cannot be printed; {way_out} takes it back"))
    })?;
    output::note(&format!("the token {id} of {email} is shown this once; keep it"));
    Ok(())
}

fn judge(arguments: &Create) -> Result<(Name, Option<Abilities>, Limits), Failure> {
    let mut violations = Vec::new();
    let name = Name::parse(&arguments.name).map_err(|error| violations.push(Violation::new("name", error))).ok();
    let mut wanted = Vec::new();
    for (at, text) in arguments.abilities.iter().enumerate() {
        match Ability::parse(text) {
            Ok(ability) => wanted.push(ability),
            Err(error) => violations.push(Violation::new(format!("abilities.{at}"), error)),
        }
    }
    let is_said = arguments.no_abilities || !arguments.abilities.is_empty();
    let abilities = match is_said {
        true => Abilities::new(wanted).map_err(|error| violations.push(Violation::new("abilities", error))).ok(),
        false => None,
    };
    let limits = arguments.limits.judge(&mut violations);
    match name {
        Some(name) if violations.is_empty() => Ok((name, abilities, limits)),
        _ => Err(violations.into()),
    }
}

fn parse_duration(text: &str) -> Result<Duration, &'static str> {
    let read = || {
        let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let seconds = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 60 * 60,
            "d" => 24 * 60 * 60,
            _ => return None,
        };
        let number: u64 = Some(number).filter(|n| !n.starts_with('+'))?.parse().ok()?;
        Some(Duration::from_secs(number.checked_mul(seconds)?))
    };
    read()
        .filter(|duration| (Duration::from_secs(1)..=LONGEST).contains(duration))
        .ok_or("must be written 30m, 12h or 90d, at least 1s and at most 36500d")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_number_and_a_unit() {
        assert_eq!(parse_duration("90d"), Ok(Duration::from_secs(7_776_000)));
        assert_eq!(parse_duration("1s"), Ok(Duration::from_secs(1)));
        for bad in ["", "d", "90", "0d", "-1d", "+1d", "1é", "36501d", "99999999999999999999d", "1 d"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }
}
