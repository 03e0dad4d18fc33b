//! Which events of the audit trail to list.

use ipnet::IpNet;
use uuid::Uuid;

use super::{
    audit::{Action, Outcome},
    id::UserId,
    time::Timestamp,
};

/// Conditions on events. An event must meet all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// The user or service account whose session or token acted.
    pub actor: Option<UserId>,
    /// The user in whose trail the event is, or the id of the target.
    pub subject: Option<Uuid>,
    /// What was done.
    pub action: Option<ActionFilter>,
    /// The outcome.
    pub outcome: Option<Outcome>,
    /// The client's address is in this network.
    pub address: Option<IpNet>,
    /// At this time or later.
    pub from: Option<Timestamp>,
    /// Before this time.
    pub until: Option<Timestamp>,
}

/// One action, or all whose names begin alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ActionFilter {
    /// This action.
    Exact(Action),
    /// All actions whose names begin with this text, which ends with a dot.
    Prefix(String),
}

/// The text names no action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be an action such as token.created, or all actions of a kind such as token. (with the dot)")]
pub struct ParseActionError;

impl ActionFilter {
    /// Parses the name of an action, or the beginning of some names with a dot at its end.
    pub fn parse(text: &str) -> Result<Self, ParseActionError> {
        if let Ok(action) = Action::parse(text) {
            return Ok(Self::Exact(action));
        }
        let prefix = text.strip_suffix('*').unwrap_or(text);
        let is_known = prefix.ends_with('.') && Action::ALL.iter().any(|action| action.as_str().starts_with(prefix));
        is_known.then(|| Self::Prefix(prefix.to_owned())).ok_or(ParseActionError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_is_named_whole_or_by_its_beginning_with_a_dot() {
        assert_eq!(ActionFilter::parse("token.created"), Ok(ActionFilter::Exact(Action::TokenCreated)));
        for text in ["token.", "token.*"] {
            assert_eq!(ActionFilter::parse(text), Ok(ActionFilter::Prefix("token.".to_owned())));
        }
        for text in ["", "*", ".", "token", "token.made", "tokens.", "oken."] {
            assert_eq!(ActionFilter::parse(text), Err(ParseActionError), "{text}");
        }
    }
}
