//! `patd token`: personal access tokens by the administrator's hand, for any user.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;

use super::{
    Failure, Shared,
    limits::{LimitFlags, LimitsView},
    output,
    user::{self, Format},
};
use crate::{
    domain::{
        ability::{Abilities, Ability},
        account::User,
        audit::Origin,
        id::TokenId,
        limits::Limits,
        text::Name,
        time::Timestamp,
        token::{IssuedToken, Token, TokenState},
    },
    ops::{
        self, Context, Violation,
        limits::{QuotasLeft, quotas_left},
        revocation::{self, Bulk},
        tokens::{self, Expiry, ListRequest, TokenRequest},
    },
    server,
    store::sqlite::Access,
};

/// How many tokens are asked of the store at once.
const PAGE: u32 = 100;
/// As long as the API allows: a hundred years.
const LONGEST: Duration = Duration::from_secs(36_500 * 24 * 60 * 60);

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a token and print it, this once
    Create(Create),
    /// List tokens, those of a user or everybody's, newest first
    List(List),
    /// Revoke a token, or all of a user's, at once and for good
    Revoke(Revoke),
    /// Disable a token: it is refused until it is enabled
    Disable {
        /// The token's id, as `patd token list` shows it
        id: String,
    },
    /// Enable a token
    Enable {
        /// The token's id, as `patd token list` shows it
        id: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct Create {
    /// Whose it will be: e-mail address or id
    #[arg(long)]
    user: String,
    /// What it is called
    #[arg(long)]
    name: String,
    /// What it may do, for example calls:read; may be repeated [default: *, full access]
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

#[derive(Debug, Args)]
pub(super) struct Revoke {
    /// The token's id, as `patd token list` shows it
    #[arg(required_unless_present = "all")]
    id: Option<String>,
    /// Whose tokens: e-mail address or id
    #[arg(long, requires = "all")]
    user: Option<String>,
    /// All tokens of that user that are neither revoked nor expired
    #[arg(long, requires = "user", conflicts_with = "id")]
    all: bool,
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// Only this user's: e-mail address or id
    #[arg(long)]
    user: Option<String>,
    /// Only those in this state [default: all but the revoked]
    #[arg(long)]
    state: Option<State>,
    #[command(flatten)]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum State {
    Active,
    Expired,
    Revoked,
}

impl From<State> for TokenState {
    fn from(state: State) -> Self {
        match state {
            State::Active => Self::Active,
            State::Expired => Self::Expired,
            State::Revoked => Self::Revoked,
        }
    }
}

/// What the API answers to the same request.
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
            token: plaintext.expose().to_owned(),
            created_at: token.created_at.to_string(),
            expires_at: token.expires_at.map(|at| at.to_string()),
            hint: token.hint.to_string(),
        }
    }
}

/// A row of the API's list, with whose it is.
#[derive(Serialize)]
struct TokenView {
    id: String,
    user_id: String,
    user_email: String,
    name: String,
    abilities: Vec<String>,
    state: &'static str,
    last_used_at: Option<String>,
    created_at: String,
    expires_at: Option<String>,
    disabled_at: Option<String>,
    revoked_at: Option<String>,
    revoked_reason: Option<&'static str>,
    hint: String,
    #[serde(flatten)]
    limits: LimitsView,
}

impl TokenView {
    fn new(owner: &User, token: Token, left: &QuotasLeft, now: Timestamp) -> Self {
        Self {
            limits: LimitsView::new(&token, left),
            id: token.id.to_string(),
            user_id: owner.id.to_string(),
            user_email: owner.email.to_string(),
            name: token.name.to_string(),
            abilities: token.abilities.iter().map(ToString::to_string).collect(),
            state: match token {
                Token { revoked: Some(_), .. } => "revoked",
                Token { expires_at: Some(end), .. } if now >= end => "expired",
                Token { disabled_at: Some(_), .. } => "disabled",
                _ => "active",
            },
            last_used_at: token.last_used_at.map(|at| at.to_string()),
            created_at: token.created_at.to_string(),
            expires_at: token.expires_at.map(|at| at.to_string()),
            disabled_at: token.disabled_at.map(|at| at.to_string()),
            revoked_at: token.revoked.map(|revocation| revocation.at.to_string()),
            revoked_reason: token.revoked.map(|revocation| revocation.reason.as_str()),
            hint: token.hint.to_string(),
        }
    }

    fn into_row(self) -> [String; 8] {
        let abilities = match self.abilities.is_empty() {
            true => "(none)".to_owned(),
            false => self.abilities.join(","),
        };
        let or_never = |time: Option<String>| time.unwrap_or_else(|| "never".to_owned());
        [
            self.id,
            self.user_email,
            self.name,
            abilities,
            format!("…{}", self.hint),
            self.state.to_owned(),
            or_never(self.last_used_at),
            or_never(self.expires_at),
        ]
    }
}

