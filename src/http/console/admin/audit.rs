//! The audit trails of everybody.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode};
use askama::Template;

use super::Frame;
use crate::{
    domain::{audit::Action, page::PageRequest, time::Timestamp},
    http::{
        admin::audit::read_filter,
        console::{
            activity::EventRow,
            errors::FormErrors,
            fields::Fields,
            layout::Layout,
            page::{PageError, show as show_page},
            person::Person,
            sessions::ITEMS,
        },
        input::guard::AdminPrincipal,
    },
    ops::audit,
};

/// The filters, with the names that the API gives them.
const FILTERS: [&str; 7] = ["actor", "subject", "action", "outcome", "address", "from", "until"];

#[derive(Template)]
#[template(path = "admin_audit.html")]
struct AuditPage {
    layout: Layout,
    tabs: Vec<super::Tab>,
    errors: FormErrors,
    actions: Vec<&'static str>,
    actor: String,
    subject: String,
    action: String,
    outcome: String,
    address: String,
    from: String,
    until: String,
    /// The filter as a part of an address.
    filter: String,
    events: Vec<EventRow>,
    next: Option<String>,
    is_first: bool,
}

/// `GET /console/admin/audit`.
pub(in crate::http::console) async fn show(request: HttpRequest, person: Person) -> Result<HttpResponse, PageError> {
    let admin = person.administrator()?;
    let query = Fields::of_query(request.query_string());
    let (status, found, errors) = match find(&person, &admin, &query).await {
        Ok(found) => (StatusCode::OK, found, FormErrors::default()),
        Err(error) => {
            let (status, errors) = FormErrors::of(&person.look, error)?;
            (status, (Vec::new(), None), errors)
        }
    };
    let texts = person.look.texts;
    let (events, next) = found;
    let text = |name: &str| query.text(name).to_owned();
    let given = FILTERS.iter().filter_map(|name| Some((*name, query.given(name)?)));
    let Frame { layout, tabs } = Frame::of(&person, &texts.say("admin-audit"));
    let page = AuditPage {
        layout,
        tabs,
        errors,
        actions: Action::ALL.iter().map(|action| action.as_str()).collect(),
        actor: text("actor"),
        subject: text("subject"),
        action: text("action"),
        outcome: text("outcome"),
        address: text("address"),
        from: text("from"),
        until: text("until"),
        filter: serde_urlencoded::to_string(given.collect::<Vec<_>>()).unwrap_or_default(),
        events,
        next,
        is_first: query.given("cursor").is_none(),
    };
    Ok(show_page(status, &page))
}

async fn find(
    person: &Person,
    admin: &AdminPrincipal,
    query: &Fields,
) -> Result<(Vec<EventRow>, Option<String>), PageError> {
    let given = |name: &str| query.given(name).map(str::to_owned);
    let from = given("from").map(|text| time(&text, "00:00:00"));
    let until = given("until").map(|text| time(&text, "23:59:59"));
    let texts = [given("actor"), given("subject"), given("action"), given("outcome"), given("address"), from, until];
    let request = PageRequest { cursor: given("cursor"), limit: ITEMS };
    let ctx = person.ops();
    let found = audit::list_all(ctx, admin.administrator, read_filter(texts)?, request).await?;
    let now = ctx.clock.now();
    let row = |event| EventRow::of_anybody(person.look.texts, event, now);
    Ok((found.items.into_iter().map(row).collect(), found.next_cursor))
}

/// A day is a time, too: its first or last second.
fn time(text: &str, of_day: &str) -> String {
    let with_time = format!("{text}T{of_day}Z");
    if Timestamp::parse(&with_time).is_ok() { with_time } else { text.to_owned() }
}
