//! The one place that decides what a credential stands for and what it may do.
//!
//! Every way of asking comes through here, with the same clock, and anything short of a clear yes is a no or an outage.

use uuid::Uuid;

use super::{Context, Error};
use crate::domain::{
    ability::{Abilities, Power},
    account::User,
    secret::{CredentialKind, Presented},
    session::{Session, SessionRecord},
    time::Timestamp,
    token::{Token, TokenRecord},
};

/// Why a credential is not accepted: for logs and metrics. Outside, all of these are one 401.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// None was presented.
    #[error("no credential")]
    Missing,
    /// No credential of ours: refused by prefix, length or checksum, before any look-up.
    #[error("malformed")]
    Malformed,
    /// Well-formed, but nothing has that secret (or it is a session that was ended).
    #[error("unknown")]
    Unknown,
    /// The `N` before the `|` is another token's.
    #[error("wrong row number")]
    WrongNumber,
    /// Past its expiry.
    #[error("expired")]
    Expired,
    /// A session that was not used for too long.
    #[error("idle")]
    Idle,
    /// Revoked.
    #[error("revoked")]
    Revoked,
    /// The account behind it is disabled.
    #[error("owner disabled")]
    OwnerDisabled,
}

/// Who is asking, by a credential that was accepted.
#[derive(Clone, Debug)]
pub enum Principal {
    /// A signed-in person.
    Session {
        /// Their session.
        session: Session,
        /// The person.
        user: User,
    },
    /// Software with a person's token.
    PersonalAccessToken {
        /// The token.
        token: Token,
        /// Whose it is.
        owner: User,
    },
}

impl Principal {
    /// The kind of credential.
    pub fn kind(&self) -> CredentialKind {
        match self {
            Self::Session { .. } => CredentialKind::Session,
            Self::PersonalAccessToken { .. } => CredentialKind::PersonalAccessToken,
        }
    }

    /// The identifier of the session or token.
    pub fn id(&self) -> Uuid {
        match self {
            Self::Session { session, .. } => session.id.uuid(),
            Self::PersonalAccessToken { token, .. } => token.id.uuid(),
        }
    }

    /// The person behind it.
    pub fn user(&self) -> &User {
        match self {
            Self::Session { user, .. } => user,
            Self::PersonalAccessToken { owner, .. } => owner,
        }
    }

    /// What it may do; a session may do whatever its person may.
    pub fn abilities(&self) -> Abilities {
        match self {
            Self::Session { .. } => Abilities::full(),
            Self::PersonalAccessToken { token, .. } => token.abilities.clone(),
        }
    }

    /// Whether it may use `power`, one that sessions have too.
    pub fn require(&self, power: Power) -> Result<(), Error> {
        match self {
            Self::Session { .. } => Ok(()),
            Self::PersonalAccessToken { token, .. } if token.abilities.cover(power.as_str()) => Ok(()),
            Self::PersonalAccessToken { .. } => Err(Error::MissingAbility),
        }
    }
}

/// Decides whether `credential` is accepted now, and notes its use.
///
/// [`Error::Denied`] where it is not; [`Error::Store`] where that cannot be known.
pub async fn authenticate(ctx: &Context, credential: &str) -> Result<Principal, Error> {
    let presented = Presented::parse(credential, &ctx.rules.prefixes).map_err(|_| Denied::Malformed)?;
    match presented.kind {
        CredentialKind::Session => {
            let record = ctx.store.session_by_hash(&presented.hash).await?.ok_or(Denied::Unknown)?;
            accept_session(ctx, record)
        }
        CredentialKind::PersonalAccessToken => {
            let record = ctx.store.token_by_hash(&presented.hash).await?.ok_or(Denied::Unknown)?;
            accept_token(ctx, record, presented.number)
        }
        CredentialKind::EnvironmentToken => Err(Denied::Unknown.into()),
    }
}

fn accept_session(ctx: &Context, SessionRecord { session, user }: SessionRecord) -> Result<Principal, Error> {
    let now = ctx.clock.now();
    let last_used = ctx.uses.latest_session(session.id, session.last_used_at);
    if is_past(session.expires_at, now) {
        return Err(Denied::Expired.into());
    }
    if is_past(last_used.plus(ctx.rules.session_idle_lifetime), now) {
        return Err(Denied::Idle.into());
    }
    if user.disabled_at.is_some() {
        return Err(Denied::OwnerDisabled.into());
    }
    ctx.uses.note_session(session.id, now);
    Ok(Principal::Session { session, user })
}

fn accept_token(
    ctx: &Context,
    TokenRecord { token, owner }: TokenRecord,
    number: Option<i64>,
) -> Result<Principal, Error> {
    let now = ctx.clock.now();
    if number.is_some_and(|number| number != token.number) {
        return Err(Denied::WrongNumber.into());
    }
    if token.revoked_at.is_some() {
        return Err(Denied::Revoked.into());
    }
    if token.expires_at.is_some_and(|end| is_past(end, now)) {
        return Err(Denied::Expired.into());
    }
    if owner.disabled_at.is_some() {
        return Err(Denied::OwnerDisabled.into());
    }
    ctx.uses.note_token(token.id, now);
    Ok(Principal::PersonalAccessToken { token, owner })
}

/// At the very second of its end, a thing is over.
fn is_past(end: Timestamp, now: Timestamp) -> bool {
    now >= end
}