pub(super) fn run(shared: &Shared, command: Command) -> Result<(), Failure> {
    let ctx = shared.open(Access::Existing)?;
    server::block_on(async move {
        match command {
            Command::Create(arguments) => create(&ctx, &arguments).await,
            Command::List(arguments) => list(&ctx, &arguments).await,
            Command::Revoke(Revoke { id: Some(id), .. }) => revoke(&ctx, &id).await,
            Command::Revoke(Revoke { user, .. }) => revoke_all(&ctx, &user.unwrap_or_default()).await,
            Command::Disable { id } => {
                let token = find(&ctx, &id).await?;
                revocation::disable(&ctx, token.owner, token.id, Origin::COMMAND_LINE).await?;
                said(&token, "is disabled");
                Ok(())
            }
            Command::Enable { id } => {
                let token = find(&ctx, &id).await?;
                revocation::enable(&ctx, token.owner, token.id, Origin::COMMAND_LINE).await?;
                said(&token, "is enabled");
                Ok(())
            }
        }
    })
}

async fn create(ctx: &Context, arguments: &Create) -> Result<(), Failure> {
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

fn judge(arguments: &Create) -> Result<(Name, Abilities, Limits), Failure> {
    let mut violations = Vec::new();
    let name = Name::parse(&arguments.name).map_err(|error| violations.push(Violation::new("name", error))).ok();
    let mut wanted = Vec::new();
    for (at, text) in arguments.abilities.iter().enumerate() {
        match Ability::parse(text) {
            Ok(ability) => wanted.push(ability),
            Err(error) => violations.push(Violation::new(format!("abilities.{at}"), error)),
        }
    }
    let abilities = match arguments.abilities.is_empty() && !arguments.no_abilities {
        true => Some(Abilities::full()),
        false => Abilities::new(wanted).map_err(|error| violations.push(Violation::new("abilities", error))).ok(),
    };
    let limits = arguments.limits.judge(&mut violations);
    match (name, abilities) {
        (Some(name), Some(abilities)) if violations.is_empty() => Ok((name, abilities, limits)),
        _ => Err(violations.into()),
    }
}

async fn list(ctx: &Context, arguments: &List) -> Result<(), Failure> {
    let owners = match &arguments.user {
        Some(who) => vec![user::find(ctx, who).await?],
        None => user::all(ctx).await?,
    };
    let state = arguments.state.map(TokenState::from);
    let now = ctx.clock.now();
    let mut views = Vec::new();
    for owner in &owners {
        let tokens = all_of(ctx, owner, state).await?;
        let left = quotas_left(ctx, &tokens).await?;
        views.extend(tokens.into_iter().map(|token| TokenView::new(owner, token, &left, now)));
    }
    if arguments.format.json {
        return output::print_json(&views);
    }
    output::print_table(
        ["ID", "USER", "NAME", "ABILITIES", "HINT", "STATE", "LAST USED", "EXPIRES"],
        views.into_iter().map(TokenView::into_row),
    )
}

async fn all_of(ctx: &Context, owner: &User, state: Option<TokenState>) -> Result<Vec<Token>, Failure> {
    let (mut tokens, mut cursor) = (Vec::new(), None);
    loop {
        let request = ListRequest { search: None, state, cursor, limit: PAGE };
        let page = tokens::list(ctx, owner.id, request).await?;
        tokens.extend(page.tokens);
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok(tokens);
        }
    }
}

async fn revoke(ctx: &Context, text: &str) -> Result<(), Failure> {
    let token = find(ctx, text).await?;
    tokens::revoke(ctx, token.owner, token.id, Origin::COMMAND_LINE)
        .await
        .map_err(|error| not_found(error, token.id))?;
    said(&token, "is revoked");
    Ok(())
}

async fn revoke_all(ctx: &Context, who: &str) -> Result<(), Failure> {
    let owner = user::find(ctx, who).await?;
    let revoked = revocation::revoke_many(ctx, owner.id, Bulk::All, Origin::COMMAND_LINE).await?;
    let email = output::escaped(owner.email.as_str());
    output::note(&format!("{email}: {revoked} {} revoked", if revoked == 1 { "token is" } else { "tokens are" }));
    Ok(())
}

/// The text is not shown where it is no identifier: it may be the token itself, pasted by mistake.
async fn find(ctx: &Context, text: &str) -> Result<Token, Failure> {
    let id = TokenId::parse(text).ok_or_else(|| missing("such an id"))?;
    tokens::find(ctx, id).await.map_err(|error| not_found(error, id))
}

fn not_found(error: ops::Error, id: TokenId) -> Failure {
    match error {
        ops::Error::NotFound => missing(&format!("the id {id}")),
        other => other.into(),
    }
}

fn missing(which: &str) -> Failure {
    Failure::NotFound(format!("there is no live token with {which}; patd token list shows their ids"))
}

fn said(token: &Token, what: &str) {
    output::note(&format!("{} {what}", output::escaped(token.name.as_str())));
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
