//! The options that filter tokens, for lists and revocations.

use std::time::SystemTime;

use clap::Args;

use super::metadata::{self, parse_pair};
use crate::{
    cli::{
        failure::Failure,
        time::{parse_duration, parse_future, parse_past},
    },
    control::Moment,
    domain::time::Timestamp,
    ops::token_search::FilterTexts,
};

/// All that are given must hold.
#[derive(Debug, Args)]
#[command(next_help_heading = "Filters")]
pub(super) struct FilterOptions {
    /// Only this kind: personal_access_token or environment_token
    #[arg(long, value_parser = ["personal_access_token", "environment_token"])]
    kind: Option<String>,
    /// Only tokens of service accounts, or with =false only others
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    service_account: Option<bool>,
    /// Only tokens whose name contains this text; ignores case
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// Only tokens that may do this, such as calls:read
    #[arg(long)]
    ability: Option<String>,
    /// Only tokens that were created then or later: a date, a time, or 30d for in the last 30 days
    #[arg(long, value_name = "WHEN", value_parser = parse_past)]
    created_after: Option<Moment>,
    /// Only tokens that were created before this
    #[arg(long, value_name = "WHEN", value_parser = parse_past)]
    created_before: Option<Moment>,
    /// Only tokens that expire then or later: a date, a time, or 30d for in 30 days
    #[arg(long, value_name = "WHEN", value_parser = parse_future)]
    expires_after: Option<Moment>,
    /// Only tokens that were last used then or later
    #[arg(long, value_name = "WHEN", value_parser = parse_past)]
    last_used_after: Option<Moment>,
    /// Only tokens that were last used before this; not those that were never used
    #[arg(long, value_name = "WHEN", value_parser = parse_past)]
    last_used_before: Option<Moment>,
    /// Only tokens that were neither used nor created in this time, such as 90d
    #[arg(long, value_name = "DURATION", value_parser = check_duration)]
    unused_for: Option<String>,
    /// Only tokens with this metadata, such as team=payments; may be repeated, and then all must match
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_pair)]
    metadata: Vec<(String, String)>,
    /// Only canary tokens, or with =false only others
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    canary: Option<bool>,
}

fn check_duration(text: &str) -> Result<String, &'static str> {
    parse_duration(text).map(|_| text.to_owned())
}

/// A moment as the executing side reads it.
pub(super) fn time(moment: Option<Moment>) -> Option<String> {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let now = Timestamp::from_unix(i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX));
    moment.map(|moment| moment.resolve(now).to_string())
}

impl FilterOptions {
    pub(super) fn into_texts(self) -> Result<FilterTexts, Failure> {
        let text = |value: Option<bool>| value.map(|value| value.to_string());
        Ok(FilterTexts {
            kind: self.kind,
            service_account: text(self.service_account),
            name: self.name,
            ability: self.ability,
            created_after: time(self.created_after),
            created_before: time(self.created_before),
            expires_after: time(self.expires_after),
            last_used_after: time(self.last_used_after),
            last_used_before: time(self.last_used_before),
            unused_for: self.unused_for,
            canary: text(self.canary),
            metadata: metadata::pairs(self.metadata)?.into_iter().collect(),
            ..FilterTexts::default()
        })
    }
}
