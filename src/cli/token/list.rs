//! `patd token list`.

use std::cmp::Reverse;

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::{
    cli::{
        Failure,
        limits::LimitsView,
        output,
        user::{self, Format},
    },
    domain::{
        account::User,
        environment::Role,
        id::EnvironmentId,
        time::Timestamp,
        token::{Token, TokenState},
    },
    ops::{
        self, Context, environment_tokens, environments,
        limits::{QuotasLeft, quotas_left},
        tokens::{self, ListRequest, Page},
    },
};

/// How many tokens or environments are asked of the store at once.
const PAGE: u32 = 100;

#[derive(Debug, Args)]
pub(in crate::cli) struct List {
    /// Only this user's, those of the environments that they own included: e-mail address or id
    #[arg(long)]
    user: Option<String>,
    /// Only this environment's: its id
    #[arg(long, value_name = "ID", conflicts_with = "user")]
    environment: Option<String>,
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

/// A row of the API's list, with whose it is.
#[derive(Serialize)]
struct TokenView {
    id: String,
    user_id: String,
    user_email: String,
    /// The environment that it stands for; null of a personal one.
    environment_id: Option<String>,
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
            environment_id: token.environment.map(|id| id.to_string()),
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

    fn into_row(self) -> [String; 9] {
        let abilities = match self.abilities.is_empty() {
            true => "(none)".to_owned(),
            false => self.abilities.join(","),
        };
        let or_never = |time: Option<String>| time.unwrap_or_else(|| "never".to_owned());
        [
            self.id,
            self.user_email,
            self.environment_id.unwrap_or_else(|| "-".to_owned()),
            self.name,
            abilities,
            format!("…{}", self.hint),
            self.state.to_owned(),
            or_never(self.last_used_at),
            or_never(self.expires_at),
        ]
    }
}

pub(super) async fn list(ctx: &Context, arguments: &List) -> Result<(), Failure> {
    let state = arguments.state.map(TokenState::from);
    let mut lists = Vec::new();
    if let Some(text) = &arguments.environment {
        let (owner, environment) = find_environment(ctx, text).await?;
        lists.push((of_environment(ctx, &owner, environment, state).await?, owner));
    } else {
        let owners = match &arguments.user {
            Some(who) => vec![user::find(ctx, who).await?],
            None => user::all(ctx).await?,
        };
        for owner in owners {
            lists.push((all_of(ctx, &owner, state).await?, owner));
        }
    }
    let now = ctx.clock.now();
    let mut views = Vec::new();
    for (tokens, owner) in lists {
        let left = quotas_left(ctx, &tokens).await?;
        views.extend(tokens.into_iter().map(|token| TokenView::new(&owner, token, &left, now)));
    }
    if arguments.format.json {
        return output::print_json(&views);
    }
    output::print_table(
        ["ID", "USER", "ENVIRONMENT", "NAME", "ABILITIES", "HINT", "STATE", "LAST USED", "EXPIRES"],
        views.into_iter().map(TokenView::into_row),
    )
}

/// The tokens of a user and of the environments that they own, newest first.
pub(super) async fn all_of(ctx: &Context, owner: &User, state: Option<TokenState>) -> Result<Vec<Token>, Failure> {
    let mut tokens = pages(state, async |request| tokens::list(ctx, owner.id, request).await).await?;
    for environment in owned(ctx, owner).await? {
        tokens.extend(of_environment(ctx, owner, environment, state).await?);
    }
    tokens.sort_by_key(|token| Reverse(token.number));
    Ok(tokens)
}

async fn of_environment(
    ctx: &Context,
    owner: &User,
    environment: EnvironmentId,
    state: Option<TokenState>,
) -> Result<Vec<Token>, Failure> {
    pages(state, async |request| environment_tokens::list(ctx, owner.id, environment, request).await).await
}

async fn pages(
    state: Option<TokenState>,
    list: impl AsyncFn(ListRequest) -> Result<Page, ops::Error>,
) -> Result<Vec<Token>, Failure> {
    let (mut tokens, mut cursor) = (Vec::new(), None);
    loop {
        let page = list(ListRequest { search: None, state, cursor, limit: PAGE }).await?;
        tokens.extend(page.tokens);
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok(tokens);
        }
    }
}

async fn owned(ctx: &Context, owner: &User) -> Result<Vec<EnvironmentId>, Failure> {
    let (mut owned, mut cursor) = (Vec::new(), None);
    loop {
        let page = environments::list(ctx, owner.id, environments::ListRequest { cursor, limit: PAGE }).await?;
        let own = page.environments.into_iter().filter(|seen| seen.role == Role::Owner);
        owned.extend(own.map(|seen| seen.environment.id));
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok(owned);
        }
    }
}

/// The environment with this id, and its owner, by whose right the administrator acts.
pub(super) async fn find_environment(ctx: &Context, text: &str) -> Result<(User, EnvironmentId), Failure> {
    let missing = || Failure::NotFound(format!("there is no environment with the id {}", output::escaped(text)));
    let id = EnvironmentId::parse(text).ok_or_else(missing)?;
    for user in user::all(ctx).await? {
        match environments::get(ctx, user.id, id).await {
            Ok(seen) if seen.environment.owner == user.id => return Ok((user, id)),
            Ok(_) | Err(ops::Error::NotFound) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(missing())
}
