//! Requests about the audit trail.

use serde::{Deserialize, Serialize};

use super::moment::Moment;
use crate::{
    domain::{
        audit::Outcome,
        event_filter::{ActionFilter, EventFilter},
        time::Timestamp,
        usage_limits::Allowlist,
    },
    ops::FieldError,
};

/// Conditions on events, as typed. An event must meet all of them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventConditions {
    /// The e-mail address or id of the user who acted.
    pub actor: Option<String>,
    /// The e-mail address or id of the user in whose trail it is, or the id of the target.
    pub subject: Option<String>,
    /// An action, or the beginning of some.
    pub action: Option<String>,
    /// The outcome.
    pub outcome: Option<String>,
    /// An address or a network.
    pub address: Option<String>,
    /// At this time or later.
    pub since: Option<Moment>,
    /// Before this time.
    pub until: Option<Moment>,
}

impl EventConditions {
    /// Parses everything except the users, which only the side with the database can find.
    pub fn parse(&self, now: Timestamp) -> Result<EventFilter, Vec<FieldError>> {
        let mut errors = Vec::new();
        let action = self.action.as_deref().map(ActionFilter::parse).transpose();
        let outcome = self.outcome.as_deref().map(Outcome::parse).transpose();
        let address = self.address.as_deref().map(Allowlist::parse_network).transpose();
        let mut check = |field, error: Option<String>| errors.extend(error.map(|error| FieldError::new(field, error)));
        check("action", action.as_ref().err().map(ToString::to_string));
        check("outcome", outcome.as_ref().err().map(|_| "must be success or refused".to_owned()));
        check(
            "address",
            address.as_ref().err().map(|_| "must be an IP address or a network such as 192.0.2.0/24".to_owned()),
        );
        match (action, outcome, address) {
            (Ok(action), Ok(outcome), Ok(address)) => Ok(EventFilter {
                actor: None,
                subject: None,
                action,
                outcome,
                address,
                from: self.since.map(|moment| moment.resolve(now)),
                until: self.until.map(|moment| moment.resolve(now)),
            }),
            _ => Err(errors),
        }
    }
}

/// Which events to list.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventList {
    /// The conditions.
    pub conditions: EventConditions,
    /// Whether the oldest comes first.
    pub oldest_first: bool,
    /// Only events with a larger number.
    pub after: Option<i64>,
    /// Only events with a smaller number.
    pub before: Option<i64>,
    /// At most this many.
    pub limit: Option<u64>,
}
