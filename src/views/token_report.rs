//! All that is known about a token.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{
    event::EventView,
    owner::OwnerView,
    token::TokenView,
    token_usage::{TokenUsageView, ability_names},
};
use crate::domain::{
    policy::Access,
    time::Timestamp,
    token::Revocation,
    token_report::{FamilyMember, TokenHistory, TokenReport, UnusedRule},
};

/// All that is known about a token.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TokenReportView {
    /// The token.
    pub token: TokenView,
    /// `active`, `expired`, `revoked` or `disabled`.
    pub state: Cow<'static, str>,
    /// The owner. For an environment token, the owner of the environment.
    pub owner: OwnerView,
    /// The environment of an environment token.
    pub environment_id: Option<String>,
    /// How it was created.
    pub creation: CreationView,
    /// The tokens of its family, latest first, itself included.
    pub family: Vec<FamilyMemberView>,
    /// What it did, and which abilities it never used.
    pub usage: TokenUsageView,
    /// The rules that it satisfies and has not used.
    pub unused_rules: Vec<UnusedRuleView>,
    /// Its events, latest first.
    pub events: Vec<EventView>,
}

impl TokenReportView {
    /// The report, with states at `now`.
    pub fn new(report: TokenReport, now: Timestamp) -> Self {
        let TokenReport { token, quota_left, successor, owner, history, usage, locations, unused_rules } = report;
        let TokenHistory { creator, creation, family, events } = history;
        Self {
            state: token_state(token.revoked, token.expires_at, token.disabled_at, now).into(),
            owner: OwnerView::from(&owner),
            environment_id: token.environment.map(|id| id.to_string()),
            creation: CreationView {
                at: token.created_at.to_string(),
                user_id: creator.as_ref().map(|creator| creator.id.to_string()),
                user_name: creator.and_then(|creator| creator.name).map(|name| name.to_string()),
                event: creation.map(EventView::from),
            },
            family: family.into_iter().map(|member| FamilyMemberView::new(member, now)).collect(),
            usage: TokenUsageView::new(&token, &usage, locations),
            unused_rules: unused_rules.into_iter().map(UnusedRuleView::from).collect(),
            events: events.into_iter().map(EventView::from).collect(),
            token: TokenView::new(token, quota_left, successor),
        }
    }
}

/// How a token was created.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CreationView {
    /// When.
    pub at: String,
    /// The id of the user who created it. Null if no user did, or if that was not recorded.
    pub user_id: Option<String>,
    /// The name of that user.
    pub user_name: Option<String>,
    /// The event. Null if it was pruned.
    pub event: Option<EventView>,
}

/// A token of a family.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FamilyMemberView {
    /// The id.
    pub id: String,
    /// `active`, `expired`, `revoked` or `disabled`.
    pub state: Cow<'static, str>,
    /// The token that it replaced.
    pub rotated_from: Option<String>,
    /// When it was created.
    pub created_at: String,
    /// Its expiry.
    pub expires_at: Option<String>,
    /// When it was last used.
    pub last_used_at: Option<String>,
    /// When it was revoked.
    pub revoked_at: Option<String>,
    /// Why it was revoked.
    pub revoked_reason: Option<Cow<'static, str>>,
}

impl FamilyMemberView {
    fn new(member: FamilyMember, now: Timestamp) -> Self {
        let text = |at: Option<Timestamp>| at.map(|at| at.to_string());
        Self {
            id: member.id.to_string(),
            state: token_state(member.revoked, member.expires_at, member.disabled_at, now).into(),
            rotated_from: member.rotated_from.map(|id| id.to_string()),
            created_at: member.created_at.to_string(),
            expires_at: text(member.expires_at),
            last_used_at: text(member.last_used_at),
            revoked_at: text(member.revoked.map(|revoked| revoked.at)),
            revoked_reason: member.revoked.map(|revoked| revoked.reason.as_str().into()),
        }
    }
}

/// The state of a token.
pub fn token_state(
    revoked: Option<Revocation>,
    expires_at: Option<Timestamp>,
    disabled_at: Option<Timestamp>,
    now: Timestamp,
) -> &'static str {
    match (revoked, expires_at, disabled_at) {
        (Some(_), ..) => "revoked",
        (None, Some(end), _) if end.has_passed(now) => "expired",
        (None, _, Some(_)) => "disabled",
        _ => "active",
    }
}

/// A rule of a policy that a token satisfies and has not used.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct UnusedRuleView {
    /// The policy.
    pub policy: String,
    /// The number of the rule, from 1.
    pub rule: usize,
    /// The methods. Empty for every method.
    pub methods: Vec<String>,
    /// The paths.
    pub paths: Vec<String>,
    /// The abilities that it requires.
    pub abilities: Vec<String>,
}

impl From<UnusedRule> for UnusedRuleView {
    fn from(UnusedRule { policy, index, rule }: UnusedRule) -> Self {
        let abilities = match &rule.access {
            Access::Public => Vec::new(),
            Access::Credential { abilities, .. } => ability_names(abilities),
        };
        let paths = rule.paths.iter().map(|path| path.as_str().to_owned()).collect();
        Self { policy, rule: index + 1, methods: rule.methods, paths, abilities }
    }
}
