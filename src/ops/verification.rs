//! Decides whether a credential is accepted and which principal it stands for. Nothing else decides this.
//!
//! Proxies, introspection, verification and the API all come through here, with the same clock. The result is an accepted
//! principal, a rejection, or an outage of the store.

use std::sync::Arc;

pub use super::{caller::Caller, rejection::Rejection};
use super::{
    canary,
    context::Context,
    error::Error,
    expiry, first_use,
    principal::Principal,
    reuse,
    state::{
        measurements::{CheckVerdict, Via},
        rates::RateState,
    },
};
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

/// Decides whether `credential` is accepted now, and records the use. The use counts towards rate limit and quota even if
/// the credential then lacks an ability.
///
/// [`Error::Rejected`] means that it is not accepted, [`Error::Store`] that nothing was decided.
pub fn authenticate<'c>(ctx: &'c Context, credential: &str, caller: Caller<'c>) -> Reply<'c, Principal, Error> {
    let Ok(presented) = PresentedCredential::parse(credential, &ctx.rules.prefixes) else {
        return reject(Rejection::Malformed);
    };
    match presented.kind {
        CredentialKind::Session => ctx.credentials.session_by_hash(&presented.hash).then(|found| match found {
            Ok(Some(record)) => Reply::ready(accept_session(ctx, record)),
            Ok(None) => reject(Rejection::Unknown),
            Err(error) => Reply::ready(Err(error.into())),
        }),
        CredentialKind::PersonalAccessToken | CredentialKind::EnvironmentToken => {
            ctx.credentials.token_by_hash(&presented.hash).then(move |found| match found {
                Ok(Some(record)) => accept_token(ctx, record, &presented, caller),
                Ok(None) => reject(Rejection::Unknown),
                Err(error) => Reply::ready(Err(error.into())),
            })
        }
    }
}

fn reject<'c>(rejection: Rejection) -> Reply<'c, Principal, Error> {
    Reply::ready(Err(rejection.into()))
}

/// Finds the principal of a token without deciding anything, to name it when its usage limits are exceeded.
pub fn find_token<'c>(ctx: &'c Context, credential: &str) -> Reply<'c, Option<Principal>, Error> {
    let Ok(presented) = PresentedCredential::parse(credential, &ctx.rules.prefixes) else {
        return Reply::ready(Ok(None));
    };
    ctx.credentials.token_by_hash(&presented.hash).then(|found| {
        let principal = found.map(|record| record.map(|record| principal(record, None)));
        Reply::ready(principal.map_err(Error::from))
    })
}

/// The principal of a credential, or the reason why it is not accepted, for callers that may know the reason. [`Error::Store`]
/// means that nothing was decided.
pub async fn introspect(
    ctx: &Context,
    credential: &str,
    caller: Caller<'_>,
) -> Result<Result<Principal, Rejection>, Error> {
    let inspected = inspect(ctx, credential, caller).await;
    let verdict = match &inspected {
        Ok(Ok(_)) => CheckVerdict::Allowed,
        Ok(Err(rejection)) => (*rejection).into(),
        Err(_) => CheckVerdict::Undecided,
    };
    ctx.measurements.count_check(Via::Introspect, verdict);
    inspected
}

async fn inspect(ctx: &Context, credential: &str, caller: Caller<'_>) -> Result<Result<Principal, Rejection>, Error> {
    match authenticate(ctx, credential, caller).await {
        Ok(principal) => Ok(Ok(principal)),
        Err(Error::Rejected(rejection)) => Ok(Err(rejection)),
        Err(error) => Err(error),
    }
}

/// The question of an application about a credential. It holds a secret, so it has no Debug.
pub struct Check {
    /// The credential.
    pub token: String,
    /// The required abilities.
    pub abilities: Vec<Ability>,
    /// The client that presented it. A token with an allowlist is refused if the address is not known.
    pub caller: Caller<'static>,
}

/// The answer to a [`Check`].
#[derive(Debug)]
pub enum Verdict {
    /// It is accepted and holds all required abilities.
    Valid(Box<Principal>),
    /// It is accepted but lacks a required ability.
    MissingAbility {
        /// The required abilities, all of them.
        required: Vec<Ability>,
        /// Those that it lacks.
        missing: Vec<Ability>,
    },
    /// It is not accepted.
    Rejected(Rejection),
}

