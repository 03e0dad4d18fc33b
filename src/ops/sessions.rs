//! Sessions of a person: listing and ending them. [`super::accounts::sign_in`] makes them.

use super::{context::Context, cursor::List, error::Error};
use crate::{
    domain::{
        account::User,
        audit::RequestSource,
        id::{SessionId, UserId},
        secret::Plaintext,
        session::Session,
    },
    store::SessionQuery,
};

/// A session that was just made, with its plaintext: the only value in the program that holds both.
#[derive(Debug)]
pub struct IssuedSession {
    /// The stored session.
    pub session: Session,
    /// Whom it signs in.
    pub user: User,
    /// `ses_…`, shown once.
    pub plaintext: Plaintext,
}

/// Which of their sessions a person wants to see.
#[derive(Clone, Debug)]
pub struct ListRequest {
    /// Where the previous page ended, as it was told with that page.
    pub cursor: Option<String>,
    /// At most so many.
    pub limit: u32,
}

/// One page of sessions.
#[derive(Clone, Debug)]
pub struct Page {
    /// The sessions, newest first.
    pub sessions: Vec<Session>,
    /// Asks for the next page; `None` on the last.
    pub next_cursor: Option<String>,
}

/// The person's live sessions, newest first. Of those that are idle, which are left out, a page can be short.
pub async fn list(ctx: &Context, user: UserId, request: ListRequest) -> Result<Page, Error> {
    let (list, whose, now) = (List::Sessions, user.uuid(), ctx.clock.now());
    let before = request.cursor.map(|cursor| list.parse_timed_cursor(whose, &cursor)).transpose()?;
    let before = before.map(|(at, id)| (at, SessionId::new(id)));
    let mut sessions = ctx.store.sessions_of(user, SessionQuery { before, limit: request.limit + 1 }, now).await?;
    let has_more = sessions.len() > request.limit as usize;
    sessions.truncate(request.limit as usize);
    let last = sessions.last().filter(|_| has_more);
    let next_cursor = last.map(|last| list.write_timed_cursor(whose, last.created_at, last.id.uuid()));
    for session in &mut sessions {
        session.last_used_at = ctx.uses.latest_session(session.id, session.last_used_at);
    }
    sessions.retain(|session| session.last_used_at.plus(ctx.rules.session_idle_lifetime) > now);
    Ok(Page { sessions, next_cursor })
}

/// Ends one session of the person, perhaps the one that asks.
pub async fn end(ctx: &Context, user: UserId, id: SessionId, origin: RequestSource) -> Result<(), Error> {
    Ok(ctx.store.end_session(user, id, ctx.attribution(origin)).await?)
}

/// Ends all sessions of the person but `keep`; answers how many.
pub async fn end_others(ctx: &Context, keep: &Session, origin: RequestSource) -> Result<u64, Error> {
    Ok(ctx.store.end_other_sessions(keep.user, keep.id, ctx.attribution(origin)).await?)
}
