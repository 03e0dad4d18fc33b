//! The options that select events.

use clap::Args;

use crate::{
    cli::time::parse_past,
    control::{EventConditions, Moment},
};

/// Which events. An event must meet all conditions.
#[derive(Debug, Args)]
pub(in crate::cli) struct Conditions {
    /// Only what this user or service account did, by e-mail address or id
    #[arg(long, value_name = "USER")]
    actor: Option<String>,
    /// Only events in the trail of this user, by e-mail address or id, or about what has this id
    #[arg(long, value_name = "USER_OR_ID")]
    subject: Option<String>,
    /// Only this action, such as token.created, or all of a kind, such as token. with the dot
    #[arg(long)]
    action: Option<String>,
    /// Only events with this outcome: success or refused
    #[arg(long)]
    outcome: Option<String>,
    /// Only events from this address or network
    #[arg(long, value_name = "IP_OR_CIDR")]
    address: Option<String>,
    /// Only events of this time or later: a date, a time, or a duration ago such as 7d
    #[arg(long, value_name = "TIME", value_parser = parse_past)]
    since: Option<Moment>,
    /// Only events before this time
    #[arg(long, value_name = "TIME", value_parser = parse_past)]
    until: Option<Moment>,
}

impl From<Conditions> for EventConditions {
    fn from(conditions: Conditions) -> Self {
        let Conditions { actor, subject, action, outcome, address, since, until } = conditions;
        Self { actor, subject, action, outcome, address, since, until }
    }
}
