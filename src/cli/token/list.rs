//! `patd token list`.

use std::time::SystemTime;

use clap::{Args, ValueEnum};

use super::filter::FilterOptions;
use crate::{
    cli::{
        failure::Failure,
        global::GlobalOptions,
        output::{self, Format, Wide},
        table::{Column, Fit, print_table},
        time::{parse_future, parse_past, rounded},
    },
    control::{ListedTokenView, Moment, Request, TokenList, TokenSort, WhoseTokens},
    domain::time::Timestamp,
    ops::token_search::FilterTexts,
    store::Access,
};

#[derive(Debug, Args)]
pub(in crate::cli) struct List {
    /// Only tokens of this user and of the environments that the user owns: e-mail address or id
    #[arg(long)]
    user: Option<String>,
    /// Only tokens of this environment: its id
    #[arg(long, value_name = "ID", conflicts_with = "user")]
    environment: Option<String>,
    /// Only tokens in this state [default: all except revoked]
    #[arg(long)]
    state: Option<State>,
    /// Tokens in all states, also revoked ones
    #[arg(long, conflicts_with = "state")]
    all: bool,
    /// Only tokens whose name or owner's e-mail address contains this text; ignores case
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// Only tokens that expire before this: a date, a time, or 30d for within 30 days
    #[arg(long, value_name = "WHEN", value_parser = parse_future)]
    expires_before: Option<Moment>,
    /// Only tokens that were not used since this: a date, a time, or 90d for in the last 90 days
    #[arg(long, value_name = "WHEN", value_parser = parse_past)]
    unused_since: Option<Moment>,
    /// The order
    #[arg(long, value_name = "BY", default_value = "created")]
    sort: Sort,
    /// Reverse the order
    #[arg(long)]
    reverse: bool,
    /// The most tokens to list
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    #[command(flatten)]
    filter: FilterOptions,
    #[command(flatten)]
    wide: Wide,
    #[command(flatten)]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum State {
    Active,
    Expired,
    Revoked,
    All,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Sort {
    /// Newest first
    Created,
    /// By name
    Name,
    /// By the owner's e-mail address
    User,
    /// Latest use first, unused tokens last
    LastUsed,
    /// Earliest expiry first, tokens without expiry last
    Expires,
}

pub(super) fn run(options: &GlobalOptions, arguments: List) -> Result<(), Failure> {
    let List {
        user,
        environment,
        state,
        all,
        search,
        filter,
        expires_before,
        unused_since,
        sort,
        reverse,
        limit,
        wide,
        format,
    } = arguments;
    let state = match state {
        Some(State::Active) => Some("active"),
        Some(State::Expired) => Some("expired"),
        Some(State::Revoked) => Some("revoked"),
        Some(State::All) => Some("all"),
        None => all.then_some("all"),
    };
    let list = TokenList {
        whose: user.map(WhoseTokens::User).or(environment.map(WhoseTokens::Environment)),
        filter: FilterTexts { state: state.map(str::to_owned), ..filter.into_texts()? },
        search,
        expires_before,
        unused_since,
        sort: match sort {
            Sort::Created => TokenSort::Created,
            Sort::Name => TokenSort::Name,
            Sort::User => TokenSort::User,
            Sort::LastUsed => TokenSort::LastUsed,
            Sort::Expires => TokenSort::Expires,
        },
        reverse,
        limit,
    };
    let items = options.execute(Request::ListTokens(list), Access::Existing)?;
    if format.json {
        return output::print_json_lines(items);
    }
    if wide.wide {
        let headings = ["ID", "USER", "ENVIRONMENT", "NAME", "ABILITIES", "HINT", "STATE", "LAST USED", "EXPIRES"];
        return print_table(headings.map(Column::full), Fit::Unlimited, items, wide_row);
    }
    let now = now();
    let columns = [
        Column::full("ID"),
        Column::full("USED"),
        Column::full("EXPIRES"),
        Column::shortened("USER"),
        Column::shortened("NAME"),
        Column::optional("ENVIRONMENT"),
    ];
    print_table(columns, Fit::Terminal, items, |token| row(token, now))
}

fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_unix(i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX))
}

/// The columns that fit into 80 characters. For a token that is refused, the column for the expiry shows the reason.
fn row(listed: ListedTokenView, now: Timestamp) -> [String; 6] {
    let owner = listed.owner().to_owned();
    let ListedTokenView { token, environment_id, state, .. } = listed;
    let time = |text: &Option<String>| text.as_ref().and_then(|text| Timestamp::parse(text).ok());
    let never = || "never".to_owned();
    let used = time(&token.last_used_at).map_or_else(never, |at| format!("{} ago", rounded(now.since(at))));
    let expires = match &*state {
        "active" => time(&token.expires_at).map_or_else(never, |at| format!("in {}", rounded(at.since(now)))),
        _ => state.into_owned(),
    };
    [token.id, used, expires, owner, token.name, environment_id.unwrap_or_default()]
}

fn wide_row(listed: ListedTokenView) -> [String; 9] {
    let owner = listed.owner().to_owned();
    let ListedTokenView { token, environment_id, state, .. } = listed;
    let or_never = |time: Option<String>| time.unwrap_or_else(|| "never".to_owned());
    [
        token.id,
        owner,
        environment_id.unwrap_or_else(|| "-".to_owned()),
        token.name,
        if token.abilities.is_empty() { "(none)".to_owned() } else { token.abilities.join(",") },
        format!("…{}", token.hint),
        state.into_owned(),
        or_never(token.last_used_at),
        or_never(token.expires_at),
    ]
}
