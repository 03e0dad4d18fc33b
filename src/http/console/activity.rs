//! The audit trail of the person.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode};
use askama::Template;

use super::{
    fields::Fields,
    layout::Layout,
    page::{PageError, show as show_page},
    person::Person,
    sessions::ITEMS,
    texts::Texts,
    times::When,
};
use crate::{
    domain::{
        audit::{Actor, Event, Outcome},
        page::PageRequest,
        time::Timestamp,
    },
    ops::audit,
};

#[derive(Template)]
#[template(path = "activity.html")]
struct ActivityPage {
    layout: Layout,
    events: Vec<EventRow>,
    next: Option<String>,
}

/// An event as pages show it.
pub(super) struct EventRow {
    pub(super) at: When,
    pub(super) action: &'static str,
    pub(super) is_refused: bool,
    pub(super) actor: String,
    pub(super) address: String,
    pub(super) target: String,
    pub(super) detail: String,
}

impl EventRow {
    pub(super) fn new(texts: Texts, event: Event, now: Timestamp) -> Self {
        let (origin, entry) = (event.by.origin, event.entry);
        let id = entry.target.id().map(|id| format!(" {id}")).unwrap_or_default();
        Self {
            at: When::new(texts, event.by.at, now),
            action: entry.action.as_str(),
            is_refused: entry.outcome == Outcome::Refused,
            actor: actor(texts, origin.actor),
            address: origin.address.map(|address| address.to_string()).unwrap_or_default(),
            target: format!("{}{id}", entry.target.kind()),
            detail: entry.detail.map(|detail| detail.to_string()).unwrap_or_default(),
        }
    }
}

fn actor(texts: Texts, actor: Actor) -> String {
    match actor {
        Actor::Session { .. } => texts.say("actor-session"),
        Actor::Anonymous => texts.say("actor-anonymous"),
        other => other.kind().replace('_', " "),
    }
}

/// `GET /console/activity`.
pub(in crate::http) async fn show(request: HttpRequest, person: Person) -> Result<HttpResponse, PageError> {
    let (query, texts) = (Fields::of_query(request.query_string()), person.look.texts);
    let cursor = query.given("cursor").map(str::to_owned);
    let page = audit::list(person.ops(), person.user.user.id, PageRequest { cursor, limit: ITEMS }).await?;
    let now = person.ops().clock.now();
    let events = page.items.into_iter().map(|event| EventRow::new(texts, event, now)).collect();
    let layout = Layout::of(&person, &texts.say("activity-title"));
    Ok(show_page(StatusCode::OK, &ActivityPage { layout, events, next: page.next_cursor }))
}
