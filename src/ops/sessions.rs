//! Lists and ends sessions of a user. [`super::accounts::sign_in`] creates them.

use super::{
    context::Context,
    cursor::{List, ListScope},
    error::Error,
};
use crate::{
    domain::{
        account::User,
        audit::RequestSource,
        id::{SessionId, UserId},
        page::{Page, PageRequest},
        secret::Plaintext,
        session::Session,
    },
    store::SessionQuery,
};

/// A new session with its secret.
#[derive(Debug)]
pub struct IssuedSession {
    /// The stored session.
    pub session: Session,
    /// The user.
    pub user: User,
    /// The secret, `ses_…`. It is shown once.
    pub plaintext: Plaintext,
}

/// Lists the user's live sessions, newest first. Idle ones are left out, so a page can be short.
pub async fn list(ctx: &Context, user: UserId, request: PageRequest) -> Result<Page<Session>, Error> {
    let (list, scope, now) = (List::Sessions, ListScope::all_of(user.uuid()), ctx.clock.now());
    let before = request.cursor.map(|cursor| list.parse_timed_cursor(scope, &cursor)).transpose()?;
    let before = before.map(|(at, id)| (at, SessionId::new(id)));
    let mut sessions = ctx.store.sessions_of(user, SessionQuery { before, limit: request.limit + 1 }, now).await?;
    let has_more = sessions.len() > request.limit as usize;
    sessions.truncate(request.limit as usize);
    let last = sessions.last().filter(|_| has_more);
    let next_cursor = last.map(|last| list.write_timed_cursor(scope, last.created_at, last.id.uuid()));
    for session in &mut sessions {
        session.last_used_at = ctx.uses.latest_session(session.id, session.last_used_at);
    }
    sessions.retain(|session| session.last_used_at.plus(ctx.rules.session_idle_lifetime) > now);
    Ok(Page { items: sessions, next_cursor })
}

/// Ends one session of the user. It may be the one that sends the request.
pub async fn end(ctx: &Context, user: UserId, id: SessionId, source: RequestSource) -> Result<(), Error> {
    Ok(ctx.store.end_session(user, id, ctx.attribution(source)).await?)
}

/// Ends all sessions of the user except `keep`. Returns how many.
pub async fn end_others(ctx: &Context, keep: &Session, source: RequestSource) -> Result<u64, Error> {
    Ok(ctx.store.end_other_sessions(keep.user, keep.id, ctx.attribution(source)).await?)
}
