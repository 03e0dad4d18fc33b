//! An event of the audit trail.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use uuid::Uuid;

use crate::domain::{
    audit::{Action, Actor, Entry, Event, Outcome, Target},
    id::UserId,
    replay::TrailEvent,
    time::Timestamp,
};

/// An event of the audit trail.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct EventView {
    /// The id.
    pub id: String,
    /// What was done.
    pub action: Cow<'static, str>,
    /// `success` or `refused`.
    pub outcome: Cow<'static, str>,
    /// Who acted.
    pub actor: ActorView,
    /// On what.
    pub target: TargetView,
    /// From which address.
    pub address: Option<String>,
    /// In which request.
    pub request_id: Option<String>,
    /// More.
    pub detail: Option<String>,
    /// When.
    pub at: String,
}

/// The actor of an event.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ActorView {
    /// The kind.
    pub r#type: Cow<'static, str>,
    /// The id of the session or token.
    pub id: Option<String>,
    /// The user or service account whose session or token acted.
    pub user_id: Option<String>,
}

impl From<Actor> for ActorView {
    fn from(actor: Actor) -> Self {
        Self {
            r#type: actor.kind().into(),
            id: actor.id().map(|id| id.to_string()),
            user_id: actor.user().map(|user| user.to_string()),
        }
    }
}

/// The target of an event.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TargetView {
    /// The kind.
    pub r#type: Cow<'static, str>,
    /// The id.
    pub id: Option<String>,
}

impl From<Target> for TargetView {
    fn from(target: Target) -> Self {
        Self { r#type: target.kind().into(), id: target.id().map(|id| id.to_string()) }
    }
}

impl From<Event> for EventView {
    fn from(event: Event) -> Self {
        let id = event.id().to_string();
        let Event { by, entry, .. } = event;
        Self {
            id,
            action: entry.action.as_str().into(),
            outcome: entry.outcome.as_str().into(),
            actor: by.origin.actor.into(),
            target: entry.target.into(),
            address: by.origin.address.map(|address| address.to_string()),
            request_id: by.origin.request_id,
            detail: entry.detail.map(|detail| detail.into_owned()),
            at: by.at.to_string(),
        }
    }
}

/// An event, as administrators see it.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct AdminEventView {
    /// The number. Later events have larger ones.
    pub seq: i64,
    /// The user in whose trail it is.
    pub user_id: Option<String>,
    /// What that user sees.
    #[serde(flatten)]
    pub event: EventView,
}

impl From<Event> for AdminEventView {
    fn from(event: Event) -> Self {
        Self { seq: event.seq, user_id: event.entry.user.map(|user| user.to_string()), event: event.into() }
    }
}

/// Why an exported event cannot be read. The text names the field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {field} {value:?} is not one that this release knows")]
pub struct UnknownWord {
    field: &'static str,
    value: String,
}

impl TryFrom<&AdminEventView> for TrailEvent {
    type Error = UnknownWord;

    fn try_from(view: &AdminEventView) -> Result<Self, UnknownWord> {
        let AdminEventView { seq, user_id, event } = view;
        let wrong = |field, value: &str| UnknownWord { field, value: value.to_owned() };
        let id = |field, text: &Option<String>| match text {
            Some(text) => Uuid::try_parse(text).map(Some).map_err(|_| wrong(field, text)),
            None => Ok(None),
        };
        let target = Target::parse(&event.target.r#type, id("target id", &event.target.id)?)
            .map_err(|_| wrong("target type", &event.target.r#type))?;
        let entry = Entry {
            user: id("user_id", user_id)?.map(UserId::new),
            action: Action::parse(&event.action).map_err(|_| wrong("action", &event.action))?,
            target,
            outcome: Outcome::parse(&event.outcome).map_err(|_| wrong("outcome", &event.outcome))?,
            detail: event.detail.clone().map(Cow::Owned),
        };
        Ok(Self { seq: *seq, at: Timestamp::parse(&event.at).map_err(|_| wrong("at", &event.at))?, entry })
    }
}
