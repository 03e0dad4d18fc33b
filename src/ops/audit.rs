//! The audit trail as a person may see it: their own. What goes into it is written with each change ([`crate::store`]).

use super::{context::Context, cursor::List, error::Error};
use crate::domain::{audit::Event, id::UserId};

/// Which of their events a person wants to see.
#[derive(Clone, Debug)]
pub struct ListRequest {
    /// Where the previous page ended, as it was told with that page.
    pub cursor: Option<String>,
    /// At most so many.
    pub limit: u32,
}

/// One page of events.
#[derive(Clone, Debug)]
pub struct Page {
    /// The events, newest first.
    pub events: Vec<Event>,
    /// Asks for the next page; `None` on the last.
    pub next_cursor: Option<String>,
}

/// Lists the events of the user's trail, newest first.
pub async fn list(ctx: &Context, user: UserId, request: ListRequest) -> Result<Page, Error> {
    let before = request.cursor.map(|cursor| List::Events.parse_cursor(user.uuid(), &cursor)).transpose()?;
    let mut events = ctx.store.events_of(user, before, request.limit + 1).await?;
    let more = events.len() > request.limit as usize;
    events.truncate(request.limit as usize);
    let next_cursor = events.last().filter(|_| more).map(|last| List::Events.write_cursor(user.uuid(), last.seq));
    Ok(Page { events, next_cursor })
}
