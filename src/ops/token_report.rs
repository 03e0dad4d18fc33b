//! Reports about a token, to find out what a leaked token did and what it could have done.

use super::{context::Context, error::Error, rotation::successors_of, token_usage, usage_limits, use_locations};
use crate::domain::{
    authority::Authority,
    policy::{Access, Policy, Rule},
    token::Token,
    token_report::{TokenReport, UnusedRule},
    token_usage::TokenUsage,
};

/// How many tokens of the family and how many events a report has at most.
pub const MOST_LISTED: u32 = 100;

/// The report about a token. The caller has checked that the reader may see the token. Only an administrator sees the client
/// addresses of an earlier owner.
pub async fn report(ctx: &Context, reader: Authority, token: Token) -> Result<TokenReport, Error> {
    let of_token = std::slice::from_ref(&token);
    let quota_left = usage_limits::quotas_left(ctx, of_token).await?.of(&token);
    let successor = successors_of(ctx, of_token).await?.of(&token);
    let owner = ctx.store.owner(token.owner).await?;
    let history = ctx.store.token_history(token.id, MOST_LISTED).await?;
    let history = match reader {
        Authority::User(_) => history.without_addresses_of_others(token.owner),
        Authority::Administrator(_) => history,
    };
    let usage = token_usage::usage_of(ctx, &token).await?;
    let locations = use_locations::last_uses(ctx, token.id).await?;
    let unused_rules = unused_rules(&ctx.rules.policies, &token, &usage);
    Ok(TokenReport { token, quota_left, successor, owner, history, usage, locations, unused_rules })
}

/// The rules that the token satisfies, without those that it may have used. Counts are by policy and by ability, so a rule was
/// certainly not used if its policy allowed nothing, or if one of its abilities was not used.
fn unused_rules(policies: &[Policy], token: &Token, usage: &TokenUsage) -> Vec<UnusedRule> {
    let totals = usage.totals();
    let is_satisfied = |rule: &Rule| match &rule.access {
        Access::Public => false,
        Access::Credential { kinds, abilities } => {
            kinds.contains(&token.kind()) && abilities.iter().all(|needed| token.abilities.cover(needed.as_str()))
        }
    };
    let may_be_used = |policy: &Policy, rule: &Rule| match &rule.access {
        Access::Public => true,
        Access::Credential { abilities, .. } => {
            totals.allowed_policy(policy.name())
                && abilities.iter().all(|needed| totals.allowed_ability(needed.as_str()))
        }
    };
    let mut unused = Vec::new();
    for policy in policies {
        for (index, rule) in policy.rules().iter().enumerate() {
            if is_satisfied(rule) && !may_be_used(policy, rule) {
                unused.push(UnusedRule { policy: policy.name().to_owned(), index, rule: rule.clone() });
            }
        }
    }
    unused
}
