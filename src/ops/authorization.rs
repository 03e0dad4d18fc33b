//! Whether a request may pass to an application, by a policy. Who presents a credential is decided in
//! [`super::verification`], as everywhere.

pub use super::rejection::PolicyRejection;
use super::{
    caller::Caller,
    context::Context,
    error::Error,
    principal::Principal,
    rejection::Rejection,
    verification::{authenticate, find_token},
};
use crate::{
    domain::{
        ability::Ability,
        policy::{Access, Policy, Rule},
        secret::CredentialKind,
    },
    store::Reply,
};

/// A request to an application, as its proxy tells it.
#[derive(Clone, Copy, Debug)]
pub struct ForwardedRequest<'r> {
    /// The policy that the proxy's configuration names.
    pub policy: &'r Policy,
    /// The request's method.
    pub method: &'r str,
    /// The request's path as it stood in its request line, query and all.
    pub target: &'r str,
}

/// Why a request may not pass, and who asked.
#[derive(Clone, Debug)]
pub struct Refusal<E> {
    /// Why not.
    pub error: E,
    /// Who asked, where a credential was presented that is good, also if its limits are used up. An administrator wants to know it. Boxed, so that it does
    /// not make every answer larger: they are moved often.
    pub principal: Option<Box<Principal>>,
}

impl<E> Refusal<E> {
    /// A refusal of somebody who is not known.
    pub fn of_stranger(error: impl Into<E>) -> Self {
        Self { error: error.into(), principal: None }
    }
}

/// The policy of that name.
pub fn find_policy<'p>(policies: &'p [Policy], name: &str) -> Result<&'p Policy, PolicyRejection> {
    policies.iter().find(|policy| policy.name() == name).ok_or(PolicyRejection::UnknownPolicy)
}

/// The rule that decides over a request, with its place in its policy, from 0.
pub fn find_rule(forwarded: ForwardedRequest<'_>) -> Result<(usize, &Rule), PolicyRejection> {
    let path = forwarded.policy.read(forwarded.target)?;
    forwarded.policy.rule_for(forwarded.method, &path).ok_or(PolicyRejection::NoRule)
}

/// Decides whether a request may pass to an application. `None` is a public rule, by which anybody passes.
///
/// `credential` is not asked for by a public rule. [`Error::Policy`], [`Error::Rejected`] and [`Error::MissingAbility`] are
/// a no; [`Error::Store`] where nothing can be known.
pub fn authorize<'c, C: AsRef<str> + Send + 'c, E: From<Error> + Unpin + Send + 'c>(
    ctx: &'c Context,
    forwarded: ForwardedRequest<'c>,
    caller: Caller<'c>,
    credential: impl FnOnce() -> Result<C, E>,
) -> Reply<'c, Option<Principal>, Refusal<E>> {
    let (kinds, abilities) = match find_rule(forwarded) {
        Ok((_, Rule { access: Access::Credential { kinds, abilities }, .. })) => (kinds, abilities),
        Ok((_, Rule { access: Access::Public, .. })) => return Reply::ready(Ok(None)),
        Err(denied) => return refuse_all(ctx, denied, caller, credential),
    };
    match credential() {
        Ok(credential) => authenticate(ctx, credential.as_ref(), caller).then(move |accepted| match accepted {
            Ok(principal) => Reply::ready(match judge_rule(&principal, kinds, abilities) {
                Ok(()) => Ok(Some(principal)),
                Err(error) => Err(Refusal { error: error.into(), principal: Some(Box::new(principal)) }),
            }),
            Err(error @ Error::Rejected(Rejection::RateLimited(_) | Rejection::QuotaExceeded)) => {
                find_token(ctx, credential.as_ref()).then(move |found| {
                    let principal = found.ok().flatten().map(Box::new);
                    Reply::ready(Err(Refusal { error: error.into(), principal }))
                })
            }
            Err(error) => Reply::ready(Err(Refusal::of_stranger(error))),
        }),
        Err(error) => Reply::ready(Err(Refusal::of_stranger(error))),
    }
}

/// Decides whether a credential is accepted and what it may do suffices, as a rule with these kinds and abilities would.
pub async fn judge<'c>(
    ctx: &'c Context,
    credential: &str,
    caller: Caller<'c>,
    kinds: &[CredentialKind],
    abilities: &[Ability],
) -> Result<Principal, Refusal<Error>> {
    let principal = authenticate(ctx, credential, caller).await.map_err(Refusal::of_stranger)?;
    match judge_rule(&principal, kinds, abilities) {
        Ok(()) => Ok(principal),
        Err(error) => Err(Refusal { error, principal: Some(Box::new(principal)) }),
    }
}

/// The refusal of a request that nobody may make. Who made it is found out for the log alone: without a credential, or
/// without an answer of the store, it is refused all the same.
fn refuse_all<'c, C: AsRef<str>, E: From<Error> + Unpin + Send + 'c>(
    ctx: &'c Context,
    denied: PolicyRejection,
    caller: Caller<'c>,
    credential: impl FnOnce() -> Result<C, E>,
) -> Reply<'c, Option<Principal>, Refusal<E>> {
    let refusal = move |principal| Err(Refusal { error: Error::from(denied).into(), principal });
    match credential() {
        Ok(credential) => authenticate(ctx, credential.as_ref(), caller)
            .then(move |accepted| Reply::ready(refusal(accepted.ok().map(Box::new)))),
        Err(_) => Reply::ready(refusal(None)),
    }
}

fn judge_rule(principal: &Principal, kinds: &[CredentialKind], abilities: &[Ability]) -> Result<(), Error> {
    if !kinds.contains(&principal.kind()) {
        return Err(PolicyRejection::WrongKind.into());
    }
    match abilities.iter().all(|needed| principal.holds(needed.as_str())) {
        true => Ok(()),
        false => Err(Error::MissingAbility(abilities.to_vec())),
    }
}
