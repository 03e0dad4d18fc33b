//! Decides by a policy whether a forwarded request is allowed. [`super::verification`] decides whether its credential is
//! accepted.

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
        policy::{Policy, Rule},
        secret::CredentialKind,
    },
    store::Reply,
};

/// A request to an application that a proxy asks about.
#[derive(Clone, Copy, Debug)]
pub struct ForwardedRequest<'r> {
    /// The policy that the proxy names.
    pub policy: &'r Policy,
    /// The method.
    pub method: &'r str,
    /// The request target: path and query.
    pub target: &'r str,
}

/// Why a request may not pass, and the principal if it is known.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The reason.
    pub error: Error,
    /// The principal of a valid credential, even if its usage limits are exceeded. It is for the log. Boxed to keep the
    /// result of every check small.
    pub principal: Option<Box<Principal>>,
}

/// The policy with this name.
pub fn find_policy<'p>(policies: &'p [Policy], name: &str) -> Result<&'p Policy, PolicyRejection> {
    policies.iter().find(|policy| policy.name() == name).ok_or(PolicyRejection::UnknownPolicy)
}

/// The rule that decides a request, and its index in the policy.
pub fn find_rule(forwarded: ForwardedRequest<'_>) -> Result<(usize, &Rule), PolicyRejection> {
    let path = forwarded.policy.read(forwarded.target)?;
    forwarded.policy.rule_for(forwarded.method, &path).ok_or(PolicyRejection::NoRule)
}

/// What a rule requires of a credential.
#[derive(Clone, Copy, Debug)]
pub struct RuleRequirement<'r> {
    /// One of these kinds.
    pub kinds: &'r [CredentialKind],
    /// All of these abilities.
    pub abilities: &'r [Ability],
    /// The policy and the index of the rule, by which the decision is counted. `None` does not count it.
    pub counted: Option<(&'r Policy, usize)>,
}

/// Checks a credential against a rule.
///
/// [`Error::Rejected`], [`Error::Policy`] and [`Error::MissingAbility`] are refusals. [`Error::Store`] means that nothing was
/// decided.
pub fn authorize<'c, C: AsRef<str> + Send + 'c>(
    ctx: &'c Context,
    credential: C,
    caller: Caller<'c>,
    rule: RuleRequirement<'c>,
) -> Reply<'c, Principal, Refusal> {
    authenticate(ctx, credential.as_ref(), caller).then(move |accepted| match accepted {
        Ok(principal) => Reply::ready(match check_rule(&principal, rule) {
            Ok(()) => {
                if let (Some((policy, index)), Some(record)) = (rule.counted, principal.token()) {
                    ctx.usage.allow_by_rule(record, policy, index, ctx.clock.now());
                }
                Ok(principal)
            }
            Err(error) => {
                count_refusal(ctx, &principal, rule, &error);
                Err(Refusal { error, principal: Some(Box::new(principal)) })
            }
        }),
        Err(
            error
            @ Error::Rejected(Rejection::RateLimited(_) | Rejection::QuotaExceeded | Rejection::AddressNotAllowed),
        ) => find_token(ctx, credential.as_ref()).then(move |found| {
            let principal = found.ok().flatten().map(Box::new);
            if let Some(principal) = &principal {
                count_refusal(ctx, principal, rule, &error);
            }
            // From an address that is not allowed, nobody learns whose token it is.
            let principal = principal.filter(|_| !matches!(error, Error::Rejected(Rejection::AddressNotAllowed)));
            Reply::ready(Err(Refusal { error, principal }))
        }),
        Err(error) => Reply::ready(Err(Refusal { error, principal: None })),
    })
}

#[cold]
fn count_refusal(ctx: &Context, principal: &Principal, rule: RuleRequirement<'_>, error: &Error) {
    let Some((policy, _)) = rule.counted else { return };
    let abilities = if matches!(error, Error::MissingAbility(_)) { rule.abilities } else { &[] };
    count_policy_refusal(ctx, principal, policy, abilities);
}

/// Counts that `policy` refused an accepted credential which lacks some of these abilities.
pub fn count_policy_refusal(ctx: &Context, principal: &Principal, policy: &Policy, abilities: &[Ability]) {
    if let Some(record) = principal.token() {
        ctx.usage.refuse(record, Some(policy), abilities, ctx.clock.now());
    }
}

fn check_rule(principal: &Principal, rule: RuleRequirement<'_>) -> Result<(), Error> {
    let RuleRequirement { kinds, abilities, .. } = rule;
    if !kinds.contains(&principal.kind()) {
        return Err(PolicyRejection::WrongKind.into());
    }
    match abilities.iter().all(|needed| principal.holds(needed.as_str())) {
        true => Ok(()),
        false => Err(Error::MissingAbility(abilities.to_vec())),
    }
}
