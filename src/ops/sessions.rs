//! Sessions of a person: listing and ending them. [`super::accounts::sign_in`] makes them.

use super::{Context, Error};
use crate::domain::{
    account::User,
    audit::Origin,
    id::{SessionId, UserId},
    secret::Plaintext,
    session::Session,
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

/// The person's live sessions, newest first.
pub async fn list(ctx: &Context, user: UserId) -> Result<Vec<Session>, Error> {
    let now = ctx.clock.now();
    let mut sessions = ctx.store.sessions_of(user, now).await?;
    for session in &mut sessions {
        session.last_used_at = ctx.uses.latest_session(session.id, session.last_used_at);
    }
    sessions.retain(|session| session.last_used_at.plus(ctx.rules.session_idle_lifetime) > now);
    Ok(sessions)
}

/// Ends one session of the person, perhaps the one that asks.
pub async fn end(ctx: &Context, user: UserId, id: SessionId, origin: Origin) -> Result<(), Error> {
    Ok(ctx.store.end_session(user, id, ctx.by(origin)).await?)
}

/// Ends all sessions of the person but `keep`; answers how many.
pub async fn end_others(ctx: &Context, keep: &Session, origin: Origin) -> Result<u64, Error> {
    Ok(ctx.store.end_other_sessions(keep.user, keep.id, ctx.by(origin)).await?)
}
