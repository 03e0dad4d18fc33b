//! `patd token revoke`.

use clap::Args;

use super::{
    change,
    filter::{self, FilterOptions},
};
use crate::{
    cli::{
        failure::Failure,
        global::GlobalOptions,
        output,
        terminal::{escaped, print_message},
        time::parse_future,
    },
    control::{Moment, Request, RevokeMatching, RevokedMatchingView, RevokedView, WhoseTokens},
    domain::{secret::CredentialKind, text::shell_word},
    ops::token_search::FilterTexts,
    store::Access,
};

#[derive(Debug, Args)]
pub(in crate::cli) struct Revoke {
    /// The id of the token, as `patd token list` shows it
    id: Option<String>,
    /// With --all or a filter: the user whose tokens are revoked, by e-mail address or id; --all means their personal
    /// access tokens
    #[arg(long, conflicts_with_all = ["id", "environment"])]
    user: Option<String>,
    /// With --all or a filter: the environment whose tokens are revoked, by id
    #[arg(long, value_name = "ID", conflicts_with = "id")]
    environment: Option<String>,
    /// Revoke all active tokens of the user or environment
    #[arg(long, conflicts_with = "id")]
    all: bool,
    /// Revoke nothing: print the ids of the tokens, and say how many they are
    #[arg(long, conflicts_with = "id")]
    dry_run: bool,
    /// Only tokens that expire before this: a date, a time, or 30d for within 30 days
    #[arg(long, value_name = "WHEN", value_parser = parse_future, help_heading = "Filters")]
    expires_before: Option<Moment>,
    #[command(flatten)]
    filter: FilterOptions,
}

pub(super) fn run(options: &GlobalOptions, arguments: Revoke) -> Result<(), Failure> {
    let Revoke { id, user, environment, all, dry_run, expires_before, filter } = arguments;
    let filter = FilterTexts { expires_before: filter::time(expires_before), ..filter.into_texts()? };
    let usage = |text: &str| Err(Failure::Usage(text.to_owned()));
    match (id, filter.is_empty(), all) {
        (Some(id), true, _) => change::run(options, Request::RevokeToken(id), "revoked"),
        (Some(_), false, _) => usage("name a token by its id, or filters, not both"),
        (None, false, true) => usage("--all and filters exclude each other: leave --all out"),
        (None, true, true) => {
            let whose = match (user, environment) {
                (Some(user), _) => WhoseTokens::User(user),
                (None, Some(id)) => WhoseTokens::Environment(id),
                (None, None) => return usage("--all needs --user or --environment"),
            };
            match dry_run {
                true => revoke_matching(options, all_of(whose), true),
                false => revoke_all(options, &whose),
            }
        }
        (None, false, false) => revoke_matching(options, FilterTexts { owner: user, environment, ..filter }, dry_run),
        (None, true, false) if user.is_some() || environment.is_some() => {
            usage("add --all to revoke all of them, or a filter such as --unused-for 90d")
        }
        (None, true, false) => {
            usage("name a token by its id, or at least one filter, or --all with --user or --environment")
        }
    }
}

/// What `--all` revokes, as a filter.
fn all_of(whose: WhoseTokens) -> FilterTexts {
    let kind = Some(CredentialKind::PersonalAccessToken.as_str().to_owned());
    match whose {
        WhoseTokens::User(user) => FilterTexts { owner: Some(user), kind, ..FilterTexts::default() },
        WhoseTokens::Environment(id) => FilterTexts { environment: Some(id), ..FilterTexts::default() },
    }
}

fn revoke_matching(options: &GlobalOptions, filter: FilterTexts, dry_run: bool) -> Result<(), Failure> {
    let request = Request::RevokeMatching(RevokeMatching { filter, dry_run });
    let answer = options.execute(request, Access::Existing)?.single()?;
    let RevokedMatchingView { matching, successors, revoked, ids } = answer;
    let count = |number: u64| if number == 1 { "1 token".to_owned() } else { format!("{number} tokens") };
    if dry_run {
        if !ids.is_empty() {
            output::print(&ids.join("\n"))?;
        }
        let matching = matching + successors;
        let unnamed = matching - ids.len() as u64;
        let more = if unnamed == 0 { String::new() } else { format!(" ({unnamed} more than are printed)") };
        print_message(&format!("{} would be revoked{more}; nothing was changed", count(matching)));
    } else {
        print_message(&format!("{} revoked", count(revoked)));
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
