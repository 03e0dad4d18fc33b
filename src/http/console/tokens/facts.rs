//! What pages show of one token: all that is known about it.

use super::{list::Row, rule_in_words, status::revoked_as};
use crate::{
    domain::{
        ability::Ability,
        id::TokenId,
        owner::Owner,
        time::Timestamp,
        token::Token,
        token_report::{FamilyMember, TokenReport},
        token_usage::TokenUsage,
        use_location::UseLocation,
    },
    http::console::{
        activity::EventRow,
        chart::{Chart, UsageRow},
        page::PageError,
        person::Person,
        texts::Texts,
        times::When,
    },
    ops::{token_usage, usage_limits::quotas_left, use_locations::last_uses},
};

/// All that is known about a token. The template `token_facts.html` shows it.
pub(in crate::http::console) struct Facts {
    /// Where the pages of the tokens of its family are.
    pub(in crate::http::console) base: String,
    pub(in crate::http::console) row: Row,
    pub(in crate::http::console) number: i64,
    pub(in crate::http::console) abilities: Vec<String>,
    pub(in crate::http::console) revoked: Option<When>,
    pub(in crate::http::console) revoked_why: String,
    pub(in crate::http::console) disabled: Option<When>,
    pub(in crate::http::console) networks: Vec<String>,
    pub(in crate::http::console) requests_per_minute: String,
    pub(in crate::http::console) quota: String,
    pub(in crate::http::console) metadata: Vec<(String, String)>,
    pub(in crate::http::console) owner: String,
    pub(in crate::http::console) created_by: String,
    pub(in crate::http::console) is_counted: bool,
    pub(in crate::http::console) counted_since: Option<When>,
    pub(in crate::http::console) chart: Option<Chart>,
    pub(in crate::http::console) usage: Vec<UsageRow>,
    pub(in crate::http::console) used_abilities: Vec<String>,
    /// `None` if it is not known.
    pub(in crate::http::console) unused_abilities: Option<Vec<String>>,
    pub(in crate::http::console) unused_rules: Vec<String>,
    pub(in crate::http::console) addresses: Vec<AddressRow>,
    pub(in crate::http::console) family: Vec<FamilyRow>,
    pub(in crate::http::console) events: Vec<EventRow>,
    /// Whether it is revoked or expired.
    pub(in crate::http::console) has_ended: bool,
}

pub(in crate::http::console) struct AddressRow {
    pub(in crate::http::console) address: String,
    pub(in crate::http::console) agent: String,
    pub(in crate::http::console) used: When,
}

pub(in crate::http::console) struct FamilyRow {
    pub(in crate::http::console) id: String,
    pub(in crate::http::console) is_this: bool,
    pub(in crate::http::console) created: When,
    pub(in crate::http::console) state: String,
}

fn member(texts: Texts, member: FamilyMember, this: TokenId, now: Timestamp) -> FamilyRow {
    let state = match (member.revoked, member.expires_at, member.disabled_at) {
        (Some(revoked), ..) => revoked_as(revoked.reason),
        (_, Some(end), _) if end.has_passed(now) => "status-expired",
        (.., Some(_)) => "status-disabled",
        _ => "status-active",
    };
    FamilyRow {
        id: member.id.to_string(),
        is_this: member.id == this,
        created: When::new(texts, member.created_at, now),
        state: texts.say(state),
    }
}

fn names<'a>(abilities: impl IntoIterator<Item = &'a Ability>) -> Vec<String> {
    abilities.into_iter().map(ToString::to_string).collect()
}

impl Facts {
    /// The facts of a report, for the person who may see it. The pages of its family are below `base`.
    pub(in crate::http::console) fn of_report(person: &Person, base: &str, report: TokenReport) -> Self {
        let (texts, now) = (person.look.texts, person.ops().clock.now());
        let TokenReport { token, quota_left, owner, history, usage, locations, unused_rules, .. } = report;
        let rules = unused_rules.into_iter();
        Self {
            owner: match &owner {
                Owner::User(user) if user.id == person.user.user.id => String::new(),
                Owner::User(user) => user.name.to_string(),
                Owner::ServiceAccount(account) => account.name.to_string(),
            },
            created_by: history
                .creator
                .and_then(|creator| creator.name)
                .map(|name| name.to_string())
                .unwrap_or_default(),
            unused_rules: rules.map(|unused| format!("{}: {}", unused.policy, rule_in_words(&unused.rule))).collect(),
            family: history.family.into_iter().map(|found| member(texts, found, token.id, now)).collect(),
            events: history.events.into_iter().map(|event| EventRow::new(texts, event, now)).collect(),
            ..Self::of(person, base, &token, quota_left, usage, locations)
        }
    }

    /// What members of its environment may know of a token.
    pub(in crate::http::console) async fn of_environment(
        person: &Person,
        base: &str,
        token: &Token,
    ) -> Result<Self, PageError> {
        let ctx = person.ops();
        let quota_left = quotas_left(ctx, std::slice::from_ref(token)).await?.of(token);
        let usage = token_usage::usage_of(ctx, token).await?;
        Ok(Self::of(person, base, token, quota_left, usage, last_uses(ctx, token.id).await?))
    }

    fn of(
        person: &Person,
        base: &str,
        token: &Token,
        quota_left: Option<u32>,
        usage: TokenUsage,
        locations: Vec<UseLocation>,
    ) -> Self {
        let (texts, now) = (person.look.texts, person.ops().clock.now());
        let when = |at: Timestamp| When::new(texts, at, now);
        let limits = token.limits.as_deref();
        let annotations = token.annotations.as_ref();
        let totals = usage.totals();
        let used = totals.abilities.iter().filter(|(_, counts)| counts.allowed > 0).map(|(name, _)| name.to_string());
        let quota = limits.and_then(|limits| limits.quota).map(|quota| {
            texts.with("token-quota-left", "left", quota_left.unwrap_or(quota).to_string() + " / " + &quota.to_string())
        });
        let networks = limits.map(|limits| limits.allowlist.networks().iter().map(ToString::to_string).collect());
        let rate = limits.and_then(|limits| limits.requests_per_minute).map(|number| number.to_string());
        let address = |location: UseLocation| AddressRow {
            address: location.address.to_string(),
            agent: location.user_agent.map(|agent| agent.to_string()).unwrap_or_default(),
            used: when(location.last_used_at),
        };
        Self {
            base: base.to_owned(),
            row: Row::new(texts, token, now),
            number: token.number,
            abilities: names(token.abilities.iter()),
            revoked: token.revoked.map(|revoked| when(revoked.at)),
            revoked_why: token.revoked.map(|revoked| texts.say(revoked_as(revoked.reason))).unwrap_or_default(),
            disabled: token.disabled_at.map(when),
            networks: networks.unwrap_or_default(),
            requests_per_minute: rate.unwrap_or_default(),
            quota: quota.unwrap_or_default(),
            metadata: annotations
                .map(|annotations| {
                    annotations.metadata.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
                })
                .unwrap_or_default(),
            owner: String::new(),
            created_by: String::new(),
            is_counted: usage.counted_since.is_some(),
            counted_since: usage.counted_since.map(when),
            chart: Chart::of(texts, &usage, now),
            usage: UsageRow::of(&usage),
            used_abilities: used.collect(),
            unused_abilities: usage.unused(&token.abilities).map(|unused| names(&unused)),
            unused_rules: Vec::new(),
            addresses: locations.into_iter().map(address).collect(),
            family: Vec::new(),
            events: Vec::new(),
            has_ended: token.revoked.is_some() || token.has_expired(now),
        }
    }
}
