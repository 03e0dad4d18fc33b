//! The sessions of the person.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode};
use askama::Template;

use super::{
    fields::Fields,
    layout::Layout,
    page::{PageError, see, show as show_page},
    person::Person,
    sign_in,
    times::When,
};
use crate::{
    domain::{id::SessionId, page::PageRequest},
    http::input::{body::Body, request_source::Source},
    ops::{self, sessions},
};

/// How many items a page of the console has.
pub(super) const ITEMS: u32 = 50;

#[derive(Template)]
#[template(path = "sessions.html")]
struct SessionsPage {
    layout: Layout,
    notice: String,
    sessions: Vec<Row>,
    next: Option<String>,
}

struct Row {
    id: String,
    name: String,
    is_current: bool,
    used: When,
    created: When,
    expires: When,
}

/// `GET /console/sessions`.
pub(super) async fn show(request: HttpRequest, person: Person) -> Result<HttpResponse, PageError> {
    let (query, texts) = (Fields::of_query(request.query_string()), person.look.texts);
    let cursor = query.given("cursor").map(str::to_owned);
    let page = sessions::list(person.ops(), person.user.user.id, PageRequest { cursor, limit: ITEMS }).await?;
    let now = person.ops().clock.now();
    let when = |at| When::new(texts, at, now);
    let rows = page.items.into_iter().map(|session| Row {
        id: session.id.to_string(),
        name: session.device_name.map_or_else(|| texts.say("sessions-unnamed"), |name| name.to_string()),
        is_current: session.id == person.user.session.id,
        used: when(session.last_used_at),
        created: when(session.created_at),
        expires: when(session.expires_at),
    });
    let notice = match query.text("done") {
        "ended" => texts.say("sessions-ended"),
        "others-ended" => texts.say("sessions-others-ended"),
        _ => String::new(),
    };
    let sessions = rows.collect();
    let layout = Layout::of(&person, &texts.say("sessions-title"));
    Ok(show_page(StatusCode::OK, &SessionsPage { layout, notice, sessions, next: page.next_cursor }))
}

/// `POST /console/sessions`: ends one session, or all others.
pub(super) async fn act(person: Person, source: Source, body: Body) -> Result<HttpResponse, PageError> {
    let fields = Fields::new(body.pairs().await?);
    let by = source.by(&person.user);
    if fields.text("do") == "end-others" {
        sessions::end_others(person.ops(), &person.user.session, by).await?;
        return Ok(see("/console/sessions?done=others-ended"));
    }
    let id = SessionId::parse(fields.text("session")).ok_or(ops::Error::NotFound)?;
    sessions::end(person.ops(), person.user.user.id, id, by).await?;
    if id == person.user.session.id {
        return Ok(sign_in::forgotten(&person.look, "signed-out"));
    }
    Ok(see("/console/sessions?done=ended"))
}
