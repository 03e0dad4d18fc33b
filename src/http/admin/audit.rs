//! The audit trails of everybody.

use actix_web::HttpResponse;
use uuid::Uuid;

use crate::{
    domain::{
        audit::Outcome,
        event_filter::{ActionFilter, EventFilter},
        id::UserId,
        page::PageRequest,
        time::Timestamp,
        usage_limits::Allowlist,
    },
    http::{
        error::ApiError,
        input::{
            guard::{AdminReader, Guard},
            query_pairs::QueryPairs,
        },
        state::current::State,
        wire::large_answer::LargeAnswer,
    },
    ops::{self, FieldError, audit},
    views::{AdminEventView, PageView},
};

/// The parameters of the list.
pub(crate) const PARAMETERS: &[&str] =
    &["limit", "cursor", "actor", "subject", "action", "outcome", "address", "from", "until"];

pub(crate) async fn list(
    state: State,
    Guard(AdminReader(admin)): Guard<AdminReader>,
    mut query: QueryPairs,
    answer: LargeAnswer,
) -> Result<HttpResponse, ApiError> {
    let request = PageRequest { cursor: query.take("cursor")?, limit: query.take_limit()? };
    let filter = filter(&mut query)?;
    let find = async { Ok(audit::list_all(&state.ops, admin.administrator, filter, request).await?) };
    answer.page(Uuid::nil(), find, |page| PageView::new(page, AdminEventView::from)).await
}

fn filter(query: &mut QueryPairs) -> Result<EventFilter, ApiError> {
    let mut take = |name: &'static str| query.take(name);
    read_filter([
        take("actor")?,
        take("subject")?,
        take("action")?,
        take("outcome")?,
        take("address")?,
        take("from")?,
        take("until")?,
    ])
}

/// Reads actor, subject, action, outcome, address, from and until.
pub(in crate::http) fn read_filter(texts: [Option<String>; 7]) -> Result<EventFilter, ApiError> {
    let mut errors = Vec::new();
    let [actor, subject, action, outcome, address, from, until] = texts;
    let id = "must be the id of a user or service account.";
    let filter = EventFilter {
        actor: read(&mut errors, "actor", actor, |text| UserId::parse(text).ok_or(id)),
        subject: read(&mut errors, "subject", subject, |text| Uuid::try_parse(text).map_err(|_| "must be an id.")),
        action: read(&mut errors, "action", action, |text| {
            ActionFilter::parse(text).map_err(|error| format!("{error}."))
        }),
        outcome: read(&mut errors, "outcome", outcome, |text| {
            Outcome::parse(text).map_err(|_| "must be success or refused.")
        }),
        address: read(&mut errors, "address", address, |text| {
            Allowlist::parse_network(text).map_err(|_| "must be an IP address or a network such as 192.0.2.0/24.")
        }),
        from: read(&mut errors, "from", from, |text| Timestamp::parse(text).map_err(|_| TIME)),
        until: read(&mut errors, "until", until, |text| Timestamp::parse(text).map_err(|_| TIME)),
    };
    if errors.is_empty() { Ok(filter) } else { Err(ops::Error::Invalid(errors).into()) }
}

const TIME: &str = "must be an RFC 3339 time such as 2030-01-31T12:00:00Z.";

fn read<T, E: std::fmt::Display>(
    errors: &mut Vec<FieldError>,
    name: &'static str,
    text: Option<String>,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Option<T> {
    match parse(&text?) {
        Ok(value) => Some(value),
        Err(error) => {
            errors.push(FieldError::new(name, error));
            None
        }
    }
}
