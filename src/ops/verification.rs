//! The one place that decides what a credential stands for and what it may do.
//!
//! Every way of asking comes through here, with the same clock, and anything short of a clear yes is a no or an outage.

use std::sync::Arc;

pub use super::{caller::Caller, rejection::Rejection};
use super::{context::Context, error::Error, expiry, first_use, principal::Principal, reuse, state::meters::RateState};
use crate::{
    domain::{
        ability::Ability,
        secret::{CredentialKind, PresentedCredential},
        session::SessionRecord,
        time::Timestamp,
        token::TokenRecord,
    },
    store::Reply,
};

/// Decides whether `credential` is accepted now from that caller, and notes its use. A use is what is accepted here: it
/// counts towards rate and quota also where it then turns out that the credential may not do what was asked.
///
/// [`Error::Rejected`] where it is not; [`Error::Store`] where that cannot be known.
pub fn authenticate<'c>(ctx: &'c Context, credential: &str, caller: Caller<'c>) -> Reply<'c, Principal, Error> {
    let Ok(presented) = PresentedCredential::parse(credential, &ctx.rules.prefixes) else {
        return refuse(Rejection::Malformed);
    };
    match presented.kind {
        CredentialKind::Session => ctx.credentials.session_by_hash(&presented.hash).then(|found| match found {
            Ok(Some(record)) => Reply::ready(accept_session(ctx, record)),
            Ok(None) => refuse(Rejection::Unknown),
            Err(error) => Reply::ready(Err(error.into())),
        }),
        CredentialKind::PersonalAccessToken | CredentialKind::EnvironmentToken => {
            ctx.credentials.token_by_hash(&presented.hash).then(move |found| match found {
                Ok(Some(record)) => accept_token(ctx, record, &presented, caller),
                Ok(None) => refuse(Rejection::Unknown),
                Err(error) => Reply::ready(Err(error.into())),
            })
        }
    }
}

fn refuse<'c>(denied: Rejection) -> Reply<'c, Principal, Error> {
    Reply::ready(Err(denied.into()))
}

/// Whose token a credential is, without a judgement: so that the refusal of a token whose limits are used up can name it.
pub fn find_token<'c>(ctx: &'c Context, credential: &str) -> Reply<'c, Option<Principal>, Error> {
    let Ok(presented) = PresentedCredential::parse(credential, &ctx.rules.prefixes) else {
        return Reply::ready(Ok(None));
    };
    ctx.credentials.token_by_hash(&presented.hash).then(|found| {
        let principal = found.map(|record| record.map(|record| principal(record, None)));
        Reply::ready(principal.map_err(Error::from))
    })
}

/// Says of a credential that somebody else presented what it stands for, or why nothing; for callers that may know.
/// [`Error::Store`] where that cannot be known.
pub async fn inspect(
    ctx: &Context,
    credential: &str,
    caller: Caller<'_>,
) -> Result<Result<Principal, Rejection>, Error> {
    match authenticate(ctx, credential, caller).await {
        Ok(principal) => Ok(Ok(principal)),
        Err(Error::Rejected(denied)) => Ok(Err(denied)),
        Err(error) => Err(error),
    }
}

/// What an application wants to know of a credential that was presented to it. It holds a secret, hence no Debug.
pub struct Check {
    /// The credential as it was presented.
    pub token: String,
    /// What it must be able to do, all of it.
    pub abilities: Vec<Ability>,
    /// Who presented it. A token that is bound to addresses is refused where the address is not told.
    pub caller: Caller<'static>,
}

/// The answer to a [`Check`].
#[derive(Debug)]
pub enum Verdict {
    /// It is good, and can do all that was asked.
    Valid(Box<Principal>),
    /// It is good, but cannot do all of it.
    MissingAbility,
    /// It is not good.
    Rejected(Rejection),
}

impl Verdict {
    /// The word for it on the wire.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Valid(_) => "valid",
            Self::MissingAbility => "missing_ability",
            Self::Rejected(denied) => denied.code(),
        }
    }
}

/// Judges a credential for an application. [`Error::Store`] where that cannot be known.
pub async fn verify(ctx: &Context, check: &Check) -> Result<Verdict, Error> {
    Ok(match inspect(ctx, &check.token, check.caller).await? {
        Err(denied) => Verdict::Rejected(denied),
        Ok(principal) if check.abilities.iter().all(|needed| principal.holds(needed.as_str())) => {
            Verdict::Valid(Box::new(principal))
        }
        Ok(_) => Verdict::MissingAbility,
    })
}