impl Verdict {
    /// The code in the answer.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Valid(_) => "valid",
            Self::MissingAbility { .. } => "missing_ability",
            Self::Rejected(rejection) => rejection.code(),
        }
    }
}

/// Verifies a credential for an application. [`Error::Store`] means that nothing was decided.
pub async fn verify(ctx: &Context, via: Via, check: &Check) -> Result<Verdict, Error> {
    let judged = judge(ctx, check).await;
    let verdict = match &judged {
        Ok(Verdict::Valid(_)) => CheckVerdict::Allowed,
        Ok(Verdict::MissingAbility { .. }) => CheckVerdict::MissingAbility,
        Ok(Verdict::Rejected(rejection)) => (*rejection).into(),
        Err(_) => CheckVerdict::Undecided,
    };
    ctx.measurements.count_check(via, verdict);
    judged
}

async fn judge(ctx: &Context, check: &Check) -> Result<Verdict, Error> {
    Ok(match inspect(ctx, &check.token, check.caller).await? {
        Err(rejection) => Verdict::Rejected(rejection),
        Ok(principal) if check.abilities.iter().all(|needed| principal.holds(needed.as_str())) => {
            if let Some(record) = principal.token() {
                ctx.usage.allow_by_abilities(record, &check.abilities, ctx.clock.now());
            }
            Verdict::Valid(Box::new(principal))
        }
        Ok(principal) => {
            if let Some(record) = principal.token() {
                ctx.usage.refuse(record, None, &check.abilities, ctx.clock.now());
            }
            let (required, lacks) = (check.abilities.clone(), |needed: &&Ability| !principal.holds(needed.as_str()));
            let missing = check.abilities.iter().filter(lacks).cloned().collect();
            Verdict::MissingAbility { required, missing }
        }
    })
}

fn accept_session(ctx: &Context, record: Arc<SessionRecord>) -> Result<Principal, Error> {
    let SessionRecord { session, user, last_use } = &*record;
    let now = ctx.clock.now();
    // A use in the future, from when the clock was ahead, counts as now. Otherwise it would keep the session from becoming
    // idle.
    let is_idle = |at: Timestamp| at.min(now).plus(ctx.rules.session_idle_lifetime).has_passed(now);
    if session.expires_at.has_passed(now) {
        return Err(Rejection::Expired.into());
    }
    // This record may not hold a use that another record of the session holds.
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
    if let Err(rejection) = check_token(&record, presented, now) {
        let known = ctx.clock.recordable_for(now);
        if rejection == Rejection::Canary {
            canary::note_use(ctx, &record, caller, known);
            return reject(rejection);
        }
        // A reuse can revoke the family for good. The word of an unreliable clock that the grace is over is no reuse.
        if rejection == Rejection::Rotated && record.token.revoked.is_none() && !record.token.has_expired(known) {
            return reject(Rejection::Expired);
        }
        if rejection == Rejection::Rotated && !ctx.endings.is_race(&record.token, caller.since.unwrap_or(ctx.moment()))
        {
            reuse::enqueue(ctx, &record, caller, known);
        }
        return reject(rejection);
    }
    // The rare cases are in a boxed future of their own, so that the common future stays small.
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
            Some(limits) => {
                let spent = ctx.meters.spend(&*ctx.store, &record.token, limits, caller.address).await;
                spent.inspect_err(|error| ctx.measurements.count_limited(error))?
            }
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

fn check_token(record: &TokenRecord, presented: &PresentedCredential, now: Timestamp) -> Result<(), Rejection> {
    let TokenRecord { token, owner, .. } = record;
    // Prefixes are settings, so a stored token may be of another kind than its prefix says today.
    if presented.kind != token.kind() {
        return Err(Rejection::Unknown);
    }
    // Before anything that could tell it from an unknown token. Who has the secret need not know its number.
    if token.is_canary {
        return Err(Rejection::Canary);
    }
    if presented.number.is_some_and(|number| number != token.number) {
        return Err(Rejection::WrongNumber);
    }
    if token.revoked.is_some() {
        return Err(if token.is_rotated_away() { Rejection::Rotated } else { Rejection::Revoked });
    }
    if token.has_expired(now) {
        return Err(if token.is_rotated_away() { Rejection::Rotated } else { Rejection::Expired });
    }
    if token.disabled_at.is_some() {
        return Err(Rejection::Disabled);
    }
    if owner.disabled_at().is_some() {
        return Err(Rejection::OwnerDisabled);
    }
    Ok(())
}
