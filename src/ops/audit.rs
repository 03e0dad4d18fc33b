//! Lists a user's audit trail, and those of everybody. The store writes the events, each in the transaction of its change.

use uuid::Uuid;

use super::{
    context::Context,
    cursor::{List, ListScope},
    error::Error,
};
use crate::domain::{
    audit::Event,
    authority::Administrator,
    event_filter::EventFilter,
    id::UserId,
    page::{Page, PageRequest},
};
use crate::store::{EventOrder, EventQuery};

/// Lists the events of the user's audit trail, newest first.
pub async fn list(ctx: &Context, user: UserId, request: PageRequest) -> Result<Page<Event>, Error> {
    let scope = ListScope::all_of(user.uuid());
    let before = request.cursor.map(|cursor| List::Events.parse_cursor(scope, &cursor)).transpose()?;
    let mut events = ctx.store.events_of(user, before, request.limit + 1).await?;
    let has_more = events.len() > request.limit as usize;
    events.truncate(request.limit as usize);
    let next_cursor = events.last().filter(|_| has_more).map(|last| List::Events.write_cursor(scope, last.seq));
    Ok(Page { items: events, next_cursor })
}

/// Lists the events of the user's own audit trail that meet the filter, newest first. The user is the subject, whatever
/// `filter` says.
pub async fn search_own(
    ctx: &Context,
    user: UserId,
    filter: EventFilter,
    request: PageRequest,
) -> Result<Page<Event>, Error> {
    let filter = EventFilter { subject: Some(user.uuid()), ..filter };
    let mut page = page(ctx, user.uuid(), filter, request).await?;
    // A user is also the target of events in other trails, which are not theirs to read. So a page can be short.
    page.items.retain(|event| event.entry.user == Some(user));
    Ok(page)
}

/// Lists the events of everybody that meet the filter, newest first.
pub async fn list_all(
    ctx: &Context,
    _: Administrator,
    filter: EventFilter,
    request: PageRequest,
) -> Result<Page<Event>, Error> {
    page(ctx, Uuid::nil(), filter, request).await
}

/// A page of what `whose` list shows.
async fn page(ctx: &Context, whose: Uuid, filter: EventFilter, request: PageRequest) -> Result<Page<Event>, Error> {
    let scope = ListScope::search(whose, &filter);
    let before = request.cursor.map(|cursor| List::AllEvents.parse_cursor(scope, &cursor)).transpose()?;
    let limit = request.limit + 1;
    let query = EventQuery { filter, order: EventOrder::NewestFirst, after: None, before, limit };
    let mut events = ctx.store.events(query).await?;
    let has_more = events.len() > request.limit as usize;
    events.truncate(request.limit as usize);
    let next_cursor = events.last().filter(|_| has_more).map(|last| List::AllEvents.write_cursor(scope, last.seq));
    Ok(Page { items: events, next_cursor })
}

/// Finds events of everybody.
pub async fn find(ctx: &Context, _: Administrator, query: EventQuery) -> Result<Vec<Event>, Error> {
    Ok(ctx.store.events(query).await?)
}
