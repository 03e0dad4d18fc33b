//! The audit trail of the person.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, http::StatusCode};
use askama::Template;

use super::{
    errors::FormErrors,
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
        audit::{Action, Actor, Event, Outcome, Target},
        event_filter::{ActionFilter, EventFilter},
        page::PageRequest,
        time::Timestamp,
    },
    ops::audit,
};

#[derive(Template)]
#[template(path = "activity.html")]
struct ActivityPage {
    layout: Layout,
    errors: FormErrors,
    actions: Vec<&'static str>,
    action: String,
    outcome: String,
    from: String,
    until: String,
    /// The filter as a part of an address.
    filter: String,
    events: Vec<EventRow>,
    next: Option<String>,
}

/// An event as pages show it.
pub(super) struct EventRow {
    pub(super) at: When,
    pub(super) action: &'static str,
    pub(super) is_refused: bool,
    pub(super) actor: String,
    /// The page of the actor, where only administrators see it. Empty otherwise.
    pub(super) actor_page: String,
    pub(super) address: String,
    pub(super) target: String,
    /// The page of the target, if it is a token of a person. Empty otherwise.
    pub(super) page: String,
    pub(super) detail: String,
}

impl EventRow {
    pub(super) fn new(texts: Texts, event: Event, now: Timestamp) -> Self {
        let (origin, entry) = (event.by.origin, event.entry);
        let id = entry.target.id().map(|id| format!(" {id}")).unwrap_or_default();
        let page = match entry.target {
            Target::PersonalAccessToken(id) => format!("/console/tokens/{id}"),
            _ => String::new(),
        };
        Self {
            at: When::new(texts, event.by.at, now),
            action: entry.action.as_str(),
            is_refused: entry.outcome == Outcome::Refused,
            actor: actor(texts, origin.actor),
            actor_page: String::new(),
            address: origin.address.map(|address| address.to_string()).unwrap_or_default(),
            target: format!("{}{id}", entry.target.kind().replace('_', " ")),
            page,
            detail: entry.detail.map(|detail| detail.to_string()).unwrap_or_default(),
        }
    }
}

impl EventRow {
    /// The same for administrators, with the pages of administration.
    pub(super) fn of_anybody(texts: Texts, event: Event, now: Timestamp) -> Self {
        let page = match event.entry.target {
            Target::User(id) => format!("/console/admin/users/{id}"),
            Target::PersonalAccessToken(id) | Target::EnvironmentToken(id) => format!("/console/admin/tokens/{id}"),
            Target::ServiceAccount(id) => format!("/console/admin/service-accounts/{id}"),
            Target::UnknownUser | Target::Session(_) | Target::Environment(_) | Target::Database => String::new(),
        };
        let actor_page = match event.by.origin.actor {
            Actor::Session { user: Some(user), .. } => format!("/console/admin/users/{user}"),
            Actor::PersonalAccessToken { id, .. } | Actor::EnvironmentToken(id) => {
                format!("/console/admin/tokens/{id}")
            }
            Actor::Session { user: None, .. } | Actor::CommandLine | Actor::Anonymous | Actor::System => String::new(),
        };
        Self { page, actor_page, ..Self::new(texts, event, now) }
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
pub(super) async fn show(request: HttpRequest, person: Person) -> Result<HttpResponse, PageError> {
    let query = Fields::of_query(request.query_string());
    match page(&person, StatusCode::OK, &query, FormErrors::default()).await {
        Ok(response) => Ok(response),
        Err(error) => {
            let (status, errors) = FormErrors::of(&person.look, error)?;
            page(&person, status, &Fields::of_query(""), errors).await
        }
    }
}

async fn page(
    person: &Person,
    status: StatusCode,
    query: &Fields,
    errors: FormErrors,
) -> Result<HttpResponse, PageError> {
    let texts = person.look.texts;
    let day = |name: &str| query.given(name).and_then(|day| Timestamp::parse(&format!("{day}T00:00:00Z")).ok());
    let filter = EventFilter {
        action: query.given("action").and_then(|action| ActionFilter::parse(action).ok()),
        outcome: query.given("outcome").and_then(|outcome| Outcome::parse(outcome).ok()),
        from: day("from"),
        // The last day is meant with all its hours.
        until: day("until").map(|day| day.plus(Duration::from_hours(24))),
        ..EventFilter::default()
    };
    let is_filtered = filter != EventFilter::default();
    let cursor = query.given("cursor").map(str::to_owned);
    let (ctx, user, request) = (person.ops(), person.user.user.id, PageRequest { cursor, limit: ITEMS });
    let page = match is_filtered {
        true => audit::search_own(ctx, user, filter, request).await?,
        false => audit::list(ctx, user, request).await?,
    };
    let now = ctx.clock.now();
    let pairs = query
        .pairs()
        .filter(|(name, value)| ["action", "outcome", "from", "until"].contains(name) && !value.is_empty());
    let page = ActivityPage {
        layout: Layout::of(person, &texts.say("activity-title")),
        errors,
        actions: Action::ALL.iter().map(|action| action.as_str()).collect(),
        action: query.text("action").to_owned(),
        outcome: query.text("outcome").to_owned(),
        from: query.text("from").to_owned(),
        until: query.text("until").to_owned(),
        filter: serde_urlencoded::to_string(pairs.collect::<Vec<_>>()).unwrap_or_default(),
        events: page.items.into_iter().map(|event| EventRow::new(texts, event, now)).collect(),
        next: page.next_cursor,
    };
    Ok(show_page(status, &page))
}
