//! Lists a user's audit trail. The store writes the events, each in the transaction of its change.

use super::{context::Context, cursor::List, error::Error};
use crate::domain::{
    audit::Event,
    id::UserId,
    page::{Page, PageRequest},
};

/// Lists the events of the user's audit trail, newest first.
pub async fn list(ctx: &Context, user: UserId, request: PageRequest) -> Result<Page<Event>, Error> {
    let before = request.cursor.map(|cursor| List::Events.parse_cursor(user.uuid(), &cursor)).transpose()?;
    let mut events = ctx.store.events_of(user, before, request.limit + 1).await?;
    let has_more = events.len() > request.limit as usize;
    events.truncate(request.limit as usize);
    let next_cursor = events.last().filter(|_| has_more).map(|last| List::Events.write_cursor(user.uuid(), last.seq));
    Ok(Page { items: events, next_cursor })
}