fn accept_session(ctx: &Context, record: Arc<SessionRecord>) -> Result<Principal, Error> {
    let SessionRecord { session, user, last_use } = &*record;
    let now = ctx.clock.now();
    // A time from when the clock ran ahead counts as now, lest it keep the session from ever being idle.
    let is_idle = |at: Timestamp| at.min(now).plus(ctx.rules.session_idle_lifetime).has_passed(now);
    if session.expires_at.has_passed(now) {
        return Err(Rejection::Expired.into());
    }
    // A use that was noted in an earlier record of the session is in none of this one.
    if last_use.at().is_none_or(is_idle) && is_idle(ctx.uses.latest_session(session.id, session.last_used_at)) {
        return Err(Rejection::Idle.into());
    }
    if user.disabled_at.is_some() {
        return Err(Rejection::OwnerDisabled.into());
    }
    ctx.uses.record_session(&record, ctx.clock.recordable_for(now));
    Ok(Principal::Session { record })
}

fn accept_token<'c>(
    ctx: &'c Context,
    record: Arc<TokenRecord>,
    presented: &PresentedCredential,
    caller: Caller<'c>,
) -> Reply<'c, Principal, Error> {
    let now = ctx.clock.now();
    if let Err(denied) = judge_token(&record, presented, now) {
        if denied == Rejection::Rotated && !ctx.endings.is_race(&record.token, caller.since.unwrap_or(ctx.moment())) {
            reuse::enqueue(ctx, &record, caller, ctx.clock.recordable_for(now));
        }
        return refuse(denied);
    }
    // What most tokens never come to waits in a future of its own, lest every check make room for it.
    let is_plain =
        record.token.limits.is_none() && !record.token.is_fresh_successor() && !expiry::seems_idle(ctx, &record, now);
    let used_at = ctx.clock.recordable_for(now);
    if is_plain {
        ctx.uses.record_token(&record, used_at);
        return Reply::ready(Ok(accepted(ctx, record, None, caller, used_at)));
    }
    Reply::Pending(Box::pin(async move {
        if expiry::seems_idle(ctx, &record, now) {
            expiry::expect_in_use(ctx, &record, now).await?;
        }
        let rate_state = match &record.token.limits {
            Some(limits) => ctx.meters.spend(&*ctx.store, &record.token, limits, caller.address).await?,
            None => None,
        };
        if !record.token.is_fresh_successor() || first_use::record(ctx, &record, used_at).await? {
            ctx.uses.record_token(&record, used_at);
        }
        Ok(accepted(ctx, record, rate_state, caller, used_at))
    }))
}

fn accepted(
    ctx: &Context,
    record: Arc<TokenRecord>,
    rate_state: Option<RateState>,
    caller: Caller<'_>,
    used_at: Timestamp,
) -> Principal {
    ctx.use_locations.record(&record, caller, used_at);
    principal(record, rate_state)
}

fn principal(record: Arc<TokenRecord>, rate_state: Option<RateState>) -> Principal {
    match record.token.environment {
        Some(environment) => Principal::EnvironmentToken { environment, record, rate_state },
        None => Principal::PersonalAccessToken { record, rate_state },
    }
}

fn judge_token(record: &TokenRecord, presented: &PresentedCredential, now: Timestamp) -> Result<(), Rejection> {
    let TokenRecord { token, owner, .. } = record;
    // Prefixes are settings: what one names today may be of the other kind.
    if presented.kind != token.kind() {
        return Err(Rejection::Unknown);
    }
    if presented.number.is_some_and(|number| number != token.number) {
        return Err(Rejection::WrongNumber);
    }
    if token.revoked.is_some() {
        return Err(if token.is_rotated_away() { Rejection::Rotated } else { Rejection::Revoked });
    }
    if token.expires_at.is_some_and(|end| end.has_passed(now)) {
        return Err(if token.is_rotated_away() { Rejection::Rotated } else { Rejection::Expired });
    }
    if token.disabled_at.is_some() {
        return Err(Rejection::Disabled);
    }
    if owner.disabled_at.is_some() {
        return Err(Rejection::OwnerDisabled);
    }
    Ok(())
}
