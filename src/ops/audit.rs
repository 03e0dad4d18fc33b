//! Lists a user's audit trail. The store writes the events, each in the transaction of its change.

use super::{context::Context, cursor::List, error::Error};
use crate::domain::{audit::Event, id::UserId};

/// Which page of the events to list.
#[derive(Clone, Debug)]
pub struct ListRequest {
    /// The cursor of the previous page.
    pub cursor: Option<String>,
    /// The most items of the page.
    pub limit: u32,
}

/// One page of events.
#[derive(Clone, Debug)]
pub struct Page {
    /// The events, newest first.
    pub events: Vec<Event>,
    /// The cursor for the next page. `None` on the last page.
    pub next_cursor: Option<String>,
}

/// Lists the events of the user's audit trail, newest first.
pub async fn list(ctx: &Context, user: UserId, request: ListRequest) -> Result<Page, Error> {
    let before = request.cursor.map(|cursor| List::Events.parse_cursor(user.uuid(), &cursor)).transpose()?;
    let mut events = ctx.store.events_of(user, before, request.limit + 1).await?;
    let has_more = events.len() > request.limit as usize;
    events.truncate(request.limit as usize);
    let next_cursor = events.last().filter(|_| has_more).map(|last| List::Events.write_cursor(user.uuid(), last.seq));
    Ok(Page { events, next_cursor })
}
